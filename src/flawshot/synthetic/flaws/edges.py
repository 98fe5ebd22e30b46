"""Flaws of the object's outline: chips, broken corners, fraying, burrs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flawshot.synthetic.fields import fractal, lerp, soften
from flawshot.synthetic.strokes import blob, cover, path

if TYPE_CHECKING:
    import random

    from flawshot.synthetic.canvas import Canvas
    from flawshot.synthetic.fields import Field
    from flawshot.synthetic.flaws.base import Spot
    from flawshot.synthetic.strokes import Point

__all__ = ["burr", "chip", "fray"]


def chip(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """A piece of the edge is gone; a part of the break's face may be seen."""
    outline = blob(rng, spot.center, spot.size, style.uniform(0.4, 1), style.uniform(0.2, 0.7), spot.angle)
    share = cover(canvas.side, shapes=[outline]) * canvas.solid
    face = style.uniform(0, 0.6)
    through = share * (soften(share, 0.15 * spot.size) < 1 - face) if face > 0.2 else share
    ground = fractal(rng, canvas.side, max(2.0, 0.15 * spot.size), 0.7)
    canvas.height = lerp(
        canvas.height, canvas.height - np.float32(2 * canvas.unit) * (1 + np.float32(0.5) * ground), share
    )
    canvas.tint(share, 1 + style.choice((-0.5, 0.5)) * spot.strength)
    canvas.solid = canvas.solid * (1 - soften(through.astype(np.float32), 0.4))
    return share


def fray(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Fibres or shreds stand out of the edge, others are torn from it."""
    count, width = style.randint(10, 34), max(1.0, canvas.unit * style.uniform(0.5, 1.5))
    reach, wander = style.uniform(0.25, 0.6), style.uniform(0.05, 0.35)
    cosine, sine = math.cos(spot.angle), math.sin(spot.angle)
    out: list[tuple[list[Point], float]] = []
    away: list[tuple[list[Point], float]] = []
    for _ in range(count):
        along = rng.gauss(0, 0.22) * spot.size
        start = (spot.x + along * cosine, spot.y + along * sine)
        turn = spot.angle + math.pi / 2 * rng.choice((-1, 1)) + rng.gauss(0, 0.35)
        line = path(rng, start, turn, spot.size * reach * rng.uniform(0.3, 1), wander, steps=6)
        (out if rng.random() < 0.5 else away).append((line, width))
    threads, gaps = cover(canvas.side, lines=out), cover(canvas.side, lines=away)
    level = np.float32(rng.uniform(0.8, 1.2)) * canvas.color.mean(axis=(0, 1))
    outside = threads * (1 - canvas.solid)
    canvas.paint(outside, level)
    canvas.solid = np.maximum(canvas.solid * (1 - gaps * np.float32(0.3 + 0.7 * spot.strength)), threads)
    canvas.height = canvas.height + np.float32(canvas.unit) * threads
    return (
        np.maximum(threads, gaps)
        if style.random() < 0.5
        else np.minimum(1, 3 * soften(np.maximum(threads, gaps), 0.05 * spot.size))
    )


def burr(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
    """Flash: material that stands over the edge."""
    outline = blob(rng, spot.center, spot.size, style.uniform(0.15, 0.5), style.uniform(0.2, 0.7), spot.angle)
    share = cover(canvas.side, shapes=[outline])
    tone = canvas.color.mean(axis=(0, 1)) * np.float32(1 + style.uniform(-0.5, 0.7) * spot.strength)
    canvas.paint(share, tone)
    canvas.height = canvas.height + np.float32(2 * canvas.unit) * soften(share, 0.04 * spot.size + 0.4)
    canvas.solid = np.maximum(canvas.solid, share)
    return share
