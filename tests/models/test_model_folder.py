"""The model's folder: whole or not there, and what is damaged or foreign is refused in one line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import flawshot
from flawshot import FlawshotError
from flawshot.models import fitting
from flawshot.models.fitting import fit_model
from helpers import rewrite_sealed


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model.path, tmp_path / "copy")


def drop_instance(document):
    document["history"][0]["added"] -= 1


CASES = {
    "a newer version": (
        lambda d: d.update(version=9),
        "model.json: version: 9 is newer than this flawshot; update flawshot",
    ),
    "another format": (lambda d: d.update(format="other"), "model.json: format: Input should be 'flawshot-model'"),
    "a field is missing": (lambda d: d.pop("classifier"), "model.json: classifier: Field required"),
    "a field too many": (lambda d: d.update(more=1), "model.json: more: Extra inputs"),
    "no history": (lambda d: d.update(history=[]), "model.json: history: does not say where"),
    "an instance fewer": (drop_instance, "model.json: history: does not match the instances in support/"),
    "categories in disorder": (lambda d: d["categories"].reverse(), "categories: must be two or more, in order"),
    "a category more": (lambda d: d["categories"].append("zzz"), "categories: does not match the instances"),
    "another product": (lambda d: d.update(product="nut"), "product: does not match the instances"),
    "other labels": (lambda d: d.update(fingerprint="0" * 64), "fingerprint: is not that of support/catalog.parquet"),
    "other weights": (lambda d: d["encoder"].update(weights_hash="0"), "encoder: does not match the instances"),
    "other views": (lambda d: d["views"].update(scheme="mso"), "views: does not match the instances"),
    "a file out of the folder": (lambda d: d["files"].update({"../x": "0"}), "'../x' points outside the folder"),
    "a file that is not listed": (lambda d: d["files"].pop("catalog.parquet"), "files: lacks catalog.parquet"),
    "a calibration of others": (
        lambda d: d["calibration"].update(least=[0.5]),
        "calibration.least: does not match the instances",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_changed_record_is_refused(copy, case):
    change, said = CASES[case]
    rewrite_sealed(copy / "model.json", change)
    with pytest.raises(FlawshotError) as raised:
        flawshot.load_model(copy)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["features-00000.safetensors", "catalog.parquet", "manifest.json"])
def test_a_damaged_or_missing_file_is_refused(copy, name):
    path = copy / "support" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        FlawshotError, match=f"{name}: is damaged: its content is not what flawshot wrote; fit the model again"
    ):
        flawshot.load_model(copy)
    path.unlink()
    with pytest.raises(FlawshotError, match=f"{name}: cannot be read"):
        flawshot.load_model(copy)


def test_what_is_no_json_and_what_is_no_model(copy, tmp_path, bank):
    (copy / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(FlawshotError, match=r"model.json: the whole file: Invalid JSON"):
        flawshot.load_model(copy)
    with pytest.raises(FlawshotError, match="nowhere: is not a model's folder; fit a model first"):
        flawshot.load_model(tmp_path / "nowhere")
    with pytest.raises(FlawshotError, match=r"model.json: cannot be read"):
        flawshot.load_model(bank.path)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"ridge": -1.0}, "ridge must be"), ({"color": 1}, "classifier: .*color"), ({"device": "cpu"}, "classifier: ")],
)
def test_parameters_that_the_classifier_does_not_take(copy, bank, parameters, said):
    rewrite_sealed(copy / "model.json", lambda d: d["classifier"].update(parameters=parameters))
    with pytest.raises(FlawshotError, match=said):
        flawshot.load_model(copy).predict_features(bank)


def test_a_place_that_is_taken_stays_as_it_is(model, bank, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("dear", encoding="utf-8")
    for overwrite, said in ((False, "exists; name another folder"), (True, "contains letter.txt, which is not part")):
        with pytest.raises(FlawshotError, match=said):
            fit_model(bank, taken, overwrite=overwrite)
    assert [path.name for path in taken.iterdir()] == ["letter.txt"]


def test_overwrite_replaces_a_model_and_an_error_on_the_way_leaves_the_old_one(copy, bank, monkeypatch):
    with pytest.raises(FlawshotError, match="exists; name another folder"):
        fit_model(bank, copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:

        def full(*_):
            raise OSError(28, "No space left on device")

        patch.setattr(fitting, "write_record", full)
        with pytest.raises(FlawshotError, match=r"copy: cannot be written .No space left on device"):
            fit_model(bank, copy, classifier="knn", overwrite=True)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert fit_model(bank, copy, classifier="knn", overwrite=True).record.classifier.name == "knn"
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_the_model_holds_all_it_needs(model, bank, tmp_path):
    moved = shutil.copytree(model.path, tmp_path / "elsewhere")
    ids = bank.catalog.column("id")
    again = flawshot.load_model(moved)
    assert again.support.catalog.column("id") == ids
    assert np.array_equal(again.support.features(ids), bank.features(ids))
    assert np.array_equal(again.predict_features(bank).probabilities, model.predict_features(bank).probabilities)
