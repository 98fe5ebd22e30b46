"""Curves of accuracy against K, drawn into matplotlib's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flawshot.evaluation.result_records import Estimate, MeanScore, Run

__all__ = ["NOT_CLASSIFIERS", "accuracy_lines", "chosen_lines", "draw_curves", "new_axes", "shortened"]

# Baselines that classifiers are compared with.
NOT_CLASSIFIERS = ("chance", "majority", "outline")
MARKERS = "osD^vPX*"
DASHES = ["-", "--", "-.", ":"]
LONGEST_LABEL = 26

Lines = dict[str, list[tuple[int, "Estimate"]]]


def accuracy_lines(runs: Sequence[Run], means: Sequence[MeanScore]) -> dict[str | None, Lines]:
    """Accuracy by K of each classifier, by product; None: the mean over products, if there are several.

    Args:
        runs: One per product, classifier and K.
        means: Means over products.
    """
    figures: dict[str | None, dict[str, dict[int, Estimate]]] = {}
    for mean in means:
        figures.setdefault(None, {}).setdefault(mean.classifier, {})[mean.shots] = mean.accuracy
    for run in runs:
        figures.setdefault(run.product, {}).setdefault(run.classifier, {})[run.shots] = run.accuracy
    return {
        product: {classifier: sorted(cells.items()) for classifier, cells in rows.items()}
        for product, rows in figures.items()
    }


def draw_curves(
    axes: Any,
    lines: Mapping[str, Sequence[tuple[int, Estimate]]],
    label: Callable[[int], str],
    colors: Sequence[str],
    faint: str,
) -> None:
    """Draw one line per classifier, with intervals.

    Args:
        axes: matplotlib's axes.
        lines: Accuracy by K, by classifier or baseline.
        label: Names each K.
        colors: The classifiers' colors, in turn.
        faint: The color of baselines.
    """
    shots = sorted({k for points in lines.values() for k, _ in points})
    number = 0
    for place, (name, points) in enumerate(lines.items()):
        shift = (place - (len(lines) - 1) / 2) * 0.55 / max(len(lines), 1)
        x = [shots.index(k) + shift for k, _ in points]
        y = [100 * each.mean for _, each in points]
        low = [max(0.0, 100 * (each.mean - each.ci95[0])) for _, each in points]
        high = [max(0.0, 100 * (each.ci95[1] - each.mean)) for _, each in points]
        if name in NOT_CLASSIFIERS:
            color, dash, marker = faint, ":", "x+1"[NOT_CLASSIFIERS.index(name)]
        else:
            color, dash = colors[number % len(colors)], DASHES[number // len(colors) % len(DASHES)]
            marker = MARKERS[number % len(MARKERS)]
            number += 1
        axes.errorbar(x, y, yerr=[low, high], fmt="none", ecolor=color, elinewidth=1.3)
        (line,) = axes.plot(
            x, y, color=color, marker=marker, linestyle=dash, label=shortened(name), linewidth=1.6, markersize=6
        )
        line.set_gid(f"mark-line-{place}")
    axes.set_xticks(range(len(shots)), list(map(label, shots)))
    axes.set_xlim(-0.5, len(shots) - 0.5)
    axes.set_xlabel("shots (support instances per category)")
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 101)
    axes.grid(axis="y")


def new_axes(lines: Mapping[str, Sequence[tuple[int, Estimate]]], title: str, label: Callable[[int], str]) -> Any:
    """Curves in axes of their own, in matplotlib's usual colors, with a title and a legend.

    Args:
        lines: Accuracy by K, by classifier or baseline.
        title: The title.
        label: Names each K.
    """
    import matplotlib.pyplot as plt  # noqa: PLC0415  # slow to import
    from matplotlib import rc_context  # noqa: PLC0415

    with rc_context({"text.parse_math": False, "text.usetex": False}):  # dollar signs in names start no formula
        _, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
        draw_curves(axes, lines, label, [f"C{number}" for number in range(10) if number != 7], "gray")
        axes.set_title(shortened(title))
        axes.legend(fontsize="small")
    return axes


def shortened(label: str) -> str:
    """A label shortened to leave room for the figure; the tables show it in full."""
    shown = printable(label)
    return shown if len(shown) <= LONGEST_LABEL else f"{shown[: LONGEST_LABEL - 1]}…"


def chosen_lines(lines: Mapping[str | None, Lines], product: str | None) -> Lines:
    """The lines of a product; if None, of the mean over products, or of the only product.

    Raises:
        FlawshotError: If there is no such product, or several without a mean and none is named.
    """
    names = [name for name in lines if name is not None]
    if product is None and None not in lines and len(names) == 1:
        return lines[names[0]]
    if product not in lines:
        problem = "name one of" if product is None else "is not in the results, which have"
        raise FlawshotError(f"{argument('product', product)}: {problem} {', '.join(names)}")
    return lines[product]
