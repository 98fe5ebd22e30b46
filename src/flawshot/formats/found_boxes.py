"""Regions that detectors found: COCO results and files, YOLO's text files, and tables of boxes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.delimited import delimited_texts, read_rows
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import ANNOTATION_BYTES, file_bytes, load_json
from flawshot.base.store.seals import hash_of, sha256_of
from flawshot.base.wording import counted
from flawshot.formats.coco_records import Identified, annotation_shapes, record_id
from flawshot.formats.components import check_number, component_shape
from flawshot.formats.paths import box_corners
from flawshot.formats.scored_shapes import (
    AmbiguousImageError,
    ImageIndex,
    ScoredImage,
    ScoredShape,
    bare_images,
    best_first,
    stamps_of,
)
from flawshot.formats.tree_files import files_under
from flawshot.formats.yolo_lines import finite_number, has_track, yolo_line
from flawshot.labelme.images import header_size
from flawshot.labelme.labelme_file import parse_labelme_document
from flawshot.labelme.shapes import join_regions, rasterize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FoundBoxes"]

TABLES = (".csv", ".tsv", ".txt")
CORNERS = ("x0", "y0", "x1", "y1")
MOST_REGIONS = 10_000
# JSON's whole numbers may be beyond floats.
LARGEST_SCORE = 1e300
# YOLO's files that list the classes.
CLASSES = frozenset({"classes.txt", "labels.txt", "predefined_classes.txt"})
SCORES = ("score", "confidence", "conf")


class _Box(NamedTuple):
    """A region as its file has it: a COCO annotation, or YOLO's shares; and where it was read."""

    place: str
    score: float | None
    annotation: Mapping[str, Any] | None = None
    shares: tuple[float, ...] = ()


