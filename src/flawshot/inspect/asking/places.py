"""Places in questions: ninths, halves, corners and edges of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flawshot.inspect.asking.clauses import Clause
from flawshot.inspect.asking.words import longest_phrase, number_of, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.inspect.asking.words import Word

__all__ = ["PLACE_WORDS", "read_place"]

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
    for image in ("image", "images", "picture", "pictures")
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


def _edge(words: Sequence[Word], start: int) -> _Edge | None:
    place, side = _skip(words, start), None
    if place < len(words) and words[place].key in {*ROWS, *COLUMNS}:
        side = {"upper": "top", "lower": "bottom"}.get(words[place].key, words[place].key)
        place += 1
    if place >= len(words) or words[place].quoted or words[place].key not in EDGE:
        return None
    end = _after(words, place + 1)
    if side is None:
        return _Edge(end, "the edge", ANY_DISTANCE)
    return _Edge(end, f"the {side} edge", DISTANCES[side])


def _manner(words: Sequence[Word], start: int) -> tuple[str, int]:
    """How a place is meant, and the place after the words that say it."""
    for name, phrases in (("near", (*NEAR, *PREPOSITIONS)), ("touching", TOUCHING), ("far", FAR)):
        if length := longest_phrase(words, start, phrases):
            return name, start + length
    return "", start


def _at_edge(words: Sequence[Word], start: int) -> tuple[int, Clause] | None:
    manner, place = _manner(words, start)
    edge = _edge(words, place)
    if edge is None:
        return None
    near = f"its box is less than 5 % of the image's shorter side from {edge.name} of the image"
    if manner == "touching":
        meaning = f"touching {edge.name}: its box reaches {edge.name} of the image"
        sql = f"{edge.distance} = 0"
    elif manner == "far":
        meaning = f"away from {edge.name}: not so that {near}"
        sql = f"{TWENTIETH} * {edge.distance} >= {SHORTER}"
    else:
        meaning = f"near {edge.name}: {near}"
        sql = f"{TWENTIETH} * {edge.distance} < {SHORTER}"
    return edge.end - start, Clause("place", said(words, start, edge.end), meaning, sql)


def _within(words: Sequence[Word], start: int) -> tuple[int, Clause] | None:
    """A distance from the edge in pixels: "within 20 pixels of the edge"."""
    if words[start].key != "within" or len(words) < start + 5:
        return None
    number = number_of(words[start + 1])
    if number is None or words[start + 2].key not in PIXELS or words[start + 3].key not in {"of", "from"}:
        return None
    edge = _edge(words, start + 4)
    if edge is None:
        return None
    meaning = f"its box is at most {number:.15g} px from {edge.name} of the image"
    return edge.end - start, Clause("place", said(words, start, edge.end), meaning, f"{edge.distance} <= {number:.15g}")


def _beside_ninth(words: Sequence[Word], start: int) -> tuple[int, Clause] | None:
    """A ninth after a word such as near, or away from."""
    manner, place = _manner(words, start)
    if manner not in {"near", "far"}:
        return None
    place = _skip(words, place)
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
    row, column, middle, place = _direction(words, start)
    following = words[place].key if place < len(words) and not words[place].quoted else ""
    if following in CORNER and not middle:
        cells = _cells(row, column) & CORNERS
        return _of_cells(words, start, _after(words, place + 1), cells)
    if place == start:
        return None
    alone = not middle and (row is None) != (column is None)
    if following in {"half", "third"}:
        if not alone:
            return None
        end = _after(words, place + 1)
        if following == "half":
            return end - start, _half(said(words, start, end), row, column)
        return _of_cells(words, start, end, _cells(row, column))
    if middle:
        row, column = 1 if row is None else row, 1 if column is None else column
    end = _after(words, place + longest_phrase(words, place, AREAS))
    return _of_cells(words, start, end, _cells(row, column))


def _direction(words: Sequence[Word], start: int) -> tuple[int | None, int | None, bool, int]:
    """Row, column, and whether it is the middle of what is not said; and the place after at most two words."""
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
    return row, column, middle, place


def _cells(row: int | None, column: int | None) -> frozenset[tuple[int, int]]:
    return frozenset(cell for cell in ALL_CELLS if row in {None, cell[0]} and column in {None, cell[1]})


def _half(words_said: str, row: int | None, column: int | None) -> Clause:
    centers, side, number, names = (
        ("x0 + x1", "image_width", column, NAMES[1]) if row is None else ("y0 + y1", "image_height", row, NAMES[0])
    )
    meaning = f"the center of its box is in the {names[number or 0]} half of the image"
    return Clause("place", words_said, meaning, f"{centers} {'>=' if number else '<'} {side}")


def _of_cells(words: Sequence[Word], start: int, end: int, cells: frozenset[tuple[int, int]]) -> tuple[int, Clause]:
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
    return end - start, Clause("place", said(words, start, end), meaning, sql, cells=cells)


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


def _skip(words: Sequence[Word], place: int) -> int:
    while place < len(words) and not words[place].quoted and words[place].key in ARTICLES:
        place += 1
    return place


def _after(words: Sequence[Word], place: int) -> int:
    return place + longest_phrase(words, place, OF_IMAGE)
