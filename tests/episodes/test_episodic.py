"""Random tasks: N categories, K and Q instances of each, and nothing on both sides."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from flawshot import (
    Catalog,
    EpisodeError,
    FlawshotError,
    evaluate,
    find_episode_files,
    groups_from_regex,
    make_classifier,
    read_episodes,
    sample_episodes,
    sample_tasks,
    verify_episodes,
    write_episodes,
)
from flawshot.episodes import episode_product, write_all
from flawshot.labelme.labelme_file import parse_labelme
from helpers import box_shape, labelme_document

SIX = ["dent", "hole", "mark", "scratch", "stain", "tear"]
PLAIN = [(f"p/{('train', 'test')[n % 2]}/{c}{n}", [c]) for c in SIX for n in range(9)]


def check(catalog, tasks, *, ways, shots, queries, groups=None):
    """All that the protocol promises, from the rows alone."""
    rows = {i.id: i for i in catalog}
    order = catalog.row_of
    for number, episode in enumerate(tasks.episodes):
        assert episode.seed == number
        support, query = ([rows[identifier] for identifier in ids] for ids in (episode.support, episode.query))
        chosen = [support[shots * n].category for n in range(ways)]
        assert chosen == sorted(set(chosen))
        assert Counter(i.category for i in support) == dict.fromkeys(chosen, shots)
        assert Counter(i.category for i in query) == dict.fromkeys(chosen, queries)
        assert len({i.id for i in [*support, *query]}) == ways * (shots + queries)
        assert list(episode.query) == sorted(episode.query, key=order.__getitem__)
        units = [{i.image if groups is None else groups[i.image] for i in side} for side in (support, query)]
        assert not units[0] & units[1]
        assert "val" not in {i.split for i in [*support, *query]}


def test_tasks_hold_what_they_promise_and_differ(catalog_of):
    catalog = catalog_of([*PLAIN, ("p/val/x", ["dent"] * 9)])
    tasks = sample_tasks(catalog, "p", 2, ways=3, queries=4, episodes=200)
    check(catalog, tasks, ways=3, shots=2, queries=4)
    assert len(set(tasks.episodes)) == 200
    assert len({frozenset(i.rpartition("/")[2][:3] for i in e.support) for e in tasks.episodes}) == 20  # 6 over 3
    assert tasks.parameters == {
        "ways": 3,
        "queries": 4,
        "episodes": 200,
        "seed": 0,
        "split": "ignored",
        "split_ignored_because": "random tasks are drawn from all of it",
        "val_left_out": 9,
    }
    drawn = Counter(identifier for episode in tasks.episodes for identifier in episode.support)
    assert len(drawn) == 54  # every instance is drawn, in 200 x 6 draws of 54
    assert max(drawn.values()) < 50


def test_a_task_depends_on_product_seed_and_number_only(catalog_of):
    catalog = catalog_of(PLAIN)
    tasks = sample_tasks(catalog, "p", 1, ways=2, queries=2, episodes=20)
    assert sample_tasks(catalog, "p", 1, ways=2, queries=2, episodes=9).episodes == tasks.episodes[:9]
    assert sample_tasks(catalog, "p", 1, ways=2, queries=2, episodes=20, seed=1).episodes != tasks.episodes
    # What Python's random draws is the same everywhere; if this changes, episode files no longer verify.
    assert tasks.episodes[0].support == ("p/test/hole3.json#0", "p/train/stain6.json#0")
    assert tasks.episodes[0].query == (
        "p/test/hole5.json#0",
        "p/test/stain3.json#0",
        "p/train/hole8.json#0",
        "p/train/stain2.json#0",
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_the_data_a_drawn_task_never_leaks(data):
    labels = st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=6)
    images = data.draw(st.lists(labels, min_size=2, max_size=14))
    annotations = []
    for n, own in enumerate(images):
        document = labelme_document([box_shape(label) for label in own], imagePath=f"{n}.png")
        annotations.append((f"p/{n}.json", parse_labelme(json.dumps(document).encode(), "made up")[0]))
    catalog = Catalog.from_annotations(annotations, layout="{product}/**")
    groups = None
    if data.draw(st.booleans()):
        numbers = data.draw(st.lists(st.integers(0, 5), min_size=len(images), max_size=len(images)))
        groups = {f"p/{n}.png": str(group) for n, group in enumerate(numbers)}
    ways, shots, queries = (data.draw(st.integers(low, 3)) for low in (2, 1, 1))
    try:
        tasks = sample_tasks(catalog, "p", shots, ways=ways, queries=queries, episodes=5, groups=groups)
    except EpisodeError as error:
        event("refused")
        assert str(error).startswith("p: ")
        return
    event("drawn")
    check(catalog, tasks, ways=ways, shots=shots, queries=queries, groups=groups)


def test_a_support_takes_few_images_only_where_it_must(catalog_of):
    # Every category has just K + Q instances: K must come from one image for Q to be left in the other.
    tight = catalog_of([(f"p/{c}{n}", [c] * size) for c in SIX[:3] for n, size in enumerate((3, 4))])
    tasks = sample_tasks(tight, "p", 3, ways=2, queries=4, episodes=10)
    check(tight, tasks, ways=2, shots=3, queries=4)
    roomy = catalog_of([(f"p/{c}{n}", [c] * 3) for c in SIX[:3] for n in range(9)])
    image = dict(zip(roomy.column("id"), roomy.column("image"), strict=True))
    for episode in sample_tasks(roomy, "p", 3, ways=2, queries=4, episodes=20).episodes:
        assert len({image[identifier] for identifier in episode.support}) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queries": 8}, r"p: categories with fewer than the 9 instances .*8 as q.*\): 'hole' 8, 'stain' 4; annotate"),
        ({"ways": 7, "queries": 1}, "has 6 categories, fewer than ways=7"),
        ({"ways": 1}, "ways=1: must be at least 2"),
        ({"queries": 0}, "queries=0: must be at least 1"),
        ({"episodes": 0}, "episodes=0: must be at least 1"),
        ({"groups": {}}, "has no group"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_an_error_that_names_it(catalog_of, options, message):
    catalog = catalog_of(
        [image for image in PLAIN if not image[0].endswith(("hole8", *(f"stain{n}" for n in range(5))))]
    )
    with pytest.raises(EpisodeError, match=message):
        sample_tasks(catalog, "p", 1, **options)
    with pytest.raises(EpisodeError, match="shots=0"):
        sample_tasks(catalog, "p", 0)
    with pytest.raises(EpisodeError, match=r"use flawshot\.sample_tasks"):
        sample_episodes(catalog, "p", 1, protocol="episodic")


def test_instances_that_share_one_image_cannot_be_told_apart(catalog_of):
    catalog = catalog_of([("p/a", ["dent"] * 9), *[(f"p/s{n}", ["scratch"]) for n in range(9)]])
    with pytest.raises(EpisodeError, match="the instances of category 'dent' come from 1 image or group"):
        sample_tasks(catalog, "p", 1, ways=2, queries=1)


def test_a_file_is_one_line_an_episode_and_comes_back(catalog_of, tmp_path):
    catalog = catalog_of(PLAIN)
    groups = groups_from_regex(r"(\d)\.png", catalog.column("image"))
    tasks = sample_tasks(catalog, "p", 1, ways=3, queries=2, episodes=30, groups=groups)
    path = write_episodes(tasks, tmp_path)
    assert path == tmp_path / "episodic/p-1shot.jsonl"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(header)["format"] == "flawshot-episodes"
    assert json.loads(header)["parameters"]["ways"] == 3
    assert [json.loads(line)["seed"] for line in lines] == list(range(30))
    assert read_episodes(path, catalog) == tasks
    assert episode_product(path) == "p"
    assert find_episode_files(tmp_path) == [path]
    write_all([tasks], tmp_path)
    other = sample_tasks(catalog, "p", 1, ways=3, queries=2, episodes=30, groups=groups, seed=1)
    with pytest.raises(FlawshotError, match="exists with different content"):
        write_all([other], tmp_path)
    write_episodes(sample_episodes(catalog, "p", 1), tmp_path)
    with pytest.raises(EpisodeError, match=r"several protocols \(disjoint, episodic\)"):
        find_episode_files(tmp_path)


def test_streamed_tasks_are_those_that_are_kept_and_make_the_same_file(catalog_of, tmp_path):
    catalog = catalog_of(PLAIN)
    options = {"ways": 3, "queries": 2, "episodes": 30, "seed": 4}
    kept, streamed = (sample_tasks(catalog, "p", 2, **options, keep=keep) for keep in (True, False))
    assert isinstance(kept.episodes, tuple)
    assert tuple(streamed.episodes) == kept.episodes
    assert (streamed.episodes[-1], streamed.episodes[3:5]) == (kept.episodes[-1], kept.episodes[3:5])
    with pytest.raises(IndexError):
        streamed.episodes[30]
    assert write_episodes(streamed, tmp_path / "a").read_bytes() == write_episodes(kept, tmp_path / "b").read_bytes()


def test_the_memory_of_streamed_tasks_does_not_grow_with_their_number(catalog_of, tmp_path):
    catalog = catalog_of(PLAIN)

    def peak(count):
        tracemalloc.start()
        try:
            for _ in range(2):  # the second time the file is there already, and compared
                write_all(
                    [sample_tasks(catalog, "p", 1, ways=2, queries=1, episodes=count, keep=False)],
                    tmp_path / str(count),
                )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is loaded and kept once
    assert peak(3000) < peak(300) + 100_000


def damaged(lines, number, change):
    entry = json.loads(lines[number])
    change(entry)
    return [*lines[:number], json.dumps(entry), *lines[number + 1 :]]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: lines[:-1], "episodes: there are 4, but"),
        (lambda lines: lines[:2] + lines[1:-1], "seed 0 occurs twice"),
        (lambda lines: [lines[0], *reversed(lines[1:])], "is not the task that its number and seed give"),
        (lambda lines: lines[:0], "line 1: "),
        (lambda lines: [lines[0][:40], *lines[1:]], "line 1: "),
        (lambda lines: [*lines[:3], lines[3][:40], *lines[4:]], "line 4: "),
        (lambda lines: [*lines[:3], "", *lines[3:]], "line 4: "),
        (lambda lines: damaged(lines, 2, lambda e: e.pop("support")), "line 3: support: "),
        (lambda lines: damaged(lines, 2, lambda e: e.pop("query")), "episodes.1.query: is empty"),
        (lambda lines: damaged(lines, 2, lambda e: e.update(extra=1)), "line 3: extra: "),
        (lambda lines: damaged(lines, 2, lambda e: e.update(support=["../../x"])), "is not a labeled instance"),
        (lambda lines: damaged(lines, 2, lambda e: e["query"].pop()), "episodes.1: is not the task"),
        (lambda lines: damaged(lines, 2, lambda e: e["query"].append(e["support"][0])), "is in support and query"),
        (lambda lines: damaged(lines, 0, lambda e: e["parameters"].update(seed=1)), "episodes.0: is not the task"),
        (lambda lines: damaged(lines, 0, lambda e: e["parameters"].update(ways="2")), "parameters.ways: must be"),
        (lambda lines: damaged(lines, 0, lambda e: e["parameters"].update(ways=10**9)), "fewer than ways"),
        (lambda lines: damaged(lines, 0, lambda e: e["parameters"].update(queries=10**9)), "that a task needs"),
        (lambda lines: damaged(lines, 0, lambda e: e["parameters"].pop("seed")), "parameters.seed: must be"),
        (lambda lines: damaged(lines, 0, lambda e: e.update(protocol="disjoint")), "line 1: protocol: "),
        (lambda lines: damaged(lines, 0, lambda e: e.update(version=2)), "line 1: version: "),
        (lambda lines: damaged(lines, 0, lambda e: e.update(product="q")), "product: q is not in the data"),
        (lambda lines: damaged(lines, 0, lambda e: e.update(categories=["x"])), "categories: are "),
        (lambda lines: damaged(lines, 0, lambda e: e.update(fingerprint="x")), "fingerprint: "),
    ],
)  # fmt: skip
def test_a_damaged_or_false_file_is_one_line(catalog_of, tmp_path, damage, message):
    catalog = catalog_of(PLAIN)
    path = write_episodes(sample_tasks(catalog, "p", 1, ways=2, queries=2, episodes=5), tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(damage(lines)) + "\n" if damage(lines) else "", encoding="utf-8")
    with pytest.raises(FlawshotError) as caught:
        read_episodes(path, catalog)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_leak_is_named_whoever_made_it(catalog_of):
    catalog = catalog_of([(f"p/{n}", ["dent", "dent", "scratch", "scratch"]) for n in range(8)])
    tasks = sample_tasks(catalog, "p", 1, ways=2, queries=2, episodes=1)
    (episode,) = tasks.episodes
    image = episode.support[0].partition("#")[0]
    beside = next(i for i in catalog.column("id") if i.startswith(image) and i not in episode.support)
    leaking = replace(episode, query=(beside, *episode.query[1:]))
    with pytest.raises(EpisodeError, match=r"episodes\.0: image p/\d\.png is in support and query"):
        verify_episodes(replace(tasks, episodes=(leaking,)), catalog)


def test_classifiers_are_scored_on_tasks_of_other_categories_each(catalog_of, bank_of):
    catalog = catalog_of(PLAIN)
    bank = bank_of(catalog)
    tasks = sample_tasks(catalog, "p", 1, ways=3, queries=2, episodes=40)
    results = evaluate(bank, [tasks], ["matched-prototype", "knn"])
    runs = {run.classifier: run for run in results.runs}
    assert runs["chance"].accuracy.mean == pytest.approx(1 / 3)
    assert runs["majority"].accuracy.mean == pytest.approx(1 / 3)
    assert runs["matched-prototype"].accuracy.mean > 0.95
    for run in results.runs:
        assert run.categories == tuple(SIX)
        assert len(run.episodes) == 40
    confusion = runs["knn"].confusion
    assert sum(map(sum, confusion)) == 40 * 3 * 2
    # Each episode again, by hand: who is asked, and what a classifier that is fitted alone says.
    rows = bank.catalog.row_of
    labels = bank.catalog.column("category")
    for episode, scored in zip(tasks.episodes, runs["knn"].episodes, strict=True):
        support, query = ([labels[rows[i]] for i in ids] for ids in (episode.support, episode.query))
        fitted = make_classifier("knn").fit(bank.features(episode.support), support)
        right = fitted.predict(bank.features(episode.query)) == query
        assert scored.accuracy == pytest.approx(right.mean())
