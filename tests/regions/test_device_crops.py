"""Crops made by torch against those made by Pillow: they are the same, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flawshot import Catalog, draw_data_set
from flawshot.labelme.images import read_image
from flawshot.labelme.shapes import Region, Shape, rasterize
from flawshot.regions.crops import INTERPOLATIONS, crop_views
from flawshot.regions.device_crops import _resized, device_crop_views
from flawshot.regions.views import SCHEMES, ViewScheme, extent_of, make_scheme


def check(image: Image.Image, region: Region, scheme: ViewScheme, side: int, **named):
    cut = crop_views(image, region, scheme, side, **named)
    found = device_crop_views(torch.from_numpy(np.array(image)), region, scheme, side, **named)
    np.testing.assert_array_equal(found.images.numpy(), cut.images)
    np.testing.assert_array_equal(found.masks.numpy(), cut.masks)
    assert found.images.is_contiguous()
    assert found.masks.is_contiguous()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "parts"
    draw_data_set(place, categories=2, images=3, side=200, surface="wood", workers=1, seed=5)
    return Catalog.open(place)


@pytest.mark.parametrize("border", ["zero", "reflect", "shift"])
@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_every_scheme_and_border(drawn, name, border):
    for row in (0, len(drawn) - 1):
        instance = drawn[row]
        image = read_image(drawn.root / instance.image, "x")
        check(image, instance.region(), make_scheme(name, border=border), 64, extent=extent_of(instance))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("sizes", [["13px"], ["64px"], ["97px", "64px", "31px"], ["0.5x", "9x"]])
def test_every_filter_enlarges_shrinks_and_keeps(sizes, interpolation):
    """The image is smaller than some crops, and not square; the region touches its edge."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    thin = Shape(0, "dent", "polygon", np.array([[3.0, 2.0], [40.0, 30.0], [4.0, 2.0]]))
    for border in ("zero", "reflect", "shift"):
        check(image, rasterize(thin, 90, 120), make_scheme("ms", sizes, border), 64, interpolation=interpolation)


def test_a_mask_whose_true_is_another_byte():
    """Pillow stores True as 255 in pictures of one bit."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8))
    region = Region(10, 12, np.full((20, 15), 255, dtype=np.uint8).view(bool))
    check(image, region, make_scheme("ms", ["32px", "48px"]), 32)
    whole = device_crop_views(torch.from_numpy(np.array(image)), region, make_scheme("none", ["10px"]), 10)
    assert (whole.masks == 255).all()


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 400),
    side=st.integers(1, 224),
    interpolation=st.sampled_from(INTERPOLATIONS),
    seed=st.integers(0, 2**32 - 1),
    extreme=st.booleans(),
)
def test_any_size_becomes_any_other_as_pillow_does_it(size, side, interpolation, seed, extreme):
    """Black and white pixels give the greatest sums, which clip, and on which the halves of weights might overflow."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 2, (size, size, 3)) * 255 if extreme else rng.integers(0, 256, (size, size, 3))
    image = Image.fromarray(pixels.astype(np.uint8))
    expected = image.resize((side, side), Image.Resampling[interpolation.upper()])
    windows = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    found = _resized(windows, side, interpolation)[0].permute(1, 2, 0)
    np.testing.assert_array_equal(found.numpy(), np.asarray(expected))


@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos"])
def test_the_largest_crops_are_exact(interpolation):
    """A window of 2000 px on 8: the longest sums, of white pixels."""
    windows = torch.full((1, 1, 2000, 2000), 255, dtype=torch.uint8)
    windows[..., ::2] = 254
    expected = Image.fromarray(windows[0, 0].numpy()).resize((8, 8), Image.Resampling[interpolation.upper()])
    np.testing.assert_array_equal(_resized(windows, 8, interpolation)[0, 0].numpy(), np.asarray(expected))


def test_many_windows_are_resized_in_parts(drawn, monkeypatch):
    monkeypatch.setattr("flawshot.regions.device_crops.WINDOW_BYTES", 1)
    instance = drawn[0]
    image = read_image(drawn.root / instance.image, "x")
    check(image, instance.region(), make_scheme("mor", ["64px"]), 48, extent=extent_of(instance))
