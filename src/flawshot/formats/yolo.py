"""Import of YOLO's data sets: boxes, polygons and oriented boxes, one text file per image."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import file_bytes
from flawshot.base.wording import counted, plural, such_as
from flawshot.formats import Option
from flawshot.formats.image_finder import ImageFinder
from flawshot.formats.image_records import ImageRecord, Part, add_record, root_place
from flawshot.formats.importing import Imported, LabelmeFolder, check_images
from flawshot.formats.paths import product_folder, split_and_rest
from flawshot.formats.plain_shapes import box, points_shape, snapped
from flawshot.formats.texts import name_key
from flawshot.formats.tree_files import files_under
from flawshot.formats.yolo_lines import finite_number, yolo_line
from flawshot.formats.yolo_names import (
    CLASS_LISTS,
    YAML_SUFFIXES,
    DataSheet,
    class_lists,
    data_sheets,
    read_names,
    split_images,
)
from flawshot.labelme.images import IMAGE_SUFFIXES
from flawshot.labelme.layout import SPLIT_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flawshot.formats.plain_shapes import Size

__all__ = ["import_yolo"]

OPTIONS = {
    "source": Option("A folder of images and YOLO's .txt files, or its data.yaml."),
    "names": Option("data.yaml, or a list of the classes, if it is elsewhere.", "FILE"),
    "product": Option("The product's name; by default the first folder's, or else the source's.", "NAME"),
}
IMAGES, LABELS = "images", "labels"
BOX_FIELDS = 4


class _Classes(NamedTuple):
    """The class names that are in force for a label file; None if it has none."""

    sheets: Mapping[str, DataSheet]
    named: DataSheet | None

    def of(self, label: PurePosixPath) -> DataSheet | None:
        """Those that the user named, or those nearest above the label file."""
        return self.named or next(
            (sheet for folder in label.parents if (sheet := self.sheets.get(folder.as_posix()))), None
        )


class _Pair(NamedTuple):
    """An image, by its path below ``base``, and its label file; either may be missing."""

    base: Path
    image: str | None
    label: str | None

    @property
    def name(self) -> PurePosixPath:
        return PurePosixPath(self.image or self.label or "")


def import_yolo(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    names: Path | None = None,
    product: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write YOLO's boxes, polygons and oriented boxes as Labelme files: ``<product>/[<split>/]…/<name>.json``.

    The label file of ``…/images/…/a.jpg`` is ``…/labels/…/a.txt``, or ``a.txt`` beside the image. Its lines are
    ``class cx cy width height`` or ``class x y x y x y …``, in shares of the image's size; a box's confidence becomes
    its ``score``, and keypoints are left out. Images whose label file is empty or missing show no flaw, and get a file
    without shapes. The classes' names are those of the nearest ``data.yaml`` above a label file, or else of the nearest
    ``classes.txt``; without any, categories are called by their number. The split comes from ``data.yaml``, whose
    ``train``, ``val`` and ``test`` name folders or lists of images, or else from the folders.

    Args:
        source: The folder, or its data.yaml.
        out: The output folder.
        images: The folder with the images, if they are elsewhere.
        names: A data.yaml or a list of the classes, one per line, instead of those in the folder.
        product: The product's name; by default that of the first folder which is no split, or of the source.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done and the total.

    Raises:
        FlawshotError: If there is no usable label file, or a file at ``out`` exists with different content.
    """
    check_images(images)
    root = source
    if not source.is_dir():
        if source.suffix.lower() not in YAML_SUFFIXES:
            raise FlawshotError(f"{source}: is neither a folder nor a data.yaml")
        root, names = source.parent, names or source
    folder = LabelmeFolder(out, overwrite=overwrite)
    texts = files_under(root, (".txt", ".names"), folder.problems, beyond=out)
    named = None if names is None else read_names(names, folder.problems)
    sheets = {} if named else data_sheets(root, folder.problems, beyond=out)
    classes = _Classes(class_lists(root, texts, folder.problems) | sheets, named)
    texts = [name for name in texts if name.endswith(".txt") and PurePosixPath(name).name.lower() not in CLASS_LISTS]
    pictures = dict.fromkeys(files_under(root, IMAGE_SUFFIXES, folder.problems, beyond=out))
    splits = _splits([named] if named else sheets.values(), root, pictures, folder.problems)
    pairs, strangers = _pairs(root, images, pictures, texts, splits=splits, out=out)
    if not any(pair.label for pair in pairs):
        first = f"; the first problem: {folder.problems[0].marked}" if folder.problems else ""
        raise FlawshotError(f"{source}: contains no label file of YOLO{first}")
    reader = _Reader(root, folder, classes)
    finder = ImageFinder([root] if images is None else [images, root], folder.problems, beyond=out)
    good = 0
    for done, pair in enumerate(pairs, start=1):
        record = reader.record(pair, splits.get(pair.image or ""), product, images)
        before = folder.files
        if record is not None:
            add_record(folder, finder, record)
            good += folder.files > before and not record.parts
        if progress is not None:
            progress(done, len(pairs))
    _tell(folder, reader, strangers, source)
    also = f"; {counted(good, 'image')} without a flaw" if good else ""
    return folder.done(source, counts={"good": good}, summary=f"{folder.summary()}{also}")


