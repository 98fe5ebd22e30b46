"""Hand-made features as an encoder: histograms of oriented gradients, local binary patterns, and gray levels.

What one had before networks; a floor that every encoder should stand on. scikit-image comes with labelme.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.feature import hog, local_binary_pattern

from flawshot.base.records import EncoderRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HandmadeEncoder"]

POINTS, RADIUS, LEVELS = 24, 3, 46


class HandmadeEncoder:
    """396 numbers of a gray crop: 324 of HOG, 26 of LBP, 46 gray levels; each part of length one."""

    side, dim, device = 96, 396, torch.device("cpu")
    record = EncoderRecord(
        family="handmade",
        name="HOG, LBP, histogram",
        weights="none",
        weights_hash=None,
        options={"side": side, "interpolation": "bicubic", "channels": "gray"},
        precision="float32",
        tokens=("all",),
    )

    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Encode crops, as :meth:`flawshot.encoders.base.Encoder.encode` says."""
        return torch.from_numpy(np.stack([_features(crop) for crop in images.numpy()]))[:, None]

    def encode_text(self, prompts: object) -> torch.Tensor:
        """There is no text tower."""
        raise NotImplementedError(f"hand-made features have no text tower for {prompts}")


def _features(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    gray = crop.astype(np.float32) @ np.array((0.299, 0.587, 0.114), dtype=np.float32)
    gradients = hog(gray, orientations=9, pixels_per_cell=(24, 24), cells_per_block=(2, 2))
    patterns = local_binary_pattern(gray.astype(np.uint8), POINTS, RADIUS, "uniform")
    parts = [
        gradients,
        np.bincount(patterns.astype(int).ravel(), minlength=POINTS + 2).astype(float),
        np.histogram(gray, bins=LEVELS, range=(0, 256))[0].astype(float),
    ]
    return np.concatenate([part / max(1e-6, float(np.linalg.norm(part))) for part in parts]).astype(np.float32)
