"""The page of a comparison: what it says is the comparison's, it asks for nothing, and hostile names are text."""

from __future__ import annotations

import pytest

from flawshot import compare_results
from flawshot.base.errors import printable
from flawshot.evaluation.intervals import percent
from flawshot.report.comparison import compared_sentence, make_comparison_page, side_facts
from hostile import HOSTILE, PRODUCTS

ROWS = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"


@pytest.fixture(scope="module")
def compared(results):
    """The same results under two hostile names."""
    return compare_results({HOSTILE[0]: results, HOSTILE[2]: results}, ["prototype", "knn"])


@pytest.fixture
def page(visit, compared, tmp_path):
    path = tmp_path / "compared.html"
    path.write_bytes(make_comparison_page(compared))
    return visit(path)


def test_the_page_shows_the_comparison_and_asks_for_nothing_else(page, compared):
    assert page.seen == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page.url]
    assert page.locator("#answer").text_content() == printable(compared_sentence(compared))
    tables = page.locator("table.comparison")
    assert tables.count() == 1 + len(PRODUCTS)
    for number, product in enumerate([None, *PRODUCTS]):
        rows = tables.nth(number).locator("tbody tr").evaluate_all(ROWS)
        expected = [
            [
                score.label,
                score.classifiers[place],
                printable(name),
                percent(score.accuracy[place].mean, score.accuracy[place].ci95),
                percent(score.difference[place].mean, score.difference[place].ci95, signed=True) if place else "",
            ]
            for score in compared.of(product)
            for place, name in enumerate(compared.names)
        ]
        assert rows == expected


def test_the_sentence_says_the_difference_at_most_shots(compared):
    (score,) = [each for each in compared.of(None) if each.shots == 3]
    estimate = score.difference[1]
    said = compared_sentence(compared)
    assert f"is right on {abs(100 * estimate.mean):.1f} points {'more' if estimate.mean >= 0 else 'fewer'} [" in said
    low, high = estimate.ci95
    assert ("may be due to chance" in said) == (low <= 0 <= high)
    assert said.startswith("At 3 shots, on the mean of 2 products (")


def test_facts_name_encoder_and_views_and_all_that_differs(compared):
    one, other = compared.sides
    weights = {**other.provenance["encoder"], "weights_hash": "ab" * 32}
    changed = other.model_copy(update={"provenance": other.provenance | {"encoder": weights, "flawshot": "0.0.1"}})
    facts = dict(side_facts([one, changed]))
    assert facts["encoder.name"] == ["made up", "made up"]
    assert facts["views.sizes"] == ["256px", "256px"]
    assert facts["encoder.weights_hash"] == ["not recorded", "abababababab…"]
    assert facts["flawshot"][1] == "0.0.1"
    assert set(dict(side_facts([one, other]))) == {"encoder.name", "encoder.weights", "views.scheme", "views.sizes"}
