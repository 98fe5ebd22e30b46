"""Components become polygons and masks that are drawn as the same pixels."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from flawshot.formats.components import component_shape, components, merge_near, outline, value_components
from flawshot.labelme.shapes import rasterize
from labelme_itself import draw_mask, require_labelme

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=14))


@given(arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4)))
def test_components_of_values_are_scipys_of_each_value_by_itself(values):
    expected = [components(values == value) for value in np.unique(values) if value]
    found = value_components(values)
    assert [[part.box for part in own] for own in found] == [[part.box for part in own] for own in expected]
    for own, others in zip(found, expected, strict=True):
        for part, other in zip(own, others, strict=True):
            np.testing.assert_array_equal(part.pixels, other.pixels)


def smooth_mask(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 70, size=2)
    return ndimage.gaussian_filter(rng.normal(size=(height, width)), rng.uniform(0.3, 3)) > 0.03


def check_shapes(mask):
    """The shapes of a mask's components, each seen to be drawn as the component."""
    made = []
    for part in components(mask):
        shape = component_shape(0, "x", part)
        # As the package says it: holes are what cannot get out by edges.
        assert shape.shape_type == (
            "mask" if (ndimage.binary_fill_holes(part.pixels) != part.pixels).any() else "polygon"
        )
        np.testing.assert_array_equal(rasterize(shape, *mask.shape).full_mask(*mask.shape), part.full_mask(*mask.shape))
        if shape.shape_type == "polygon":
            # Views are cut around the same middle as a mask's, and rounding finds the pixels as well as cutting does.
            low, high = shape.points.min(axis=0), shape.points.max(axis=0)
            x0, y0, x1, y1 = part.box
            assert ((low + high) // 2).tolist() == [(x0 + x1 - 1) // 2, (y0 + y1 - 1) // 2]
            np.testing.assert_array_equal(np.round(shape.points), np.floor(shape.points))
        made.append(shape)
    return made


@pytest.mark.parametrize("seed", range(15))
def test_components_are_those_of_a_plain_flood_fill(seed):
    mask = np.random.default_rng(seed).uniform(size=(17, 23)) < 0.3
    left, expected = {tuple(p) for p in np.argwhere(mask)}, []
    while left:
        stack, own = [left.pop()], set()
        while stack:
            y, x = stack.pop()
            own.add((y, x))
            near = {(y + j, x + i) for j in (-1, 0, 1) for i in (-1, 0, 1)} & left
            left -= near
            stack += near
        expected.append(own)
    got = [{(part.y0 + y, part.x0 + x) for y, x in np.argwhere(part.pixels)} for part in components(mask)]
    assert sorted(map(sorted, got)) == sorted(map(sorted, expected))


@given(MASKS)
@settings(max_examples=400, deadline=None)
def test_a_component_is_drawn_as_its_own_pixels(mask):
    check_shapes(mask)


@pytest.mark.parametrize("seed", range(40))
def test_a_large_component_is_drawn_as_its_own_pixels(seed):
    check_shapes(smooth_mask(seed))


def test_labelme_draws_the_same_pixels():
    require_labelme()
    for seed in range(40):
        mask = smooth_mask(seed) if seed % 2 else np.random.default_rng(seed).uniform(size=(19, 23)) < 0.3
        shapes, parts = check_shapes(mask), components(mask)
        for shape, part in zip(shapes, parts, strict=True):
            if shape.shape_type == "polygon":
                drawn = draw_mask(mask.shape, shape.points.tolist(), "polygon")
                np.testing.assert_array_equal(drawn, part.full_mask(*mask.shape))


def crosses(a, b, c, d):
    """Whether two line segments have a point in common."""

    def side(p, q, r):
        return np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    def within(p, q, r):
        return side(p, q, r) == 0 and all(min(p[i], q[i]) <= r[i] <= max(p[i], q[i]) for i in (0, 1))

    if side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0:
        return True
    return within(a, b, c) or within(a, b, d) or within(c, d, a) or within(c, d, b)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=7)))
@settings(max_examples=80, deadline=None)
def test_an_outline_neither_crosses_nor_touches_itself(mask):
    for part in components(mask):
        points = outline(part.pixels)
        x, y = points.T
        assert 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 0.1
        edges = list(zip(points, np.roll(points, -1, axis=0), strict=True))
        for (i, first), (j, second) in combinations(enumerate(edges), 2):
            if j - i not in {1, len(edges) - 1}:
                assert not crosses(*first, *second)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_a_single_pixel_and_a_line_are_polygons(size):
    (shape,) = check_shapes(np.ones(size, dtype=bool))
    assert shape.shape_type == "polygon"
    assert len(shape.points) == 4


def test_exact_makes_masks_of_all():
    (part,) = components(np.ones((3, 4), dtype=bool))
    shape = component_shape(2, "x", part, group_id=5, exact=True)
    assert (shape.shape_type, shape.index, shape.group_id) == ("mask", 2, 5)
    assert shape.points.tolist() == [[0, 0], [3, 2]]


@given(MASKS, st.sampled_from([0.0, 1.0, 2.0, 2.1, 3.0, 4.5, 9.0]))
@settings(max_examples=200, deadline=None)
def test_near_components_are_one_as_a_plain_search_of_all_pixels_says(mask, distance):
    parts = components(mask)
    places = [np.argwhere(part.full_mask(*mask.shape)) for part in parts]
    expected = {number: {number} for number in range(len(parts))}
    for a, b in combinations(range(len(parts)), 2):
        if np.sqrt(((places[a][:, None] - places[b][None]) ** 2).sum(axis=2)).min() < distance:
            joined = expected[a] | expected[b]
            expected |= dict.fromkeys(joined, joined)
    got = merge_near(parts, distance)
    numbers = {id(part): number for number, part in enumerate(parts)}
    assert [sorted(numbers[id(part)] for part in group) for group in got] == [
        sorted(each) for each in dict.fromkeys(frozenset(expected[number]) for number in range(len(parts)))
    ]
