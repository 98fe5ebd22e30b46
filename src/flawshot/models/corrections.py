"""A person's corrections of predictions: labels changed, flags unticked, regions drawn in their Labelme files."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import pyarrow as pa

from flawshot.base.arguments import argument
from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.catalog import Catalog
from flawshot.catalog.instances import instances_of
from flawshot.catalog.table import SCHEMA, row_of
from flawshot.labelme.data_folder import LEAVES
from flawshot.labelme.embedded import image_size
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes
from flawshot.models.predicted_files import KEY
from flawshot.models.prediction_folder import read_predictions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flawshot.catalog.instances import Instance
    from flawshot.labelme.labelme_file import LabelmeFile
    from flawshot.labelme.shapes import Shape
    from flawshot.models.prediction_folder import FileRecord, PredictionHeader

__all__ = [
    "ALL_CONFIRMED",
    "PREDICTED",
    "Corrections",
    "DataPlaces",
    "How",
    "answer_id",
    "data_places",
    "how_said",
    "image_of",
    "read_corrections",
]

# The flag of a shape that stays ticked until someone confirms the prediction, and that of a file that confirms all.
PREDICTED, ALL_CONFIRMED = "predicted", "all_confirmed"
# Regions drawn by hand are numbered from here, above the shape numbers of any file.
DRAWN_FROM = 1_000_000
ROWS_AT_ONCE = 2000

How = Literal["corrected", "confirmed", "drawn", "accepted", "not looked at", "unnamed"]
# If the shapes of one region were treated differently, the strongest counts.
_STRENGTH: tuple[How, ...] = ("unnamed", "not looked at", "accepted", "drawn", "confirmed", "corrected")


class Corrections(NamedTuple):
    """A person's corrections in a folder of predictions.

    Attributes:
        header: The header of the predictions.
        catalog: The regions that were named, with the ids and the root of the data.
        named: How many regions are ``corrected``, ``confirmed``, ``drawn`` or ``accepted``, and how many others are
            ``not looked at`` or ``unnamed``.
        problems: What could not be used, or is odd.
    """

    header: PredictionHeader
    catalog: Catalog
    named: dict[How, int]
    problems: tuple[Problem, ...]


class DataPlaces(NamedTuple):
    """Where the data of predictions is.

    Attributes:
        root: The data root, resolved.
        images: The folder of the images, resolved, if it is not the root.
    """

    root: Path
    images: Path | None

    @property
    def image_root(self) -> Path:
        """The folder that image paths are relative to."""
        return self.root if self.images is None else self.images


def data_places(out: Path, header: PredictionHeader, data: Path | None, images: Path | None = None) -> DataPlaces:
    """Where the data of predictions is.

    Args:
        out: The folder of predictions.
        header: Its header.
        data: Where the data is now, with its images, if it was moved.
        images: Where the images are now, if not with the data.

    Raises:
        FlawshotError: If the folder of the images is missing.
    """
    root = _beside(out, header.data) if data is None else data.absolute()
    apart = None if images is None else images.absolute()
    if apart is None and data is None and header.images is not None:
        apart = _beside(out, header.images)
    if not (pictures := root if apart is None else apart).is_dir():
        name = argument("data" if apart is None else "images")
        raise FlawshotError(f"{pictures}: the images of {out} are not there; name their folder with {name}")
    return DataPlaces(root.resolve(), None if apart is None else apart.resolve())


def _beside(out: Path, place: str) -> Path:
    return Path(os.path.normpath(out.absolute() / place))


def how_said(shape: Shape, file: LabelmeFile, *, accept_all: bool = False) -> How:
    """How a shape got its label: the rule by which a prediction becomes a person's decision.

    A label other than the predicted one is ``corrected``; with the flag ``predicted`` unticked, or the file's flag
    ``all_confirmed`` ticked, it is ``confirmed``; a shape without a prediction was ``drawn``. All others are still as
    predicted: ``not looked at``, or ``accepted`` with ``accept_all``. A shape with an empty label is ``unnamed``.
    """
    said = shape.other.get(KEY)
    predicted = said.get("predicted") if isinstance(said, dict) else None
    if not shape.label.strip():
        return "unnamed"
    if isinstance(predicted, str) and shape.label != predicted:
        return "corrected"
    if not isinstance(predicted, str) and shape.flags.get(PREDICTED) is not True:
        return "drawn"
    # A missing flag was lost by some program; it is not a confirmation.
    if shape.flags.get(PREDICTED) is False or file.flags.get(ALL_CONFIRMED) is True:
        return "confirmed"
    return "accepted" if accept_all else "not looked at"


def read_corrections(
    out: Path, product: str, *, data: Path | None = None, images: Path | None = None, accept_all: bool = False
) -> Corrections:
    """Read a person's corrections in a folder of predictions; unchanged files are not parsed.

    Args:
        out: The folder.
        product: The product that is inspected.
        data: Where the data is now; if None, where it was when it was predicted.
        images: Where its images are now, if not with the data; likewise.
        accept_all: Whether predictions that nobody looked at count too.

    Raises:
        FlawshotError: If it is not a folder of predictions, or its data is missing.
    """
    header, lines = read_predictions(out)
    places = data_places(out, header, data, images)
    named, problems = Counter[How](), list[Problem]()
    tables = [SCHEMA.empty_table()]
    rows: list[dict[str, Any]] = []
    for answered in lines:
        if answered.file_hash is None:
            continue
        chosen = _chosen(out / answered.annotation, answered, named, problems, accept_all=accept_all)
        if chosen is not None:
            rows += map(
                row_of, _instances(chosen, out / answered.annotation, places.image_root, answered, product, problems)
            )
        if len(rows) > ROWS_AT_ONCE:
            tables.append(pa.Table.from_pylist(rows, schema=SCHEMA))
            rows = []
    tables.append(pa.Table.from_pylist(rows, schema=SCHEMA))
    catalog = Catalog(pa.concat_tables(tables).combine_chunks(), places.root, images=places.images)
    counts: dict[How, int] = {how: named[how] for how in get_args(How) if named[how]}
    return Corrections(header, catalog, counts, tuple(problems))


def _chosen(
    place: Path, answered: FileRecord, named: Counter[How], problems: list[Problem], *, accept_all: bool
) -> LabelmeFile | None:
    """A file with only the shapes that were named; None if there are none."""
    try:
        content = annotation_bytes(place, str(place))
    except AnnotationError as error:
        problems.append(error.problem)
        return None
    if not accept_all and hashlib.sha256(content).hexdigest() == answered.file_hash:
        named["not looked at"] += len(answered.answers)
        return None
    try:
        file, found = parse_labelme(content, str(place))
    except AnnotationError as error:
        problems.append(error.problem)
        return None
    problems += found
    chosen: list[Shape] = []
    for shapes in _together(file.shapes):
        agreed = _agreed(shapes, str(place), problems)
        how = max((how_said(shape, file, accept_all=accept_all) for shape in agreed), key=_STRENGTH.index)
        named[how] += 1
        if how not in {"not looked at", "unnamed"}:
            chosen += agreed
    return replace(file, shapes=tuple(chosen)) if chosen else None


def _instances(  # noqa: PLR0917
    file: LabelmeFile, place: Path, root: Path, answered: FileRecord, product: str, problems: list[Problem]
) -> Iterator[Instance]:
    """The instances of a file, with the ids that their regions have in the data."""
    image = image_of(answered)
    size = image_size(file, root / image)
    if size is None:
        problems.append(Problem(str(place), "image-size", "neither the file nor its image gives the image's size"))
        return
    taken: set[str] = set()
    for instance in instances_of(file, str(place), problems, image=image, size=size, product=product, split=None):
        identifier = _id(instance, answered, taken)
        if identifier not in taken:  # skip an identical outline
            taken.add(identifier)
            yield replace(instance, id=identifier, annotation=answered.annotation)


def image_of(answered: FileRecord) -> str:
    """The image of an annotation file, relative to the data root.

    Raises:
        FlawshotError: If it is outside the data folder; the record may come from an untrusted source.
    """
    image = answered.answers[0].image if answered.answers else answered.image or ""
    if not image or "\0" in image or re.search(LEAVES, image):
        raise FlawshotError(
            f"predictions.jsonl: {answered.annotation}: image: {image[:80]!r} is outside the data folder"
        )
    return image


def answer_id(shape: Shape) -> str | None:
    """The id of the prediction that a shape has; None if it has none."""
    said = shape.other.get(KEY)
    identifier = said.get("id") if isinstance(said, dict) else None
    return identifier if isinstance(identifier, str) else None


def _together(shapes: Sequence[Shape]) -> list[list[Shape]]:
    """Shapes that were predicted as one region: those with the same group and answer."""
    regions: dict[tuple[object, ...], list[Shape]] = {}
    for number, shape in enumerate(shapes):
        own = (number,) if shape.group_id is None else (shape.group_id, answer_id(shape))
        regions.setdefault(own, []).append(shape)
    return list(regions.values())


def _agreed(shapes: list[Shape], place: str, problems: list[Problem]) -> list[Shape]:
    """The shapes of one region, all with the label that a person gave to some of them."""
    said = shapes[0].other.get(KEY)
    predicted = said.get("predicted") if isinstance(said, dict) else None
    changed = sorted({shape.label for shape in shapes if shape.label.strip() and shape.label != predicted})
    if len(shapes) == 1 or not isinstance(predicted, str) or not changed:
        return shapes
    if len(changed) > 1:
        message = f"one region was given several labels ({', '.join(changed)}); each shape is treated as its own region"
        problems.append(Problem(place, "several-labels", message, "warning", shapes[0].index))
        return shapes
    return [replace(shape, label=changed[0]) for shape in shapes]


def _id(instance: Instance, answered: FileRecord, taken: set[str]) -> str:
    """The region's id in the data; for regions drawn or copied by hand, an id derived from the outline."""
    given = answer_id(instance.shapes[0])
    boxes = {answer.id: answer.box for answer in answered.answers}
    # A copied shape keeps its answer, but is elsewhere, or is the second with this id.
    if given in boxes and given not in taken and _overlap(instance.box, boxes[given]):
        return given
    number = zlib.crc32(b"".join(shape.points.tobytes() + (shape.mask_png or b"") for shape in instance.shapes))
    return f"{answered.annotation}#{DRAWN_FROM + number}"


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])
