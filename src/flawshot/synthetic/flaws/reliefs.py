"""Flaws that are relief: dents, bumps, holes, pits, inclusions, drops, dust."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flawshot.synthetic.fields import fractal, lerp, rise, soften
from flawshot.synthetic.flaws.base import color, spot_shape
from flawshot.synthetic.strokes import blob, cover

if TYPE_CHECKING:
    import random

    from flawshot.synthetic.canvas import Canvas
    from flawshot.synthetic.fields import Field
    from flawshot.synthetic.flaws.base import Spot

__all__ = ["blisters", "bump", "dent", "drop", "dust", "hole", "inclusion", "pits"]


def dent(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Pressed in, without another color."""
    share = spot_shape(style, rng, canvas, spot, style.uniform(0, 0.25))
    bowl = soften(share, style.uniform(0.06, 0.18) * spot.size)
    depth = style.uniform(0.12, 0.4) * spot.size * (0.25 + spot.strength)
    canvas.height = canvas.height - np.float32(depth) * bowl
    return rise(bowl, 0.15, 0.5)


def bump(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Raised: a bubble under the paint, a pressed-through grain."""
    share = spot_shape(style, rng, canvas, spot, style.uniform(0, 0.2))
    dome = soften(share, style.uniform(0.05, 0.12) * spot.size)
    height = style.uniform(0.15, 0.5) * spot.size * (0.25 + spot.strength)
    canvas.height = canvas.height * (1 - np.float32(0.5) * share) + np.float32(height) * dome
    canvas.gloss = lerp(canvas.gloss, style.uniform(0, 1), share)
    return rise(dome, 0.15, 0.5)


def hole(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Round and deep: dark, with a rim that catches the light."""
    share = spot_shape(style, rng, canvas, spot, style.uniform(0, 0.2))
    deep = soften(share, style.uniform(0.01, 0.07) * spot.size + 0.3)
    rim = np.float32(style.uniform(0, 0.8) * spot.strength * canvas.unit * 3)
    canvas.height = (
        canvas.height + rim * soften(share, 0.12 * spot.size) * (1 - share) - np.float32(spot.size * 0.1) * deep
    )
    level = np.float32(style.uniform(0, 0.12)) * np.ones(3, dtype=np.float32)
    canvas.paint(deep * np.float32(0.25 + 0.75 * spot.strength), level)
    canvas.gloss = canvas.gloss * (1 - share)
    return share


def pits(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A cluster of small holes."""
    count, reach = style.randint(5, 24), style.uniform(0.03, 0.08)
    discs = []
    for _ in range(count):
        away, turn = abs(rng.gauss(0, 0.24)) * spot.size, rng.uniform(0, 2 * math.pi)
        radius = max(0.9, reach * spot.size * rng.uniform(0.5, 1.5))
        discs.append(((spot.x + away * math.cos(turn), spot.y + away * math.sin(turn)), radius))
    share = cover(canvas.side, discs=discs)
    deep = soften(share, 0.4 * canvas.unit)
    canvas.height = canvas.height - np.float32(style.uniform(0.5, 2.5) * canvas.unit * (0.3 + spot.strength)) * deep
    canvas.tint(deep, 1 - spot.strength * style.uniform(0.3, 0.9))
    if style.random() < 0.5:
        return share
    return rise(soften(share, 0.08 * spot.size), 0.06, 0.2)


def blisters(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A cluster of small bumps."""
    count, reach = style.randint(4, 16), style.uniform(0.04, 0.1)
    discs = []
    for _ in range(count):
        place = (spot.x + rng.gauss(0, 0.22) * spot.size, spot.y + rng.gauss(0, 0.22) * spot.size)
        discs.append((place, max(1.2, reach * spot.size * rng.uniform(0.5, 1.5))))
    share = cover(canvas.side, discs=discs)
    dome = soften(share, max(0.6, 0.4 * reach * spot.size))
    canvas.height = canvas.height + np.float32(style.uniform(1, 4) * canvas.unit * (0.3 + spot.strength)) * dome
    canvas.gloss = lerp(canvas.gloss, style.uniform(0, 1), share)
    return rise(dome, 0.15, 0.5)


def inclusion(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A foreign particle that stands out of the surface and casts a shadow."""
    ragged, ratio = style.uniform(0.1, 0.7), style.uniform(0.4, 1)
    outline = blob(rng, spot.center, spot.size, ratio, ragged, spot.angle, points=style.choice((7, 11, 40)))
    share = cover(canvas.side, shapes=[outline])
    away, turn = style.uniform(0.03, 0.15) * spot.size, style.uniform(0, 2 * math.pi)
    moved = [(x + away * math.cos(turn), y + away * math.sin(turn)) for x, y in outline]
    canvas.tint(soften(cover(canvas.side, shapes=[moved]), away / 2) * np.float32(0.7 * spot.strength), 0.4)
    lump = fractal(rng, canvas.side, max(2.0, 0.3 * spot.size), 0.6)
    canvas.paint(share * np.float32(0.3 + 0.7 * spot.strength), color(style, spot.strength))
    own = np.float32(0.12 * spot.size) * (soften(share, 0.08 * spot.size) + np.float32(0.2) * lump)
    canvas.height = lerp(canvas.height, own, share)
    canvas.gloss = lerp(canvas.gloss, style.uniform(0, 1), share)
    return share


def drop(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Glue, oil or water: clear, domed, glossy."""
    share = spot_shape(style, rng, canvas, spot, style.uniform(0.05, 0.3))
    dome = soften(share, 0.08 * spot.size) * share
    canvas.tint(share, 1 - style.uniform(-0.15, 0.4) * spot.strength)
    canvas.height = (
        canvas.height * (1 - share) + np.float32(style.uniform(0.1, 0.35) * spot.size * (0.4 + spot.strength)) * dome
    )
    canvas.gloss = lerp(canvas.gloss, style.uniform(0.7, 1.5), share)
    return share


def dust(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Grains or chips that lie about."""
    count, reach = style.randint(6, 26), style.uniform(0.02, 0.07)
    shapes = []
    for _ in range(count):
        center = (spot.x + rng.uniform(-0.45, 0.45) * spot.size, spot.y + rng.uniform(-0.45, 0.45) * spot.size)
        size = max(2.8, 2 * reach * spot.size * rng.uniform(0.5, 1.6))  # less covers no px, and no mask has it
        shapes.append(blob(rng, center, size, rng.uniform(0.5, 1), 0.3, rng.uniform(0, math.pi), points=9))
    share = cover(canvas.side, shapes=shapes)
    canvas.paint(share * np.float32(0.3 + 0.7 * spot.strength), color(style, spot.strength))
    canvas.height = canvas.height + np.float32(canvas.unit) * soften(share, 0.4)
    return share if style.random() < 0.5 else rise(soften(share, 0.08 * spot.size), 0.06, 0.2)
