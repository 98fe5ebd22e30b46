"""Label Studio's brushes: compared with its own converter, and an encoder written from the format's description."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brush_encoder import encode
from flawshot import FlawshotError
from flawshot.formats.brush import brush_region

masks = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@given(masks, st.booleans())
def test_masks_come_back_from_repeated_and_from_different_values(mask, repeats):
    region = brush_region(encode(mask, repeats=repeats), *mask.shape)
    assert np.array_equal(region.full_mask(*mask.shape), mask)


@settings(deadline=None)  # the first example imports the converter
@given(masks)
def test_masks_come_back_from_label_studios_own_converter(mask):
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="label-studio-sdk is not installed")
    rle = brush.encode_rle(np.repeat(mask.astype(np.uint8).flatten() * 255, 4))
    assert np.array_equal(brush_region(rle, *mask.shape).full_mask(*mask.shape), mask)
    own = brush.decode_rle(encode(mask)).reshape(*mask.shape, 4)[:, :, 3] > 0
    assert np.array_equal(own, mask)


MASK = np.eye(4, 5, dtype=bool)


@pytest.mark.parametrize(
    ("rle", "size", "said"),
    [
        (encode(MASK)[:-3], (4, 5), "ends before its last pixel"),
        (encode(MASK, repeats=False)[:-3], (4, 5), "ends before its last pixel"),
        ([], (4, 5), "ends before its last pixel"),
        (encode(MASK), (5, 5), "has 80 values, but an image of 5 x 5 px has 100"),
        ([255] * 40, (4, 5), "has 4294967295 values, but"),
        ([*encode(MASK)[:4], 0b00000_000, *encode(MASK)[5:]], (4, 5), "has values of 1 bits, not 8"),
        ([256], (4, 5), "must be a list of whole numbers from 0 to 255"),
        ([-1], (4, 5), "must be a list of whole numbers from 0 to 255"),
        ([0.5], (4, 5), "must be a list of whole numbers from 0 to 255"),
        ("abc", (4, 5), "must be a list of whole numbers from 0 to 255"),
        (encode(MASK), (100_000, 100_000), "more than the limit"),
        # A block of 2**16 values in an image with 4.
        ([0, 0, 0, 4, 0b00111_001, 0b0_0011_011, 0b1_1111_1_11, 255, 255, 255], (1, 1), "goes on after its last"),
    ],
)
def test_damaged_and_absurd_ones_are_one_line(rle, size, said):
    with pytest.raises(FlawshotError, match=said):
        brush_region(rle, *size)


@given(st.lists(st.integers(0, 255), max_size=60))
def test_any_bytes_are_pixels_or_refused(rle):
    try:
        region = brush_region([0, 0, 0, 80, *rle], 4, 5)
    except FlawshotError:
        return
    assert region.full_mask(4, 5).shape == (4, 5)
