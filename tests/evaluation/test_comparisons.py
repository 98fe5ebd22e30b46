"""Every interval of an evaluation against a plain statement, from the answers that the results contain."""

from __future__ import annotations

import numpy as np
import pytest

import plain_intervals as plain
from flawshot import evaluate, sample_episodes

CATEGORIES = ("dent", "scratch", "stain")
IMAGES = [(f"{p}/{c}{n}", [c] * (1 + n % 3)) for p in "pq" for c in CATEGORIES for n in range(14)]
NAMES = ("prototype", "knn", "linear-probe")
# Bounds from other draws differ by this share of the interval's width.
SLACK = 0.03


@pytest.fixture
def evaluated(bank_of, catalog_of):
    """Five seeds, two products, and images of one to three instances; each seed has queries of its own."""
    bank = bank_of(catalog_of(IMAGES, layout="{product}/**"), spread=2.2)
    return evaluate(bank, [sample_episodes(bank.catalog, product, 2) for product in "pq"], NAMES), bank.catalog


class Told:
    """What classifiers answered on one product: seed, truth and unit of each answer, and what is right by name."""

    def __init__(self, evaluated, product):
        results, catalog = evaluated
        (own,) = [each for each in results.answers if each.product == product]
        query, rows = np.array(own.query), catalog.row_of
        self.seed, self.truth = np.array(own.seed), np.array(own.true)[query]
        self.unit = np.array([catalog.column("image")[rows[identifier]] for identifier in own.ids])[query]
        self.right = {name: (np.array(own.predicted[name]) == self.truth).astype(float) for name in NAMES}
        self.confidence = {name: np.array(own.probability[name]) for name in NAMES}
        self.queries, self.units = len(np.unique(query)), len(np.unique(self.unit))

    def by_seed(self, value):
        return [value[self.seed == seed].mean() for seed in np.unique(self.seed)]


def near(bounds):
    return pytest.approx(bounds, abs=SLACK * (bounds[1] - bounds[0]))


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_and_categories_have_the_plain_intervals(evaluated, name):
    told = Told(evaluated, "p")
    (run,) = [each for each in evaluated[0].runs if (each.product, each.classifier) == ("p", name)]
    right = told.right[name]
    values = plain.drawn(told.unit, told.seed, right[:, None])[:, 0]
    assert run.accuracy.ci95 == near(plain.share(told.by_seed(right), values, told.units, told.queries))
    for number, category in enumerate(run.categories):
        own = told.truth == number
        unit, seed = told.unit[own], told.seed[own]
        values = plain.drawn(unit, seed, right[own, None])[:, 0]
        per_seed = [right[own & (told.seed == each)].mean() for each in np.unique(seed)]
        score = run.per_category[category]
        assert score.ci95 == near(plain.share(per_seed, values, len(np.unique(unit)), score.n_query))


@pytest.mark.parametrize("name", NAMES)
def test_a_calibration_errors_interval_allows_for_what_sampling_adds(evaluated, name):
    told = Told(evaluated, "q")
    (run,) = [each for each in evaluated[0].runs if (each.product, each.classifier) == ("q", name)]
    low, high = plain.error(told.confidence[name], told.right[name], told.unit, told.seed, 2 * told.queries)
    assert run.ece.ci95 == near((low, high))
    assert run.ece.ci95[0] < run.ece.mean < run.ece.ci95[1]


@pytest.mark.parametrize("name", NAMES[1:])
def test_differences_are_those_of_the_same_answers(evaluated, name):
    """Pairs: both classifiers' answers to the same queries, seed by seed and image by image."""
    results, _ = evaluated
    by_product, parts, answers = {}, [], 0
    for product in "pq":
        told = Told(evaluated, product)
        both = np.stack([told.right[name], told.right[NAMES[0]]], axis=1)
        values = plain.drawn(told.unit, told.seed, both) @ [1, -1]
        per_seed = told.by_seed(both @ [1, -1])
        asked = told.queries * 2  # five seeds' answers to the same queries
        by_product[product] = plain.difference(per_seed, values, told.units, asked)
        error, freedom = plain.spread(per_seed, values, told.units)
        parts.append((np.mean(per_seed), error, freedom))
        answers += asked
        # Images and seeds are equally hard for both, so their difference varies less than two unpaired ones.
        apart = plain.spread(told.by_seed(told.right[name]), plain.drawn(told.unit, told.seed, both)[:, 0], told.units)
        assert error < 1.2 * apart[0]
    mean, error, freedom = (np.array(column) for column in zip(*parts, strict=True))
    by_product[None] = plain.student(
        mean.mean(), ((error**2).sum() / 4 + answers**-2) ** 0.5, (error**2).sum() ** 2 / (error**4 / freedom).sum()
    )
    found = {each.product: each.difference for each in results.comparisons if each.classifier == name}
    for product, bounds in by_product.items():
        assert found[product].ci95 == near(bounds), product


def test_fifteen_seeds_answers_to_the_same_queries_count_as_two(bank_of, catalog_of):
    """Of a few answers that differ, the one more of two for each query is more than all of the variance."""
    bank = bank_of(catalog_of(IMAGES, layout="{product}/**"), spread=0.8)
    results = evaluate(bank, [sample_episodes(bank.catalog, "p", 5, seeds=range(15))], NAMES)
    told = Told((results, bank.catalog), "p")
    both = np.stack([told.right[name] for name in NAMES[1::-1]], axis=1)
    values, per_seed = plain.drawn(told.unit, told.seed, both) @ [1, -1], told.by_seed(both @ [1, -1])
    (found,) = [each for each in results.comparisons if each.product and each.classifier == NAMES[1]]
    narrow, expected = (plain.difference(per_seed, values, told.units, n * told.queries) for n in (15, 2))
    assert found.difference.ci95 == near(expected)
    assert found.difference.ci95 != near(narrow)


@pytest.mark.parametrize("name", NAMES)
def test_means_over_products_add_their_variances(evaluated, name):
    means, variances, items = [], [], 0
    for product in "pq":
        told = Told(evaluated, product)
        right = told.right[name]
        per_seed = told.by_seed(right)
        values = plain.drawn(told.unit, told.seed, right[:, None])[:, 0]
        error, freedom = plain.spread(per_seed, values, told.units)
        means.append(np.mean(per_seed))
        variances.append((error**2 / 4, freedom))
        items += (told.queries * told.units) ** 0.5
    total = sum(variance for variance, _ in variances)
    freedom = total**2 / sum(variance**2 / own for variance, own in variances)
    (mean,) = [each for each in evaluated[0].means if each.classifier == name]
    assert mean.accuracy.ci95 == near(plain.score_test(np.mean(means), total, freedom, items))
