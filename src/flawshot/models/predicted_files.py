"""Predictions in files for people: Labelme files, and a table."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from flawshot.base.errors import printable
from flawshot.base.store.files import write_bytes, write_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from flawshot.base.errors import Problem
    from flawshot.labelme.labelme_file import LabelmeFile
    from flawshot.labelme.shapes import Shape
    from flawshot.models.prediction_folder import FileRecord, RegionPrediction

__all__ = [
    "FOUND",
    "KEY",
    "MARK",
    "SUGGESTED",
    "described",
    "predicted_file",
    "write_problems",
    "write_suggestions",
    "write_table",
]

# The key of a shape under which Labelme keeps, and saves again, what was predicted.
KEY = "flawshot"
# The flag of a shape that a finder put there.
FOUND = "found"
# The flag of a shape that was suggested for labeling.
SUGGESTED = "suggested"
# The prefix of flawshot's line in a shape's description.
MARK = "flawshot: "
COLUMNS = (
    "id", "image", "x0", "y0", "x1", "y1", "true", "predicted", "probability", "runner_up", "runner_up_probability",
    "set", "unsure", "unknown",
)  # fmt: skip
# What a finder says; only in tables of images in which regions were looked for.
FOUND_COLUMNS = ("found", "score", "image_score", "left_out")


def predicted_file(
    file: LabelmeFile, answers: Mapping[int, RegionPrediction], *, image: Path | None, place: Path
) -> LabelmeFile:
    """A Labelme file with predictions in place of its labels.

    A predicted shape has the most probable category as its label; its probability and the runner-up in a line of its
    description that begins with ``flawshot:`` and follows a person's own text; the flags ``predicted``, ``unsure`` and
    ``unknown``, ``found`` if a finder put it there, and ``suggested`` if it was suggested for labeling; and the full
    prediction under the key ``flawshot``, which Labelme keeps. All else is unchanged.

    Args:
        file: The annotation.
        answers: The predictions, by shape index.
        image: Path of its image; None if the image is only embedded in the annotation.
        place: Path that the file will have; ``imagePath`` becomes relative to it.
    """
    path = file.image_path if image is None else os.path.relpath(image, place.parent).replace(os.sep, "/")
    shapes = tuple(_predicted(shape, answers.get(shape.index)) for shape in file.shapes)
    return replace(file, image_path=path, shapes=shapes)


def _predicted(shape: Shape, answer: RegionPrediction | None) -> Shape:
    if answer is None:
        return shape
    flags = shape.flags | {"predicted": True, "unsure": answer.unsure, "unknown": answer.unknown}
    if answer.found:
        flags[FOUND] = True
    if answer.rank is not None:
        flags[SUGGESTED] = True
    said = answer.model_dump(mode="json", exclude={"image", "box", "outline", "novelty"})
    return replace(
        shape,
        label=answer.predicted,
        description=described(shape.description, answer),
        flags=flags,
        other=shape.other | {KEY: said},
    )


def described(description: str, answer: RegionPrediction) -> str:
    """A shape's description: a person's text, and flawshot's line, which replaces an earlier one."""
    kept = [line for line in description.splitlines() if not line.startswith(MARK)]
    said = (
        f"{MARK}{printable(answer.predicted)} {answer.probability:.1%}, then {printable(answer.runner_up)} "
        f"{answer.runner_up_probability:.1%}"
    )
    if len(answer.categories) > 1:
        said += f"; may be {', '.join(map(printable, answer.categories))}"
    if answer.was:
        said += f"; was {printable(answer.was)}"
    if answer.rank is not None:
        said += f"; suggested {answer.rank}: {answer.why}"
    return "\n".join([*kept, said])


def write_table(path: Path, records: Iterable[FileRecord], *, finders: bool = False) -> None:
    """Write predictions as CSV, one per row; an apostrophe precedes text that would be a formula in a spreadsheet.

    Args:
        path: The file.
        records: The predictions of each annotation file.
        finders: Whether regions were looked for: then there are columns for what the finder said, and an image without
            a region has a row, too.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened, lineterminator="\n")
            writer.writerow(COLUMNS + (FOUND_COLUMNS if finders else ()))
            for record in records:
                for row in _found_rows(record) if finders else map(_row, record.answers):
                    writer.writerow(map(_inert, row))

    write_with(path, write, overwrite=True)


def write_suggestions(path: Path, records: Iterable[FileRecord]) -> None:
    """Write the regions that were suggested for labeling as CSV, in their order, as :func:`write_table` does.

    Args:
        path: The file.
        records: The predictions of each annotation file.
    """
    chosen = [(answer.rank, answer) for record in records for answer in record.answers if answer.rank is not None]

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened, lineterminator="\n")
            writer.writerow(("rank", *COLUMNS, "why"))
            for rank, answer in sorted(chosen, key=lambda each: each[0]):
                writer.writerow(map(_inert, (str(rank), *_row(answer), answer.why)))

    write_with(path, write, overwrite=True)


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write problems as text, one line each; no file if there are none.

    Args:
        path: The file.
        problems: What was left out, and oddities.
    """
    if problems:
        text = "".join(f"{problem.severity}: {problem}\n" for problem in problems)
        write_bytes(path, text.encode(errors="backslashreplace"), overwrite=True)


def _row(answer: RegionPrediction) -> tuple[str, ...]:
    return (
        answer.id,
        answer.image,
        *map(str, answer.box),
        answer.true or "",
        answer.predicted,
        f"{answer.probability:.4f}",
        answer.runner_up,
        f"{answer.runner_up_probability:.4f}",
        "|".join(answer.categories),
        str(answer.unsure).lower(),
        str(answer.unknown).lower(),
    )


def _found_rows(record: FileRecord) -> Iterator[tuple[str, ...]]:
    image_score = _number(record.image_score)
    for answer in record.answers:
        yield *_row(answer), str(answer.found).lower(), _number(answer.score), image_score, ""
    if record.left_out is not None or not record.answers:
        empty = len(COLUMNS) + len(FOUND_COLUMNS) - 4
        reason = "" if record.left_out is None else printable(record.left_out.reason)
        yield "", record.image or "", *[""] * empty, image_score, reason


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.6g}"


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
