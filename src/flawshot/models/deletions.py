"""Found regions that a person deleted in the Labelme files of predictions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.base.errors import AnnotationError, Problem
from flawshot.evaluation.found_matches import same_place
from flawshot.labelme.embedded import image_size
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes
from flawshot.labelme.shapes import Region, rasterize, trim
from flawshot.models.corrections import PREDICTED, answer_id, image_of
from flawshot.models.predicted_files import FOUND, MARK
from flawshot.models.prediction_folder import read_predictions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flawshot.labelme.labelme_file import LabelmeFile
    from flawshot.models.prediction_folder import FileRecord, RegionPrediction

__all__ = ["DeletedRegion", "deleted_found"]


class DeletedRegion(NamedTuple):
    """A region that a finder put on an image, and a person deleted.

    Attributes:
        image: Its image, relative to the data root (POSIX).
        region: Its pixels, without those of regions that are still there.
        id: Its id in the predictions.
    """

    image: str
    region: Region
    id: str


def deleted_found(out: Path, root: Path, problems: list[Problem]) -> list[DeletedRegion]:
    """The found regions that a person deleted: no flaws, which is worth knowing for whatever found them.

    A region at the same place as one that is still in the file (as
    :func:`~flawshot.evaluation.found_matches.same_place` has it) was not deleted: its outline was drawn anew, or it was
    a second one of the same flaw. A file that cannot be read, or is gone, says nothing of its regions. Nor does one
    whose predicted regions have all lost their ids, as programs other than Labelme may save them.

    Args:
        out: The folder of predictions.
        root: The folder of their images.
        problems: Files whose regions have lost their ids are added here.

    Raises:
        FlawshotError: If it is not a folder of predictions.
    """
    deleted: list[DeletedRegion] = []
    for answered in read_predictions(out)[1]:
        if answered.file_hash is None or not any(answer.found for answer in answered.answers):
            continue
        file = _changed(out / answered.annotation, answered.file_hash)
        size = None if file is None else image_size(file, root / image_of(answered))
        if file is None or size is None:
            continue
        if _lost_ids(file):
            message = "another program has dropped the ids of the regions; none of those missing is taken for deleted"
            problems.append(Problem(str(out / answered.annotation), "lost-ids", message, "warning"))
        else:
            deleted += _deleted(file, answered, size)
    return deleted


def _changed(place: Path, file_hash: str) -> LabelmeFile | None:
    """A file that was changed since it was written, if all its shapes can be read: another one was not deleted."""
    try:
        content = annotation_bytes(place, str(place))
        if hashlib.sha256(content).hexdigest() == file_hash:
            return None
        file, problems = parse_labelme(content, str(place))
    except AnnotationError:
        return None
    return None if any(problem.severity == "error" for problem in problems) else file


def _lost_ids(file: LabelmeFile) -> bool:
    """Whether no shape has an id, although some were not drawn by a person."""
    if any(answer_id(shape) is not None for shape in file.shapes):
        return False
    return any(
        shape.flags.get(FOUND) is True
        or shape.flags.get(PREDICTED) is True
        or any(line.startswith(MARK) for line in shape.description.splitlines())
        for shape in file.shapes
    )


def _deleted(file: LabelmeFile, answered: FileRecord, size: tuple[int, int]) -> list[DeletedRegion]:
    left = {answer_id(shape) for shape in file.shapes}
    gone = [answer for answer in answered.answers if answer.found and answer.id not in left]
    if not gone:
        return []
    kept = [rasterize(shape, *size) for shape in file.shapes]
    made = []
    for answer in gone:
        region = _without(_region(answer, size), kept)
        if region is not None:
            made.append(DeletedRegion(image_of(answered), region, answer.id))
    return made


def _region(answer: RegionPrediction, size: tuple[int, int]) -> Region:
    """A region's pixels as they were found; those of its box if its outline is not recorded, or cannot be drawn."""
    region = None if answer.outline is None else answer.outline.region(*size)
    if region is not None:
        return region
    (x0, y0, x1, y1), (height, width) = answer.box, size
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
    return Region(x0, y0, np.ones((max(0, y1 - y0), max(0, x1 - x0)), dtype=bool))


def _without(region: Region, kept: Sequence[Region]) -> Region | None:
    """A region without the pixels of others; None if it is at the same place as one of them."""
    if not region.pixels.size or any(same_place(region, each) or same_place(each, region) for each in kept):
        return None
    x0, y0, x1, y1 = region.box
    free = region.pixels.copy()
    for each in kept:
        left, top, right, bottom = each.box
        left, top, right, bottom = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
        if left < right and top < bottom:
            inside = each.pixels[top - each.y0 : bottom - each.y0, left - each.x0 : right - each.x0]
            free[top - y0 : bottom - y0, left - x0 : right - x0] &= ~inside
    return trim(free, x0, y0)
