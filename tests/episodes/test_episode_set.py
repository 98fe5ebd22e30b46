"""Episode files: what they hold, and that nothing false in them passes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from flawshot import (
    EpisodeError,
    FlawshotError,
    find_episode_files,
    read_episodes,
    sample_episodes,
    write_episodes,
)
from flawshot.episodes import write_all

IMAGES = [(f"p/train/{c}{n}", [c, c]) for c in ("dent", "scratch", "stain") for n in range(4)]
IMAGES += [(f"p/test/{c}{n}", [c]) for c in ("dent", "scratch", "stain") for n in range(3)]


@pytest.fixture
def catalog(catalog_of):
    return catalog_of(IMAGES, layout="{product}/{split}/**")


@pytest.mark.parametrize("protocol", ["mvrec", "disjoint"])
def test_what_is_written_is_read(catalog, tmp_path, protocol):
    episodes = sample_episodes(catalog, "p", 2, protocol=protocol)
    path = write_episodes(episodes, tmp_path)
    assert path == tmp_path / protocol / "p-2shot.json"
    assert read_episodes(path, catalog) == episodes
    document = json.loads(path.read_text())
    assert set(document) == {
        "format", "version", "protocol", "parameters", "product", "shots", "fingerprint", "categories", "query",
        "groups", "episodes",
    }  # fmt: skip
    assert len(document["query"]) == 9
    assert all("query" not in episode for episode in document["episodes"])


def test_query_sets_that_differ_stand_with_their_seed(catalog, tmp_path):
    groups = {image: image[-5:] for image in catalog.column("image")}
    episodes = sample_episodes(catalog, "p", 2, groups=groups)
    assert episodes.shared_query is None
    path = write_episodes(episodes, tmp_path)
    document = json.loads(path.read_text())
    assert document["query"] is None
    assert document["groups"] == groups
    assert read_episodes(path, catalog) == episodes


def test_the_same_inputs_give_the_same_bytes_in_another_process(catalog, tmp_path):
    """Hash randomisation, the order of sets, or the machine's state must not matter."""
    catalog.save(tmp_path / "catalog.parquet")
    script = (
        "import sys, flawshot\n"
        "catalog = flawshot.Catalog.open(sys.argv[1])\n"
        "groups = {image: image[-6:] for image in catalog.column('image')}\n"
        "for groups in (None, groups):\n"
        "    episodes = flawshot.sample_episodes(catalog, 'p', 2, groups=groups)\n"
        "    print(flawshot.write_episodes(episodes, sys.argv[2], overwrite=True).read_bytes().hex())\n"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "catalog.parquet"), str(tmp_path / seed)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def swap(document):
    document["episodes"][0]["support"][0] = document["query"][0]


TAMPERED = [
    pytest.param(lambda d: d.update(product="q"), "product: q is not in the data", id="another product"),
    pytest.param(lambda d: d.update(fingerprint="0"), "fingerprint: .* have changed since", id="other data"),
    pytest.param(lambda d: d["categories"].pop(), "categories?", id="a category gone"),
    pytest.param(lambda d: d["episodes"][1]["support"].pop(), "has 1 instance, not 2", id="one short"),
    pytest.param(
        lambda d: d["episodes"][0]["support"].append("p/x.json#0"),
        r"p/x\.json#0 is not a labeled instance",
        id="unknown id",
    ),
    pytest.param(swap, "is in support and query", id="support from query"),
    pytest.param(
        lambda d: d["episodes"][0]["support"].__setitem__(0, d["episodes"][0]["support"][1]),
        "occurs twice",
        id="twice",
    ),
    pytest.param(lambda d: d.update(shots=3), "has 2 instances, not 3", id="another K"),
    pytest.param(lambda d: d["query"].clear(), "query: is empty", id="no query"),
    pytest.param(lambda d: d["query"].append("p/train/dent0.json#0"), "is in support|split", id="train in query"),
    pytest.param(lambda d: d.update(episodes=[]), "episodes: there are none", id="no episodes"),
    pytest.param(lambda d: d.update(version=2), "version: ", id="another version"),
    pytest.param(lambda d: d.update(format="x"), "format: ", id="another format"),
    pytest.param(lambda d: d.update(shots="2"), "shots: ", id="K as text"),
    pytest.param(lambda d: d["episodes"][0].update(seed=None), r"episodes\.0\.seed: ", id="no seed"),
    pytest.param(
        lambda d: d["episodes"][0].update(query=["x"]),
        r"episodes\.0\.query: must be given either here or once",
        id="both",
    ),
    pytest.param(lambda d: d.pop("categories"), "categories: ", id="field missing"),
    pytest.param(lambda d: d["query"].pop(), "query: is not", id="a query less"),
    pytest.param(lambda d: d["query"].reverse(), "query: is not", id="queries in another order"),
    pytest.param(lambda d: d["episodes"].append(d["episodes"][0]), "seed 0 occurs twice", id="an episode twice"),
    pytest.param(lambda d: d.update(groups={}), "groups: .* is missing, or", id="no groups where there are some"),
    pytest.param(lambda d: d.update(surplus=1), "surplus: ", id="field too many"),
]


