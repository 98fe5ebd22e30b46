"""Which images ``flawshot fit --find --good`` and ``evaluate-find --good`` take for good, and what these show."""

from __future__ import annotations

import json
import shutil

import pytest

import flawshot
from commands import refuse, succeed

SIDE = 96


@pytest.fixture(scope="module", autouse=True)
def _small():
    """To save time, images are searched at a small size, and figures are not measured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flawshot.locating.dense.LONG_SIDE", 128)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("good")
    flawshot.draw_data_set(root / "set", categories=2, images=6, good=6, side=SIDE, surface="wood", workers=1, seed=3)
    return root / "set" / "wood"


@pytest.fixture
def here(drawn, tmp_path, monkeypatch):
    """Six annotated images in parts, and six good ones in parts/good; both are called 000.png and so on."""
    shutil.copytree(drawn, tmp_path / "parts")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fit(*options):
    return succeed("fit", "parts", "--out", "model", "--find", "--device", "cpu", "--overwrite", *options)


def locator(here):
    return flawshot.load_model(here / "model", device="cpu").record.locator


def test_images_of_another_product_that_are_annotated_are_not_good(here, drawn):
    """They are in the folder of good images, and the locator is fitted to a product beside it."""
    shutil.copytree(drawn, here / "two" / "a", ignore=shutil.ignore_patterns("good"))
    shutil.copytree(drawn, here / "two" / "b")
    said = succeed("fit", "two", "--product", "a", "--good", "two/b", "--out", "model", "--find", "--device", "cpu")
    assert "6 images have annotated flaws" in said.stderr
    assert "fitted to 6 labeled and 6 good images" in said.stdout


def test_images_whose_annotations_cannot_be_used_are_not_good(here, drawn):
    shutil.copytree(drawn, here / "mixed", ignore=shutil.ignore_patterns("good"))
    (here / "mixed/000.json").write_text("{")
    document = json.loads((here / "mixed/001.json").read_text())
    for shape in document["shapes"]:
        shape["points"] = []
    (here / "mixed/001.json").write_text(json.dumps(document))
    (here / "mixed/002.json").write_text(json.dumps(document | {"shapes": [], "imagePath": "002.png"}))
    (here / "mixed/003.json").unlink()
    said = fit("--good", "mixed")
    assert "3 images have annotated flaws" in said.stderr
    assert "000.png: its annotation cannot be read, so that it may show a flaw: 000.json" in said.stderr
    assert "fitted to 6 labeled and 2 good images" in said.stdout
    said = succeed(
        "evaluate-find", "parts", "--good", "mixed", "--shots", 1, "--good-shots", 1, "--seeds", 1, "--json", "-",
        "--device", "cpu",
    )  # fmt: skip
    (data,) = json.loads(said.stdout)["provenance"]["data"].values()
    assert data["good"] == 2
    assert "3 images have annotated flaws" in said.stderr


def test_an_image_given_twice_counts_once(here):
    shutil.copytree(here / "parts" / "good", here / "other" / "sub")
    said = fit("--good", "parts/good", "--good", here / "parts/good", "--good", "other/sub", "--good", "other")
    assert said.stderr.count("6 images are given twice, and count once") == 2
    record = locator(here)
    # The copies in the other folder have the same names, and are images of their own.
    assert (record.good, record.images, record.units) == (12, 12, 12)
    assert "from 12 good images" in said.stdout or "on 12 good images" in said.stdout


def groups(here, good, flawed=True):
    rows = ["image,group", *([f"{n:03}.png,flawed-{n}" for n in range(6)] if flawed else []), *good]
    (here / "groups.csv").write_text("\n".join(rows))
    return "--group", "groups.csv"


def test_a_table_names_good_images_by_their_paths_in_the_data(here):
    options = groups(here, [f"good/{n:03}.png,part-{n // 2}" for n in range(6)])
    said = fit("--good", "parts/good", *options)
    assert (
        "the highest peak on 3 groups of good images; about 25% of groups of good images will be alarmed" in said.stdout
    )
    record = locator(here)
    assert (record.images, record.units) == (6, 3)


def test_a_table_that_misses_a_good_image_is_refused(here):
    """Before, one missing row made every good image a part of its own."""
    options = groups(here, [f"good/{n:03}.png,part-{n // 2}" for n in range(5)])
    said = refuse("fit", "parts", "--out", "model", "--find", "--good", "parts/good", "--device", "cpu", *options)
    assert "groups.csv: image: good/005.png cannot be distinguished from others named 005.png" in said
    assert "add a row with its path and its group" in said
    assert not (here / "model").exists()


def test_good_images_outside_the_data_are_named_by_the_end_of_their_path(here):
    shutil.move(here / "parts" / "good", here / "sound")
    options = groups(here, [f"sound/{n:03}.png,part-{n // 3}" for n in range(6)])
    fit("--good", "sound", *options)
    assert (locator(here).images, locator(here).units) == (6, 2)
    said = refuse("fit", "parts", "--out", "other", "--find", "--good", "sound", "--device", "cpu", *groups(here, []))
    assert "../sound/000.png cannot be distinguished" in said


def test_a_regular_expression_reads_names_in_the_folder_and_then_paths_in_the_data(here):
    for path in sorted((here / "parts" / "good").iterdir()):
        path.rename(path.with_name(f"sound-{path.name}"))
    fit("--good", "parts/good", "--group", r"(\d\d)\d\.png$")
    assert locator(here).units == 1  # all of them show 00
    fit("--good", "parts/good", "--group", r"^\d+|^good/sound-\d+")
    assert locator(here).units == 6
    said = refuse("fit", "parts", "--out", "other", "--find", "--good", "parts/good", "--group", r"^\d+")
    assert "does not match good/sound-000.png; every image needs a group" in said