class FoundBoxes:
    """Regions of a detector, from a file of all images or one text file per image.

    - ``.json``: COCO results, ``[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}, …]``, also with
      ``segmentation``; or a COCO file with ``images`` and ``annotations``.
    - A folder: YOLO's text files, ``class cx cy width height [confidence]`` or ``class x y x y x y … [confidence]`` in
      shares of the image's size.
    - ``.csv``, ``.tsv``, ``.txt``: a table with the columns ``image``, ``x0``, ``y0``, ``x1``, ``y1`` (half-open, px)
      and, if there are scores, ``score``.

    Categories are not used: the model names the regions. Polygons and run lengths are used as they are. A detector may
    have found nothing at all. An image is left out, and not taken as one without a region, if regions on it were
    refused and none is left, or if they may belong to another image, too.

    Args:
        root: The folder of the images.
        boxes: The file, or the folder of text files.
        coco: The COCO file whose images the results' ``image_id`` refers to; if None, an ``image_id`` is an image's
            path or name, with or without its suffix, or the number that it is.
        min_score: Regions with a lower score are left out, and counted.
        max_instances: Images with more regions are left out.
        beyond: A folder that is not searched for images.

    Attributes:
        images: The images, relative to ``root`` (POSIX), sorted.
        request: A hash of everything that the regions depend on besides the images.
        problems: Regions whose image is missing or that cannot be read; images without a region.
        skipped: The number of regions that were left out for their score.

    Raises:
        FlawshotError: If there is no image, the file cannot be read, or it has regions, but none on one of the images.
    """

    def __init__(
        self,
        root: Path,
        boxes: Path,
        *,
        coco: Path | None = None,
        min_score: float | None = None,
        max_instances: int = MOST_REGIONS,
        beyond: Path | None = None,
    ) -> None:
        if min_score is not None and not math.isfinite(min_score):
            raise FlawshotError(f"{argument('min_score', min_score)}: must be a finite number")
        self.problems: list[Problem] = []
        self.skipped: dict[str, int] = {}
        self._root, self._most = root, max_instances
        self.images = tuple(bare_images(root, self.problems, beyond=[] if beyond is None else [beyond]))
        self._index = ImageIndex(self.images)
        self._missing: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._on: dict[str, list[_Box]] = {}
        wrong = len(self.problems)
        for image, box in self._read(boxes, coco):
            if min_score is not None and box.score is not None and box.score < min_score:
                low = f"with a score under {min_score:g}"
                self.skipped[low] = self.skipped.get(low, 0) + 1
                self._on.setdefault(image, [])
            else:
                self._on.setdefault(image, []).append(box)
        for text, count in self._missing.items():
            message = f"{text}; {counted(count, 'region is', 'regions are')} left out"
            self.problems.append(Problem(str(boxes), "missing-image", message))
        refused = [problem for problem in self.problems[wrong:] if problem.severity == "error"]
        if not self._on and refused:
            raise FlawshotError(
                f"{boxes}: contains no region on one of the {len(self.images)} images of {root}; the first problem: "
                f"{refused[0].marked}"
            )
        self.problems += [
            Problem(image, "no-box", "has no region", "warning")
            for image in self.images
            if not self._on.get(image) and image not in self._refused
        ]
        content = stamps_of(boxes, self._names) if boxes.is_dir() else sha256_of(boxes)
        self.request = hash_of("boxes", content, None if coco is None else sha256_of(coco), min_score, max_instances)

    def read(self, image: str) -> ScoredImage:
        """The regions on an image."""
        boxes = self._on.get(image, [])
        shapes: list[ScoredShape] = []
        problems: list[Problem] = []
        try:
            if boxes:
                check_number(len(boxes), self._most)
                height, width = header_size(self._root / image, image)
        except FlawshotError as error:
            reason = error.marked
            return ScoredImage((), reason=reason if reason.startswith(image) else f"{image}: {reason}")
        for box in boxes:
            try:
                shapes.append(_shape(box, height, width))
            except FlawshotError as error:
                problems.append(Problem(box.place, "region", f"{image}: {error.marked}; it is left out"))
        refused = self._refused.get(image) or (f"{problems[0].file}: {problems[0].message}" if problems else "")
        reason = f"{image}: regions on it were refused, and none is left; {refused}" if refused and not shapes else ""
        return ScoredImage(best_first(shapes), reason=reason, problems=tuple(problems))

    def _read(self, boxes: Path, coco: Path | None) -> Iterator[tuple[str, _Box]]:
        self._names: list[str] = []
        suffix = boxes.suffix.lower()
        if boxes.is_dir():
            read = self._yolo(boxes)
        elif suffix == ".json":
            read = self._coco(boxes, coco)
        elif suffix in TABLES:
            read = self._table(boxes)
        else:
            known = f"a COCO .json file, a table ({', '.join(TABLES)}), or a folder of YOLO's .txt files"
            raise FlawshotError(f"{argument('boxes', boxes)}: must be {known}")
        if coco is not None and suffix != ".json":
            raise FlawshotError(f"{argument('coco', coco)}: is for COCO results, and {boxes} are none")
        yield from read

    def _image(self, text: object, regions: int = 1) -> str | None:
        """The image of some regions; if it is missing, they are counted."""
        try:
            if isinstance(text, int):
                return self._index.find_number(text)
            return self._index.find(str(text))
        except FlawshotError as error:
            message = error.marked
            if isinstance(error, AmbiguousImageError):
                self._refused |= dict.fromkeys(error.images, message)
            elif isinstance(text, int):
                message = f"there is no image {text}"
            if regions:
                self._missing[message] = self._missing.get(message, 0) + regions
            return None

    def _wrong(self, place: str, message: str, image: str | None = None) -> None:
        """Report a region that is left out; ``image`` is the one that it is on, if that is known."""
        if image is not None:
            self._refused.setdefault(image, f"{place}: {message}")
        self.problems.append(Problem(place, "region", f"{message}; it is left out"))

    def _coco(self, path: Path, coco: Path | None) -> Iterator[tuple[str, _Box]]:
        document = _json(path)
        entries = document if isinstance(document, list) else _list(document, "annotations", path)
        given = document if coco is None else _json(coco)
        names: Identified[str] | None = None
        if not isinstance(given, list):
            names = Identified()
            for entry in _list(given, "images", coco or path):
                number = record_id(entry.get("id")) if isinstance(entry, dict) else None
                if number is not None and isinstance(entry.get("file_name"), str):
                    names[number] = entry["file_name"]
        numbered = False
        for number, entry in enumerate(entries):
            place = f"{path.name}: entry {number}"
            if not isinstance(entry, dict):
                self._wrong(place, "is not an object")
                continue
            told = entry.get("image_id")
            own = record_id(told) if names is None else names.id_of(told)
            if own is None:
                self._wrong(place, f"image_id {str(told)[:60]!r} is not the id of an image")
                continue
            image = self._image(own if names is None else names.get(own, f"of id {own}"))
            if image is None:
                continue
            if names is None and isinstance(own, int) and not numbered:
                numbered = True
                meant = f"image_id {own}, like all numbers, is taken as the number in an image's name, here {image}"
                ids = f"if these are the ids of a COCO file, name it with {argument('coco')}"
                self.problems.append(Problem(path.name, "image-id", f"{meant}; {ids}", "warning"))
            score = entry.get("score")
            if score is not None and not _is_finite(score):
                self._wrong(place, f"score: {str(score)[:60]} is not a finite number", image)
                continue
            # Only what gives the region is kept: an annotation may have any number of further keys.
            geometry = {key: entry[key] for key in ("bbox", "segmentation") if key in entry}
            yield image, _Box(place, None if score is None else float(score), geometry)

    def _table(self, path: Path) -> Iterator[tuple[str, _Box]]:
        tables = delimited_texts(path, ("image", *CORNERS))
        best = max(tables, key=lambda table: sum(self._knows(row.values["image"]) for row in read_rows(table, path)))
        for row in read_rows(best, path):
            place = f"{path.name}: line {row.number}"
            image = self._image(row.values["image"])
            if image is None:
                continue
            try:
                x0, y0, x1, y1 = (finite_number(row.values[name], name) for name in CORNERS)
                told = next((row.values[name] for name in SCORES if row.values.get(name)), "")
                score = finite_number(told, "score") if told else None
            except FlawshotError as error:
                self._wrong(place, error.marked, image)
                continue
            yield image, _Box(place, score, {"bbox": [x0, y0, x1 - x0, y1 - y0]})

    def _knows(self, text: str) -> bool:
        try:
            self._index.find(text)
        except FlawshotError:
            return False
        return True

    def _yolo(self, folder: Path) -> Iterator[tuple[str, _Box]]:
        self._names = files_under(folder, (".txt",), self.problems, beyond=None)
        if not self._names and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise FlawshotError(f"{folder}: contains no .txt file, but others; name the folder of YOLO's text files")
        texts: dict[str, list[str]] = {}
        for name in self._names:
            if PurePosixPath(name).name.lower() in CLASSES:
                continue
            try:
                texts[name] = file_bytes(folder / name).decode("utf-8-sig").splitlines()
            except (FlawshotError, UnicodeDecodeError) as error:
                self._wrong(name, one_line(error), self._image(_without_suffix(name), 0))
        tracked = has_track(line for lines in texts.values() for line in lines)
        for name, lines in texts.items():
            full = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
            image = self._image(_without_suffix(name), len(full)) if full else None
            for number, line in full:
                if image is None:
                    break
                place = f"{name}: line {number}"
                try:
                    shares, score = yolo_line(line, tracked=tracked)
                except FlawshotError as error:
                    self._wrong(place, error.marked, image)
                    continue
                yield image, _Box(place, score, shares=shares)


