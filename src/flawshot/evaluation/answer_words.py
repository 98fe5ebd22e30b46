"""The words of answers: numbers, directions, and what makes an answer uncertain."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "HEDGES",
    "NEGATIONS",
    "NOTHING",
    "NUMBERS",
    "OF_PERSONS",
    "ORDINARY",
    "RELATIVE",
    "TENS",
    "UNCERTAIN",
    "UNCERTAIN_SIZES",
    "UNITS",
    "directions_of",
    "ninth_of",
    "words_of",
]

UNITS = {word: number for number, word in enumerate("one two three four five six seven eight nine".split(), start=1)}  # noqa: SIM905
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
TENS = {
    word: 10 * number
    for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)  # noqa: SIM905
}
NUMBERS = UNITS | TENS | {word: number for number, word in enumerate(TEENS, start=10)} | {"zero": 0}
NEGATIONS = frozenset(
    """
    not no never neither nor none cannot t nothing except without but rather non un absent wrong
    """.split()  # noqa: SIM905
)
# With these, a number is a bound, a share or a multiple.
UNCERTAIN = frozenset(
    """
    not never neither nor cannot t nothing except but rather minus more less fewer least most over under above
    below between or than up about around approximately roughly nearly almost dozen dozens hundred hundreds thousand
    million half halves quarter quarters third thirds fourth fourths fifth fifths tenth tenths several few couple pair
    maybe perhaps possibly unclear unsure uncertain unknown idea doubt exceeds exceeding plus
    billion trillion score k m max min maximum minimum
    """.split()  # noqa: SIM905
)
# A size may differ a little, so that "about" does no harm.
UNCERTAIN_SIZES = UNCERTAIN - {"about", "around", "approximately", "roughly"} | {"no", "none"}
# After "one", which is a person then.
OF_PERSONS = frozenset({"can", "cannot", "could", "may", "might", "must", "sees", "should", "would"})
HEDGES = frozenset(
    "idea unsure uncertain unclear unknown maybe perhaps possibly actually cannot could might may tell unable".split()  # noqa: SIM905
)
# With these, a ninth is one of two, or a neighbor.
RELATIVE = frozenset({"above", "below", "beside", "between", "or", "outside", "over", "under"})
# What "no" may stand before: that there is no such thing.
NOTHING = frozenset(
    """
    defect defects flaw flaws anomaly anomalies fault faults damage there it i instance instances such visible
    """.split()  # noqa: SIM905
)
ROWS = {"upper": "upper", "top": "upper", "lower": "lower", "bottom": "lower"}
COLUMNS = {"left": "left", "right": "right"}
CENTERS = frozenset({"centre", "center", "middle", "central"})
DIRECTIONS = frozenset({*ROWS, *COLUMNS, *CENTERS})
# Words of answers, so that a category of the same name counts only as the whole answer.
ORDINARY = frozenset(
    """
    a an the this that it its is are was be of in on at to and or with type kind category class defect defects image
    picture product answer shows show shown there i see
    """.split()  # noqa: SIM905
)


def words_of(text: str) -> list[str]:
    """The words of a text, case-folded, without signs."""
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).casefold())


def directions_of(text: str) -> list[list[str]]:
    """The directions that a text names, as runs of words; "center" of a defect, and "right answer", are none."""
    text = unicodedata.normalize("NFC", text).casefold()
    found = list(re.finditer(r"[^\W_]+", text))
    words = [each[0] for each in found]
    runs: list[list[str]] = []
    last = -2
    for place, word in enumerate(words):
        after = words[place + 1 : place + 4]
        own = word in CENTERS and (
            after[:1] in (["is"], ["lies"], ["point"])
            or (after[:1] == ["of"] and not {"image", "picture", "photo"} & set(after[1:]))
        )
        if word not in DIRECTIONS or (word == "right" and after[:1] in (["answer"], ["choice"], ["option"], ["one"])):
            continue
        joined = last == place - 1 and not re.search(r"[^\s\-_]", text[found[last].end() : found[place].start()])
        if own and not joined:
            continue
        if not joined:
            runs.append([])
        runs[-1].append(word)
        last = place
    return runs


def ninth_of(run: Sequence[str]) -> str:
    """The ninth that a run of directions names; empty if it is not a single one."""
    rows = [ROWS[word] for word in run if word in ROWS]
    columns = [COLUMNS[word] for word in run if word in COLUMNS]
    centers = len(run) - len(rows) - len(columns)
    if len(rows) > 1 or len(columns) > 1 or (centers and rows and columns) or not (centers or (rows and columns)):
        return ""
    return " ".join([*(rows or ["center"]), *(columns or ["center"])]) if rows or columns else "center"
