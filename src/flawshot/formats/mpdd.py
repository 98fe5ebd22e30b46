"""Import of MPDD's detailed annotations: one rectangle per box.

MPDD is the Metal Parts Defect Detection data set (Jezek and others, ICUMT 2021); the annotations were made later from
its masks: ``{class: [{class, anomaly, image, num_anomalies, size_anomalies, coordinates, description}, …], …}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.names import folder_name
from flawshot.base.wording import counted, plural
from flawshot.formats import Option
from flawshot.formats.detailed_records import DetailedFile, find_detailed, read_detailed, salvage_detailed
from flawshot.formats.image_finder import ImageFinder
from flawshot.formats.importing import Imported, LabelmeFolder, check_images, count_instances
from flawshot.formats.paths import box_corners, file_path, first_file, is_file_name, product_folder, split_and_rest
from flawshot.formats.texts import plain_text
from flawshot.labelme.embedded import image_size
from flawshot.labelme.labelme_file import LabelmeFile
from flawshot.labelme.layout import SPLIT_FOLDERS, not_a_split
from flawshot.labelme.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path, PurePosixPath

    from flawshot.formats.detailed_records import DetailedBox, DetailedRecord

__all__ = ["contradictions", "import_mpdd"]

OPTIONS = {
    "source": Option("The .json file of detailed annotations, or the folder that holds it."),
    "salvage": Option("Keep the intact records of a damaged file."),
}


def import_mpdd(
    source: Path,
    out: Path,
    *,
    salvage: bool = False,
    images: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write detailed annotations as Labelme files: ``<product>/[<split>/]<category>/<name>.json``.

    Each box becomes a rectangle that covers exactly the box's pixels, with the record's description. The record's
    number and size are kept in the file as ``num_anomalies`` and ``size_anomalies``, right or wrong; see
    :func:`contradictions`. Images are searched for at ``<images>/<product>/<split>/<category>/<name>``, which
    determines the split, at ``<images>/<product>/<category>/<name>`` and at ``<images>/<product>/<name>``, then by name
    anywhere below. An image is copied beside its file, and gives the image size, which is null otherwise. Places with
    lost records are among the problems, and the counts are ``records``, their ``boxes``, and ``lost`` places.

    Args:
        source: The file, or the folder that contains it.
        out: The output folder.
        salvage: Whether to keep the intact records of a damaged file.
        images: The folder to search for images; the source's folder if None.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of records done and the total.

    Raises:
        FlawshotError: With line and column, if the file is damaged and ``salvage`` is false; if it has another format;
            if ``images`` is not a folder; or if a file at ``out`` exists with different content.
    """
    path = find_detailed(source)
    check_images(images)
    read = salvage_detailed(path) if salvage else DetailedFile(read_detailed(path), [])
    folder = LabelmeFolder(out, overwrite=overwrite)
    folder.problems += [
        Problem(f"{source}: lines {first} to {last}", "lost", "the records that begin here are damaged and lost")
        for first, last in read.lost
    ]
    home = path.parent if images is None else images
    finder = ImageFinder([home] if images is not None or source.is_dir() else [], folder.problems, beyond=out)
    for number, record in enumerate(read.records, start=1):
        if progress is not None:
            progress(number, len(read.records))
        where = f"{path.name}: record {number}"
        try:
            product, image = product_folder(record.product, "class"), file_path(record.image, "image")
        except FlawshotError as error:
            folder.problems.append(Problem(where, "file-name", error.marked))
            continue
        split, inner = split_and_rest(image.parts[:-1])
        plain = plain_text(record.anomaly)
        below = not_a_split(folder_name(plain))
        if len(inner) == 1 and inner[0] in {record.anomaly, plain, folder_name(plain), below}:
            inner = []
        original, found_split = _find(home, product, _folders(record.anomaly), image, folder.problems)
        if original is None:
            wanted = "/".join(filter(None, (product, split, folder_name(plain), *image.parts)))
            original = finder.find(wanted, (), where)
            found_split = None if original is None else split_and_rest(original.relative_to(home).parts[:-1])[0]
        split = split or found_split
        file = _annotation(record, image.name if original is None else original.name, original)
        folder.problems += contradictions(where, file)
        folder.add([product, split, below, *inner], image.stem, file, original, where)
    boxes, lost = sum(len(record.coordinates) for record in read.records), len(read.lost)
    whole = counted(len(read.records), "intact record" if salvage else "record")
    of = counted(boxes, "box", "boxes")
    places = f", {counted(lost, 'damaged place')}" if salvage else ""
    return folder.done(
        path,
        counts={"records": len(read.records), "boxes": boxes, "lost": lost},
        summary=f"{source}: {whole} with {of}{places}\n{folder.summary()}",
    )


