"""Outlines against shapes whose numbers are known, against scikit-image, and against being moved about."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import moments_central, moments_hu, moments_normalized, regionprops

from flawshot.labelme.shapes import Region
from flawshot.regions.outlines import OUTLINE_NUMBERS, measure_outline, standard_outlines

SIDE = 400


def region(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Region(int(columns[0]), int(rows[0]), mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def named(mask, side=SIDE):
    return dict(zip(OUTLINE_NUMBERS, measure_outline(region(mask), side, side).tolist(), strict=True))


def disc(radius):
    line = np.arange(SIDE) - SIDE / 2 + 0.5
    return np.hypot(line[:, None], line[None, :]) <= radius


def box(height, width):
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[20 : 20 + height, 30 : 30 + width] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        pytest.param(
            disc(100),
            {
                "aspect": 0,
                "extent": math.pi / 4,
                "solidity": 1,
                "circularity": 1,
                "elongation": 0,
                "holes": 0,
                "hu_spread": math.log(1 / (2 * math.pi)),
                "log_share": math.log(math.pi * 100**2 / SIDE**2),
            },
            id="disc",
        ),
        pytest.param(
            box(120, 120),
            {
                "aspect": 0,
                "extent": 1,
                "solidity": 1,
                "circularity": 4 / math.pi,
                "elongation": 0,
                "hu_spread": math.log(1 / 6),
                "log_parts": 0,
            },
            id="square",
        ),
        pytest.param(
            box(40, 160),
            {
                "aspect": math.log(4),
                "extent": 1,
                "solidity": 1,
                "elongation": 0.75,
                "hu_spread": math.log((4 + 1 / 4) / 12),
            },
            id="1:4",
        ),
        pytest.param(disc(100) & ~disc(50), {"holes": 0.25, "solidity": 0.75, "extent": 0.75 * math.pi / 4}, id="ring"),
        pytest.param(box(1, 100), {"extent": 1, "solidity": 1, "elongation": 0.99, "circularity": 0.05}, id="line"),
        pytest.param(
            box(100, 100) & ~(np.arange(SIDE)[:, None] < 70) | box(100, 50),
            {"extent": 0.75, "solidity": 0.75 / 0.875, "holes": 0},
            id="L",
        ),
        pytest.param(box(10, 10) | np.roll(box(10, 10), 40, axis=1), {"log_parts": math.log(2)}, id="two parts"),
    ],
)
def test_shapes_with_known_values(mask, expected):
    found = named(mask)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.03), name


masks = arrays(bool, st.tuples(st.integers(2, 14), st.integers(2, 14))).filter(lambda mask: mask.any())


@given(masks)
@settings(max_examples=150, deadline=None)
def test_against_scikit_image(mask):
    """Forms of 12-px blocks: scikit-image counts a px as a point, we as a square, which matters for small masks."""
    large = np.kron(mask, np.ones((12, 12), dtype=bool))
    (properties,) = regionprops(large.astype(np.uint8))
    found = dict(zip(OUTLINE_NUMBERS, measure_outline(region(large), 500, 600).tolist(), strict=True))
    assert found["extent"] == pytest.approx(properties.extent, rel=1e-4)
    assert found["log_share"] == pytest.approx(math.log(properties.area / 300_000), rel=1e-4)
    ratio = properties.axis_minor_length / properties.axis_major_length
    assert found["elongation"] == pytest.approx(1 - ratio, abs=0.02)


def test_hus_moments_against_scikit_image():
    """On a large form, where it does not matter that a px is a square."""
    mask = disc(80) | box(60, 200)
    hu = moments_hu(moments_normalized(moments_central(mask.astype(float))))
    found = named(mask)
    assert found["hu_spread"] == pytest.approx(math.log(hu[0]), abs=1e-3)
    assert found["hu_skew"] == pytest.approx(math.log(hu[2]), abs=1e-2)


@given(masks)
@settings(max_examples=100, deadline=None)
def test_turning_and_mirroring_change_nothing(mask):
    plain = measure_outline(region(mask), 50, 50)
    for other in (np.rot90(mask), mask[::-1], mask[:, ::-1], mask.T):
        np.testing.assert_allclose(measure_outline(region(np.ascontiguousarray(other)), 50, 50), plain, atol=2e-3)


def test_scale_changes_next_to_nothing():
    small, large = disc(40) | box(60, 200), np.kron(disc(40) | box(60, 200), np.ones((3, 3), dtype=bool))
    np.testing.assert_allclose(
        measure_outline(region(large), 3 * SIDE, 3 * SIDE), measure_outline(region(small), SIDE, SIDE), atol=2e-3
    )


def test_a_mask_without_pixels_says_nothing():
    numbers = measure_outline(Region(0, 0, np.zeros((0, 0), dtype=bool)), 10, 10)
    assert np.isnan(numbers).all()
    assert (standard_outlines(numbers[None]) == 0).all()
