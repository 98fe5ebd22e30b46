"""Finding on a folder of images: what a model's locator gives to the prediction of bare images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.base.store.seals import hash_of
from flawshot.labelme.images import ImageError, read_image
from flawshot.locating.threads import in_threads, pixels_of
from flawshot.models.findings import inspect_image
from flawshot.models.heat_pictures import is_heat_picture, write_heat_picture
from flawshot.regions.found import FoundOnImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from flawshot.models.image_regions import Find
    from flawshot.models.model import Model

__all__ = ["find_request", "finder_of", "missing_pictures"]


def finder_of(model: Model, root: Path, heat_maps: Path | None = None) -> Find:
    """What finds regions on the images of a folder, for :func:`flawshot.models.predicting_images.predict_images`.

    Args:
        model: A model with a locator.
        root: The folder.
        heat_maps: Where a picture of each image's heat map is written, if anywhere.
    """
    locator, request = model.locator, find_request(model)

    def search(name: str) -> FoundOnImage:
        try:
            image = read_image(root / name, name)
        except ImageError as error:
            return FoundOnImage((), None, error.marked)
        heat, found = inspect_image(locator, model.categories, image)
        if heat_maps is not None:
            path = _picture(heat_maps, name)
            write_heat_picture(path, image, heat, found, locator.threshold, request=request)
        return found

    def find(images: Sequence[str]) -> Iterator[FoundOnImage]:
        yield from in_threads(search, images, locator.encoder.device, lambda name: pixels_of(root / name))

    return find


def missing_pictures(model: Model, heat_maps: Path) -> Callable[[Sequence[str]], list[str]]:
    """What tells which of some images have no picture of their heat map, or one of another locator.

    Args:
        model: A model with a locator.
        heat_maps: The folder of the pictures.
    """
    request = find_request(model)
    return lambda images: [name for name in images if not is_heat_picture(_picture(heat_maps, name), request)]


def _picture(heat_maps: Path, image: str) -> Path:
    return heat_maps / f"{image}.png"


def find_request(model: Model) -> str:
    """What identifies a model's locator in a folder of predictions."""
    record = model.record.locator
    return hash_of("locator", None if record is None else record.model_dump(mode="json"))
