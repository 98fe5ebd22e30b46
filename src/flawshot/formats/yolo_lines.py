"""Lines of YOLO's text files: boxes and polygons in shares of the image's size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["finite_number", "has_track", "yolo_line"]

# YOLO's shares may leave the image by rounding.
SLACK = 0.01
# Values after the class: of a box; of a box with confidence and track id, or of a polygon with three points.
BOX, TRACKED_BOX = 4, 6


def finite_number(text: str, name: str) -> float:
    """A finite number.

    Args:
        text: The number.
        name: Its name for the error.

    Raises:
        FlawshotError: If it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FlawshotError(f"{name}: {text[:60]!r} is not a finite number")
    return value


def has_track(lines: Iterable[str]) -> bool:
    """Whether one of some lines ends in what can only be a track id: a whole number that is no share."""
    for line in lines:
        fields = line.split()[1:]
        if len(fields) >= TRACKED_BOX and not len(fields) % 2 and fields[-1].isdecimal() and int(fields[-1]) > 1:
            return True
    return False


def yolo_line(line: str, *, tracked: bool | None) -> tuple[tuple[float, ...], float | None]:
    """The shares of a line, four of a box or pairs of a polygon, and its confidence, if it has one.

    Args:
        line: ``class cx cy width height [confidence]``, or ``class x y x y x y … [confidence]``.
        tracked: Whether other lines of the same program have track ids; see :func:`has_track`. None for annotations,
            which have none: there, six numbers after the class are a polygon.

    Raises:
        FlawshotError: If it is neither, or has a track id, or may have one: a box with confidence and track id has as
            many values as a polygon with three points.

    >>> yolo_line("0 0.5 0.5 0.2 0.1 0.9", tracked=False)
    ((0.5, 0.5, 0.2, 0.1), 0.9)
    """
    _, *fields = line.split()
    values = tuple(finite_number(field, "a share") for field in fields)
    count = len(values)
    if count < BOX:
        raise FlawshotError("must be class cx cy width height [confidence], or class and at least 3 points")
    if tracked is not None and count >= TRACKED_BOX and not count % 2 and fields[-1].isdecimal():
        if tracked or values[-1] > 1:
            raise FlawshotError("seems to end in a track id; save the regions without track ids")
        if count == TRACKED_BOX:
            raise FlawshotError(
                "may be a box with confidence and track id, or a polygon of 3 points; save it without the track id, or "
                f"write the polygon's last number as {values[-1]:.1f}"
            )
    # Five are a box and its confidence; a polygon has an even number of shares.
    score = values[-1] if count % 2 else None
    shares = values if score is None else values[:-1]
    if min(shares) < -SLACK or max(shares) > 1 + SLACK:
        raise FlawshotError("has values beyond 0 to 1: they must be shares of the image's size, not px")
    return shares, score
