"""What an export of a data set consists of: images, flawed and good ones, with their instances."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from flawshot.base.arguments import argument
from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.base.wording import counted
from flawshot.formats.exporting import RECORD, write_image
from flawshot.formats.mask_layouts import GOOD
from flawshot.formats.tree_files import files_under
from flawshot.labelme.annotated_images import without_annotated
from flawshot.labelme.data_folder import LEAVES, annotation_files, find_image
from flawshot.labelme.images import IMAGE_SUFFIXES, ImageError, header_size
from flawshot.labelme.labelme_file import LabelmeFile, parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.labelme.image_folder import ImageFolder

__all__ = ["ExportImage", "ExportRegion", "export_images", "is_prediction_folder", "save_image"]

PREDICTIONS, PREDICTIONS_FORMAT = "predictions.jsonl", "flawshot-predictions"
LONGEST_HEADER = 2**20
# The flags of a predicted shape, and of a file, that a person changes to confirm what was predicted.
PREDICTED, ALL_CONFIRMED = "predicted", "all_confirmed"
# The key of a shape under which its prediction is stored.
KEY = "flawshot"


@dataclass(frozen=True, slots=True)
class ExportRegion:
    """One instance of an image.

    Attributes:
        instance: The instance; its category is the label that its file gives it.
        prediction: What flawshot predicted, as stored in its file; None if the region was not predicted.
        confirmed: Whether a person confirmed all predictions in its file.
    """

    instance: Instance
    prediction: Mapping[str, Any] | None = None
    confirmed: bool = False

    @property
    def truth(self) -> str | None:
        """The label that a person gave it or confirmed, now or before the prediction; None if nobody did."""
        label, said = self.instance.category, self.prediction
        if said is None or said["predicted"] != label or self.confirmed or self.instance.flags.get(PREDICTED) is False:
            return label
        was = said.get("was")
        return was if isinstance(was, str) and was else None


@dataclass(frozen=True, slots=True)
class ExportImage:
    """One image of a data set.

    Attributes:
        path: Its path relative to the data root (POSIX); unique.
        source: Its file, or the bytes of an embedded image.
        height: In px, upright.
        width: In px, upright.
        product: Its product; empty if it is unknown.
        split: ``train``, ``test``, ``val``, or None.
        regions: Its instances with a label; none if it is good.
    """

    path: str
    source: Path | bytes
    height: int
    width: int
    product: str
    split: str | None
    regions: tuple[ExportRegion, ...]


class _Entry(NamedTuple):
    """One image before it is opened."""

    path: str
    annotation: str  # empty for an image without one
    file: Path | None  # of an image that is not where the catalog says
    product: str
    split: str | None
    rows: tuple[int, ...] = ()


class _Place(NamedTuple):
    """What a predicted file says: its image, and predictions by shape index."""

    path: str
    file: Path | None
    predictions: dict[int, dict[str, Any]]
    confirmed: bool


def is_prediction_folder(folder: Path) -> bool:
    """Whether a folder was written by ``flawshot predict``."""
    return bool(_predicted_data(folder))


def export_images(
    catalog: Catalog, problems: list[Problem], *, good: Path | None = None, beyond: Path | None = None
) -> Iterator[ExportImage]:
    """The images of a catalog in the order of their paths, with their instances.

    Good images are those with a Labelme file without shapes; those without a Labelme file in a folder called ``good``,
    ``ok`` or ``normal``; and those in ``good``. In a folder of predictions, images are where it says.

    Args:
        catalog: The catalog.
        problems: What is left out is added here.
        good: A further folder of good images.
        beyond: A folder that is not searched.

    Raises:
        FlawshotError: If ``good`` is not a folder, the data has no folder, or no image can be used.
    """
    if catalog.root is None:
        raise FlawshotError("the catalog has no data folder, which an export reads the images from")
    places = _predicted_places(catalog)
    entries = _flawed(catalog, places)
    if catalog.layout is not None:
        entries |= _good_inside(catalog, set(entries), problems, beyond)
    if good is not None:
        entries |= _good_elsewhere(catalog, good, set(entries), problems)
    usable = 0
    for path in sorted(entries):
        made = _opened(catalog, entries[path], places, problems)
        if made is not None:
            usable += 1
            yield made
    if not usable:
        first = f"; the first problem: {problems[0].marked}" if problems else ""
        raise FlawshotError(f"{catalog.root}: has no image that can be exported{first}")


def save_image(image: ExportImage, target: Path, problems: list[Problem], *, link: bool) -> bool:
    """Write an image to a new path.

    Args:
        image: The image.
        target: The path; another suffix than that of the image's file converts it.
        problems: What is odd, or why it cannot be written, is added here.
        link: As for :func:`flawshot.formats.exporting.write_image`.

    Returns:
        Whether it was written; false if it cannot be decoded.
    """
    try:
        turned = write_image(image.source, target, link=link)
    except ImageError as error:
        message = error.marked.removeprefix(f"{target.name}: ")
        problems.append(Problem(image.path, "image", f"{message}; it is left out"))
        return False
    if turned:
        message = "its EXIF orientation turns it, which some programs ignore; it is written upright, without EXIF"
        problems.append(Problem(image.path, "orientation", message, "warning"))
    return True


def _flawed(catalog: Catalog, places: Mapping[str, _Place]) -> dict[str, _Entry]:
    columns = (catalog.column(name) for name in ("image", "annotation", "product", "split"))
    entries: dict[str, _Entry] = {}
    rows: dict[str, list[int]] = {}
    for row, (image, annotation, product, split) in enumerate(zip(*columns, strict=True)):
        place = places.get(annotation)
        path = image if place is None else place.path
        if path not in entries:
            entries[path] = _Entry(path, annotation, None if place is None else place.file, product, split)
        rows.setdefault(path, []).append(row)
    return {path: entry._replace(rows=tuple(rows[path])) for path, entry in entries.items()}


def _opened(
    catalog: Catalog, entry: _Entry, places: Mapping[str, _Place], problems: list[Problem]
) -> ExportImage | None:
    """An image with its instances; None, with a problem, if it cannot be used."""
    regions = []
    for row in entry.rows:
        instance = catalog[row]
        if not instance.category:
            problems.append(Problem(instance.id, "no-label", "has no label and is left out"))
            continue
        place = places.get(instance.annotation)
        said = None if place is None else place.predictions.get(instance.shapes[0].index)
        regions.append(ExportRegion(instance, said, place is not None and place.confirmed))
    if entry.rows and not regions:  # without its instances it would pass for a good image
        return None
    try:
        source = entry.file or catalog.image_source(entry.path, entry.annotation)
        height, width = header_size(source, entry.path)
    except ImageError as error:
        problems.append(Problem(entry.path, "image", f"{error.marked.removeprefix(f'{entry.path}: ')}; it is left out"))
        return None
    for region in regions:
        stated = (region.instance.image_width, region.instance.image_height)
        if stated != (width, height):
            message = (
                f"is {width} x {height} px, but {region.instance.annotation} says {stated[0]} x {stated[1]}; "
                "it is left out"
            )
            problems.append(Problem(entry.path, "image-size", message))
            return None
    return ExportImage(entry.path, source, height, width, entry.product, entry.split, tuple(regions))


def _good_inside(catalog: Catalog, taken: set[str], problems: list[Problem], beyond: Path | None) -> dict[str, _Entry]:
    """Good images in the data folder, by path."""
    annotations, root, layout = catalog.root, catalog.image_root, catalog.layout
    products = set(catalog.products)
    if annotations is None or root is None or layout is None:
        return {}
    found, used, stems = _without_shapes(catalog, annotations, taken)
    exports = {path.parent.relative_to(root).as_posix() for path in root.rglob(RECORD)}
    left = 0
    for name in files_under(root, IMAGE_SUFFIXES, [], beyond=beyond):
        path, place = PurePosixPath(name), layout.place(name)
        if name in used or not stems.isdisjoint((name, str(path.with_suffix("")))):
            continue
        if place is None or place[0] not in products or not exports.isdisjoint(map(str, path.parents)):
            continue
        if any(part.lower() in GOOD for part in path.parts[:-1]):
            found[name] = _Entry(name, "", root / name, *place)
        else:
            left += 1
    if left:
        count = counted(left, "image has no Labelme file and is", "images have no Labelme file and are")
        message = (
            f"{count} left out; if they show no flaw, put them into a folder called good, or use {argument('good')}"
        )
        problems.append(Problem(str(root), "unannotated", message, "warning"))
    return found


def _without_shapes(catalog: Catalog, root: Path, taken: set[str]) -> tuple[dict[str, _Entry], set[str], set[str]]:
    """The images whose Labelme files have no shape; those of any Labelme file; and all Labelme files' names."""
    layout, products = catalog.layout, set(catalog.products)
    known, data = set(catalog.column("annotation")), _predicted_data(root)
    pictures = catalog.image_folder()
    found, used, stems = dict[str, _Entry](), set(taken), set[str]()
    for name in annotation_files(root, []):
        stems.add(name[: -len(".json")])
        if name in known:
            continue
        try:
            file, wrong = parse_labelme(annotation_bytes(root / name, name), name)
        except AnnotationError:
            continue
        image, elsewhere = _image_of(root, name, file, data, pictures)
        used.add(image)
        if file.shapes or image in taken or any(problem.severity == "error" for problem in wrong):
            continue
        place = None if layout is None else layout.place(name)
        if place is not None and place[0] in products:
            found[image] = _Entry(image, name, elsewhere, *place)
    return found, used, stems


