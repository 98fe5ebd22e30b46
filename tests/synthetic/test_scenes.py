"""Every surface and every flaw is drawn; a flaw changes its own place, and nothing far from it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from flawshot.synthetic.flaws import EDGE_FLAWS, FLAWS
from flawshot.synthetic.scenes import _canvas, draw_scene, invent_categories, invent_product
from flawshot.synthetic.surfaces import SURFACES


@pytest.mark.parametrize("side", [64, 200])
@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_is_drawn_and_differs_from_picture_to_picture(surface, side):
    product = invent_product(random.Random(surface), [surface])
    first, second = (draw_scene(product, [], side, number) for number in (0, 1))
    assert first.image.shape == (side, side, 3)
    assert first.image.dtype == np.uint8
    assert first.masks == ()
    assert first.image.std() > 0
    assert (first.image != second.image).any()
    assert np.array_equal(first.image, draw_scene(product, [], side, 0).image)


@pytest.mark.parametrize("side", [64, 200])
@pytest.mark.parametrize("flaw", FLAWS)
def test_every_flaw_has_a_mask_of_its_own(flaw, side):
    rng = random.Random(flaw)
    product = invent_product(rng)
    first, second = invent_categories(rng, 2, flaws=[flaw], sizes=(0.1, 0.3))
    scene = draw_scene(product, [(first, 0), (second, 1)], side, 3)
    assert [mask.shape for mask in scene.masks] == [(side, side)] * 2
    for mask in scene.masks:
        assert mask.dtype == bool
        assert 8 <= mask.sum() < side * side
    assert (scene.masks[0] != scene.masks[1]).any()


@pytest.mark.parametrize("flaw", FLAWS)
def test_what_lies_far_from_a_flaw_is_the_flawless_picture_but_for_its_exposure(flaw):
    inside = []
    for number in range(3):
        rng = random.Random(f"{flaw}{number}")
        product = replace(invent_product(rng), edge=flaw in EDGE_FLAWS)
        category = replace(invent_categories(rng, 1, flaws=[flaw], sizes=(0.15, 0.2))[0], strength=0.9)
        scene = draw_scene(product, [(category, number)], 200, number)
        flawed = scene.image.astype(float)
        bare = draw_scene(product, [], 200, number).image.astype(float)
        away = distance_transform_edt(~scene.masks[0])
        usable = ((bare > 20) & (bare < 235) & (flawed < 235)).all(axis=2)
        # A shadow lies at most 0.15 of the size off, 6 px, and is soft by half of that, which 2.5 times over ends it.
        far = usable & (away > 14)
        if far.sum() < 1000:  # black or blown out
            continue
        # A picture is exposed by its median, which a flaw moves: all of it is brighter or darker by one factor.
        factor = np.median(flawed[far] / bare[far])
        change = np.abs(flawed - factor * bare).max(axis=2)
        assert change[far].max() <= 3, number
        inside.append(change[scene.masks[0]].mean())
    assert inside
    assert max(inside) > 3


@pytest.mark.parametrize("flaw", sorted(set(FLAWS) - EDGE_FLAWS))
def test_masks_end_where_the_object_does(flaw):
    """Behind the object is one color, and a flaw on the object changes nothing there."""
    for number in range(6):
        rng = random.Random(f"edge/{flaw}/{number}")
        product = replace(invent_product(rng), edge=True)
        category = invent_categories(rng, 1, flaws=[flaw], sizes=(0.4, 0.6))[0]
        scene = draw_scene(product, [(category, number)], 96, number)
        solid = _canvas(product, product.seed, 96, random.Random(f"{product.seed}/{number}"), edge=True).solid
        if not scene.masks[0][solid > 0.9].any():  # next to nothing of it was on the object
            continue
        assert not scene.masks[0][solid < 0.05].any(), number


def test_lots_are_different_looks_and_one_lot_is_one():
    """Color, texture and light are a lot's; there are no more of them than stated."""
    tones = {}
    for lots in (1, 3, 100):
        product = replace(invent_product(random.Random(3), ["smooth plastic"]), lots=lots, edge=False)
        pictures = [draw_scene(product, [], 48, number).image for number in range(24)]
        colors = np.array([picture.mean(axis=(0, 1)) for picture in pictures])
        # A color without its brightness, for exposure differs from picture to picture.
        tones[lots] = len({tuple(np.round(color / color.sum(), 2)) for color in colors})
    assert tones[1] == 1
    assert 2 <= tones[3] <= 3
    assert tones[100] > 3


def test_categories_of_many_looks_are_the_only_ones_of_their_kind():
    for seed in range(50):
        made = invent_categories(random.Random(seed), 6, broad=0.5, alike=0.5)
        kinds = [category.flaw for category in made]
        assert all(kinds.count(category.flaw) == 1 for category in made if category.looks > 1)
    assert {category.looks for category in invent_categories(random.Random(0), 30)} == {1}
