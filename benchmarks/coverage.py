"""How often 95 % intervals hold the truth, on data sets drawn from populations whose accuracy is known.

    python benchmarks/coverage.py [--sets 200] [--draws 500] [--work DIR] [--write]

``--write`` puts the tables into ``docs/adr/0033-intervals.md``. It takes about eight minutes on one core.

Each cell is the share of intervals, in percent, that hold the population's value: *ours*, by the functions that
``flawshot evaluate`` and ``flawshot fit`` call, beside three others of the same answers: *percentiles* of a bootstrap
over seeds and images together, its *BCa* (bias-corrected and accelerated), and *Student*'s, which has the variance and
quantile of ours, but not Wilson's form. ``width`` is the mean width of ours over that of percentiles. Commands use
10,000 draws; here there are 500 by default, which is enough because ours need only their variance.

- **simulated**: five categories, with 40 to 5 % of the queries, from easy to hard. An answer is right if a sum of
  normal effects is above zero: those of the category, the image (one to four instances), the instance, the seed, the
  seed on each category (a good or a bad example), and the answer. With fewer shots, seeds' effects are greater. The
  accuracy of such a classifier over all seeds and images is known in closed form, its calibration error from a large
  sample. A second classifier shares images and instances with the first, and half of the seeds' variance.
- **transistor**: MVREC's released features, ``default`` and ``prototype``. The population is 400 random support sets of
  the support file and the 21 queries; data sets draw seeds and queries from it with replacement.
- **magnetic tile**: 392 photographs, flawshot-tiny; half of the tiles for support sets, the others for queries, drawn
  tile by tile.
- **left out**: ``default`` fitted to K instances of each category of magnetic tile, each tile left out in turn, and
  asked for all instances of other tiles; the truth is the mean of the categories' accuracies. *this model* is the model
  that was fitted, *average* the mean over all such fits. There are a quarter as many data sets.

Real data is looked for in FLAWSHOT_SHARED (by default ``../shared/data``); what is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import norm

import flawshot
from accuracy import put
from flawshot.classifiers.base import Evidence, Support
from flawshot.evaluation.estimates import (
    difference_parts,
    estimate_category,
    estimate_error,
    estimate_share,
    independent_answers,
    share_parts,
)
from flawshot.evaluation.intervals import difference_interval, wilson
from flawshot.evaluation.metrics import corrected_calibration_error, expected_calibration_error
from flawshot.evaluation.scores import QueryPredictions, QueryTable, resample
from flawshot.models.accuracy import measure_accuracy
from flawshot.models.leave_one_out import leave_one_out
from other_intervals import accelerated, percentiles, reflected, student, two_way
from pools import SHARED, magnetic_tile, transistor
from two_way import draws

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from other_intervals import Interval
    from pools import Pool

PAGE = Path(__file__).resolve().parents[1] / "docs" / "adr" / "0033-intervals.md"
SHOTS, SEEDS, QUERIES = (1, 3, 5), (5, 15), (20, 50, 100, 400)
# Queries of data sets that are drawn from real features, and the support sets that seeds are drawn from.
REAL_QUERIES, SUPPORTS = (20, 50, 100), 400
LEFT_OUT_SHOTS = (3, 5, 10)
CLASSIFIERS = ("default", "prototype")
METHODS = ("percentiles", "BCa", "Student", "ours")
HEAD = ("K", "queries", "seeds")
# Simulated categories: shares of the queries, and means of the effects that make answers right.
SHARES = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
EASE = np.array([1.9, 1.2, 0.6, 0.2, -0.3])
IMAGE, INSTANCE, ANSWER, OWN, GAIN = 0.7, 0.7, 0.7, 0.4, 0.3
# By K: how much easier it is, the deviation of the seed's effect, and that of the seed's on each category.
BY_SHOTS = {1: (0.0, 0.3, 0.8), 3: (0.6, 0.2, 0.5), 5: (1.0, 0.15, 0.35)}


class Truth(NamedTuple):
    """The population's values: of the first of two classifiers, and the difference of the second."""

    accuracy: float
    difference: float
    per_category: np.ndarray
    ece: float


class Setting(NamedTuple):
    """What is drawn: from which population, and how much; ``draws`` are the bootstrap's."""

    population: str
    shots: int
    queries: int
    seeds: int
    draws: int

    @property
    def line(self) -> tuple[str, ...]:
        """What its line of a table starts with."""
        return (str(self.shots), str(self.queries), str(self.seeds))


