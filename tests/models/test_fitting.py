"""Fitting: what a model says of its accuracy, what it is made of, and what cannot be one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

import flawshot
from flawshot import FlawshotError, make_classifier
from flawshot.evaluation.intervals import wilson
from flawshot.models import fitting
from flawshot.models.accuracy import measure_accuracy
from flawshot.models.fitting import fit_model
from flawshot.models.model_folder import write_record


@pytest.fixture
def made_up(catalog_of, bank_of):
    """Twelve images of two instances, three categories, and one of a fourth that stands alone."""
    images = [(f"part/{n:02}", ["dent", "hole", "scratch"][n % 3 :][:1] * 2) for n in range(12)]
    return bank_of(catalog_of([*images, ("part/99", ["single"])], layout="{product}/**"), spread=1.6)


def by_hand(bank, name, units):
    """Every instance predicted without its unit, by scikit-learn's own loop."""
    catalog = bank.catalog
    kept = [row for row, category in enumerate(catalog.column("category")) if category != "single"]
    ids, labels = catalog.column("id"), np.array(catalog.column("category"))
    features = bank.features(ids)
    splits = [
        (train, [t for t in test if t in kept]) for train, test in LeaveOneGroupOut().split(features, labels, units)
    ]
    right = 0
    for train, test in splits:
        if test:
            fitted = make_classifier(name).fit(features[train], labels[train])
            right += int((fitted.predict(features[test]) == labels[test]).sum())
    return right, len(kept)


@pytest.mark.parametrize("name", ["default", "prototype", "knn"])
def test_the_accuracy_is_that_of_leaving_each_image_out(made_up, tmp_path, name):
    accuracy = fit_model(made_up, tmp_path / "model", classifier=name).record.accuracy
    right, asked = by_hand(made_up, name, made_up.catalog.column("image"))
    assert (round(accuracy.mean * accuracy.asked), accuracy.asked) == (right, asked)
    assert 0 < right < asked  # else the test could not tell
    assert accuracy.units == 12
    assert accuracy.ci95[0] < accuracy.mean < accuracy.ci95[1]


def test_groups_are_left_out_as_a_whole(made_up, tmp_path):
    images = made_up.catalog.column("image")
    groups = {image: f"g{int(image[5:7]) // 2}" for image in images}
    accuracy = fit_model(made_up, tmp_path / "model", groups=groups).record.accuracy
    right, asked = by_hand(made_up, "default", [groups[image] for image in images])
    assert (round(accuracy.mean * accuracy.asked), accuracy.asked) == (right, asked)
    assert accuracy.units == 6


def test_what_scikit_learn_estimates_on_real_features_is_what_the_model_says(bank, model):
    labels, images = (np.array(bank.catalog.column(name)) for name in ("category", "image"))
    features = bank.features(bank.catalog.column("id"))
    predicted = cross_val_predict(make_classifier("default"), features, labels, groups=images, cv=LeaveOneGroupOut())
    assert model.record.accuracy.mean == pytest.approx((predicted == labels).mean())


def test_a_category_of_one_image_cannot_be_estimated_and_does_not_count(made_up, tmp_path):
    own = fit_model(made_up, tmp_path / "model").record.accuracy.per_category
    assert own["single"].right is None
    assert own["single"].ci95 is None
    assert own["single"].instances == 1
    assert all(own[name].right is not None for name in ("dent", "hole", "scratch"))


def test_where_everything_is_of_one_image_nothing_is_estimated(catalog_of, bank_of, tmp_path):
    made = fit_model(bank_of(catalog_of([("a", ["dent", "hole"])])), tmp_path / "model")
    assert made.record.accuracy is None
    assert made.record.calibration.promised is None


def test_slow_fits_are_limited(made_up, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "FOLDS", 4)
    accuracy = fit_model(made_up, tmp_path / "model").record.accuracy
    assert accuracy.folds == 4
    assert accuracy.asked == 24


def test_where_all_are_right_the_interval_is_wilsons():
    accuracy = measure_accuracy(["a", "b"] * 5, ["a", "b"] * 5, [str(n) for n in range(10)], folds=1)
    assert accuracy.mean == 1.0
    assert accuracy.ci95 == pytest.approx(wilson(10, 10))


@pytest.mark.parametrize(("folds", "wider"), [(40, 1 + 40 / 39), (4, 1 + 4 / 3)])
def test_predictions_of_several_fits_have_nadeaus_and_bengios_variance(folds, wider):
    """Fits share their examples: the variance of a fold's mean times 1 / k + 1 / (k - 1) instead of 1 / k."""
    truth, predicted, units = ["a"] * 40, ["a", "a", "a", "b"] * 10, [str(n) for n in range(40)]
    low, high = measure_accuracy(truth, predicted, units, folds=folds).ci95
    items, quantile = 39 / wider, t.ppf(0.975, 39)

    def rejected(share):
        return (0.75 - share) ** 2 * items - quantile**2 * share * (1 - share)

    assert (low, high) == pytest.approx((brentq(rejected, 0, 0.75), brentq(rejected, 0.75, 1)), abs=0.01)


