"""A catalog's instances become pixel masks, named as MVTec AD names them."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from flawshot.errors import FlawshotError
from flawshot.files import write_with
from flawshot.formats.mask_layouts import folder_name
from flawshot.shapes import join_regions

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.catalog import Catalog

__all__ = ["export_masks"]


def export_masks(catalog: Catalog, out: Path, *, overwrite: bool = False) -> int:
    """Write ``<product>/ground_truth/<category>/<name>_mask.png``, 255 where a defect is and 0 elsewhere.

    An image with defects of several categories gets a mask for each.

    Args:
        catalog: The instances.
        out: Where the masks go.
        overwrite: Whether files there with other content may be replaced.

    Returns:
        How many masks were written.

    Raises:
        FlawshotError: If two masks would have one name, or a file at ``out`` has other content already.
    """
    taken: dict[Path, str] = {}
    for annotation, group in groupby(catalog, key=lambda instance: instance.annotation):
        instances = list(group)
        name = f"{PurePosixPath(annotation).stem}_mask.png"
        for category in dict.fromkeys(instance.category for instance in instances):
            own = [instance for instance in instances if instance.category == category]
            path = out / folder_name(own[0].product) / "ground_truth" / folder_name(category) / name
            if path in taken:
                raise FlawshotError(f"{path}: is the mask of {taken[path]} and of {annotation}; rename one of them")
            taken[path] = annotation
            region = join_regions(instance.region() for instance in own)
            mask = region.full_mask(own[0].image_height, own[0].image_width)
            picture = Image.fromarray(mask.astype(np.uint8) * 255)
            write_with(path, partial(picture.save, format="PNG"), overwrite=overwrite)
    return len(taken)
