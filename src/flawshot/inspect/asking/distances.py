"""Places in questions that several words share: lists of edges and corners, and distances from an edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.inspect.asking.clauses import Clause
from flawshot.inspect.asking.places import (
    ARTICLES,
    COLUMNS,
    CORNER,
    DISTANCES,
    EDGE,
    FAR,
    MIDDLE,
    NEAR,
    PREPOSITIONS,
    ROWS,
    TOUCHING,
    Direction,
    after_image,
    edge_clause,
    read_direction,
    read_edge,
    read_manner,
    read_ninth,
    read_place,
    skip_articles,
)
from flawshot.inspect.asking.sizes import NumberRange, Unit, read_comparison
from flawshot.inspect.asking.words import Word, longest_phrase, number_of, said

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PLACE_STARTS", "read_distance", "read_places"]

JOINTS = (("or",), ("and",), ("and", "or"), (",",), (",", "or"), (",", "and"))
CLOSER = frozenset({"closer", "nearer"})
FARTHER = frozenset({"farther", "further"})
AWAY = frozenset({"away"})
PARTS = frozenset({"half", "third"})
# Words that a place may begin with before what it is called.
PLACE_STARTS = ARTICLES.union(*(phrase for phrases in (NEAR, PREPOSITIONS, TOUCHING, FAR) for phrase in phrases))
# The result of a reading: the number of words, and what they mean; None if they cannot be understood.
Place = tuple[int, Clause | None]


def read_places(words: Sequence[Word], start: int) -> Place | None:
    """The place at a place of a question, which may be a list such as "the left or right edge"."""
    if words[start].quoted:
        return None
    shared = _shared(words, start)
    if shared is not None:
        return shared
    found = read_place(words, start)
    if found is None:
        return None
    length, clause = found
    if _relative(words, start + length):
        return length + 1, None
    manner = "far" if words[start].key == "within" else read_manner(words, start)[0]
    joint = longest_phrase(words, start + length, JOINTS)
    if manner in {"far", "touching"} and joint and _place_alone(words, start + length + joint):
        # "Away from the edge or corner" is away from both, and "the corner" alone would be the opposite.
        return length + joint + 1, None
    return length, clause


def _relative(words: Sequence[Word], place: int) -> bool:
    """Whether a place is that of something other than the image, as in "left of the dents"."""
    return place < len(words) and not words[place].quoted and words[place].key in {"of", "from"}


def _place_alone(words: Sequence[Word], start: int) -> bool:
    """Whether an edge, corner or direction stands at a place without a word such as near."""
    place = skip_articles(words, start)
    known = {*ROWS, *COLUMNS, *MIDDLE, *EDGE, *CORNER}
    return place < len(words) and not words[place].quoted and words[place].key in known


def _shared(words: Sequence[Word], start: int) -> Place | None:
    """Several directions of one noun: "near the left or right edge", "in the upper left or right corner"."""
    manner, place = read_manner(words, start)
    place = skip_articles(words, place)
    directions, joints = [], set[str]()
    while place < len(words):
        direction = read_direction(words, place)
        if direction.end == place:
            break
        directions.append(direction)
        place = direction.end
        joint = longest_phrase(words, place, JOINTS)
        following = skip_articles(words, place + joint)
        if not joint or following >= len(words) or read_direction(words, following).end == following:
            break
        joints.add(words[place + joint - 1].key)
        place = following
    if len(directions) < 2:
        return None
    noun = words[place].key if place < len(words) and not words[place].quoted else ""
    if noun not in {*EDGE, *CORNER, *PARTS, "edges", "halves", "thirds"}:
        lengths = {direction.number for direction in directions if not direction.middle}
        return (place - start, None) if len(lengths) > 1 else None
    end = after_image(words, place + 1)
    if _relative(words, end):
        return end + 1 - start, None
    clauses = None
    if joints <= {"or", ","} or joints <= {"and", ","}:
        clauses = _clauses(words, directions, (place, noun), manner, "and" if "and" in joints else "or")
    return end - start, None if clauses is None else _either(clauses, said(words, start, end))


def _clauses(
    words: Sequence[Word], directions: list[Direction], noun: tuple[int, str], manner: str, joint: str
) -> list[Clause] | None:
    """What each direction means with the noun; None if that is not certain."""
    place, name = noun
    if any(direction.middle for direction in directions):
        return None
    if name in EDGE:
        sides = [direction.side for direction in directions]
        # Near both, or touching both, is a large defect or two of them; away from one or the other is hardly meant.
        if None in sides or joint != ("and" if manner == "far" else "or"):
            return None
        names = f"the {f' {joint} '.join(map(str, sides))} edge"
        distance = f"least({', '.join(DISTANCES[str(side)] for side in sides)})"
        return [edge_clause("", manner, names, distance)]
    if manner == "far" or (name not in CORNER and joint == "and"):
        return None
    completed = _completed(directions) if name in CORNER else directions
    if completed is None or (name not in CORNER and any(direction.number > 1 for direction in directions)):
        return None
    return [read_ninth(words, place, direction)[1] for direction in completed]


def _completed(directions: list[Direction]) -> list[Direction] | None:
    """Directions of corners of which one says what others omit: "upper left or right", "top or bottom left"."""
    pairs = [direction for direction in directions if direction.number == 2]
    if not pairs or len(pairs) == len(directions):
        return directions
    made = []
    for number, direction in enumerate(directions):
        if direction.number == 2:
            made.append(direction)
        elif number and directions[0].number == 2 and direction.row is None and len(pairs) == 1:
            made.append(direction._replace(row=directions[0].row))
        elif directions[-1].number == 2 and direction.column is None and len(pairs) == 1:
            made.append(direction._replace(column=directions[-1].column))
        else:
            return None
    return made


def _either(clauses: list[Clause], text: str) -> Clause:
    if len(clauses) == 1:
        return Clause("place", text, clauses[0].meaning, clauses[0].sql)
    cells = frozenset[tuple[int, int]]()
    if all(clause.cells for clause in clauses):
        cells = cells.union(*(clause.cells for clause in clauses))
    meaning = " or ".join(clause.meaning for clause in clauses)
    return Clause("place", text, meaning, " or ".join(f"({clause.sql})" for clause in clauses), cells=cells)


def read_distance(words: Sequence[Word], start: int) -> Place | None:
    """A distance from an edge in pixels: "more than 20 pixels from the edge", "closer than 20 pixels to the left edge".

    A distance from anything else, in another unit, or said in words of size, is not understood.
    """
    if words[start].quoted:
        return None
    found = _compared(words, start)
    if found is None:
        return None
    place, numbers, sized, unit = found
    away = place < len(words) and words[place].key in AWAY
    place += away
    if place >= len(words) or words[place].quoted or words[place].key not in {"from", "off", "to", "of"}:
        return (place - start, None) if away else None
    edge = read_edge(words, place + 1)
    if edge is None:
        # "More than 20 pixels to the left", and "of the image", are distances from something else.
        wrong = not sized and (words[place].key != "of" or after_image(words, place) > place)
        return (place + 1 - start, None) if wrong or away or _place_alone(words, place + 1) else None
    joint = longest_phrase(words, edge.end, JOINTS)
    if sized or unit.share or not unit.stated or (joint and _place_alone(words, edge.end + joint)):
        return edge.end - start, None
    if _relative(words, edge.end):
        return edge.end + 1 - start, None
    meaning = f"its box is {numbers.meaning(' px')} from {edge.name} of the image"
    return edge.end - start, Clause("place", said(words, start, edge.end), meaning, numbers.sql(edge.distance))


def _compared(words: Sequence[Word], start: int) -> tuple[int, NumberRange, bool, Unit] | None:
    """A comparison with a number, and whether its words are about a size."""
    key = words[start].key
    if key in CLOSER | FARTHER:
        than = longest_phrase(words, start + 1, (("than",), ("away", "than")))
        number = number_of(words[start + 1 + than]) if than and start + 1 + than < len(words) else None
        read = None if number is None else read_comparison([*_more_than(key), *words[start + 1 + than :]], 0)
        if read is None:
            return None
        end, numbers, _, unit = read
        shift = start + 1 + than - 2
        return end + shift, numbers, False, unit._replace(end=unit.end + shift)
    read = read_comparison(words, start)
    if read is None:
        return None
    end, numbers, measure, unit = read
    return end, numbers, measure is not None, unit


def _more_than(key: str) -> list[Word]:
    return [Word(text, text) for text in ("less" if key in CLOSER else "more", "than")]
