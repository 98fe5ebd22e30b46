"""What one's own data allows for: what is left out is said, and nothing else is."""

from __future__ import annotations

import pytest

from flawshot import EpisodeError, verify_episodes
from flawshot.episodes import sample_possible


def images_of(product, **counts):
    """So many images of each category, one instance each."""
    return [(f"{product}/{label}{number}", [label]) for label, count in counts.items() for number in range(count)]


CASES = {
    "enough of all": (images_of("a", dent=6, scratch=7), {"a": [1, 3, 5]}, []),
    "one short": (
        images_of("a", dent=6, scratch=7, chip=3),
        {"a": [1, 3, 5]},
        [
            "a: fewer than 3 support instances, so all are used: chip (2)",
            "a: fewer than 5 support instances, so all are used: chip (2)",
        ],
    ),
    "a single instance": (
        images_of("a", dent=6, scratch=7, chip=1),
        {"a": [1, 3, 5]},
        ["a: left out because all instances are in one image: chip (1); annotate more of them"],
    ),
    "all of a category in one image": (
        [*images_of("a", dent=6, scratch=6), ("a/x", ["chip"] * 9)],
        {"a": [1, 3, 5]},
        ["a: left out because all instances are in one image: chip (9); annotate more of them"],
    ),
    "too few for the larger K": (
        images_of("a", dent=2, scratch=2),
        {"a": [1]},
        [
            "a: 3 shots left out because fewer than two categories have that many support instances",
            "a: 5 shots left out because fewer than two categories have that many support instances",
        ],
    ),
    "a product of one category": (
        [*images_of("a", dent=6, scratch=6), *images_of("b", dent=9)],
        {"a": [1, 3, 5]},
        ["b: left out because it has a single usable category (dent); there is nothing to tell apart"],
    ),
    "one category left": (
        images_of("a", dent=6, scratch=1),
        {},
        [
            "a: left out because all instances are in one image: scratch (1); annotate more of them",
            "a: left out because it has a single usable category (dent); there is nothing to tell apart",
        ],
    ),
    "no labels": (
        [("a/0", [""]), ("a/1", [""])],
        {},
        ["a: left out because it has no usable category; there is nothing to tell apart"],
    ),
}


@pytest.mark.parametrize(("images", "sets", "remarks"), CASES.values(), ids=CASES)
def test_what_is_left_out_is_said(catalog_of, images, sets, remarks):
    catalog = catalog_of(images, layout="{product}/**")
    possible = sample_possible(catalog, seeds=range(2))
    made = {}
    for each in possible.episodes:
        made.setdefault(each.product, []).append(each.shots)
        verify_episodes(each, possible.catalog)
    assert made == sets
    assert list(possible.remarks) == remarks
    assert possible.catalog.products == sorted(sets)


def test_every_category_that_stays_is_queried(catalog_of):
    catalog = catalog_of(images_of("a", dent=2, scratch=9, chip=4), layout="{product}/**")
    possible = sample_possible(catalog, seeds=range(5))
    label = dict(zip(catalog.column("id"), catalog.column("category"), strict=True))
    for each in possible.episodes:
        for episode in each.episodes:
            assert {label[one] for one in episode.query} == {"dent", "scratch", "chip"}
            assert {label[one] for one in episode.support} == {"dent", "scratch", "chip"}


def test_groups_count_as_one(catalog_of):
    catalog = catalog_of(images_of("a", dent=4, scratch=4, chip=4), layout="{product}/**")
    groups = {image: "one" if "chip" in image else image for image in catalog.column("image")}
    possible = sample_possible(catalog, groups=groups)
    assert possible.remarks[0] == "a: left out because all instances are in one group: chip (4); annotate more of them"
    assert {each.categories for each in possible.episodes} == {("dent", "scratch")}
    with pytest.raises(EpisodeError, match="has no group"):
        sample_possible(catalog, groups={})


def test_a_split_is_kept_where_it_can_be(catalog_of):
    split = [
        (f"a/{part}/{label}{number}", [label])
        for part in ("train", "test")
        for label in ("dent", "scratch")
        for number in range(3)
    ]
    possible = sample_possible(catalog_of([*split, ("a/test/chip0", ["chip"])], layout="{product}/{split}/**"))
    assert possible.remarks[0] == "a: left out because all instances are in one image: chip (1); annotate more of them"
    assert [(each.shots, each.parameters["split"]) for each in possible.episodes] == [(1, "kept"), (3, "kept")]
