"""Who leads by how much: every classifier's paired difference to the best single one, and its worst regret.

    python benchmarks/scoreboard.py [--work DIR] [--classifiers a,b,…]

``accuracy.py`` prints the same tables behind its own. A classifier's regret on a data set at one K is how far its mean
accuracy lies below that of the best single inductive classifier there that sees features only; who is best is known
only afterwards, which is what a default has to make up for. Its worst regret is the greatest over data sets. Intervals
of differences are those of ``flawshot evaluate`` (``docs/adr/0033-intervals.md``), from 2,000 bootstrap draws. As the
best is chosen on the same queries, its lead is overstated. The mean of a lead over data sets takes these as
independent, although some share images. ``banks.py`` says what is run on; the drawn products are those on which nothing
was chosen.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import flawshot
from banks import SHARED, DataSet, held_out, magnetic_tile, magnetic_tile_tiny, pooled_transistor, transistor
from flawshot.evaluation.estimates import difference_parts, independent_answers
from flawshot.evaluation.intervals import difference_interval, mean_parts, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.evaluation.intervals import Part

DRAWS = 2000
# What is not compared with the best: baselines that learn nothing.
BASELINES = ("chance", "majority", "outline")


def accuracies(results: flawshot.Results) -> dict[tuple[str, int], float]:
    """Mean accuracy of each classifier and K over products."""
    found: dict[tuple[str, int], list[float]] = {}
    for run in results.runs:
        if run.classifier not in BASELINES:
            found.setdefault((run.classifier, run.shots), []).append(run.accuracy.mean)
    return {key: float(np.mean(values)) for key, values in found.items()}


def best_single(results: flawshot.Results) -> dict[int, str]:
    """The inductive classifier on features with the greatest mean accuracy at each K; of equal ones the first."""
    inductive = {run.classifier for run in results.runs if not run.transductive} - {"default-outline"}
    leading: dict[int, tuple[float, str]] = {}
    for (name, shots), value in accuracies(results).items():
        if name in inductive and value > leading.get(shots, (-1.0, ""))[0]:
            leading[shots] = value, name
    return {shots: name for shots, (_, name) in leading.items()}


class Lead(NamedTuple):
    """The mean of one classifier's accuracy minus another's.

    Attributes:
        mean: The difference.
        parts: Of its variance, by product.
        answers: As how many independent answers it counts.
    """

    mean: float
    parts: list[list[Part]]
    answers: float

    def __str__(self) -> str:
        """In points, with its 95 % interval."""
        return percent(self.mean, difference_interval(self.mean, mean_parts(self.parts), self.answers), signed=True)


def lead(
    bank: flawshot.FeatureBank, groups: dict[str, str], results: flawshot.Results, names: tuple[str, str], shots: int
) -> Lead:
    """The first classifier's accuracy minus the second's.

    Args:
        bank: The bank that was evaluated.
        groups: The group of each image, if images are not independent.
        results: The results, with answers.
        names: The two classifiers.
        shots: K.
    """
    rows, images = bank.catalog.row_of, bank.catalog.column("image")
    means, parts, count = [], [], 0.0
    for number, answers in enumerate(each for each in results.answers if each.shots == shots):
        truth = np.array(answers.true)[list(answers.query)]
        first, second = (np.array(answers.predicted[name]) == truth for name in names)
        own = [images[rows[answers.ids[query]]] for query in answers.query]
        _, units = np.unique([groups.get(image, image) for image in own], return_inverse=True)
        _, seeds = np.unique(answers.seed, return_inverse=True)
        values = first.astype(float) - second
        per_seed = (np.bincount(seeds, values) / np.bincount(seeds)).tolist()
        means.append(float(np.mean(per_seed)))
        parts.append(difference_parts(per_seed, resampled(values, seeds, units, number), int(units.max()) + 1))
        count += independent_answers(len(answers.ids), len(per_seed))
    return Lead(float(np.mean(means)), parts, count)


def resampled(
    values: NDArray[np.float64], seeds: NDArray[np.intp], units: NDArray[np.intp], start: int
) -> NDArray[np.float64]:
    """The mean over seeds of the mean of their values in bootstrap draws of units, float64 ``[draws]``.

    Args:
        values: One per answer.
        seeds: The seed of each answer, as numbers from 0.
        units: The image or group of each, likewise.
        start: Where the random numbers start.
    """
    count = units.max() + 1
    drawn = np.random.default_rng(start).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    table = np.zeros((2, seeds.max() + 1, count))
    np.add.at(table[0], (seeds, units), values)
    np.add.at(table[1], (seeds, units), 1.0)
    sums = np.einsum("tsu,du->tds", table, drawn)
    with np.errstate(invalid="ignore"):
        made: NDArray[np.float64] = np.nanmean(sums[0] / sums[1], axis=1)
    return made


def differences(data: DataSet, results: flawshot.Results) -> str:
    """One data set's table: every classifier's difference to the best single one at each K."""
    best, found = best_single(results), accuracies(results)
    groups = groups_of(data)
    shots = sorted(best)
    lines = [
        "| difference to the best | " + " | ".join(f"K = {k}: `{best[k]}`" for k in shots) + " |",
        "|---" * (1 + len(shots)) + "|",
    ]
    for name in dict.fromkeys(name for name, _ in found):
        cells = [
            "best" if name == best[k] else str(lead(data.bank, groups, results, (name, best[k]), k)) for k in shots
        ]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def groups_of(data: DataSet) -> dict[str, str]:
    """The group of each image that has one."""
    return {image: group for each in data.episodes for image, group in (each.groups or {}).items()}


def leads(made: Sequence[tuple[DataSet, flawshot.Results]]) -> str:
    """How far the first classifier leads every other one, in the mean over data sets at each K."""
    shared = [set(accuracies(results)) for _, results in made]
    every = [key for key in accuracies(made[0][1]) if all(key in found for found in shared)]
    names, shots = list(dict.fromkeys(name for name, _ in every)), sorted({k for _, k in every})
    first, *others = names
    lines = [
        f"| lead of `{first}`, mean over data sets | " + " | ".join(f"K = {k}" for k in shots) + " |",
        "|---" * (1 + len(shots)) + "|",
    ]
    for name in others:
        cells = []
        for k in shots:
            own = [lead(data.bank, groups_of(data), results, (first, name), k) for data, results in made]
            parts = [mean_parts(each.parts) for each in own]
            cells.append(str(Lead(float(np.mean([each.mean for each in own])), parts, sum(e.answers for e in own))))
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def products(results: flawshot.Results) -> str:
    """Accuracy of each product and the mean over products, as papers print them; empty with one product."""
    names = list(dict.fromkeys(run.product for run in results.runs))
    if len(names) < 2:
        return ""
    runs = {(run.product, run.classifier, run.shots): run.accuracy.mean for run in results.runs}
    means = {(mean.classifier, mean.shots): mean.accuracy for mean in results.means}
    lines = [
        f"| classifier | K | {' | '.join(names)} | mean [95 % interval over seeds and images] |",
        "|---" * (3 + len(names)) + "|",
    ]
    for (name, shots), mean in sorted(means.items(), key=lambda item: item[0][1]):
        own = " | ".join(f"{100 * runs[product, name, shots]:.1f}" for product in names)
        low, high = mean.ci95
        lines.append(f"| `{name}` | {shots} | {own} | {100 * mean.mean:.1f} [{100 * low:.1f}, {100 * high:.1f}] |")
    return "\n".join(lines)


def regrets(results: dict[str, flawshot.Results]) -> str:
    """The worst regret of every classifier over data sets at each K, where it is, and the mean accuracy over them."""
    tables = {data: (accuracies(own), best_single(own)) for data, own in results.items()}
    shots = sorted({k for _, best in tables.values() for k in best})
    names = list(dict.fromkeys(name for found, _ in tables.values() for name, _ in found))
    lines = [
        "| worst regret (where); mean accuracy | " + " | ".join(f"K = {k}" for k in shots) + " | overall |",
        "|---" * (2 + len(shots)) + "|",
    ]
    rows = []
    for name in names:
        cells, overall = [], 0.0
        for k in shots:
            own = {data: found for data, (found, best) in tables.items() if (name, k) in found and k in best}
            regret, place = max((found[tables[data][1][k], k] - found[name, k], data) for data, found in own.items())
            overall = max(overall, regret)
            cells.append(
                f"{100 * regret:.1f} ({place}); {100 * np.mean([found[name, k] for found in own.values()]):.1f}"
            )
        rows.append((overall, f"| `{name}` | " + " | ".join(cells) + f" | {100 * overall:.1f} |"))
    return "\n".join([*lines, *(row for _, row in sorted(rows))])


def board(made: Sequence[tuple[DataSet, flawshot.Results]]) -> str:
    """All tables as Markdown."""
    parts = []
    for data, results in made:
        parts += [f"#### {data.name}", differences(data, results), products(results)]
    parts += ["#### Worst regret", regrets({d.name: r for d, r in made}), "#### Mean lead", leads(made)]
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("flawshot-benchmarks"), help="where banks are kept")
    parser.add_argument("--classifiers", help="by name; all that need no text and are not trained unless given")
    options = parser.parse_args()
    names = options.classifiers.split(",") if options.classifiers else training_free()
    options.work.mkdir(parents=True, exist_ok=True)
    real = [transistor, pooled_transistor, magnetic_tile, magnetic_tile_tiny] if SHARED.is_dir() else []
    made = [
        (data, flawshot.evaluate(data.bank, data.episodes, names))
        for data in (f(options.work) for f in [*real, held_out])
    ]
    print(board(made))


def training_free() -> list[str]:
    """``default``, and the other classifiers that need no text and are not trained."""
    kept = ["default"]
    for name in flawshot.CLASSIFIERS:
        made = flawshot.make_classifier(name)
        if (
            "text" not in made.inputs
            and "device" not in made.get_params()
            and name not in {"evidence-ridge", "outline"}
        ):
            kept.append(name)
    return kept


if __name__ == "__main__":
    main()
