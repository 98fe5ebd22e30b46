"""The canvas: what a surface is made of at each place, and how light and a camera make a picture of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flawshot.synthetic.fields import axes, grain, lerp, log_uniform, rise, soften, white

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    from flawshot.synthetic.fields import Field

    Colors = NDArray[np.floating[Any]]

__all__ = ["Canvas", "photograph"]


@dataclass(slots=True, eq=False)
class Canvas:
    """A surface that can still be changed.

    Attributes:
        color: What it reflects, float32 ``[side, side, 3]``, 0 to 1.
        height: Relief in px, ``[side, side]``.
        gloss: How much it mirrors, ``[side, side]``, 0 to 1.
        solid: Where the object is, ``[side, side]``: 1, and 0 where one looks past it.
        behind: Color of what is behind it, float32 ``[3]``.
        unit: The size of the finest detail, px.
    """

    color: Colors
    height: Field
    gloss: Field
    solid: Field
    behind: NDArray[np.float32]
    unit: float

    @property
    def side(self) -> int:
        """Of the square, px."""
        return len(self.height)

    def paint(self, share: Field, color: NDArray[np.float32]) -> None:
        """Cover with a color where share is 1."""
        self.color = lerp(self.color, color, share[..., None])

    def tint(self, share: Field, factor: NDArray[np.float32] | float) -> None:
        """Multiply the color where share is 1; its texture stays visible."""
        self.color = self.color * (1 + (np.asarray(factor, dtype=np.float32) - 1) * share[..., None])

    def flatten(self, share: Field, radius: float) -> None:
        """Blur color and relief where share is 1."""
        for channel in range(3):
            self.color[..., channel] = lerp(self.color[..., channel], soften(self.color[..., channel], radius), share)
        self.height = lerp(self.height, soften(self.height, radius), share)

    def shift(self, rows: Field, columns: Field) -> None:
        """Take every place's material from so many px further down and right."""
        line = np.arange(self.side)
        y = np.clip(np.rint(line[:, None] + rows).astype(np.intp), 0, self.side - 1)
        x = np.clip(np.rint(line[None, :] + columns).astype(np.intp), 0, self.side - 1)
        self.color, self.height, self.gloss = self.color[y, x], self.height[y, x], self.gloss[y, x]


def photograph(canvas: Canvas, style: random.Random, rng: random.Random) -> NDArray[np.uint8]:
    """Light the canvas and take its picture.

    Args:
        canvas: What to take.
        style: What a product's camera and light share: direction, sharpness, noise, gray or color.
        rng: What differs from picture to picture: exposure, unevenness, small turns of the light.

    Returns:
        uint8 ``[side, side, 3]``.
    """
    side = canvas.side
    direction = style.uniform(0, 2 * math.pi) + rng.gauss(0, 0.15)
    slant, relief = style.uniform(0.3, 1.3), log_uniform(style, 0.15, 0.9)
    down, across = np.gradient(canvas.height)
    scale = np.float32(relief)
    bare = 1 / np.sqrt(1 + (scale * down) ** 2 + (scale * across) ** 2)
    towards = (math.cos(direction) * across + math.sin(direction) * down) * scale
    facing = (math.cos(slant) + math.sin(slant) * towards) * bare / np.float32(math.cos(slant))
    ambient = style.uniform(0.15, 0.6)
    shade = ambient + (1 - ambient) * np.clip(facing, 0, 3)
    mirror = style.uniform(3, 25)
    highlight = (
        canvas.gloss
        * np.clip(1 - np.abs(towards - np.float32(style.uniform(0.1, 0.6))) * np.float32(mirror / 8), 0, 1) ** 3
    )
    light = shade * _unevenness(style, rng, side)
    picture = canvas.color * light[..., None] + (highlight * np.float32(style.uniform(0.05, 0.5)))[..., None]
    picture = lerp(np.broadcast_to(canvas.behind, picture.shape), picture, canvas.solid[..., None])
    return _exposed(picture, canvas.solid, style, rng, canvas.unit)


def _unevenness(style: random.Random, rng: random.Random, side: int) -> Field:
    """Brightness of the light, around 1: a slope, a spot, clouds."""
    along, _ = axes(side, style.uniform(0, 2 * math.pi) + rng.gauss(0, 0.2))
    light = 1 + along / np.float32(side) * np.float32(style.uniform(0, 0.5) * rng.uniform(0.4, 1.2))
    spot = style.uniform(0, 0.4)
    if spot > 0.2:
        x, y = axes(side, 0.0)
        away = np.hypot(x - np.float32(rng.gauss(0, 0.15) * side), y - np.float32(rng.gauss(0, 0.15) * side))
        light = light * (1 - np.float32(spot) * rise(away / np.float32(side), 0.15, 0.85))
    if style.random() < 0.3:
        light = light * (1 + np.float32(style.uniform(0, 0.06)) * grain(rng, side, side / 3))
    return light


def _exposed(
    picture: NDArray[np.float32], solid: Field, style: random.Random, rng: random.Random, unit: float
) -> NDArray[np.uint8]:
    gray, blur = style.random() < 0.5, style.uniform(0, 0.9) * unit * (style.random() < 0.8)
    # A camera is set so that its product is neither black nor white; single pictures stray from that.
    level = log_uniform(style, 0.18, 0.65) * math.exp(rng.gauss(0, style.uniform(0.02, 0.25)))
    exposure = level / max(0.02, float(np.median(picture[solid >= solid.max() / 2])))
    gamma = math.exp(style.uniform(-0.25, 0.25) + rng.gauss(0, 0.03))
    coarse, noise = style.random() < 0.4, log_uniform(style, 0.002, 0.035)
    side = len(picture)
    if gray:
        weights = np.array((0.299, 0.587, 0.114), dtype=np.float32)
        picture = (picture @ weights)[..., None]
    channels = [soften(picture[..., channel], blur) for channel in range(picture.shape[-1])]
    speck = white(rng, side, side)
    if coarse:
        speck = soften(speck, 0.6) * np.float32(1.8)
    made = []
    for channel in channels:
        value = np.clip(channel * np.float32(exposure), 0, 1) ** np.float32(gamma)
        made.append(np.clip(value + speck * np.float32(noise), 0, 1))
    stacked = np.stack(made * (3 // len(made)), axis=-1)
    picture_: NDArray[np.uint8] = np.rint(stacked * 255).astype(np.uint8)
    return picture_
