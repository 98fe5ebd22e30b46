"""Dense features: every place of every image has them, in tiles or not, projected or not."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_model
from torch.nn import functional

import tiny_timm
from flawshot.encoders.timm import TimmEncoder
from flawshot.locating.dense import CELL, FINE_CELLS, LONG_SIDE, WIDEST, DenseFeatures, dense_features

SIZES = {  # (width, height): (rows, columns)
    (256, 256): (32, 32),
    (3000, 40): (2, 32),
    (40, 3000): (32, 2),
    (500, 1): (2, 32),
    (1, 1): (32, 32),
    (1024, 700): (22, 32),
}


def picture(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def of_one_side(tmp_path_factory):
    """An encoder that takes images of only one side."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("timm") / "weights.safetensors"
    save_model(timm.create_model(tiny_timm.REGISTERS, pretrained=False, num_classes=0), path)

    def make(side):
        encoder = TimmEncoder(tiny_timm.REGISTERS, str(path), side=side, device="cpu")
        assert encoder.map_side == side
        return encoder

    return make


@pytest.mark.parametrize("size", SIZES)
def test_every_cell_of_an_image_of_any_size_has_finite_features(tiny, size):
    features = dense_features(tiny, picture(*size))
    check_all(features, size)
    assert features.grid == SIZES[size]
    assert max(features.pixels.shape) == LONG_SIDE
    strides = [features.pixels.shape[1] // each.shape[2] for each in features.maps]
    assert strides == [4, 8, 16, 32]


def check_all(features, size):
    assert features.size == size[::-1]
    rows, columns = features.grid
    assert features.pixels.shape == (rows * CELL, columns * CELL, 3)
    for level in features.levels():
        assert level.shape[0] == rows * columns
        assert np.isfinite(level).all()
        assert (np.ptp(level, axis=1) > 0).all()  # no cell was left out
    fine = features.fine()
    assert fine.shape[:2] == (FINE_CELLS * rows, FINE_CELLS * columns)
    assert np.isfinite(fine).all()


@pytest.mark.parametrize("size", [(256, 256), (3000, 40), (40, 3000), (700, 500)])
@pytest.mark.parametrize("side", [70, 112, 196, 210, 294, 308, 392, 434])
def test_tiles_cover_every_cell(of_one_side, side, size):
    """Sides that are multiples of 14 px, as of patches that do not divide cells of 16 px."""
    check_all(dense_features(of_one_side(side), picture(*size)), size)


def test_an_image_of_the_encoders_side_is_not_divided(of_one_side, monkeypatch):
    monkeypatch.setattr("flawshot.locating.dense.LONG_SIDE", 384)
    encoder = of_one_side(448)
    image = picture(448, 448)
    features = dense_features(encoder, image)
    np.testing.assert_array_equal(features.pixels, np.asarray(image))
    (whole,) = encoder.maps(torch.from_numpy(np.asarray(image).copy())[None])
    assert whole.shape[-2:] == (32, 32)
    (made,) = features.maps
    torch.testing.assert_close(made, functional.adaptive_avg_pool2d(whole, (28, 28))[0])


class Recorded:
    """An encoder of tiles whose only map is the pixels themselves, averaged over cells."""

    map_side = 160

    def maps(self, images):
        assert images.shape[1:3] == (160, 160)
        return [functional.avg_pool2d(images.permute(0, 3, 1, 2).float(), CELL)]


@pytest.mark.parametrize("size", [(512, 512), (512, 256), (128, 512)])
def test_a_map_made_of_tiles_shows_each_place_where_it_is(size):
    image = picture(*size)
    features = dense_features(Recorded(), image)
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float()
    torch.testing.assert_close(features.maps[0], functional.avg_pool2d(pixels, CELL), atol=1e-3, rtol=0)


def test_projecting_before_resizing_is_the_same_as_after(tiny):
    features = dense_features(tiny, picture(300, 200))
    fine = features.fine()
    weights = np.random.default_rng(3).normal(size=(fine.shape[2], 4)).astype(np.float32)
    np.testing.assert_allclose(features.fine_projection(weights), fine @ weights, atol=2e-3, rtol=1e-3)


def test_projecting_in_tiles(of_one_side):
    features = dense_features(of_one_side(112), picture(300, 200))
    fine = features.fine()
    weights = np.random.default_rng(3).normal(size=(fine.shape[2], 2)).astype(np.float32)
    np.testing.assert_allclose(features.fine_projection(weights), fine @ weights, atol=2e-3, rtol=1e-3)


def test_levels_are_averages_of_three_by_three_places():
    """Of the map with a cell for each place; at the border, of those that exist."""
    values = np.random.default_rng(2).normal(size=(5, 4, 6)).astype(np.float32)
    features = DenseFeatures((torch.from_numpy(values),), np.zeros((64, 96, 3), np.uint8), (64, 96))
    (level,) = features.levels()
    for row in range(4):
        for column in range(6):
            around = values[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            np.testing.assert_allclose(level[6 * row + column], around.mean(axis=(1, 2)), atol=1e-5)


def test_maps_that_are_too_fine_are_only_for_outlines():
    maps = tuple(torch.rand(3, 64 // stride, 96 // stride) for stride in (4, 8, 16, 32))
    features = DenseFeatures(maps, np.zeros((64, 96, 3), np.uint8), (64, 96))
    assert len(features.levels()) == 3
    assert features.fine().shape == (16, 24, 4 * 3 + 7)
    only = DenseFeatures(maps[:1], features.pixels, features.size)
    assert [each.shape for each in only.levels()] == [(24, 3)]  # better than none


@pytest.mark.parametrize("channels", [(700, 900), (4096,), (512, 512)])
def test_many_channels_are_averaged_in_groups(channels):
    maps = tuple(torch.rand(count, 4, 6) + 5 * torch.arange(count)[:, None, None] for count in channels)
    levels = DenseFeatures(maps, np.zeros((64, 96, 3), np.uint8), (64, 96)).levels()
    assert WIDEST - len(channels) <= sum(each.shape[1] for each in levels) <= WIDEST
    for level, count in zip(levels, channels, strict=True):
        assert (np.diff(level, axis=1) > 0).all()  # neighbors are averaged, in order
        assert level.mean() == pytest.approx(5 * (count - 1) / 2 + 0.5, abs=0.1)


def test_colors_are_deviations_from_the_images_median():
    pixels = np.full((64, 64, 3), 100, np.uint8)
    pixels[::2] = 110  # every fine cell has the same mean
    pixels[16:32, 32:48, 0] = 250
    colors = DenseFeatures((torch.zeros(1, 2, 2),), pixels, (64, 64)).colors().numpy()
    assert colors.shape == (7, 16, 16)
    spot = np.zeros((16, 16), bool)
    spot[4:8, 8:12] = True
    assert (colors[:, ~spot] == 0).all()
    assert (colors[0, spot] == 8).all()  # the most that is told apart
    assert (colors[1:3, spot] == 0).all()
    np.testing.assert_allclose(colors[6, spot], np.log1p(64), rtol=1e-5)


def test_brightness_and_contrast_of_the_whole_image_do_not_matter_to_colors():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (64, 64, 3)).astype(np.uint8)
    pixels = np.kron(pixels[:16, :16], np.ones((4, 4, 1))).astype(np.uint8)
    blank = (torch.zeros(1, 2, 2),)
    dark = DenseFeatures(blank, pixels, (64, 64)).colors()
    bright = DenseFeatures(blank, (pixels + 100).astype(np.uint8), (64, 64)).colors()
    torch.testing.assert_close(dark, bright)


def test_a_gray_image_has_the_same_deviation_in_all_channels(tiny):
    gray = picture(90, 60).convert("L").convert("RGB")
    features = dense_features(tiny, gray)
    check_all(features, (90, 60))
    colors = features.colors()
    torch.testing.assert_close(colors[0], colors[1])
    torch.testing.assert_close(colors[0], colors[2])