def _splits(
    sheets: Iterable[DataSheet], root: Path, pictures: Mapping[str, Any], problems: list[Problem]
) -> dict[str, str]:
    """The splits of images that the data.yaml files name; of several, that of the image's folder, or else the first."""
    named: dict[str, dict[str, None]] = {}
    for sheet in sheets:
        for image, split in split_images(sheet, root, pictures, problems):
            named.setdefault(image, {})[split] = None
    found: dict[str, str] = {}
    shared: Counter[tuple[str, str]] = Counter()
    for image, splits in named.items():
        own, _ = split_and_rest(PurePosixPath(image).parts[:-1])
        folder = SPLIT_FOLDERS[own.lower()] if own else ""
        found[image] = folder if folder in splits else next(iter(splits))
        if len(splits) > 1 and folder in splits:
            # As export yolo and others write it, because Ultralytics needs a val.
            shared[" and ".join(splits), folder] += 1
        elif len(splits) > 1:
            message = f"is in {' and in '.join(splits)}; it is taken as {found[image]}"
            problems.append(Problem(image, "split", message))
    for (splits_said, folder), count in shared.items():
        message = f"{counted(count, 'image is', 'images are')} in {splits_said}; by the folder, taken as {folder}"
        problems.append(Problem(next(iter(sheets)).file, "split", message, "warning"))
    if found and (others := [image for image in pictures if image not in found]):
        message = f"{such_as(others, 'image', 'images')} in none of its splits"
        problems.append(Problem(next(iter(sheets)).file, "split", message, "warning"))
    return found


def _pairs(
    root: Path,
    images: Path | None,
    pictures: Mapping[str, Any],
    texts: list[str],
    *,
    splits: Mapping[str, str],
    out: Path,
) -> tuple[list[_Pair], list[str]]:
    """Images with their label files, and label files without an image; and images that may be something else."""
    labels, used = dict.fromkeys(texts), dict[str, None]()
    found: list[_Pair] = []
    alone: list[str] = []
    for image in pictures:
        label = next((name for name in _label_names(image) if name in labels), None)
        if label is None:
            alone.append(image)
        else:
            used[label] = None
            found.append(_Pair(root, image, label))
    if images is not None and images.resolve() != root.resolve():
        known = {os.path.realpath(root / image) for image in pictures}
        for image in files_under(images, IMAGE_SUFFIXES, [], beyond=out):
            if os.path.realpath(images / image) in known:
                continue
            label = next((name for name in _label_names(image, elsewhere=True) if name in labels), None)
            used |= {label: None} if label else {}
            found.append(_Pair(images, image, label))
    beside = {PurePosixPath(label).parent for label in used}
    called: dict[str, list[str]] = {}
    for image in alone:
        called.setdefault(name_key(PurePosixPath(image).stem), []).append(image)
    for label in (name for name in texts if name not in used and _may_be_label(root / name)):
        own = called.get(name_key(PurePosixPath(label).stem), [])
        # If several images are called so, the finder tells which ones.
        found.append(_Pair(root, own[0] if len(own) == 1 else None, label))
        alone = [image for image in alone if image not in own]
    strangers = []
    for image in alone:
        path = PurePosixPath(image)
        if image in splits or path.parent in beside or IMAGES in map(str.lower, path.parts[:-1]):
            found.append(_Pair(root, image, None))
        else:
            strangers.append(image)
    return sorted(found, key=lambda pair: pair.name.as_posix()), strangers


def _label_names(image: str, *, elsewhere: bool = False) -> Iterator[str]:
    """Where the label file of an image may be: as ultralytics has it, or beside the image."""
    path = PurePosixPath(image).with_suffix(".txt")
    parts = path.parts
    places = [place for place, part in enumerate(parts[:-1]) if part.lower() == IMAGES]
    if places:
        yield PurePosixPath(*parts[: places[-1]], LABELS, *parts[places[-1] + 1 :]).as_posix()
    if elsewhere:
        yield PurePosixPath(LABELS, path).as_posix()
        if len(parts) > 1:
            yield PurePosixPath(parts[0], LABELS, *parts[1:]).as_posix()
    yield path.as_posix()


def _may_be_label(path: Path) -> bool:
    """Whether a text file without an image looks like a label file, and not like a list or a text for people."""
    try:
        fields = next((line.split() for line in file_bytes(path).splitlines() if line.strip()), [])
        return len(fields) > BOX_FIELDS and all(finite_number(each.decode(), "a share") < 1e9 for each in fields[:5])
    except (FlawshotError, UnicodeDecodeError):
        return False


