"""The answer in a sentence: true for one product and several, whatever stands beside."""

from __future__ import annotations

import pytest

from flawshot.evaluation.result_records import CategoryScore, Comparison, EpisodeScore, Estimate, MeanScore, Run
from flawshot.evaluation.results import Results
from flawshot.report.sentence import sentence


def estimate(mean, low, high):
    return Estimate(mean=mean, std=None, ci95=(low, high))


def run(product="bolt", classifier="default", shots=5, queries=40, accuracy=(0.9, 0.8, 0.95), transductive=False):
    return Run(
        product=product,
        classifier=classifier,
        transductive=transductive,
        shots=shots,
        views=1,
        n_query=queries,
        categories=("a", "b"),
        accuracy=estimate(*accuracy),
        macro_recall=estimate(*accuracy),
        ece=estimate(0, 0, 0),
        per_category=dict.fromkeys(("a", "b"), CategoryScore(mean=None, ci95=None, n_query=0)),
        confusion=None,
        episodes=(EpisodeScore(seed=0, accuracy=0, macro_recall=0, fit_seconds=0, predict_seconds=0),),
    )


def against(classifier, difference, product="bolt", shots=5):
    return Comparison(
        product=product, shots=shots, classifier=classifier, reference="default", difference=estimate(*difference)
    )


def mean(accuracy, products=("bolt", "nut"), shots=5):
    return MeanScore(classifier="default", shots=shots, products=products, accuracy=estimate(*accuracy))


def results(runs, comparisons=(), means=()):
    return Results(runs=tuple(runs), comparisons=tuple(comparisons), means=tuple(means), provenance={})


BOTH = [run(queries=40), run("nut", queries=300, accuracy=(0.5, 0.4, 0.6))]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(
            results([run(), run(classifier="knn")], [against("knn", (-0.041, -0.073, -0.01))]),
            "At 5 shots default is right on 90.0 % of 40 query instances [80.0, 95.0], "
            "4.1 points more than knn [1.0, 7.3].",
            id="one product, the reference ahead",
        ),
        pytest.param(
            results([run()], [against("knn", (0.02, -0.01, 0.05)), against("gda", (0.01, -0.01, 0.05))]),
            "At 5 shots default is right on 90.0 % of 40 query instances [80.0, 95.0], "
            "2.0 points fewer than knn [-1.0, 5.0]; the difference may be due to chance.",
            id="behind the strongest, not for certain",
        ),
        pytest.param(
            results([run()], [against("knn", (0.0001, -0.02, 0.03))]),
            "At 5 shots default is right on 90.0 % of 40 query instances [80.0, 95.0], on par with knn [-3.0, +2.0].",
            id="level",
        ),
        pytest.param(
            results([run(shots=1)]),
            "At 1 shot default is right on 90.0 % of 40 query instances [80.0, 95.0].",
            id="nothing to compare with",
        ),
        pytest.param(
            results([run(), run(classifier="both", transductive=True)], [against("both", (0.03, 0.01, 0.05))]),
            "At 5 shots default is right on 90.0 % of 40 query instances [80.0, 95.0], "
            "3.0 points fewer than both (which sees all queries at once) [1.0, 5.0].",
            id="the strongest is told more",
        ),
        pytest.param(
            results(BOTH, [against("knn", (-0.1, -0.2, -0.05), product=None)], [mean((0.7, 0.6, 0.8))]),
            "At 5 shots default is right on 70.0 % [60.0, 80.0], the mean over 2 products with 40 to 300 query "
            "instances, all products weighted equally, 10.0 points more than knn [5.0, 20.0].",
            id="the mean is of products, not of their queries together",
        ),
        pytest.param(
            results([*BOTH, run("screw", shots=1)], means=[mean((0.7, 0.6, 0.8))]),
            "At 5 shots default is right on 70.0 % [60.0, 80.0], the mean over 2 of 3 products with 40 to 300 query "
            "instances, all products weighted equally.",
            id="a product without this K is not counted",
        ),
        pytest.param(
            results([run(shots=1), run("nut", shots=1), run("nut", shots=10)], means=[mean((0.7, 0.6, 0.8), shots=1)]),
            "At 1 shot default is right on 70.0 % [60.0, 80.0], the mean over 2 products with 40 query instances, "
            "all products weighted equally.",
            id="a K that only one product has does not stand for all",
        ),
        pytest.param(
            results([run(shots=1), run("n\u202eut", shots=5)]),
            "At 5 shots default is right on 90.0 % of 40 query instances of n\\u202eut [80.0, 95.0].",
            id="one product of several is named, its name as text",
        ),
    ],
)
def test_the_sentence(found, said):
    assert sentence(found) == said
