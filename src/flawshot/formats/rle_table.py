"""Import of tables of run lengths, as Kaggle's competitions have them: Severstal's steel, for one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.column_names import ALIASES, find_column
from flawshot.formats.components import component_shape, large_components
from flawshot.formats.image_finder import ImageFinder, inside_paths
from flawshot.formats.image_records import ImageRecord, Part, add_record, file_place
from flawshot.formats.importing import Imported, begin_import
from flawshot.formats.plain_shapes import mask, shape_document
from flawshot.formats.run_lengths import decode_region
from flawshot.formats.table_rows import TABLES, read_table
from flawshot.formats.texts import plain_text
from flawshot.labelme.images import check_pixels
from flawshot.labelme.shapes import Region, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flawshot.base.delimited import Row
    from flawshot.formats.image_records import FilePlace
    from flawshot.formats.plain_shapes import Size

__all__ = ["import_rle", "kaggle_region"]

OPTIONS = {
    "source": Option("A table such as Severstal's train.csv, or a folder of such tables."),
    "label": Option("The category of all regions, if the table has no column for it.", "NAME"),
    "by_rows": Option("Pixels are counted along rows, and not down columns."),
    "whole_rows": Option("Each row of the table is one instance, even if its pixels are apart."),
    "min_area": Option("Leave out instances with fewer px.", "PX", 1),
    "product": Option("The product's name; by default the first folder's, or else the source's.", "NAME"),
}
RUNS = ("encodedpixels", "encodedpixel", "rle", "rlemask", "maskrle", "runlengths", "segmentation", "annotation")
# An image and its class in one column, such as 0002cc93b.jpg_1.
BOTH = ("imageidclassid", "imageclassid", "imageidclass", "imagelabel", "imageclass")
IMAGE_AND_CLASS = re.compile(r"(.+)_([^_]+)", re.DOTALL)
NEEDS = "columns for the image, the class and the runs, such as ImageId, ClassId, EncodedPixels"
# How tables say that an image shows nothing.
NOTHING = frozenset({"", "-1", "nan", "none", "null"})
MOST_INSTANCES = 10_000


@dataclass
class _Image:
    """The rows of one image."""

    where: str
    size: tuple[object, object] = (None, None)
    parts: list[Part] = field(default_factory=list)


def import_rle(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    label: str | None = None,
    by_rows: bool = False,
    whole_rows: bool = False,
    min_area: int = 1,
    product: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write a table of run lengths as Labelme files: ``<product>/[<split>/]<the image's path>.json``.

    A row has an image, a class, and pairs of a first pixel and a number of pixels, counted from 1 down the columns of
    the image. Image and class may be in one column, ``0002cc93b.jpg_1``. An instance is an 8-connected component of a
    row's pixels, and has exactly these pixels. An image whose rows are all empty shows no flaw.

    Args:
        source: The table, or a folder of tables.
        out: The output folder.
        images: The folder to search for images first.
        label: The category of all regions, if the table has no class.
        by_rows: Whether pixels are counted along rows.
        whole_rows: Whether each row is one instance, even if its pixels are apart.
        min_area: Instances with fewer px are left out, and counted.
        product: The product's name; by default that of the table's first folder which is no split, or of the source.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done, and the total in the tables read so far.

    Raises:
        FlawshotError: If there is no usable table, or a file at ``out`` exists with different content.
    """
    if min_area < 1:
        raise FlawshotError(f"{argument('min_area', min_area)}: must be at least 1")
    root, names, folder = begin_import(source, TABLES, out, images=images, overwrite=overwrite)
    roots = ([] if images is None else [images]) + ([root] if source.is_dir() else [])
    finder = ImageFinder(roots, folder.problems, beyond=out)
    regions = _Regions(by_rows=by_rows, whole_rows=whole_rows, min_area=min_area)
    done = known = 0
    for name in names:
        try:
            place = file_place(PurePosixPath(name), root, images, product)
            found = _found(
                root / name, name, label, finder.names(place.homes), problems=folder.problems, regions=regions
            )
        except FlawshotError as error:
            if not source.is_dir():
                raise
            message = error.marked.removeprefix(f"{root / name}: ")
            folder.problems.append(Problem(name, "not-a-table", message))
            continue
        known += len(found)
        usable = 0
        for record in _records(found, place, name, folder.problems):
            usable += add_record(folder, finder, record)
            done += 1
            if progress is not None:
                progress(done, known)
        if not usable and any(each.parts for each in found.values()):
            folder.useless.append(name)
    if regions.small:
        count = counted(regions.small, "region has", "regions have")
        message = f"{count} fewer px than {argument('min_area', min_area)}; left out"
        folder.problems.append(Problem(str(source), "small-region", message, "warning"))
    return folder.done(source, lacks="table of run lengths")


def _fits(header: Sequence[str]) -> bool:
    has_image = any(find_column(header, names) for names in (BOTH, ALIASES["image"]))
    return has_image and find_column(header, RUNS) is not None


