"""COCO's run lengths: a mask as runs of 0 and 1 along its columns, as a list or packed into text.

They are not read by pycocotools, because on damaged runs it exposes unrelated memory, or crashes (version 2.0.11; see
docs/adr/0011); the tests compare the two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from flawshot.base.errors import FlawshotError
from flawshot.labelme.images import check_pixels
from flawshot.labelme.shapes import Region, trim

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["decode_region", "decode_runs", "encode_region"]

# Five bits per character, starting at "0"; characters from "P" on are followed by more of the same number.
LARGEST = 2**40  # no mask has as many pixels
PACKED = re.compile(r"(?:[P-o]{0,6}[0-O])*")


def decode_runs(segmentation: dict[str, Any]) -> NDArray[np.bool_]:
    """The mask of a COCO segmentation ``{"size": [height, width], "counts": …}``, bool ``[height, width]``.

    Raises:
        FlawshotError: If it has another form, or the runs do not fill the mask exactly.

    >>> decode_runs({"size": [2, 3], "counts": [1, 2, 3]}).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    >>> decode_runs({"size": [2, 3], "counts": "123"}).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    counts, height, width = _checked(segmentation)
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def decode_region(segmentation: dict[str, Any]) -> tuple[Region, int, int]:
    """The region of a COCO segmentation of run lengths; only its columns are ever in memory.

    Returns:
        The region, and the mask's height and width in px.

    Raises:
        FlawshotError: As for :func:`decode_runs`.

    >>> region, height, width = decode_region({"size": [2, 3], "counts": [3, 1, 2]})
    >>> region.box, height, width
    ((1, 1, 2, 2), 2, 3)
    """
    counts, height, width = _checked(segmentation)
    ends = np.cumsum(np.array([0, *counts], dtype=np.int64))
    lengths = ends[1:] - ends[:-1]
    covered = np.flatnonzero(lengths[1::2]) * 2 + 1
    if not covered.size:
        return Region(0, 0, np.zeros((0, 0), dtype=bool)), height, width
    left, right = int(ends[covered[0]] // height), int(-(-ends[covered[-1] + 1] // height))
    clipped = np.clip(ends, left * height, right * height)
    inside = clipped[1:] - clipped[:-1]
    columns = np.repeat(np.arange(len(inside)) % 2 == 1, inside).reshape(right - left, height)
    return trim(columns.T, left, 0), height, width


def encode_region(region: Region, height: int, width: int) -> dict[str, Any]:
    """A region as packed run lengths; only its columns are ever in memory.

    Args:
        region: The pixels.
        height: The image's height in px.
        width: The image's width in px.

    Returns:
        ``{"size": [height, width], "counts": text}``, as pycocotools writes it.

    >>> encode_region(Region(1, 1, np.ones((1, 1), dtype=bool)), 2, 3)
    {'size': [2, 3], 'counts': '312'}
    """
    x0, y0, x1, y1 = region.box
    columns = np.zeros((x1 - x0, height), dtype=bool)
    columns[:, y0:y1] = region.pixels.T
    inside = columns.ravel()
    changes = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if inside.size and inside[0]:
        changes = np.concatenate([[0], changes])
    if inside.size and inside[-1] and x1 < width:
        changes = np.concatenate([changes, [inside.size]])
    ends = np.concatenate([[0], changes + x0 * height, [height * width]])
    counts: list[int] = np.diff(ends).tolist()
    return {"size": [height, width], "counts": _pack(counts)}


def _pack(counts: list[int]) -> str:
    characters: list[str] = []
    for number, count in enumerate(counts):
        value = count if number < 3 else count - counts[number - 2]
        while True:
            bits, value = value & 0x1F, value >> 5
            last = value == (-1 if bits & 0x10 else 0)
            characters.append(chr((bits if last else bits | 0x20) + 48))
            if last:
                break
    return "".join(characters)


def _checked(segmentation: dict[str, Any]) -> tuple[list[int], int, int]:
    """Run lengths that fill their mask, and its height and width."""
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(map(_is_count, size)) or not all(size):
        raise FlawshotError(f"size must be [height, width] in px, not {str(size)[:60]}")
    height, width = size
    check_pixels(width, height, "size")
    if isinstance(counts, str):
        counts = _unpack(counts)
    if not isinstance(counts, list) or not all(map(_is_count, counts)):
        raise FlawshotError("counts must be run lengths of at least 0, a list or packed into text")
    if sum(counts) != height * width:
        filled = str(sum(counts))[:20]
        raise FlawshotError(f"counts fill {filled} px of the {height * width} px of a {width} x {height} mask")
    return counts, height, width


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST


def _unpack(text: str) -> list[int]:
    if not PACKED.fullmatch(text):
        raise FlawshotError("counts is not a packed list of run lengths")
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        if len(counts) > 2:  # all but the first three are differences to the last but one
            value += counts[-2]
        counts.append(value)
        value = shift = 0
    return counts