class _Reader:
    """Reads label files.

    Attributes:
        unnamed: Label files without class names.
        keypoints: The number of lines with keypoints.
    """

    def __init__(self, root: Path, folder: LabelmeFolder, classes: _Classes) -> None:
        self.unnamed: list[str] = []
        self.keypoints = 0
        self._root, self._folder, self._classes = root, folder, classes

    def record(self, pair: _Pair, split: str | None, product: str | None, images: Path | None) -> ImageRecord | None:
        """The annotation of an image; None, with a problem, if its label file cannot be read."""
        name = pair.name if pair.image else pair.name.with_suffix(".jpg")
        where = pair.label or str(name)
        try:
            parts = [] if pair.label is None else list(self._parts(pair.label))
            own, folders = split_and_rest(name.parts[:-1])
            inner = [each for each in folders if each.lower() not in {IMAGES, LABELS}]
            name_of_root, split_of_root = root_place(self._root)
            home = product_folder(product or (inner[0] if inner else name_of_root))
        except FlawshotError as error:
            self._folder.problems.append(Problem(where, "not-yolo", f"{error.marked}; it is left out"))
            return None
        below = inner if product else inner[1:]
        homes = [pair.base / name.parent]
        if pair.image is None:
            swapped = [IMAGES if part.lower() == LABELS else part for part in name.parts[:-1]]
            homes = [self._root.joinpath(*swapped), *homes]
        if images is not None:
            homes = [images / name.parent, images, *homes] if pair.image is None else [*homes, images]
        return ImageRecord(
            where=where,
            named=name.name,
            place=PurePosixPath(*below, name.name),
            product=home,
            split=split or own or split_of_root,
            parts=parts,
            homes=homes,
            needs_size=True,
        )

    def _parts(self, label: str) -> Iterator[Part]:
        try:
            lines = file_bytes(self._root / label).decode("utf-8-sig").splitlines()
        except FlawshotError as error:
            raise FlawshotError(error.marked.removeprefix(f"{self._root / label}: ")) from error
        except UnicodeDecodeError as error:
            raise FlawshotError(f"is not text ({one_line(error)})") from error
        sheet = self._classes.of(PurePosixPath(label))
        full = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
        if sheet is None and full:
            self.unnamed.append(label)
        for number, line in full:
            where = f"{label}: line {number}"
            try:
                name = _class_name(line.split()[0], sheet)
                shares, score = self._shares(line, sheet)
            except FlawshotError as error:
                self._folder.problems.append(Problem(where, "yolo-line", f"{error.marked}; it is left out"))
                yield Part(where, "", _refused)
                continue
            more = {} if score is None else {"score": score}
            yield Part(where, name, partial(_shapes, shares), more=more)

    def _shares(self, line: str, sheet: DataSheet | None) -> tuple[tuple[float, ...], float | None]:
        fields = line.split()
        if sheet is not None and sheet.keypoints and len(fields) == 1 + BOX_FIELDS + sheet.keypoints:
            self.keypoints += 1
            line = " ".join(fields[: 1 + BOX_FIELDS])
        return yolo_line(line, tracked=None)


def _refused(_: Size) -> Iterable[dict[str, Any]]:
    """No shape of a line that was refused already."""
    return ()


def _class_name(text: str, sheet: DataSheet | None) -> str:
    number = finite_number(text, "class")
    if number < 0 or not number.is_integer():
        raise FlawshotError(f"class must be a whole number from 0, not {text[:60]}")
    if sheet is None:
        return str(int(number))
    if int(number) not in sheet.names:
        raise FlawshotError(f"class {int(number)} is not among the {counted(len(sheet.names), 'name')} in {sheet.file}")
    return sheet.names[int(number)]


def _shapes(shares: tuple[float, ...], size: Size) -> list[dict[str, Any]]:
    height, width = (side or 0 for side in size)
    if len(shares) == BOX_FIELDS:
        x, y, w, h = (share * side for share, side in zip(shares, (width, height) * 2, strict=True))
        return [box(*map(snapped, (x - w / 2, y - h / 2, x + w / 2, y + h / 2)))]
    points = [[snapped(x * width), snapped(y * height)] for x, y in zip(*[iter(shares)] * 2, strict=True)]
    return [points_shape("polygon", points, 3)]


def _tell(folder: LabelmeFolder, reader: _Reader, strangers: list[str], source: Path) -> None:
    """Report what concerns many files at once."""
    if reader.unnamed:
        message = (
            f"there is no data.yaml or classes.txt with the names of the classes in {reader.unnamed[0]}; its "
            f"categories are called by their number; name the file with {argument('names')}"
        )
        folder.problems.append(Problem(str(source), "class-names", message, "warning"))
    if reader.keypoints:
        lines = counted(reader.keypoints, "line has", "lines have")
        message = f"{lines} keypoints, which are left out; only boxes are used"
        folder.problems.append(Problem(str(source), "keypoints", message, "warning"))
    if strangers:
        message = (
            f"{such_as(strangers, 'image', 'images', 'has', 'have')} no label file and "
            f"{plural(len(strangers), 'is', 'are')} not in a folder {IMAGES}; left out"
        )
        folder.problems.append(Problem(str(source), "stray-image", message, "warning"))
