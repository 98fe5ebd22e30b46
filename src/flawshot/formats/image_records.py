"""Annotated images of third-party formats, written as Labelme files: one record per image, one part per region."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.formats.image_finder import spellings
from flawshot.formats.paths import file_path, product_folder, split_and_rest
from flawshot.formats.plain_shapes import Size, fitted
from flawshot.labelme.embedded import image_size
from flawshot.labelme.labelme_file import MAX_COORDINATE, LabelmeFile, parse_labelme_document
from flawshot.labelme.layout import SPLIT_FOLDERS, is_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path, PurePosixPath

    from flawshot.formats.image_finder import ImageFinder
    from flawshot.formats.importing import LabelmeFolder

__all__ = [
    "FilePlace",
    "ImageRecord",
    "Part",
    "add_files",
    "add_record",
    "file_place",
    "known_split",
    "root_place",
    "side_px",
]

# Folders that indicate neither product nor split.
PLAIN_FOLDERS = frozenset({"annotations", "images", "labels", "data"})


class FilePlace(NamedTuple):
    """The destination of an annotation file's images, and where they are expected.

    Attributes:
        product: The product's name.
        split: The split, or None.
        homes: Folders in which its images are expected.
    """

    product: str
    split: str | None
    homes: tuple[Path, ...]


@dataclass(frozen=True)
class Part:
    """One annotated region.

    Attributes:
        where: Its name for problems.
        label: Its category.
        make: Returns its shapes, without labels, for the image's size; raises a :class:`FlawshotError` if it has none.
            Each shape is an instance, unless they have a ``group_id``.
        flags: Labelme's flags.
        more: Further keys of the Labelme shape, such as ``description`` and ``group_id``.
    """

    where: str
    label: str
    make: Callable[[Size], Iterable[dict[str, Any]]]
    flags: dict[str, bool] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageRecord:
    """One annotated image.

    Attributes:
        where: Its name for problems.
        named: The image's path in the annotation.
        place: Its path below the folders of product and split; the Labelme file has the same, with ``.json``.
        product: The product's name.
        split: The split, or None.
        parts: Its regions; none if it shows no flaw.
        homes: Folders in which the image is expected.
        size: The height and width that the annotation states, in px.
        flags: Labelme's flags of the image.
        needs_size: Whether its shapes cannot be computed without the image's size.
    """

    where: str
    named: str
    place: PurePosixPath
    product: str
    split: str | None
    parts: Sequence[Part]
    homes: Sequence[Path] = ()
    size: tuple[object, object] = (None, None)
    flags: dict[str, bool] = field(default_factory=dict)
    needs_size: bool = False


def file_place(name: PurePosixPath, root: Path, images: Path | None, product: str | None) -> FilePlace:
    """The destination of an annotation file's images, from its folders and the words in its name.

    Args:
        name: Its path below the folder that the user named.
        root: That folder.
        images: The folder with the images, if the user named one.
        product: The product's name, if the user gave one; otherwise its first folder, or the name of ``root``.

    Raises:
        FlawshotError: If the product's name is no folder's name.
    """
    split, folders = split_and_rest(name.parts[:-1])
    folders = [each for each in folders if each.lower() not in PLAIN_FOLDERS]
    words = [word for word in re.split(r"[_.\s-]+", name.stem) if word.lower() in SPLIT_FOLDERS]
    if split is None and words:
        split = words[0]
    beside = (root / name).parent
    above = [beside, beside.parent] if beside.name.lower() in PLAIN_FOLDERS else [beside]
    below = ["", "images", *words, *(f"images/{word}" for word in words)]
    places = [home / inner for home in above for inner in below]
    name_of_root, split_of_root = root_place(root)
    chosen = product or (folders[0] if folders else name_of_root)
    return FilePlace(
        product_folder(chosen), split or split_of_root, tuple(places if images is None else [images, *places])
    )


def root_place(root: Path) -> tuple[str, str | None]:
    """The product and the split that the folder which the user named stands for, by its name or that above it."""
    whole = root.resolve()
    return (whole.parent.name, whole.name) if is_split(whole.name) else (whole.name, None)


def known_split(text: str, where: str, problems: list[Problem]) -> str | None:
    """A split from a column or an attribute; None, with a warning, if it is none of train, test and val.

    Args:
        text: Its name; empty, or ``default``, for no split.
        where: The annotation's name for problems.
        problems: The warning is added here.
    """
    if text.lower() in SPLIT_FOLDERS:
        return SPLIT_FOLDERS[text.lower()]
    if text and text.lower() != "default":
        message = f"its split {text[:60]!r} is none of train, test and val; it gets none"
        problems.append(Problem(where, "split", message, "warning"))
    return None


def side_px(value: object) -> int | None:
    """A side of an image in px; None if it cannot be one.

    >>> side_px("40"), side_px(40.0), side_px("-1"), side_px(None)
    (40, 40, None, None)
    """
    try:
        side = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        return None
    return int(side) if 0 < side <= MAX_COORDINATE and side.is_integer() else None


def add_files(
    folder: LabelmeFolder,
    finder: ImageFinder,
    source: Path,
    names: Sequence[str],
    *,
    kind: str,
    read: Callable[[Path, str], tuple[int, Iterator[ImageRecord]]],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the images of annotation files that describe several each.

    A file that cannot be read is left out, with a problem, unless the user named it itself.

    Args:
        folder: The output folder.
        finder: Finds the images.
        source: What the user named: a file, or a folder of them.
        names: The files' paths below ``source``, or below the folder that it is in.
        kind: The kind of problem that an unreadable file is.
        read: Given a file's path and its name, returns the number of its images, and their annotations.
        progress: Called with the number of images done, and the total in the files read so far.

    Raises:
        FlawshotError: If ``source`` is a file that cannot be read.
    """
    root = source if source.is_dir() else source.parent
    done = known = 0
    for name in names:
        try:
            count, records = read(root / name, name)
        except FlawshotError as error:
            message = error.marked.removeprefix(f"{root / name}: ")
            if not source.is_dir():
                raise FlawshotError(f"{root / name}: {message}") from error
            folder.problems.append(Problem(name, kind, message))
            continue
        known += count
        usable = regions = 0
        for record in records:
            usable += add_record(folder, finder, record)
            regions += len(record.parts)
            done += 1
            if progress is not None:
                progress(done, known)
        if regions and not usable:
            folder.useless.append(name)


