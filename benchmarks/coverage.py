"""How often 95 % intervals hold the truth, on data sets drawn from populations whose accuracy is known.

    python benchmarks/coverage.py [--sets 500] [--draws 1000] [--shots 1 3 5] [--write]

Each line is a share of data sets whose interval holds the population's value, with those of flawshot (*ours*: the
functions that ``flawshot evaluate`` and ``flawshot fit`` call) beside the percentiles of the same bootstrap draws
(*percentiles*), the bias-corrected and accelerated ones (*BCa*), and Student's interval of the same variance without
Wilson's form (*Student*). ``width`` is the mean width of ours over that of percentiles. Results have 10,000 draws; here
there are 1,000 by default, because ours need only their variance.

- **simulated**: five categories, 40 to 5 % of the queries, from easy to hard. An answer is right if a sum of normal
  effects is above zero: those of the category, the image (one to four instances), the instance, the seed, the seed and
  category (a good or bad example), and the answer. With fewer shots the effects of seeds are greater. The accuracy of
  such a classifier over all seeds and images is known in closed form, that of its calibration error from a large sample.
  A second classifier shares images and instances, and half of the seeds' effects.
- **transistor**: features that MVREC released. Queries are drawn from its query file with replacement, and each seed's
  support set from its support file, classifier ``default``. The truth is the mean over 2,000 support sets of the
  accuracy on the whole query file.
- **left out**: models fitted to K instances of each category of the query file, each left out in turn. The truth is the
  fitted model's accuracy on the support file, with every category weighted as in the fit.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import norm

import flawshot
from flawshot.classifiers.base import Evidence, Support
from flawshot.evaluation.estimates import difference_parts, estimate_category, estimate_error, estimate_share, share_parts
from flawshot.evaluation.intervals import combined, difference_interval, draws, percentile_interval, wilson
from flawshot.evaluation.metrics import expected_calibration_error
from flawshot.evaluation.scores import QueryPredictions, QueryTable, resample
from flawshot.formats.mvrec_features import read_mvrec_features
from flawshot.models.accuracy import measure_accuracy
from flawshot.models.leave_one_out import leave_one_out

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
QUERIES, SEEDS = (20, 50, 100, 400), (5, 15)
METHODS = ("percentiles", "BCa", "Student", "ours")
# Simulated categories: shares of the queries, and means of the effects that make answers right.
SHARES = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
EASE = np.array([1.9, 1.2, 0.6, 0.2, -0.3])
IMAGE, INSTANCE, ANSWER, OWN = 0.7, 0.7, 0.7, 0.4
# By K: how much easier it is, the deviation of the seed's effect, and that of the seed's on each category.
BY_SHOTS = {1: (0.0, 0.3, 0.8), 3: (0.6, 0.2, 0.5), 5: (1.0, 0.15, 0.35)}
GAIN = 0.3


class Population(NamedTuple):
    """The true values of two simulated classifiers; of the second only the gain in accuracy."""

    accuracy: float
    difference: float
    per_category: np.ndarray
    ece: float


def population(shots: int) -> Population:
    """What the simulated answers are worth over all seeds and images."""
    easier, by_seed, by_both = BY_SHOTS[shots]
    deviation = math.sqrt(IMAGE**2 + INSTANCE**2 + ANSWER**2 + OWN**2 + by_seed**2 + by_both**2)
    first, second = (norm.cdf((EASE + easier + gain) / deviation) for gain in (0.0, GAIN))
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        (made, _) = simulated(rng, 1, 20_000, shots)
        errors.append(expected_calibration_error(made.confidence, made.right))
    return Population(float(SHARES @ first), float(SHARES @ (second - first)), first, float(np.mean(errors)))


def simulated(rng: np.random.Generator, seeds: int, queries: int, shots: int) -> tuple[QueryPredictions, ...]:
    """The answers of two classifiers to one data set's queries."""
    easier, by_seed, by_both = BY_SHOTS[shots]
    unit = np.repeat(np.arange(queries), rng.integers(1, 5, queries))[:queries]
    of_image = rng.choice(len(SHARES), unit[-1] + 1, p=SHARES)
    truth = np.where(rng.random(queries) < 0.8, of_image[unit], rng.choice(len(SHARES), queries, p=SHARES))
    shared = rng.normal(0, IMAGE, unit[-1] + 1)[unit] + rng.normal(0, INSTANCE, queries)
    common = [rng.normal(0, by_seed, (seeds, 1)), rng.normal(0, by_both, (seeds, len(SHARES)))]
    asked = QueryTable(
        seeds, np.repeat(np.arange(seeds), queries), *(np.tile(each, seeds) for each in (np.arange(queries), truth, unit))
    )
    made = []
    for gain in (0.0, GAIN):
        seed, both = (math.sqrt(0.5) * (each + rng.normal(0, scale, each.shape)) for each, scale in zip(common, (by_seed, by_both), strict=True))
        known = EASE[truth] + easier + gain + shared + rng.normal(0, OWN, queries) + seed + both[:, truth]
        right = (known + rng.normal(0, ANSWER, known.shape) > 0).astype(float).ravel()
        confidence = 0.2 + 0.8 * norm.cdf(0.6 * known.ravel() - 0.3)
        predicted = np.where(right, asked.truth, (asked.truth + 1) % len(SHARES))
        made.append(QueryPredictions(asked, predicted, right, confidence))
    return tuple(made)


