"""What a prediction did: its summary, and how like the examples the regions are."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import flawshot
from flawshot.models.predict_report import PredictionSummary
from flawshot.models.prediction_folder import RegionPrediction, read_predictions
from helpers import rewrite_sealed


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Drawn flaws on another surface."""
    place = tmp_path_factory.mktemp("foreign") / "leather"
    flawshot.draw_data_set(place, categories=3, images=14, side=96, surface="leather", workers=1, seed=8)
    return place


def predict(model, data, out, **options):
    return flawshot.predict_catalog(model, flawshot.Catalog.open(data), out, **options)


def summary_of(out):
    (line,) = (out / "summary.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads(line)


def test_the_summary_is_the_report(model, foreign, tmp_path):
    report = predict(model, foreign, tmp_path / "out")
    told = summary_of(tmp_path / "out")
    assert told["format"] == "flawshot-prediction-summary"
    for name in ("regions", "predicted", "unsure", "unknown", "examples", "images", "without"):
        assert told[name] == getattr(report, name)
    assert told["left_out"] == 0
    assert told["drift"] == report.drift.model_dump(mode="json")
    assert told["accuracy"] == (None if report.accuracy is None else report.accuracy.model_dump(mode="json"))
    assert PredictionSummary.model_validate_json(json.dumps(told)).drift == report.drift


def test_data_of_another_surface_is_unlike_the_examples(model, foreign, tmp_path):
    drift = predict(model, foreign, tmp_path / "out").drift
    assert drift.unlike
    assert drift.unknown / drift.regions > 0.3
    assert drift.unknown_p < 0.001


def test_the_comparison_is_that_of_the_features(model, foreign, tiny, tmp_path):
    """Nothing but rounding lies between the files and the model itself."""
    catalog = flawshot.Catalog.open(foreign)
    report = predict(model, foreign, tmp_path / "out")
    bank = flawshot.encode_catalog(catalog, tiny, model.scheme, tmp_path / "bank").bank
    again = flawshot.measure_drift(model, model.predict_features(bank), bank.catalog.column("image"))
    assert (again.regions, again.images, again.unknown) == (
        report.drift.regions,
        report.drift.images,
        report.drift.unknown,
    )
    assert again.newer == pytest.approx(report.drift.newer, abs=0.01)


def test_the_models_own_examples_are_not_compared(model, parts, tmp_path):
    report = predict(model, parts, tmp_path / "out")
    assert report.examples == report.regions
    assert report.drift is None
    assert summary_of(tmp_path / "out")["drift"] is None


def test_a_model_of_an_earlier_version_still_counts_unknown_regions(model, foreign, tmp_path):
    old = shutil.copytree(model.path, tmp_path / "old")
    rewrite_sealed(old / "model.json", lambda document: document.pop("left_out_novelty"))
    drift = predict(flawshot.load_model(old, device="cpu"), foreign, tmp_path / "out").drift
    assert drift.unlike
    assert (drift.newer, drift.newer_p) == (None, None)


def test_predictions_can_be_replaced_with_their_summary(model, foreign, tmp_path):
    predict(model, foreign, tmp_path / "out")
    before = (tmp_path / "out/summary.jsonl").read_bytes()
    predict(model, foreign, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/summary.jsonl").read_bytes() == before


def test_novelty_is_in_the_record_and_neither_in_the_table_nor_in_labelmes_files(model, foreign, tmp_path):
    predict(model, foreign, tmp_path / "out")
    answers = [answer for record in read_predictions(tmp_path / "out")[1] for answer in record.answers]
    limit = model.record.calibration.novelty_limit
    assert [answer.novelty > limit for answer in answers] == [answer.unknown for answer in answers]
    assert "novelty" not in (tmp_path / "out/predictions.csv").read_text(encoding="utf-8")
    assert all("novelty" not in path.read_text(encoding="utf-8") for path in (tmp_path / "out").rglob("*.json"))
    assert len({answer.novelty for answer in answers}) > len(answers) // 2


def test_a_prediction_of_an_earlier_version_has_no_novelty():
    document = {
        "id": "a.json#0",
        "image": "a.png",
        "box": [0, 0, 1, 1],
        "was": "",
        "true": None,
        "example": False,
        "predicted": "a",
        "probability": 0.9,
        "runner_up": "b",
        "runner_up_probability": 0.1,
        "categories": ["a"],
        "unsure": False,
        "unknown": False,
    }
    read = RegionPrediction.model_validate_json(json.dumps(document))
    assert read.novelty is None
    assert read.model_dump(mode="json") == document
    assert np.isfinite(read.probability)
