"""Random fields and coordinates: the raw material of surfaces and flaws.

All randomness is Python's ``random``, whose stream is the same on every machine and version.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    Field = NDArray[np.floating[Any]]

__all__ = ["axes", "fractal", "grain", "lerp", "log_uniform", "resized", "rise", "soften", "standard", "white"]

# A box filter of this many px is taken for a Gaussian of larger radius on a smaller field.
WIDE = 3.0


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    """A number between two, its logarithm uniform."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def white(rng: random.Random, height: int, width: int) -> Field:
    """White noise of mean 0 and variance 1, float32 ``[height, width]``."""
    raw = np.frombuffer(rng.randbytes(2 * height * width), dtype="<u2").reshape(height, width)
    return (raw.astype(np.float32) - np.float32(32767.5)) * np.float32(math.sqrt(12) / 65536)


def resized(field: Field, height: int, width: int) -> Field:
    """A field at another size, bicubic."""
    return np.asarray(Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def standard(field: Field) -> Field:
    """A field with mean 0 and standard deviation 1; all 0 where it is constant."""
    centered = field - field.mean()
    deviation = float(centered.std())
    return centered / np.float32(deviation) if deviation > 1e-6 else np.zeros_like(field)


def soften(field: Field, radius: float) -> Field:
    """A field blurred by a Gaussian of this radius (standard deviation, px)."""
    if radius <= 0.05:
        return field
    if radius <= WIDE or min(field.shape) < 32:
        blurred: Field = gaussian_filter(field, radius, truncate=2.5, mode="nearest")
        return blurred
    height, width = field.shape
    factor = radius / (WIDE / 2)
    small = resized(field, max(8, round(height / factor)), max(8, round(width / factor)))
    return resized(gaussian_filter(small, WIDE / 2, truncate=2.5, mode="nearest"), height, width)


def grain(rng: random.Random, side: int, cell: float, stretch: float = 1.0) -> Field:
    """Smooth noise of variance 1 whose grains are ``cell`` px high and ``cell * stretch`` px wide."""
    rows = min(side, max(2, round(side / max(1.0, cell)))) + 2
    columns = min(side, max(2, round(side / max(1.0, cell * stretch)))) + 2
    return standard(resized(white(rng, rows, columns), side, side))


def fractal(rng: random.Random, side: int, cell: float, roughness: float, octaves: int = 5) -> Field:
    """Fractal noise of variance 1.

    Args:
        rng: Where the randomness comes from.
        side: Of the field, px.
        cell: The largest grains, px.
        roughness: What each octave, of half the grain, weighs of the one before.
        octaves: At most so many.
    """
    total = np.zeros((side, side), dtype=np.float32)
    weight = 1.0
    for _ in range(octaves):
        total += np.float32(weight) * grain(rng, side, cell)
        weight, cell = weight * roughness, cell / 2
        if cell < 1:
            break
    return standard(total)


def axes(side: int, angle: float) -> tuple[Field, Field]:
    """Coordinates in px along and across a direction (radians), from the middle; each float32 ``[side, side]``."""
    line = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
    x, y = line[None, :], line[:, None]
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return x * cosine + y * sine, y * cosine - x * sine


def rise(field: Field, low: float, high: float) -> Field:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((field - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: Field = t * t * (3 - 2 * t)
    return smooth


def lerp(a: Field, b: Field | float, share: Field | float) -> Field:
    """``a`` where share is 0, ``b`` where it is 1."""
    mixed: Field = a + (b - a) * share
    return mixed
