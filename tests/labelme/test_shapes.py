"""Masks against labelme's own, and regions."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from flawshot.labelme.shapes import LINE_WIDTH, Region, Shape, join_regions, rasterize
from labelme_itself import draw_mask, draws_round_joints, require_labelme

KNOWN_TO_LABELME = ["polygon", "rectangle", "oriented_rectangle", "circle", "line", "linestrip", "point"]
COUNTS = {"rectangle": 2, "oriented_rectangle": 4, "circle": 2, "line": 2, "point": 1}


@pytest.fixture(scope="module")
def shape_to_mask():
    require_labelme()
    return draw_mask


def make(shape_type, points, **changes):
    return Shape(0, "x", shape_type, np.array(points, dtype=np.float64), **changes)


def joints(points, height, width):
    """The pixels around the inner corners of a strip of lines, which Labelme 7 rounds; we draw them as 6 does."""
    rows, columns = np.mgrid[:height, :width]
    near = np.zeros((height, width), dtype=bool)
    for x, y in points[1:-1]:
        near |= np.hypot(columns - x, rows - y) <= LINE_WIDTH / 2 + 2
    return near


def random_points(rng, shape_type, height, width):
    count = COUNTS.get(shape_type) or int(rng.integers(3 if shape_type == "polygon" else 2, 12))
    points = rng.uniform(-0.3, 1.3, size=(count, 2)) * (width, height)
    kind = rng.integers(4)
    if kind == 0:  # whole pixels, as a mouse gives them
        points = np.round(points)
    elif kind == 1:  # halves, where rounding is decided
        points = np.round(points * 2) / 2
    elif kind == 2:  # all inside
        points = np.clip(points, 0, (width - 1, height - 1))
    return points


@pytest.mark.parametrize("shape_type", KNOWN_TO_LABELME)
def test_masks_equal_labelmes_pixel_for_pixel(shape_to_mask, shape_type):
    rng = np.random.default_rng(KNOWN_TO_LABELME.index(shape_type))
    for _ in range(150):
        height, width = (int(size) for size in rng.integers(1, 90, size=2))
        points = random_points(rng, shape_type, height, width)
        expected = shape_to_mask((height, width), points.tolist(), shape_type)
        region = rasterize(make(shape_type, points), height, width)
        if shape_type == "linestrip" and draws_round_joints():
            expected &= ~joints(points, height, width) | region.full_mask(height, width)
        np.testing.assert_array_equal(region.full_mask(height, width), expected, err_msg=f"{points} {height}x{width}")
        assert region.area == expected.sum()


def test_masks_equal_labelmes_on_a_large_image(shape_to_mask):
    rng = np.random.default_rng(1)
    for _ in range(10):
        points = rng.uniform(1500, 2900, size=(40, 2))
        expected = shape_to_mask((3000, 3000), points.tolist(), "polygon")
        np.testing.assert_array_equal(rasterize(make("polygon", points), 3000, 3000).full_mask(3000, 3000), expected)


def test_points_are_drawn_each_as_a_point():
    points = [[10, 10], [40, 20], [-3, 50]]
    each = join_regions(rasterize(make("point", [point]), 60, 60) for point in points)
    together = rasterize(make("points", points), 60, 60)
    assert together.box == each.box
    np.testing.assert_array_equal(together.pixels, each.pixels)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("corner", "box"),
    [
        ((3, 2), (3, 2, 7, 5)),  # inside
        ((-2, -1), (0, 0, 2, 2)),  # cut at the upper left
        ((8, 8), (8, 8, 10, 10)),  # cut at the lower right
        ((30, 30), (0, 0, 0, 0)),  # nowhere in the image
    ],
)
def test_a_mask_shape_is_pasted_at_its_corner_and_cut_at_the_border(corner, box):
    mask = png(np.full((3, 4), 255, np.uint8))
    x, y = corner
    region = rasterize(make("mask", [[x, y], [x + 3, y + 2]], mask_png=mask), 10, 10)
    assert region.box == box
    assert region.pixels.all()


def test_a_mask_of_one_bit_is_like_one_of_eight():
    pixels = np.arange(12).reshape(3, 4) % 3 == 0
    several = [
        rasterize(make("mask", [[2, 1], [5, 3]], mask_png=png(each)), 10, 10) for each in (pixels, pixels.astype("u1"))
    ]
    for region in several:
        # The stored bytes too, because numpy counts these, and a crop is made of them.
        np.testing.assert_array_equal(region.pixels.view(np.uint8), pixels)


def test_a_mask_keeps_its_holes():
    pixels = np.full((5, 5), 255, np.uint8)
    pixels[2, 2] = 0
    region = rasterize(make("mask", [[0, 0], [4, 4]], mask_png=png(pixels)), 9, 9)
    assert region.area == 24
    assert not region.pixels[2, 2]


def test_a_shape_outside_the_image_covers_nothing():
    region = rasterize(make("polygon", [[200, 200], [210, 200], [205, 210]]), 100, 100)
    assert region.pixels.size == 0
    assert region.area == 0


def test_regions_join_to_their_union():
    a, b = Region(2, 3, np.ones((2, 2), bool)), Region(3, 4, np.ones((4, 1), bool))
    joined = join_regions([a, b])
    assert joined.box == (2, 3, 4, 8)
    np.testing.assert_array_equal(joined.full_mask(10, 10), a.full_mask(10, 10) | b.full_mask(10, 10))
