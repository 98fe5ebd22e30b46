"""Writes Label Studio's run lengths of brushes, as the description of thi.ng's rle-pack says."""

from __future__ import annotations

import numpy as np

SIZES = (3, 4, 8, 16)


def encode(mask, *, repeats=True):
    """thi.ng's rle-pack of a mask's red, green, blue and alpha, in blocks of repeated or of different values."""
    values = np.repeat(mask.astype(np.uint8).flatten() * 255, 4)
    bits = [f"{len(values):032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    done = 0
    while done < len(values):
        same = int((values[done:] != values[done]).argmax()) or len(values) - done
        count = min(same if repeats else 7, len(values) - done, 2**16)
        kind = next(number for number, size in enumerate(SIZES) if count <= 2**size)
        block = values[done : done + (1 if repeats else count)]
        bits += [f"{int(repeats)}{kind:02b}{count - 1:0{SIZES[kind]}b}", *(f"{value:08b}" for value in block)]
        done += count
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[place : place + 8], 2) for place in range(0, len(text), 8)]
