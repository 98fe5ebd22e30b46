"""Import of MVTec-FS as published: ``CONFIG/<product>_config1/{train,valid}.csv``, one row per instance.

MVTec-FS is the data set of MVREC (AAAI 2025, arXiv 2412.16897), annotated on the images of MVTec AD.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv

from flawshot.base.delimited import delimited_texts
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import load_json
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.image_finder import ImageFinder
from flawshot.formats.importing import Imported, LabelmeFolder, check_images
from flawshot.formats.paths import file_path
from flawshot.formats.texts import NamedText, guess_told, likeliest, plain_text
from flawshot.formats.tree_files import LINK_OUT, lies_within
from flawshot.labelme.labelme_file import LabelmeFile, parse_labelme_document

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

__all__ = ["find_config", "import_mvtec_fs", "read_mvtec_fs"]

COLUMNS = ("img_rel_path", "imageHeight", "imageWidth", "label", "points")
CONFIG_SUFFIX = "_config1"
OPTIONS = {"source": Option("The folder that holds MVTec-FS's CONFIG.")}
TABLES = {"train.csv": "training", "valid.csv": "testing"}


def find_config(source: Path) -> Path:
    """The ``CONFIG`` folder of MVTec-FS: the given folder, or the one in it.

    Raises:
        FlawshotError: If neither is one.
    """
    for folder in (source / "CONFIG", source):
        if any(folder.glob(f"*{CONFIG_SUFFIX}")):
            return folder
    raise FlawshotError(
        f"{source}: is not MVTec-FS: no CONFIG/<product>{CONFIG_SUFFIX} folder; name the folder that holds CONFIG"
    )


def read_mvtec_fs(
    source: Path, names: Collection[str] = (), problems: list[Problem] | None = None
) -> Iterator[tuple[str, LabelmeFile]]:
    """Read every image's annotation.

    Args:
        source: The folder that contains ``CONFIG``, or ``CONFIG`` itself.
        names: Names of the available images, used to detect the encoding of a table that is not UTF-8.
        problems: A warning is added here for each table whose encoding is a guess.

    Yields:
        ``<product>/{training,testing}/<folder>/<name>.json`` and the annotation, its shapes in row order, products
        and their two tables in order. A shape's label is its row's, never its folder's.

    Raises:
        FlawshotError: With file and row, if a table differs from the published format, or is a link out of the source.
    """
    for folder in sorted(find_config(source).glob(f"*{CONFIG_SUFFIX}")):
        product = folder.name.removesuffix(CONFIG_SUFFIX)
        if not product:
            raise FlawshotError(f"{folder}: names no product; it must be <product>{CONFIG_SUFFIX}")
        taken: dict[PurePosixPath, str] = {}
        for name, split in TABLES.items():
            if not lies_within(folder / name, source):
                raise FlawshotError(f"{folder / name}: {LINK_OUT[1]}")
            images: dict[str, list[dict[str, str]]] = {}
            for row in _rows(folder / name, names, [] if problems is None else problems):
                images.setdefault(row["img_rel_path"], []).append(row)
            for image, rows in images.items():
                place = _place(image or "", split, rows[0]["where"])
                annotation = _annotation(place.name, rows)
                path = place.with_suffix(".json")
                if path in taken:
                    raise FlawshotError(f"{rows[0]['where']}: {image} and {taken[path]} would be the same file {path}")
                taken[path] = image
                yield f"{product}/{path}", annotation


def _rows(path: Path, names: Collection[str], problems: list[Problem]) -> Iterator[dict[str, str]]:
    texts_read = delimited_texts(path, [column.casefold() for column in COLUMNS])
    text = texts_read[likeliest([NamedText(each.text, each.encoding) for each in texts_read], names)]
    problems += guess_told(text.encoding, f"{path.parent.name}/{path.name}")
    texts = csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()), include_columns=list(COLUMNS))
    apart = csv.ParseOptions(delimiter=text.separator, newlines_in_values=True)
    try:
        table = csv.read_csv(pa.BufferReader(text.text.encode()), parse_options=apart, convert_options=texts)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise FlawshotError(f"{path}: cannot be read as an MVTec-FS table ({one_line(error)})") from error
    for number, row in enumerate(table.to_pylist(), start=2):
        yield row | {"where": f"{path}: row {number}"}


def _place(image: str, split: str, where: str) -> PurePosixPath:
    """An image's path in its product's folder, checked to be valid on any system."""
    try:
        path = file_path(image, "img_rel_path")
    except FlawshotError:
        path = PurePosixPath()
    if len(path.parts) < 2 or path.parts[0] != split:
        raise FlawshotError(f"{where}: img_rel_path {image[:200]!r} must be {split}/<folder>/<name>")
    return path


def _annotation(image: str, rows: list[dict[str, str]]) -> LabelmeFile:
    for row in rows:
        if not row["label"] or not plain_text(row["label"]):
            raise FlawshotError(f"{row['where']}: label is empty")
        if any(row[column] != rows[0][column] for column in ("imageHeight", "imageWidth")):
            raise FlawshotError(f"{row['where']}: imageHeight and imageWidth are not those of the image's first row")
    document = {
        "imagePath": image,
        "imageHeight": _number(rows[0], "imageHeight"),
        "imageWidth": _number(rows[0], "imageWidth"),
        "shapes": [
            {"label": plain_text(row["label"]), "shape_type": "polygon", "points": _points(row)} for row in rows
        ],
    }
    file, problems = parse_labelme_document(document, rows[0]["where"])
    if problems:
        first = problems[0]
        raise FlawshotError(f"{rows[first.shape or 0]['where']}: {first.message}")
    return file


def _number(row: dict[str, str], column: str) -> float:
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise FlawshotError(f"{row['where']}: {column} must be a number, not {row[column]!r}")
    return value


def _points(row: dict[str, str]) -> Any:
    try:
        return load_json((row["points"] or "").encode())
    except FlawshotError as error:
        raise FlawshotError(f"{row['where']}: points is not a list of [x, y] ({error.marked})") from error


def import_mvtec_fs(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write MVTec-FS as a folder of Labelme files.

    If ``source`` contains the images (at ``image/<product>/…`` or ``<product>/…``, or else found by name), they are
    copied beside their files; links out of it are not followed. The tables are read twice, so that nothing is written
    if a row is invalid.

    Args:
        source: The folder that contains ``CONFIG``.
        out: The output folder; files are ``<product>/{training,testing}/<folder>/<name>.json``.
        images: The folder to search for images first.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of annotation files written and the total.

    Raises:
        FlawshotError: If the source is not MVTec-FS, or a file at ``out`` exists with different content.
    """
    check_images(images)
    folder = LabelmeFolder(out, overwrite=overwrite)
    named = [] if images is None else [images]
    homes = [home / below for home in (*named, source) for below in ("image", "")]
    finder = ImageFinder([*named, source], folder.problems, beyond=out)
    names = finder.names(homes)
    total = sum(1 for _ in read_mvtec_fs(source, names, folder.problems))
    for number, (path, annotation) in enumerate(read_mvtec_fs(source, names), start=1):
        place = PurePosixPath(path)
        original = finder.find(str(place.with_name(annotation.image_path)), homes, path)
        name = annotation.image_path if original is None else original.name
        folder.add(place.parts[:-1], place.stem, replace(annotation, image_path=name), original, path)
        if progress is not None:
            progress(number, total)
    return folder.done(
        source, summary=f"{out}: {counted(folder.files, 'Labelme file')}, {counted(folder.images, 'image')}"
    )
