"""What all flaws share: where one lies, and the tones that it may have."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from flawshot.synthetic.strokes import blob, cover

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    from flawshot.synthetic.canvas import Canvas
    from flawshot.synthetic.fields import Field

__all__ = ["Flaw", "Spot", "color", "shade_factor", "spot_shape"]


class Spot(NamedTuple):
    """Where a flaw lies.

    Attributes:
        x: Of its middle, px.
        y: Of its middle, px.
        size: Its longer side, px.
        angle: Its direction, radians.
        strength: How plain it is to see, 0 to 1.
    """

    x: float
    y: float
    size: float
    angle: float
    strength: float

    @property
    def center(self) -> tuple[float, float]:
        """Of the flaw: x, y in px."""
        return self.x, self.y


class Flaw(Protocol):
    """Draws one kind of flaw."""

    def __call__(self, style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot) -> Field:
        """Change the canvas.

        Args:
            style: What all instances of a category share.
            rng: What differs from instance to instance.
            canvas: Is changed.
            spot: Where.

        Returns:
            What share of each px the flaw covers, float32 ``[side, side]``.
        """
        ...


def color(style: random.Random, strength: float) -> NDArray[np.float32]:
    """A color: dark, bright or colored; float32 ``[3]``."""
    kind = style.random()
    if kind < 0.5:
        level = 0.35 - 0.33 * strength * style.uniform(0.6, 1)
        made = [level * style.uniform(0.8, 1.2) for _ in range(3)]
    elif kind < 0.85:
        level = 0.6 + 0.38 * strength * style.uniform(0.5, 1)
        made = [level * style.uniform(0.9, 1.05) for _ in range(3)]
    else:
        made = list(colorsys.hsv_to_rgb(style.random(), style.uniform(0.1, 0.75), style.uniform(0.15, 0.9)))
    return np.array(made, dtype=np.float32)


def shade_factor(style: random.Random, strength: float, darker: float = 0.65) -> NDArray[np.float32]:
    """What a color is multiplied by: darker (in this share of cases) or brighter, slightly tinted; float32 ``[3]``."""
    amount = strength * style.uniform(0.4, 1)
    level = 1 - 0.75 * amount if style.random() < darker else 1 + 0.9 * amount
    warmth = style.uniform(-0.25, 0.35) * amount * (style.random() < 0.6)
    return np.array((level * (1 + warmth / 2), level, level * (1 - warmth)), dtype=np.float32)


def spot_shape(style: random.Random, rng: random.Random, canvas: Canvas, spot: Spot, ragged: float) -> Field:
    """The cover of a closed shape at a spot; its elongation is the category's, its outline the instance's."""
    ratio = style.uniform(0.35, 1.0) * rng.uniform(0.8, 1.2)
    return cover(canvas.side, shapes=[blob(rng, spot.center, spot.size, min(1.0, ratio), ragged, spot.angle)])
