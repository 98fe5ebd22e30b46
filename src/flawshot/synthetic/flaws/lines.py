"""Flaws that are lines: scratches, cracks, cuts, fibres, wrinkles, bent wires, bands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flawshot.synthetic.fields import axes, grain, rise, soften
from flawshot.synthetic.flaws.base import color, shade_factor
from flawshot.synthetic.strokes import blob, cover, path

if TYPE_CHECKING:
    import random

    from flawshot.synthetic.canvas import Canvas
    from flawshot.synthetic.fields import Field
    from flawshot.synthetic.flaws.base import Spot
    from flawshot.synthetic.strokes import Point

__all__ = ["band", "bent", "crack", "cut", "fibre", "scratch", "scuff", "wrinkle"]


def _through(rng: random.Random, spot: Spot, wander: float, bend: float = 0.0, steps: int = 12) -> list[Point]:
    """A line of the spot's size whose middle is the spot's."""
    points = path(rng, (0.0, 0.0), spot.angle, spot.size, wander, bend, steps)
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    right, down = spot.x - (min(xs) + max(xs)) / 2, spot.y - (min(ys) + max(ys)) / 2
    return [(x + right, y + down) for x, y in points]


def scratch(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """One thin, nearly straight line with bright or dark lips."""
    width = max(1.2, canvas.unit * style.uniform(0.6, 2.2) * rng.uniform(0.8, 1.2))
    line = _through(rng, spot, style.uniform(0, 0.05), rng.gauss(0, style.uniform(0, 0.4)))
    share = cover(canvas.side, lines=[(line, width)])
    tone, depth = shade_factor(style, spot.strength, darker=0.45), style.uniform(0, 2.5) * spot.strength * canvas.unit
    canvas.tint(share, tone)
    canvas.height = canvas.height - np.float32(depth) * soften(share, 0.5 * canvas.unit)
    return share


def scuff(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Many fine lines side by side."""
    count, spread = style.randint(6, 22), style.uniform(0.15, 0.4)
    width = max(1.0, canvas.unit * style.uniform(0.4, 1.0))
    splay, wander = style.uniform(0.01, 0.2), style.uniform(0, 0.03)
    cosine, sine = math.cos(spot.angle), math.sin(spot.angle)
    lines = []
    for _ in range(count):
        length = spot.size * rng.uniform(0.3, 0.8)
        across = rng.gauss(0, spread / 2) * spot.size
        along = rng.uniform(-0.5, 0.5) * (spot.size - length) - length / 2
        start = (spot.x + along * cosine - across * sine, spot.y + along * sine + across * cosine)
        lines.append((path(rng, start, spot.angle + rng.gauss(0, splay), length, wander, steps=6), width))
    share = cover(canvas.side, lines=lines)
    tone, depth = shade_factor(style, spot.strength, darker=0.35), style.uniform(0, 1.2) * spot.strength * canvas.unit
    canvas.tint(share, tone)
    canvas.height = canvas.height - np.float32(depth) * share
    return share if style.random() < 0.5 else rise(soften(share, 0.06 * spot.size), 0.08, 0.2)


