"""``--images``: every command that reads Labelme files whose images are in another folder."""

from __future__ import annotations

import json
import shutil

import pytest

import flawshot
from commands import refuse, run, succeed
from flawshot.models.corrections import data_places
from flawshot.models.line_side.examples import images_root
from flawshot.models.prediction_folder import read_predictions


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Annotations in ``parts``, their images in ``elsewhere/shots``, and both together in ``beside``."""
    place = tmp_path_factory.mktemp("elsewhere")
    flawshot.draw_data_set(place / "beside", categories=2, images=16, side=64, surface="wood", workers=1, seed=5)
    for path in sorted((place / "beside").rglob("*.*")):
        if path.is_file():
            target = place / ("parts/wood" if path.suffix == ".json" else "elsewhere/shots") / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return place


@pytest.fixture(scope="module")
def images(base):
    return ["--images", base / "elsewhere"]


@pytest.fixture(scope="module")
def bank(base, images):
    succeed("encode", base / "parts", "--out", base / "bank", "--device", "cpu", *images)
    return base / "bank"


@pytest.fixture(scope="module")
def named(base, images):
    succeed("fit", base / "parts", "--out", base / "model", "--device", "cpu", *images)
    succeed("predict", base / "model", base / "parts", "--out", base / "named", "--device", "cpu", *images)
    return base / "named"


def test_features_are_those_of_images_beside(base, bank):
    succeed("encode", base / "beside", "--out", base / "bank-beside", "--device", "cpu")
    here, there = flawshot.FeatureBank.open(bank), flawshot.FeatureBank.open(base / "bank-beside")
    ids = list(here.catalog.row_of)
    assert (here.features(ids) == there.features(ids)).all()


def test_nothing_is_wrong_with_them(base, images):
    assert "0 findings" in succeed("check", base / "parts", *images, "--shots", 1).stdout
    assert "missing-image (16)" in run("check", base / "parts", "--shots", 1).output
    for command in (["stats"], ["query", "area > 0"]):
        name, *more = command
        told = succeed(name, base / "parts", *more, *images)
        assert "missing" not in told.stderr


def test_crops_and_exports_are_made(base, images, tmp_path):
    assert "contact sheets" in succeed("crops", base / "parts", "--out", tmp_path / "crops", *images).stdout
    succeed("query", base / "parts", "area > 0", "--crops", tmp_path / "hits", "--limit", 3, *images)
    assert len(list((tmp_path / "hits").rglob("*.png"))) == 6
    succeed("export", "masks", base / "parts", tmp_path / "masks", *images)
    succeed("check", base / "parts", "--same-sample", "--out", tmp_path / "same", *images)
    assert (tmp_path / "same/groups.csv").read_text(encoding="utf-8").count("shots/") == 16


def test_a_bank_needs_them_for_the_gallery_only(base, bank, images, tmp_path):
    succeed("sample", bank, "--out", tmp_path / "episodes", "--shots", 1, "--seeds", 1)
    told = ["evaluate", bank, tmp_path / "episodes", "--classifiers", "prototype", "--report", tmp_path / "a.html"]
    succeed(*told, "--data", base / "parts", *images)
    assert "data:image/webp" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "--images: is for the images of --data DATA" in refuse(*told, "--overwrite", *images)
    succeed(*told, "--overwrite", "--data", bank, "--images", base / "elsewhere")
    assert "data:image/webp" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_predictions_say_where_their_images_are(base, named):
    header, _ = read_predictions(named)
    assert (header.data, header.images) == ("../parts", "../elsewhere")
    document = json.loads((named / "wood/000.json").read_text(encoding="utf-8"))
    assert (named / "wood" / document["imagePath"]).resolve() == base / "elsewhere/shots/000.png"
    assert data_places(named, header, None).image_root == base / "elsewhere"
    assert data_places(named, header, None, base / "beside").image_root == base / "beside"


def test_a_model_knows_where_the_images_of_its_examples_are(base, named):
    model = flawshot.load_model(base / "model")
    assert images_root(model, None) == base / "elsewhere"
    flawshot.fit_model(flawshot.FeatureBank.open(base / "model/support"), base / "other", source=str(base / "parts"))
    (step,) = json.loads((base / "other/model.json").read_text(encoding="utf-8"))["history"]
    assert "images" not in step
    assert images_root(flawshot.load_model(base / "other"), None) is None


def test_review_and_learn_find_them(base, named, tmp_path):
    for name in ("model", "named", "parts", "elsewhere"):
        shutil.copytree(base / name, tmp_path / name)
    path = tmp_path / "named/wood/003.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["shapes"][0]["label"] = "new"
    path.write_text(json.dumps(document), encoding="utf-8")
    succeed("review", tmp_path / "named", "--print")
    (tmp_path / "elsewhere").rename(tmp_path / "moved")
    assert "are not there; name their folder with --images" in refuse(
        "learn", tmp_path / "model", tmp_path / "named", "--device", "cpu"
    )
    assert "elsewhere" in refuse("review", tmp_path / "named", "--print")
    succeed("review", tmp_path / "named", "--print", "--images", tmp_path / "moved")
    told = succeed(
        "learn", tmp_path / "model", tmp_path / "named", "--device", "cpu", "--images", tmp_path / "moved"
    ).stdout
    assert "1 corrected" in told
    assert "1 region learned" in told


def test_predictions_without_them_are_as_before(base, tmp_path):
    """Their first line has no field that earlier versions do not know."""
    succeed("fit", base / "beside", "--out", tmp_path / "model", "--device", "cpu")
    succeed("predict", tmp_path / "model", base / "beside", "--out", tmp_path / "named", "--device", "cpu")
    with (tmp_path / "named/predictions.jsonl").open(encoding="utf-8") as opened:
        assert "images" not in json.loads(next(opened))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stats", "{parts}", "--images", "{none}"], "--images {none}: is not a folder"),
        (["fit", "{bank}", "--out", "{new}", "--images", "{elsewhere}"], "--images: is for DATA"),
        (["predict", "{model}", "{elsewhere}", "--out", "{new}", "--find", "--images", "{parts}"], "--images: is for"),
        (["evaluate-find", "{parts}", "--images", "{none}"], "--images {none}: is not a folder"),
        (["demo", "--images", "{elsewhere}"], "--images: is for your own data"),
    ],
)
def test_what_does_not_go_together_is_said(base, bank, named, tmp_path, arguments, said):
    names = ("parts", "bank", "model", "elsewhere")
    places = {name: base / name for name in names} | {"none": base / "none", "new": tmp_path / "new"}
    assert said.format(**places) in refuse(*(argument.format(**places) for argument in arguments))
