"""Which annotated instances an image's found regions find, and which regions are the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.labelme.shapes import Region

__all__ = ["FOUND_IOU", "Match", "match_regions", "overlap", "same_place"]

# The least intersection over union at which a region finds an instance, wherever its center lies.
FOUND_IOU = 0.1
# Two regions are the same one, too, if more than this share of one of them is in the other.
MOST = 0.5


class Match(NamedTuple):
    """An instance and the region that finds it.

    Attributes:
        instance: The instance's number.
        region: The region's number.
        iou: Their intersection over union.
    """

    instance: int
    region: int
    iou: float


def match_regions(instances: Sequence[Region], regions: Sequence[Region]) -> list[Match]:
    """Match instances and found regions one to one.

    A region finds an instance if their intersection over union is at least 0.1, or if the region's center of mass lies
    on one of the instance's pixels. The pair with the greatest intersection over union is matched first.

    Args:
        instances: The annotated instances' pixels.
        regions: The found regions' pixels.

    Returns:
        The matches, in the order of the instances.
    """
    pairs = [
        Match(number, other, iou)
        for number, instance in enumerate(instances)
        for other, region in enumerate(regions)
        if _finds(region, instance, iou := overlap(instance, region))
    ]
    matches: dict[int, Match] = {}
    used: set[int] = set()
    for pair in sorted(pairs, key=lambda pair: -pair.iou):
        if pair.instance not in matches and pair.region not in used:
            matches[pair.instance] = pair
            used.add(pair.region)
    return [matches[number] for number in sorted(matches)]


def overlap(first: Region, second: Region) -> float:
    """Intersection over union of two regions of one image; 0 if neither covers a pixel."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = first.box, second.box
    left, top, right, bottom = max(ax0, bx0), max(ay0, by0), min(ax1, bx1), min(ay1, by1)
    if left >= right or top >= bottom:
        return 0.0
    a = first.pixels[top - ay0 : bottom - ay0, left - ax0 : right - ax0]
    b = second.pixels[top - by0 : bottom - by0, left - bx0 : right - bx0]
    shared = int(np.count_nonzero(a & b))
    return shared / (first.area + second.area - shared)


def same_place(region: Region, instance: Region) -> bool:
    """Whether a found region shows what an annotated one does, whoever drew either better.

    It does if it finds the instance, as :func:`match_regions` has it, or if more than half of one of them is in the
    other.

    Args:
        region: The found region's pixels.
        instance: The annotated one's.
    """
    iou = overlap(region, instance)
    shared = iou * (region.area + instance.area) / (1 + iou)
    return _finds(region, instance, iou) or shared > MOST * min(region.area, instance.area)


def _finds(region: Region, instance: Region, iou: float) -> bool:
    return iou >= FOUND_IOU or (iou > 0 and _centered(region, instance))


def _centered(region: Region, instance: Region) -> bool:
    rows, columns = np.nonzero(region.pixels)
    y, x = round(region.y0 + float(rows.mean())), round(region.x0 + float(columns.mean()))
    x0, y0, x1, y1 = instance.box
    return x0 <= x < x1 and y0 <= y < y1 and bool(instance.pixels[y - y0, x - x0])
