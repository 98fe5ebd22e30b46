"""Regions of Label Studio's results: coordinates in percent of the image's size, and brushes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from flawshot.base.errors import FlawshotError, Problem
from flawshot.formats.brush import brush_region
from flawshot.formats.image_records import Part, side_px
from flawshot.formats.plain_shapes import ellipse, mask, number, points_shape, rotated_box, snapped
from flawshot.formats.texts import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from flawshot.formats.plain_shapes import Size

__all__ = ["Regions", "read_regions"]

# The keys of a value with a region's labels; the last is that of a tag for labels alone.
LABELS = (
    "rectanglelabels",
    "polygonlabels",
    "ellipselabels",
    "brushlabels",
    "keypointlabels",
    "bitmasklabels",
    "vectorlabels",
    "labels",
)
# Results that say something about a region, or about the whole image.
CHOICES, TEXTS = "choices", ("text", "taxonomy", "rating", "number")


@dataclass
class Regions:
    """What an annotation says.

    Attributes:
        parts: Its regions.
        flags: Choices for the whole image.
        size: The image's height and width, as the results state it.
    """

    parts: list[Part] = field(default_factory=list)
    flags: dict[str, bool] = field(default_factory=dict)
    size: tuple[object, object] = (None, None)


def read_regions(results: Sequence[Any], where: str, problems: list[Problem]) -> Regions:
    """The regions of an annotation's results.

    Results with the same id are one region: its shape, its labels, and choices and texts about it.

    Args:
        results: The results, as in the file.
        where: The annotation's name for problems.
        problems: Oddities are added here.
    """
    made = Regions()
    groups: dict[str, list[dict[str, Any]]] = {}
    for place, result in enumerate(results):
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            kind = result.get("type") if isinstance(result, dict) else None
            shown = f" ({kind[:60]})" if isinstance(kind, str) else ""
            message = f"result {place}{shown} is neither a region nor a choice; it is left out"
            problems.append(Problem(where, "annotation", message))
            continue
        own = result.get("id")
        groups.setdefault(own if isinstance(own, str) and own else f"number {place}", []).append(result)
    for name, group in groups.items():
        regions = [result for result in group if _is_region(result)]
        owner = f"{where}: region {name[:60]}"
        if not regions:
            _add_choices(made, group, owner, problems)
            continue
        size = regions[0].get("original_height"), regions[0].get("original_width")
        if made.size == (None, None):
            made.size = size
        if turned := regions[0].get("image_rotation"):
            message = f"its image was turned by {str(turned)[:20]} degrees in Label Studio; check where it lies"
            problems.append(Problem(owner, "orientation", message, "warning"))
        made.parts.append(_part(regions[0], group, owner, problems))
    return made


def _is_region(result: Mapping[str, Any]) -> bool:
    value = result["value"]
    return bool({"x", "points", "rle", "vertices"} & set(value)) or any(key in value for key in LABELS[:-1])


def _add_choices(made: Regions, group: Iterable[Mapping[str, Any]], owner: str, problems: list[Problem]) -> None:
    for result in group:
        choices = _texts(result["value"].get(CHOICES))
        made.flags |= dict.fromkeys(choices, True)
        if not choices:
            kind = result.get("type")
            shown = kind[:60] if isinstance(kind, str) else "result"
            problems.append(Problem(owner, "annotation", f"a {shown} is not a region of pixels; it is left out"))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [text for text in value if isinstance(text, str) and text] if isinstance(value, list) else []


def _part(region: dict[str, Any], group: Iterable[dict[str, Any]], owner: str, problems: list[Problem]) -> Part:
    labels: dict[str, None] = {}
    notes: list[str] = []
    for result in group:
        value = result["value"]
        for key in LABELS:
            labels |= dict.fromkeys(map(plain_text, _texts(value.get(key))))
        notes += [text for key in (CHOICES, *TEXTS) for text in _texts(value.get(key))]
    if len(labels) > 1:
        first, *others = labels
        message = f"has several labels; {first[:60]!r} is used, and {', '.join(others)[:60]} left out"
        problems.append(Problem(owner, "label", message))
    if not labels:
        problems.append(Problem(owner, "label", "has no label", "warning"))
    more = {"description": "; ".join(notes)} if notes else {}
    return Part(owner, next(iter(labels), ""), partial(_shapes, region), {}, more)


def _shapes(region: Mapping[str, Any], size: Size) -> Iterator[dict[str, Any]]:
    value = region["value"]
    height, width = (
        side_px(region.get(f"original_{name}")) or known for name, known in zip(("height", "width"), size, strict=True)
    )
    if height is None or width is None:
        raise FlawshotError("has neither original_width and original_height nor an image, which give it its size")
    if "rle" in value:
        yield mask(brush_region(value["rle"], height, width))
        return
    if isinstance(value.get("points"), list):
        points = [_point(point, height, width) for point in value["points"]]
        if value.get("closed") is False:
            yield points_shape("linestrip", points, 2)
        else:
            yield points_shape("polygon", points, 3)
        return
    if "x" not in value:
        kind = region.get("type")
        raise FlawshotError(f"its type {(kind if isinstance(kind, str) else 'unknown')[:60]!r} is not known")
    x, y = (_px(value, name, side) for name, side in (("x", width), ("y", height)))
    degrees = number(value.get("rotation") or 0, "rotation")
    if "radiusX" in value or "radiusY" in value:
        radii = (_px(value, "radiusX", width), _px(value, "radiusY", height))
        yield ellipse((x, y), radii, degrees)
    elif "height" in value:
        x1, y1 = snapped(x + _px(value, "width", width)), snapped(y + _px(value, "height", height))
        x, y = snapped(x), snapped(y)
        yield rotated_box((x, y), (x1 - x, y1 - y), degrees, (x, y))
    else:  # of a key point, width is that of the mark on the screen
        yield points_shape("point", [(x, y)], 1)


def _px(value: Mapping[str, Any], name: str, side: int) -> float:
    return number(value.get(name), name) / 100 * side


def _point(point: Any, height: int, width: int) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2:
        raise FlawshotError("points must be pairs [x, y]")
    x, y = (number(each, "points") / 100 * side for each, side in zip(point, (width, height), strict=True))
    return snapped(x), snapped(y)
