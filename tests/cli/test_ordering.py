"""``flawshot fit --order`` and what ``flawshot predict`` says of data unlike the examples, as a shell gets it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil

import pytest

import flawshot
from commands import refuse, shell, succeed
from drifting import drifting_bank


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=24, side=96, surface="wood", workers=1, seed=5)
    return place


@pytest.fixture
def changing(catalog_of, bank_of, tmp_path):
    """A bank of a line that changes."""
    steady = bank_of(catalog_of([(f"{n:02}", [["dent", "hole"][n % 2]] * 2) for n in range(40)]), "steady", spread=0.8)
    return drifting_bank(steady, tmp_path / "changing").path


@pytest.fixture
def table(changing, tmp_path):
    place = tmp_path / "shots.csv"
    images = sorted(set(flawshot.FeatureBank.open(changing).catalog.column("image")))
    with place.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["image", "order", "shift"])
        writer.writerows([image, number, "early" if number < 20 else "late"] for number, image in enumerate(images))
    return place


def fit(data, tmp_path, *options):
    said = shell("fit", data, "--out", tmp_path / "model", "--device", "cpu", *options)
    assert said.returncode in {0, None}, said.stderr
    return said


def test_fit_says_that_later_images_are_unlike_earlier_ones(changing, table, tmp_path):
    said = fit(changing, tmp_path, "--order", table, "--classifier", "knn")
    assert "In order of table, 5 blocks of images, each predicted by fits to earlier ones" in said.stdout
    verdict = re.search(
        r"^Later images are unlike earlier ones: in order (\d+\.\d)% are right, in random order "
        r"(\d+\.\d)% \(p = 0\.025\); of new images, expect the former",
        said.stdout,
        re.MULTILINE,
    )
    found = flawshot.load_model(tmp_path / "model").record.history[-1].in_order
    assert verdict.groups() == (f"{100 * found.right.mean:.1f}", f"{100 * found.random:.1f}")
    assert found.by == "table"


def test_an_order_without_a_trend_is_said_calmly(drawn, tmp_path):
    said = fit(drawn, tmp_path, "--order", "name")
    assert re.search(
        r"^In order \d+\.\d% are right, in random order \d+\.\d%: not clearly fewer \(p = ", said.stdout, re.MULTILINE
    )
    assert "called unknown, at most 10% promised" in said.stdout


def test_times_of_files_are_said_to_be_used(drawn, tmp_path):
    place = shutil.copytree(drawn, tmp_path / "parts")
    for number, path in enumerate(sorted(place.rglob("*.png"))):
        os.utime(path, (10**9 - number, 10**9 - number))
    said = fit(place, tmp_path, "--order", "time")
    assert "no image says when it was taken; the times at which the files were last changed are used" in said.stderr
    assert "In order of modification time, 5 blocks" in said.stdout


def test_a_bank_has_names_but_no_times(drawn, tmp_path):
    succeed("encode", drawn, "--out", tmp_path / "bank", "--device", "cpu")
    fit(tmp_path / "bank", tmp_path, "--order", "name")
    assert flawshot.load_model(tmp_path / "model").record.history[-1].in_order.by == "name"
    said = refuse("fit", tmp_path / "bank", "--out", tmp_path / "m", "--order", "time")
    assert said == (
        f"--order time: needs the images, and {tmp_path}/bank is a feature bank; give DATA, or a table with columns "
        "image,order"
    )


def test_another_column_of_a_table_with_few_ranks_has_as_many_blocks(changing, table, tmp_path):
    said = fit(changing, tmp_path, "--order", f"{table}:shift")
    assert "In order of table, 2 blocks of images" in said.stdout


def test_too_few_images_are_said(drawn, tmp_path):
    place = tmp_path / "few"
    place.mkdir()
    for path in sorted((drawn / "wood").iterdir())[:16]:
        shutil.copy(path, place)
    said = fit(place, tmp_path, "--order", "name")
    assert "in order of name, nothing can be estimated: it takes 10 images or more" in said.stderr


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("nothing", "--order nothing: must be name, time, or a table with columns image,order"),
        ("gone.csv", "gone.csv: cannot be read"),
    ],
)
def test_a_wrong_order_is_refused_before_anything_is_encoded(drawn, tmp_path, order, said):
    assert said in refuse("fit", drawn, "--out", tmp_path / "model", "--order", order)
    assert list(tmp_path.iterdir()) == []


def test_predict_says_in_one_line_that_data_is_unlike_the_examples(drawn, tmp_path):
    fit(drawn, tmp_path)
    flawshot.draw_data_set(tmp_path / "new", categories=2, images=20, side=96, surface="leather", workers=1, seed=6)
    out = tmp_path / "out"
    said = shell("predict", tmp_path / "model", tmp_path / "new", "--out", out, "--device", "cpu")
    summary = json.loads((out / "summary.jsonl").read_text(encoding="utf-8"))
    share = f"{summary['unknown'] / summary['regions']:.0%}"
    last = said.stdout.splitlines()[-1]
    assert last.startswith(f"{share} of regions are unknown where 10% were expected (p ")
    assert last.endswith("20 images): this data is unlike the examples")
    again = shell("predict", tmp_path / "model", drawn, "--out", tmp_path / "own", "--device", "cpu")
    assert "unlike the examples" not in again.stdout


def test_learn_says_that_it_does_not_estimate_in_order_again(drawn, tmp_path):
    fit(drawn, tmp_path, "--order", "name")
    flawshot.draw_data_set(tmp_path / "new", categories=2, images=4, side=96, surface="wood", workers=1, seed=9)
    succeed("predict", tmp_path / "model", tmp_path / "new", "--out", tmp_path / "out", "--device", "cpu")
    said = succeed("learn", tmp_path / "model", tmp_path / "out", "--accept-all", "--device", "cpu")
    assert "what fit estimated in order is not estimated again with the new examples" in said.stderr
    first, second = flawshot.load_model(tmp_path / "model").record.history
    assert first.in_order is not None
    assert second.in_order is None
    assert len(flawshot.load_model(tmp_path / "model").record.left_out_novelty) == first.added + second.added