@pytest.mark.parametrize(("change", "message"), TAMPERED)
@pytest.mark.parametrize("protocol", ["mvrec", "disjoint"])
def test_a_file_that_claims_what_is_not_so_is_refused(catalog, tmp_path, protocol, change, message):
    path = write_episodes(sample_episodes(catalog, "p", 2, protocol=protocol), tmp_path)
    edit(path, change)
    with pytest.raises(FlawshotError, match=message) as caught:
        read_episodes(path, catalog)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_image_or_group_on_both_sides_is_refused(catalog, tmp_path):
    episodes = sample_episodes(catalog, "p", 1)
    first = episodes.episodes[0]
    images = catalog.column("image")
    place = catalog.row_of
    groups = {image: image for image in images}
    groups |= {images[place[first.support[0]]]: "tile", images[place[first.query[0]]]: "tile"}
    path = write_episodes(replace(episodes, groups=groups), tmp_path)
    with pytest.raises(EpisodeError, match="group tile is in support and query"):
        read_episodes(path, catalog)


def test_labels_that_changed_since_are_noticed(catalog, catalog_of, tmp_path):
    path = write_episodes(sample_episodes(catalog, "p", 2), tmp_path)
    relabeled = catalog_of([(s, ["dent" if s == "p/test/stain0" else c for c in own]) for s, own in IMAGES],
                            layout="{product}/{split}/**")  # fmt: skip
    with pytest.raises(EpisodeError, match="have changed since"):
        read_episodes(path, relabeled)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"a": 1}'])
def test_a_damaged_or_foreign_file_is_one_line(catalog, tmp_path, content):
    path = tmp_path / "p-1shot.json"
    path.write_bytes(content)
    with pytest.raises(FlawshotError, match="sample the episodes again") as caught:
        read_episodes(path, catalog)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "", 'a"b'])
def test_a_products_name_cannot_leave_the_folder(catalog, tmp_path, name):
    episodes = replace(sample_episodes(catalog, "p", 1), product=name)
    with pytest.raises(EpisodeError, match="cannot be part of a file name"):
        write_episodes(episodes, tmp_path / "out")


def test_files_are_found_by_file_folder_or_parent(catalog, tmp_path):
    for shots in (1, 2, 3):
        write_episodes(sample_episodes(catalog, "p", shots), tmp_path)
    names = ["p-1shot.json", "p-2shot.json", "p-3shot.json"]
    assert [path.name for path in find_episode_files(tmp_path)] == names
    assert [path.name for path in find_episode_files(tmp_path / "disjoint")] == names
    assert find_episode_files(tmp_path / "disjoint/p-1shot.json") == [tmp_path / "disjoint/p-1shot.json"]
    write_episodes(sample_episodes(catalog, "p", 1, protocol="mvrec"), tmp_path)
    with pytest.raises(EpisodeError, match="several protocols"):
        find_episode_files(tmp_path)
    with pytest.raises(EpisodeError, match="does not exist"):
        find_episode_files(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EpisodeError, match="contains no episode file"):
        find_episode_files(tmp_path / "empty")


def test_the_fingerprint_is_a_hash_of_the_sorted_id_and_category_pairs(catalog):
    pairs = sorted([identifier, category] for identifier, category in
                   zip(catalog.column("id"), catalog.column("category"), strict=True))  # fmt: skip
    expected = hashlib.sha256(json.dumps(pairs, ensure_ascii=False).encode()).hexdigest()
    assert sample_episodes(catalog, "p", 1).fingerprint == expected


UNLIKE_ITS_RULE = [
    pytest.param("mvrec", lambda d: d["episodes"][0]["support"].reverse(), "is not what seed 0 draws", id="order"),
    pytest.param("mvrec", lambda d: d["episodes"][0].update(seed=77), "is not what seed 77 draws", id="another seed"),
    pytest.param(
        "disjoint",
        lambda d: d["parameters"].update(split="ignored"),
        r"parameters\.split: is 'kept'",
        id="split denied",
    ),
    pytest.param("disjoint", lambda d: d["parameters"].clear(), r"parameters\.split: is 'kept'", id="no parameters"),
    pytest.param(
        "disjoint",
        lambda d: d["episodes"][0]["support"].__setitem__(0, d["query"].pop(0)),
        "in no split that support is drawn from",
        id="support from test",
    ),
]


@pytest.mark.parametrize(("protocol", "change", "message"), UNLIKE_ITS_RULE)
def test_a_draw_that_its_protocol_would_not_make_is_refused(catalog, tmp_path, protocol, change, message):
    path = write_episodes(sample_episodes(catalog, "p", 2, protocol=protocol), tmp_path)
    edit(path, change)
    with pytest.raises(EpisodeError, match=message):
        read_episodes(path, catalog)


def test_taking_an_image_out_of_the_groups_hides_no_leak(catalog, tmp_path):
    groups = {image: image[-5:] for image in catalog.column("image")}
    episodes = sample_episodes(catalog, "p", 2, groups=groups)
    path = write_episodes(episodes, tmp_path)
    left = set(catalog.column("id")) - set(episodes.episodes[0].query) - set(episodes.episodes[0].support)
    held_back = min(identifier for identifier in left if "/test/" in identifier)

    def leak(document):
        document["episodes"][0]["query"].append(held_back)
        del document["groups"][held_back.replace(".json#0", ".png")]

    edit(path, leak)
    with pytest.raises(EpisodeError, match=r"groups: .* is missing, or"):
        read_episodes(path, catalog)


def test_several_sets_are_written_together_or_not_at_all(catalog, tmp_path):
    write_episodes(sample_episodes(catalog, "p", 2, seeds=[9]), tmp_path)
    sets = [sample_episodes(catalog, "p", shots) for shots in (1, 2)]
    with pytest.raises(EpisodeError, match=r"p-2shot\.json: exists with different content"):
        write_all(sets, tmp_path)
    assert not (tmp_path / "disjoint/p-1shot.json").exists()
    assert len(write_all(sets, tmp_path, overwrite=True)) == 2