class Counts:
    """Whether intervals held the truth, and how wide they were, by table, line and method."""

    def __init__(self) -> None:
        self.held: dict[str, dict[tuple[str, ...], dict[str, list[bool]]]] = {}
        self.width: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, table: str, line: tuple[str, ...], truth: float, intervals: dict[str, Interval]) -> None:
        """Note a data set's intervals; a bound that equals the truth but for rounding holds it."""
        lines = self.held.setdefault(table, defaultdict(lambda: defaultdict(list)))
        for method, (low, high) in intervals.items():
            lines[line][method].append(low - 1e-9 <= truth <= high + 1e-9)
            self.width[table, *line][method].append(high - low)

    def table(self, name: str, head: Sequence[str]) -> str:
        """One table."""
        lines = self.held[name]
        methods = [method for method in METHODS if any(method in each for each in lines.values())]
        rows = [[*head, *methods, "width", "intervals"], ["---"] * (len(head) + len(methods) + 2)]
        for line, by_method in lines.items():
            shares = (f"{100 * np.mean(by_method[method]):.1f}" for method in methods)
            width = self.width[name, *line]
            ratio = np.mean(width["ours"]) / np.mean(width["percentiles"])
            rows.append([*line, *shares, f"{ratio:.2f}", str(len(by_method["ours"]))])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def true_values(shots: int) -> Truth:
    """What the simulated answers are worth over all seeds and images."""
    easier, by_seed, by_both = BY_SHOTS[shots]
    deviation = math.sqrt(IMAGE**2 + INSTANCE**2 + ANSWER**2 + OWN**2 + by_seed**2 + by_both**2)
    first, second = (norm.cdf((EASE + easier + gain) / deviation) for gain in (0.0, GAIN))
    rng = np.random.default_rng(0)
    several = [simulate(rng, Setting("", shots, 20_000, 1, 0))[0] for _ in range(200)]
    error = np.mean([expected_calibration_error(made.confidence, made.right) for made in several])
    return Truth(float(SHARES @ first), float(SHARES @ (second - first)), first, float(error))


def simulate(rng: np.random.Generator, setting: Setting) -> list[QueryPredictions]:
    """The answers of two classifiers to one data set's queries."""
    queries, seeds = setting.queries, setting.seeds
    easier, *deviations = BY_SHOTS[setting.shots]
    unit = np.repeat(np.arange(queries), rng.integers(1, 5, queries))[:queries]
    of_image = rng.choice(len(SHARES), unit[-1] + 1, p=SHARES)
    truth = np.where(rng.random(queries) < 0.8, of_image[unit], rng.choice(len(SHARES), queries, p=SHARES))
    shared = rng.normal(0, IMAGE, unit[-1] + 1)[unit] + rng.normal(0, INSTANCE, queries)

    def of_seeds() -> np.ndarray:
        return rng.normal(0, deviations[0], (seeds, 1)) + rng.normal(0, deviations[1], (seeds, len(SHARES)))[:, truth]

    common, made = of_seeds(), []
    for gain in (0.0, GAIN):
        effects = shared + rng.normal(0, OWN, queries) + math.sqrt(0.5) * (common + of_seeds())
        known = EASE[truth] + easier + gain + effects
        right = known + rng.normal(0, ANSWER, known.shape) > 0
        made.append((right, 0.2 + 0.8 * norm.cdf(0.6 * known - 0.3)))
    return answers(truth, unit, made)


