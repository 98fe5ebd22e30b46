"""Masks in another size: as torch interpolates them, in a window with all of the mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from flawshot.locating import enlarging
from flawshot.locating.enlarging import enlarged


@pytest.mark.parametrize(
    ("small", "large"),
    [
        pytest.param((32, 48), (100, 160), id="larger"),
        pytest.param((32, 48), (32, 48), id="the same"),
        pytest.param((64, 96), (30, 41), id="smaller"),
        pytest.param((96, 32), (1000, 17), id="narrower"),
        pytest.param((32, 32), (1, 1), id="one px"),
    ],
)
@pytest.mark.parametrize("at_once", [2**20, 64])
def test_masks_are_those_of_torch(small, large, at_once, monkeypatch):
    monkeypatch.setattr(enlarging, "PIXELS_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    for each in range(40):
        mask = gaussian_filter(rng.normal(size=small), 1 + each % 4) > 0.02
        top, left = rng.integers(0, small[0]), rng.integers(0, small[1])
        mask[:top] = mask[:, :left] = False
        mask[top, left] = True
        given = torch.from_numpy(mask.astype(np.float32))[None, None]
        values = torch.nn.functional.interpolate(given, size=large, mode="bilinear", align_corners=False)[0, 0].numpy()
        window, made = enlarged(mask, large)
        whole = np.zeros(large, dtype=bool)
        whole[window] = made
        sure = np.abs(values - 0.5) > 1e-5
        assert np.array_equal(whole[sure], values[sure] >= 0.5)
        assert sure.mean() > 0.9 or small > large


def test_the_window_is_not_the_whole_image():
    mask = np.zeros((64, 64), dtype=bool)
    mask[10:13, 20:30] = True
    (rows, columns), made = enlarged(mask, (640, 1280))
    assert made.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert 80 <= rows.start <= 100
    assert 130 <= rows.stop <= 150
    assert 360 <= columns.start <= 400
    assert 600 <= columns.stop <= 640
