"""Label Studio's run lengths of brushes: thi.ng's rle-pack of an image's red, green, blue and alpha values.

The format is described at https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack: 32 bits with the number of
values, 5 bits with the size of a value less 1, four times 4 bits with the sizes of lengths less 1; then blocks. A block
has one bit that says whether it is one repeated value, two bits that choose the size of its length, its length less 1,
and its value or values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flawshot.base.errors import FlawshotError
from flawshot.base.wording import counted
from flawshot.labelme.images import check_pixels
from flawshot.labelme.shapes import Region, trim

__all__ = ["brush_region"]

CHANNELS = 4
DAMAGED = "its rle ends before its last pixel, and is damaged"


def brush_region(rle: Any, height: int, width: int) -> Region:
    """The pixels that a brush painted: those that are not transparent.

    Args:
        rle: The bytes, as a list of whole numbers from 0 to 255.
        height: The image's height in px.
        width: The image's width in px.

    Raises:
        FlawshotError: If these are not the run lengths of such an image.
    """
    check_pixels(width, height, "rle")
    if not isinstance(rle, list) or not all(type(value) is int and 0 <= value < 256 for value in rle):
        raise FlawshotError("its rle must be a list of whole numbers from 0 to 255")
    bits = _Bits(bytes(rle))
    count = bits.number(32)
    if count != height * width * CHANNELS:
        raise FlawshotError(
            f"its rle has {counted(count, 'value')}, but an image of {width} x {height} px has "
            f"{height * width * CHANNELS}"
        )
    word = bits.number(5) + 1
    if word != 8:
        raise FlawshotError(f"its rle has values of {word} bits, not 8")
    sizes = [bits.number(4) + 1 for _ in range(4)]
    values = np.zeros(count, dtype=np.uint8)
    done = 0
    while done < count:
        repeats = bits.number(1)
        end = done + bits.number(sizes[bits.number(2)]) + 1
        if end > count:
            raise FlawshotError("its rle goes on after its last pixel, and is damaged")
        values[done:end] = bits.number(word) if repeats else bits.bytes(end - done)
        done = end
    return trim(values.reshape(height, width, CHANNELS)[:, :, -1] > 0, 0, 0)


class _Bits:
    """Bytes, read bit by bit."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
        self._text = self._bits.tobytes().translate(bytes([48, 49]) + bytes(254)).decode("ascii")
        self._place = 0

    def number(self, size: int) -> int:
        """The next bits as a whole number, the highest first."""
        text = self._text[self._place : self._place + size]
        if len(text) < size:
            raise FlawshotError(DAMAGED)
        self._place += size
        return int(text, 2)

    def bytes(self, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The next bytes, which may begin at any bit."""
        bits = self._bits[self._place : self._place + 8 * count]
        if len(bits) < 8 * count:
            raise FlawshotError(DAMAGED)
        self._place += 8 * count
        return np.packbits(bits)