def _good_elsewhere(catalog: Catalog, good: Path, taken: set[str], problems: list[Problem]) -> dict[str, _Entry]:
    """The images of a further folder, by path."""
    if not good.is_dir():
        raise FlawshotError(f"{argument('good', good)}: is not a folder")
    names = files_under(good, IMAGE_SUFFIXES, problems, beyond=None)
    flawless = without_annotated(good, names, catalog.root)
    problems += flawless.problems
    root = good.resolve()
    inside = catalog.root is not None and root.is_relative_to(catalog.root.resolve())
    home = root.relative_to(catalog.root.resolve()).as_posix() if inside and catalog.root else "good"
    products, found = catalog.products, dict[str, _Entry]()
    for name in flawless.names:
        path = PurePosixPath(home, name).as_posix()
        place = catalog.layout.place(path) if inside and catalog.layout is not None else None
        first = PurePosixPath(name).parts[0]
        own = products[0] if len(products) == 1 else first if first in products else ""
        product, split = place or (own, None)
        if path not in taken:
            found[path] = _Entry(path, "", good / name, product, split)
    return found


def _predicted_data(folder: Path) -> tuple[Path, ...]:
    """Where the images of a folder of predictions are; empty if it is no such folder."""
    try:
        with (folder / PREDICTIONS).open("rb") as opened:
            header = json.loads(opened.readline(LONGEST_HEADER))
    except (OSError, ValueError, RecursionError):
        return ()
    if not isinstance(header, dict) or header.get("format") != PREDICTIONS_FORMAT:
        return ()
    places = (header.get("images"), header.get("data"))
    return tuple((folder / each).resolve() for each in places if isinstance(each, str) and "\0" not in each)


