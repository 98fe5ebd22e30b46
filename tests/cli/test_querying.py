"""``flawshot query``, ``stats`` with sizes and plot, and ``sample --protocol episodic``, as a user runs them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from commands import shell
from flawshot import Catalog
from helpers import box_shape


def succeed(*arguments, **options):
    done = shell(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done


def refuse(*arguments, **options):
    done = shell(*arguments, **options)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("flawshot: ")]
    return line


@pytest.fixture
def data(write_annotations):
    """Labels that mean something to a terminal, a shell, a path or a plot, with images."""
    labels = ["dent", "[b]old", "../../x", "$x^2$", "'; drop"]
    root = write_annotations({
        f"bolt/{split}/{n}{m}.json": [box_shape(label, size=5 + 3 * n, flags={"sure": n == 1})]
        for split in ("train", "test")
        for n, label in enumerate(labels)
        for m in range(4)
    })  # fmt: skip
    for path in root.rglob("*.json"):
        Image.fromarray(np.full((100, 120), 90, np.uint8)).save(path.with_suffix(".png"))
    return root


def test_query_shows_rows_and_writes_json_and_crops(data, tmp_path):
    done = succeed("query", data, "area > 100 and split = 'test'")
    for word in ("bolt/test/20.json#0", "../../x", "$x^2$", "10 10 22 22", "144", "12 of 40 instances"):
        assert word in done.stdout, word
    assert "[b]old" in succeed("query", data, "category = '[b]old'").stdout
    assert succeed("query", data, "area < 0").stdout.strip() == "0 of 40 instances"
    assert (
        "8 of 40 instances, of which the first 3 are used" in succeed("query", data, "area = 36", "--limit", 3).stdout
    )

    rows = json.loads(succeed("query", data, "category = '../../x' and split = 'train'", "--json", "-").stdout)
    assert [row["id"] for row in rows] == [f"bolt/train/2{m}.json#0" for m in range(4)]
    assert (rows[0]["width"], rows[0]["height"], rows[0]["flags"]) == (12, 12, {"sure": False})
    assert "geometry" not in rows[0]

    crops = tmp_path / "crops"
    succeed("query", data, "category = '../../x'", "--crops", crops, "--limit", 2, "--json", tmp_path / "r.json")
    with (crops / "crops.csv").open(newline="") as opened:
        listed = list(csv.DictReader(opened))
    assert [row["id"] for row in listed] == [row["id"] for row in json.loads((tmp_path / "r.json").read_text())]
    for row in listed:
        assert (crops / row["crop"]).resolve().is_relative_to(crops.resolve())
        with Image.open(crops / row["crop"]) as crop:
            assert crop.size == (12, 12)
    assert "exists" in refuse("query", data, "area > 0", "--json", tmp_path / "r.json")


def test_query_of_a_parquet_catalog_is_the_same(data, tmp_path):
    succeed("stats", data, "--catalog", data / "c.parquet")
    for where in ("area > 100", "len(geometry) = 1 and width > 10", "flags->>'sure' = 'true'"):
        expected = succeed("query", data, where, "--json", "-").stdout
        assert json.loads(expected)
        assert succeed("query", data / "c.parquet", where, "--json", "-").stdout == expected
    assert "2 crops" in succeed("query", data / "c.parquet", "area > 0", "--limit", 2, "--crops", tmp_path / "c").stderr


def test_a_long_table_is_cut_and_says_so(write_annotations):
    root = write_annotations({f"{n}.json": [box_shape()] for n in range(60)})
    done = succeed("query", root, "true")
    assert "… and 10 more" in done.stdout
    assert "… and" not in succeed("query", root, "true", "--limit", 60).stdout


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("'; drop table instances; --", "cannot be read"),
        ("exists (from read_csv('/etc/passwd'))", "a subquery is not allowed"),
        ("install httpfs", "cannot be read"),
        ("../../x", "cannot be read"),
        ("sise > 5", "there is no column sise; the columns are id, product, split"),
        ("category > 5", "Cannot compare values of type VARCHAR"),
        ("[b]old[/b] = 1", ""),
        ("\x1b[31m = 1", ""),
    ],
)
def test_a_wrong_condition_is_one_line_and_status_2(data, where, message):
    line = refuse("query", data, where)
    assert message in line
    assert line.isprintable()
    assert len(line) < 600


def test_stats_has_sizes_and_draws(data, tmp_path):
    done = succeed("stats", data, "--plot", tmp_path / "p.svg", "--json", tmp_path / "s.json")
    assert "Sizes: min, 25 %, median, 75 %, max" in done.stdout
    assert "36 81 144 225 324" in done.stdout
    rows = json.loads((tmp_path / "s.json").read_text())
    dent = next(row for row in rows if (row["split"], row["category"]) == ("test", "dent"))
    assert (dent["images"], dent["instances"]) == (4, 4)
    assert dent["sizes"]["area"] == {"min": 36, "q25": 36, "median": 36, "q75": 36, "max": 36}
    assert dent["sizes"]["instances_an_image"] == {"mean": 1, "max": 1}
    total = next(row for row in rows if (row["split"], row["category"]) == ("test", None))
    assert total["product_sizes"]["width"]["median"] == 12
    assert "$x^2$</text>" in (tmp_path / "p.svg").read_text()
    assert "must end in .svg, .png, .pdf" in refuse("stats", data, "--plot", tmp_path / "p.gif")
    assert "exists" in refuse("stats", data, "--plot", tmp_path / "s.json.png", "--json", tmp_path / "p.svg")


def test_random_tasks_are_sampled_and_scored(data, bank_of, tmp_path):
    bank_of(Catalog.open(data))
    task = ("--protocol", "episodic", "--shots", 1, "--ways", 3, "--queries", 4)
    done = succeed("sample", data, "--out", tmp_path / "e", *task, "--episodes", 20)
    assert "1 file (1 product x 1 K), 20 episodes each" in done.stdout
    assert len((tmp_path / "e/episodic/bolt-1shot.jsonl").read_text().splitlines()) == 21
    done = succeed("evaluate", tmp_path / "bank", tmp_path / "e", "--classifiers", "knn", "--json", tmp_path / "r.json")
    assert "chance 33.3;" in done.stdout
    provenance = json.loads((tmp_path / "r.json").read_text())["provenance"]
    assert provenance["protocols"] == ["episodic"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocol", "episodic", "--shots", "1"], "categories with fewer than the 16 instances that a task needs"),
        (["--protocol", "episodic", "--ways", "6"], "no product has 6 categories"),
        (["--protocol", "episodic", "--ways", "6", "--product", "bolt"], "has 5 categories, fewer than --ways 6"),
        (["--protocol", "episodic", "--seeds", "3"], "--seeds: is not for --protocol episodic"),
        (["--protocol", "episodic", "--allow-short"], "--allow-short: is not for --protocol episodic"),
        (["--ways", "3"], "--ways: is for --protocol episodic only"),
        (["--seed", "0"], "--seed: is for --protocol episodic only"),
        (["--protocol", "mvrec", "--episodes", "9"], "--episodes: is for --protocol episodic only"),
    ],
)
def test_what_fits_no_task_is_one_line(data, tmp_path, options, message):
    assert message in refuse("sample", data, "--out", tmp_path / "e", *options)
    assert not (tmp_path / "e").exists()
