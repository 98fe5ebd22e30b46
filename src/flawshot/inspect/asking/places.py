"""Places in questions: ninths, halves, corners and edges of the image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from flawshot.inspect.asking.clauses import Clause
from flawshot.inspect.asking.words import longest_phrase, number_of, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.inspect.asking.words import Word

__all__ = [
    "PLACE_WORDS",
    "Direction",
    "after_image",
    "edge_clause",
    "read_direction",
    "read_edge",
    "read_manner",
    "read_ninth",
    "read_place",
    "skip_articles",
]

ROWS = {"top": 0, "upper": 0, "bottom": 2, "lower": 2}
COLUMNS = {"left": 0, "right": 2}
MIDDLE = frozenset({"middle", "center", "centre", "central"})
EDGE = frozenset("edge edges border borders margin margins rim rims boundary boundaries".split())  # noqa: SIM905
CORNER = frozenset({"corner", "corners"})
NEAR = tuple(tuple(text.split()) for text in ("near", "near to", "close to", "next to", "along", "around"))
PREPOSITIONS = (("at",), ("on",), ("by",), ("in",))
TOUCHING = tuple(tuple(text.split()) for text in ("touching", "touch", "touches", "reaching", "against", "cut off by"))
FAR = (("far", "from"), ("away", "from"))
# What may follow a direction without a change of its meaning.
AREAS = (("area",), ("part",), ("side",), ("ninth",), ("region",))
OF_IMAGE = tuple(
    ("of", *article, image)
    for article in ((), ("the",), ("an",), ("its",), ("their",))
    for image in ("image", "images", "picture", "pictures", "photo", "photos")
)
ARTICLES = frozenset({"the", "a", "an", "its", "their", "any", "image", "very"})
PIXELS = frozenset({"px", "pixel", "pixels"})
PLACE_WORDS = (*ROWS, *COLUMNS, *MIDDLE, *EDGE, *CORNER, "near", "touching", "half", "third", "ninth")

ALL_CELLS = frozenset((row, column) for row in range(3) for column in range(3))
CORNERS = frozenset((row, column) for row in (0, 2) for column in (0, 2))
NAMES = (("top", "middle", "bottom"), ("left", "middle", "right"))
# Twenty times an instance's distance from the edge is compared with the shorter side: 5 % of it.
TWENTIETH = 20
SHORTER = "least(image_width, image_height)"
DISTANCES = {"left": "x0", "top": "y0", "right": "(image_width - x1)", "bottom": "(image_height - y1)"}
ANY_DISTANCE = "least(x0, y0, image_width - x1, image_height - y1)"


class _Edge(NamedTuple):
    """An edge of the image, as a question names it.

    Attributes:
        end: The place after its words.
        name: What it is called.
        distance: The distance of a box from it, in SQL.
    """

    end: int
    name: str
    distance: str


def read_place(words: Sequence[Word], start: int) -> tuple[int, Clause] | None:
    """The place that stands at a place of a question, with the number of words it takes.

    An instance is where the center of its box is, in the ninths that ``flawshot export detailed`` describes. It is
    near an edge if its box is closer to it than 5 % of the image's shorter side.
    """
    if words[start].quoted:
        return None
    return _at_edge(words, start) or _within(words, start) or _beside_ninth(words, start) or _ninth(words, start)


def read_edge(words: Sequence[Word], start: int) -> _Edge | None:
    """The edge at a place, after articles."""
    place, side = skip_articles(words, start), None
    if place < len(words) and words[place].key in {*ROWS, *COLUMNS}:
        side = {"upper": "top", "lower": "bottom"}.get(words[place].key, words[place].key)
        place += 1
    if place >= len(words) or words[place].quoted or words[place].key not in EDGE:
        return None
    end = after_image(words, place + 1)
    if side is None:
        return _Edge(end, "the edge", ANY_DISTANCE)
    return _Edge(end, f"the {side} edge", DISTANCES[side])


def read_manner(words: Sequence[Word], start: int) -> tuple[str, int]:
    """How a place is meant, and the place after the words that say it."""
    for name, phrases in (("near", (*NEAR, *PREPOSITIONS)), ("touching", TOUCHING), ("far", FAR)):
        if length := longest_phrase(words, start, phrases):
            return name, start + length
    return "", start


def _at_edge(words: Sequence[Word], start: int) -> tuple[int, Clause] | None:
    manner, place = read_manner(words, start)
    edge = read_edge(words, place)
    if edge is None:
        return None
    return edge.end - start, edge_clause(said(words, start, edge.end), manner, edge.name, edge.distance)


def edge_clause(text: str, manner: str, name: str, distance: str) -> Clause:
    """A clause about the distance from an edge.

    Args:
        text: The words of the question.
        manner: How it is meant: ``touching``, ``far``, and otherwise near.
        name: What the edge is called.
        distance: The distance in SQL.
    """
    near = f"its box is less than 5 % of the image's shorter side from {name} of the image"
    if manner == "touching":
        return Clause("place", text, f"touching {name}: its box reaches {name} of the image", f"{distance} = 0")
    if manner == "far":
        return Clause("place", text, f"away from {name}: not so that {near}", f"{TWENTIETH} * {distance} >= {SHORTER}")
    return Clause("place", text, f"near {name}: {near}", f"{TWENTIETH} * {distance} < {SHORTER}")


def _within(words: Sequence[Word], start: int) -> tuple[int, Clause] | None:
    """A distance from the edge in pixels: "within 20 pixels of the edge"."""
    if words[start].key != "within" or len(words) < start + 5:
        return None
    number = number_of(words[start + 1])
    if number is None or words[start + 2].key not in PIXELS or words[start + 3].key not in {"of", "from"}:
        return None
    edge = read_edge(words, start + 4)
    if edge is None:
        return None
    meaning = f"its box is at most {number:.15g} px from {edge.name} of the image"
    return edge.end - start, Clause("place", said(words, start, edge.end), meaning, f"{edge.distance} <= {number:.15g}")


def _beside_ninth(words: Sequence[Word], start: int) -> tuple[int, Clause] | None:
    """A ninth after a word such as near, or away from."""
    manner, place = read_manner(words, start)
    if manner not in {"near", "far"}:
        return None
    place = skip_articles(words, place)
    found = _ninth(words, place) if place < len(words) else None
    if found is None:
        return None
    length, own = found
    end = place + length
    words_said = said(words, start, end)
    if manner == "far":
        return end - start, Clause("place", words_said, f"not so that {own.meaning}", f"not ({own.sql})")
    return end - start, Clause("place", words_said, own.meaning, own.sql, cells=own.cells)


def _ninth(words: Sequence[Word], start: int) -> tuple[int, Clause] | None:
    """A ninth, third, half or corner."""
    direction = read_direction(words, start)
    following = words[direction.end].key if direction.end < len(words) and not words[direction.end].quoted else ""
    if following in CORNER:
        if direction.middle:
            return None
    elif direction.end == start or (following in {"half", "third"} and (direction.middle or direction.number != 1)):
        return None
    end, clause = read_ninth(words, direction.end, direction)
    return end - start, replace(clause, said=said(words, start, end))


def read_ninth(words: Sequence[Word], place: int, direction: Direction) -> tuple[int, Clause]:
    """What a direction means with the noun at a place, if there is one, and the place after it."""
    row, column = direction.row, direction.column
    following = words[place].key if place < len(words) and not words[place].quoted else ""
    end = after_image(words, place + 1)
    if following in CORNER:
        return end, _of_cells(_cells(row, column) & CORNERS)
    if following in {"half", "halves"}:
        return end, _half(row, column)
    if following in {"third", "thirds"}:
        return end, _of_cells(_cells(row, column))
    if direction.middle:
        row, column = 1 if row is None else row, 1 if column is None else column
    return after_image(words, place + longest_phrase(words, place, AREAS)), _of_cells(_cells(row, column))


class Direction(NamedTuple):
    """Where in the image: row and column, from 0 to 2.

    Attributes:
        row: The row; None if it is not said.
        column: The column; None if it is not said.
        middle: Whether what is not said is the middle.
        end: The place after its words, of which there are at most two.
    """

    row: int | None
    column: int | None
    middle: bool
    end: int

    @property
    def number(self) -> int:
        """How many of row and column are said."""
        return (self.row is not None) + (self.column is not None)

    @property
    def side(self) -> str | None:
        """The side of the image, if it is one."""
        if self.middle or self.number != 1:
            return None
        return NAMES[1][self.column] if self.row is None else NAMES[0][self.row]  # type: ignore[index]


def read_direction(words: Sequence[Word], start: int) -> Direction:
    """The direction at a place; it ends where it starts if there is none."""
    row = column = None
    middle, place = False, start
    while place < min(len(words), start + 2) and not words[place].quoted:
        key = words[place].key
        if key in ROWS and row is None:
            row = ROWS[key]
        elif key in COLUMNS and column is None:
            column = COLUMNS[key]
        elif key in MIDDLE and not middle:
            middle = True
        else:
            break
        place += 1
    return Direction(row, column, middle, place)


def _cells(row: int | None, column: int | None) -> frozenset[tuple[int, int]]:
    return frozenset(cell for cell in ALL_CELLS if row in {None, cell[0]} and column in {None, cell[1]})


def _half(row: int | None, column: int | None) -> Clause:
    centers, side, number, names = (
        ("x0 + x1", "image_width", column, NAMES[1]) if row is None else ("y0 + y1", "image_height", row, NAMES[0])
    )
    meaning = f"the center of its box is in the {names[number or 0]} half of the image"
    return Clause("place", "", meaning, f"{centers} {'>=' if number else '<'} {side}")


def _of_cells(cells: frozenset[tuple[int, int]]) -> Clause:
    """A clause that accepts some ninths: all of some rows and columns."""
    rows, columns = {row for row, _ in cells}, {column for _, column in cells}
    parts = (_thirds("y0 + y1", "image_height", rows), _thirds("x0 + x1", "image_width", columns))
    sql = " and ".join(part for part in parts if part)
    names = [NAMES[0][row] for row in rows if len(rows) == 1] + [
        NAMES[1][column] for column in columns if len(columns) == 1
    ]
    if cells == CORNERS:
        where = "one of the four corner ninths"
    elif cells < CORNERS and len(cells) == 2:
        where = f"one of the two {names[0]} corner ninths"
    elif len(names) == 2:
        where = "the center ninth" if names == ["middle", "middle"] else f"the {' '.join(names)} ninth"
    else:
        where = f"the {names[0]} third"
    meaning = f"the center of its box is in {where} of the image"
    return Clause("place", "", meaning, sql, cells=cells)


def _thirds(centers: str, side: str, thirds: set[int]) -> str:
    """A condition on twice a center's coordinate, in whole numbers; empty if all thirds are accepted."""
    if thirds == {0}:
        return f"3 * ({centers}) < 2 * {side}"
    if thirds == {2}:
        return f"3 * ({centers}) >= 4 * {side}"
    if thirds == {1}:
        return f"3 * ({centers}) >= 2 * {side} and 3 * ({centers}) < 4 * {side}"
    if thirds == {0, 2}:
        return f"(3 * ({centers}) < 2 * {side} or 3 * ({centers}) >= 4 * {side})"
    return ""


def skip_articles(words: Sequence[Word], place: int) -> int:
    """The place after articles."""
    while place < len(words) and not words[place].quoted and words[place].key in ARTICLES:
        place += 1
    return place


def after_image(words: Sequence[Word], place: int) -> int:
    """The place after "of the image"."""
    return place + longest_phrase(words, place, OF_IMAGE)