def _folders(label: str) -> list[str]:
    """Possible names of the folder with a category's images."""
    plain = plain_text(label)
    return [name for name in dict.fromkeys((label, plain, folder_name(plain))) if is_file_name(name)]


def _find(
    images: Path, product: str, categories: Sequence[str], image: PurePosixPath, problems: list[Problem]
) -> tuple[Path | None, str | None]:
    """The image's file, and the split whose folder contains it."""
    for place, split in _places(images, product, categories, image):
        if first_file([place], [images], problems) is not None:
            return place, split
    return None, None


def _places(
    images: Path, product: str, categories: Sequence[str], image: PurePosixPath
) -> Iterator[tuple[Path, str | None]]:
    """Possible paths of an image, and the split that each implies."""
    for root in (images / product, images):
        if len(image.parts) > 1:
            yield root / image, None
        if root != images or images.name == product:
            for split in _split_folders(root):
                yield from ((root / split / category / image, split) for category in categories)
            yield from ((root / category / image, None) for category in categories)
            yield root / image, None


def _split_folders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.name.lower() in SPLIT_FOLDERS)
    except OSError:
        return []


def _annotation(record: DetailedRecord, name: str, original: Path | None) -> LabelmeFile:
    shapes = tuple(
        Shape(index, record.anomaly, "rectangle", np.array(_corners(box)), description=record.description)
        for index, box in enumerate(record.coordinates)
    )
    other: dict[str, object] = {"num_anomalies": record.num_anomalies, "size_anomalies": record.size_anomalies}
    if not shapes:
        other["description"] = record.description
    size = image_size(LabelmeFile(name, ()), original)
    height, width = size or (None, None)
    return LabelmeFile(name, shapes, image_height=height, image_width=width, other=other)


def _corners(box: DetailedBox) -> list[list[float]]:
    return box_corners(box.min_col, box.min_row, box.max_col, box.max_row)


def contradictions(path: str, file: LabelmeFile) -> list[Problem]:
    """Check an imported file's stated counts against its shapes.

    Args:
        path: The file's name for problems.
        file: Any Labelme file; those without ``num_anomalies`` and ``size_anomalies`` have no contradictions.

    Returns:
        At most two warnings of the kind ``counts``: if the number is not that of the instances, and if the size is more
        than the rectangles cover.
    """
    problems = []
    number, size = file.other.get("num_anomalies"), file.other.get("size_anomalies")
    instances = count_instances(file)
    if _whole_number(number) and number != instances:
        message = f"num_anomalies says {number}, but there {plural(instances, 'is', 'are')} {instances}"
        problems.append(Problem(path, "counts", f"{message}; check the image, and fix one of the two", "warning"))
    if _whole_number(size) and file.shapes and all(shape.shape_type == "rectangle" for shape in file.shapes):
        room = int(sum(np.prod(np.abs(np.diff(np.floor(shape.points), axis=0)) + 1) for shape in file.shapes))
        if isinstance(size, int) and size > room:
            message = f"size_anomalies says {size} px, but the boxes cover only {room} px; fix one of the two"
            problems.append(Problem(path, "counts", message, "warning"))
    return problems


def _whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