class Counts:
    """How many intervals held the truth, and how wide they were, by line and method."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, ...], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        self.width: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, line: tuple[str, ...], truth: float, intervals: dict[str, tuple[float, float]]) -> None:
        """Note one data set's intervals; a bound that equals the truth but for rounding holds it."""
        for method, (low, high) in intervals.items():
            self.held[line][method].append(low - 1e-9 <= truth <= high + 1e-9)
            self.width[line][method].append(high - low)

    def table(self, head: tuple[str, ...], kind: str) -> str:
        """The lines whose first entry is ``kind``."""
        lines = [line for line in self.held if line[0] == kind]
        methods = [method for method in METHODS if any(method in self.held[line] for line in lines)]
        rows = [[*head, *methods, "width", "intervals"]]
        for line in lines:
            shares = (f"{100 * np.mean(self.held[line][method]):.1f}" for method in methods)
            wider = np.mean(self.width[line]["ours"]) / np.mean(self.width[line]["percentiles"])
            rows.append([*line[1:], *shares, f"{wider:.2f}", str(len(self.held[line]["ours"]))])
        rows.insert(1, ["---"] * len(rows[0]))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def percentiles(mean: float, values: np.ndarray, queries: int, reflected: bool = False) -> tuple[float, float]:
    """Percentiles of the draws, or Wilson's interval if all are right or wrong."""
    low, high = percentile_interval(values)
    if reflected:
        low, high = max(0.0, 2 * mean - high), min(1.0, 2 * mean - low)
    elif queries and mean in {0.0, 1.0}:
        low, high = wilson(queries * mean, queries)
    return min(low, mean), max(high, mean)


def accelerated(mean: float, values: np.ndarray, right: np.ndarray, unit: np.ndarray) -> tuple[float, float]:
    """Efron's BCa interval, accelerated by the jackknife over seeds and units; ``right`` is ``[seeds, queries]``."""
    sums, sizes = np.bincount(unit, right.mean(axis=0)), np.bincount(unit)
    by_unit = (sums.sum() - sums) / (sizes.sum() - sizes) if len(sums) > 1 else np.zeros(1)
    by_seed = (right.mean() * len(right) - right.mean(axis=1)) / (len(right) - 1)
    gaps = np.concatenate([(own.mean() - own) * (len(own) - 1) / len(own) for own in (by_unit, by_seed)])
    below = np.mean(values < mean) + np.mean(values == mean) / 2
    if not gaps.any() or not 0 < below < 1:
        return percentile_interval(values)
    shift, speed = norm.ppf(below), (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    ends = (shift + z for z in norm.ppf([0.025, 0.975]))
    low, high = np.quantile(values, [norm.cdf(shift + end / (1 - speed * end)) for end in ends])
    return min(float(low), mean), max(float(high), mean)


def student(mean: float, parts: list, least: float = 0.0) -> tuple[float, float]:
    """Student's interval of the same parts, without Wilson's form."""
    total = combined(parts)
    reach = norm.ppf(0.975) if math.isinf(total.freedom) else student_quantile(total.freedom)
    reach *= math.sqrt(total.variance)
    return max(least, mean - reach), min(1.0, mean + reach)


def student_quantile(freedom: float) -> float:
    """Student's two-sided quantile."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def count_answers(counts: Counts, kinds: str, made: tuple[QueryPredictions, ...], truth: Population, draws_of: int, line: tuple[str, ...], key: str) -> None:
    """Note the intervals of one data set."""
    asked, queries = made[0].asked, len(np.unique(made[0].asked.query))
    categories = len(truth.per_category)
    several = resample(made, categories, key, draws_of)
    first, second = (each.right.reshape(asked.seeds, -1) for each in made)
    values, unit, units = several[0], asked.unit[: first.shape[1]], asked.units
    per_seed = first.mean(axis=1).tolist()
    ours = estimate_share(per_seed, values.accuracy, queries, units)
    parts = share_parts(per_seed, values.accuracy, units)
    counts.add((f"{kinds} accuracy", *line), truth.accuracy, {
        "percentiles": percentiles(ours.mean, values.accuracy, queries),
        "BCa": accelerated(ours.mean, values.accuracy, first, unit),
        "Student": student(ours.mean, parts),
        "ours": ours.ci95,
    })
    gaps = (second - first).mean(axis=1).tolist()
    mean, drawn = float(np.mean(gaps)), several[1].accuracy - several[0].accuracy
    parts, reach = difference_parts(gaps, drawn, units), 1 - wilson(queries, queries)[0]
    same = (-reach, reach) if (first == second).all() else None
    counts.add((f"{kinds} difference", *line), truth.difference, {
        "percentiles": same or percentiles(mean, drawn, 0),
        "BCa": same or accelerated(mean, drawn, second - first, unit),
        "Student": same or student(mean, parts, -1.0),
        "ours": same or difference_interval(mean, parts, queries),
    })
    for number, own in enumerate(truth.per_category):
        score = estimate_category(made[0], number, values.per_category[:, number])
        if score.mean is None:
            continue
        drawn = values.per_category[:, number]
        before = percentiles(score.mean, drawn, score.n_query)
        if units < 2 and asked.seeds < 2:
            before = wilson(score.mean, 1)
        for name in ("category", *(["rarest"] if number == len(truth.per_category) - 1 else [])):
            counts.add((f"{kinds} {name}", *line), float(own), {"percentiles": before, "ours": score.ci95})
    errors = [expected_calibration_error(made[0].confidence[place], made[0].right[place]) for place in asked.episodes()]
    if np.isfinite(truth.ece):
        ours = estimate_error(errors, values.ece, units)
        counts.add((f"{kinds} calibration", *line), truth.ece, {
            "percentiles": percentiles(ours.mean, values.ece, queries, reflected=True), "ours": ours.ci95,
        })
