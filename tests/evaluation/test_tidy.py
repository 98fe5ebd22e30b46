"""Results as a tidy table."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from flawshot import FlawshotError, evaluate, sample_episodes
from flawshot.evaluation import results as results_module

CATEGORIES = ("dent", "scratch", "stain")
IMAGES = [(f"{product}/{c}{n}", [c]) for product in "pq" for c in CATEGORIES for n in range(6)]


@pytest.fixture
def results(bank_of, catalog_of):
    bank = bank_of(catalog_of(IMAGES, layout="{product}/**"), spread=2.0)
    sets = [sample_episodes(bank.catalog, product, shots) for product in "pq" for shots in (1, 3)]
    return evaluate(bank, sets, ["prototype", "knn"])


def test_every_row_is_told_by_its_keys(results):
    frame = results.to_pandas()
    keys = ["product", "classifier", "reference", "shots", "seed", "category", "metric"]
    assert not frame.duplicated(keys).any()
    assert set(frame["metric"]) == {
        "accuracy", "macro_recall", "ece", "brier", "log_loss", "recall", "precision", "f1", "fit_seconds",
        "predict_seconds", "accuracy_difference",
    }  # fmt: skip


def test_the_mean_over_seeds_is_the_value_over_all_seeds(results):
    frame = results.to_pandas()
    accuracy = frame[(frame["metric"] == "accuracy") & frame["product"].notna()]
    by_seed = accuracy[accuracy["seed"].notna()].groupby(["product", "classifier", "shots"])["value"]
    whole = accuracy[accuracy["seed"].isna()].set_index(["product", "classifier", "shots"])
    np.testing.assert_allclose(by_seed.mean(), whole["value"].sort_index())
    np.testing.assert_allclose(by_seed.std(ddof=1), whole["std"].sort_index().fillna(np.nan))
    means = frame[(frame["metric"] == "accuracy") & frame["product"].isna()].set_index(["classifier", "shots"])["value"]
    np.testing.assert_allclose(means.sort_index(), whole.groupby(["classifier", "shots"])["value"].mean())


def test_precision_and_f1_are_those_of_scikit_learn(results):
    rows = results.to_arrow().to_pylist()
    for answers in results.answers:
        truth, predicted = np.array(answers.true)[list(answers.query)], np.array(answers.predicted["knn"])
        precision, _, f1, _ = precision_recall_fscore_support(truth, predicted, labels=range(3), zero_division=0)
        for name, expected in (("precision", precision), ("f1", f1)):
            own = {
                row["category"]: row["value"]
                for row in rows
                if (row["product"], row["shots"], row["classifier"], row["metric"])
                == (answers.product, answers.shots, "knn", name)
            }
            assert [own[category] for category in CATEGORIES] == pytest.approx(list(expected))


def test_differences_name_their_reference(results):
    rows = [row for row in results.to_arrow().to_pylist() if row["metric"] == "accuracy_difference"]
    assert {(row["classifier"], row["reference"]) for row in rows} == {("knn", "prototype")}
    assert len(rows) == len(results.comparisons)


def test_without_pandas_it_is_said_what_to_do(results, monkeypatch):
    monkeypatch.setattr(results_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FlawshotError, match=r"pip install pandas, or use to_arrow\(\)"):
        results.to_pandas()
