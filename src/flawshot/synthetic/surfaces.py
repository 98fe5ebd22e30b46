"""Flawless surfaces: how bright each place is, and how high.

Each function draws one kind of surface. ``style`` gives what all images of a product share, ``rng`` what differs from
image to image; ``unit`` is the size of the finest detail in px.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.synthetic.fields import axes, fractal, grain, log_uniform, rise, soften, standard, white

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from flawshot.synthetic.fields import Field

__all__ = ["HELD_OUT_SURFACES", "SURFACES", "Surface"]


class Surface(NamedTuple):
    """A surface without a flaw.

    Attributes:
        tone: Brightness around the surface's own color; in shares of it, ``[side, side]``.
        height: Relief in px, ``[side, side]``.
        gloss: How much of the light it mirrors, 0 to 1.
    """

    tone: Field
    height: Field
    gloss: float


def brushed(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Metal brushed in one direction."""
    length, sharp = log_uniform(style, 15, 80), style.uniform(0.03, 0.16)
    lines = grain(rng, side, unit * style.uniform(0.8, 1.8), length) + 0.5 * grain(rng, side, unit * 3, length * 2)
    turned = lines.T if style.random() < 0.4 else lines
    return Surface(sharp * turned, 0.25 * unit * turned * style.random(), style.uniform(0.1, 0.6))


