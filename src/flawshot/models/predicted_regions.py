"""Regions with their predictions: encoded, classified, and as Labelme files, annotation file by annotation file."""

from __future__ import annotations

import hashlib
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.bank.encoding import encode_rows
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.records import LeftOut
from flawshot.base.store.files import json_bytes
from flawshot.catalog import Catalog
from flawshot.formats.catalog_labelme import labelme_file
from flawshot.labelme.labelme_file import labelme_document
from flawshot.models.found_outlines import recorded_outline
from flawshot.models.predicted_files import predicted_file
from flawshot.models.prediction_folder import FileRecord, RegionPrediction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from flawshot.bank.encoding import Encoded
    from flawshot.catalog.instances import Instance
    from flawshot.labelme.labelme_file import LabelmeFile
    from flawshot.models.model import Model
    from flawshot.models.predictions import Prediction
    from flawshot.regions.found import FoundRegion

__all__ = ["Span", "labelme_bytes", "predicted_records"]

# The least number of regions that are classified at once.
REGIONS_AT_ONCE = 256
# Digits of a probability; features have three or four.
DIGITS = 6


class Span(NamedTuple):
    """The rows of one annotation file.

    Attributes:
        annotation: Its path relative to the data root (POSIX).
        rows: The rows.
        exists: Whether there is such a file; if not, the rows are all that is known.
    """

    annotation: str
    rows: range
    exists: bool = True


def predicted_records(
    model: Model,
    catalog: Catalog,
    spans: Sequence[Span],
    out: Path,
    *,
    found: Mapping[int, FoundRegion] = MappingProxyType({}),
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[FileRecord, bytes | None]]:
    """Predict the regions of some annotation files, in order, in constant memory.

    Args:
        model: The model.
        catalog: The regions, with their root available.
        spans: The rows of each annotation file; others are not predicted.
        out: The folder that the Labelme files will be in.
        found: The rows whose region a finder put there, and what it said.
        batch_size: As for :func:`flawshot.bank.encoding.encode_rows`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving out its regions.
        progress: Called with the crops done and their total.

    Yields:
        The record of each annotation file, and its Labelme file, if a region of it could be predicted.

    Raises:
        FlawshotError: If an image cannot be used and ``strict`` is set, or the model's encoder is not available.
    """
    if catalog.root is None:
        raise FlawshotError("the catalog has no data folder to read images from")
    kept = _Kept(catalog.table, catalog.root, images=catalog.images)
    encoded = encode_rows(
        kept,
        [row for span in spans for row in span.rows],
        model.encoder,
        model.scheme,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
    )
    for several in _gathered(spans, encoded, strict=strict):
        yield from _answered(model, kept, out, several, found)


class _Kept(Catalog):
    """A catalog that keeps requested instances until they are used, because building one again is expensive.

    Attributes:
        taken: The kept instances, by row.
        place: The data root.
        pictures: The folder of the images.
    """

    def __init__(self, table: pa.Table, root: Path, *, images: Path | None = None) -> None:
        super().__init__(table, root, images=images)
        self.place, self.pictures = root, root if images is None else images
        self.taken: dict[int, Instance] = {}

    def __getitem__(self, index: int) -> Instance:
        self.taken[index] = super().__getitem__(index)
        return self.taken[index]


class _Gathered(NamedTuple):
    """Some annotation files whose regions have all been encoded or found unusable."""

    spans: list[Span]
    features: dict[int, NDArray[np.float16]]
    reasons: dict[int, str]


def _gathered(spans: Sequence[Span], encoded: Iterator[Encoded], *, strict: bool) -> Iterator[_Gathered]:
    """Yield complete annotation files in order, many regions at a time."""
    now = _Gathered([], {}, {})
    waiting = iter(spans)
    current, ready_rows = next(waiting, None), 0
    for part in encoded:
        for number, row in enumerate(part.rows):
            if part.features is None:
                if strict:
                    raise FlawshotError(f"{part.reason} (without {argument('strict', True)} its regions are left out)")
                now.reasons[row] = part.reason
            else:
                now.features[row] = part.features[number, :, 0].copy()
        # Images that cannot be decoded arrive before those still being encoded.
        while current is not None and all(row in now.features or row in now.reasons for row in current.rows):
            now.spans.append(current)
            ready_rows += len(current.rows)
            current = next(waiting, None)
        if ready_rows >= REGIONS_AT_ONCE:
            (ready, now), ready_rows = _parted(now), 0
            yield ready
    if now.spans:
        yield now


