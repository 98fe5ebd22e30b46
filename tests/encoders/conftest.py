"""Tiny models, and crops to encode."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny_clip


@pytest.fixture(scope="session", autouse=True)
def _tiny_models(tmp_path_factory):
    tiny_clip.register(tmp_path_factory.mktemp("configs"))


@pytest.fixture
def crops():
    """Images and masks of a given side."""

    def make(side, count=5):
        rng = np.random.default_rng(side)
        images = torch.from_numpy(rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8))
        masks = torch.zeros(count, side, side, dtype=torch.uint8)
        for number in range(count):
            masks[number, 3 * number : 3 * number + 17, 5 : 11 + 4 * number] = 255
        return images, masks

    return make
