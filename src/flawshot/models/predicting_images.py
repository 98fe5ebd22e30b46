"""Prediction of bare images: a finder's regions are classified and written as Labelme files, block by block."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from flawshot.base.arguments import in_python
from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.base.records import LeftOut
from flawshot.catalog import Catalog
from flawshot.catalog.table import SCHEMA, row_of
from flawshot.labelme.data_folder import annotation_files, find_image
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes
from flawshot.models.image_regions import ImageEntry, annotated_image, found_on, stop
from flawshot.models.predict_report import report_of, write_summary
from flawshot.models.predicted_files import write_problems, write_suggestions, write_table
from flawshot.models.predicted_regions import Span, labelme_bytes, predicted_records
from flawshot.models.predicting import data_apart, header_of
from flawshot.models.prediction_folder import (
    PROBLEMS,
    SUGGESTIONS,
    SUMMARY,
    TABLE,
    FileRecord,
    RecordedProblem,
    Unfinished,
    check_predictions_free,
    read_predictions,
)
from flawshot.regions.found import FoundOnImage, FoundRegion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from flawshot.catalog.instances import Instance
    from flawshot.formats.scored_shapes import ShapeReader
    from flawshot.models.image_regions import Find
    from flawshot.models.model import Model
    from flawshot.models.predict_report import PredictReport
    from flawshot.models.predicted_regions import Rank

__all__ = ["annotation_names", "annotations_of", "entries_of", "found_by", "predict_images"]

# A finder is given this many images at a time; memory is that for their regions.
IMAGES_AT_ONCE = 32


def predict_images(
    model: Model,
    root: str | Path,
    images: Sequence[str],
    find: Find,
    out: str | Path,
    *,
    request: str,
    again: Callable[[Sequence[str]], Sequence[str]] | None = None,
    annotations: Mapping[str, str] = MappingProxyType({}),
    among: Sequence[str] = (),
    suggested: Mapping[str, Rank] = MappingProxyType({}),
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    problems: Iterable[Problem] = (),
    progress: Callable[[int, int], None] | None = None,
) -> PredictReport:
    """Find regions on images, predict them, and write them as Labelme files and a table.

    Every usable image gets a Labelme file, also one on which nothing was found, so that a person can draw there what
    was missed. Annotated regions are predicted, too, and stay; a found region that repeats one, as
    :func:`~flawshot.evaluation.found_matches.same_place` has it, is dropped. As in
    :func:`~flawshot.models.predicting.predict_catalog`, files are first written to a folder beside ``out``, and an
    interrupted call resumes where it stopped. Memory does not depend on the number of images, except for their names.

    Args:
        model: The model.
        root: The folder of the images.
        images: Their paths relative to it (POSIX).
        find: Finds regions: called with some images in order, it yields one value for each.
        out: The folder of predictions; see :func:`annotation_names` for the files' names.
        request: What identifies the finder and everything that its regions depend on besides the images, such as a
            hash; unfinished predictions with another one are not resumed.
        again: Given images that an earlier call has done, tells which of them the finder must see once more, because of
            what it does besides finding.
        annotations: The Labelme files of images that have one, relative to ``root`` (POSIX).
        among: All images of the folder, if only some are predicted: files are named as if all were.
        suggested: The regions that were suggested for labeling, by their ids.
        batch_size: As for :func:`flawshot.bank.encoding.encode_blocks`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving it out.
        overwrite: Whether existing predictions may be replaced, if nobody has changed them.
        problems: What is already known to be left out, or odd; it is listed in the folder with what else will be.
        progress: Called with the images done and their total.

    Raises:
        FlawshotError: If ``out`` exists, an image cannot be used and ``strict`` is set, no image can be used, or the
            model's encoder is not available.
    """
    out = Path(out).resolve()
    check_predictions_free(out, overwrite=overwrite)
    root = data_apart(Path(root), out)
    if not images:
        raise FlawshotError(f"{root}: contains no image")
    entries = entries_of(root, images, annotations, among)
    header = header_of(model, root, out, "images", request, _stamps(root, entries))
    unfinished = Unfinished(out, header, [entry.annotation for entry in entries])
    try:
        for start in range(0, unfinished.done if again is not None else 0, IMAGES_AT_ONCE):
            done = [entry.image for entry in entries[start : min(start + IMAGES_AT_ONCE, unfinished.done)]]
            if missing := again(done) if again is not None else ():
                _ = list(find(missing))
            if progress is not None:
                progress(start + len(done), len(entries))
        for start in range(unfinished.done, len(entries), IMAGES_AT_ONCE):
            block = entries[start : start + IMAGES_AT_ONCE]
            on_images = found_on(find, block, strict=strict)
            for record, labelme in _block(model, root, out, block, on_images, suggested, batch_size, workers, strict):
                unfinished.add(record, labelme)
            if progress is not None:
                progress(start + len(block), len(entries))
        report = report_of(unfinished, out, model)
        if len(report.left_out) == len(entries) and not report.regions:
            unfinished.remove()
            raise FlawshotError(f"{out}: none of the images could be used; {report.left_out[0].reason}")
        check_predictions_free(out, overwrite=overwrite)
        every = [*problems, *report.problems]
        unfinished.finish(lambda folder: _tables(folder, report, every, suggested=bool(suggested)))
    finally:
        unfinished.close()
    return report


def _tables(folder: Path, report: PredictReport, problems: Sequence[Problem], *, suggested: bool) -> None:
    write_table(folder / TABLE, read_predictions(folder)[1], finders=True)
    write_problems(folder / PROBLEMS, problems)
    if suggested:
        write_suggestions(folder / SUGGESTIONS, read_predictions(folder)[1])
    else:  # regions that were chosen for being unusual say nothing about the data
        write_summary(folder / SUMMARY, report)


def entries_of(
    root: Path, images: Sequence[str], annotations: Mapping[str, str], among: Sequence[str] = ()
) -> list[ImageEntry]:
    """Some images of a folder, with the names of their Labelme files; see :func:`predict_images`."""
    names = annotation_names(root, among or images, annotations)
    return [ImageEntry(image, names[image], exists=image in annotations) for image in dict.fromkeys(images)]


def annotation_names(root: Path, images: Sequence[str], annotations: Mapping[str, str]) -> dict[str, str]:
    """The name of each image's Labelme file in the folder of predictions, by image, in the order of the images.

    It is that of the image's annotation, if it has one; otherwise the image's own with ``.json`` in place of its
    suffix. If several images, or a file of the data, would have that name, ``.json`` follows the suffix.

    Args:
        root: The folder of the images.
        images: Their paths relative to it (POSIX).
        annotations: The Labelme files of images that have one, likewise.

    Raises:
        FlawshotError: If two images would still have the same name; it names both.

    >>> annotation_names(Path("nowhere"), ["a.jpg", "b.jpg", "b.png"], {})
    {'a.jpg': 'a.json', 'b.jpg': 'b.jpg.json', 'b.png': 'b.png.json'}
    """
    plain = {image: annotations.get(image) or PurePosixPath(image).with_suffix(".json").as_posix() for image in images}
    times = Counter(name.casefold() for name in plain.values())
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    for image, usual in plain.items():
        taken = times[usual.casefold()] > 1 or (root / usual).exists()
        name = f"{image}.json" if taken and image not in annotations else usual
        other = owners.setdefault(name.casefold(), image)
        if other != image:
            raise FlawshotError(f"{image}: would have the same file of predictions {name} as {other}; rename one")
        names[image] = name
    return names


def _stamps(root: Path, entries: Iterable[ImageEntry]) -> str:
    """A hash of the images' names, sizes and modification times, and of those of their annotations."""
    digest = hashlib.sha256()
    for entry in entries:
        stamp: list[object] = [entry.image, entry.annotation]
        for name in (entry.image, entry.annotation) if entry.exists else (entry.image,):
            try:
                status = (root / name).stat()
            except OSError:
                stamp.append(None)
            else:
                stamp += [status.st_size, status.st_mtime_ns]
        digest.update(json.dumps(stamp).encode())
    return digest.hexdigest()


