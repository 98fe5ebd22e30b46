"""``flawshot ask``, as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from commands import shell
from helpers import box_shape


@pytest.fixture
def data(write_annotations):
    root = write_annotations({
        "bolt/test/a.json": [box_shape("scratch", size=30), box_shape("[b]old", at=(60, 60), size=5)],
        "bolt/test/b.json": [box_shape("scratch", at=(50, 45), size=8)],
        "nut/train/c.json": [box_shape("dent", at=(0, 0), size=20)],
    })  # fmt: skip
    for path in root.rglob("*.json"):
        Image.fromarray(np.full((100, 120), 90, np.uint8)).save(path.with_suffix(".png"))
    return root


def test_it_prints_what_it_understood_and_lists(data):
    done = shell("ask", data, "scratches larger than 500 pixels in bolts")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        'understood: category is scratch ("scratches")',
        'understood: area more than 500 px ("larger than 500 pixels")',
        'understood: product is bolt ("bolts")',
        "condition: category = 'scratch' and area > 500 and product = 'bolt'",
    ]
    assert "bolt/test/a.json#0" in done.stdout
    assert lines[-1] == "1 of 4 instances, on 1 image"
    same = shell("query", data, lines[3].removeprefix("condition: "), "--json", "-")
    assert json.loads(same.stdout) == json.loads(
        shell("ask", data, "scratches larger than 500 pixels in bolts", "--json", "-").stdout
    )


def test_json_on_standard_output_is_json_and_the_rest_is_said(data):
    done = shell("ask", data, "dents", "--json", "-")
    assert [row["id"] for row in json.loads(done.stdout)] == ["nut/train/c.json#0"]
    assert "condition: category = 'dent'" in done.stderr


def test_what_is_not_understood_is_one_line_and_status_2_and_lists_nothing(data):
    done = shell("ask", data, "shiny scraches in bolts")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == (
        'flawshot: QUESTION \'shiny scraches in bolts\': not understood: "shiny", "scraches" (did you mean scratch?); '
        "rephrase it, or ignore these words with --anyway"
    )
    assert "bolt/test" not in done.stdout
    assert "condition: product = 'bolt'" in done.stdout
    done = shell("ask", data, "shiny scraches in bolts", "--anyway")
    assert done.returncode == 0
    assert "not understood, and ignored: shiny, scraches" in done.stderr
    assert done.stdout.endswith("3 of 4 instances, on 2 images\n")
    for text in ("hello", "", "the"):
        assert shell("ask", data, text, "--anyway").returncode == 2


def test_counts_order_limits_files_and_crops(data, tmp_path):
    done = shell("ask", data, "how many scratches are there?")
    assert done.stdout.splitlines()[-1] == "2 of 4 instances, on 2 images"
    assert "bolt/test/a.json#0" not in done.stdout
    done = shell("ask", data, "the 2 largest defects", "--json", tmp_path / "r.json", "--crops", tmp_path / "crops")
    assert done.returncode == 0, done.stderr
    assert 'understood: largest area first, of which only 2 ("2 largest")' in done.stdout
    assert [row["category"] for row in json.loads((tmp_path / "r.json").read_text())] == ["scratch", "dent"]
    assert "2 crops" in done.stderr
    done = shell("ask", data, "images with 2 defects", "--limit", 1)
    assert "on images with exactly 2 of: true" in done.stdout
    assert done.stdout.endswith("2 of 4 instances, on 1 image, of which the first 1 are used\n")
    assert "[b]old" in shell("ask", data, '"[b]old"').stdout


def test_a_catalog_and_one_product(data, tmp_path):
    assert shell("stats", data, "--catalog", data / "c.parquet").returncode == 0
    assert shell("ask", data / "c.parquet", "dents").stdout == shell("ask", data, "dents").stdout
    done = shell("ask", data, "dents", "--product", "bolt")
    assert done.returncode == 2
    assert '"dents"' in done.stderr
