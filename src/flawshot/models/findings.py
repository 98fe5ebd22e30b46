"""What a model finds on an image: regions, heat, and the names of the regions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from flawshot.evaluation.joining import known_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.locating.locator import HeatMap, Locator
    from flawshot.models.predictions import Predictions
    from flawshot.regions.found import FoundOnImage, FoundRegion

__all__ = ["ImageFinding", "inspect_image"]


class ImageFinding(NamedTuple):
    """What a model found on one image.

    Attributes:
        regions: The regions that were found, the hottest first.
        masks: The pixels of each of them, bool ``[regions, height, width]`` of the upright image.
        predictions: Their categories, in the same order.
        score: How likely the image shows a flaw: the mean heat of its hottest hundredth, in standard deviations of good
            cells. Regions are found where the heat exceeds the locator's threshold.
        heat: The heat map.
    """

    regions: tuple[FoundRegion, ...]
    masks: NDArray[np.bool_]
    predictions: Predictions
    score: float
    heat: HeatMap


def inspect_image(locator: Locator, categories: Sequence[str], image: Image.Image) -> tuple[HeatMap, FoundOnImage]:
    """The heat map and regions of an image, with shares of a model's categories.

    Args:
        locator: The model's locator.
        categories: The model's categories, in label order.
        image: The image, upright, RGB.
    """
    heat, found = locator.inspect(image)
    regions = tuple(
        replace(each, shares=known_shares(each.shares, locator.categories, categories)) for each in found.regions
    )
    return heat, found._replace(regions=regions)
