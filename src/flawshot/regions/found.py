"""Regions that a finder, and not a person, put on an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flawshot.base.errors import Problem
    from flawshot.labelme.shapes import Shape

__all__ = ["FoundOnImage", "FoundRegion"]


@dataclass(frozen=True, slots=True, eq=False)
class FoundRegion:
    """A region that was found on an image.

    Attributes:
        shape: Its outline, in px of the upright image; its label means nothing.
        score: How unlike a good part it is, in the finder's own units, or the detector's confidence; None if the finder
            gives none. Greater is more certain.
        shares: The probability of each of the model's categories by the finder alone, float32 ``[categories]`` in label
            order; None if it does not tell categories apart.
    """

    shape: Shape
    score: float | None = None
    shares: NDArray[np.float32] | None = None


class FoundOnImage(NamedTuple):
    """What a finder found on one image.

    Attributes:
        regions: The regions, the most certain first; empty if it found none.
        score: How likely the image shows a flaw, in the finder's units; None if it gives none.
        reason: Why the image cannot be used, in one line; empty if it can.
        problems: Regions that the finder left out, and oddities.
    """

    regions: tuple[FoundRegion, ...]
    score: float | None = None
    reason: str = ""
    problems: tuple[Problem, ...] = ()
