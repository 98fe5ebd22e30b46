"""Accuracy against K as matplotlib's axes: the values that are drawn, and names that are only text."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from flawshot import FlawshotError
from flawshot.evaluation.curves import shortened
from hostile import PRODUCTS, hostile_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return hostile_results(tmp_path_factory.mktemp("hostile") / "bank")


@pytest.fixture(autouse=True)
def without_windows(monkeypatch):
    import matplotlib.pyplot as plt

    before = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


@pytest.mark.parametrize("product", [*PRODUCTS, None])
def test_lines_and_intervals_are_those_of_the_results(results, product, tmp_path):
    axes = results.plot(product)
    every = results.means if product is None else [run for run in results.runs if run.product == product]
    names = dict.fromkeys(each.classifier for each in every)
    drawn = {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}
    assert list(drawn) == [*names]
    for (name, line), bars in zip(drawn.items(), axes.collections, strict=True):
        own = [each for each in every if each.classifier == name]
        np.testing.assert_allclose(line.get_ydata(), [100 * each.accuracy.mean for each in own])
        ends = [segment[:, 1] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, [[100 * end for end in each.accuracy.ci95] for each in own], atol=1e-9)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3"]
    assert axes.get_title() == ("mean of 2 products" if product is None else shortened(product))
    axes.figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_the_only_product_needs_no_name(results):
    one = [run for run in results.runs if run.product == PRODUCTS[0]]
    alone = results.model_copy(update={"runs": tuple(one), "means": (), "comparisons": (), "answers": ()})
    assert alone.plot().get_title() == shortened(PRODUCTS[0])


def test_an_unknown_product_is_refused(results):
    with pytest.raises(FlawshotError, match=r"^product='nut': is not in the results, which have .*bolt"):
        results.plot("nut")


def test_a_dollar_sign_in_a_name_starts_no_formula(results, tmp_path):
    name = "$\\frac{a}$"
    runs = tuple(run.model_copy(update={"product": name}) for run in results.runs if run.product == PRODUCTS[0])
    axes = results.model_copy(update={"runs": runs, "means": (), "comparisons": (), "answers": ()}).plot()
    axes.figure.savefig(tmp_path / "plot.svg")
    assert axes.get_title() == name
