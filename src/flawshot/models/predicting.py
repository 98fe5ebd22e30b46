"""Prediction of a data set: regions are encoded, classified and written as Labelme files, in constant memory."""

from __future__ import annotations

import importlib.metadata
import os
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from flawshot.bank.builder import image_stamps
from flawshot.bank.machines import ThisMachine
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.seals import hash_of
from flawshot.catalog import Catalog
from flawshot.models.predict_report import report_of, write_summary
from flawshot.models.predicted_files import write_table
from flawshot.models.predicted_regions import Span, predicted_records
from flawshot.models.prediction_folder import (
    RECORD,
    SUMMARY,
    TABLE,
    PredictionHeader,
    Unfinished,
    check_predictions_free,
    read_predictions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flawshot.bank.machines import Machines
    from flawshot.models.model import Model
    from flawshot.models.predict_report import PredictReport

__all__ = ["data_apart", "header_of", "predict_catalog", "spans_of"]


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
    on: Machines | None = None,
) -> PredictReport:
    """Predict all regions of a data set, and write them as Labelme files and a table.

    A region whose label is one of the model's categories counts toward the accuracy; any other label (none, ``?``,
    ``defect``, …) is ignored. Labels do not influence the predictions. Files are first written to a folder beside
    ``out``, so that ``out`` only ever contains complete predictions, and an interrupted call resumes where it stopped.
    They are the same to the byte for any number of threads or machines.

    Args:
        model: The model.
        catalog: The data set, with its root available.
        out: The folder of predictions; each annotation file has the same relative path there as in the data root.
        batch_size: As for :func:`flawshot.bank.encoding.encode_blocks`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving out its regions.
        overwrite: Whether existing predictions may be replaced, if nobody has changed them.
        progress: Called with the crops done and their total.
        on: The machines that encode, such as a :class:`flawshot.RayCluster`; this one if None.

    Raises:
        FlawshotError: If ``out`` exists, an image cannot be used and ``strict`` is set, no region can be predicted, or
            the model's encoder is not available.
    """
    out = Path(out).resolve()
    check_predictions_free(out, overwrite=overwrite)
    if catalog.root is None:
        raise FlawshotError("DATA: the catalog has no data folder to read images from")
    root = data_apart(catalog.root, out)
    images = None if catalog.images is None else data_apart(catalog.images, out)
    spans = spans_of(catalog)
    on = on or ThisMachine()
    crops = on.crops_per_call(model.encoder, batch_size)
    header = header_of(model, root, out, catalog.content_hash, image_stamps(catalog), crops, images=images)
    unfinished = Unfinished(out, header, [span.annotation for span in spans])
    try:
        records = predicted_records(
            model,
            Catalog(catalog.table, root, images=images),
            spans,
            out,
            done=unfinished.done,
            batch_size=crops,
            workers=workers,
            strict=strict,
            progress=progress,
            on=on,
        )
        for answered, labelme in records:
            unfinished.add(answered, labelme)
        report = report_of(unfinished, out, model)
        if not report.regions:
            unfinished.remove()
            raise FlawshotError(f"{out}: none of the regions could be predicted; {report.left_out[0].reason}")
        check_predictions_free(out, overwrite=overwrite)

        def write(folder: Path) -> None:
            write_table(folder / TABLE, read_predictions(folder)[1])
            write_summary(folder / SUMMARY, report)

        unfinished.finish(write)
    finally:
        unfinished.close()
    return report


def data_apart(root: Path, out: Path) -> Path:
    """The data root, resolved.

    Raises:
        FlawshotError: If it is inside the folder of predictions, or contains it.
    """
    root = root.resolve()
    if out.is_relative_to(root) or root.is_relative_to(out):
        raise FlawshotError(
            f"{argument('out', out)}: DATA and predictions must not be inside each other ({root}); name another folder"
        )
    return root


def spans_of(catalog: Catalog) -> list[Span]:
    """The rows of each annotation file, in catalog order."""
    spans, start = [], 0
    for annotation, rows in groupby(catalog.column("annotation")):
        stop = start + sum(1 for _ in rows)
        spans.append(Span(annotation, range(start, stop)))
        start = stop
    twice = [name for name, times in Counter(span.annotation for span in spans).items() if times > 1]
    if twice:
        raise FlawshotError(f"{twice[0]}: its instances are not contiguous in the catalog; rebuild the catalog")
    for span in spans:
        if span.annotation in {RECORD, SUMMARY, TABLE}:
            raise FlawshotError(f"{span.annotation}: is the name of a file of the predictions; rename it")
    return spans


def header_of(model: Model, root: Path, out: Path, *request: object, images: Path | None = None) -> PredictionHeader:
    """What a folder of predictions belongs to.

    Args:
        model: The model.
        root: The data root, resolved.
        out: The folder of predictions, resolved.
        request: JSON values of everything else that the predictions depend on.
        images: The folder of the images, resolved, if it is not the data root.
    """
    places = (str(root),) if images is None else (str(root), str(images))
    return PredictionHeader(
        format="flawshot-predictions",
        version=1,
        flawshot=importlib.metadata.version("flawshot"),
        model=model.path.resolve().name,
        model_hash=model.hash,
        categories=model.categories,
        data=os.path.relpath(root, out).replace(os.sep, "/"),
        images=None if images is None else os.path.relpath(images, out).replace(os.sep, "/"),
        request=hash_of(model.hash, model.encoder.record.model_dump(mode="json"), *places, *request),
    )
