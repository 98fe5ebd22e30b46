"""Import of tables with one row per box, whatever their columns are called."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.column_names import FIELDS, Columns, named_columns
from flawshot.formats.image_finder import ImageFinder, inside_paths
from flawshot.formats.image_records import FilePlace, ImageRecord, Part, add_record, file_place, known_split
from flawshot.formats.importing import Imported, LabelmeFolder, begin_import
from flawshot.formats.paths import product_folder
from flawshot.formats.plain_shapes import box, number, snapped
from flawshot.formats.table_rows import TABLES, read_table
from flawshot.formats.texts import plain_text
from flawshot.formats.via_regions import LabelChoice, region_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flawshot.base.delimited import Row
    from flawshot.formats.plain_shapes import Size

__all__ = ["import_csv"]

OPTIONS = {
    "source": Option("A table (.csv, .tsv or .txt) with one row per box, or a folder of such tables."),
    "columns": Option(
        f"Which columns are which, such as image=file,label=type, of {', '.join(FIELDS)}; or, for a table without a "
        "header, their names in order.",
        "MAP",
    ),
    "shares": Option("Coordinates are shares of the image's size, from 0 to 1, and not px."),
    "product": Option("The product's name; by default the first folder's, or else the source's.", "NAME"),
}
CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIDES = ("x", "y", "width", "height")
NUMBERS = re.compile(r"[^\s,;\[\]()]+")
FLAGS = ("difficult", "occluded", "truncated")
BITS = {"1": True, "true": True, "0": False, "false": False}


@dataclass
class _Image:
    """The rows of one image."""

    where: str
    size: tuple[object, object] = (None, None)
    split: str = ""
    product: str = ""
    parts: list[Part] = field(default_factory=list)
    rows: int = 0


def import_csv(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    columns: str | None = None,
    shares: bool = False,
    product: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write a table's boxes as Labelme files: ``<product>/[<split>/]<the image's path>.json``.

    Usual names of columns are recognized, such as ``filename``, ``class``, ``xmin``, ``ymin``, ``xmax``, ``ymax``, or
    ``x``, ``y``, ``w``, ``h``, or one column ``bbox`` with ``[x, y, width, height]``. Boxes are half-open, in px: they
    end before the pixel of ``xmax`` and ``ymax``. Beside these, ``width`` and ``height`` are the image's size. An image
    with rows, but without any box, shows no flaw. Tables of the VGG Image Annotator are read like its JSON.

    Args:
        source: The table, or a folder of tables.
        out: The output folder.
        images: The folder to search for images first.
        columns: Which columns are which, ``image=file,label=type``, or the names of the columns in order, if the table
            has no header.
        shares: Whether coordinates are shares of the image's size.
        product: The product's name; by default that of the table's first folder which is no split, or of the source.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done, and the total in the tables read so far.

    Raises:
        FlawshotError: If there is no usable table, or a file at ``out`` exists with different content.
    """
    chosen = named_columns(columns)
    root, names, folder = begin_import(source, TABLES, out, images=images, overwrite=overwrite)
    finder = ImageFinder(
        ([] if images is None else [images]) + ([root] if source.is_dir() else []), folder.problems, beyond=out
    )
    done = known = 0
    for name in names:
        try:
            place = file_place(PurePosixPath(name), root, images, product)
            found = _found(root / name, name, chosen, finder.names(place.homes), folder.problems, shares=shares)
        except FlawshotError as error:
            if not source.is_dir():
                raise
            message = error.marked.removeprefix(f"{root / name}: ")
            folder.problems.append(Problem(name, "not-a-table", message))
            continue
        known += len(found)
        usable = 0
        for record in _records(found, place, name, folder, needs_size=shares):
            usable += add_record(folder, finder, record)
            done += 1
            if progress is not None:
                progress(done, known)
        if not usable and any(each.parts for each in found.values()):
            folder.useless.append(name)
    return folder.done(source, lacks="table")


def _found(
    path: Path, name: str, chosen: Columns, names: set[str], problems: list[Problem], *, shares: bool
) -> dict[str, _Image]:
    """A table's images, by their path in it."""
    try:
        rows = read_table(path, name, chosen.fit, chosen.needs, names=names, problems=problems, header=chosen.order)
    except FlawshotError as error:
        if "encodedpixels" in error.marked.lower():
            raise FlawshotError(f"{path}: is a table of run lengths; read it with flawshot import rle") from error
        raise
    if not rows:
        raise FlawshotError(f"{path}: has no row")
    header = list(rows[0].values)
    if "region_shape_attributes" in header:
        return _via_images(rows, name, chosen.chosen.get("label"), problems)
    of = chosen.of(header)
    told = {each: column for each, column in of.items() if column}
    if unused := [column for column in header if column and column not in told.values()]:
        message = f"the columns {', '.join(unused)[:120]} are not used"
        problems.append(Problem(name, "columns", message, "warning"))
    boxes = [(row, _coordinates(row, told)) for row in rows]
    if not shares and _seem_shares(coordinates for _, coordinates in boxes):
        raise FlawshotError(
            f"{path}: no coordinate is above 1, so they seem to be shares of the image's size, and not px; if so, add "
            f"{argument('shares', True)}"
        )
    gathered = _Gathered(name, told, problems)
    for row, coordinates in boxes:
        gathered.add(row, partial(_shapes, coordinates, told, shares=shares) if coordinates else None)
    return gathered.images