def _parted(now: _Gathered) -> tuple[_Gathered, _Gathered]:
    """Split into what is ready, and what waits for the rest of its annotation file."""
    rows = {row for span in now.spans for row in span.rows}
    ready = _Gathered(
        now.spans,
        {row: value for row, value in now.features.items() if row in rows},
        {row: value for row, value in now.reasons.items() if row in rows},
    )
    rest = _Gathered(
        [],
        {row: value for row, value in now.features.items() if row not in rows},
        {row: value for row, value in now.reasons.items() if row not in rows},
    )
    return ready, rest


def _answered(
    model: Model, kept: _Kept, out: Path, several: _Gathered, found: Mapping[int, FoundRegion]
) -> Iterator[tuple[FileRecord, bytes | None]]:
    """Yield the record of each annotation file, and its Labelme file."""
    rows = sorted(several.features)
    given: dict[int, Prediction] = {}
    if rows:
        features = np.stack([several.features[row] for row in rows]).astype(np.float32)
        predictions = model.judge(features, [found[row].shares if row in found else None for row in rows])
        given = dict(zip(rows, predictions, strict=True))
    for span in several.spans:
        own = {row: kept.taken.pop(row) for row in span.rows}
        answers = {row: _answer(own[row], given[row], model, found.get(row)) for row in span.rows if row in given}
        missing = [row for row in span.rows if row not in given]
        left_out = None
        if missing:
            left_out = LeftOut(
                image=own[missing[0]].image,
                reason=several.reasons[missing[0]],
                instances=tuple(own[row].id for row in missing),
            )
        labelme = _labelme(own, answers, kept, out, span) if answers else None
        digest = None if labelme is None else hashlib.sha256(labelme).hexdigest()
        yield (
            FileRecord(
                annotation=span.annotation, file_hash=digest, answers=tuple(answers.values()), left_out=left_out
            ),
            labelme,
        )


def _labelme(
    own: dict[int, Instance], answers: dict[int, RegionPrediction], kept: _Kept, out: Path, span: Span
) -> bytes:
    instances = list(own.values())
    by_shape = {shape.index: answer for row, answer in answers.items() for shape in own[row].shapes}
    file = labelme_file(instances, kept.place if span.exists else None)
    return labelme_bytes(file, by_shape, kept.pictures / instances[0].image, out / span.annotation)


def labelme_bytes(file: LabelmeFile, answers: Mapping[int, RegionPrediction], image: Path, place: Path) -> bytes:
    """A Labelme file with predictions in place of its labels, as it is stored.

    Args:
        file: The annotation.
        answers: The predictions, by shape index.
        image: The path of its image, which is embedded in the annotation if there is no such file.
        place: Path that the file will have.
    """
    made = predicted_file(file, answers, image=image if image.is_file() else None, place=place)
    return json_bytes(labelme_document(made), place, indent=None)  # 20 times faster than with line breaks


def _answer(instance: Instance, said: Prediction, model: Model, found: FoundRegion | None) -> RegionPrediction:
    score = None if found is None else found.score
    return RegionPrediction(
        id=instance.id,
        image=instance.image,
        box=instance.box,
        was=instance.category,
        true=instance.category if instance.category in model.categories else None,
        example=model.is_example(instance),
        predicted=said.label,
        probability=round(said.probability, DIGITS),
        runner_up=said.runner_up,
        runner_up_probability=round(said.runner_up_probability, DIGITS),
        categories=said.categories,
        unsure=said.unsure,
        unknown=said.unknown,
        found=found is not None,
        score=round(float(score), DIGITS) if score is not None and math.isfinite(score) else None,
        outline=None if found is None else recorded_outline(found.shape),
    )
