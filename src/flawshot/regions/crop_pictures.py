"""Pictures of crops: contact sheets of an encoder's input, or plain crops and masks as files."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from flawshot.base.names import folder_name
from flawshot.base.store.files import write_bytes
from flawshot.catalog.pictures import outlined
from flawshot.labelme.images import cropped
from flawshot.regions.crop_rows import crop_rows, decode_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.regions.crops import Crops
    from flawshot.regions.views import ViewScheme

__all__ = ["contact_sheet", "file_name", "write_plain", "write_sheets"]

GAP = 4
ACROSS = 9


def file_name(instance: Instance) -> str:
    """A file name made from an instance's id; it is unique and cannot lead out of its folder."""
    # Every special character is written as its code, and so is the escape character itself.
    plain = re.sub(r"[^A-Za-z0-9.-]|^\.", lambda match: "_" if match[0] == "/" else f"_{ord(match[0]):x}_", instance.id)
    return folder_name(plain)


def write_sheets(
    catalog: Catalog,
    scheme: ViewScheme,
    out: Path,
    side: int,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, list[str]]:
    """Write ``<product>/<category>/<id>.png``, one contact sheet per instance.

    Args:
        catalog: The data set; its root must be available.
        scheme: The views.
        out: The output folder.
        side: A view's side on the sheet, px.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of instances done and the total.

    Returns:
        The number of sheets written, and the reasons why others were not.

    Raises:
        FlawshotError: If a file there exists with different content.
    """
    written, unusable = 0, []
    for chunk in crop_rows(catalog, range(len(catalog)), scheme, side, workers=2):
        if not chunk.crops:
            unusable.append(chunk.reason)
            continue
        for row, crops in zip(chunk.rows, chunk.crops, strict=True):
            _save(contact_sheet(crops), _place(out, catalog[row], ""), overwrite=overwrite)
            written += 1
            if progress is not None:
                progress(written, len(catalog))
    return written, unusable


def contact_sheet(crops: Crops) -> Image.Image:
    """All views of an instance, nine per row, with the mask's outline drawn over them."""
    count, side = len(crops.images), crops.images.shape[1]
    across = min(ACROSS, count)
    down = -(-count // across)
    sheet = Image.new("RGB", (across * (side + GAP) + GAP, down * (side + GAP) + GAP), (30, 30, 30))
    for number in range(count):
        row, column = divmod(number, across)
        view = outlined(crops.images[number], crops.masks[number])
        sheet.paste(view, (GAP + column * (side + GAP), GAP + row * (side + GAP)))
    return sheet


def write_plain(
    catalog: Catalog, out: Path, *, overwrite: bool = False, progress: Callable[[int, int], None] | None = None
) -> tuple[int, list[str]]:
    """Write ``<product>/<category>/<id>.png`` and ``<id>_mask.png``, each the instance's box, and ``crops.csv``.

    Args:
        catalog: The data set; its root must be available.
        out: The output folder.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of instances done and the total.

    Returns:
        The number of instances written, and the reasons why others were not.

    Raises:
        FlawshotError: If a file there exists with different content.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["id", "product", "split", "category", "x0", "y0", "x1", "y1", "crop", "mask"])
    written, unusable = 0, []
    for instance, image, reason in decode_rows(catalog, range(len(catalog))):
        if image is None:
            unusable.append(reason)
            continue
        place, mask_place = _place(out, instance, ""), _place(out, instance, "_mask")
        _save(cropped(image, instance.box), place, overwrite=overwrite)
        _save(Image.fromarray(instance.region().pixels.astype(np.uint8) * 255), mask_place, overwrite=overwrite)
        names = (path.relative_to(out).as_posix() for path in (place, mask_place))
        writer.writerow([instance.id, instance.product, instance.split or "", instance.category, *instance.box, *names])
        written += 1
        if progress is not None:
            progress(written, len(catalog))
    write_bytes(out / "crops.csv", table.getvalue().encode(), overwrite=overwrite)
    return written, unusable


def _place(out: Path, instance: Instance, suffix: str) -> Path:
    return out / folder_name(instance.product) / folder_name(instance.category) / f"{file_name(instance)}{suffix}.png"


def _save(image: Image.Image, path: Path, *, overwrite: bool) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue(), overwrite=overwrite)
