"""Checks of the outline of a shape, and of duplicate shapes in a file."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from flawshot.base.errors import Problem
from flawshot.labelme.shapes import rasterize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flawshot.labelme.shapes import Region, Shape

__all__ = ["crossing_edges", "duplicate_shapes", "self_intersections", "zero_areas"]

LEAST_IOU = 0.95
# Shapes whose boxes overlap less than this cannot be duplicates, except for spurs one pixel wide.
LEAST_BOX_IOU = 0.5
PAIRS_AT_ONCE = 2**18
TOUCHING = 1e-6  # px: points this near to a line are on it
# px²: anything smaller is rounding error.
NO_AREA = 1e-6


def zero_areas(annotation: str, shapes: Sequence[Shape]) -> list[Problem]:
    """Report polygons whose points lie on one line or retrace their path, and flat rectangles.

    (A circle without radius covers no pixel, which is reported when the file is read.)
    """
    message = "encloses no area; redraw it, or make it a line or a point"
    return [
        Problem(annotation, "zero-area", f"the {shape.shape_type} {message}", "warning", shape.index)
        for shape in shapes
        if _area(shape) <= NO_AREA
    ]


def _area(shape: Shape) -> float:
    """Area in px²; infinite for shapes that have no area by nature."""
    points = shape.points
    match shape.shape_type:
        case "polygon" | "oriented_rectangle":
            if crossing_edges(points) is not None:  # the halves of a figure eight cancel out; that is another finding
                return np.inf
            x, y = (points - points[0]).T
            return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
        case "rectangle":
            return float(np.prod(np.abs(points[1] - points[0])))
        case _:
            return np.inf


def self_intersections(annotation: str, shapes: Sequence[Shape]) -> list[Problem]:
    """Report polygons whose outline crosses itself."""
    problems = []
    for shape in shapes:
        if shape.shape_type != "polygon":
            continue
        edges = crossing_edges(shape.points)
        if edges is not None:
            first, second = edges
            message = f"the polygon crosses itself: its edges from points {first} and {second} intersect; redraw it"
            problems.append(Problem(annotation, "self-intersection", message, "warning", shape.index))
    return problems


def crossing_edges(points: NDArray[np.float64]) -> tuple[int, int] | None:
    """The first two edges of a closed outline that cross, by the index of each edge's first point.

    Edges cross if each passes through the interior of the other. Touching is not crossing: neighbors share a point,
    the outline of a mask retraces itself where the mask is thin, and annotators may end where they began.

    Args:
        points: float ``[n, 2]``.

    >>> crossing_edges(np.array([[0.0, 0], [4, 4], [4, 0], [0, 4]]))
    (0, 2)
    >>> crossing_edges(np.array([[0.0, 0], [4, 0], [4, 4], [2, 0], [0, 4]]))
    """
    starts, ends = points, np.roll(points, -1, axis=0)
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    order = np.argsort(low[:, 0], kind="stable")
    reach = np.searchsorted(low[order, 0], high[order, 0], side="right")
    found: list[tuple[int, int]] = []
    for left, right in _pairs(reach):
        a, b = order[left], order[right]
        meet = (low[a, 1] <= high[b, 1]) & (low[b, 1] <= high[a, 1])
        a, b = a[meet], b[meet]
        apart = _sides(starts[a], ends[a], starts[b], ends[b])
        cross = apart & _sides(starts[b], ends[b], starts[a], ends[a])
        found += [(min(i, j), max(i, j)) for i, j in zip(a[cross].tolist(), b[cross].tolist(), strict=True)]
    return min(found, default=None)


def _pairs(reach: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """All (i, j) with i < j < reach[i], in parts, so that memory stays bounded."""
    counts = np.maximum(0, reach - np.arange(len(reach)) - 1)
    begin = 0
    while begin < len(reach):
        total = np.cumsum(counts[begin:])
        end = begin + max(1, int(np.searchsorted(total, PAIRS_AT_ONCE, side="right")))
        own = counts[begin:end]
        left = np.repeat(np.arange(begin, end), own)
        offsets = np.arange(int(own.sum())) - np.repeat(np.cumsum(own) - own, own)
        yield left, left + 1 + offsets
        begin = end


def _sides(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    one: NDArray[np.float64],
    other: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Whether two points lie strictly on opposite sides of a line."""
    along = end - start
    slack = TOUCHING * np.hypot(*along.T)
    first, second = (
        along[:, 0] * (point - start)[:, 1] - along[:, 1] * (point - start)[:, 0] for point in (one, other)
    )
    either: NDArray[np.bool_] = ((first > slack) & (second < -slack)) | ((first < -slack) & (second > slack))
    return either


def duplicate_shapes(annotation: str, shapes: Sequence[Shape], height: int, width: int) -> list[Problem]:
    """Report shapes with the same label that cover the same pixels (IoU over 0.95)."""
    problems = []
    by_label = sorted(shapes, key=lambda shape: shape.label)
    for _, same in groupby(by_label, key=lambda shape: shape.label):
        own = list(same)
        if len(own) < 2:
            continue
        regions = [rasterize(shape, height, width) for shape in own]
        for second, nearby in enumerate(_near(regions)):
            first = next((n for n in nearby if _iou(regions[n], regions[second]) > LEAST_IOU), None)
            if first is not None:
                iou = _iou(regions[first], regions[second])
                message = (
                    f"covers the pixels of shape {own[first].index}, with the same label (IoU {iou:.2f}); remove one"
                )
                problems.append(Problem(annotation, "duplicate-shape", message, "warning", own[second].index))
    return problems


def _near(regions: Sequence[Region]) -> Iterator[list[int]]:
    """For each region, the earlier ones with a similar box."""
    boxes = np.array([region.box for region in regions], dtype=np.int64)
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for last, box in enumerate(boxes):
        low, high = np.maximum(boxes[:last, :2], box[:2]), np.minimum(boxes[:last, 2:], box[2:])
        both = np.clip(high - low, 0, None).prod(axis=1)
        yield np.flatnonzero(both > LEAST_BOX_IOU * (sizes[:last] + sizes[last] - both)).tolist()


def _iou(a: Region, b: Region) -> float:
    ax0, ay0, ax1, ay1 = a.box
    bx0, by0, bx1, by1 = b.box
    x0, y0, x1, y1 = max(ax0, bx0), max(ay0, by0), min(ax1, bx1), min(ay1, by1)
    one, two = (part.pixels[y0 - part.y0 : y1 - part.y0, x0 - part.x0 : x1 - part.x0] for part in (a, b))
    both = int(np.count_nonzero(one & two))
    return both / (a.area + b.area - both)
