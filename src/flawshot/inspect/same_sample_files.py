"""Groups of same-sample images as files: a table for ``--group``, and contact sheets as evidence."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps

from flawshot.base.errors import FlawshotError, printable
from flawshot.base.store.files import write_bytes
from flawshot.base.wording import counted
from flawshot.inspect.same_sample import load_image
from flawshot.labelme.images import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.inspect.same_sample import SameSamples, SampleGroup

__all__ = ["evidence_sheet", "write_same_samples"]

CELL = 200
CAPTION = 44
LETTERS = 28  # of a name, per line
ACROSS = 6
MOST_SHOWN = 60
GROUP_NAME = re.compile(r"sample\d{4,}", re.ASCII)


def write_same_samples(found: SameSamples, catalog: Catalog, out: Path, *, overwrite: bool = False) -> None:
    """Write ``groups.csv`` (image, group) and ``evidence/<group>.png`` for each group of several images.

    With ``overwrite``, sheets of an earlier table whose groups no longer exist are removed.

    Args:
        found: The groups.
        catalog: The data set that they belong to, with its root available.
        out: The folder to write to.
        overwrite: Whether files there with other content may be replaced.

    Raises:
        FlawshotError: If a file there has other content already.
    """
    table = io.StringIO(newline="")
    # Readers end a row at a carriage return in a name, but the writer does not quote it.
    returns = any("\r" in image for group in found.groups for image in group.images)
    writer = csv.writer(table, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL)
    writer.writerow(["image", "group"])
    writer.writerows(sorted((image, group.group) for group in found.groups for image in group.images))
    write_bytes(out / "groups.csv", table.getvalue().encode(), overwrite=overwrite)
    if overwrite:
        _remove_stale(out / "evidence", found)
    annotations = dict(zip(catalog.column("image"), catalog.column("annotation"), strict=True))
    for group in found.groups:
        if len(group.images) > 1:
            buffer = io.BytesIO()
            evidence_sheet(group, catalog, annotations).save(buffer, format="PNG")
            write_bytes(out / "evidence" / f"{group.group}.png", buffer.getvalue(), overwrite=overwrite)


def _remove_stale(folder: Path, found: SameSamples) -> None:
    """Remove sheets that are named like groups, except those of current groups."""
    shown = {f"{group.group}.png" for group in found.groups if len(group.images) > 1}
    for path in folder.glob("sample*.png"):
        if path.name not in shown and GROUP_NAME.fullmatch(path.stem):
            try:
                path.unlink()
            except OSError as error:
                raise FlawshotError(f"{path}: cannot be removed ({error.strerror or error})") from error


def evidence_sheet(group: SampleGroup, catalog: Catalog, annotations: dict[str, str]) -> Image.Image:
    """A group's images side by side, each with the end of its name and its highest correlation with another.

    The contrast of each image is stretched, so that images that differ only in exposure look the same. For a group of
    more than sixty images the first sixty are shown, together with the total.

    Args:
        group: A group of several images.
        catalog: The data set that they belong to.
        annotations: Each image's annotation file, for images that are embedded there.
    """
    shown = list(zip(group.images, group.correlations, strict=True))[:MOST_SHOWN]
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    sheet = Image.new("RGB", (across * CELL, CAPTION // 2 + down * (CELL + CAPTION)), (30, 30, 30))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    more = f", the first {MOST_SHOWN} shown" if len(group.images) > MOST_SHOWN else ""
    title = f"{group.group}: {counted(len(group.images), 'image')}{more}"
    draw.text((4, 4), title, fill=(255, 255, 255), font=font)
    for number, (image, correlation) in enumerate(shown):
        row, column = divmod(number, across)
        left, top = column * CELL, CAPTION // 2 + row * (CELL + CAPTION)
        try:
            picture = load_image(catalog, image, annotations[image])
        except ImageError:  # removed in the meantime; the sheet shows the others
            continue
        picture.thumbnail((CELL - 4, CELL - 4))
        sheet.paste(ImageOps.autocontrast(picture), (left + 2, top + 2))
        name = _letters(image)
        lines = f"{name[-2 * LETTERS : -LETTERS]}\n{name[-LETTERS:]}\ncorrelation {correlation:.2f}"
        draw.multiline_text((left + 2, top + CELL - 2), lines, fill=(255, 255, 255), font=font, spacing=1)
    return sheet


def _letters(name: str) -> str:
    """A name in the letters that Pillow's default font has."""
    return printable(name).encode("ascii", "backslashreplace").decode("ascii")
