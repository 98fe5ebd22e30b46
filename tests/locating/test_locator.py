"""Locators on drawn parts: flaws are found, good parts rarely alarmed, regions valid, images of any size accepted."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label, zoom

from flawshot.evaluation.found_matches import FOUND_IOU, overlap
from flawshot.labelme.shapes import Region, join_regions, rasterize
from flawshot.locating.locator import HeatMap, image_score

SIDE = 256


@pytest.fixture(scope="module", autouse=True)
def _images_as_they_are():
    """Not resized to more cells, to save time; as the locator was fitted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flawshot.locating.dense.LONG_SIDE", SIDE)
        yield


@pytest.fixture(scope="module")
def inspected(fitted, held_out):
    """Heat map and regions of images that are no support: of those with flaws, and of good ones."""
    flawed, good = held_out
    return [fitted.locator.inspect(image) for image, _ in flawed], [fitted.locator.inspect(image) for image in good]


def pixels_of(found, height, width):
    return [rasterize(each.shape, height, width) for each in found.regions]


def random_boxes(regions, pick):
    """As many boxes, of the regions' sizes, anywhere."""
    made = []
    for each in regions:
        height, width = each.pixels.shape
        made.append(
            Region(pick.randint(0, SIDE - width), pick.randint(0, SIDE - height), np.ones((height, width), bool))
        )
    return made


def test_flaws_are_found_far_more_often_than_by_random_boxes(held_out, inspected):
    pick, found, chance, flaws = random.Random(0), 0, 0.0, 0
    for (_, instances), (_, made) in zip(held_out[0], inspected[0], strict=True):
        regions = pixels_of(made, SIDE, SIDE)
        boxes = [random_boxes(regions, pick) for _ in range(50)]
        for instance in instances:
            flaws += 1
            found += any(overlap(instance, each) >= FOUND_IOU for each in regions)
            chance += np.mean([any(overlap(instance, each) >= FOUND_IOU for each in own) for own in boxes])
    assert flaws >= 10
    assert found > chance + 0.3 * flaws


def test_outlines_follow_flaws_better_than_the_cells_of_their_heat(fitted, held_out, inspected):
    """Mean intersection over union of flaws that are found, with and without a model of outlines."""
    rough = replace(fitted.locator, outline_model=None)
    fine_overlaps, rough_overlaps = [], []
    for (image, instances), (_, made) in zip(held_out[0], inspected[0], strict=True):
        fine, coarse = (pixels_of(each, SIDE, SIDE) for each in (made, rough.find(image)))
        for instance in instances:
            both = [max((overlap(instance, each) for each in own), default=0) for own in (fine, coarse)]
            if max(both) >= FOUND_IOU:
                fine_overlaps.append(both[0])
                rough_overlaps.append(both[1])
    assert np.mean(fine_overlaps) > np.mean(rough_overlaps)


def test_good_images_are_rarely_alarmed(fitted, inspected):
    """About as promised: with that probability each, no more than this many except once in a thousand times."""
    alarmed = sum(bool(made.regions) for _, made in inspected[1])
    images, promised = len(inspected[1]), fitted.threshold.promised
    assert promised == pytest.approx(1 / 10)  # of nine good images
    drawn = np.random.default_rng(0).binomial(images, np.random.default_rng(1).beta(1, 9, 100_000))
    assert alarmed <= np.quantile(drawn, 0.999)


def test_flawed_images_score_higher_than_good_ones(inspected):
    scores = [[made.score for _, made in own] for own in inspected]
    higher = np.mean([one > other for one in scores[0] for other in scores[1]])
    assert higher > 0.8


def test_regions_are_valid_shapes_inside_the_image(inspected):
    regions = [each for _, made in inspected[0] for each in made.regions]
    assert len(regions) >= 5
    for each in regions:
        assert each.shape.shape_type in {"polygon", "mask"}
        assert len(each.shape.points) >= (3 if each.shape.shape_type == "polygon" else 2)
        assert (each.shape.points >= 0).all()
        assert (each.shape.points < SIDE).all()
        assert rasterize(each.shape, SIDE, SIDE).area > 0
        assert each.shares.shape == (2,)
        assert each.shares.dtype == np.float32
        assert each.shares.sum() == pytest.approx(1, abs=1e-5)
        assert (each.shares >= 0).all()


def test_the_hottest_region_comes_first_and_all_are_above_the_threshold(fitted, held_out):
    locator, several = replace(fitted.locator, threshold=fitted.locator.threshold / 3), 0
    for image, _ in held_out[0]:
        heat, made = locator.inspect(image)
        scores = [each.score for each in made.regions]
        assert scores == sorted(scores, reverse=True)
        assert [each.shape.index for each in made.regions] == list(range(len(scores)))
        assert all(score > locator.threshold for score in scores)
        if scores:
            assert scores[0] == pytest.approx(heat.cells.max(), abs=1e-3)
        several += len(scores) > 1
        assert made.score == pytest.approx(heat.score, abs=1e-3)
        assert made.reason == ""
    assert several


