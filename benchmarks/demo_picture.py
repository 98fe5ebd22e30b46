"""The picture of the README: some of what ``flawshot demo`` drew, beside what it found.

    flawshot demo && python benchmarks/demo_picture.py flawshot-demo docs/demo.png

Each row of crops is a category of the drawn product; the plot is the accuracy by K of ``results.json``, with its 95 %
intervals, and the yardsticks that learn nothing as lines.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from flawshot.catalog import Catalog
from flawshot.evaluation.results import Results
from flawshot.evaluation.runs import YARDSTICKS
from flawshot.labelme.images import read_image
from flawshot.regions.crops import crop_views
from flawshot.regions.views import extent_of, make_scheme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

COLUMNS = 5
SIDE = 110  # px of a crop
GAP = 4
FAINT = "#8a8a8a"
SMALL = 8  # pt


def main() -> None:
    """Draw the picture from a demo's folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="the folder that flawshot demo wrote")
    parser.add_argument("picture", type=Path, help="where the PNG goes")
    told = parser.parse_args()
    catalog = Catalog.open(told.demo / "images")
    results = Results.load(told.demo / "results.json")
    categories = sorted(set(catalog.column("category")))
    mpl.use("Agg")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.9), width_ratios=(1.15, 1), layout="constrained")
    left.imshow(_sheet(catalog, categories))
    rows = (np.arange(len(categories)) + 0.5) * (SIDE + GAP)
    left.set_yticks(rows, categories)
    left.set_xticks([])
    left.tick_params(length=0)
    left.spines[:].set_visible(False)
    left.set_title(f"{catalog.products[0]}: drawn flaws, {len(catalog)} in all")
    _plot(right, results)
    figure.savefig(told.picture, dpi=100, metadata={"Software": None})


def _sheet(catalog: Catalog, categories: list[str]) -> NDArray[np.uint8]:
    """A row of crops a category: the first instances, twice their box."""
    step = SIDE + GAP
    sheet = np.full((len(categories) * step - GAP, COLUMNS * step - GAP, 3), 255, np.uint8)
    scheme = make_scheme("none", ["2x"], "shift")
    labels = catalog.column("category")
    for row, category in enumerate(categories):
        own = [number for number, label in enumerate(labels) if label == category][:COLUMNS]
        for column, number in enumerate(own):
            instance = catalog[number]
            image = read_image((catalog.root or Path()) / instance.image, instance.image)
            crop = crop_views(image, instance.region(), scheme, SIDE, extent=extent_of(instance)).images[0]
            sheet[row * step : row * step + SIDE, column * step : column * step + SIDE] = crop
    return sheet


def _plot(axes: Axes, results: Results) -> None:
    names = list(dict.fromkeys(run.classifier for run in results.runs))
    shots = sorted({run.shots for run in results.runs})
    learned = [name for name in names if name not in YARDSTICKS]
    for number, name in enumerate(learned):
        own = sorted((run for run in results.runs if run.classifier == name), key=lambda run: run.shots)
        means = np.array([100 * run.accuracy.mean for run in own])
        low, high = (np.array([100 * run.accuracy.ci95[end] for run in own]) for end in (0, 1))
        places = [shots.index(run.shots) + 0.09 * (number - (len(learned) - 1) / 2) for run in own]
        axes.errorbar(places, means, yerr=(means - low, high - means), marker="o", capsize=3, label=name)
    for name, style in zip(YARDSTICKS, ("--", ":"), strict=True):
        own = sorted((run for run in results.runs if run.classifier == name), key=lambda run: run.shots)
        places = [shots.index(run.shots) for run in own]
        axes.plot(places, [100 * run.accuracy.mean for run in own], style, color=FAINT, label=name)
    seeds = len(results.provenance["seeds"])
    axes.set_xticks(range(len(shots)), [str(k) for k in shots])
    axes.set(ylim=(0, 100), xlabel="examples of each category (K)", ylabel="accuracy, % (bars: 95 % interval)")
    axes.set_title(f"{results.provenance['encoder']['name']}, {seeds} draws, no image on both sides")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=SMALL, ncols=2)


if __name__ == "__main__":
    main()
