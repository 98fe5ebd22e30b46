"""Made-up surfaces, and photographs of them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def texture(seed, shape=(260, 340)):
    """A ground surface with blotches; of any two seeds the statistics are the same."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=shape)
    fine = ndimage.gaussian_filter(noise, (6, 1))
    blotches = ndimage.gaussian_filter(rng.normal(size=shape), 5)
    surface = fine / fine.std() + blotches / blotches.std()
    return np.clip(110 + 22 * surface, 0, 255).astype(np.uint8)


def photograph(surface, rng, crop=0.12):
    """The surface at another exposure, shifted and cropped, with noise."""
    height, width = surface.shape
    top, bottom, left, right = (int(rng.uniform(0, crop) * size) for size in (height, height, width, width))
    part = surface[top : height - bottom, left : width - right].astype(float)
    exposed = part * rng.uniform(0.4, 1.5) + rng.uniform(-20, 20) + rng.normal(0, 4, part.shape)
    return np.clip(exposed, 0, 255).astype(np.uint8)