def add_record(folder: LabelmeFolder, finder: ImageFinder, record: ImageRecord) -> int:
    """Write an image's annotation, and copy its image.

    A region that cannot be used, lies outside the image, or repeats an earlier one is left out, with a problem.

    Args:
        folder: The output folder.
        finder: Finds the image.
        record: The annotation.

    Returns:
        The number of its shapes.
    """
    where, problems = record.where, folder.problems
    original = finder.find(record.named, record.homes, where)
    try:
        image = file_path(record.place.name, "image").name if original is None else original.name
        size = _size(record, original, problems)
        if record.needs_size and None in size:
            lost = "was not found" if original is None else "cannot be read"
            message = (
                f"the image {image} {lost}, and its shapes depend on its size; it is left out; say where it is with "
                f"{argument('images')}"
            )
            problems.append(Problem(where, "missing-image", message))
            return 0
        document = {
            "imagePath": image,
            "imageHeight": size[0],
            "imageWidth": size[1],
            "flags": record.flags,
            "shapes": _shapes(record.parts, size, problems),
        }
        file, found = parse_labelme_document(document, where)
        problems += found
    except FlawshotError as error:
        problems.append(Problem(where, "image", error.marked.removeprefix(f"{where}: ")))
        return 0
    if record.parts and not file.shapes:
        # As a file without shapes, it would pass for an image without a flaw.
        message = "none of its regions can be used; the image is left out"
        problems.append(Problem(where, "no-region", message))
        return 0
    split, inner = record.split, list(record.place.parts[:-1])
    if split and inner and inner[0].lower() == split.lower():
        inner = inner[1:]
    # The prefix of an upload is no part of the image's name.
    uploaded = original is not None and original.name in set(spellings(record.place.name))
    stem = original.stem if original is not None and uploaded else record.place.stem
    folder.add([record.product, split, *inner], stem, file, original, where)
    return len(file.shapes)


def _size(record: ImageRecord, original: Path | None, problems: list[Problem]) -> Size:
    height, width = map(side_px, record.size)
    if height and width:
        return height, width
    if any(value not in {None, ""} for value in record.size if isinstance(value, str | int | float | None)):
        shown = " x ".join(repr(value)[:20] for value in record.size[::-1] if isinstance(value, str | float | None))
        message = f"states an image size that is none{f' ({shown})' if shown else ''}; the image's own is used"
        problems.append(Problem(record.where, "image-size", message, "warning"))
    return image_size(LabelmeFile(record.place.name, ()), original) or (None, None)


def _shapes(parts: Iterable[Part], size: Size, problems: list[Problem]) -> list[dict[str, Any]]:
    shapes: list[dict[str, Any]] = []
    seen: dict[tuple[str, str, str], str] = {}
    for part in parts:
        try:
            made = list(part.make(size))
        except FlawshotError as error:
            problems.append(Problem(part.where, "annotation", f"{error.marked}; it is left out"))
            continue
        for shape in made:
            inside = fitted(shape, size, part.where, problems)
            if inside is None:
                continue
            key = (part.label, inside["shape_type"], f"{inside['points']}{inside.get('mask')}")
            if (first := seen.setdefault(key, part.where)) != part.where:
                message = f"repeats {first}; it is left out"
                problems.append(Problem(part.where, "duplicate", message))
                continue
            shapes.append(inside | {"label": part.label, "flags": part.flags} | part.more)
    return shapes
