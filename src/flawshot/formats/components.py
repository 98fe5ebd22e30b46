"""Connected components of a mask, and the Labelme shapes that are them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from flawshot.shapes import Region, Shape, rasterise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["component_shape", "components", "merge_near", "outline", "value_components"]

EVERY_NEIGHBOUR = np.ones((3, 3), dtype=bool)
# An outline runs this far inside the pixels' edges, so that it neither touches nor crosses itself, however thin the
# component; from a corner where two pixels touch, it stays BRIDGE along their edges. Coordinates then begin at the
# pixels' own numbers and end under a half above: cut or rounded to whole pixels, as drawing does, they are the border
# pixels, and their middle is that of the mask's extreme pixels.
INSET = 5 / 16
BRIDGE = 13 / 32
# (x, y) of east, south, west, north: the next one is the turn to the right.
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def components(mask: NDArray[np.bool_]) -> list[Region]:
    """A mask's 8-connected components, in the order of their first pixels.

    >>> components(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], dtype=bool))[0].pixels.tolist()
    [[True, False], [False, True]]
    """
    labels, _ = ndimage.label(mask, EVERY_NEIGHBOUR)
    return [
        Region(place[1].start, place[0].start, labels[place] == number)
        for number, place in enumerate(ndimage.find_objects(labels), start=1)
    ]


def value_components(values: NDArray[Any]) -> list[list[Region]]:
    """The 8-connected components of each value but 0, a list a value, both in order.

    The time is that of sorting the pixels, however many values there are.

    Args:
        values: Numbers ``[height, width]``.

    >>> parts = value_components(np.array([[7, 0, 3, 3], [0, 7, 0, 3]]))
    >>> [[part.box for part in own] for own in parts]
    [[(2, 0, 4, 2)], [(0, 0, 2, 2)]]
    """
    distinct, ranks = np.unique(values, return_inverse=True)
    ranks = ranks.reshape(values.shape)
    # Pixels of one value side by side are one run, and runs that touch one of their value in the next row are joined.
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
    labels = np.where(values != 0, of_run[runs] + 1, 0)
    places = ndimage.find_objects(labels)
    numbers, beginnings = np.unique(of_run, return_index=True)
    rank_of = ranks[begins][beginnings]
    found: list[list[Region]] = [[] for _ in distinct]
    for number in numbers[np.lexsort((beginnings, rank_of))].tolist():
        place = places[number] if number < len(places) else None
        if place is not None:
            part = Region(place[1].start, place[0].start, labels[place] == number + 1)
            found[rank_of[number]].append(part)
    return [parts for parts in found if parts]


def merge_near(parts: Sequence[Region], distance: float) -> list[list[Region]]:
    """Components that are nearer to each other than a distance, in one list each, in the order of their first ones.

    Args:
        parts: The components of one mask.
        distance: Between the centres of the nearest pixels, in px; one empty pixel between them makes 2.

    >>> row = components(np.array([[1, 0, 1, 0, 0, 1]], dtype=bool))
    >>> [len(group) for group in merge_near(row, 2.5)]
    [2, 1]
    """
    if distance <= 1 or len(parts) < 2:
        return [[part] for part in parts]
    boxes = np.array([part.box for part in parts])
    # No further than all parts reach, however far the distance does.
    margin = int(np.ceil(min(distance, float((boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)).max()))))
    first = list(range(len(parts)))

    def root(number: int) -> int:
        while first[number] != number:
            first[number] = first[first[number]]
            number = first[number]
        return number

    for number, part in enumerate(parts):
        x0, y0, x1, y1 = part.box
        reached = (boxes[:, :2] < (x1 + margin, y1 + margin)) & (boxes[:, 2:] > (x0 - margin, y0 - margin))
        near = [int(other) for other in np.flatnonzero(reached.all(axis=1)) if other > number]
        if not near:
            continue
        away = ndimage.distance_transform_edt(~np.pad(part.pixels, margin))
        for other in near:
            own = parts[other]
            left, top = max(own.x0, x0 - margin), max(own.y0, y0 - margin)
            right, bottom = min(own.box[2], x1 + margin), min(own.box[3], y1 + margin)
            theirs = own.pixels[top - own.y0 : bottom - own.y0, left - own.x0 : right - own.x0]
            mine = away[top - y0 + margin : bottom - y0 + margin, left - x0 + margin : right - x0 + margin]
            if (mine[theirs] < distance).any():
                a, b = sorted((root(number), root(other)))
                first[b] = a
    groups: dict[int, list[Region]] = {}
    for number, part in enumerate(parts):
        groups.setdefault(root(number), []).append(part)
    return list(groups.values())


def component_shape(index: int, label: str, part: Region, *, group_id: int | None = None, exact: bool = False) -> Shape:
    """The shape that is a component: a polygon that draws its pixels, or where there is none, a ``mask``.

    Args:
        index: The shape's place in its file.
        label: The category.
        part: The component.
        group_id: What the shapes of one instance share.
        exact: Whether it is to be a ``mask`` in any case.
    """
    if not exact and not _has_holes(part.pixels):
        points = outline(part.pixels)
        # Checked where the component alone is the image, for a large one would have to be drawn for each component.
        drawn = rasterise(Shape(0, label, "polygon", points), *part.pixels.shape)
        if drawn.box == (0, 0, *part.pixels.shape[::-1]) and np.array_equal(drawn.pixels, part.pixels):
            return Shape(index, label, "polygon", np.add(points, (part.x0, part.y0)), group_id=group_id)
    buffer = io.BytesIO()
    Image.fromarray(part.pixels.astype(np.uint8) * 255).save(buffer, format="PNG")
    x0, y0, x1, y1 = part.box
    corners = np.array([[x0, y0], [x1 - 1, y1 - 1]], dtype=np.float64)
    return Shape(index, label, "mask", corners, group_id=group_id, mask_png=buffer.getvalue())


def _has_holes(pixels: NDArray[np.bool_]) -> bool:
    return not np.array_equal(ndimage.binary_fill_holes(pixels), pixels)


def outline(pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The outer border of an 8-connected component as a polygon that does not touch itself, float64 ``[n, 2]``.

    Drawn as Labelme draws a polygon, it covers the component and its holes.

    Args:
        pixels: The component, bool ``[height, width]``; at least one is set.

    >>> outline(np.ones((1, 2), dtype=bool)).tolist()
    [[1.375, 0.0], [1.375, 0.375], [0.0, 0.375], [0.0, 0.0]]
    """
    inside, width = np.pad(pixels, 1).tobytes(), pixels.shape[1] + 2
    # Pixels left and right ahead of a corner of pixels, as places in ``inside`` relative to the pixel that it is the
    # upper left corner of, for each direction.
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
