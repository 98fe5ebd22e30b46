"""Flaws that are patches of another look: stains, burns, rust, roughness, misprints, wrong material."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flawshot.synthetic.fields import axes, fractal, grain, lerp, rise, soften, standard
from flawshot.synthetic.flaws.base import color, shade_factor, spot_shape
from flawshot.synthetic.strokes import blob, cover, path

if TYPE_CHECKING:
    import random

    from flawshot.synthetic.canvas import Canvas
    from flawshot.synthetic.fields import Field
    from flawshot.synthetic.flaws.base import Spot

__all__ = ["burn", "missing", "patch", "print_", "ring", "rough", "rust", "shade", "smear", "stain", "warp"]


def stain(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A soft spot in another tone; the surface shows through."""
    soft, ragged = style.uniform(0.02, 0.12), style.uniform(0.1, 0.5)
    share = soften(spot_shape(style, rng, canvas, spot, ragged), soft * spot.size)
    blotch = 1 - np.float32(style.uniform(0, 0.5)) * rise(grain(rng, canvas.side, 0.25 * spot.size + 2), -0.5, 1.5)
    canvas.tint(share * blotch, shade_factor(style, spot.strength, darker=0.75))
    if style.random() < 0.4:
        canvas.gloss = lerp(canvas.gloss, style.uniform(0, 1), share)
    return share


