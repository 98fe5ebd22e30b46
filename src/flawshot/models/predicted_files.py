"""Predictions as people look at them: Labelme files, and a table."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from flawshot.base.errors import printable
from flawshot.base.store.files import write_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from flawshot.labelme.labelme_file import LabelmeFile
    from flawshot.labelme.shapes import Shape
    from flawshot.models.prediction_folder import RegionPrediction

__all__ = ["KEY", "described", "predicted_file", "write_table"]

# The key of a shape under which Labelme keeps, and saves again, what was predicted.
KEY = "flawshot"
# What our line of a shape's description begins with.
MARK = "flawshot: "
COLUMNS = (
    "id", "image", "x0", "y0", "x1", "y1", "true", "predicted", "probability", "runner_up", "runner_up_probability",
    "set", "unsure", "unknown",
)  # fmt: skip


def predicted_file(
    file: LabelmeFile, answers: Mapping[int, RegionPrediction], *, image: Path | None, place: Path
) -> LabelmeFile:
    """A Labelme file with predictions in the place of its labels.

    A shape that was predicted has the most probable category as its label; its probability and the runner-up in a line
    of its description that begins with ``flawshot:``, after what a person wrote there; the flags ``predicted``,
    ``unsure`` and ``unknown``; and all of the answer under the key ``flawshot``, which Labelme keeps. All else stays.

    Args:
        file: The annotation.
        answers: What was predicted of shapes, by their index.
        image: Where its image lies; None where it lies nowhere but in the annotation.
        place: Where the file will be; ``imagePath`` becomes relative to it.
    """
    path = file.image_path if image is None else os.path.relpath(image, place.parent).replace(os.sep, "/")
    shapes = tuple(_predicted(shape, answers.get(shape.index)) for shape in file.shapes)
    return replace(file, image_path=path, shapes=shapes)


def _predicted(shape: Shape, answer: RegionPrediction | None) -> Shape:
    if answer is None:
        return shape
    flags = shape.flags | {"predicted": True, "unsure": answer.unsure, "unknown": answer.unknown}
    said = answer.model_dump(mode="json", exclude={"image", "box"})
    return replace(
        shape,
        label=answer.predicted,
        description=described(shape.description, answer),
        flags=flags,
        other=shape.other | {KEY: said},
    )


def described(description: str, answer: RegionPrediction) -> str:
    """A shape's description: what a person wrote, and a line of ours, which takes the place of an earlier one."""
    kept = [line for line in description.splitlines() if not line.startswith(MARK)]
    said = (
        f"{MARK}{printable(answer.predicted)} {answer.probability:.1%}, then {printable(answer.runner_up)} "
        f"{answer.runner_up_probability:.1%}"
    )
    if len(answer.categories) > 1:
        said += f"; may be {', '.join(map(printable, answer.categories))}"
    if answer.was:
        said += f"; was {printable(answer.was)}"
    return "\n".join([*kept, said])


def write_table(path: Path, answers: Iterable[RegionPrediction]) -> None:
    """Write answers as CSV, a row each; text that a spreadsheet would take for a formula begins with an apostrophe."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened, lineterminator="\n")
            writer.writerow(COLUMNS)
            for answer in answers:
                writer.writerow(map(_inert, _row(answer)))

    write_with(path, write, overwrite=True)


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


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
