"""``flawshot fit`` and ``flawshot predict``, as a user runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import flawshot
from commands import refuse, succeed
from flawshot import FlawshotError
from flawshot.models.prediction_folder import read_predictions


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=16, side=96, surface="wood", workers=1, seed=5)
    return place


@pytest.fixture
def parts(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "parts")


@pytest.fixture(scope="module")
def model(drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "model"
    succeed("fit", drawn, "--out", out, "--device", "cpu")
    return out


def test_fit_on_labelme_files_then_predict_others(parts, tmp_path):
    first, others = tmp_path / "few/wood", tmp_path / "others/wood"
    for folder in (first, others):
        folder.mkdir(parents=True)
    for number, path in enumerate(sorted((parts / "wood").iterdir())):
        shutil.copy(path, others if number // 2 > 9 else first)
    fitted = succeed("fit", tmp_path / "few", "--out", tmp_path / "model", "--device", "cpu")
    known = len(flawshot.Catalog.open(tmp_path / "few"))
    assert (
        f"model: evidence-ridge fitted to {known} instances of 2 categories of wood; flawshot-tiny, centre3 of"
        in fitted.stdout
    )
    assert "each image left out in turn" in fitted.stdout
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    told = succeed("predict", tmp_path / "model", tmp_path / "others", "--out", tmp_path / "out", "--device", "cpu")
    catalog = flawshot.Catalog.open(tmp_path / "others")
    assert f"out: {len(catalog)} regions predicted, " in told.stdout
    assert "Accuracy on labeled regions" in told.stdout
    assert "are examples" not in told.stderr
    named = sorted(path.name for path in others.glob("*.json"))
    assert sorted(path.name for path in (tmp_path / "out/wood").iterdir()) == named


def test_fit_on_a_bank_is_fit_on_its_data(parts, model, tmp_path):
    succeed("encode", parts, "--out", tmp_path / "bank", "--device", "cpu")
    succeed("fit", tmp_path / "bank", "--out", tmp_path / "model", "--device", "cpu")
    first, second = flawshot.load_model(model), flawshot.load_model(tmp_path / "model")
    assert first.record.accuracy == second.record.accuracy
    assert first.record.calibration == second.record.calibration
    assert "--views: is for DATA, and" in refuse("fit", tmp_path / "bank", "--out", tmp_path / "m", "--views", "mso")


def test_groups_are_said(parts, tmp_path):
    result = succeed("fit", parts, "--out", tmp_path / "model", "--group", r"/\d(\d)", "--device", "cpu")
    assert "each group left out in turn" in result.stdout
    assert set(flawshot.load_model(tmp_path / "model").record.groups.values()) <= set("0123456789")
    assert "does not match" in refuse("fit", parts, "--out", tmp_path / "m", "--group", "tile")


def test_an_interrupted_fit_goes_on_with_what_was_encoded(parts, tmp_path, monkeypatch):
    from flawshot.models import fitting

    def fail(*_, **__):
        raise FlawshotError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "leave_one_out", fail)
        assert refuse("fit", parts, "--out", tmp_path / "model", "--device", "cpu") == "stopped"
    assert not (tmp_path / "model").exists()
    assert len(flawshot.FeatureBank.open(tmp_path / ".model.bank").catalog) == len(flawshot.Catalog.open(parts))
    succeed("fit", parts, "--out", tmp_path / "model", "--device", "cpu")
    assert not (tmp_path / ".model.bank").exists()


HOLDS = """
import sys, time
from pathlib import Path
from flawshot.base.store.places import hold
with hold(Path(sys.argv[1])):
    print("there", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("command", ["encode", "fit data", "fit bank"])
def test_a_second_process_is_told_and_goes_on_when_the_first_is_killed(parts, model, tmp_path, command):
    verb, *kind = command.split()
    data = model / "support" if kind == ["bank"] else parts
    arguments = (verb, data, "--out", tmp_path / "here" / "out", "--device", "cpu")
    (tmp_path / "here").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, tmp_path / "here" / "out"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "there\n"
            said = f"{tmp_path}/here/out: another flawshot process is working there; wait for it to finish"
            assert refuse(*arguments) == said
        finally:
            process.kill()
    succeed(*arguments)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["out"]


@pytest.mark.parametrize("how", ["beside", "pattern"])
def test_images_with_masks(drawn, model, tmp_path, how):
    """The drawn flaws as masks, one each; their categories are not told."""
    catalog = flawshot.Catalog.open(drawn)
    wanted = {}
    for number, each in enumerate(catalog):
        if each.annotation.partition("#")[0] in wanted:
            continue
        mask = Image.fromarray(each.region().full_mask(96, 96).astype(np.uint8) * 255)
        with Image.open(drawn / each.image) as image:
            if how == "beside":
                place = tmp_path / "masks/unsorted"
                place.mkdir(parents=True, exist_ok=True)
                image.convert("RGB").save(place / f"{number:02}.bmp")
                mask.save(place / f"{number:02}.png")
                wanted[each.annotation] = f"unsorted/{number:02}.json"
            else:
                for folder, picture in (("images", image), ("masks", mask)):
                    (tmp_path / "masks" / folder).mkdir(parents=True, exist_ok=True)
                    picture.save(tmp_path / "masks" / folder / f"{number:02}.png")
                wanted[each.annotation] = f"images/{number:02}.json"
    options = [] if how == "beside" else ["--pattern", "images/{name} | masks/{name}"]
    told = succeed("predict", model, tmp_path / "masks", "--out", tmp_path / "out", "--device", "cpu", *options)
    assert "Accuracy on" not in told.stdout
    _, lines = read_predictions(tmp_path / "out")
    answered = {line.annotation: line.answers for line in lines}
    assert sorted(answered) == sorted(wanted.values())
    for name, answers in answered.items():
        written = flawshot.read_labelme(tmp_path / "out" / name)
        assert {shape.label for shape in written.shapes} <= set(flawshot.load_model(model).categories)
        assert (tmp_path / "out" / name).parent.joinpath(written.image_path).is_file()
        assert all(answer.true is None for answer in answers)


def test_an_image_that_cannot_be_read_is_said_and_no_reason_to_fail(parts, model, tmp_path):
    (parts / "wood/003.png").write_bytes(b"")
    result = succeed("predict", model, parts, "--out", tmp_path / "out", "--device", "cpu")
    assert "left out: wood/003.png: the image cannot be decoded" in result.stderr
    assert "are examples that the model was fitted to" in result.stderr
    assert "cannot be decoded" in refuse(
        "predict", model, parts, "--out", tmp_path / "o", "--strict", "--device", "cpu"
    )


def test_regions_without_a_name_are_no_problem(parts, model, tmp_path):
    for path in parts.rglob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            shape["label"] = ""
        path.write_text(json.dumps(document), encoding="utf-8")
    result = succeed("predict", model, parts, "--out", tmp_path / "out", "--device", "cpu")
    assert "no label" not in result.stderr
    assert "Accuracy" not in result.stdout
    assert set(flawshot.Catalog.open(tmp_path / "out").column("category")) <= set(flawshot.load_model(model).categories)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "{parts}", "--out", "{model}"], "exists; name another folder, move it away, or add --overwrite"),
        (["fit", "{parts}", "--out", "{new}", "--classifier", "zero-shot"], "--classifier zero-shot: needs text"),
        (["fit", "{parts}", "--out", "{new}", "--coverage", "90"], "--coverage 90: must be a share above 0"),
        (["fit", "{parts}", "--out", "{new}", "--product", "nut"], "--product nut: is not in the data"),
        (["fit", "{new}", "--out", "{new}"], "is neither a folder of Labelme files nor"),
        (["fit", "{model}", "--out", "{new}"], "contains no usable defect instance"),
        (["predict", "{parts}", "{parts}", "--out", "{new}"], "model.json: cannot be read"),
        (["predict", "{new}", "{parts}", "--out", "{new}"], "is not a model's folder"),
        (["predict", "{model}", "{new}", "--out", "{new}"], "is neither a folder of Labelme files nor"),
        (["predict", "{model}", "{parts}", "--out", "{model}"], "exists; name another folder"),
        (["predict", "{model}", "{parts}", "--out", "{parts}/x"], "must not be inside each other"),
        (["predict", "{model}", "{parts}", "--out", "{new}", "--pretrained", "x"], "flawshot-tiny has its own"),
        (["predict", "{model}", "{parts}", "--out", "{new}", "--as", "x"], "--as x: must be one of"),
        (["predict", "{model}", "{parts}", "--out", "{new}", "--product", "nut"], "--product nut: is not in the data"),
        (["predict", "{model}", "{empty}", "--out", "{new}"], "empty: contains no image"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(drawn, model, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    places = {"parts": drawn, "model": model, "new": tmp_path / "new", "empty": tmp_path / "empty"}
    assert said in refuse(*(argument.format(**places) for argument in arguments))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_a_newer_model_is_refused(drawn, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "copy")
    document = json.loads((copy / "model.json").read_text(encoding="utf-8"))
    (copy / "model.json").write_text(json.dumps(document | {"version": 9}), encoding="utf-8")
    said = refuse("predict", copy, drawn, "--out", tmp_path / "out")
    assert said.endswith("model.json: version: 9 is newer than this flawshot; update flawshot")
