"""Values as a notebook shows them: short lines, and tables in which every name stays text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

import flawshot
from flawshot.base.html_tables import LONGEST_CELL, LONGEST_TITLE, MOST_ROWS, facts_html, table_html
from hostile import HOSTILE, PRODUCTS, hostile_results

# What our tables consist of; whatever else there is came out of a name.
TAGS = {"div", "strong", "table", "thead", "tbody", "tr", "th", "td"}
STYLES = {("style", "text-align: left"), ("style", "text-align: right")}
LONGEST_LINE = 400


class Reader(HTMLParser):
    """Reads HTML as a browser does."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.texts = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.update(attrs)

    def handle_data(self, data):
        self.texts.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """One value of each kind, all of whose names are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    results = hostile_results(folder / "bank")
    bank = flawshot.FeatureBank.open(folder / "bank")
    episodes = flawshot.sample_episodes(bank.catalog, PRODUCTS[0], 1)
    model = flawshot.fit_model(bank, folder / "model", product=PRODUCTS[0])
    return {"Catalog": bank.catalog, "EpisodeSet": episodes, "FeatureBank": bank, "Results": results, "Model": model}


@pytest.mark.parametrize("kind", ["Catalog", "EpisodeSet", "FeatureBank", "Results", "Model"])
def test_a_value_is_shown_in_one_short_line(shown, kind):
    for said in (repr(shown[kind]), str(shown[kind])):
        assert said.startswith(f"{kind}(")
        assert len(said) < LONGEST_LINE
        assert said.isprintable()


@pytest.mark.parametrize("kind", ["Catalog", "EpisodeSet", "FeatureBank", "Results", "Model"])
def test_names_stay_text_in_a_notebook(shown, kind):
    html = shown[kind]._repr_html_()
    page = read(html)
    assert set(page.tags) <= TAGS
    assert page.attributes <= STYLES
    assert len(html) < 20_000
    said = "".join(page.texts)
    assert said.isprintable()
    product = PRODUCTS[0]
    assert product in said
    if kind in {"Catalog", "Model"}:
        assert HOSTILE[0][:30] in said


def test_counts_and_accuracies_are_those_of_the_values(shown):
    rows = read(shown["Catalog"]._repr_html_()).texts
    catalog = shown["Catalog"]
    at = rows.index(HOSTILE[0])
    mine = [each for each in catalog if (each.product, each.category) == (rows[at - 1], HOSTILE[0])]
    assert rows[at + 1 : at + 3] == [str(len(mine)), str(len({each.image for each in mine}))]
    run = shown["Results"].runs[0]
    said = read(shown["Results"]._repr_html_()).texts
    assert any(text.startswith(f"{100 * run.accuracy.mean:.1f} [") for text in said)
    accuracy = shown["Model"].record.accuracy
    assert f"{100 * accuracy.mean:.1f} [" in shown["Model"]._repr_html_()


def test_long_tables_and_texts_are_cut():
    html = table_html("many", ["name", "n"], ([f"row {n}", n] for n in range(1000)), 1000)
    texts = read(html).texts
    assert texts.count(f"row {MOST_ROWS - 1}") == 1
    assert f"row {MOST_ROWS}" not in texts
    assert texts[-1] == f"and {1000 - MOST_ROWS} more"
    cell = read(facts_html("facts", [("long", "x" * 1000), ("absent", None)])).texts
    assert len(cell[-1]) == LONGEST_TITLE
    assert len(read(table_html("one", ["name"], [["x" * 1000]], 1)).texts[-1]) == LONGEST_CELL
    assert "absent" not in cell
