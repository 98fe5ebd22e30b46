"""Regions with their predictions: encoded, classified, and as Labelme files, annotation file by annotation file."""

from __future__ import annotations

import hashlib
import math
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.bank.blocks import groups_of, rows_per_block, whole_blocks
from flawshot.bank.machines import ThisMachine
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

    from flawshot.bank.blocks import WholeBlock
    from flawshot.bank.machines import Machines
    from flawshot.catalog.instances import Instance
    from flawshot.labelme.labelme_file import LabelmeFile
    from flawshot.models.model import Model
    from flawshot.models.predictions import Prediction
    from flawshot.regions.found import FoundRegion

__all__ = ["Rank", "Span", "labelme_bytes", "predicted_records"]

# Digits of a probability, and of a novelty; features have three or four.
DIGITS = 6


class Rank(NamedTuple):
    """The rank of a region that was suggested for labeling, from 1, and why it was."""

    rank: int
    why: str


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
    done: int = 0,
    found: Mapping[int, FoundRegion] = MappingProxyType({}),
    suggested: Mapping[int, Rank] = MappingProxyType({}),
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
    on: Machines | None = None,
) -> Iterator[tuple[FileRecord, bytes | None]]:
    """Predict the regions of some annotation files, in order, in constant memory.

    Files are encoded and classified in blocks, counted from the first, so that predictions are the same to the byte
    for any number of threads or machines, and whether or not the work was interrupted.

    Args:
        model: The model.
        catalog: The regions, with their root available.
        spans: The rows of each annotation file; others are not predicted.
        out: The folder that the Labelme files will be in.
        done: The number of files at the beginning whose records are known already, and not wanted again.
        found: The rows whose region a finder put there, and what it said.
        suggested: The rows whose region was suggested for labeling.
        batch_size: As for :func:`flawshot.bank.encoding.encode_blocks`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving out its regions.
        progress: Called with the crops done and their total.
        on: The machines that encode; this one if None.

    Yields:
        The record of each annotation file, and its Labelme file, if a region of it could be predicted.

    Raises:
        FlawshotError: If an image cannot be used and ``strict`` is set, or the model's encoder is not available.
    """
    if catalog.root is None:
        raise FlawshotError("the catalog has no data folder to read images from")
    kept = _Kept(catalog.table, catalog.root, images=catalog.images)
    on = on or ThisMachine()
    encoder, views = model.encoder, len(model.scheme.views)
    crops = on.crops_per_call(encoder, batch_size)
    groups = groups_of(spans, rows_per_block(encoder, views, crops), lambda span: len(span.rows))
    while groups and len(groups[0]) <= done:
        done -= len(groups.pop(0))
    blocks = [[row for span in group for row in span.rows] for group in groups]
    encoded = on.encode_blocks(
        kept, blocks, encoder, model.scheme, batch_size=crops, workers=workers, progress=progress
    )
    for group, block in zip(groups, whole_blocks(blocks, encoded), strict=True):
        if strict and block.reasons:
            reason = next(iter(block.reasons.values()))
            raise FlawshotError(f"{reason} (without {argument('strict', True)} its regions are left out)")
        yield from islice(_answered(model, kept, out, group, block, found=found, suggested=suggested), done, None)
        done = 0


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

    def take(self, index: int) -> Instance:
        """An instance that is not requested again; built now if another machine read its image."""
        made = self.taken.pop(index, None)
        return super().__getitem__(index) if made is None else made


def _answered(
    model: Model,
    kept: _Kept,
    out: Path,
    spans: Sequence[Span],
    block: WholeBlock,
    *,
    found: Mapping[int, FoundRegion],
    suggested: Mapping[int, Rank],
) -> Iterator[tuple[FileRecord, bytes | None]]:
    """Yield the record of each annotation file, and its Labelme file."""
    rows = sorted(block.features)
    given: dict[int, Prediction] = {}
    if rows:
        features = np.stack([block.features[row][:, 0] for row in rows]).astype(np.float32)
        predictions = model.judge(features, [found[row].shares if row in found else None for row in rows])
        given = dict(zip(rows, predictions, strict=True))
    for span in spans:
        own = {row: kept.take(row) for row in span.rows}
        answers = {
            row: _answer(own[row], given[row], model, found.get(row), suggested.get(row))
            for row in span.rows
            if row in given
        }
        missing = [row for row in span.rows if row not in given]
        left_out = None
        if missing:
            left_out = LeftOut(
                image=own[missing[0]].image,
                reason=block.reasons[missing[0]],
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


def _answer(
    instance: Instance, said: Prediction, model: Model, found: FoundRegion | None, suggested: Rank | None
) -> RegionPrediction:
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
        novelty=float(f"{said.novelty:.{DIGITS}g}"),
        found=found is not None,
        score=round(float(score), DIGITS) if score is not None and math.isfinite(score) else None,
        outline=None if found is None else recorded_outline(found.shape),
        rank=None if suggested is None else suggested.rank,
        why="" if suggested is None else suggested.why,
    )
