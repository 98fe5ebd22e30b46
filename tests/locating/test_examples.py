"""What is learned from an image: which cells are good, which show a flaw, which lie on both sides of an edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_cdt
from torch.nn import functional

from flawshot.labelme.shapes import Region, trim
from flawshot.locating.dense import CELL, FINE_CELLS, DenseFeatures, dense_features
from flawshot.locating.examples import MOST_FINE, RING, examples_of

EMPTY = Region(0, 0, np.zeros((0, 0), bool))


def features_of(rows=6, columns=8, scale=1):
    """Dense features of an image whose sides are those of its cells times a scale; fine cells tell where they are."""
    rng = np.random.default_rng(rows)
    height, width = rows * CELL, columns * CELL
    maps = [torch.from_numpy(rng.normal(size=(3, rows, columns)).astype(np.float32))]
    down, across = np.indices((FINE_CELLS * rows, FINE_CELLS * columns), dtype=np.float32)
    maps.insert(0, torch.from_numpy(np.stack([down, across])))
    pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    return DenseFeatures(tuple(maps), pixels, (round(height * scale), round(width * scale)))


def box(x0, y0, x1, y1):
    return Region(x0, y0, np.ones((y1 - y0, x1 - x0), bool))


def shares(mask, rows, columns):
    """The share of each cell that a mask covers, whose sides are multiples of the cells'."""
    height, width = mask.shape
    return mask.reshape(rows, height // rows, columns, width // columns).mean(axis=(1, 3))


def places(fine):
    """Rows and columns of fine cells, which their first two features are."""
    return fine[:, 0].astype(int), fine[:, 1].astype(int)


@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_cells_of_a_flaw_and_good_cells(scale):
    features = features_of(scale=scale)
    flaw = box(*(round(scale * each) for each in (34, 32, 76, 60)))
    made = examples_of(features, [("dent", flaw)], unit="a")
    covered = shares(flaw.full_mask(*features.size), 6, 8)
    assert made.flaws[0].category == "dent"
    np.testing.assert_array_equal(made.flaws[0].cells, np.flatnonzero(covered >= 0.5))
    # A cell is good if neither it nor one of its eight neighbors shows anything of the flaw.
    away = distance_transform_cdt(covered == 0, metric="chessboard")
    np.testing.assert_array_equal(made.good.reshape(6, 8), away > 1)
    assert not made.flawless
    assert made.unit == "a"
    for level, other in zip(made.levels, features.levels(), strict=True):
        assert level.dtype == np.float16
        np.testing.assert_allclose(level, other, rtol=1e-3, atol=1e-3)


def test_a_flaw_smaller_than_half_a_cell_has_the_cell_of_which_it_covers_most():
    made = examples_of(features_of(), [("dent", box(40, 40, 44, 44)), ("dent", box(46, 40, 54, 44))], unit="a")
    assert made.flaws[0].cells.tolist() == [2 * 8 + 2]
    assert made.flaws[1].cells.tolist() == [2 * 8 + 3]  # 2 px lie in one cell, 6 in the next
    one = examples_of(features_of(), [("dent", box(127, 95, 128, 96))], unit="a")
    assert one.flaws[0].cells.tolist() == [6 * 8 - 1]
    assert len(one.edges[0].inside) == 1


def test_others_are_neither_good_nor_flaws():
    other = box(64, 32, 80, 48)
    made = examples_of(features_of(), [], [other], unit="a")
    assert not made.flawless
    assert made.flaws == made.edges == ()
    assert (~made.good.reshape(6, 8)).nonzero()[0].tolist() == sorted([1, 2, 3] * 3)
    beside = examples_of(features_of(), [("dent", box(32, 32, 64, 48))], [other], unit="a")
    down, across = places(beside.edges[0].around)
    assert len(down)
    assert not ((down >= 8) & (down < 12) & (across >= 16) & (across < 20)).any()


def test_an_image_without_regions_is_good():
    made = examples_of(features_of(), [], unit="a")
    assert made.flawless
    assert made.good.all()


def test_instances_without_pixels_are_no_examples_but_nobody_said_that_the_image_is_good():
    made = examples_of(features_of(), [("dent", EMPTY)], unit="a")
    assert made.flaws == made.edges == ()
    assert made.good.all()
    assert not made.flawless


def test_both_sides_of_an_edge():
    flaw, second = box(32, 32, 60, 52), box(72, 32, 80, 48)
    made = examples_of(features_of(), [("dent", flaw), ("stain", second)], unit="a")
    assert [each.category for each in made.edges] == ["dent", "stain"]
    down, across = places(made.edges[0].inside)
    assert set(zip(down.tolist(), across.tolist(), strict=True)) == {(r, c) for r in range(8, 13) for c in range(8, 15)}
    down, across = places(made.edges[0].around)
    inside = np.zeros((24, 32), bool)
    inside[8:13, 8:15] = True
    away = distance_transform_cdt(~inside, metric="chessboard")[down, across]
    assert away.min() >= 1
    assert away.max() <= RING
    assert not ((down >= 8) & (down < 12) & (across >= 18) & (across < 20)).any()  # the other flaw
    assert len(down) == MOST_FINE
    assert len(np.unique(down * 32 + across)) == MOST_FINE


def test_the_choice_of_fine_cells_is_the_same_each_time_and_another_in_another_unit():
    flaw = box(10, 10, 120, 90)
    first, again, other = (examples_of(features_of(), [("dent", flaw)], unit=unit) for unit in ("a", "a", "b"))
    assert first.edges[0].inside.tobytes() == again.edges[0].inside.tobytes()
    assert first.edges[0].inside.tobytes() != other.edges[0].inside.tobytes()


def test_a_flaw_that_covers_everything_leaves_nothing_good_and_nothing_around():
    made = examples_of(features_of(), [("dent", box(0, 0, 128, 96))], unit="a")
    assert not made.good.any()
    assert len(made.flaws[0].cells) == 48
    assert len(made.edges[0].around) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2)])
def test_images_of_fewer_pixels_than_cells(size):
    features = features_of()._replace(size=size)
    mask = np.zeros(size, bool)
    mask[0, -1] = True
    made = examples_of(features, [("dent", trim(mask, 0, 0))], unit="a")
    assert len(made.flaws[0].cells)
    assert len(made.edges[0].inside)
    if size == (1, 1):
        assert not made.good.any()


class Loud:
    """An encoder whose map leaves the range of float16, as those of some networks do."""

    map_side = 0

    def maps(self, images):
        return [1e4 * (functional.avg_pool2d(images.permute(0, 3, 1, 2).float(), CELL) - 128)]


def test_features_beyond_half_precision_stay_finite():
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[:, 64:] = 255
    features = dense_features(Loud(), Image.fromarray(pixels))
    made = examples_of(features, [("dent", box(32, 32, 90, 52))], unit="a")
    assert max(np.abs(level).max() for level in made.levels) > 60_000
    for each in (*made.levels, made.edges[0].inside, made.edges[0].around):
        assert np.isfinite(each).all()
