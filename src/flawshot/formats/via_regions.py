"""Regions of the VGG Image Annotator: their shapes, and which of their attributes is the category."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from flawshot.base.errors import FlawshotError
from flawshot.formats.image_records import Part
from flawshot.formats.plain_shapes import box, circle, ellipse, number, points_shape
from flawshot.formats.texts import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flawshot.formats.plain_shapes import Size

__all__ = ["LabelChoice", "region_part"]

# Names under which the category is likely, if there are several attributes.
LIKELY = ("label", "class", "category", "defect", "type", "name", "label_name", "class_name", "defect_type")


@dataclass(frozen=True)
class LabelChoice:
    """Which attribute of a region is its category.

    Attributes:
        name: The attribute; None if regions have none.
        options: The displayed texts of its values, by attribute.
    """

    name: str | None
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def guessed(
        cls,
        attributes: Iterable[Any],
        label: str | None,
        options: Mapping[str, Mapping[str, str]],
        option: str,
    ) -> LabelChoice:
        """The attribute that the user named, or the only one, or the only one that is called like a category.

        Args:
            attributes: The attributes of all regions.
            label: The user's choice.
            options: The displayed texts of values, by attribute.
            option: How the user chooses, for errors.

        Raises:
            FlawshotError: If no region has the attribute that the user named, or there are several, none of which or
                more than one of which is called like a category.
        """
        counts = Counter(name for told in attributes if isinstance(told, dict) for name in told)
        names = sorted(counts, key=lambda name: (-counts[name], name))
        if label is not None:
            label = next((name for name in names if name.casefold() == label.casefold()), label)
            if label not in counts:
                has = f"only {', '.join(names)[:120]}" if names else "no attribute at all"
                raise FlawshotError(f"{option}: {label!r}: no region has this attribute, {has}")
            return cls(label, options)
        likely = [name for name in names if name.strip().lower() in LIKELY]
        if len(names) > 1 and len(likely) != 1:
            raise FlawshotError(
                f"regions have the attributes {', '.join(names)[:120]}; say which one is the category with {option}"
            )
        return cls(next(iter([*likely, *names]), None), options)


def region_part(shape: Any, told: Any, choice: LabelChoice, where: str) -> Part:
    """A region.

    Args:
        shape: Its shape attributes.
        told: Its region attributes; those that are not its category become flags or its description.
        choice: Which one is the category.
        where: Its name for problems.
    """
    attributes = told if isinstance(told, dict) else {}
    flags: dict[str, bool] = {}
    notes: list[str] = []
    for name, value in attributes.items():
        if name == choice.name:
            continue
        if isinstance(value, bool):
            flags[name] = value
        elif text := _text(value, choice.options.get(name, {})):
            notes.append(f"{name}: {text}")
    try:
        label = _label(attributes, choice)
    except FlawshotError as error:
        return Part(where, "", partial(_refuse, error))
    return Part(where, label, partial(_shapes, shape), flags, {"description": "; ".join(notes)} if notes else {})


def _refuse(error: FlawshotError, _: Size) -> list[dict[str, Any]]:
    raise error


def _text(value: Any, options: Mapping[str, str]) -> str:
    """The text of an attribute's value; several options, of check boxes, are joined."""
    if isinstance(value, dict):
        return ", ".join(options.get(key, key) for key, is_set in value.items() if is_set is True)
    if isinstance(value, str):
        return options.get(value, value)
    return str(value) if isinstance(value, float) or (isinstance(value, int) and abs(value) < 1e18) else ""


def _label(attributes: Mapping[str, Any], choice: LabelChoice) -> str:
    value = attributes.get(choice.name) if choice.name is not None else None
    if isinstance(value, dict) and sum(each is True for each in value.values()) > 1:
        raise FlawshotError(f"its {choice.name} has several values: {_text(value, {})[:60]}")
    return plain_text(_text(value, choice.options.get(choice.name or "", {})))


def _shapes(shape: Any, _: Size) -> list[dict[str, Any]]:
    if not isinstance(shape, dict):
        raise FlawshotError("has no shape_attributes")
    name = shape.get("name")
    match name if isinstance(name, str) else "":
        case "rect":
            x, y, width, height = _numbers(shape, "x", "y", "width", "height")
            return [box(x, y, x + width, y + height)]
        case "circle":
            x, y, radius = _numbers(shape, "cx", "cy", "r")
            return [circle((x, y), radius)]
        case "ellipse":
            x, y, rx, ry = _numbers(shape, "cx", "cy", "rx", "ry")
            theta = number(shape.get("theta", 0), "theta")
            return [ellipse((x, y), (rx, ry), math.degrees(theta))]
        case "point":
            return [points_shape("point", [_numbers(shape, "cx", "cy")], 1)]
        case "polygon":
            return [points_shape("polygon", _points(shape), 3)]
        case "polyline" | "line":
            return [points_shape("linestrip", _points(shape), 2)]
    shown = name[:60] if isinstance(name, str) else "no text"
    raise FlawshotError(f"its shape {shown!r} is not known")


def _numbers(shape: Mapping[str, Any], *names: str) -> list[float]:
    return [number(shape.get(name), name) for name in names]


def _points(shape: Mapping[str, Any]) -> Sequence[tuple[float, float]]:
    x, y = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
        raise FlawshotError("all_points_x and all_points_y must be lists of the same length")
    return [(number(a, "all_points_x"), number(b, "all_points_y")) for a, b in zip(x, y, strict=True)]
