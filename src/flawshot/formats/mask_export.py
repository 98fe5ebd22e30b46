"""Export of a catalog's instances as pixel masks, named as in MVTec AD."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from flawshot.base.errors import FlawshotError
from flawshot.base.names import folder_name
from flawshot.base.store.files import write_with
from flawshot.formats import Option
from flawshot.labelme.shapes import join_regions

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.catalog import Catalog

__all__ = ["export_masks"]

OPTIONS = {"out": Option("Where the masks go.", "OUT")}

Mask = tuple[str, str, str]  # product, category, annotation file


def export_masks(catalog: Catalog, out: Path, *, overwrite: bool = False) -> int:
    """Write ``<product>/ground_truth/<category>/<name>_mask.png``, 255 inside defects and 0 elsewhere.

    An image with defects of several categories gets one mask per category. If two masks of a product would have the
    same path, such as those of ``train/000.json`` and ``test/000.json``, all masks of the product are put below the
    folders of their annotations: ``<product>/ground_truth/<split>/…/<category>/<name>_mask.png``.

    Args:
        catalog: The instances.
        out: The output folder.
        overwrite: Whether existing files with different content may be replaced.

    Returns:
        The number of masks written.

    Raises:
        FlawshotError: If two masks would still have the same path, before any is written; or if a file at ``out``
            exists with different content.
    """
    places = _places(catalog)
    for annotation, group in groupby(catalog, key=lambda instance: instance.annotation):
        instances = list(group)
        for category in dict.fromkeys(instance.category for instance in instances):
            own = [instance for instance in instances if instance.category == category]
            region = join_regions(instance.region() for instance in own)
            mask = region.full_mask(own[0].image_height, own[0].image_width)
            picture = Image.fromarray(mask.astype(np.uint8) * 255)
            path = out / places[own[0].product, category, annotation]
            write_with(path, partial(picture.save, format="PNG"), overwrite=overwrite)
    return len(places)


def _places(catalog: Catalog) -> dict[Mask, PurePosixPath]:
    """The path of each mask; all are different."""
    columns = (catalog.column(name) for name in ("product", "category", "annotation"))
    masks = list(dict.fromkeys(zip(*columns, strict=True)))
    taken: dict[str, Mask] = {}
    crowded = {mask[0] for mask in masks if taken.setdefault(_key(_place(mask)), mask) != mask}
    places = {mask: _place(mask, below=mask[0] in crowded) for mask in masks}
    taken = {}
    for mask, place in places.items():
        other = taken.setdefault(_key(place), mask)
        if other != mask:
            both = " and ".join(f"{annotation} ({category!r})" for _, category, annotation in (other, mask))
            raise FlawshotError(f"{place}: would be the mask of both {both}; rename one of them")
    return places


def _key(place: PurePosixPath) -> str:
    return str(place).casefold()  # some file systems treat different names as the same


def _place(mask: Mask, *, below: bool = False) -> PurePosixPath:
    product, category, annotation = mask
    path = PurePosixPath(annotation)
    folders = list(path.parts[:-1])
    if folders[:1] == [product]:
        folders = folders[1:]
    if folders[-1:] == [folder_name(category)]:  # as written by imports
        folders.pop()
    root = PurePosixPath(folder_name(product), "ground_truth", *(folders if below else []))
    return root / folder_name(category) / f"{path.stem}_mask.png"
