"""Prediction of a data set: regions are encoded, classified and written as Labelme files, in constant memory."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.bank.builder import image_stamps
from flawshot.bank.encoding import encode_rows
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.records import LeftOut
from flawshot.base.store.files import json_bytes
from flawshot.base.store.seals import hash_of
from flawshot.catalog import Catalog
from flawshot.formats.catalog_labelme import labelme_file
from flawshot.labelme.labelme_file import labelme_document
from flawshot.models.accuracy import measure_accuracy
from flawshot.models.predicted_files import predicted_file, write_table
from flawshot.models.prediction_folder import (
    RECORD,
    TABLE,
    FileRecord,
    PredictionHeader,
    RegionPrediction,
    Unfinished,
    check_predictions_free,
    read_predictions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from flawshot.bank.encoding import Encoded
    from flawshot.catalog.instances import Instance
    from flawshot.models.model import Model
    from flawshot.models.predictions import Prediction
    from flawshot.models.record import Accuracy

__all__ = ["PredictReport", "predict_catalog"]

# The least number of regions that are classified at once.
REGIONS_AT_ONCE = 256
# Digits of a probability; features have three or four.
DIGITS = 6


class PredictReport(NamedTuple):
    """What :func:`predict_catalog` did.

    Attributes:
        out: The folder of predictions.
        regions: Number of predicted regions, including those of earlier calls.
        kept: Number of annotation files processed by an earlier call.
        predicted: Number of regions predicted as each category, in label order.
        unsure: Number of regions that a person should look at.
        unknown: Number of regions that are unlike every category.
        examples: Number of regions that are the model's own examples.
        left_out: Images that could not be used.
        accuracy: Accuracy on regions that are not examples and whose label is one of the model's categories; None if
            there are none.
    """

    out: Path
    regions: int
    kept: int
    predicted: dict[str, int]
    unsure: int
    unknown: int
    examples: int
    left_out: tuple[LeftOut, ...]
    accuracy: Accuracy | None


class _Span(NamedTuple):
    """The rows of one annotation file."""

    annotation: str
    rows: range


def predict_catalog(
    model: Model,
    catalog: Catalog,
    out: str | Path,
    *,
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PredictReport:
    """Predict all regions of a data set, and write them as Labelme files and a table.

    A region whose label is one of the model's categories counts toward the accuracy; any other label (none, ``?``,
    ``defect``, …) is ignored. Labels do not influence the predictions. Files are first written to a folder beside
    ``out``, so that ``out`` only ever contains complete predictions, and an interrupted call resumes where it stopped.

    Args:
        model: The model.
        catalog: The data set, with its root available.
        out: The folder of predictions; each annotation file has the same relative path there as in the data root.
        batch_size: As for :func:`flawshot.bank.encoding.encode_rows`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving out its regions.
        overwrite: Whether existing predictions may be replaced, if nobody has changed them.
        progress: Called with the crops done and their total.

    Raises:
        FlawshotError: If ``out`` exists, an image cannot be used and ``strict`` is set, no region can be predicted, or
            the model's encoder is not available.
    """
    out = Path(out).resolve()
    check_predictions_free(out, overwrite=overwrite)
    root = _root(catalog, out)
    spans = _spans(catalog)
    header = _header(model, catalog, root, out)
    unfinished = Unfinished(out, header, [span.annotation for span in spans])
    try:
        left = spans[unfinished.done :]
        kept = _Kept(catalog.table, root)
        encoded = encode_rows(
            kept,
            [row for span in left for row in span.rows],
            model.encoder,
            model.scheme,
            batch_size=batch_size,
            workers=workers,
            progress=progress,
        )
        for several in _gathered(left, encoded, strict=strict):
            for answered, labelme in _answered(model, kept, root, out, several):
                unfinished.add(answered, labelme)
        report = _report(unfinished, out)
        if not report.regions:
            unfinished.remove()
            raise FlawshotError(f"{out}: none of the regions could be predicted; {report.left_out[0].reason}")
        check_predictions_free(out, overwrite=overwrite)
        unfinished.finish(lambda folder: write_table(folder / TABLE, _answers(folder)))
    finally:
        unfinished.close()
    return report


def _root(catalog: Catalog, out: Path) -> Path:
    if catalog.root is None:
        raise FlawshotError("DATA: the catalog has no data folder to read images from")
    root = catalog.root.resolve()
    if out.is_relative_to(root) or root.is_relative_to(out):
        raise FlawshotError(
            f"{argument('out', out)}: DATA and predictions must not be inside each other ({root}); name another folder"
        )
    return root


def _spans(catalog: Catalog) -> list[_Span]:
    """The rows of each annotation file, in catalog order."""
    spans, start = [], 0
    for annotation, rows in groupby(catalog.column("annotation")):
        stop = start + sum(1 for _ in rows)
        spans.append(_Span(annotation, range(start, stop)))
        start = stop
    twice = [name for name, times in Counter(span.annotation for span in spans).items() if times > 1]
    if twice:
        raise FlawshotError(f"{twice[0]}: its instances are not contiguous in the catalog; rebuild the catalog")
    for span in spans:
        if span.annotation in {RECORD, TABLE}:
            raise FlawshotError(f"{span.annotation}: is the name of a file of the predictions; rename it")
    return spans


def _header(model: Model, catalog: Catalog, root: Path, out: Path) -> PredictionHeader:
    request = hash_of(
        model.hash,
        model.encoder.record.model_dump(mode="json"),
        str(root),
        catalog.content_hash,
        image_stamps(catalog),
    )
    return PredictionHeader(
        format="flawshot-predictions",
        version=1,
        flawshot=importlib.metadata.version("flawshot"),
        model=model.path.resolve().name,
        model_hash=model.hash,
        categories=model.categories,
        data=os.path.relpath(root, out).replace(os.sep, "/"),
        request=request,
    )


class _Kept(Catalog):
    """A catalog that keeps requested instances until they are used, because building one again is expensive.

    Attributes:
        taken: The kept instances, by row.
    """

    def __init__(self, table: pa.Table, root: Path) -> None:
        super().__init__(table, root)
        self.taken: dict[int, Instance] = {}

    def __getitem__(self, index: int) -> Instance:
        self.taken[index] = super().__getitem__(index)
        return self.taken[index]


class _Gathered(NamedTuple):
    """Some annotation files whose regions have all been encoded or found unusable."""

    spans: list[_Span]
    features: dict[int, NDArray[np.float16]]
    reasons: dict[int, str]


def _gathered(spans: Sequence[_Span], encoded: Iterator[Encoded], *, strict: bool) -> Iterator[_Gathered]:
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
    model: Model, kept: _Kept, root: Path, out: Path, several: _Gathered
) -> Iterator[tuple[FileRecord, bytes | None]]:
    """Yield the record of each annotation file, and its Labelme file."""
    rows = sorted(several.features)
    given: dict[int, Prediction] = {}
    if rows:
        predictions = model.judge(np.stack([several.features[row] for row in rows]).astype(np.float32))
        given = dict(zip(rows, predictions, strict=True))
    for span in several.spans:
        own = {row: kept.taken.pop(row) for row in span.rows}
        answers = {row: _answer(own[row], given[row], model) for row in span.rows if row in given}
        missing = [row for row in span.rows if row not in given]
        left_out = None
        if missing:
            left_out = LeftOut(
                image=own[missing[0]].image,
                reason=several.reasons[missing[0]],
                instances=tuple(own[row].id for row in missing),
            )
        labelme = _labelme(own, answers, root, out / span.annotation) if answers else None
        digest = None if labelme is None else hashlib.sha256(labelme).hexdigest()
        yield (
            FileRecord(
                annotation=span.annotation, file_hash=digest, answers=tuple(answers.values()), left_out=left_out
            ),
            labelme,
        )


def _labelme(own: dict[int, Instance], answers: dict[int, RegionPrediction], root: Path, place: Path) -> bytes:
    instances = list(own.values())
    image = root / instances[0].image
    by_shape = {shape.index: answer for row, answer in answers.items() for shape in own[row].shapes}
    made = predicted_file(
        labelme_file(instances, root), by_shape, image=image if image.is_file() else None, place=place
    )
    return json_bytes(labelme_document(made), place, indent=None)  # 20 times faster than with line breaks


def _answer(instance: Instance, said: Prediction, model: Model) -> RegionPrediction:
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
    )


def _answers(folder: Path) -> Iterator[RegionPrediction]:
    for answered in read_predictions(folder)[1]:
        yield from answered.answers


def _report(unfinished: Unfinished, out: Path) -> PredictReport:
    """Count the predictions; only those of labeled regions are kept in memory."""
    header, lines = read_predictions(unfinished.folder)
    counts = Counter[str]()
    unsure = unknown = examples = 0
    left_out: list[LeftOut] = []
    truth: list[str] = []
    predicted: list[str] = []
    images: list[str] = []
    for answered in lines:
        if answered.left_out is not None:
            left_out.append(answered.left_out)
        for answer in answered.answers:
            counts[answer.predicted] += 1
            unsure += answer.unsure
            unknown += answer.unknown
            examples += answer.example
            if answer.true is not None and not answer.example:
                truth.append(answer.true)
                predicted.append(answer.predicted)
                images.append(answer.image)
    return PredictReport(
        out=out,
        regions=counts.total(),
        kept=unfinished.done,
        predicted={category: counts[category] for category in header.categories},
        unsure=unsure,
        unknown=unknown,
        examples=examples,
        left_out=tuple(left_out),
        accuracy=measure_accuracy(truth, predicted, images, folds=1),
    )
