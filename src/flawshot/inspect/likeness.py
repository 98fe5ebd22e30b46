"""How alike two images of one product are where they overlap, whatever their exposure, shift and crop.

Each image is reduced, its brightness and contrast are evened out locally, and its spectrum is divided by the product's
mean spectrum. What all images of the product have in common, such as the direction of grinding marks, then has little
weight, and what is specific to one sample has much. Two such images are correlated over all shifts at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import fft, ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Likeness", "reduce_image"]

SIDE = 96  # px of the median image's longer side once it is reduced
LONGEST = 3 * SIDE  # px: an image much longer than the others is reduced further, to bound the canvas
WINDOW = 9  # px of the neighborhood in which brightness and contrast are evened out
LEAST_OVERLAP = 0.6  # of the smaller image, along each axis
SPECTRA_BYTES = 512 * 2**20
COARSE = 3  # factor by which images are reduced to find candidates
PADDING, COARSE_PADDING = 1.5, 1.2  # side of the canvas per px of the longest image, so that shifts do not wrap around
AT_ONCE = 64


def reduce_image(image: Image.Image, scale: float) -> NDArray[np.float16]:
    """Reduce an image, and set its local brightness to 0 and its local contrast to 1.

    Args:
        image: The upright image.
        scale: Reduced px per px, at most 1.

    Returns:
        float16 ``[rows, columns]``; all zero if the image has a single color.
    """
    scale = min(scale, LONGEST / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    gray = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), dtype=np.float64)
    detail = gray - ndimage.uniform_filter(gray, WINDOW, mode="nearest")
    contrast = np.sqrt(np.maximum(ndimage.uniform_filter(detail**2, WINDOW, mode="nearest"), 0))
    if not contrast.any():
        return np.zeros(gray.shape, dtype=np.float16)
    even = detail / (contrast + 0.1 * contrast.mean())
    even -= even.mean()
    reduced: NDArray[np.float16] = (even / even.std()).astype(np.float16)
    return reduced


class Likeness:
    """The reduced images of one product, compared two at a time."""

    def __init__(self, images: Sequence[NDArray[np.float16]], padding: float = PADDING) -> None:
        """Take images from :func:`reduce_image`, and size the canvas by the longest of them."""
        self._images = images
        longest = max(side for image in images for side in image.shape)
        self._side = int(fft.next_fast_len(int(padding * longest) + 1, real=True))
        power = np.zeros((self._side, self._side // 2 + 1))
        for image in images:
            power += np.abs(self._transform(image)) ** 2 / image.size
        power = ndimage.uniform_filter(power / len(images), 3, mode="wrap")
        self._whitening = (1 / np.sqrt(power + 0.05 * power.mean() + 1e-12)).astype(np.float32)
        self._whitening[0, 0] = 0
        size = self._side * (self._side // 2 + 1) * np.dtype(np.complex64).itemsize
        self._spectrum = lru_cache(maxsize=max(2, SPECTRA_BYTES // size))(lambda index: self._white(images[index]))

    def __len__(self) -> int:
        """Number of images."""
        return len(self._images)

    @property
    def shifts(self) -> int:
        """The approximate number of shifts at which two images are compared."""
        height, width = np.median([image.shape for image in self._images], axis=0)
        return max(1, int((2 - 2 * LEAST_OVERLAP) ** 2 * height * width))

    def _transform(self, image: NDArray[np.float16]) -> NDArray[np.complex64]:
        spectrum: NDArray[np.complex64] = fft.rfft2(image.astype(np.float32), (self._side, self._side))
        return spectrum

    def _white(self, image: NDArray[np.float16]) -> NDArray[np.complex64]:
        """The spectrum divided by the product's, with unit energy; zero for an image of a single color."""
        spectrum = self._transform(image) * self._whitening
        energy = 2 * np.sum(np.abs(spectrum) ** 2) - np.sum(np.abs(spectrum[:, 0]) ** 2)
        white: NDArray[np.complex64] = (spectrum * (self._side / np.sqrt(energy + 1e-12))).astype(np.complex64)
        return white

    def compare(self, first: int, second: int) -> tuple[float, float]:
        """How far the best shift stands out, and the correlation there.

        Args:
            first: Index of an image.
            second: Index of another.

        Returns:
            The highest correlation over all shifts, in standard deviations of the correlation of unrelated noise at
            an overlap of that size; and the correlation itself, 1 for equal content.
        """
        return self._peak(first, self._spectrum(second), self._images[second].shape)

    def compare_mirrored(self, first: int, second: int, axes: tuple[int, ...]) -> float:
        """Like :meth:`compare`, in standard deviations, with the second image mirrored: same texture, other content."""
        mirrored = np.flip(self._images[second], axes)
        return self._peak(first, self._white(mirrored), mirrored.shape)[0]

    def _peak(self, first: int, spectrum: NDArray[np.complex64], shape: tuple[int, ...]) -> tuple[float, float]:
        own = self._images[first].shape
        correlation = fft.irfft2(self._spectrum(first) * np.conj(spectrum), (self._side, self._side))
        (rows, high), (columns, wide) = (_overlaps(a, b, self._side) for a, b in zip(own, shape, strict=True))
        # Both images have unit energy, which the overlap contains in proportion to its area.
        sizes = np.sqrt(float(own[0] * own[1] * shape[0] * shape[1]))
        deviations = correlation[np.ix_(rows, columns)] * (sizes / np.sqrt(np.outer(high, wide)))
        best = int(deviations.argmax())
        row, column = np.unravel_index(best, deviations.shape)
        z = float(deviations.flat[best])
        return z, min(1.0, z / float(np.sqrt(high[row] * wide[column])))

    def coarse(self) -> Likeness:
        """The same images, smaller."""
        smaller = (
            ndimage.uniform_filter(image.astype(np.float32), COARSE)[::COARSE, ::COARSE] for image in self._images
        )
        return Likeness([(image / (image.std() + 1e-6)).astype(np.float16) for image in smaller], COARSE_PADDING)

    def spectra(self) -> NDArray[np.complex64]:
        """The spectra of all images, ``[images, rows, columns]``; for coarse images, which are small."""
        return np.stack([self._white(image) for image in self._images])

    def nearest(self, index: int, spectra: NDArray[np.complex64], count: int) -> list[int]:
        """The images that correlate most with a given one at any shift, by a quick comparison.

        Args:
            index: The given image's index.
            spectra: The spectra of all images.
            count: How many to return; less than the number of other images.
        """
        highest = np.empty(len(spectra), dtype=np.float32)
        for start in range(0, len(spectra), AT_ONCE):
            part = spectra[start : start + AT_ONCE] * np.conj(spectra[index])
            highest[start : start + AT_ONCE] = fft.irfft2(part, (self._side, self._side)).max(axis=(1, 2))
        highest[index] = -np.inf
        found: list[int] = np.argpartition(highest, -count)[-count:].tolist()
        return found


def _overlaps(a: int, b: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Along one axis: the positions on the canvas whose shift leaves enough overlap, and the overlap there in px."""
    shift = np.arange(side)
    shift = np.where(shift > side // 2, shift - side, shift)
    overlap = np.minimum(a, b + shift) - np.maximum(0, shift)
    enough = np.flatnonzero(overlap >= max(1.0, LEAST_OVERLAP * min(a, b)))
    return enough, overlap[enough].astype(np.float64)
