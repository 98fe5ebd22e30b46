"""Sizes and numbers in questions: comparisons, units, counts, and what is largest or smallest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from flawshot.inspect.asking.clauses import Clause
from flawshot.inspect.asking.words import longest_entry, longest_phrase, number_of, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.inspect.asking.words import Word

__all__ = [
    "MEASURES",
    "SIZE_WORDS",
    "NumberRange",
    "Superlative",
    "Unit",
    "read_comparison",
    "read_size",
    "read_superlative",
]

MeasureName = Literal["area", "width", "height", "longer side", "shorter side"]


class Measure(NamedTuple):
    """What is measured of an instance, in px, and the same of its image, of which it may be a share."""

    sql: str
    whole: str


MEASURES: dict[MeasureName, Measure] = {
    "area": Measure("area", "(image_width::double * image_height)"),
    "width": Measure("width", "image_width::double"),
    "height": Measure("height", "image_height::double"),
    "longer side": Measure("greatest(width, height)", "greatest(image_width, image_height)::double"),
    "shorter side": Measure("least(width, height)", "least(image_width, image_height)::double"),
}
NOUNS: dict[tuple[str, ...], MeasureName] = {
    ("area",): "area",
    ("size",): "area",
    ("width",): "width",
    ("height",): "height",
    ("length",): "longer side",
    ("longer", "side"): "longer side",
    ("thickness",): "shorter side",
    ("shorter", "side"): "shorter side",
}
ADJECTIVES: dict[tuple[str, ...], MeasureName] = {
    ("large",): "area",
    ("big",): "area",
    ("wide",): "width",
    ("tall",): "height",
    ("high",): "height",
    ("long",): "longer side",
    ("thick",): "shorter side",
}
Operator = Literal[">", ">=", "<", "<=", "="]
COMPARISONS: dict[tuple[str, ...], Operator] = {
    ("more", "than"): ">",
    ("over",): ">",
    ("above",): ">",
    ("exceeding",): ">",
    (">",): ">",
    ("at", "least"): ">=",
    (">=",): ">=",
    ("≥",): ">=",
    ("less", "than"): "<",
    ("fewer", "than"): "<",
    ("under",): "<",
    ("below",): "<",
    ("<",): "<",
    ("at", "most"): "<=",
    ("up", "to"): "<=",
    ("<=",): "<=",
    ("≤",): "<=",
    ("exactly",): "=",
    ("equal", "to"): "=",
    ("=",): "=",
}
COMPARATIVES: dict[str, tuple[MeasureName, Operator]] = {
    "larger": ("area", ">"),
    "bigger": ("area", ">"),
    "greater": ("area", ">"),
    "smaller": ("area", "<"),
    "wider": ("width", ">"),
    "narrower": ("width", "<"),
    "taller": ("height", ">"),
    "higher": ("height", ">"),
    "longer": ("longer side", ">"),
    "shorter": ("longer side", "<"),
    "thicker": ("shorter side", ">"),
    "thinner": ("shorter side", "<"),
}
# After a number: "500 pixels or more".
FROM_ON = frozenset({"more", "above", "over", "larger", "bigger", "greater", "wider", "taller", "longer", "thicker"})
UP_TO = frozenset({"less", "fewer", "below", "under", "smaller", "narrower", "shorter", "thinner"})
SUPERLATIVES: dict[str, tuple[MeasureName, bool]] = {
    "largest": ("area", True),
    "biggest": ("area", True),
    "greatest": ("area", True),
    "smallest": ("area", False),
    "tiniest": ("area", False),
    "widest": ("width", True),
    "narrowest": ("width", False),
    "tallest": ("height", True),
    "longest": ("longer side", True),
    "shortest": ("longer side", False),
    "thickest": ("shorter side", True),
    "thinnest": ("shorter side", False),
}
PIXELS = tuple(
    tuple(text.split())
    for text in ("px", "pixel", "pixels", "px²", "pixel²", "pixels²", "square pixels", "pixels squared", "square px")
)
PERCENT = tuple(
    tuple(f"{sign}{image}".split())
    for sign in ("%", "percent", "per cent")
    for image in ("", " of the image", " of their image", " of its image", " of the picture")
)
# Between a measure and a comparison.
LINKS = frozenset({"of", "is", "are", "that", "which", "being", "a", "an", "the", "in"})
SIZE_WORDS = (
    *(words[0] for words in (*NOUNS, *ADJECTIVES) if len(words) == 1),
    *COMPARATIVES,
    *SUPERLATIVES,
    *("pixels", "percent", "more", "less", "least", "most", "exactly", "between", "over", "under"),
)


class Unit(NamedTuple):
    """A unit after a number: where it ends, whether it is a share in percent, and whether it is there at all."""

    end: int
    share: bool
    stated: bool


@dataclass(frozen=True, slots=True)
class NumberRange:
    """A comparison with one or two numbers.

    Attributes:
        low: An operator and a number that bound it from one side.
        high: A second bound, if there are two.
    """

    low: tuple[Operator, float]
    high: tuple[Operator, float] | None = None

    def sql(self, expression: str) -> str:
        """The comparison of an expression."""
        parts = [f"{expression} {sign} {_plain(number)}" for sign, number in (self.low, self.high or self.low)]
        return " and ".join(dict.fromkeys(parts))

    def meaning(self, unit: str = "") -> str:
        """The comparison in words."""
        if self.high is not None:
            return f"from {_plain(self.low[1])} to {_plain(self.high[1])}{unit}"
        words = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most", "=": "exactly"}
        return f"{words[self.low[0]]} {_plain(self.low[1])}{unit}"

    def holds(self, number: float) -> bool:
        """Whether a number satisfies it."""
        checks = {
            ">": number.__gt__,
            ">=": number.__ge__,
            "<": number.__lt__,
            "<=": number.__le__,
            "=": number.__eq__,
        }
        return all(bool(checks[sign](bound)) for sign, bound in (self.low, self.high or self.low))


@dataclass(frozen=True, slots=True)
class Superlative:
    """What comes first: "the 5 largest".

    Attributes:
        said: The words of the question.
        measure: What is compared.
        descending: Whether the largest comes first.
        number: How many are kept; None for all.
    """

    said: str
    measure: MeasureName
    descending: bool
    number: int | None

    @property
    def meaning(self) -> str:
        """What it means, in words."""
        order = f"{'largest' if self.descending else 'smallest'} {self.measure} first"
        return order if self.number is None else f"{order}, of which only {self.number}"


def read_size(words: Sequence[Word], start: int) -> tuple[int, Clause | NumberRange] | None:
    """The comparison at a place of a question, with the number of words it takes.

    With a unit or a measure it is a clause about the instance's size; without, it is a count's range, such as
    "more than 3".
    """
    if words[start].quoted:
        return None
    place, measure = _measure(words, start)
    found = read_comparison(words, place)
    if found is None:
        return None
    place, compared, own, unit = found
    after, last = _last_measure(words, place)
    # "larger than 50 px wide" is about the width.
    place, measure = after, last or measure or own or ("area" if unit.stated else None)
    if measure is None:
        return place - start, compared
    sql, whole = MEASURES[measure]
    if unit.share:
        sql = f"100.0 * {sql} / {whole}"
    of = " of the image" if measure == "area" else f" of the image's {measure}"
    name = f" %{of}" if unit.share else " px" if unit.stated else " px (no unit was given)"
    return place - start, Clause(
        "size", said(words, start, place), f"{measure} {compared.meaning(name)}", compared.sql(sql)
    )


def _measure(words: Sequence[Word], start: int) -> tuple[int, MeasureName | None]:
    """A measure before a comparison, as in "an area of more than", and the place after it."""
    found = longest_entry(words, start, NOUNS)
    if found is None:
        return start, None
    place = start + len(found)
    while place < len(words) and not words[place].quoted and words[place].key in LINKS:
        place += 1
    return place, NOUNS[found]


def _last_measure(words: Sequence[Word], place: int) -> tuple[int, MeasureName | None]:
    """A measure after a number, as in "50 px wide" or "50 px in width", and the place after it."""
    adjective = longest_entry(words, place, ADJECTIVES)
    if adjective is not None:
        return place + len(adjective), ADJECTIVES[adjective]
    if place < len(words) and words[place].key in {"in", "of"} and not words[place].quoted:
        noun = longest_entry(words, place + 1, NOUNS)
        if noun is not None:
            return place + 1 + len(noun), NOUNS[noun]
    return place, None


def read_comparison(words: Sequence[Word], start: int) -> tuple[int, NumberRange, MeasureName | None, Unit] | None:
    """A comparison with a number: the place after it, its range, the measure that its words imply, and the unit."""
    if start >= len(words) or words[start].quoted:
        return None
    if words[start].key in {"between", "from"}:
        return _between(words, start)
    measure: MeasureName | None = None
    found = longest_entry(words, start, COMPARISONS)
    if found is not None:
        operator, place = COMPARISONS[found], start + len(found)
    elif words[start].key in COMPARATIVES and longest_phrase(words, start + 1, (("than",),)):
        (measure, operator), place = COMPARATIVES[words[start].key], start + 2
    else:
        return _or_more(words, start)
    if length := longest_phrase(words, place, (("or", "equal", "to"),)):
        place += length
        operator = ">=" if operator == ">" else "<=" if operator == "<" else operator
    number = number_of(words[place]) if place < len(words) else None
    if number is None:
        return None
    unit = _unit(words, place + 1)
    return unit.end, NumberRange((operator, number)), measure, unit


def _between(words: Sequence[Word], start: int) -> tuple[int, NumberRange, None, Unit] | None:
    """Two bounds: "between 3 and 5", "from 100 px to 200 px"."""
    low = number_of(words[start + 1]) if start + 1 < len(words) else None
    if low is None:
        return None
    first = _unit(words, start + 2)
    joint = "and" if words[start].key == "between" else "to"
    if first.end + 1 >= len(words) or words[first.end].key != joint:
        return None
    high = number_of(words[first.end + 1])
    if high is None:
        return None
    unit = _unit(words, first.end + 2)
    if first.stated and first[1:] != unit[1:]:
        return None
    return unit.end, NumberRange((">=", low), ("<=", high)), None, unit


def _or_more(words: Sequence[Word], start: int) -> tuple[int, NumberRange, None, Unit] | None:
    """A bound behind its number: "500 pixels or more"."""
    number = number_of(words[start])
    if number is None:
        return None
    unit = _unit(words, start + 1)
    if unit.end + 1 >= len(words) or words[unit.end].key not in {"or", "and"}:
        return None
    last = words[unit.end + 1].key
    if last not in FROM_ON | UP_TO:
        return None
    operator: Operator = ">=" if last in FROM_ON else "<="
    return unit.end + 2, NumberRange((operator, number)), None, unit


def _unit(words: Sequence[Word], place: int) -> Unit:
    if length := longest_phrase(words, place, PIXELS):
        return Unit(place + length, share=False, stated=True)
    if length := longest_phrase(words, place, PERCENT):
        return Unit(place + length, share=True, stated=True)
    return Unit(place, share=False, stated=False)


def read_superlative(words: Sequence[Word], start: int) -> tuple[int, Superlative] | None:
    """The superlative at a place of a question, as in "top 5 largest", with the number of words it takes."""
    place = start + longest_phrase(words, start, (("top",),))
    top = place > start
    number, place = _how_many(words, place)
    if top and number is None:
        return None
    if place < len(words) and not words[place].quoted and words[place].key in SUPERLATIVES:
        measure, descending = SUPERLATIVES[words[place].key]
        place += 1
        if number is None:
            number, place = _how_many(words, place)
    elif top:
        measure, descending = "area", True
    else:
        return None
    return place - start, Superlative(said(words, start, place), measure, descending, number)


def _how_many(words: Sequence[Word], place: int) -> tuple[int | None, int]:
    """A whole number without a unit, and the place after it; None if there is none."""
    number = number_of(words[place]) if place < len(words) else None
    if number is None or number != int(number) or number < 1 or _unit(words, place + 1).stated:
        return None, place
    return int(number), place + 1


def _plain(number: float) -> str:
    """A number as SQL and people write it.

    >>> _plain(5000.0), _plain(0.5)
    ('5000', '0.5')
    """
    return str(int(number)) if number == int(number) else f"{number:.15f}".rstrip("0")
