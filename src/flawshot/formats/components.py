"""Connected components of a mask, and their Labelme shapes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.labelme.shapes import Region, Shape, rasterize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from numpy.typing import NDArray

__all__ = [
    "check_number",
    "component_shape",
    "components",
    "large_components",
    "merge_near",
    "outline",
    "value_components",
]

EVERY_NEIGHBOR = np.ones((3, 3), dtype=bool)
# An outline runs this far inside the pixels' edges, so that it never touches or crosses itself, however thin the
# component; at a corner where two pixels touch, it keeps a distance of BRIDGE along their edges. Coordinates then start
# at the pixels' own indices and end less than a half above: truncated or rounded to whole pixels, as in drawing, they
# are the border pixels, and their middle is that of the mask's extreme pixels.
INSET = 5 / 16
BRIDGE = 13 / 32
LARGE_MASK = 2**22  # px
MOST_BOX_PIXELS = 2**31  # of the boxes of all components of one mask
# (x, y) of east, south, west, north: the next one is a right turn.
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def components(mask: NDArray[np.bool_]) -> list[Region]:
    """A mask's 8-connected components, in the order of their first pixels.

    >>> components(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], dtype=bool))[0].pixels.tolist()
    [[True, False], [False, True]]
    """
    return large_components(mask, 1, None)[0]


def large_components(mask: NDArray[np.bool_], min_area: int, most: int | None) -> tuple[list[Region], int]:
    """A mask's 8-connected components that are large enough, in the order of their first pixels.

    Args:
        mask: bool ``[height, width]``.
        min_area: Components with fewer px are left out.
        most: The maximum number of components; unlimited if None.

    Returns:
        The components, and how many were left out.

    Raises:
        FlawshotError: If there are more.
    """
    labels, count = ndimage.label(mask, EVERY_NEIGHBOR)
    numbers = np.arange(1, count + 1)
    if min_area > 1:
        numbers = np.flatnonzero(np.bincount(labels.ravel(), minlength=count + 1)[1:] >= min_area) + 1
    check_number(len(numbers), most)
    places = ndimage.find_objects(labels)
    check_extent(places[number - 1] for number in numbers.tolist())
    found = [
        Region(place[1].start, place[0].start, labels[place] == number)
        for number in numbers.tolist()
        if (place := places[number - 1]) is not None
    ]
    return found, count - len(found)


def check_number(count: int, most: int | None) -> None:
    """Refuse a mask with too many instances.

    Raises:
        FlawshotError: If there are more than ``most``.
    """
    if most is not None and count > most:
        raise FlawshotError(
            f"has {count} instances, more than {most}; it may be noise: leave out small ones with "
            f"{argument('min_area')}, or raise the limit with {argument('max_instances', count)}"
        )


def value_components(values: NDArray[Any], *, most: int | None = None) -> list[list[Region]]:
    """The 8-connected components of each nonzero value, one list per value, both in order.

    The time is that of sorting the pixels, regardless of the number of values.

    Args:
        values: Numbers ``[height, width]``.
        most: The maximum number of components.

    Raises:
        FlawshotError: If there are more.

    >>> parts = value_components(np.array([[7, 0, 3, 3], [0, 7, 0, 3]]))
    >>> [[part.box for part in own] for own in parts]
    [[(2, 0, 4, 2)], [(0, 0, 2, 2)]]
    """
    distinct, ranks = np.unique(values, return_inverse=True)
    ranks = ranks.reshape(values.shape)
    # Adjacent pixels of one value in a row form a run; it is joined with touching runs of its value in the next row.
    begins = np.ones(values.shape, dtype=bool)
    begins[:, 1:] = ranks[:, 1:] != ranks[:, :-1]
    runs = (np.cumsum(begins) - 1).reshape(values.shape)
    pairs = []
    for upper, lower in (
        (np.s_[:-1, :], np.s_[1:, :]),
        (np.s_[:-1, 1:], np.s_[1:, :-1]),
        (np.s_[:-1, :-1], np.s_[1:, 1:]),
    ):
        same = (ranks[upper] == ranks[lower]) & (values[upper] != 0)
        pairs.append(np.stack([runs[upper][same], runs[lower][same]]))
    first, second = np.concatenate(pairs, axis=1)
    count = int(begins.sum())
    graph = coo_matrix((np.ones(first.size, dtype=bool), (first, second)), shape=(count, count))
    _, of_run = connected_components(graph, directed=False)
    check_number(len(np.unique(of_run[values[begins] != 0])), most)
    labels = np.where(values != 0, of_run[runs] + 1, 0)
    places = ndimage.find_objects(labels)
    check_extent(places)
    numbers, beginnings = np.unique(of_run, return_index=True)
    rank_of = ranks[begins][beginnings]
    found: list[list[Region]] = [[] for _ in distinct]
    for number in numbers[np.lexsort((beginnings, rank_of))].tolist():
        place = places[number] if number < len(places) else None
        if place is not None:
            part = Region(place[1].start, place[0].start, labels[place] == number + 1)
            found[rank_of[number]].append(part)
    return [parts for parts in found if parts]


def check_extent(places: Iterable[tuple[slice, slice] | None]) -> None:
    """Refuse components whose boxes take too much memory, even if the components are few and small.

    Args:
        places: The components' boxes.

    Raises:
        FlawshotError: If their boxes cover too many px.
    """
    pixels = sum(
        (place[0].stop - place[0].start) * (place[1].stop - place[1].start) for place in places if place is not None
    )
    if pixels > MOST_BOX_PIXELS:
        raise FlawshotError(
            f"has components whose boxes cover {pixels} px in total, more than {MOST_BOX_PIXELS}; it is noise"
        )


def merge_near(parts: Sequence[Region], distance: float) -> list[list[Region]]:
    """Group components that are closer than a distance, in the order of their first components.

    Args:
        parts: The components of one mask.
        distance: Between the centers of the nearest pixels, in px; one empty pixel between them makes 2.

    >>> row = components(np.array([[1, 0, 1, 0, 0, 1]], dtype=bool))
    >>> [len(group) for group in merge_near(row, 2.5)]
    [2, 1]
    """
    if distance <= 1 or len(parts) < 2:
        return [[part] for part in parts]
    boxes = np.array([part.box for part in parts])
    borders = [cKDTree(_border(part)) for part in parts]
    first = list(range(len(parts)))

    def root(number: int) -> int:
        while first[number] != number:
            first[number] = first[first[number]]
            number = first[number]
        return number

    groups_left = len(parts)
    for number in range(len(parts)):
        for other in _nearest(boxes, number, distance):
            a, b = sorted((root(number), root(other)))
            if a != b and _are_near(borders[number], borders[other], distance):
                first[b] = a
                groups_left -= 1
        if groups_left == 1:
            break
    groups: dict[int, list[Region]] = {}
    for number, part in enumerate(parts):
        groups.setdefault(root(number), []).append(part)
    return list(groups.values())


def _nearest(boxes: NDArray[np.int_], number: int, distance: float) -> list[int]:
    """The later components whose boxes are closer than a distance to that of one component, the nearest first."""
    gaps = np.maximum(boxes[number + 1 :, :2] - boxes[number, 2:], boxes[number, :2] - boxes[number + 1 :, 2:]) + 1
    away = np.hypot(*gaps.clip(0).T)
    nearest: NDArray[np.intp] = np.argsort(away, kind="stable") + number + 1
    found: list[int] = nearest[: np.count_nonzero(away < distance)].tolist()
    return found


def _are_near(one: cKDTree, other: cKDTree, distance: float) -> bool:
    few, many = sorted((one, other), key=lambda tree: tree.n)
    return bool((many.query(few.data, distance_upper_bound=distance)[0] < distance).any())


def _border(part: Region) -> NDArray[np.float64]:
    """The centers of a component's border pixels, float64 ``[n, 2]``."""
    padded = np.pad(part.pixels, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    rows, columns = np.nonzero(part.pixels & ~inner)
    return np.stack([columns + part.x0, rows + part.y0], axis=1).astype(np.float64)


def component_shape(index: int, label: str, part: Region, *, group_id: int | None = None, exact: bool = False) -> Shape:
    """A component as a shape: a polygon that draws exactly its pixels, or a ``mask`` if no polygon does.

    Args:
        index: The shape's index in its file.
        label: The category.
        part: The component.
        group_id: The group that the shapes of one instance share.
        exact: Whether to return a ``mask`` in any case.
    """
    if not exact and not _has_holes(part.pixels):
        points = outline(part.pixels)
        # Checked in an image of the component's size; a large image would have to be drawn for each component.
        drawn = rasterize(Shape(0, label, "polygon", points), *part.pixels.shape)
        if drawn.box == (0, 0, *part.pixels.shape[::-1]) and np.array_equal(drawn.pixels, part.pixels):
            return Shape(index, label, "polygon", np.add(points, (part.x0, part.y0)), group_id=group_id)
    buffer = io.BytesIO()
    # Large ones as packed bits, which takes an eighth of the time.
    large = part.pixels.size > LARGE_MASK
    Image.fromarray(part.pixels if large else part.pixels.astype(np.uint8) * 255).save(buffer, format="PNG")
    x0, y0, x1, y1 = part.box
    corners = np.array([[x0, y0], [x1 - 1, y1 - 1]], dtype=np.float64)
    return Shape(index, label, "mask", corners, group_id=group_id, mask_png=buffer.getvalue())


def _has_holes(pixels: NDArray[np.bool_]) -> bool:
    # The empty pixels around a component are 4-connected unless some of them are enclosed.
    return bool(ndimage.label(~np.pad(pixels, 1))[1] > 1)


def outline(pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The outer border of an 8-connected component as a polygon that does not touch itself, float64 ``[n, 2]``.

    Drawn as Labelme draws a polygon, it covers the component and its holes.

    Args:
        pixels: The component, bool ``[height, width]``; at least one is set.

    >>> outline(np.ones((1, 2), dtype=bool)).tolist()
    [[1.375, 0.0], [1.375, 0.375], [0.0, 0.375], [0.0, 0.0]]
    """
    inside, width = np.pad(pixels, 1).tobytes(), pixels.shape[1] + 2
    # For each direction, the pixels ahead of a corner on its left and right, as positions in ``inside`` relative to the
    # pixel whose upper left corner it is.
    ahead = ((-width, 0), (0, -1), (-1, -width - 1), (-width - 1, -width))
    forward = (1, width, -1, -width)
    start = place = inside.index(1)
    direction = 0
    points: list[tuple[float, float]] = []
    while True:
        place += forward[direction]
        left, right = ahead[direction]
        dx, dy = STEPS[direction]
        if inside[place + left]:
            row, column = divmod(place, width)
            x, y = column - 1, row - 1
            if inside[place + right]:  # a corner that points inwards
                points.append((x + INSET * (dx - dy), y + INSET * (dy + dx)))
            else:  # two pixels that touch at this corner
                points.append((x - INSET * dy - BRIDGE * dx, y + INSET * dx - BRIDGE * dy))
                points.append((x + INSET * dx + BRIDGE * dy, y + INSET * dy - BRIDGE * dx))
            direction = (direction + 3) % 4
        elif not inside[place + right]:  # a corner that points outwards
            row, column = divmod(place, width)
            points.append((column - 1 - INSET * (dx + dy), row - 1 + INSET * (dx - dy)))
            direction = (direction + 1) % 4
        if place == start and direction == 0:
            return np.array(points) - INSET
