"""Reports as a user asks for them: what is wrong with ``--data`` is said in one line, before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import shell as run
from flawshot import Catalog, sample_episodes, write_episodes
from helpers import box_shape

LABELS = ("dent", "stain")


def one_line(done):
    assert done.returncode == 2, (done.returncode, done.stderr)
    (line,) = done.stderr.splitlines()
    assert line.startswith("flawshot: ")
    return line


@pytest.fixture
def place(write_annotations, bank_of, tmp_path):
    """A data set with pictures, its bank and episodes."""
    files = {f"p/{label}{n}.json": [box_shape(label, at=(30, 30))] for label in LABELS for n in range(5)}
    data = write_annotations(files)
    for name in files:
        Image.fromarray(np.full((100, 120, 3), 120, dtype=np.uint8)).save((data / name).with_suffix(".png"))
    catalog = Catalog.open(data, layout="{product}/**")
    bank_of(catalog)
    write_episodes(sample_episodes(catalog, "p", 1, seeds=range(2)), tmp_path / "episodes")
    return tmp_path


def arguments(place, *more):
    return (
        "evaluate",
        place / "bank",
        place / "episodes",
        "--classifiers",
        "knn",
        "--json",
        place / "r.json",
        *more,
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.exists, "neither a folder"),
        (Path.mkdir, "contains no usable defect instance"),
        (lambda path: path.write_text("hello"), "neither a folder"),
    ],
    ids=["not there", "an empty folder", "a text file"],
)
def test_data_that_cannot_be_read_stops_the_evaluation_before_it_begins(place, make, said):
    wrong = place / "wrong"
    make(wrong)
    line = one_line(run(*arguments(place, "--report", place / "r.html", "--data", wrong)))
    assert str(wrong) in line
    assert said in line
    assert not (place / "r.json").exists()


def test_another_data_set_is_refused_before_and_after(place, write_annotations):
    other = write_annotations({"q/a.json": [box_shape("dent")]}, root=place / "other")
    line = one_line(run(*arguments(place, "--report", place / "r.html", "--data", other)))
    assert "contains none of the evaluated instances, such as p/dent0.json#0" in line
    assert not (place / "r.json").exists()
    assert run(*arguments(place)).returncode == 0
    assert "contains none" in one_line(run("report", place / "r.json", "--out", place / "r.html", "--data", other))
    assert not (place / "r.html").exists()


def test_data_without_a_page_to_show_it_is_refused(place):
    assert "--report" in one_line(run(*arguments(place, "--data", place / "data")))
    assert run(*arguments(place)).returncode == 0
    line = one_line(run("report", place / "r.json", "--csv", place / "r.csv", "--data", place / "data"))
    assert "--out" in line


def test_pictures_reach_the_page(place):
    done = run(*arguments(place, "--report", place / "r.html", "--data", place / "data"))
    assert done.returncode == 0, done.stderr
    text = (place / "r.html").read_text(encoding="utf-8")
    assert text.count("UklGR") == 10  # what WebP files begin with, in base64
    assert "No images were available" not in text
    provenance = json.loads((place / "r.json").read_text())["provenance"]
    assert provenance["command"].startswith("flawshot evaluate ")
    assert provenance["seconds"] > 0
    assert provenance["data"]["products"] == {"p": {"instances": 10, "images": 10}}
    assert provenance["sampling"]["p"]["grouped"] is False
    assert {"python", "numpy", "scikit-learn"} <= set(provenance["versions"])


def test_pictures_that_are_gone_are_said(place):
    for picture in (place / "data").rglob("*.png"):
        picture.unlink()
    done = run(*arguments(place, "--report", place / "r.html", "--data", place / "data"))
    assert done.returncode == 0
    assert "missing" in done.stderr
    assert "No images were available" in (place / "r.html").read_text(encoding="utf-8")


def test_a_file_named_twice_is_refused_before_anything_is_written(place):
    """With --overwrite the page would take the place of the results that were just written, or of those it is of."""
    done = run(
        *("evaluate", place / "bank", place / "episodes", "--classifiers", "knn"),
        *("--json", place / "both", "--report", place / "both", "--overwrite"),
    )
    assert "both: is named twice" in one_line(done)
    assert not (place / "both").exists()
    done = run("evaluate", place / "bank", place / "episodes", "--classifiers", "knn", "--json", place / "r.json")
    assert done.returncode == 0, done.stderr
    before = (place / "r.json").read_bytes()
    for out in (place / "r.json", place / "." / "r.json"):
        assert "r.json: is named twice" in one_line(run("report", place / "r.json", "--out", out, "--overwrite"))
    assert (place / "r.json").read_bytes() == before


def test_a_folder_in_the_place_of_a_file_is_said_before_the_work(place):
    (place / "folder").mkdir()
    done = run(
        *("evaluate", place / "bank", place / "episodes", "--classifiers", "knn"),
        *("--report", place / "folder", "--overwrite"),
    )
    assert "folder: is a folder; name a file" in one_line(done)