@pytest.mark.parametrize("size", [(256, 256), (128, 128), (64, 64), (500, 400)])
def test_regions_do_not_overlap(fitted, held_out, size):
    """With a low threshold there are many side by side, and pixels on the border of two belong to one."""
    eager = replace(fitted.locator, threshold=1.0)
    count = 0
    for image, _ in held_out[0][:4]:
        regions = pixels_of(eager.find(image.resize(size)), *size[::-1])
        count += len(regions)
        union = join_regions(regions)
        assert union.area == sum(each.area for each in regions)
    assert count > 4


def test_parts_of_a_region_are_connected_on_images_of_the_working_size(fitted, held_out):
    for image, _ in held_out[0][:5]:
        for each in pixels_of(fitted.locator.find(image), SIDE, SIDE):
            assert label(each.pixels, np.ones((3, 3)))[1] == 1


SIZES = [(1, 1), (20, 20), (7, 3), (1, 400), (2000, 20), (20, 2000)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("outlined", [True, False])
def test_images_of_any_size_pass(fitted, held_out, size, outlined):
    """Also with so low a threshold that regions lie everywhere."""
    locator = replace(fitted.locator, threshold=1.0, outline_model=fitted.locator.outline_model if outlined else None)
    width, height = size
    heat, made = locator.inspect(held_out[0][0][0].resize(size))
    assert heat.pixels().shape == (height, width)
    assert np.isfinite(heat.pixels()).all()
    assert np.isfinite(made.score)
    for each in made.regions:
        assert rasterize(each.shape, height, width).area > 0
        assert (each.shape.points >= 0).all()
        assert (each.shape.points < (width, height)).all()


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (90, 160, 30)])
def test_images_of_one_color_pass(fitted, color):
    heat, made = fitted.locator.inspect(Image.new("RGB", (300, 200), color))
    assert np.isfinite(heat.cells).all()
    assert len(made.regions) <= heat.cells.size


def test_find_heat_and_inspect_agree_and_do_so_each_time(fitted, held_out):
    image = held_out[0][1][0]
    heat, made = fitted.locator.inspect(image)
    again = fitted.locator.find(image)
    assert fitted.locator.heat(image).cells.tobytes() == heat.cells.tobytes()
    assert again.score == made.score
    assert made.regions
    for one, other in zip(made.regions, again.regions, strict=True):
        assert one.score == other.score
        assert one.shares.tobytes() == other.shares.tobytes()
        assert one.shape.points.tobytes() == other.shape.points.tobytes()


def test_nothing_is_found_below_the_threshold(fitted, held_out):
    image = held_out[0][1][0]
    peak = float(fitted.locator.heat(image).cells.max())
    assert replace(fitted.locator, threshold=peak).find(image).regions == ()
    assert len(replace(fitted.locator, threshold=peak - 1e-3).find(image).regions) == 1
    assert replace(fitted.locator, threshold=float("inf")).find(image).regions == ()


def test_the_hot_place_lies_in_its_region(fitted, held_out):
    """Or next to it: heat has cells of 16 px."""
    inside = []
    for image, _ in held_out[0]:
        heat, made = replace(fitted.locator, threshold=fitted.locator.threshold / 3).inspect(image)
        if made.regions:
            row, column = np.unravel_index(heat.cells.argmax(), heat.cells.shape)
            mask = rasterize(made.regions[0].shape, SIDE, SIDE).full_mask(SIDE, SIDE)
            y, x = (round((each + 0.5) * SIDE / 16) for each in (row, column))
            inside.append(mask[max(0, y - 11) : y + 12, max(0, x - 11) : x + 12].any())
    assert np.mean(inside) > 0.9


def test_sharpness_makes_shares_more_certain(fitted, held_out):
    image = held_out[0][1][0]
    blunt, sharp = (replace(fitted.locator, sharpness=value).find(image).regions[0].shares for value in (0.0, 100.0))
    np.testing.assert_allclose(blunt, 0.5)
    assert sharp.max() > 0.99


def test_categories_are_told_apart_better_than_by_chance(fitted, parts, held_out, inspected):
    """By shares of the region that overlaps a flaw most."""
    named = []
    for (_, instances), (_, own), (_, made) in zip(
        held_out[0], parts.flawed[len(parts.flawed) - len(held_out[0]) :], inspected[0], strict=True
    ):
        regions = pixels_of(made, SIDE, SIDE)
        for instance, (category, _) in zip(instances, own, strict=True):
            overlaps = [overlap(instance, each) for each in regions]
            if max(overlaps, default=0) >= FOUND_IOU:
                said = made.regions[int(np.argmax(overlaps))].shares
                named.append(fitted.locator.categories[int(said.argmax())] == category)
    assert np.mean(named) > 0.65


def test_heat_of_pixels_is_interpolated_between_cells():
    cells = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    heat = HeatMap(cells, np.zeros((4, 6, 0), np.float32), (64, 96))
    expected = zoom(cells.astype(float), 16, order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(heat.pixels(), expected, atol=1e-5)


@pytest.mark.parametrize(("count", "used"), [(1, 1), (48, 1), (149, 1), (160, 2), (576, 6)])
def test_the_score_is_the_mean_of_the_hottest_hundredth(count, used):
    cells = np.random.default_rng(count).permutation(np.arange(count)).astype(np.float32).reshape(1, count)
    assert image_score(cells) == pytest.approx(np.mean(range(count - used, count)))
    assert HeatMap(cells, cells[..., None], (10, 10)).score == image_score(cells)
