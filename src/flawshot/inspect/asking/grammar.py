"""The grammar of questions: how their parts make a condition, one on images, an order, and what is left over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flawshot.inspect.asking.filters import Filter, ImageFilter, Statement
from flawshot.inspect.asking.joints import OF_IMAGES
from flawshot.inspect.asking.sizes import NumberRange, Superlative
from flawshot.inspect.asking.words import WITHOUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.inspect.asking.clauses import Clause
    from flawshot.inspect.asking.joints import Item

__all__ = ["Reading", "read_grammar"]

JOINTS = frozenset({"also", "but", "comma", "either"})
# Negations that what follows belongs to: "except scratches in bolts".
EXCEPTIONS = frozenset({"except", "except for", "excluding", "other than", "apart from", "but"})
LACKING = frozenset(" ".join(phrase) for phrase in WITHOUT)
ONE_VALUE = {"category": "one category", "product": "one product", "split": "one split", "shape": "one type of shape"}


@dataclass
class Reading:
    """What was understood of a question, and what was not.

    Attributes:
        instances: The condition on the instances that are listed.
        images: The conditions on their images.
        listed: Whether the instances were named before the images; otherwise those that the images have are listed.
        superlative: The order, if there is one.
        counting: Whether only their number is asked for.
        notes: What could have been meant differently.
        unknown: The words that were not understood.
        empty: Whether nothing was understood.
    """

    instances: Filter = field(default_factory=Filter)
    images: tuple[ImageFilter, ...] = ()
    listed: bool = False
    superlative: Superlative | None = None
    counting: bool = False
    notes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    empty: bool = True


def read_grammar(items: Sequence[Item], notes: list[str]) -> Reading:
    """Read the parts of a question.

    Args:
        items: The parts.
        notes: What could have been meant differently, as far as it is known.
    """
    reading = Reading(notes=notes)
    reading.empty = not any(item.role in {"clause", "superlative", "anything", "images", "counting"} for item in items)
    rest = []
    for item in items:
        if item.role == "counting":
            reading.counting = True
        elif item.superlative is not None and reading.superlative is None:
            reading.superlative = item.superlative
        elif item.superlative is not None:
            reading.unknown.append(item.said)
        else:
            rest.append(item)
    start = _images_start(rest)
    if start is None:
        reading.instances = _Assembly(reading).of(rest)
        _refuse_counts_of_images(reading, rest)
        return reading
    before = [item for item in rest[:start] if item.role not in {"images", "per image"}]
    reading.listed = any(
        item.role == "anything" or (item.clause is not None and item.clause.kind not in OF_IMAGES) for item in before
    )
    reading.instances = _Assembly(reading).of(before)
    after = [item for item in rest[start:] if item.role != "per image"]
    reading.images = tuple(_image_filters(after, reading))
    if any(each.negated or not each.positive for each in reading.images):
        reading.notes.append("images without any annotation are not in the data, and not listed")
        _refuse_counts_of_images(reading, rest)
    return reading


def _refuse_counts_of_images(reading: Reading, items: Sequence[Item]) -> None:
    """Refuse "how many images are there": images without any annotation are not in the data, and would be missing."""
    for item in items:
        if reading.counting and item.role == "images":
            reading.unknown.append(item.said)
        if item.role != "images" and not (item.clause is not None and item.clause.kind in OF_IMAGES):
            return


def _images_start(items: Sequence[Item]) -> int | None:
    """Where conditions on images begin; None if there are none.

    They begin with the first "with" or "without" after "images", with nothing but products and splits between, or with
    the first count of instances.
    """
    of_images = False
    for number, item in enumerate(items):
        if item.role in {"images", "per image"}:
            of_images = True
        elif of_images and item.role in {"with", "without"}:
            following = next((each for each in items[number + 1 :] if each.role != "not"), None)
            size = following is not None and following.clause is not None and following.clause.kind == "size"
            return None if size else number
        elif item.role == "range" and _counts(items, number):
            while number and items[number - 1].role in {"with", "without", "not"}:
                number -= 1  # noqa: PLW2901 - what belongs to the count
            return number
        elif item.clause is not None and item.clause.kind not in OF_IMAGES:
            of_images = False
    return None


def _counts(items: Sequence[Item], number: int) -> bool:
    """Whether a range is followed by what it counts, and a bare number says so clearly enough.

    "3 scratches" alone may mean three of them, so a bare number needs "with" or images.
    """
    if not _countable(items[number + 1 :]):
        return False
    bare = items[number].numbers is not None and items[number].said.split()[-1:] == items[number].said.split()
    near = {"with", "without", "images", "per image"}
    return not bare or items[number].said in {"several", "multiple"} or any(each.role in near for each in items)


def _countable(items: Sequence[Item]) -> bool:
    """Whether items begin with what can be counted: a category, or defects, perhaps elongated ones."""
    for item in items:
        if item.role == "anything" or (item.clause is not None and item.clause.kind == "category"):
            return True
        if item.clause is None or item.clause.kind not in {"form", "shape"}:
            return False
    return False


def _image_filters(items: Sequence[Item], reading: Reading) -> list[ImageFilter]:
    made: list[ImageFilter] = []
    previous: tuple[Item | None, Item | None] = (None, None)
    for part in _parts(_joined_lists(items)):
        negated, numbers, rest = _head(part, reading)
        having = any(item.role == "with" for item in part[: len(part) - len(rest)])
        if negated is None and numbers is None and previous != (None, None) and not having:
            # "Without scratches and dents" is without both, but "2 scratches and dents" may be two of each or of all.
            negated = previous[0] if previous[1] is None and part[0].role != "but" else None
            if negated is None:
                reading.unknown.append(f"{part[0].said} {rest[0].said}" if rest else part[0].said)
                continue
        previous = negated, numbers
        if not rest or ((negated is not None or numbers is not None) and not _countable(rest)):
            wrong = numbers if numbers is not None else negated
            if wrong is not None:
                reading.unknown.append(wrong.said)
            continue
        own = _Assembly(reading, of_images=True).of(rest)
        if numbers is not None and numbers.numbers is not None:
            filtered = ImageFilter(own, numbers.numbers, negated is not None)
        else:
            filtered = ImageFilter(own, NumberRange(("=", 0.0)) if negated else NumberRange((">=", 1.0)))
        if not filtered.positive:
            # "Images without scratches in bolts" would be all images of nuts, too.
            reading.unknown += [each.clause.said for each in own.statements if each.clause.kind in OF_IMAGES]
        made.append(filtered)
    return made


def _joined_lists(items: Sequence[Item]) -> list[Item]:
    """The items with "scratches, dents or holes" as one; with "and", each is a condition of its own."""
    made: list[Item] = []
    place = 0
    while place < len(items):
        run, end, either = [place], place + 1, False
        while items[place].clause is not None and items[place].clause.kind == "category":  # type: ignore[union-attr]
            after = end
            while after < len(items) and items[after].role in {"comma", "either"}:
                either |= items[after].role == "either"
                after += 1
            following = items[after].clause if end < after < len(items) else None
            if following is None or following.kind != "category":
                break
            run.append(after)
            end = after + 1
        if len(run) > 1 and either:
            clause: Clause | None = None
            for each in run:
                own = items[each].clause
                clause = own if clause is None or own is None else clause.joined(own)
            made.append(items[place]._replace(clause=clause))
            place = end
        else:
            made.append(items[place])
            place += 1
    return made


def _parts(items: Sequence[Item]) -> list[list[Item]]:
    """The items of each condition on images."""
    parts: list[list[Item]] = [[]]
    for number, item in enumerate(items):
        following = items[number + 1] if number + 1 < len(items) else None
        begins = item.role in {"with", "without", "nor"} or (item.role == "range" and bool(_body(parts[-1])))
        if item.role in {"also", "but", "comma"} and following is not None:
            # "With scratches but not near the edge" is about the scratches.
            after = items[number + 2] if number + 2 < len(items) and following.role in {"not", "nor"} else following
            category = after.clause is not None and after.clause.kind == "category"
            begins = category or after.role in {"range", "anything", "with", "without", "unknown"}
        if begins and _body(parts[-1]):
            parts.append([])
        parts[-1].append(item)
    return parts


def _body(items: Sequence[Item]) -> bool:
    return any(item.role in {"clause", "anything", "unknown", "range"} for item in items)


def _head(items: list[Item], reading: Reading) -> tuple[Item | None, Item | None, list[Item]]:
    """The negation of a condition on images, its count, and the rest."""
    negated = numbers = None
    place = 0
    for item in items:
        if item.role in {"not", "without", "nor"}:
            negated = None if negated is not None else item
        elif item.role == "range" and numbers is None:
            numbers = item
        elif item.role == "either":
            reading.unknown.append(item.said)
        elif item.role not in {"with", "also", "but", "comma"}:
            break
        place += 1
    return negated, numbers, items[place:]


class _Assembly:
    """Makes a filter of items, one after the other.

    Args:
        reading: Receives notes and what is not understood.
        of_images: Whether it is about what images have.
    """

    def __init__(self, reading: Reading, *, of_images: bool = False) -> None:
        self._reading = reading
        self._of_images = of_images
        self._alternatives: list[list[list[Statement]]] = [[]]
        self._named = False
        self._joint: str | None = None
        self._negation: str | None = None
        # The negation of the condition before.
        self._negated_by: str | None = None
        self._with: str | None = None

    def of(self, items: Sequence[Item]) -> Filter:
        """The filter."""
        for item in items:
            self._add(item)
        if self._negation is not None:
            self._reading.unknown.append(self._negation)
        if self._joint == "either":
            self._reading.unknown.append("or")
        if len(self._alternatives) > 1:
            self._reading.notes.append("each alternative has only the conditions listed below it")
        return Filter(tuple(tuple(map(tuple, all_of)) for all_of in self._alternatives))

    def _add(self, item: Item) -> None:
        if item.clause is not None:
            self._add_clause(item.clause)
        elif item.role in JOINTS:
            if self._joint != "either":
                self._joint = item.role
        elif item.role in {"not", "without", "nor"}:
            if item.role == "nor" and self._joint is None:
                self._joint = "also"
            self._negation = item.said if self._negation is None else None
        elif item.role == "with":
            self._with = item.said
        elif item.role == "anything":
            self._add_anything(item)
        elif item.role in {"range", "per image", "unknown"} or (item.role == "only" and self._of_images):
            self._reading.unknown.append(item.said if self._negation is None else f"{self._negation} {item.said}")
            self._negation = None

    def _add_anything(self, item: Item) -> None:
        if self._negation is not None:
            self._reading.unknown.append(f"{self._negation} {item.said}")
            self._negation = None
        elif self._joint in {"also", "either"} and self._named and self._alternatives[-1]:
            self._alternatives.append([])
        self._named = True
        self._joint = None

    def _add_clause(self, clause: Clause) -> None:
        negation, statement = self._negation, Statement(clause, self._negation is not None)
        joint, self._joint, self._negation = self._joint, None, None
        having, self._with = self._with, None
        own = self._alternatives[-1]
        last = own[-1][-1] if own and len(own[-1]) == 1 else None
        wrong = self._refused(statement, joint, negation)
        if wrong is not None:
            self._reading.unknown.append(wrong)
            return
        listed = last is not None and _is_list(last, statement, joint)
        self._negated_by = self._negated_by if negation is None and (joint is not None or listed) else negation
        if clause.kind == "category" and _names_category(own):
            if having is not None and not statement.negated:
                self._reading.unknown.append(f"{having} {clause.said}")
                return
            if statement.negated:
                self._reading.notes.append(
                    f'an instance has one category, so "{clause.said}" excludes nothing more; "on images without '
                    f'{clause.said}" is about the other instances of an image'
                )
        if clause.kind == "category" and not statement.negated:
            self._named = True
        if last is not None and listed:
            self._note_list(last, clause, joint)
            own[-1] = [Statement(last.clause.joined(clause), last.negated)]
        elif self._is_alternative(statement, joint):
            self._alternatives.append([[statement]])
        elif own and joint == "either":
            own[-1].append(statement)
        elif last is not None and not last.negated and not statement.negated and clause.excludes(last.clause):
            self._reading.notes.append(
                f'"{last.clause.said}" and "{clause.said}" exclude each other, so either is meant'
            )
            own[-1].append(statement)
        else:
            own.append([statement])

    def _refused(self, statement: Statement, joint: str | None, negation: str | None) -> str | None:
        """The words of a clause that cannot be joined to those before for certain; None if it can."""
        own = self._alternatives[-1]
        last = own[-1][-1] if own else None
        if last is None:
            return None
        clause, listed = statement.clause, _is_list(last, statement, joint) and len(own[-1]) == 1
        category = clause.kind == "category" and not statement.negated
        begins = category and _names_category(own) and not listed
        if last.negated and not statement.negated and not listed:
            # "Not near the edge or in the corner" is neither, for most people.
            if joint == "either" and not begins:
                return f"or {clause.said}"
            # "Except scratches in bolts" leaves scratches elsewhere.
            excepted = last.clause.kind == "category" or (self._negated_by or "").casefold() in EXCEPTIONS
            if joint is None and (excepted or (last.clause.kind == "product" and category)):
                listed_before = "…" in last.clause.said  # these are not the question's own words
                return clause.said if listed_before else f"{self._negated_by} {last.clause.said} {clause.said}"
        if begins and joint is None:
            return clause.said
        if last.clause.kind == "product" and (negation or "").casefold() in LACKING and joint is None:
            # "Bolts without scratches" are bolts, not the other defects of bolts.
            return f"{negation} {clause.said}"
        earlier = own if len(own[-1]) > 1 or listed or begins else own[:-1]
        single = [each[0] for each in earlier if len(each) == 1 and not each[0].negated and each[0] is not last]
        if not statement.negated and not begins and any(clause.excludes(each.clause) for each in single):
            return clause.said
        return None

    def _is_alternative(self, statement: Statement, joint: str | None) -> bool:
        """Whether a clause begins another list of conditions, as in "scratches in bolts and dents in nuts"."""
        own = self._alternatives[-1]
        if statement.clause.kind != "category" or statement.negated or not own:
            return False
        return _names_category(own) or joint == "either"

    def _note_list(self, last: Statement, clause: Clause, joint: str | None) -> None:
        if last.negated or joint in {"either", "comma"}:
            return
        value = ONE_VALUE.get(last.clause.kind, "one value")
        words = '"and"' if joint == "also" else f'"{last.clause.said}" beside "{clause.said}"'
        self._reading.notes.append(f"{words} means either, because an instance has {value}")


def _names_category(conditions: Sequence[Sequence[Statement]]) -> bool:
    """Whether one of some conditions demands a category."""
    return any(each.clause.kind == "category" and not each.negated for one_of in conditions for each in one_of)


def _is_list(last: Statement, statement: Statement, joint: str | None) -> bool:
    """Whether a clause continues a list of values, as in "scratches, dents and holes"."""
    if statement.clause.kind != last.clause.kind or not (statement.clause.values and last.clause.values):
        return False
    return not statement.negated and not (last.negated and joint == "but")