def _block(  # noqa: PLR0917 - all of it is one call's
    model: Model,
    root: Path,
    out: Path,
    block: Sequence[ImageEntry],
    on_images: Sequence[FoundOnImage],
    suggested: Mapping[str, Rank],
    batch_size: int,
    workers: int,
    strict: bool,  # noqa: FBT001
) -> Iterator[tuple[FileRecord, bytes | None]]:
    """The records of some images in order, and their Labelme files."""
    annotated = [annotated_image(root, entry, on_image) for entry, on_image in zip(block, on_images, strict=True)]
    rows: list[Instance] = []
    spans: list[Span] = []
    found: dict[int, FoundRegion] = {}
    for entry, each in zip(block, annotated, strict=True):
        if strict:
            stop(each.reason)
        first = len(rows)
        rows += each.instances
        found |= {
            first + number: each.found[instance.shapes[0].index]
            for number, instance in enumerate(each.instances)
            if instance.shapes[0].index in each.found
        }
        if each.instances:
            spans.append(Span(entry.annotation, range(first, len(rows)), entry.exists))
    catalog = Catalog(pa.Table.from_pylist([row_of(row) for row in rows], schema=SCHEMA), root)
    ranks = {row: suggested[each.id] for row, each in enumerate(rows) if each.id in suggested}
    records = predicted_records(
        model,
        catalog,
        spans,
        out,
        found=found,
        suggested=ranks,
        batch_size=batch_size,
        workers=workers,
        strict=strict,
    )
    for entry, each, on_image in zip(block, annotated, on_images, strict=True):
        if each.instances:
            record, labelme = next(records)
        else:
            labelme = None
            if not each.reason:
                labelme = labelme_bytes(each.file, {}, root / entry.image, out / entry.annotation)
            digest = None if labelme is None else hashlib.sha256(labelme).hexdigest()
            record = FileRecord(annotation=entry.annotation, file_hash=digest, answers=())
        left_out = record.left_out
        if left_out is None and each.reason:
            left_out = LeftOut(image=entry.image, reason=each.reason, instances=())
        score = float(on_image.score) if on_image.score is not None and math.isfinite(on_image.score) else None
        if left_out is not None:  # stored as Python writes arguments
            left_out = left_out.model_copy(update={"reason": in_python(left_out.reason)})
        noted = tuple(map(RecordedProblem.of, (*on_image.problems, *each.problems)))
        told = {"image": entry.image, "image_score": score, "left_out": left_out, "problems": noted}
        yield record.model_copy(update=told), labelme