def test_instances_of_one_image_stay_together_in_the_interval():
    truth, predicted = ["a"] * 40, ["a", "a", "a", "b"] * 10
    apart = measure_accuracy(truth, predicted, [str(n) for n in range(40)], folds=1)
    together = measure_accuracy(truth, sorted(predicted), [str(n // 10) for n in range(40)], folds=1)
    assert apart.mean == together.mean
    assert together.ci95[1] - together.ci95[0] > 1.3 * (apart.ci95[1] - apart.ci95[0])


def test_the_history_says_what_was_taken_in(model, bank):
    (step,) = model.record.history
    assert (step.how, step.source, step.added) == ("fit", "parts", len(bank.catalog))
    assert sum(step.categories.values()) == step.added
    assert model.record.accuracy == step.accuracy
    document = json.loads((model.path / "model.json").read_text(encoding="utf-8"))
    assert document["encoder"]["weights_hash"] == bank.manifest.encoder.weights_hash
    assert document["classifier"] == {
        "name": "evidence-ridge",
        "parameters": {
            "evidence_weight": 2.0,
            "one_shot_ridge": 0.5,
            "prior_temperature": 1.5,
            "ridge": 0.5,
            "score_temperature": 0.15,
            "shrinkage": 2.0,
            "view_weight": 3.0,
        },
    }


def test_a_model_that_records_default_keeps_predicting_what_it_did(made_up, tmp_path):
    """Models recorded the name that the user typed, when it stood for whitened ridge; learning from them records it."""
    fresh = fit_model(made_up, tmp_path / "model", classifier="whitened-ridge")
    path = fresh.path / "model.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["classifier"]["name"] == "whitened-ridge"
    path.unlink()
    old = fresh.record.classifier.model_copy(update={"name": "default"})
    write_record(fresh.path, fresh.record.model_copy(update={"classifier": old}))
    assert json.loads(path.read_text(encoding="utf-8"))["classifier"]["name"] == "default"
    opened = flawshot.load_model(fresh.path)
    assert opened.record.classifier.name == "whitened-ridge"
    features = made_up.features(made_up.catalog.column("id"))
    np.testing.assert_array_equal(opened.classifier.predict_proba(features), fresh.classifier.predict_proba(features))
    assert repr(opened.classifier) == "WhitenedRidge()"


def test_unlabeled_instances_are_passed_over(catalog_of, bank_of, tmp_path):
    catalog = catalog_of([("a", ["dent", ""]), ("b", ["hole", "dent"]), ("c", ["", "hole"])])
    assert fit_model(bank_of(catalog), tmp_path / "model").record.instances == 4


def test_an_estimator_with_its_own_parameters_comes_back_with_them(made_up, tmp_path):
    made = fit_model(made_up, tmp_path / "model", classifier=make_classifier("zip-adapter", beta=16.0))
    assert repr(flawshot.load_model(made.path).classifier) == "ZipAdapter(beta=16.0)"


@pytest.mark.parametrize(
    ("classifier", "said"),
    [
        ("default-transductive", "is transductive"),
        ("soft-kmeans", "is transductive"),
        ("transclip", "is transductive"),
        ("zero-shot", "needs text features"),
        ("outline", "needs outlines"),
        ("default-outline", "needs outlines"),
        ("nothing", "classifier='nothing': is not known"),
    ],
)
def test_what_cannot_be_a_model_is_refused_in_one_line(made_up, tmp_path, classifier, said):
    with pytest.raises(FlawshotError, match=said) as raised:
        fit_model(made_up, tmp_path / "model", classifier=classifier)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "model").exists()


def test_several_products_need_a_name(catalog_of, bank_of, tmp_path):
    images = [(f"{product}/{n}", ["dent", "hole"]) for product in ("bolt", "nut") for n in range(3)]
    bank = bank_of(catalog_of(images, layout="{product}/**"))
    with pytest.raises(FlawshotError, match=r"2 products \(bolt, nut\).*choose one with product"):
        fit_model(bank, tmp_path / "model")
    assert fit_model(bank, tmp_path / "model", product="nut").record.instances == 6


def test_one_category_is_too_few(catalog_of, bank_of, tmp_path):
    with pytest.raises(FlawshotError, match="part has only the label dent; a model needs two"):
        fit_model(bank_of(catalog_of([("a", ["dent", "dent", ""])])), tmp_path / "model")
