"""Accuracy against views encoded: how few crops are enough.

    python -m pip install -e ".[benchmarks]"
    python benchmarks/views.py [--work DIR] [--write]

Support and query instances keep only some of their 27 views; encoding costs as many crops. Prints a table of accuracies
by data set and K; ``--write`` puts it into ``docs/benchmarks.md`` and draws the curve ``docs/views.svg``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

import flawshot
from accuracy import DOCS, put
from banks import SHOTS, DataSet, data_sets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

# Places among mso's 27 views: size, then row, then column.
CENTERS = (4, 13, 22)
CROSS = (1, 3, 4, 5, 7)
SUBSETS = {
    "none (middle size)": (13,),
    "centre3": CENTERS,
    "cross of the middle size": tuple(9 + view for view in CROSS),
    "mo (middle size)": tuple(range(9, 18)),
    "cross15": tuple(9 * size + view for size in range(3) for view in CROSS),
    "mso": tuple(range(27)),
}
CLASSIFIERS = ("whitened-ridge", "matched-prototype", "zip-adapter")


class FewViews(flawshot.FewShotClassifier):
    """A classifier that looks at some of the views only.

    Args:
        name: Which classifier.
        views: Places of the views it sees.
    """

    def __init__(self, name: str = "whitened-ridge", views: tuple[int, ...] = (0,)) -> None:
        self.name = name
        self.views = views

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.inner_: Any = flawshot.make_classifier(self.name).fit(support.features[:, list(self.views)], labels)

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        shares: NDArray[np.float32] = self.inner_.predict_proba(query.features[:, list(self.views)])
        return shares


Curves = dict[tuple[str, str, int], dict[str, float]]


def curves(sets: list[DataSet]) -> Curves:
    """Mean accuracy by (data set, classifier, K), then by subset."""
    found: Curves = {}
    for data in sets:
        estimators = {
            f"{name}/{label}": FewViews(name, views) for name in CLASSIFIERS for label, views in SUBSETS.items()
        }
        results = flawshot.evaluate(data.bank, data.episodes, estimators)
        for run in results.runs:
            if run.classifier in estimators:
                name, label = run.classifier.split("/")
                products = len({each.product for each in data.episodes})
                own = found.setdefault((data.name, name, run.shots), {})
                own[label] = own.get(label, 0.0) + run.accuracy.mean / products
    return found


def markdown(found: Curves) -> str:
    """The curves as a table, a row a subset."""
    sets = list(dict.fromkeys(name for name, _, _ in found))
    lines = []
    for classifier in CLASSIFIERS:
        columns = [(name, shots) for name in sets for shots in SHOTS]
        lines += [f"\n`{classifier}`, accuracy in per cent:\n"]
        lines += ["| views | crops | " + " | ".join(f"{name}, {shots}-shot" for name, shots in columns) + " |"]
        lines += ["|" + "---|" * (2 + len(columns))]
        for label, views in SUBSETS.items():
            cells = [f"{100 * found[name, classifier, shots][label]:.1f}" for name, shots in columns]
            lines += [f"| {label} | {len(views)} | " + " | ".join(cells) + " |"]
    return "\n".join(lines)


def draw(found: Curves, path: Path) -> None:
    """Accuracy against crops, a panel a data set, a color a classifier, a dash a K."""
    mpl.rcParams["svg.hashsalt"] = "flawshot"
    sets = list(dict.fromkeys(name for name, _, _ in found))
    figure = Figure(figsize=(4 * len(sets), 3.6), layout="constrained")
    axes = figure.subplots(1, len(sets), squeeze=False)[0]
    order = sorted(SUBSETS, key=lambda label: len(SUBSETS[label]))
    crops = [len(SUBSETS[label]) for label in order]
    for axis, name in zip(axes, sets, strict=True):
        for color, classifier in zip(("#0072b2", "#e69f00", "#009e73"), CLASSIFIERS, strict=True):
            for style, shots in zip((":", "--", "-"), SHOTS, strict=True):
                values = [100 * found[name, classifier, shots][label] for label in order]
                axis.plot(crops, values, style, color=color, marker="o", ms=3, label=f"{classifier}, {shots}-shot")
        axis.set(title=name, xlabel="views encoded", xscale="log", xticks=crops, xticklabels=crops)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy, %")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("flawshot-benchmarks"), help="where banks are kept")
    parser.add_argument("--write", action="store_true", help="put table and curve into docs")
    options = parser.parse_args()
    found = curves(data_sets(options.work))
    text = markdown(found)
    print(text)
    if options.write:
        draw(found, DOCS.with_name("views.svg"))
        put(text, "views")


if __name__ == "__main__":
    main()
