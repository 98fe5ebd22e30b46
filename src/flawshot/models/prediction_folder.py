"""A folder of predictions: Labelme files, a table, and a record; writing it can resume after an interruption."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SerializerFunctionWrapHandler, field_validator, model_serializer

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.records import LeftOut  # noqa: TC001 - pydantic reads it
from flawshot.base.store.files import Document, document_lines, one_line, parse_document
from flawshot.base.store.places import put, settle
from flawshot.base.store.seals import sha256_of
from flawshot.base.store.unfinished import UnfinishedFolder, unfinished_place
from flawshot.labelme.data_folder import LEAVES
from flawshot.models.found_outlines import FoundOutline  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "PROBLEMS",
    "RECORD",
    "SUGGESTIONS",
    "SUMMARY",
    "TABLE",
    "FileRecord",
    "PredictionHeader",
    "RecordedProblem",
    "RegionPrediction",
    "Unfinished",
    "check_predictions_free",
    "read_predictions",
]

RECORD, TABLE, PROBLEMS, SUGGESTIONS = "predictions.jsonl", "predictions.csv", "problems.txt", "suggestions.csv"
# Not .json: every such file in the folder is a Labelme file.
SUMMARY = "summary.jsonl"
REMEDY = "predict again into another folder"


class PredictionHeader(Document):
    """What a folder of predictions belongs to; the first line of ``predictions.jsonl``.

    Attributes:
        flawshot: The version that predicted.
        model: The name of the model's folder.
        model_hash: SHA-256 of its ``model.json``.
        categories: The model's categories in label order.
        data: The data root with images and annotations, relative to the folder of predictions (POSIX).
        images: The folder of the images, likewise, if it is not the data root.
        request: A hash of everything that the predictions depend on.
    """

    format: Literal["flawshot-predictions"]
    version: Literal[1]
    flawshot: str
    model: str
    model_hash: str
    categories: tuple[str, ...]
    data: str
    images: str | None = None
    request: str


class RegionPrediction(Document):
    """The prediction of one region.

    Attributes:
        id: The instance's id in the data.
        image: Its image, relative to the data root (POSIX).
        box: (x0, y0, x1, y1) of its mask, half-open, px.
        was: Its label in the data; empty if it has none.
        true: The same if it is one of the model's categories, else None.
        example: Whether it is one of the model's own examples, by file name and box; then it does not count toward the
            accuracy.
        predicted: The most probable category.
        probability: Its probability.
        runner_up: The second most probable category.
        runner_up_probability: Its probability.
        categories: The prediction set, most probable first.
        unsure: Whether a person should look at it.
        unknown: Whether it is unlike every category.
        novelty: How unlike every category it is; None in files written by earlier versions.
        found: Whether a finder, and not a person, put it on the image.
        score: What the finder scored it; None if a person drew it, or the finder gives none.
        outline: Its outline as it was found, which remains known if a person deletes it; None if a person drew it.
        rank: Its place among the regions that were suggested for labeling, from 1; None if it was not.
        why: Why it was suggested.
    """

    id: str
    image: str
    box: tuple[int, int, int, int]
    was: str
    true: str | None
    example: bool
    predicted: str
    probability: float
    runner_up: str
    runner_up_probability: float
    categories: tuple[str, ...]
    unsure: bool
    unknown: bool
    novelty: float | None = None
    found: bool = False
    score: float | None = None
    outline: FoundOutline | None = None
    rank: int | None = None
    why: str = ""

    @model_serializer(mode="wrap")
    def _told(self, usual: SerializerFunctionWrapHandler) -> dict[str, Any]:
        absent = () if self.found else ("found", "score", "outline")
        absent = absent if self.novelty is not None else (*absent, "novelty")
        return _without(usual(self), absent if self.rank is not None else (*absent, "rank", "why"))


class RecordedProblem(Document):
    """A problem of an image in which regions were looked for; see :class:`flawshot.base.errors.Problem`."""

    file: str
    kind: str
    message: str
    severity: Literal["error", "warning"]
    shape: int | None

    @classmethod
    def of(cls, problem: Problem) -> RecordedProblem:
        """A problem as it is stored, with arguments as Python writes them."""
        return cls(
            file=problem.file,
            kind=problem.kind,
            message=problem.message,
            severity=problem.severity,
            shape=problem.shape,
        )

    def problem(self) -> Problem:
        """The problem."""
        return Problem(self.file, self.kind, self.message, self.severity, self.shape)


class FileRecord(Document):
    """One processed annotation file, or image; a line of ``predictions.jsonl``.

    Attributes:
        annotation: Its path, relative both to the data root and to the folder of predictions (POSIX).
        file_hash: SHA-256 of the Labelme file as it was written; None if none was.
        answers: The predictions of its regions.
        left_out: Its image, if it cannot be used.
        image: Its image, relative to the data root (POSIX), if regions were looked for on it.
        image_score: What the finder scored the image as a whole, if it does.
        problems: Regions of that image that were left out, and oddities.
    """

    annotation: str
    file_hash: str | None
    answers: tuple[RegionPrediction, ...]
    left_out: LeftOut | None = None
    image: str | None = None
    image_score: float | None = None
    problems: tuple[RecordedProblem, ...] = ()

    @field_validator("annotation", "image")
    @classmethod
    def _stays_inside(cls, value: str | None) -> str | None:
        if value is not None and (not value or "\0" in value or re.search(LEAVES, value)):
            raise ValueError(f"{value[:80]!r} points outside the folder")
        return value

    @model_serializer(mode="wrap")
    def _told(self, usual: SerializerFunctionWrapHandler) -> dict[str, Any]:
        absent = ("image", "image_score") if self.image is None else ()
        return _without(usual(self), absent if self.problems else (*absent, "problems"))


def _without(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """A document as earlier versions wrote it, so that what they can read stays the same."""
    return {name: value for name, value in values.items() if name not in names}


def read_predictions(out: Path) -> tuple[PredictionHeader, Iterator[FileRecord]]:
    """Read the record of a folder of predictions.

    Returns:
        The header, and each annotation file in order, read lazily.

    Raises:
        FlawshotError: With the file and the line, if it is missing, damaged or not a record of predictions.
    """
    settle(out)
    return document_lines(out / RECORD, PredictionHeader, FileRecord, REMEDY)


class Unfinished:
    """Unfinished predictions: a folder beside ``out`` that replaces it when it is complete.

    Args:
        out: The final folder, resolved.
        header: The header; files of another request are discarded.
        annotations: The annotation files, in the order in which they will be added.

    Attributes:
        done: Number of annotation files that were already there.
        folder: The temporary folder.

    Raises:
        FlawshotError: If it cannot be written, or another process is using it.
    """

    def __init__(self, out: Path, header: PredictionHeader, annotations: Sequence[str]) -> None:
        self.out = out
        self.folder = unfinished_place(out)
        try:
            if self.folder.exists() and not (self.folder / RECORD).exists() and any(self.folder.iterdir()):
                raise FlawshotError(f"{self.folder}: is not an unfinished folder of predictions; move it away")
            self._kept = UnfinishedFolder(out, RECORD)
            self._file = self._kept.file
            with self._kept.closing_on_failure():
                self.done, end = self._there(header, annotations)
                if not end:
                    self._clear()
                self._file.seek(end)
                self._file.truncate()
                if not end:
                    self._write(header)
        except OSError as error:
            raise self._failed(error) from error

    def _there(self, header: PredictionHeader, annotations: Sequence[str]) -> tuple[int, int]:
        """The number of processed annotation files, and where they end in the record."""
        line = self._file.readline()
        if line != _line(header):
            return 0, 0
        done, end = 0, len(line)
        for expected in annotations:
            line = self._file.readline()
            try:
                answered = parse_document(line, FileRecord, "", "")
            except FlawshotError:  # torn, or not yet there
                break
            if not line.endswith(b"\n") or answered.annotation != expected:
                break
            if answered.file_hash is not None and _hash(self.folder / expected) != answered.file_hash:
                break
            done, end = done + 1, end + len(line)
        return done, end

    def _clear(self) -> None:
        """Discard what another request left, except the record, which is locked."""
        for path in self.folder.iterdir():
            if path.name == RECORD:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def add(self, answered: FileRecord, labelme: bytes | None) -> None:
        """Record the next annotation file in order, and write its Labelme file, if there is one."""
        try:
            if labelme is not None:  # a partial file would not match the hash in its line
                place = self.folder / answered.annotation
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(labelme)
            self._write(answered)
            if self._kept.due:
                self._kept.to_disk()
        except OSError as error:
            raise self._failed(error) from error

    def _write(self, document: Document) -> None:
        self._file.write(_line(document))
        self._file.flush()

    def close(self) -> None:
        """Keep what there is for the next call."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def finish(self, write: Callable[[Path], object]) -> None:
        """Write the other files, and move the folder to its final place, replacing what is there."""
        try:
            write(self.folder)
            if os.name == "nt":  # Windows cannot rename a folder with an open file
                self._file.close()
            put(self.folder, self.out)
            self._kept.discard()  # what was there before
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self.close()

    def remove(self) -> None:
        """Discard everything."""
        self._kept.discard()
        self._file.close()

    def _failed(self, error: OSError) -> FlawshotError:
        return FlawshotError(f"{self.folder}: cannot be written ({one_line(error.strerror or error)})")