def ground(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Metal ground or milled in arcs."""
    across, along = axes(side, style.uniform(0, math.pi))
    away, pitch = side * style.uniform(0.8, 3), unit * style.uniform(3, 9)
    radius = np.hypot(across + np.float32(away), along)
    arcs = np.sin(radius * np.float32(2 * math.pi / pitch) + grain(rng, side, unit * 6) * np.float32(style.random()))
    fine = grain(rng, side, unit)
    return Surface(
        style.uniform(0.02, 0.08) * arcs + 0.02 * fine,
        style.uniform(0.1, 0.5) * unit * arcs,
        style.uniform(0.2, 0.7),
    )


def cast(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Cast or sintered: irregular grains."""
    cell = unit * log_uniform(style, 2, 12)
    rough = fractal(rng, side, cell, style.uniform(0.5, 0.9))
    return Surface(
        style.uniform(0.01, 0.1) * rough + 0.02 * white(rng, side, side),
        style.uniform(0.2, 1.2) * unit * rough,
        style.uniform(0, 0.3),
    )


def smooth(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Moulded plastic, glass or enamel: next to nothing to see."""
    waves = grain(rng, side, unit * style.uniform(20, 60))
    fine = grain(rng, side, unit * 1.5)
    return Surface(
        style.uniform(0, 0.03) * waves + style.uniform(0, 0.015) * fine,
        style.uniform(0, 0.1) * unit * fine,
        style.uniform(0.2, 0.9),
    )


def cloudy(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Stone, concrete, ceramic: clouds in several sizes."""
    clouds = fractal(rng, side, unit * log_uniform(style, 12, 60), style.uniform(0.4, 0.75))
    return Surface(style.uniform(0.03, 0.16) * clouds, style.uniform(0, 0.4) * unit * clouds, style.uniform(0, 0.2))


def weave(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Plain weave or twill."""
    pitch, shift = unit * style.uniform(3.5, 9), style.choice((0.5, 0.25, 1 / 3))
    along, across = axes(side, style.choice((0.0, style.uniform(-0.3, 0.3), math.pi / 4)) + rng.gauss(0, 0.01))
    wobble = grain(rng, side, pitch * 4) * np.float32(0.06 * pitch)
    u, v = (along + wobble + rng.uniform(0, pitch)) / pitch, (across - wobble + rng.uniform(0, pitch)) / pitch
    over = ((np.floor(u) + np.floor(v) * (2 * shift * 2 if shift != 0.5 else 1)) % 2 < 1).astype(np.float32)
    warp = np.abs(np.sin(np.float32(math.pi) * u))
    weft = np.abs(np.sin(np.float32(math.pi) * v))
    height = over * warp + (1 - over) * weft
    fibres = grain(rng, side, unit * 0.8, 4)
    contrast = style.uniform(0.03, 0.2)
    two = style.uniform(0, 0.2) * (over - 0.5)
    return Surface(contrast * (height - 0.6) + two + 0.03 * fibres, 0.35 * pitch * height * style.uniform(0.3, 1), 0.0)


def knit(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Rows of loops."""
    pitch = unit * style.uniform(5, 11)
    along, across = axes(side, style.choice((0.0, math.pi / 2)) + rng.gauss(0, 0.02))
    wobble = grain(rng, side, pitch * 3) * np.float32(0.1 * pitch)
    u, v = (along + wobble) / pitch, (across + wobble) / pitch
    loops = np.cos(2 * np.float32(math.pi) * (u + 0.25 * np.abs(np.sin(np.float32(math.pi) * v * 2))))
    height = 0.6 * loops + 0.4 * np.cos(4 * np.float32(math.pi) * v)
    return Surface(
        style.uniform(0.04, 0.15) * height + 0.04 * grain(rng, side, unit),
        0.2 * pitch * height * style.uniform(0.3, 1),
        0.0,
    )


def leather(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Cells with creases between them."""
    cell = unit * log_uniform(style, 3, 9)
    folds = np.abs(grain(rng, side, cell)) + 0.5 * np.abs(grain(rng, side, cell / 1.7))
    plates = standard(rise(folds, 0.1, 1.0))
    return Surface(style.uniform(0.02, 0.12) * plates, style.uniform(0.3, 1) * unit * plates, style.uniform(0.05, 0.4))


def wood(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Warped rings and pores along the grain."""
    along, across = axes(side, style.choice((0.0, math.pi / 2)) + style.gauss(0, 0.1))
    pitch = unit * style.uniform(8, 26)
    warp = grain(rng, side, pitch * 3, style.uniform(1, 4)) * np.float32(pitch * style.uniform(0.4, 1.5))
    rings = np.sin((across + warp + rng.uniform(0, 500)) * np.float32(2 * math.pi / pitch))
    rings = rings + 0.5 * np.sin((across + warp) * np.float32(2 * math.pi * 2.7 / pitch))
    pores = rise(grain(rng, side, unit, 14), 1.0, 2.2)
    if abs(float(along[0, -1] - along[0, 0])) < side / 2:
        pores = pores.T
    return Surface(
        style.uniform(0.05, 0.2) * standard(rings) - style.uniform(0.05, 0.3) * pores,
        -0.4 * unit * pores + 0.05 * unit * rings,
        style.uniform(0, 0.4),
    )


def speckled(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Terrazzo, granite, filled plastic: specks in another tone."""
    cell = unit * log_uniform(style, 1.5, 6)
    field = grain(rng, side, cell)
    bright, dark = rise(field, 0.9, 1.2), rise(-field, 1.1, 1.4)
    return Surface(
        style.uniform(-0.4, 0.4) * bright - style.uniform(0, 0.4) * dark + 0.02 * white(rng, side, side),
        0.1 * unit * field,
        style.uniform(0, 0.6),
    )


def tiled(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Plates with joints."""
    pitch, joint = unit * style.uniform(14, 40), unit * style.uniform(0.8, 2.5)
    along, across = axes(side, style.choice((0.0, style.uniform(-0.1, 0.1), math.pi / 4)))
    u, v = (along + rng.uniform(0, pitch)) % pitch, (across + rng.uniform(0, pitch)) % pitch
    gap = np.maximum(
        rise(-np.minimum(u, pitch - u), -joint, -joint / 3), rise(-np.minimum(v, pitch - v), -joint, -joint / 3)
    )
    body = fractal(rng, side, unit * 8, 0.6)
    return Surface(
        style.uniform(-0.5, 0.3) * gap + style.uniform(0.01, 0.06) * body, -unit * gap, style.uniform(0.1, 0.6)
    )


def perforated(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Sheet or grid with rows of holes."""
    pitch = unit * style.uniform(7, 18)
    radius = pitch * style.uniform(0.18, 0.4)
    along, across = axes(side, style.choice((0.0, math.pi / 4, style.uniform(0, 1))) + rng.gauss(0, 0.01))
    u, v = (along + rng.uniform(0, pitch)) % pitch - pitch / 2, (across + rng.uniform(0, pitch)) % pitch - pitch / 2
    away = np.maximum(np.abs(u), np.abs(v)) if style.random() < 0.35 else np.hypot(u, v)
    hole = rise(-away, -radius - 0.5, -radius + 0.8)
    body = grain(rng, side, unit * 2)
    return Surface(
        -style.uniform(0.3, 0.85) * hole + style.uniform(0.01, 0.05) * body, -0.7 * unit * hole, style.uniform(0, 0.5)
    )


def ribbed(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Parallel ribs, threads or stripes."""
    pitch, power = unit * style.uniform(5, 26), style.uniform(0.3, 2)
    along, _ = axes(side, style.uniform(0, math.pi) + rng.gauss(0, 0.02))
    phase = along * np.float32(2 * math.pi / pitch) + np.float32(rng.uniform(0, 6))
    wave = np.sin(phase)
    wave = np.sign(wave) * np.abs(wave) ** np.float32(power)
    return Surface(
        style.uniform(0.02, 0.25) * wave + 0.02 * grain(rng, side, unit * 1.5),
        style.uniform(0, 0.15) * pitch * wave,
        style.uniform(0, 0.5),
    )


def painted(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Lacquer with orange peel, or metallic flakes."""
    peel = grain(rng, side, unit * style.uniform(3, 8))
    flakes = rise(white(rng, side, side), 1.45, 1.7) * style.choice((0.0, 0.2))
    return Surface(flakes + 0.01 * peel, style.uniform(0.1, 0.5) * unit * peel, style.uniform(0.4, 1.0))


def pile(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Carpet, felt, sponge: tufts."""
    cell = unit * style.uniform(1.5, 4)
    tufts = standard(np.maximum(grain(rng, side, cell), grain(rng, side, cell)))
    long = grain(rng, side, unit, 3)
    return Surface(style.uniform(0.06, 0.2) * tufts + 0.06 * long, style.uniform(0.3, 1) * cell * tufts * 0.5, 0.0)


def hammered(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Dimples all over."""
    field = grain(rng, side, unit * style.uniform(4, 12))
    dimples = standard(-(np.abs(field) ** np.float32(1.5)))
    return Surface(0.02 * dimples, style.uniform(0.5, 1.6) * unit * dimples, style.uniform(0.2, 0.8))


def board(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Tracks and pads, as on a circuit board, or panels with printed boxes."""
    tone = 0.02 * grain(rng, side, unit * 2)
    height = np.zeros((side, side), dtype=np.float32)
    pitch = max(4, round(unit * style.uniform(6, 14)))
    level, lift = style.uniform(0.15, 0.6) * style.choice((-1, 1)), style.uniform(0, 0.8) * unit
    layout = style.getrandbits(32)
    start = rng.randrange(4 * pitch)
    for number in range(-4, side // pitch + 4):
        kind = (layout >> (number % 16)) & 3
        place = number * pitch - start % (2 * pitch)
        low, high = max(0, place), min(side, place + max(1, pitch // (2 + kind % 2)))
        if kind != 3 and high > low:
            rows = slice(0, side) if kind else slice(side // 3, side)
            tone[rows, low:high] += np.float32(level)
            height[rows, low:high] += np.float32(lift)
    return Surface(tone, soften(height, 0.6), style.uniform(0.1, 0.6))


def rolled(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Hot-rolled or sanded: streaks and clouds together."""
    streaks = grain(rng, side, unit * style.uniform(1, 3), style.uniform(3, 20))
    clouds = fractal(rng, side, unit * style.uniform(10, 40), 0.6)
    turned = streaks.T if style.random() < 0.5 else streaks
    mixed = style.uniform(0.02, 0.12) * turned + style.uniform(0.02, 0.12) * clouds
    return Surface(mixed, style.uniform(0, 0.4) * unit * turned, style.uniform(0, 0.3))


def foil(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Crumpled film or foil: flat facets, sharp folds."""
    field = grain(rng, side, unit * style.uniform(10, 30))
    folds = np.abs(field) + 0.6 * np.abs(grain(rng, side, unit * style.uniform(6, 16)))
    return Surface(0.01 * field, style.uniform(1, 4) * unit * folds, style.uniform(0.4, 1.0))


def marbled(style: random.Random, rng: random.Random, side: int, unit: float) -> Surface:
    """Veins in a cloudy ground."""
    warp = fractal(rng, side, unit * 30, 0.6)
    veins = rise(-np.abs(fractal(rng, side, unit * style.uniform(18, 50), 0.55)), -0.16, 0.0)
    return Surface(
        style.uniform(0.02, 0.08) * warp + style.uniform(-0.35, 0.35) * veins,
        0.05 * unit * warp,
        style.uniform(0.2, 0.8),
    )


SURFACES: dict[str, Callable[[random.Random, random.Random, int, float], Surface]] = {
    "brushed metal": brushed,
    "ground metal": ground,
    "cast metal": cast,
    "smooth plastic": smooth,
    "stone": cloudy,
    "woven fabric": weave,
    "knitted fabric": knit,
    "leather": leather,
    "wood": wood,
    "speckled plastic": speckled,
    "tile": tiled,
    "perforated sheet": perforated,
    "ribbed surface": ribbed,
    "painted surface": painted,
    "carpet": pile,
    "hammered metal": hammered,
    "circuit board": board,
    "rolled metal": rolled,
    "foil": foil,
    "marble": marbled,
}
# Never trained on: what the embedded encoder was chosen by is measured on these.
HELD_OUT_SURFACES = ("hammered metal", "knitted fabric", "marble")
