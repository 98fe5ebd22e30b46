"""``flawshot suggest``, as a user types it, and the loop that it is part of."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

import flawshot
from commands import refuse, shell, succeed


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model of some drawn images, and all of them without labels."""
    place = tmp_path_factory.mktemp("base")
    flawshot.draw_data_set(place / "parts", categories=3, images=20, side=96, surface="wood", workers=1, seed=7)
    (place / "few/wood").mkdir(parents=True)
    for path in sorted((place / "parts/wood").iterdir())[:16]:
        shutil.copy(path, place / "few/wood")
    for path in (place / "parts").rglob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            shape["label"] = ""
        path.write_text(json.dumps(document), encoding="utf-8")
    succeed("fit", place / "few", "-o", place / "model", "--device", "cpu")
    return place


@pytest.fixture
def here(base, tmp_path):
    return shutil.copytree(base, tmp_path / "here")


def rows_of(out):
    with (out / "suggestions.csv").open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_suggest_review_and_learn(here):
    before = {path: path.read_bytes() for path in (here / "parts").rglob("*") if path.is_file()}
    done = shell("suggest", "model", "parts", "-o", "next", "--count", 5, "--device", "cpu", cwd=here)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in before} == before
    rows = rows_of(here / "next")
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    for row in rows:
        assert any(row["image"] in line and row["predicted"] in line for line in done.stdout.splitlines())
    assert done.stdout.splitlines()[-1].startswith("next: 5 regions suggested of ")
    assert done.stdout.endswith("; flawshot review next\n")
    assert "examples of the model already, and are not suggested" in done.stderr

    shown = shell("review", "next", "--print", cwd=here).stdout.splitlines()
    assert [line.split()[-1] for line in shown[:-1]] == [row["image"].replace(".png", ".json") for row in rows]
    assert [line.split(":")[0] for line in shown[:-1]] == [f"suggested {number}" for number in range(1, 6)]

    for row in rows[:2]:
        path = here / "next" / row["image"].replace(".png", ".json")
        document = json.loads(path.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            if shape["flags"].get("suggested"):
                shape["flags"]["predicted"] = False
        path.write_text(json.dumps(document), encoding="utf-8")
    learned = shell("learn", "model", "next", "--device", "cpu", cwd=here)
    assert learned.returncode == 0, learned.stderr
    assert "2 regions learned" in learned.stdout
    again = shell("suggest", "model", "parts", "-o", "more", "--count", 100, "--device", "cpu", cwd=here)
    assert again.returncode == 0, again.stderr
    assert not {row["id"] for row in rows[:2]} & {row["id"] for row in rows_of(here / "more")}
    assert "there are no more: each comes from another image" in again.stderr


def test_groups_strategies_and_seeds(here):
    options = ("--device", "cpu", "--bank", here / "bank")
    succeed("suggest", here / "model", here / "parts", "-o", here / "a", "--group", r"(\d)\.png", *options)
    assert len({row["image"][-5] for row in rows_of(here / "a")}) == len(rows_of(here / "a"))
    for name, seed in (("b", 0), ("c", 0), ("d", 1)):
        succeed(
            "suggest", here / "model", here / "parts", "-o", here / name, "--by", "random", "--seed", seed, *options
        )
    b, c, d = ([row["id"] for row in rows_of(here / name)] for name in "bcd")
    assert b == c != d


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--count", 0], "--count 0: must be at least 1"),
        (["--by", "luck"], "--by luck: is no strategy; choose one of random, doubt, k-center, typicality, mixture"),
    ],
)
def test_a_mistake_is_one_line(here, options, said):
    assert refuse("suggest", here / "model", here / "parts", "-o", here / "next", *options) == said
    assert not (here / "next").exists()


def test_nothing_is_written_over(here):
    (here / "next").mkdir()
    (here / "next/mine.txt").touch()
    said = refuse("suggest", here / "model", here / "parts", "-o", here / "next")
    assert "exists; name another folder, move it away, or add --overwrite" in said
    said = refuse("suggest", here / "model", here / "parts", "-o", here / "next", "--overwrite")
    assert "is not a folder of predictions; move it away" in said


def test_of_what_another_program_found(here):
    lines = ["image,x0,y0,x1,y1"]
    for path in sorted((here / "parts").rglob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            xs, ys = zip(*shape["points"], strict=True)
            lines.append(f"wood/{path.stem}.png,{min(xs)},{min(ys)},{max(xs) + 1},{max(ys) + 1}")
        path.unlink()
    (here / "boxes.csv").write_text("\n".join(lines), encoding="utf-8")
    done = shell(
        "suggest", "model", "parts", "-o", "next", "--count", 4, "--boxes", "boxes.csv", "--device", "cpu", cwd=here
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []
    rows = rows_of(here / "next")
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert len({row["image"] for row in rows}) == 4
    shown = shell("review", "next", "--print", cwd=here).stdout.splitlines()
    assert [line.split()[-1] for line in shown[:-1]] == [row["image"].replace(".png", ".json") for row in rows]
    path = here / "next" / rows[0]["image"].replace(".png", ".json")
    document = json.loads(path.read_text(encoding="utf-8"))
    (chosen,) = [shape for shape in document["shapes"] if shape["flags"].get("suggested")]
    assert chosen["flags"]["found"] is True
    chosen["label"] = "new"
    path.write_text(json.dumps(document), encoding="utf-8")
    learned = shell("learn", "model", "next", "--device", "cpu", cwd=here)
    assert learned.returncode == 0, learned.stderr
    assert "1 corrected" in learned.stdout


def test_bare_images_without_a_source_are_refused(here):
    for path in (here / "parts").rglob("*.json"):
        path.unlink()
    said = refuse("suggest", here / "model", here / "parts", "-o", here / "next")
    assert "no Labelme files, and no masks in a known layout: find regions with --find" in said
    said = refuse("suggest", here / "model", here / "parts", "-o", here / "next", "--find", "--device", "cpu")
    assert "has no locator; fit the model again with --find" in said