def crack(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A jagged dark line that may branch."""
    width = max(1.2, canvas.unit * style.uniform(0.6, 2.4))
    wander, branches = style.uniform(0.2, 0.6), style.randint(0, 4)
    trunk = _through(rng, spot, wander, steps=16)
    lines = [(trunk, width)]
    for _ in range(branches):
        start = trunk[rng.randrange(2, len(trunk) - 2)]
        turn = spot.angle + rng.choice((-1, 1)) * rng.uniform(0.4, 1.2)
        lines.append((path(rng, start, turn, spot.size * rng.uniform(0.15, 0.45), wander, steps=8), width * 0.7))
    share = cover(canvas.side, lines=lines)
    depth = style.uniform(0.5, 3) * spot.strength * canvas.unit
    canvas.tint(share, 1 - spot.strength * style.uniform(0.5, 0.95))
    canvas.height = canvas.height - np.float32(depth) * soften(share, 0.4 * canvas.unit)
    return share


def cut(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """An opening that tapers to both ends, dark inside, with raised lips."""
    ratio, lips = style.uniform(0.06, 0.3) * rng.uniform(0.8, 1.2), style.uniform(0, 2) * spot.strength
    line = _through(rng, spot, 0.06, rng.gauss(0, 0.3))
    wide = [
        (line[number : number + 2], max(1.2, spot.size * ratio * math.sin(math.pi * (number + 0.5) / 12)))
        for number in range(12)
    ]
    share = cover(canvas.side, lines=wide)
    around = soften(share, 0.05 * spot.size + canvas.unit)
    canvas.height = canvas.height + np.float32(lips * canvas.unit * 4) * around * (1 - share)
    canvas.paint(
        share * np.float32(0.3 + 0.7 * spot.strength),
        np.float32(style.uniform(0.01, 0.15)) * np.ones(3, dtype=np.float32),
    )
    canvas.gloss = canvas.gloss * (1 - share)
    return share


def fibre(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A hair or thread that lies on the surface."""
    width = max(1.2, canvas.unit * style.uniform(0.6, 2))
    bend, curl = style.uniform(1, 5) * rng.choice((-1, 1)), style.uniform(0.1, 0.4)
    line = _through(rng, spot._replace(size=spot.size * 1.6), curl, bend, steps=24)
    share = cover(canvas.side, lines=[(line, width)])
    below = soften(cover(canvas.side, lines=[([(x + width, y + width) for x, y in line], width)]), canvas.unit)
    canvas.tint(below * np.float32(style.uniform(0, 0.7) * spot.strength), 0.4)
    canvas.paint(share * np.float32(0.35 + 0.65 * spot.strength), color(style, spot.strength))
    return share


def wrinkle(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """One or several soft folds."""
    count, width = style.randint(1, 3), style.uniform(0.05, 0.14)
    wander, height = style.uniform(0.02, 0.15), style.uniform(1.5, 6) * (0.3 + spot.strength)
    cosine, sine = math.cos(spot.angle), math.sin(spot.angle)
    lines = []
    for number in range(count):
        across = (number - (count - 1) / 2) * width * 3 * spot.size
        placed = spot._replace(
            x=spot.x - across * sine, y=spot.y + across * cosine, size=spot.size * rng.uniform(0.7, 1)
        )
        lines.append((_through(rng, placed, wander, rng.gauss(0, 0.5)), max(1.5, width * spot.size)))
    share = cover(canvas.side, lines=lines)
    ridge = soften(share, max(1.0, width * spot.size * 0.5))
    canvas.height = canvas.height + np.float32(height * max(canvas.unit, width * spot.size * 0.4)) * ridge
    return rise(ridge, 0.15, 0.5)


def bent(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A wire, lead or thread as thick as one can see, bent out of its line."""
    width, bend = style.uniform(0.06, 0.2) * spot.size, style.uniform(0.8, 3) * rng.choice((-1, 1))
    line = _through(rng, spot, 0.04, bend * rng.uniform(0.8, 1.2), steps=16)
    share = cover(canvas.side, lines=[(line, max(2.0, width))])
    round_ = soften(share, max(0.7, width * 0.3)) * share
    below = soften(cover(canvas.side, lines=[([(x + width / 2, y + width / 2) for x, y in line], width)]), width / 2)
    canvas.tint(below * np.float32(0.6 * spot.strength), 0.5)
    canvas.paint(share * np.float32(0.3 + 0.7 * spot.strength), color(style, spot.strength))
    canvas.height = canvas.height * (1 - share) + np.float32(width * 0.8) * round_
    canvas.gloss = canvas.gloss * (1 - share) + np.float32(style.uniform(0, 0.8)) * share
    return share


def band(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A stripe in another tone from border to border, or nearly so."""
    along, across = axes(canvas.side, spot.angle)
    cosine, sine = math.cos(spot.angle), math.sin(spot.angle)
    middle = canvas.side / 2 - 0.5
    away = across - np.float32((spot.y - middle) * cosine - (spot.x - middle) * sine)
    near = along - np.float32((spot.x - middle) * cosine + (spot.y - middle) * sine)
    width, edge = style.uniform(0.08, 0.25) * spot.size, style.uniform(0.1, 0.6)
    wave = grain(rng, canvas.side, canvas.side / 3) * np.float32(width * style.uniform(0, 0.3))
    share = rise(-np.abs(away + wave), -width * (1 + edge), -width * (1 - edge))
    if style.random() < 0.6:
        share = share * rise(-np.abs(near), -spot.size / 2 * 1.1, -spot.size / 2 * 0.9)
    canvas.tint(share, shade_factor(style, spot.strength * 0.8))
    return share


def seam(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A chain of small marks along a line: a lifted seam, spatter, chatter marks."""
    gap, length = style.uniform(0.06, 0.14), style.uniform(0.3, 0.9)
    line = _through(rng, spot, 0.03, rng.gauss(0, 0.3), steps=max(4, round(1 / gap)))
    across = style.uniform(0, math.pi) if style.random() < 0.5 else 0.0
    shapes = []
    for place in line:
        if rng.random() < 0.9:
            size = max(2.5, gap * spot.size * length * rng.uniform(0.7, 1.3))
            shapes.append(blob(rng, place, size, rng.uniform(0.3, 0.6), 0.1, spot.angle + across, points=12))
    share = cover(canvas.side, shapes=shapes)
    canvas.tint(share, shade_factor(style, spot.strength))
    canvas.height = canvas.height + np.float32(style.choice((-1.5, 1.5)) * spot.strength * canvas.unit) * share
    return share