def answers(
    truth: np.ndarray, unit: np.ndarray, made: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[QueryPredictions]:
    """Predictions of classifiers, each by what is right and its confidence, ``[seeds, queries]``."""
    seeds, queries = made[0][0].shape
    query, of_query, units = (np.tile(each, seeds) for each in (np.arange(queries), truth, unit))
    asked = QueryTable(seeds, np.repeat(np.arange(seeds), queries), query, of_query, units)
    return [
        QueryPredictions(asked, np.zeros(right.size, int), right.astype(float).ravel(), confidence.ravel())
        for right, confidence in made
    ]


def note(counts: Counts, setting: Setting, made: Sequence[QueryPredictions], truth: Truth, key: str) -> None:
    """Note the intervals of one data set."""
    asked, categories = made[0].asked, len(truth.per_category)
    queries, units, line = setting.queries, asked.units, setting.line
    values = resample(made, categories, key, setting.draws)
    drawn = [two_way(each, categories, key, setting.draws) for each in made]
    first, second = (each.right.reshape(asked.seeds, -1) for each in made)
    unit = asked.unit[:queries]

    per_seed = first.mean(axis=1).tolist()
    score = estimate_share(per_seed, values[0].accuracy, queries, units)
    intervals = {
        "percentiles": percentiles(score.mean, drawn[0].accuracy, wilson(queries * score.mean, queries)),
        "BCa": accelerated(score.mean, drawn[0].accuracy, first, unit),
        "Student": student(score.mean, share_parts(per_seed, values[0].accuracy, units), 0.0),
        "ours": score.ci95,
    }
    if score.mean == 1.0:  # there is nothing to resample
        intervals["BCa"] = intervals["Student"] = intervals["percentiles"]
    counts.add(f"{setting.population}: accuracy", line, truth.accuracy, intervals)

    gaps = (second - first).mean(axis=1).tolist()
    gap, of_gap = float(np.mean(gaps)), drawn[1].accuracy - drawn[0].accuracy
    parts = difference_parts(gaps, values[1].accuracy - values[0].accuracy, units)
    answers = independent_answers(queries, asked.seeds)
    intervals = {
        "percentiles": percentiles(gap, of_gap, None),
        "BCa": accelerated(gap, of_gap, second - first, unit),
        "Student": student(gap, parts, -1.0),
        "ours": difference_interval(gap, parts, answers),
    }
    if (first == second).all():
        reach = 1 - wilson(queries, queries)[0]
        intervals = dict.fromkeys(intervals, (-reach, reach))
    counts.add(f"{setting.population}: difference", line, truth.difference, intervals)

    for number, own in enumerate(truth.per_category):
        found = estimate_category(made[0], number, values[0].per_category[:, number])
        if found.mean is None or found.ci95 is None:
            continue
        wilsons = wilson(found.n_query * found.mean, found.n_query)
        intervals = {
            "percentiles": percentiles(found.mean, drawn[0].per_category[:, number], wilsons),
            "ours": found.ci95,
        }
        counts.add(f"{setting.population}: category", line, float(own), intervals)
        if number == categories - 1 and setting.population == "simulated":
            counts.add(f"{setting.population}: rarest category", line, float(own), intervals)

    told = [(made[0].confidence[at], made[0].right[at]) for at in asked.episodes()]
    errors = [expected_calibration_error(*own) for own in told]
    corrected = [corrected_calibration_error(*own, unit) for own in told]
    error = estimate_error(errors, corrected, values[0].ece, queries, units)
    intervals = {"percentiles": reflected(error.mean, drawn[0].ece), "ours": error.ci95}
    counts.add(f"{setting.population}: calibration error", line, truth.ece, intervals)


def chosen(rng: np.random.Generator, labels: np.ndarray, shots: int, allowed: np.ndarray) -> np.ndarray:
    """Rows of a support set: up to K of each category."""
    own = [np.flatnonzero(allowed & (labels == category)) for category in np.unique(labels)]
    return np.concatenate([rng.choice(rows, min(shots, len(rows)), replace=False) for rows in own])


def real(counts: Counts, name: str, pool: Pool, options: argparse.Namespace) -> None:
    """Data sets drawn from all support sets and queries of a pool."""
    asked = np.flatnonzero(~pool.support)
    truth, unit = pool.labels[asked], np.unique(pool.unit[asked], return_inverse=True)[1]
    rows_of = [np.flatnonzero(unit == number) for number in range(unit.max() + 1)]
    for shots in SHOTS:
        rng = np.random.default_rng(shots)
        rows = [chosen(rng, pool.labels, shots, pool.support) for _ in range(SUPPORTS)]
        supports = [Support(Evidence(pool.features[each]), pool.labels[each]) for each in rows]
        made = []
        for classifier in CLASSIFIERS:
            shares = []
            for first in range(0, SUPPORTS, 8):
                several = flawshot.make_classifier(classifier).fit_many(supports[first : first + 8])
                shares += [fitted.predict_evidence(Evidence(pool.features[asked])) for fitted in several]
            given = np.stack(shares)
            made.append((given.argmax(axis=2) == truth, given.max(axis=2).astype(float)))
        first, second = (right.astype(float) for right, _ in made)
        everywhere = Truth(
            float(first.mean()),
            float((second - first).mean()),
            np.array([first[:, truth == category].mean() for category in np.unique(truth)]),
            float(np.mean([expected_calibration_error(*each) for each in zip(made[0][1], first, strict=True)])),
        )
        for queries in REAL_QUERIES:
            for seeds in SEEDS:
                setting = Setting(name, shots, queries, seeds, options.draws)
                rng = np.random.default_rng([shots, queries, seeds])
                for number in range(options.sets):
                    units = rng.integers(0, len(rows_of), queries)
                    at = np.concatenate([rows_of[each] for each in units])[:queries]
                    of_unit = np.repeat(np.arange(queries), [len(rows_of[each]) for each in units])[:queries]
                    ids = rng.integers(0, SUPPORTS, seeds)
                    own = [(right[np.ix_(ids, at)], confidence[np.ix_(ids, at)]) for right, confidence in made]
                    note(counts, setting, answers(truth[at], of_unit, own), everywhere, str(number))


def left_out(counts: Counts, pool: Pool, options: argparse.Namespace) -> None:
    """Models fitted to few instances, and what leaving out says of them."""
    everywhere = np.ones(len(pool.labels), dtype=bool)
    for shots in LEFT_OUT_SHOTS:
        rng = np.random.default_rng(shots)
        results = []
        for _ in range(max(2, options.sets // 4)):
            rows = chosen(rng, pool.labels, shots, everywhere)
            features, labels, unit = pool.features[rows], pool.labels[rows], pool.unit[rows]
            classifier = flawshot.make_classifier("default")
            left = leave_one_out(classifier, features, labels, unit)
            names, guessed = ([str(each) for each in every] for every in (labels, left.probabilities.argmax(axis=1)))
            made = measure_accuracy(
                names, guessed, unit.astype(str).tolist(), folds=len(np.unique(unit)), estimated=left.estimated
            )
            others = ~np.isin(pool.unit, unit)
            fitted = flawshot.make_classifier("default").fit(features, labels)
            right = fitted.predict(pool.features[others]) == pool.labels[others]
            truth = np.mean([right[pool.labels[others] == each].mean() for each in np.unique(pool.labels[others])])
            if made is not None:
                own = [a == b for a, b in zip(names, guessed, strict=True)]
                results.append((float(truth), made, own, unit, left.estimated))
        average = float(np.mean([result[0] for result in results]))
        for truth, made, own, unit, estimated in results:
            right, units = np.array(own, dtype=float)[estimated], np.unique(unit[estimated], return_inverse=True)[1]
            (draw,) = draws(1, int(units.max()) + 1, "left out", options.draws)
            drawn = (draw.units @ np.bincount(units, right)) / (draw.units @ np.bincount(units))
            before = percentiles(made.mean, drawn, wilson(right.sum(), len(right)))
            intervals = {"percentiles": before, "ours": made.ci95}
            counts.add("left out: accuracy", (str(shots), str(5 * shots), "this model"), truth, intervals)
            counts.add("left out: accuracy", (str(shots), str(5 * shots), "average"), average, intervals)


def study(counts: Counts, options: argparse.Namespace) -> Iterator[None]:
    """All of it, one population at a time."""
    for shots in SHOTS:
        truth = true_values(shots)
        for queries in QUERIES:
            for seeds in SEEDS:
                setting = Setting("simulated", shots, queries, seeds, options.draws)
                rng = np.random.default_rng([shots, queries, seeds])
                for number in range(options.sets):
                    note(counts, setting, simulate(rng, setting), truth, str(number))
    yield
    if (SHARED / "mvrec").is_dir():
        real(counts, "transistor", transistor(), options)
        yield
    else:
        print(f"left out: {SHARED / 'mvrec'} is not there")
    if (SHARED / "magnetic-tile").is_dir():
        pool = magnetic_tile(options.work)
        real(counts, "magnetic tile", pool, options)
        yield
        left_out(counts, pool, options)
        yield
    else:
        print(f"left out: {SHARED / 'magnetic-tile'} is not there")


def show(counts: Counts, name: str, *, write: bool) -> None:
    """Print a table, and put it into the docs if asked to."""
    head = HEAD if not name.startswith("left out") else ("K", "examples", "truth")
    text = counts.table(name, head)
    print(f"\n{name}\n\n{text}", flush=True)
    if write:
        put(text, name.replace(": ", "-").replace(" ", "-"), PAGE)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="data sets for each line")
    parser.add_argument("--draws", type=int, default=500, help="bootstrap draws for each data set, at most 4,000")
    parser.add_argument("--work", type=Path, help="where features are kept; by default a temporary folder")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/adr/0033-intervals.md")
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        options.work = options.work or Path(temporary)
        options.work.mkdir(parents=True, exist_ok=True)
        counts, done = Counts(), set[str]()
        for _ in study(counts, options):
            for name in [each for each in counts.held if each not in done]:
                show(counts, name, write=options.write)
            done.update(counts.held)
    print(f"\n{options.sets} data sets a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
