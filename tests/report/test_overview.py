"""What results say at a glance."""

from __future__ import annotations

import numpy as np
import pytest

from flawshot import evaluate, sample_episodes
from flawshot.report.overview import category_rows, classifier_rows, confusions, strongest

CATEGORIES = ("dent", "scratch", "stain")
IMAGES = [(f"{product}/{c}{n}", [c]) for product in "pq" for c in CATEGORIES for n in range(8)]


@pytest.fixture
def results(bank_of, catalog_of):
    bank = bank_of(catalog_of(IMAGES, layout="{product}/**"), spread=2.0)
    sets = [sample_episodes(bank.catalog, product, shots) for product in "pq" for shots in (1, 3)]
    return evaluate(bank, sets, ["knn", "prototype"])


def test_rows_are_by_k_and_have_differences_from_the_first_classifier(results):
    rows = classifier_rows(results, "p")
    assert [(row.shots, row.classifier) for row in rows if not row.is_baseline] == [
        (1, "knn"), (1, "prototype"), (3, "knn"), (3, "prototype"),
    ]  # fmt: skip
    assert [row.difference is None for row in rows if not row.is_baseline] == [True, False, True, False]
    for row in rows:
        (run,) = [r for r in results.runs if (r.product, r.classifier, r.shots) == ("p", row.classifier, row.shots)]
        assert (row.accuracy, row.macro_recall, row.ece) == (run.accuracy, run.macro_recall, run.ece)
    means = classifier_rows(results, None)
    assert [row.accuracy.mean for row in means if row.classifier == "chance"] == pytest.approx([1 / 3] * 2)


def test_the_strongest_is_the_one_that_is_right_most_often_at_the_greatest_k(results):
    best = strongest(classifier_rows(results, "p"))
    at_three = {r.classifier: r.accuracy.mean for r in results.runs if (r.product, r.shots) == ("p", 3)}
    assert at_three[best] == max(at_three[name] for name in ("knn", "prototype"))
    alone = [row for row in classifier_rows(results, "p") if row.is_baseline]
    assert strongest(alone) in {"chance", "majority", "outline"}


def test_the_category_recognized_least_often_comes_first(results):
    rows = category_rows(results, "q", "knn")
    recalls = [row.scores[3].recall for row in rows]
    assert recalls == sorted(recalls)
    assert {row.category for row in rows} == set(CATEGORIES)
    # Every draw of three leaves other queries, and all of them are queries in some draw.
    assert {row.queries for row in rows} == {(8, 8)}


def test_what_is_mistaken_for_what_is_the_matrix_off_its_diagonal(results):
    (run,) = [r for r in results.runs if (r.product, r.classifier, r.shots) == ("p", "knn", 1)]
    found = confusions(run)
    matrix = np.array(run.confusion)
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    assert [share for *_, share in found] == sorted((share for *_, share in found), reverse=True)
    for true, other, share in found:
        assert share == shares[CATEGORIES.index(true), CATEGORIES.index(other)]
    assert len(found) == (matrix - np.diag(np.diag(matrix)) > 0).sum()
    chance = next(r for r in results.runs if r.classifier == "chance")
    assert confusions(chance) == []