def ring(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """What a dried drop leaves: a rim."""
    rim, inner = style.uniform(0.04, 0.12), style.uniform(0, 0.35)
    share = spot_shape(style, rng, canvas, spot, style.uniform(0.05, 0.3))
    wide = soften(share, rim * spot.size)
    edge = rise(wide * (1 - wide) * 4, 0.3, 0.9)
    canvas.tint(np.maximum(edge, np.float32(inner) * share), shade_factor(style, spot.strength, darker=0.7))
    return np.maximum(share, edge)


def shade(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A broad region a little darker or brighter, without an edge."""
    share = soften(spot_shape(style, rng, canvas, spot, 0.3), style.uniform(0.12, 0.22) * spot.size)
    factor = 1 + style.choice((-0.6, -0.6, 0.6)) * spot.strength * style.uniform(0.4, 1)
    canvas.tint(rise(share, 0.0, 0.9), factor)
    return rise(share, 0.1, 0.6)


def burn(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Dark in the middle, with a halo."""
    core = spot_shape(style, rng, canvas, spot._replace(size=spot.size * style.uniform(0.35, 0.6)), 0.3)
    halo = rise(soften(core, 0.16 * spot.size), 0.02, 0.6)
    warm = np.array((1.0, style.uniform(0.6, 0.95), style.uniform(0.4, 0.9)), dtype=np.float32)
    canvas.tint(halo, 1 - (1 - warm * np.float32(style.uniform(0.4, 0.8))) * np.float32(spot.strength))
    canvas.tint(soften(core, 0.05 * spot.size), 1 - 0.85 * spot.strength)
    return rise(halo, 0.1, 0.5)


def rust(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Specks that grow together: corrosion, mould, peeling."""
    window = soften(spot_shape(style, rng, canvas, spot, 0.4), 0.08 * spot.size)
    field = fractal(rng, canvas.side, max(2.5, spot.size * style.uniform(0.1, 0.3)), 0.7)
    share = rise(field + 3 * window - np.float32(style.uniform(1.6, 2.6)), 0.0, 0.4) * rise(window, 0.05, 0.3)
    tone = color(style, spot.strength)
    if style.random() < 0.65:
        tone = np.array((style.uniform(0.3, 0.6), style.uniform(0.15, 0.3), 0.08), dtype=np.float32)
    canvas.paint(share * np.float32(0.25 + 0.75 * spot.strength), tone)
    canvas.height = canvas.height + share * np.float32(style.uniform(-1, 1) * canvas.unit) * (1 + 0.5 * field)
    canvas.gloss = canvas.gloss * (1 - share)
    return share


def rough(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """The surface is broken open: rough ground inside a ragged outline."""
    share = spot_shape(style, rng, canvas, spot, style.uniform(0.3, 0.8))
    ground = fractal(rng, canvas.side, max(2.0, style.uniform(1.5, 5) * canvas.unit), 0.75)
    depth = style.uniform(0.5, 3) * canvas.unit * (0.3 + spot.strength)
    canvas.height = lerp(canvas.height, np.float32(depth) * (ground - np.float32(style.uniform(0, 2))), share)
    canvas.tint(share, shade_factor(style, spot.strength))
    canvas.color = canvas.color * (1 + (share * ground * np.float32(0.2 * spot.strength))[..., None])
    canvas.gloss = canvas.gloss * (1 - share)
    return share


def missing(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """The pattern is gone: worn off, or never there."""
    share = soften(spot_shape(style, rng, canvas, spot, style.uniform(0, 0.4)), 0.5)
    canvas.flatten(share, max(3.0, 0.25 * spot.size))
    canvas.tint(share, shade_factor(style, spot.strength * 0.5, darker=0.5))
    return share


def smear(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Wiped in one direction."""
    share = soften(spot_shape(style, rng, canvas, spot._replace(size=spot.size * 0.9), 0.2), 0.05 * spot.size)
    reach = max(2.0, style.uniform(0.1, 0.35) * spot.size)
    cosine, sine = math.cos(spot.angle), math.sin(spot.angle)
    _, across = axes(canvas.side, spot.angle)
    streak = standard(np.sin(across / np.float32(max(1.0, canvas.unit * 1.5)) + grain(rng, canvas.side, spot.size)))
    blurred = np.zeros_like(canvas.color)
    for step in range(-2, 3):
        moved = (round(step * reach / 2 * sine), round(step * reach / 2 * cosine))
        blurred += np.roll(canvas.color, moved, axis=(0, 1)) / np.float32(5)
    canvas.color = lerp(canvas.color, blurred, share[..., None])
    canvas.tint(share * (1 + np.float32(0.4) * streak), shade_factor(style, spot.strength * 0.6))
    canvas.height = canvas.height * (1 - share * np.float32(0.8))
    return share


def warp(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """The pattern is pulled out of its place."""
    share = soften(spot_shape(style, rng, canvas, spot._replace(size=spot.size * 0.8), 0.2), 0.1 * spot.size)
    reach = np.float32(style.uniform(0.1, 0.3) * spot.size * (0.4 + 0.6 * spot.strength))
    if style.random() < 0.5:
        line = np.arange(canvas.side, dtype=np.float32)
        x, y = line[None, :] - np.float32(spot.x), line[:, None] - np.float32(spot.y)
        turn = np.float32(style.uniform(0.5, 1.5) * rng.choice((-1, 1))) * share
        canvas.shift(x * np.sin(turn) + y * (np.cos(turn) - 1), x * (np.cos(turn) - 1) - y * np.sin(turn))
    else:
        canvas.shift(share * reach * np.float32(math.sin(spot.angle)), share * reach * np.float32(math.cos(spot.angle)))
    return rise(share, 0.1, 0.5)


def print_(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A sharp mark in one color: a misprint, a glyph, a drop of paint."""
    kind, width = style.randrange(4), style.uniform(0.1, 0.22) * spot.size
    if kind == 0:
        count = style.randint(2, 4)
        turns = [spot.angle + style.uniform(0, math.pi) + rng.gauss(0, 0.1) for _ in range(count)]
        reach = spot.size * 0.45
        lines = [
            (path(rng, (spot.x - reach * math.cos(t), spot.y - reach * math.sin(t)), t, 2 * reach, 0, steps=2), width)
            for t in turns
        ]
        share = cover(canvas.side, lines=lines)
    elif kind == 1:
        arc = path(rng, (0.0, 0.0), spot.angle, spot.size * 2, 0.02, style.uniform(3, 6), steps=24)
        x, y = sum(p[0] for p in arc) / len(arc), sum(p[1] for p in arc) / len(arc)
        share = cover(canvas.side, lines=[([(a - x + spot.x, b - y + spot.y) for a, b in arc], width)])
    else:
        share = spot_shape(style, rng, canvas, spot, style.uniform(0, 0.5) * (kind == 2))
    canvas.paint(share * np.float32(0.3 + 0.7 * spot.strength), color(style, spot.strength))
    return share


def patch(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Another material: a foreign piece with its own grain, flat on the surface."""
    share = spot_shape(style, rng, canvas, spot, style.uniform(0, 0.5))
    cell, contrast = style.uniform(1, 6) * canvas.unit, style.uniform(0.02, 0.25)
    own = grain(rng, canvas.side, cell, style.uniform(0.3, 6))
    tone = color(style, spot.strength) * (1 + np.float32(contrast) * own[..., None])
    canvas.paint(share * np.float32(0.3 + 0.7 * spot.strength), np.clip(tone, 0, 1).astype(np.float32))
    canvas.height = lerp(canvas.height, np.float32(0.3 * canvas.unit) * own, share)
    canvas.gloss = lerp(canvas.gloss, style.uniform(0, 1), share)
    return share


def bleach(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Drops that ate the color: several pale or dark spots that run into one another."""
    count, reach = style.randint(3, 7), style.uniform(0.15, 0.35)
    shapes = []
    for _ in range(count):
        center = (spot.x + rng.gauss(0, 0.22) * spot.size, spot.y + rng.gauss(0, 0.22) * spot.size)
        shapes.append(blob(rng, center, max(3.0, reach * spot.size * rng.uniform(0.6, 1.4)), 0.9, 0.15, 0.0, points=24))
    share = soften(cover(canvas.side, shapes=shapes), 0.02 * spot.size)
    canvas.tint(share, shade_factor(style, spot.strength, darker=0.3))
    return share