def _without_suffix(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _json(path: Path) -> Any:
    try:
        return load_json(file_bytes(path, ANNOTATION_BYTES))
    except FlawshotError as error:
        text = error.marked
        raise FlawshotError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _list(document: Any, field: str, path: Path) -> list[Any]:
    value = document.get(field) if isinstance(document, dict) else None
    if not isinstance(value, list):
        raise FlawshotError(f"{path}: is neither a list of COCO results nor a COCO file: {field} must be a list")
    return value


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_SCORE


def _shape(box: _Box, height: int, width: int) -> ScoredShape:
    """A region as one shape; parts outside the image are left to be clipped when it is drawn."""
    if box.annotation is None:
        made = _yolo_shapes(box.shares, height, width)
    else:
        made, _ = annotation_shapes(dict(box.annotation), (height, width))
    document = {"imagePath": "found.png", "shapes": [{"label": "found"} | shape for shape in made]}
    file, problems = parse_labelme_document(document, box.place)
    if not file.shapes:
        raise FlawshotError(problems[0].message if problems else "has no shape")
    if len(file.shapes) == 1:
        (shape,) = file.shapes
        if not rasterize(shape, height, width).pixels.size:
            raise FlawshotError(f"covers no pixel of the image of {width} x {height} px")
        return ScoredShape(replace(shape, label=""), box.score)
    region = join_regions(rasterize(shape, height, width) for shape in file.shapes)
    if not region.pixels.size:
        raise FlawshotError(f"covers no pixel of the image of {width} x {height} px")
    return ScoredShape(component_shape(0, "", region, exact=True), box.score)


def _yolo_shapes(shares: tuple[float, ...], height: int, width: int) -> list[dict[str, Any]]:
    if len(shares) == 4:
        x, y, w, h = (share * side for share, side in zip(shares, (width, height) * 2, strict=True))
        if w <= 0 or h <= 0:
            raise FlawshotError("covers no area: width and height must be more than 0")
        return [{"shape_type": "rectangle", "points": box_corners(x - w / 2, y - h / 2, x + w / 2, y + h / 2)}]
    points = [[x * width, y * height] for x, y in zip(*[iter(shares)] * 2, strict=True)]
    return [{"shape_type": "polygon", "points": points}]
