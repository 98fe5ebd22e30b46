"""``flawshot evaluate-find``, as a user runs it."""

from __future__ import annotations

import json

import pytest

from color_finder import write_labelme, write_tree
from commands import refuse, succeed


@pytest.fixture(scope="module", autouse=True)
def _small():
    """To save time, images are searched at 192 px, not at 512."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flawshot.locating.dense.LONG_SIDE", 192)
        yield


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"), products=("bolt", "nut"))


def test_the_published_task_prints_heat_map_scores(tree):
    said = succeed("evaluate-find", tree, "--task", "published", "--device", "cpu", "--json", "-")
    document = json.loads(said.stdout)
    assert document["format"] == "flawshot-finding-results"
    assert [(run["product"], run["shots"], run["good_shots"]) for run in document["runs"]] == [
        ("bolt", 0, "all"),
        ("nut", 0, "all"),
    ]
    assert document["means"][0]["scores"]["image_auroc"]["mean"] == 1.0
    assert document["provenance"]["data"]["bolt"]["good"] == 7
    said = succeed("evaluate-find", tree, "--task", "published", "--good-shots", "1,2", "--seeds", 2, "--device", "cpu")
    for text in ("Heat maps, % [95 % interval]", "image AUROC", "PRO", "mean of 2", "6+3, 6*", "* fewer than 10"):
        assert text in said.stdout
    assert "Found and named" not in said.stdout


def test_names_are_scored_with_found_and_with_given_regions(tree, tmp_path):
    out = tmp_path / "results.json"
    options = ("--shots", "1", "--good-shots", "2", "--seeds", 2, "--device", "cpu", "--product", "nut")
    said = succeed("evaluate-find", tree, *options, "--json", out)
    for text in (
        "found and named",
        "regions given",
        "price of automatic regions",
        "rust (n=2*)",
        "good images alarmed",
    ):
        assert text in said.stdout, said.stdout
    (run,) = json.loads(out.read_text())["runs"]
    assert {"found_and_named", "named_given_regions", "found", "false_regions_per_good_image"} <= set(run["scores"])
    assert f"{out}: exists; name another file" in refuse("evaluate-find", tree, *options, "--json", out)


def test_labelme_files_with_a_folder_of_good_images_and_groups(tmp_path):
    root = write_labelme(tmp_path)
    options = ("--good", root / "good", "--shots", "1", "--good-shots", "0,2", "--seeds", 3, "--device", "cpu")
    said = succeed("evaluate-find", root / "data", *options, "--group", r"-(\d)", "--json", "-")
    none, two = json.loads(said.stdout)["runs"]
    assert json.loads(said.stdout)["provenance"]["grouped"] is True
    assert (none["good_images"], two["good_images"]) == (0, 2)
    # Four parts have flaws on two images; one or two of them are support, and as many good images are no queries.
    assert none["n_images"] <= 8
    assert two["n_good"] <= 6
    assert two["scores"]["found"]["mean"] == 1.0
    assert "does not match" in refuse("evaluate-find", root / "data", *options, "--group", r"rust-(\d)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--task", "published", "--shots", "1"), "--shots: is for --task few-shot"),
        (("--good-shots", "some"), "--good-shots some: must be whole numbers, such as 0,1,4 or all"),
        (("--shots", "-1"), "--shots -1: must be whole numbers, such as 0,1,4"),
        (("--good", "."), "--good .: is for Labelme files"),
        (("--shots", "9"), "products: none has enough instances and images"),
        (("--shots", "9", "--product", "nut"), "nut: category 'rust' has 3 instances"),
        (("--product", "screw"), "--product screw: is not in the data, which has bolt, nut"),
        (("--classifier", "zero-shot"), "--classifier zero-shot: needs text features"),
    ],
)
def test_mistakes_are_named(tree, options, message):
    assert message in refuse("evaluate-find", tree, *options)
