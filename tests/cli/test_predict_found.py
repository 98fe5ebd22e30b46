"""``flawshot predict`` on bare images with the regions of other programs, as a user runs it."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import flawshot
from commands import refuse, succeed


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Bare images, a model, and what four programs say of the images."""
    root = tmp_path_factory.mktemp("found")
    flawshot.draw_data_set(root / "parts", categories=2, images=8, side=96, surface="wood", workers=1, seed=5)
    shutil.copytree(root / "parts", root / "bare", ignore=shutil.ignore_patterns("*.json"))
    succeed("fit", root / "parts", "--out", root / "model", "--device", "cpu")
    catalog = flawshot.Catalog.open(root / "parts")
    boxes = []
    maps = {path.relative_to(root / "bare"): np.zeros((96, 96), np.float32) for path in (root / "bare").rglob("*.png")}
    for number, instance in enumerate(catalog):
        x0, y0, x1, y1 = instance.box
        boxes.append({"image_id": instance.image, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": 0.9 - 0.01 * number})
        covered = instance.region().full_mask(96, 96)
        maps[next(path for path in maps if path.as_posix() == instance.image)][covered] = number + 2
    (root / "boxes.json").write_text(json.dumps(boxes))
    for path, values in maps.items():
        target = root / "maps" / path.with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, values)
        for folder, picture in (("images", Image.open(root / "bare" / path)), ("masks", Image.fromarray(values > 0))):
            (root / "masked" / folder).mkdir(parents=True, exist_ok=True)
            picture.save(root / "masked" / folder / f"{path.stem}.png")
    return root


SOURCES = {
    "boxes": ("bare", ["--boxes", "boxes.json"]),
    "maps": ("bare", ["--maps", "maps", "--threshold", "1.5"]),
    "masks": ("masked", ["--masks", "images/{name} | masks/{name}"]),
    "whole": ("bare", ["--whole-image"]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_regions_of_other_programs_are_named(place, tmp_path, name, monkeypatch):
    monkeypatch.chdir(place)
    data, options = SOURCES[name]
    out = tmp_path / "out"
    told = succeed("predict", "model", data, "--out", out, "--device", "cpu", *options)
    catalog = flawshot.Catalog.open(place / "parts")
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    regions = [row for row in rows if row["id"]]
    assert {row["found"] for row in regions} == {"true"}
    images = {row["image"] for row in rows}
    assert len(images) == 8
    without = len(rows) - len(regions)
    assert f"out: 8 images, {without} without a region; {len(regions)} regions predicted, " in told.stdout
    if name == "whole":
        assert {(row["x0"], row["y0"], row["x1"], row["y1"]) for row in rows} == {("0", "0", "96", "96")}
    elif name == "boxes":
        assert len(regions) == len(catalog)
    assert all(bool(row["score"]) is (name in {"boxes", "maps"}) for row in regions)
    assert all(bool(row["image_score"]) is (name == "maps") for row in rows)
    written = sorted(path.name for path in out.rglob("*.json"))
    assert len(written) == 8
    again = refuse("predict", "model", data, "--out", out, "--device", "cpu", *options)
    assert "exists; name another folder" in again
    for command in (["review", out, "--print"], ["predict", "model", data, "--out", out, "--overwrite", *options]):
        succeed(*command)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param([], "or take each image as one region with --whole-image", id="none"),
        pytest.param(
            ["--whole-image", "--boxes", "b.json"], "--boxes and --whole-image: regions come from one", id="two"
        ),
        pytest.param(["--maps", "maps"], "--maps: needs --threshold T", id="no threshold"),
        pytest.param(["--coco", "x.json"], "--coco: needs --boxes", id="coco alone"),
        pytest.param(["--min-score", "1"], "--min-score: needs --boxes", id="score alone"),
        pytest.param(["--whole-image", "--min-area", "9"], "--min-area: is for masks and maps", id="area"),
        pytest.param(["--whole-image", "--threshold", "9"], "--threshold: is for masks and maps", id="threshold"),
        pytest.param(["--whole-image", "--as", "visa"], "--as: is for annotated data, and --whole-image", id="layout"),
        pytest.param(["--whole-image", "--product", "a"], "--product: is for annotated data", id="product"),
        pytest.param(["--masks", "images | masks"], "--masks 'images | masks': must be IMAGES | MASKS", id="pattern"),
        pytest.param(["--masks", "a/{name}|b/{name}", "--threshold", "0.5"], "must be a whole number", id="half"),
        pytest.param(["--boxes", "nowhere.json"], "nowhere.json: cannot be read", id="no file"),
        pytest.param(["--maps", "nowhere", "--threshold", "1"], "--maps nowhere: is not a folder", id="no maps"),
    ],
)
def test_a_mistake_is_one_line(place, tmp_path, options, message):
    done = refuse("predict", place / "model", place / "bare", "--out", tmp_path / "out", "--device", "cpu", *options)
    assert message in done


def test_annotated_regions_are_predicted_too_and_what_is_left_out_is_counted(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    boxes = [*json.loads((place / "boxes.json").read_text()), {"image_id": "gone.png", "bbox": [0, 0, 5, 5]}]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    told = succeed(
        "predict",
        "model",
        "parts",
        "--out",
        tmp_path / "out",
        "--boxes",
        tmp_path / "boxes.json",
        "--min-score",
        "0.88",
    )
    catalog = flawshot.Catalog.open(place / "parts")
    assert f" {len(catalog)} regions predicted" in told.stdout  # the found ones are the annotated ones
    assert "there is no image 'gone.png'; 1 region is left out" in told.stderr
    assert "regions with a score under 0.88 are left out" in told.stderr


def test_a_detector_that_found_nothing_is_no_mistake(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    (tmp_path / "boxes.json").write_text("[]")
    (tmp_path / "labels").mkdir()
    for number, boxes in enumerate(("boxes.json", "labels")):
        out = tmp_path / f"out{number}"
        told = succeed("predict", "model", "bare", "--out", out, "--device", "cpu", "--boxes", tmp_path / boxes)
        assert "8 images, 8 without a region; 0 regions predicted" in told.stdout


def test_what_is_left_out_is_told_apart_from_what_shows_no_flaw_and_all_of_it_is_listed(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place / "bare", "bare")
    bare = tmp_path / "bare"
    image, bad, *_ = sorted(path.relative_to(bare).as_posix() for path in bare.rglob("*.png"))
    (bare / bad).write_bytes(b"no")
    boxes = [{"image_id": each, "bbox": [900, 900, 5, 5]} for each in [image] * 9]
    boxes += [{"image_id": f"gone-{number}.png", "bbox": [0, 0, 5, 5]} for number in range(5)]
    boxes += json.loads((place / "boxes.json").read_text())[-1:]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    told = succeed("predict", place / "model", "bare", "--out", "out", "--device", "cpu", "--boxes", "boxes.json")
    assert "out: 8 images, 5 without a region, 2 images left out; 1 region predicted" in told.stdout
    with (tmp_path / "out/predictions.csv").open(encoding="utf-8", newline="") as opened:
        rows = {row["image"]: row["left_out"] for row in csv.DictReader(opened)}
    assert "covers no pixel of the image" in rows.pop(image)
    assert "the image cannot be decoded" in rows.pop(bad)
    assert set(rows.values()) == {""}
    assert len(rows) == 6
    assert "and 6 more of this kind (region); out/problems.txt lists all" in told.stderr
    assert "and 2 more of this kind (missing-image); out/problems.txt lists all" in told.stderr
    lines = (tmp_path / "out/problems.txt").read_text(encoding="utf-8").splitlines()
    assert sum("covers no pixel of the image" in line for line in lines) == 9
    assert sum("there is no image 'gone-" in line for line in lines) == 5
    succeed("predict", place / "model", "bare", "--out", "out", "--overwrite", "--boxes", "boxes.json")