def check_predictions_free(out: Path, *, overwrite: bool) -> None:
    """Refuse a path that exists, unless it contains unchanged predictions and ``overwrite`` is true.

    Raises:
        FlawshotError: If the path is refused.
    """
    settle(out)
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return
    except OSError as error:
        raise FlawshotError(f"{out}: cannot be read ({error.strerror or error})") from error
    if not overwrite:
        raise FlawshotError(f"{out}: exists; name another folder, move it away, or add {argument('overwrite', True)}")
    if not (out / RECORD).is_file():
        raise FlawshotError(f"{out}: is not a folder of predictions; move it away")
    known = {RECORD, SUMMARY, TABLE, PROBLEMS, SUGGESTIONS}
    for answered in read_predictions(out)[1]:
        known.add(answered.annotation)
        if answered.file_hash is not None and _hash(out / answered.annotation) != answered.file_hash:
            raise FlawshotError(
                f"{out / answered.annotation}: was changed since it was predicted, and is not replaced; name another "
                "folder, or move it away"
            )
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if not path.is_dir() and name not in known:
            raise FlawshotError(f"{path}: is not part of the predictions; move it away")


def _line(document: Document) -> bytes:
    # Earlier versions do not know the field, and need it only where images are elsewhere.
    without = {"images"} if isinstance(document, PredictionHeader) and document.images is None else None
    return document.model_dump_json(exclude=without).encode() + b"\n"


def _hash(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None
