"""Episodes: MVREC's draws as published, and disjoint ones that never leak."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from flawshot import Catalog, EpisodeError, sample_episodes, verify_episodes
from flawshot.episodes import PROTOCOLS, Episode
from flawshot.labelme.labelme_file import parse_labelme
from helpers import box_shape, labelme_document


def plain_catalog(images):
    """A catalog of (path without suffix, labels)."""
    annotations = []
    for stem, labels in images:
        shapes = [box_shape(label, at=(9 * (n % 10), 9 * (n // 10))) for n, label in enumerate(labels)]
        document = labelme_document(shapes, imagePath=f"{stem.rpartition('/')[2]}.png")
        annotations.append((f"{stem}.json", parse_labelme(json.dumps(document).encode(), stem)[0]))
    return Catalog.from_annotations(annotations, root_name="part", layout="{product}/{split}/**")


def test_mvrec_draws_are_those_of_the_published_rule(mvtec_fs, mvtec_fs_catalog):
    """All 210 support sets, derived again in plain Python from the published tables."""
    csv.field_size_limit(10**7)
    compared = 0
    for folder in sorted(mvtec_fs.glob("CONFIG/*_config1")):
        product = folder.name.removesuffix("_config1")
        if product == "toothbrush":
            continue
        with (folder / "train.csv").open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        seen: Counter[str] = Counter()
        ids = []
        for row in rows:
            ids.append(f"{product}/{row['img_rel_path'][:-4]}.json#{seen[row['img_rel_path']]}")
            seen[row["img_rel_path"]] += 1
        with (folder / "valid.csv").open(newline="") as opened:
            queries = len(list(csv.DictReader(opened)))
        for shots in (1, 3, 5):
            episodes = sample_episodes(mvtec_fs_catalog, product, shots, protocol="mvrec")
            for seed, episode in enumerate(episodes.episodes):
                expected = []
                for category in sorted({row["label"] for row in rows}):
                    indices = [index for index, row in enumerate(rows) if row["label"] == category]
                    random.seed(seed)
                    random.shuffle(indices)
                    expected += [ids[index] for index in indices[:shots]]
                assert list(episode.support) == expected
                assert len(episode.query) == queries
                compared += 1
    assert compared == 210


def test_mvrec_needs_both_splits_and_knows_no_groups():
    catalog = plain_catalog([("p/a", ["dent"]), ("p/b", ["scratch"])])
    with pytest.raises(EpisodeError, match="needs a train and a test split; use protocol='disjoint'"):
        sample_episodes(catalog, "p", 1, protocol="mvrec")
    with pytest.raises(EpisodeError, match="does not support groups"):
        sample_episodes(catalog, "p", 1, protocol="mvrec", groups={})


# The worst case: few images with many instances each, categories sharing images, and one physical sample in several
# images. Ten instances of three categories, so a sampler that draws instances has plenty to draw from.
WORST = [
    ("p/exposure1/tile1", ["scratch", "scratch", "dent"]),
    ("p/exposure2/tile1", ["scratch", "scratch", "dent"]),
    ("p/exposure1/tile2", ["scratch", "dent", "dent", "stain"]),
    ("p/exposure2/tile2", ["scratch", "stain"]),
    ("p/exposure1/tile3", ["dent", "stain", "stain"]),
    ("p/exposure2/tile3", ["scratch", "dent"]),
    ("p/exposure1/tile4", ["stain"]),
    ("p/exposure1/tile5", ["scratch", "dent", "stain"]),
]
WORST_GROUPS = {f"{stem}.png": stem[-5:] for stem, _ in WORST}


def shared_units(catalog, episode, unit_of):
    image = dict(zip(catalog.column("id"), catalog.column("image"), strict=True))
    support = {unit_of(image[identifier]) for identifier in episode.support}
    return support & {unit_of(image[identifier]) for identifier in episode.query}


def naive_episode(catalog, shots, seed):
    """What is usually done: draw K instances a category, query all the others."""
    rng = random.Random(seed)
    by_category = {}
    for identifier, category in zip(catalog.column("id"), catalog.column("category"), strict=True):
        by_category.setdefault(category, []).append(identifier)
    support = [identifier for ids in by_category.values() for identifier in rng.sample(ids, shots)]
    return Episode(seed, tuple(support), tuple(i for i in catalog.column("id") if i not in support))


@pytest.mark.parametrize("shots", [1, 2, 3])
def test_in_the_worst_case_a_naive_sampler_leaks_and_ours_proves_it_does_not(shots):
    catalog = plain_catalog(WORST)
    for groups in (None, WORST_GROUPS):
        episodes = sample_episodes(catalog, "p", shots, seeds=range(20), groups=groups)
        for episode in episodes.episodes:
            assert not shared_units(catalog, episode, lambda image: image)
            if groups:
                assert not shared_units(catalog, episode, groups.__getitem__)
        naive = [naive_episode(catalog, shots, seed) for seed in range(20)]
        leaking = [episode for episode in naive if shared_units(catalog, episode, lambda image: image)]
        assert len(leaking) > 15
        for episode in leaking:
            with pytest.raises(EpisodeError, match="is in support and query"):
                verify_episodes(replace(episodes, episodes=(episode,)), catalog)


def test_grouped_exposures_leak_through_a_sampler_that_keeps_only_images_apart():
    catalog = plain_catalog(WORST)
    apart = sample_episodes(catalog, "p", 1, seeds=range(20))
    assert any(shared_units(catalog, episode, WORST_GROUPS.__getitem__) for episode in apart.episodes)


def test_a_support_takes_one_instance_of_an_image_while_there_are_enough_images():
    images = [(f"p/{n}", ["dent"] * 5) for n in range(5)] + [(f"p/s{n}", ["scratch"]) for n in range(5)]
    catalog = plain_catalog(images)
    image = dict(zip(catalog.column("id"), catalog.column("image"), strict=True))
    for episode in sample_episodes(catalog, "p", 4, seeds=range(30)).episodes:
        assert len({image[identifier] for identifier in episode.support}) == 8
    tight = plain_catalog([("p/1", ["dent"] * 5), ("p/2", ["dent"]), *images[5:]])
    for episode in sample_episodes(tight, "p", 4, seeds=range(5)).episodes:  # one image must give all four
        dents = [identifier for identifier in episode.support if "p/1" in identifier]
        assert len(dents) == 4


def test_a_smaller_support_is_part_of_a_larger_one_at_the_same_seed(mvtec_fs_catalog):
    for protocol in ("mvrec", "disjoint"):
        one, three, five = (
            sample_episodes(mvtec_fs_catalog, "zipper", shots, protocol=protocol).episodes for shots in (1, 3, 5)
        )
        for a, b, c in zip(one, three, five, strict=True):
            assert set(a.support) < set(b.support) < set(c.support)


SPLIT = [(f"p/train/{c}{n}", [c]) for c in ("dent", "scratch") for n in range(4)]
TEST = [(f"p/test/{c}{n}", [c]) for c in ("dent", "scratch") for n in range(3)]


@pytest.mark.parametrize(
    ("images", "parameters"),
    [
        pytest.param(SPLIT + TEST, {"split": "kept"}, id="a whole split is kept"),
        pytest.param(
            [*SPLIT, *TEST, ("p/val/x", ["dent"])], {"split": "kept", "val_left_out": 1}, id="val is left out"
        ),
        pytest.param(
            [(stem.replace("train", "test") + "b", labels) for stem, labels in SPLIT] + TEST,
            {"split": "ignored", "split_ignored_because": "its train part has no dent, scratch"},
            id="MVTec AD: no defects in train",
        ),
        pytest.param(
            SPLIT[:4] + TEST + [(f"p/test/s{n}", ["scratch"]) for n in range(2)],
            {"split": "ignored", "split_ignored_because": "its train part has no scratch"},
            id="a category is absent from train",
        ),
        pytest.param(
            [*SPLIT, ("p/val/x", ["dent"])],
            {"split": "ignored", "split_ignored_because": "there is no test part", "val_left_out": 1},
            id="train and val only",
        ),
        pytest.param(
            [*SPLIT, *TEST, ("p/more/x", ["dent"])],
            {"split": "kept", "no_split_left_out": 1},
            id="some in no split are left out",
        ),
        pytest.param(
            [*SPLIT, *TEST, *((f"p/train/r{n}", ["rare"]) for n in range(3))],
            {"split": "kept", "never_queried": ["rare"]},
            id="test lacks a category",
        ),
        pytest.param(
            [*SPLIT, *TEST, ("p/val/x", ["rare"])],
            {"split": "kept", "val_left_out": 1},
            id="a category only in val",
        ),
        pytest.param(
            [(stem.replace("train/", ""), labels) for stem, labels in SPLIT], {"split": "none"}, id="no split at all"
        ),
    ],
)
def test_what_becomes_of_the_data_sets_own_split(images, parameters):
    catalog = plain_catalog(images)
    episodes = sample_episodes(catalog, "p", 2)
    assert episodes.parameters == parameters | {"allow_short": False}
    split = dict(zip(catalog.column("id"), catalog.column("split"), strict=True))
    for episode in episodes.episodes:
        assert "val" not in {split[identifier] for identifier in episode.support + episode.query}
        if parameters["split"] == "kept":
            assert {split[identifier] for identifier in episode.support} == {"train"}
            assert {split[identifier] for identifier in episode.query} == {"test"}


def test_groups_that_cross_a_kept_split_leave_the_query_set():
    catalog = plain_catalog(SPLIT + TEST)
    images = catalog.column("image")
    groups = {image: image for image in images} | {"p/train/dent0.png": "same", "p/test/dent0.png": "same"}
    episodes = sample_episodes(catalog, "p", 3, seeds=range(10), groups=groups)
    for episode in episodes.episodes:
        if "p/train/dent0.json#0" in episode.support:
            assert "p/test/dent0.json#0" not in episode.query
    assert episodes.shared_query is None


@pytest.mark.parametrize(
    ("images", "shots", "message"),
    [
        pytest.param(
            [("p/a", ["dent"] * 4), ("p/b", ["scratch"])], 3, r"'scratch' has 1 instance .* fewer than 3", id="few"
        ),
        pytest.param([("p/a", ["dent"] * 4), ("p/b", ["scratch"] * 4)], 1, r"one image or group", id="one image each"),
        pytest.param([("p/a", ["dent"]), ("p/b", ["dent"])], 1, r"one category \(dent\)", id="one category"),
        pytest.param([("p/a", [""]), ("p/b", [""])], 1, r"no labeled instance", id="no labels"),
        pytest.param(
            [("p/a", ["dent"]), ("p/b", ["dent"]), ("p/c", ["s"]), ("p/d", ["s"])],
            2,
            r"no draw of 2",
            id="none to query",
        ),
    ],
)
def test_too_little_is_an_error_that_names_the_category_and_its_count(images, shots, message):
    with pytest.raises(EpisodeError, match=message) as caught:
        sample_episodes(plain_catalog(images), "p", shots)
    assert "\n" not in str(caught.value)


def test_allow_short_brings_what_there_is_and_says_so_in_the_file():
    catalog = plain_catalog([*[(f"p/{n}", ["dent"]) for n in range(6)], ("p/s1", ["scratch"]), ("p/s2", ["scratch"])])
    episodes = sample_episodes(catalog, "p", 3, allow_short=True)
    assert episodes.parameters["allow_short"] is True
    for episode in episodes.episodes:
        counts = Counter("scratch" if "/s" in identifier else "dent" for identifier in episode.support)
        assert counts == {"dent": 3, "scratch": 1}  # its other one stays to be queried
    lonely = plain_catalog([*[(f"p/{n}", ["dent"]) for n in range(6)], ("p/s1", ["scratch"])])
    for episode in sample_episodes(lonely, "p", 3, allow_short=True).episodes:
        assert "p/s1.json#0" in episode.support


@pytest.mark.parametrize(("shots", "seeds"), [(0, range(5)), (1, [])])
def test_no_shots_or_no_seeds_is_refused(shots, seeds):
    with pytest.raises(EpisodeError, match=r"at least (1|one)"):
        sample_episodes(plain_catalog(WORST), "p", shots, seeds=seeds)


def test_an_image_is_taken_twice_only_where_there_is_no_other_way():
    """Categories that share images get in each other's way, and yet there are images enough."""
    images = [("p/1", ["a", "a", "b"]), ("p/2", ["a", "a", "c"]), *((f"p/{n}", ["a", "a"]) for n in (3, 4, 5))]
    images += [(f"p/{c}{n}", [c]) for c in "bc" for n in range(6)]
    catalog = plain_catalog(images)
    rows = dict(
        zip(catalog.column("id"), zip(catalog.column("category"), catalog.column("image"), strict=True), strict=True)
    )
    for episode in sample_episodes(catalog, "p", 4, seeds=range(100)).episodes:
        own = [rows[identifier] for identifier in episode.support]
        assert len(set(own)) == len(own) == 12


