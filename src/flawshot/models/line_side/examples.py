"""Crops on which an exported graph is tested: the model's own examples, or drawn noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.catalog import Catalog
from flawshot.encoders.preprocessing import interpolation_of
from flawshot.labelme.data_folder import image_source
from flawshot.labelme.images import ImageError
from flawshot.regions.crop_rows import crop_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flawshot.models.model import Model

__all__ = ["CropBatch", "drawn_noise", "images_root", "support_crops"]

# Crops in memory at a time.
CROPS_AT_ONCE = 32


class CropBatch(NamedTuple):
    """Crops of some regions.

    Attributes:
        rows: The regions' rows in the support bank; for drawn ones, their numbers.
        images: uint8 ``[regions, views, side, side, 3]``.
        masks: uint8 ``[regions, views, side, side]``.
    """

    rows: tuple[int, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]


def images_root(model: Model, data: Path | None) -> Path | None:
    """The folder with the images of all of a model's examples.

    Args:
        model: The model.
        data: The folder that a user named; if None, the folders that the model's history names are tried.

    Returns:
        The folder; None if no folder is named and none of those tried has all images.

    Raises:
        FlawshotError: If the named folder lacks an image.
    """
    sources = dict.fromkeys(Path(step.images or step.source) for step in model.record.history)
    for root in [data] if data is not None else sources:
        missing = _missing(model, root)
        if missing is None:
            return root
        if data is not None:
            raise FlawshotError(
                f"{argument('data', data)}: {missing}; name the folder of the images that the model was fitted to"
            )
    return None


def _missing(model: Model, root: Path) -> str | None:
    """Why a folder does not have the images of all examples; None if it has."""
    if not root.is_dir():
        return "is not a folder"
    columns = (model.support.catalog.column(name) for name in ("image", "annotation"))
    for image, annotation in dict.fromkeys(zip(*columns, strict=True)):
        try:
            image_source(root, image, annotation)
        except ImageError as error:
            return error.marked
    return None


def support_crops(model: Model, root: Path, rows: Sequence[int]) -> Iterator[CropBatch]:
    """Crops of some of a model's examples, in order.

    Raises:
        FlawshotError: If an image cannot be used.
    """
    encoder, views = model.encoder, len(model.scheme.views)
    catalog = Catalog(model.support.catalog.table, root)
    waiting: list[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]] = []
    chunks = crop_rows(
        catalog, rows, model.scheme, encoder.side, workers=2, interpolation=interpolation_of(encoder.record)
    )
    for chunk in chunks:
        if not chunk.crops:
            raise FlawshotError(f"{root}: {chunk.reason}")
        for row, crops in zip(chunk.rows, chunk.crops, strict=True):
            waiting.append((row, crops.images, crops.masks))
            if len(waiting) * views >= CROPS_AT_ONCE:
                yield _batch(waiting)
                waiting = []
    if waiting:
        yield _batch(waiting)


def drawn_noise(views: int, side: int, regions: int) -> Iterator[CropBatch]:
    """Crops of noise at several scales, with an ellipse as the mask; the same at each call.

    Args:
        views: Number of views of a region.
        side: Side of a crop, px.
        regions: Number of regions; the mask of the first is empty.
    """
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side] / side
    waiting: list[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]] = []
    for number in range(regions):
        images = np.empty((views, side, side, 3), dtype=np.uint8)
        masks = np.zeros((views, side, side), dtype=np.uint8)
        for view in range(views):
            grain = int(rng.integers(1, 17))
            cells = -(-side // grain)
            coarse = rng.normal(128, 48, size=(cells, cells, 3)).repeat(grain, axis=0).repeat(grain, axis=1)
            (top, left), (high, wide) = rng.uniform(0.2, 0.8, size=2), rng.uniform(0.05, 0.3, size=2)
            blob = ((rows - top) / high) ** 2 + ((columns - left) / wide) ** 2 < 1
            coarse = coarse[:side, :side] + blob[..., None] * rng.normal(0, 60, size=3)
            images[view] = coarse.clip(0, 255)
            if number:
                masks[view] = blob * 255
        waiting.append((number, images, masks))
        if len(waiting) * views >= CROPS_AT_ONCE or number == regions - 1:
            yield _batch(waiting)
            waiting = []


def _batch(waiting: Sequence[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]) -> CropBatch:
    rows, images, masks = zip(*waiting, strict=True)
    return CropBatch(rows, np.stack(images), np.stack(masks))