def _coordinates(row: Row, of: dict[str, str]) -> dict[str, str]:
    """The texts of a row's coordinates, by field; empty if it has no box."""
    values = row.values
    if "bbox" in of:
        texts = NUMBERS.findall(values[of["bbox"]])
        if len(texts) == len(SIDES):
            return dict(zip(SIDES, texts, strict=True))
        return {"bbox": values[of["bbox"]]} if texts else {}
    fields = CORNERS if "xmax" in of else SIDES
    found = {each: values[of[each]] for each in fields}
    return found if any(found.values()) else {}


def _seem_shares(boxes: Iterable[dict[str, str]]) -> bool:
    texts = [text for coordinates in boxes for text in coordinates.values()]
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return False
    return bool(values) and max(values) <= 1 and any(value % 1 for value in values)


class _Gathered:
    """The images of a table, from its rows.

    Attributes:
        images: By their path in the table.
    """

    def __init__(self, name: str, of: dict[str, str], problems: list[Problem]) -> None:
        self.images: dict[str, _Image] = {}
        self._name, self._of, self._problems = name, of, problems

    def add(self, row: Row, shapes: Callable[[Size], list[dict[str, Any]]] | None) -> None:
        """Add a row, with its box if it has one."""
        where = f"{self._name}: line {row.number}"
        values = {each: row.values[column] for each, column in self._of.items()}
        if not values["image"]:
            message = f"column {self._of['image']} names no image; it is left out"
            self._problems.append(Problem(where, "image", message))
            return
        image = self.images.setdefault(values["image"], _Image(where))
        image.rows += 1
        size = values.get("image_height"), values.get("image_width")
        image.size = self._same(image, "size", image.size, size if any(size) else (None, None), where)
        image.split = self._same(image, "split", image.split, values.get("split", ""), where)
        image.product = self._same(image, "product", image.product, values.get("product", ""), where)
        if shapes is not None:
            image.parts.append(self._part(values, shapes, where))

    def _same(self, image: _Image, what: str, known: Any, own: Any, where: str) -> Any:
        """What is known of an image, and what a row states."""
        unknown = ("", (None, None))
        if own in unknown or known == own:
            return known
        if known in unknown:
            return own
        message = f"states another {what} of its image than {image.where}; that one is used"
        self._problems.append(Problem(where, what, message, "warning"))
        return known

    def _part(self, values: dict[str, str], shapes: Callable[[Size], list[dict[str, Any]]], where: str) -> Part:
        label = plain_text(values["label"])
        if not label:
            self._problems.append(Problem(where, "label", "has a box, but no label", "warning"))
        told = {each: values.get(each, "").lower() for each in FLAGS}
        more = {}
        if values.get("score"):
            try:
                more["score"] = number(values["score"], self._of["score"])
            except FlawshotError as error:
                self._problems.append(Problem(where, "score", error.marked, "warning"))
        flags = {each: BITS[text] for each, text in told.items() if text in BITS}
        return Part(where, label, shapes, flags, more)


def _shapes(coordinates: dict[str, str], of: dict[str, str], size: Size, *, shares: bool) -> list[dict[str, Any]]:
    if "bbox" in coordinates:
        raise FlawshotError(f"{of['bbox']} must be [x, y, width, height], not {coordinates['bbox'][:60]!r}")
    values = [number(text, of.get(each) or of["bbox"]) for each, text in coordinates.items()]
    if shares:
        height, width = (side or 0 for side in size)
        values = [value * side for value, side in zip(values, (width, height) * 2, strict=True)]
    a, b, c, d = values
    corners = (a, b, c, d) if "xmax" in coordinates else (a, b, a + c, b + d)
    return [box(*(map(snapped, corners) if shares else corners))]


def _via_images(rows: Sequence[Row], name: str, label: str | None, problems: list[Problem]) -> dict[str, _Image]:
    """The images of a table of the VGG Image Annotator, whose cells contain JSON."""
    cells: list[tuple[str, str, Any, Any]] = []
    found: dict[str, _Image] = {}
    for row in rows:
        where, named = f"{name}: line {row.number}", row.values.get("filename") or row.values.get("#filename", "")
        if not named:
            problems.append(Problem(where, "image", "filename names no image; it is left out"))
            continue
        found.setdefault(named, _Image(where)).rows += 1
        try:
            shape, told = (json.loads(row.values.get(f"region_{each}attributes") or "{}") for each in ("shape_", ""))
        except (ValueError, RecursionError):
            problems.append(Problem(where, "annotation", "its attributes are not JSON; it is left out"))
            continue
        if shape:
            cells.append((named, where, shape, told))
    choice = LabelChoice.guessed([told for *_, told in cells], label, {}, argument("columns", "label=NAME"))
    for named, where, shape, told in cells:
        found[named].parts.append(region_part(shape, told, choice, where))
    return found


def _records(
    found: dict[str, _Image], place: FilePlace, name: str, folder: LabelmeFolder, *, needs_size: bool
) -> Iterable[ImageRecord]:
    paths = inside_paths(found, "image")
    for named, image in found.items():
        path = paths[named]
        try:
            if isinstance(path, FlawshotError):
                raise path
            product = product_folder(image.product) if image.product else place.product
        except FlawshotError as error:
            folder.problems.append(
                Problem(
                    image.where, "image", f"{error.marked}; its {counted(image.rows, 'row is', 'rows are')} left out"
                )
            )
            continue
        split = known_split(image.split, image.where, folder.problems) or place.split
        yield ImageRecord(
            where=f"{name}: image {path}",
            named=named,
            place=path,
            product=product,
            split=split,
            parts=image.parts,
            homes=place.homes,
            size=image.size,
            needs_size=needs_size,
        )