def _predicted_places(catalog: Catalog) -> dict[str, _Place]:
    """What each annotation file of a folder of predictions says; empty for other data."""
    root = catalog.root
    data = () if root is None else _predicted_data(root)
    if root is None or not data:
        return {}
    made = {}
    for name in dict.fromkeys(catalog.column("annotation")):
        file = parse_labelme(annotation_bytes(root / name, name), name)[0]
        predictions = {shape.index: said for shape in file.shapes if _is_prediction(said := shape.other.get(KEY))}
        confirmed = file.flags.get(ALL_CONFIRMED) is True
        made[name] = _Place(*_image_of(root, name, file, data), predictions, confirmed)
    return made


def _is_prediction(value: Any) -> TypeGuard[dict[str, Any]]:
    if not isinstance(value, dict) or not isinstance(value.get("predicted"), str):
        return False
    number = value.get("probability")
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= 1


def _image_of(
    root: Path, name: str, file: LabelmeFile, places: Sequence[Path], pictures: ImageFolder | None = None
) -> tuple[str, Path | None]:
    """The path of an annotation's image, and its file if that is where the images of a folder of predictions are."""
    usual = find_image(name, file, root, [], pictures)
    if file.image_base64 is not None:
        return usual, None
    place = Path(os.path.normpath(root / PurePosixPath(name).parent / file.image_path))
    for folder in places:
        if place.is_relative_to(folder) and place.is_file():
            path = place.relative_to(folder).as_posix()
            if not re.search(LEAVES, path):
                return path, place
    return usual, None
