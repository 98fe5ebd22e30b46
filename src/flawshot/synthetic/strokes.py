"""Strokes and blobs: outlines of flaws, and how much of each px they cover."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from flawshot.synthetic.fields import Field

    Point = tuple[float, float]

__all__ = ["blob", "cover", "path"]


def path(  # noqa: PLR0917
    rng: random.Random, start: Point, angle: float, length: float, wander: float, bend: float = 0.0, steps: int = 12
) -> list[Point]:
    """Points (x, y in px) of a line that wanders.

    Args:
        rng: Where the randomness comes from.
        start: Where it begins.
        angle: In which direction, radians.
        length: In px.
        wander: By how much the direction changes at random a step, radians.
        bend: By how much it turns in all, radians.
        steps: Of so many pieces.
    """
    points = [start]
    for _ in range(steps):
        angle += rng.gauss(0, wander) + bend / steps
        x, y = points[-1]
        points.append((x + length / steps * math.cos(angle), y + length / steps * math.sin(angle)))
    return points


def blob(  # noqa: PLR0917
    rng: random.Random, center: Point, length: float, ratio: float, ragged: float, angle: float, points: int = 40
) -> list[Point]:
    """Outline (x, y in px) of a closed shape.

    Args:
        rng: Where the randomness comes from.
        center: Its middle.
        length: Its longer side, px.
        ratio: Its shorter side, as a share of the longer one.
        ragged: How far the outline leaves an ellipse, as a share of the radius.
        angle: Of the longer side, radians.
        points: Of the outline.
    """
    waves = [(rng.uniform(0, 2 * math.pi), rng.gauss(0, 1) / k**0.8) for k in range(2, 9)]
    cosine, sine = math.cos(angle), math.sin(angle)
    outline = []
    for step in range(points):
        turn = 2 * math.pi * step / points
        away = 1 + ragged * 0.5 * sum(weight * math.sin(k * turn + phase) for k, (phase, weight) in enumerate(waves, 2))
        u, v = length / 2 * max(0.15, away) * math.cos(turn), length / 2 * ratio * max(0.15, away) * math.sin(turn)
        outline.append((center[0] + u * cosine - v * sine, center[1] + u * sine + v * cosine))
    return outline


def cover(
    side: int,
    *,
    lines: Sequence[tuple[Sequence[Point], float]] = (),
    shapes: Sequence[Sequence[Point]] = (),
    discs: Sequence[tuple[Point, float]] = (),
) -> Field:
    """What share of each px is covered.

    Args:
        side: Of the square, px.
        lines: Points of open lines with their width in px.
        shapes: Outlines of filled shapes.
        discs: Centers and radii of discs, px.

    Returns:
        float32 ``[side, side]``, 0 to 1.
    """
    fine = 3 if side <= 256 else 2
    sheet = Image.new("L", (side * fine, side * fine))
    draw = ImageDraw.Draw(sheet)
    for points, width in lines:
        thick = max(1, round(width * fine))
        scaled = [((x + 0.5) * fine, (y + 0.5) * fine) for x, y in points]
        draw.line(scaled, fill=255, width=thick, joint="curve")
    for outline in shapes:
        draw.polygon([((x + 0.5) * fine, (y + 0.5) * fine) for x, y in outline], fill=255)
    for (x, y), radius in discs:
        reach = max(0.5, radius * fine)
        u, v = (x + 0.5) * fine, (y + 0.5) * fine
        draw.ellipse((u - reach, v - reach, u + reach, v + reach), fill=255)
    return np.asarray(sheet.reduce(fine), dtype=np.float32) / np.float32(255)
