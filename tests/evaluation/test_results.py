"""Results files: what does not fit together is refused in one line that names the field."""

from __future__ import annotations

import json

import pytest

from flawshot import FlawshotError, Results, evaluate, sample_episodes


@pytest.fixture
def document(catalog_of, bank_of):
    bank = bank_of(catalog_of([(f"p/{label}{n}", [label]) for label in ("a", "b") for n in range(4)]))
    found = evaluate(bank, [sample_episodes(bank.catalog, "p", 1, seeds=range(2))], ["knn"])
    return found.model_dump(mode="json")


def test_what_was_saved_is_read_back(document, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps(document))
    assert Results.load(tmp_path / "r.json").model_dump(mode="json") == document


def drop(place, *path):
    *way, last = path
    for step in way:
        place = place[step]
    del place[last]


def put(place, value, *path):
    *way, last = path
    for step in way:
        place = place[step]
    place[last] = value


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (lambda d: put(d, [], "runs"), "runs"),
        (lambda d: put(d, [], "runs", 0, "episodes"), "runs.0: Value error, episodes"),
        (lambda d: drop(d, "runs", 0, "per_category", "a"), "per_category"),
        (lambda d: drop(d, "runs", 0, "confusion", 0), "confusion"),
        (lambda d: put(d, [1], "runs", 0, "confusion", 0), "confusion"),
        (lambda d: drop(d, "answers", 0, "seed", 0), "seed: must have one entry per query"),
        (lambda d: drop(d, "answers", 0, "predicted", "knn", 0), "predicted.knn"),
        (lambda d: drop(d, "answers", 0, "probability", "knn"), "probability"),
        (lambda d: put(d, 99, "answers", 0, "query", 0), "query: must be numbers"),
        (lambda d: put(d, [-1], "answers", 0, "nearest", 0), "nearest: must be numbers"),
        (lambda d: put(d, 2, "answers", 0, "predicted", "knn", 0), "answers.knn: must be numbers from 0 to 1"),
        (lambda d: put(d, 2, "answers", 0, "true", 0), "answers.true"),
        (lambda d: put(d, "q", "answers", 0, "product"), "is in no run"),
        (lambda d: put(d, float("nan"), "runs", 0, "accuracy", "mean"), "runs.0.accuracy.mean"),
        (lambda d: put(d, "<script>", "runs", 0, "shots"), "runs.0.shots"),
        (lambda d: put(d, -1, "runs", 0, "reliability", 0, 0), "reliability: the number of queries must be 0 or more"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(document, tmp_path, damage, field):
    damage(document)
    path = tmp_path / "r.json"
    path.write_text(json.dumps(document))
    with pytest.raises(FlawshotError) as refused:
        Results.load(path)
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert field in said
    assert "run the evaluation again" in said
    assert "\n" not in said
