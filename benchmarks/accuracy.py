"""Every classifier on five data sets, beside MVREC's published accuracies, and who leads by how much.

    python -m pip install -e ".[benchmarks]"
    python benchmarks/accuracy.py [--work DIR] [--write] [--classifiers a,b,…]

Prints a row a classifier and K: accuracy and macro recall with their 95 % intervals, calibration error, Brier score
(0 to 2), log loss (nats), milliseconds of a fit and of a prediction, and the paired difference in accuracy to
Zip-Adapter-F; then, per data set and K, the differences to the best single classifier, and the worst regrets
(``scoreboard.py``). ``--write`` puts the tables into ``docs/benchmarks.md``. ``banks.py`` says what is run on. About
half an hour on two cores, most of it Zip-Adapter-F.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import flawshot
from banks import SHARED, DataSet, held_out, magnetic_tile, magnetic_tile_tiny, pooled_transistor, transistor
from scoreboard import board

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.evaluation.result_records import Estimate, Run

DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
REFERENCE = "zip-adapter-f"
SCORES = {"ece": "ECE", "brier": "Brier", "log_loss": "log loss"}
HEAD = (
    *("classifier", "K", "accuracy", "macro recall", *SCORES.values()),
    *("fit, ms", "predict, ms", f"difference to {REFERENCE}"),
)


def interval(value: Estimate, *, signed: bool = False) -> str:
    """A mean with its interval, in per cent."""
    sign = "+" if signed else ""
    mean, low, high = (round(100 * x, 1) + 0.0 for x in (value.mean, *value.ci95))
    return f"{mean:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def table(results: flawshot.Results) -> list[tuple[str, ...]]:
    """A row a classifier and K: of the one product, or the mean over products."""
    several = len({run.product for run in results.runs}) > 1
    differences = {
        (each.classifier, each.shots): interval(each.difference, signed=True)
        for each in results.comparisons
        if (each.product is None) == several
    }
    rows = []
    runs: dict[tuple[str, int], list[Run]] = {}
    for run in results.runs:
        runs.setdefault((run.classifier, run.shots), []).append(run)
    accuracies = {(mean.classifier, mean.shots): mean.accuracy for mean in results.means}
    for (name, shots), own in sorted(runs.items(), key=lambda item: item[0][1]):
        episodes = [episode for run in own for episode in run.episodes]
        fit, predict = (
            f"{1000 * statistics.median(getattr(episode, f'{part}_seconds') for episode in episodes):.0f}"
            for part in ("fit", "predict")
        )
        recall = own[0].macro_recall
        shown = f"{100 * statistics.mean(run.macro_recall.mean for run in own):.1f}" if several else interval(recall)
        rows.append(
            (
                f"`{name}`{' †' if own[0].transductive else ''}",
                str(shots),
                interval(accuracies[name, shots] if several else own[0].accuracy),
                shown,
                *(f"{statistics.mean(getattr(run, score).mean for run in own):.3f}" for score in SCORES),
                fit,
                predict,
                differences.get((name, shots), ""),
            )
        )
    return rows


def published() -> list[tuple[str, ...]]:
    """MVREC's released accuracies on transistor, means over its seeds."""
    with (SHARED / "mvrec" / "released_accuracy.csv").open(newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["product"] == "transistor" and row["views"] == "27"]
    shown = []
    for shots in ("1", "3", "5"):
        for name in dict.fromkeys(row["classifier"] for row in rows):
            values = [float(r["accuracy"]) for r in rows if r["classifier"] == name and r["shots"] == shots]
            shown.append((f"{name}, published", shots, f"{100 * statistics.mean(values):.1f}", *[""] * (len(HEAD) - 3)))
    return shown


def markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def section(data: DataSet, names: list[str]) -> tuple[str, flawshot.Results]:
    """One data set's heading and table, and its results."""
    start = time.perf_counter()
    results = flawshot.evaluate(data.bank, data.episodes, [REFERENCE, *(n for n in names if n != REFERENCE)])
    rows = table(results)
    if data.name == "transistor":
        rows = sorted([*rows, *published()], key=lambda row: row[1])
    spent = time.perf_counter() - start
    about = f"{data.about}. All of it took {spent:.0f} s with {torch.get_num_threads()} thread(s)."
    return f"### {data.name}\n\n{about}\n\n{markdown(rows)}\n", results


def put(text: str, name: str, path: Path = DOCS) -> None:
    """Put text into the docs, between the comments of its name."""
    page = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = page.split(begin)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("flawshot-benchmarks"), help="where banks are kept")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--classifiers", help="by name; all that need no text unless given")
    options = parser.parse_args()
    names = [name for name in flawshot.CLASSIFIERS if "text" not in flawshot.make_classifier(name).inputs]
    names[0] = "default"  # what it stands for is the first
    if options.classifiers:
        names = options.classifiers.split(",")
    sections = []
    options.work.mkdir(parents=True, exist_ok=True)
    real = [transistor, pooled_transistor, magnetic_tile, magnetic_tile_tiny] if SHARED.is_dir() else []
    made = []
    for data in (make(options.work) for make in (*real, held_out)):
        text, results = section(data, names)
        sections.append(text)
        made.append((data, results))
        print(text, flush=True)
    sections.append(f"### Scoreboard\n\n{board(made)}\n")
    print(sections[-1])
    if options.write:
        put("\n".join(sections), "accuracy")


if __name__ == "__main__":
    main()
