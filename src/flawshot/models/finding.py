"""Finding and naming: regions on images that nobody has annotated, each with its category."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.bank.region_features import region_features
from flawshot.base.store.seals import hash_of
from flawshot.labelme.images import ImageError, read_image
from flawshot.labelme.shapes import rasterize
from flawshot.models.heat_pictures import write_heat_picture
from flawshot.models.locator_fitting import known_shares
from flawshot.regions.found import FoundOnImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.locating.locator import HeatMap
    from flawshot.models.model import Model
    from flawshot.models.predicting_images import Find
    from flawshot.models.predictions import Predictions
    from flawshot.regions.found import FoundRegion

__all__ = ["ImageFinding", "find_on_image", "find_request", "finder_of"]


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


def find_on_image(model: Model, image: Image.Image) -> ImageFinding:
    """Find regions on an image and name them.

    Args:
        model: A model with a locator.
        image: The image, upright, RGB.

    Raises:
        FlawshotError: If the model has no locator, or an encoder is not available.
    """
    heat, found = _inspected(model, image)
    regions = [rasterize(each.shape, image.height, image.width) for each in found.regions]
    masks = np.zeros((len(regions), image.height, image.width), dtype=bool)
    for mask, region in zip(masks, regions, strict=True):
        mask[:] = region.full_mask(image.height, image.width)
    features = region_features(model.encoder, model.scheme, image, regions)
    predictions = model.judge(features, [each.shares for each in found.regions])
    return ImageFinding(found.regions, masks, predictions, heat.score, heat)


def finder_of(model: Model, root: Path, heat_maps: Path | None = None) -> Find:
    """What finds regions on the images of a folder, for :func:`flawshot.models.predicting_images.predict_images`.

    Args:
        model: A model with a locator.
        root: The folder.
        heat_maps: Where a picture of each image's heat map is written, if anywhere.
    """

    def find(images: Sequence[str]) -> Iterator[FoundOnImage]:
        for name in images:
            try:
                image = read_image(root / name, name)
            except ImageError as error:
                yield FoundOnImage((), None, error.marked)
                continue
            heat, found = _inspected(model, image)
            if heat_maps is not None:
                write_heat_picture(heat_maps / f"{name}.png", image, heat, found, model.locator.threshold)
            yield found

    return find


def find_request(model: Model) -> str:
    """What identifies a model's locator in a folder of predictions."""
    record = model.record.locator
    return hash_of("locator", None if record is None else record.model_dump(mode="json"))


def _inspected(model: Model, image: Image.Image) -> tuple[HeatMap, FoundOnImage]:
    """The heat map and regions of an image; shares are those of the model's categories."""
    locator = model.locator
    heat, found = locator.inspect(image)
    regions = tuple(
        replace(each, shares=known_shares(each.shares, locator.categories, model.categories)) for each in found.regions
    )
    return heat, found._replace(regions=regions)