SPLITS = {"none": [""], "whole": ["train/", "test/"], "mixed": ["", "train/", "test/", "val/"]}


@settings(max_examples=200, deadline=None)
@given(
    data=st.data(), layout=st.sampled_from(sorted(SPLITS)), shots=st.integers(1, 3), protocol=st.sampled_from(PROTOCOLS)
)
def test_whatever_the_data_a_draw_never_leaks_always_has_k_and_is_reproducible(data, layout, shots, protocol):
    labels = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)
    spare = st.lists(st.tuples(st.sampled_from(SPLITS[layout]), labels), max_size=8)
    # Enough of everything that most draws succeed, and then whatever else.
    images = [(split, [c]) for c in "ab" for split in SPLITS[layout][:3] for _ in range(shots + 1)] + data.draw(spare)
    named = [(f"p/{split}{number}", own) for number, (split, own) in enumerate(images)]
    allow_short = data.draw(st.booleans())
    grouped = protocol == "disjoint" and data.draw(st.booleans())
    numbers = data.draw(st.lists(st.integers(0, 14), min_size=len(named), max_size=len(named)))
    groups = {f"{stem}.png": str(number) for (stem, _), number in zip(named, numbers, strict=True)}
    catalog = plain_catalog(named)
    options = {
        "groups": groups if grouped else None, "allow_short": allow_short, "seeds": range(3), "protocol": protocol
    }  # fmt: skip
    try:
        episodes = sample_episodes(catalog, "p", shots, **options)
    except EpisodeError as error:
        event("refused")
        assert "\n" not in str(error)
        return
    event(f"drawn: {protocol} {episodes.parameters.get('split')}")
    assert sample_episodes(catalog, "p", shots, **options) == episodes
    category = dict(zip(catalog.column("id"), catalog.column("category"), strict=True))
    split = dict(zip(catalog.column("id"), catalog.column("split"), strict=True))
    usable = {category[identifier] for identifier in category if split[identifier] != "val"}
    for episode in episodes.episodes:
        if protocol == "disjoint":
            assert not shared_units(catalog, episode, lambda image: image)
            assert not grouped or not shared_units(catalog, episode, groups.__getitem__)
            assert set(episodes.categories) == usable
        counts = Counter(category[identifier] for identifier in episode.support)
        assert set(counts) == set(episodes.categories)
        assert all(count == shots or (allow_short and 0 < count < shots) for count in counts.values())
        assert not set(episode.support) & set(episode.query)
        assert len(set(episode.support)) == len(episode.support)
        assert "val" not in {split[identifier] for identifier in episode.support + episode.query}
        asked = {category[identifier] for identifier in episode.query}
        if protocol == "disjoint" and not allow_short:
            assert asked == set(episodes.categories) - set(episodes.parameters.get("never_queried", []))