def annotations_of(root: Path, images: Sequence[str], problems: list[Problem]) -> dict[str, str]:
    """The Labelme files of some images under their folder, by image, relative to it (POSIX).

    Args:
        root: The folder.
        images: The images' paths relative to it (POSIX).
        problems: Files that cannot be read, or annotate none of the images, or one that another annotates, are added.
    """
    root, known = root.resolve(), frozenset(images)
    found: dict[str, str] = {}
    for name in annotation_files(root, problems):
        try:
            file, _ = parse_labelme(annotation_bytes(root / name, name), name)
        except AnnotationError as error:
            foreign = error.problem.kind == "not-labelme"  # such as the boxes themselves, or a camera's settings
            problems.append(replace(error.problem, severity="warning") if foreign else error.problem)
            continue
        image = find_image(name, file, root, [])
        if image not in known:
            problems.append(Problem(name, "other-image", f"its image {image} is not among the images", "warning"))
        elif image in found:
            problems.append(Problem(name, "two-annotations", f"{found[image]} annotates {image}, too, and is used"))
        else:
            found[image] = name
    return found


def found_by(reader: ShapeReader) -> Find:
    """The finder that gives what another program found.

    Args:
        reader: Reads it.
    """

    def find(images: Sequence[str]) -> Iterator[FoundOnImage]:
        for image in images:
            said = reader.read(image)
            regions = tuple(FoundRegion(each.shape, each.score) for each in said.shapes)
            yield FoundOnImage(regions, said.score, said.reason, said.problems)

    return find