def _found(
    path: Path, name: str, label: str | None, names: set[str], *, problems: list[Problem], regions: _Regions
) -> dict[str, _Image]:
    """A table's images, by their path in it."""
    rows = read_table(path, name, _fits, NEEDS, names=names, problems=problems)
    header = list(rows[0].values) if rows else []
    runs, both = find_column(header, RUNS) or "", find_column(header, BOTH)
    image, category = find_column(header, ALIASES["image"]), find_column(header, ALIASES["label"])
    if not both and not category and label is None:
        raise FlawshotError(f"{path}: has no column with the class; name the category with {argument('label')}")
    sides = [find_column(header, [f"image{side}", f"img{side}", side]) for side in ("height", "width")]
    used = {runs, both, *([] if both else [image, category]), *sides}
    if unused := [column for column in header if column and column not in used]:
        message = f"the columns {', '.join(unused)[:120]} are not used"
        problems.append(Problem(name, "columns", message, "warning"))
    found: dict[str, _Image] = {}
    for row in rows:
        where = f"{name}: line {row.number}"
        try:
            named, text = _image_and_class(row, both, image, category)
        except FlawshotError as error:
            problems.append(Problem(where, "image", f"{error.marked}; it is left out"))
            continue
        size = tuple(row.values[side] if side else None for side in sides)
        own = found.setdefault(named, _Image(where, (size[0], size[1])))
        told = row.values[runs]
        if told.lower() not in NOTHING:
            own.parts.append(Part(where, plain_text(label or text), partial(regions.shapes, told)))
    return found


def _image_and_class(row: Row, both: str | None, image: str | None, category: str | None) -> tuple[str, str]:
    if both:
        parts = IMAGE_AND_CLASS.fullmatch(row.values[both])
        if parts is None:
            raise FlawshotError(f"{both} must be an image and a class, joined by _, not {row.values[both][:60]!r}")
        return parts[1], parts[2]
    named = row.values[image or ""]
    if not named:
        raise FlawshotError(f"{image} names no image")
    return named, row.values[category] if category else ""


@dataclass
class _Regions:
    """How runs become shapes.

    Attributes:
        small: The number of regions that were left out for their area.
    """

    by_rows: bool
    whole_rows: bool
    min_area: int
    small: int = 0

    def shapes(self, runs: str, size: Size) -> list[dict[str, Any]]:
        height, width = (side or 0 for side in size)
        region = kaggle_region(runs, height, width, by_rows=self.by_rows)
        if self.whole_rows:
            if region.area < self.min_area:
                self.small += 1
                return []
            return [mask(region)]
        parts, small = large_components(region.pixels, self.min_area, MOST_INSTANCES)
        self.small += small
        moved = (Region(part.x0 + region.x0, part.y0 + region.y0, part.pixels) for part in parts)
        return [shape_document(component_shape(0, "", part)) for part in moved]


def kaggle_region(runs: str, height: int, width: int, *, by_rows: bool = False) -> Region:
    """The pixels of run lengths: pairs of a first pixel, counted from 1, and a number of pixels.

    Args:
        runs: The numbers, separated by blanks.
        height: The image's height in px.
        width: The image's width in px.
        by_rows: Whether pixels are counted along rows, and not down columns.

    Raises:
        FlawshotError: If they are no such pairs, overlap, or leave the image.

    >>> kaggle_region("2 2 5 1", 3, 2).pixels.tolist()
    [[True, True], [True, False]]
    """
    check_pixels(width, height, "size")
    texts = runs.split()
    # Numbers beyond any image are not even converted.
    if len(texts) % 2 or not all(text.isascii() and text.isdigit() and len(text) < 13 for text in texts):
        raise FlawshotError("its run lengths must be pairs of whole numbers: first pixel, number of pixels")
    counts: list[int] = []
    end = 0
    for start, length in sorted(zip(map(int, texts[::2]), map(int, texts[1::2]), strict=True)):
        if start < 1 or length < 1:
            raise FlawshotError(f"its run {start} {length} must begin at 1 or later and have at least 1 px")
        if start - 1 < end:
            raise FlawshotError(f"its run {start} {length} overlaps another one")
        counts += [start - 1 - end, length]
        end = start - 1 + length
    if end > height * width:
        raise FlawshotError(f"its runs end at pixel {end}, but its image of {width} x {height} px has {height * width}")
    size = [width, height] if by_rows else [height, width]
    region, _, _ = decode_region({"size": size, "counts": [*counts, height * width - end]})
    return trim(region.pixels.T, region.y0, region.x0) if by_rows else region


def _records(found: dict[str, _Image], place: FilePlace, name: str, problems: list[Problem]) -> Iterable[ImageRecord]:
    paths = inside_paths(found, "image")
    for named, image in found.items():
        path = paths[named]
        if isinstance(path, FlawshotError):
            problems.append(Problem(image.where, "image", f"{path.marked}; it is left out"))
            continue
        yield ImageRecord(
            where=f"{name}: image {path}",
            named=named,
            place=path,
            product=place.product,
            split=place.split,
            parts=image.parts,
            homes=place.homes,
            size=image.size,
            needs_size=True,
        )
