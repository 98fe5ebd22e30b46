"""Features of regions of one image in memory, as a feature bank would hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from flawshot.encoders.preprocessing import interpolation_of
from flawshot.regions.crops import crop_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.encoders.base import Encoder
    from flawshot.labelme.shapes import Region
    from flawshot.regions.views import Extent, ViewScheme

__all__ = ["region_features"]

REGIONS_AT_ONCE = 16


def region_features(
    encoder: Encoder,
    scheme: ViewScheme,
    image: Image.Image,
    regions: Sequence[Region],
    extents: Sequence[Extent | None] | None = None,
) -> NDArray[np.float32]:
    """Encode regions of an image.

    Args:
        encoder: The encoder.
        scheme: The views.
        image: The image, upright, RGB.
        regions: The regions; each has at least one pixel.
        extents: What decides the size of each region's views; by default its box.

    Returns:
        The first token's features with the precision of a bank, float32 ``[regions, views, dim]``.
    """
    made = [np.zeros((0, len(scheme.views), encoder.dim), dtype=np.float32)]
    wanted = list(zip(regions, extents or [None] * len(regions), strict=True))
    filter_ = interpolation_of(encoder.record)
    for start in range(0, len(wanted), REGIONS_AT_ONCE):
        several = [
            crop_views(image, region, scheme, encoder.side, extent=extent, interpolation=filter_)
            for region, extent in wanted[start : start + REGIONS_AT_ONCE]
        ]
        pixels = torch.from_numpy(np.concatenate([each.images for each in several]))
        inside = torch.from_numpy(np.concatenate([each.masks for each in several]))
        first = encoder.encode(pixels, inside)[:, 0].to("cpu", torch.float16).float().numpy()
        made.append(first.reshape(len(several), len(scheme.views), -1))
    return np.concatenate(made)
