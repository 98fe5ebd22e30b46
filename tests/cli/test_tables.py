"""Results on one screen."""

from __future__ import annotations

import re

import pytest

from flawshot import evaluate, sample_episodes
from flawshot.cli import console, tables

CATEGORIES = ("crack", "dent", "drop", "rough-spot", "scratch", "stain")
SIX = ["default", "matched-prototype", "zip-adapter", "prototype", "knn", "gda"]


@pytest.fixture
def evaluated(bank_of, catalog_of):
    def make(products, names, shots=(1, 3, 5)):
        images = [(f"{product}/{c}{n}", [c]) for product in products for c in CATEGORIES for n in range(12)]
        bank = bank_of(catalog_of(images, layout="{product}/**"), spread=1.5)
        sets = [sample_episodes(bank.catalog, product, k, seeds=range(2)) for product in products for k in shots]
        return evaluate(bank, sets, names)

    return make


def test_six_classifiers_three_k_and_six_categories_fit_one_screen(evaluated, capsys):
    results = evaluated(["brushed-metal"], SIX)
    tables.print_results(results)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    for run in results.runs:
        if run.classifier not in {"chance", "majority", "outline"}:
            assert f"{100 * run.accuracy.mean:.1f} [" in text
        else:
            assert f"{100 * run.accuracy.mean:.1f}" in re.search("without the images: .*", text)[0]
    assert len(re.findall(r"^ (?:1|3|5)? +[a-z].* \[", text, re.MULTILINE)) == 18
    assert all(re.search(rf" {category} \(\d+", text) for category in CATEGORIES)


def test_of_several_products_the_mean_is_shown_and_the_weakest_comes_first(evaluated, capsys):
    results = evaluated(["bolt", "nut", "screw"], ["knn", "prototype"], (1, 3))
    tables.print_results(results)
    text = capsys.readouterr().out
    assert "mean of 3 products, " in text
    shown = re.findall(r"^ (bolt|nut|screw) ", text, re.MULTILINE)
    best = re.search(r"(\S+), the most often right, by product", text)[1]
    accuracy = {r.product: r.accuracy.mean for r in results.runs if (r.classifier, r.shots) == (best, 3)}
    assert shown == sorted(shown, key=accuracy.__getitem__)
    assert "category (n)" not in text
    tables.print_results(results, per_category=True)
    assert capsys.readouterr().out.count("category (n)") == 3


def test_wide_has_every_classifier_by_product_and_category(evaluated, capsys):
    results = evaluated(["bolt", "nut"], ["knn", "prototype"], (1,))
    tables.print_results(results, wide=True, per_category=True)
    text = capsys.readouterr().out
    for run in results.runs:
        for score in run.per_category.values():
            assert f"{100 * score.mean:.1f} [" in text


def test_short_supports_are_told_beside_k(catalog_of, bank_of, capsys):
    images = [(f"{c}{n}", [c]) for c, count in (("dent", 7), ("scratch", 3)) for n in range(count)]
    catalog = catalog_of(images)
    sets = [sample_episodes(catalog, "part", shots, allow_short=True) for shots in (1, 5)]
    tables.print_results(evaluate(bank_of(catalog), sets, ["prototype"]))
    text = capsys.readouterr().out
    assert re.search(r"^ 5 \(2-5\) +prototype ", text, re.MULTILINE)
    assert "5 (2-5)-shot" in text
    assert not re.search(r"\b5-shot|at 5 shots", text)


@pytest.mark.parametrize("columns", [50, 60, 80])
def test_a_narrow_terminal_gets_fewer_columns_but_every_accuracy(evaluated, monkeypatch, capsys, columns):
    results = evaluated(["brushed-metal"], ["default", "matched-prototype"], (1, 3))
    for module in (console, tables):
        monkeypatch.setattr(module, "console_width", lambda: columns)
    tables.print_results(results)
    text = capsys.readouterr().out
    assert "…" not in text
    assert all(len(line) <= columns for line in text.splitlines())
    for run in results.runs:
        assert f"{100 * run.accuracy.mean:.1f}" in text
