"""Plans of drawn data sets: counts, names, and what a user can get wrong."""

from __future__ import annotations

from collections import Counter

import pytest

from flawshot import FlawshotError
from flawshot.labelme.layout import is_split
from flawshot.synthetic.flaws import EDGE_FLAWS, FLAWS
from flawshot.synthetic.plans import plan_products
from flawshot.synthetic.surfaces import SURFACES


@pytest.mark.parametrize(
    ("categories", "images"),
    [(1, 1), (2, 5), (3, 10), (6, 100), (7, 7), (40, 40)],
    ids=["one", "none alike", "one pair", "as the demo", "an image each", "more than kinds"],
)
def test_categories_come_in_balanced_numbers(categories, images):
    (plan,) = plan_products(categories=categories, images=images, seed=3)
    counts = Counter(label for own in plan.images for label, _ in own)
    assert len(plan.categories) == categories
    assert set(counts) == set(plan.categories)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(plan.images) == images
    assert {len(own) for own in plan.images} <= {1, 2}
    numbers = [number for own in plan.images for _, number in own]
    assert len(numbers) == len(set(numbers)), "no instance is drawn twice"


@pytest.mark.parametrize("seed", range(4))
def test_a_third_of_the_categories_are_alike_and_named_for_what_tells_them_apart(seed):
    (plan,) = plan_products(seed=seed)
    kinds = Counter(category.flaw for category in plan.categories.values())
    assert sorted(kinds.values()) == [1, 1, 2, 2]
    sized = {label.rpartition("-")[2]: each for label, each in plan.categories.items()}
    large, small = (sized.get(a) or sized.get(b) for a, b in (("large", "long"), ("small", "short")))
    assert large.size > 2 * small.size
    assert (large.seed, large.flaw, large.strength) == (small.seed, small.flaw, small.strength)
    (label,) = [label for label in plan.categories if label.endswith("-2")]
    assert plan.categories[label].flaw.replace(" ", "-") == label.removesuffix("-2")
    assert not any(is_split(label) for label in plan.categories)


def test_names_are_those_of_folders_and_differ():
    plans = plan_products(products=3, surface="Brushed-Metal", images=6)
    assert [plan.name for plan in plans] == ["brushed-metal", "brushed-metal-2", "brushed-metal-3"]
    assert len({plan.product for plan in plans}) == 3
    several = plan_products(products=len(SURFACES), images=1, categories=1)
    assert {plan.product.surface for plan in several} == set(SURFACES)


def test_kinds_are_those_asked_for_and_an_edge_is_there_where_one_needs_it():
    (plan,) = plan_products(categories=4, flaws=["bent-wire", "chip", "chip"])
    assert {category.flaw for category in plan.categories.values()} == {"bent wire", "chip"}
    assert plan.product.edge
    (plan,) = plan_products(categories=5, flaws=["dent"])
    assert [category.flaw for category in plan.categories.values()] == ["dent"] * 5
    assert len(plan.categories) == 5
    assert not plan.product.edge
    for seed in range(5):
        assert not {each.flaw for each in plan_products(seed=seed)[0].categories.values()} & EDGE_FLAWS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"surface": "cheese"}, "surface='cheese': is not known; there are brushed metal"),
        ({"flaws": ["dent", "x"]}, "flaws='x': is not known; there are scratch"),
        ({"flaws": []}, "flaws: name at least one"),
        ({"images": 5}, "images=5: must be at least the number of categories, 6"),
        ({"categories": 0}, "categories=0: must be at least 1"),
        ({"products": 0}, "products=0: must be at least 1"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(arguments, message):
    with pytest.raises(FlawshotError) as caught:
        plan_products(**arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_kind_can_be_planned():
    for kind in FLAWS:
        (plan,) = plan_products(categories=1, images=1, flaws=[kind])
        assert list(plan.categories) == [kind.replace(" ", "-")]
