"""Polygons and run lengths of regions, against pycocotools, Pillow and OpenCV's rule for polygons."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from scipy.ndimage import binary_fill_holes, gaussian_filter

from flawshot.formats.region_outlines import joined_outline, region_outlines
from flawshot.formats.run_lengths import decode_runs, encode_region
from flawshot.labelme.shapes import Region, trim


def masks(count, seed=0):
    """Noise, and blobs of several sizes, in images of any size."""
    random = np.random.default_rng(seed)
    for number in range(count):
        height, width = random.integers(1, 40, 2)
        field = random.random((height, width))
        if number % 3:
            field = gaussian_filter(field, random.uniform(0.5, 3))
        mask = field > np.quantile(field, random.uniform(0.1, 0.95))
        if mask.any():
            yield mask


def test_run_lengths_are_those_of_pycocotools():
    for mask in masks(300):
        height, width = mask.shape
        made = encode_region(trim(mask, 0, 0), height, width)
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert made == {"size": [height, width], "counts": theirs["counts"].decode()}
        assert np.array_equal(decode_runs(made), mask)


@pytest.mark.parametrize(("x0", "y0"), [(0, 0), (3, 0), (0, 2), (3, 2)])
def test_run_lengths_of_a_region_at_the_edges(x0, y0):
    region = Region(x0, y0, np.ones((3, 2), dtype=bool))
    mask = region.full_mask(5, 5)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert encode_region(region, 5, 5)["counts"] == theirs


def test_pycocotools_and_labelme_draw_polygons_as_exactly_the_region():
    drawn = 0
    for mask in masks(400, seed=1):
        height, width = mask.shape
        made = region_outlines(trim(mask, 0, 0))
        filled = any((binary_fill_holes(part) != part).any() for part in parts(mask))
        assert made.holes == filled
        assert made.exact == (not filled)
        if filled:
            continue
        drawn += 1
        polygons = [polygon.ravel().tolist() for polygon in made.polygons]
        theirs = coco.decode(coco.merge(coco.frPyObjects(polygons, height, width)))
        assert np.array_equal(theirs != 0, mask)
        canvas = Image.new("1", (width, height))  # as labelme.utils.shape_to_mask draws
        for polygon in made.polygons:
            ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon.tolist()], outline=1, fill=1)
        assert np.array_equal(np.asarray(canvas), mask)
    assert drawn > 100


def parts(mask):
    from scipy.ndimage import label

    labels, count = label(mask, np.ones((3, 3)))
    return [labels == number for number in range(1, count + 1)]


def test_a_joined_outline_is_the_parts_and_lines_between_them():
    region = Region(0, 0, np.zeros((9, 20), dtype=bool))
    region.pixels[1:4, 1:4] = region.pixels[5:8, 1:4] = region.pixels[2:5, 12:18] = True
    made = region_outlines(region)
    assert len(made.polygons) == 3
    joined = joined_outline(made.polygons)
    canvas = Image.new("1", (20, 9))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in joined.tolist()], outline=1, fill=1)
    drawn = np.asarray(canvas)
    assert not (region.pixels & ~drawn).any()
    assert 0 < (drawn & ~region.pixels).sum() < 15  # lines of one px
    corners = {tuple(point) for polygon in made.polygons for point in polygon.tolist()}
    assert {tuple(point) for point in joined.tolist()} == corners
