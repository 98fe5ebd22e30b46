"""``flawshot relabel``, as a user types it."""

from __future__ import annotations

import pytest

import flawshot
from commands import refuse, succeed
from helpers import box_shape


@pytest.fixture
def data(write_annotations):
    return write_annotations(
        {
            "bolt/0.json": [box_shape("scratch"), box_shape("smudge", (40, 40))],
            "bolt/1.json": [box_shape("dent"), box_shape("bulge", (40, 40)), box_shape("a=b,c", (70, 70))],
        }
    )


def test_labels_are_renamed_merged_and_dropped(data, tmp_path):
    done = succeed(
        "relabel", data, "--out", tmp_path / "new", "--rename", "scratch=scrape", "--merge", "dent,bulge=bump",
        "--drop", "smudge", "--rename", "a=b,c=plain",
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()]
    for row in ("scratch scrape 1", "dent bump 1", "bulge bump 1", "smudge (dropped) 1"):
        assert row.split() in lines
    assert f"{tmp_path / 'new'}: 2 Labelme files with 4 shapes, 2 of them changed; 0 images" in done.stdout
    assert "missing-image" not in done.stdout
    labels = flawshot.Catalog.open(tmp_path / "new").column("category")
    assert sorted(labels) == ["bump", "bump", "plain", "scrape"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "nothing to change: name labels with --rename, --merge or --drop"),
        (["--rename", "scratch"], "--rename scratch: must be OLD=NEW"),
        (["--merge", "dent,=x"], "--merge 'dent,=x': must be A,B=C"),
        (["--merge", "dent,bulge=x", "--merge", "dent=y"], "--merge 'dent=y': 'dent' is given twice"),
        (["--rename", "scratch=dent"], "--rename scratch: 'dent' is a label already (1); use --merge"),
        (["--drop", "scrach"], "no shape has the label 'scrach'; the nearest is 'scratch' (1)"),
        (["--drop", "dent", "--images", "nowhere"], "--images nowhere: is not a folder"),
    ],
)
def test_a_mistake_is_one_line(data, tmp_path, options, said):
    assert said in refuse("relabel", data, "--out", tmp_path / "new", *options)
    assert not (tmp_path / "new").exists()
