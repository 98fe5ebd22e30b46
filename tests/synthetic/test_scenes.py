"""Every surface and every flaw is drawn; a flaw changes its own place, and nothing far from it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from flawshot.synthetic.flaws import EDGE_FLAWS, FLAWS
from flawshot.synthetic.scenes import draw_scene, invent_categories, invent_product
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
        far = usable & (away > 12)  # blur, shadows and tails end within so many px
        if far.sum() < 1000:  # black or blown out
            continue
        # A picture is exposed by its median, which a flaw moves: all of it is brighter or darker by one factor.
        factor = np.median(flawed[far] / bare[far])
        change = np.abs(flawed - factor * bare).max(axis=2)
        assert change[far].max() <= 3, number
        inside.append(change[scene.masks[0]].mean())
    assert inside
    assert max(inside) > 3
