"""The questions of ``flawshot export instruct``, and a model's answers to them, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import Document, one_line
from flawshot.base.store.json_documents import check_depth, file_lines, parse_document

__all__ = ["AskedQuestion", "Truth", "read_answers", "read_instructions"]

REMEDY = "write it again with flawshot export instruct"
# How programs call a question's id and the model's answer; LLaVA writes question_id and text.
IDS = ("question_id", "id")
TEXTS = ("text", "answer", "prediction", "response")
Kind = Literal["what", "where", "part", "size", "count", "any"]


class Turn(Document):
    """A turn of a conversation."""

    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: str


class Truth(Document):
    """What the annotations say; see ``docs/formats.md`` for the fields."""

    version: Literal[1]
    kind: Kind
    source: str
    product: str
    split: str | None
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    category: str
    choices: tuple[str, ...]
    box: tuple[float, ...]
    part: str
    percent: float | None
    area: int | None
    count: int | None
    present: bool | None
    seed: int

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "what": bool(self.category and self.category in self.choices),
            "where": len(self.box) == 4 and self.box[0] < self.box[2] and self.box[1] < self.box[3],
            "part": bool(self.part),
            "size": self.percent is not None and self.percent > 0,
            "count": self.count is not None and self.count >= 0,
            "any": self.present is not None,
        }
        if not needed[self.kind]:
            raise ValueError(f"has no answer to a question of the kind {self.kind}")
        return self


class AskedQuestion(Document):
    """A line of ``instruct.jsonl``.

    Attributes:
        id: Its name.
        image: The image's path.
        conversations: The question and the answer, in words.
        flawshot: The answer as data.
    """

    id: str
    image: str
    conversations: tuple[Turn, ...]
    flawshot: Truth


def read_instructions(path: str | Path) -> list[AskedQuestion]:
    """Read the questions that a model was asked: a file ``instruct*.jsonl``, written by ``flawshot export instruct``.

    Raises:
        FlawshotError: With the file and the line, if it is missing, damaged, foreign or empty, or has an id twice.
    """
    made: dict[str, AskedQuestion] = {}
    for number, line in enumerate(file_lines(Path(path)), start=1):
        question = parse_document(line, AskedQuestion, f"{path}: line {number}", REMEDY)
        if question.id in made:
            raise FlawshotError(f"{path}: line {number}: id: {question.id} was on an earlier line; {REMEDY}")
        made[question.id] = question
    if not made:
        raise FlawshotError(f"{path}: contains no question; {REMEDY}")
    return list(made.values())


def read_answers(path: str | Path) -> dict[str, str]:
    """Read a model's answers: JSON Lines with the question's id and a text.

    The id is ``question_id``, as LLaVA writes it, or ``id``; the text is ``text``, ``answer``, ``prediction`` or
    ``response``, and exactly one of these.

    Returns:
        The texts by question id.

    Raises:
        FlawshotError: With the file and the line, if it is missing or damaged, or answers a question twice.
    """
    made: dict[str, str] = {}
    for number, line in enumerate(file_lines(Path(path)), start=1):
        if not line.strip():
            continue
        place = f"{path}: line {number}"
        row = _object(line, place)
        identifier, text = _field(row, IDS, place, "the question's id"), _field(row, TEXTS, place, "the answer")
        if identifier in made:
            raise FlawshotError(f"{place}: {identifier} was answered on an earlier line; keep one answer")
        made[identifier] = text
    if not made:
        raise FlawshotError(f"{path}: contains no answer; it must have one JSON object a line, with an id and a text")
    return made


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        check_depth(line)
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FlawshotError(f"{place}: is not JSON ({one_line(error)}); each line must be one object") from error
    if not isinstance(row, dict):
        raise FlawshotError(f"{place}: is not an object; each line must be one, with an id and a text")
    return row


def _field(row: dict[str, Any], names: tuple[str, ...], place: str, what: str) -> str:
    there = [name for name in names if name in row]
    if not there:
        raise FlawshotError(
            f"{place}: {names[0]}: is missing; {what} must be called {', '.join(names[:-1])} or {names[-1]}"
        )
    if len(there) > 1:
        raise FlawshotError(f"{place}: has both {there[0]} and {there[1]}; keep the one that is {what}")
    value = row[there[0]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise FlawshotError(f"{place}: {there[0]}: must be text, not {str(value)[:40]!r}")
    return value
