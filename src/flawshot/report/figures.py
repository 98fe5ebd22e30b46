"""The report's figures: accuracy against K, accuracy by category, reliability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flawshot.evaluation.curves import draw_curves, shortened
from flawshot.report.svg import FAINT, INK, LINES, new_figure, styled, to_svg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flawshot.evaluation.result_records import Estimate, Run

__all__ = ["bars", "curves", "reliability_diagram"]


@styled
def curves(
    lines: Mapping[str, Sequence[tuple[int, Estimate]]],
    title: str,
    label: Callable[[int], str] = str,
    *,
    narrow: bool = False,
) -> str:
    """Accuracy against K, named by ``label``, one line per classifier, with intervals; ``narrow`` for a phone."""
    width, across = (4.0, 2) if narrow else (7.2, 4)
    figure, axes = new_figure(title, width, 3.1 + 0.2 * -(-len(lines) // across))
    draw_curves(axes, lines, label, LINES, FAINT)
    figure.legend(loc="outside lower center", ncols=across, columnspacing=1.4, handlelength=2.4)
    return to_svg(figure, title)


@styled
def bars(runs: Sequence[Run], chosen: int, title: str) -> str:
    """Accuracy by category, with intervals and n: all runs' bars are in the same axes, and the chosen one's are shown.

    Args:
        runs: Runs of one product at one K.
        chosen: Index of the run that is shown.
        title: Text for screen readers.
    """
    from matplotlib.collections import LineCollection, PatchCollection  # noqa: PLC0415  # slow to import
    from matplotlib.colors import to_rgba  # noqa: PLC0415
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    categories = runs[chosen].categories
    figure, axes = new_figure(title, 5.2, 0.75 + 0.34 * len(categories))
    for number, run in enumerate(runs):
        boxes: list[Rectangle] = []
        reach: list[list[tuple[float, float]]] = []
        for place, category in enumerate(categories):
            score = run.per_category[category]
            if score.mean is None or score.ci95 is None:
                continue
            low, high = (100 * value for value in score.ci95)
            boxes.append(Rectangle((0, place - 0.3), 100 * score.mean, 0.6))
            reach.append([(low, place), (high, place)])
            reach += [[(end, place - 0.15), (end, place + 0.15)] for end in (low, high)]
        _choice(
            axes.add_collection(
                PatchCollection(boxes, facecolor=to_rgba(LINES[0], 0.45), edgecolor=LINES[0], clip_on=False)
            ),
            number,
            "bars",
        )
        _choice(
            axes.add_collection(LineCollection(reach, colors=INK, linewidths=1.2, clip_on=False)), number, "intervals"
        )
    counts = [runs[chosen].per_category[category].n_query for category in categories]
    labels = [
        f"{shortened(name)}, n={count}{'*' if count < 10 else ''}"
        for name, count in zip(categories, counts, strict=True)
    ]
    axes.set_yticks(range(len(categories)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.set_xlim(0, 101)
    axes.set_xlabel("accuracy, %")
    axes.grid(axis="x")
    return to_svg(figure, title, chosen)


@styled
def reliability_diagram(runs: Sequence[Run], chosen: int, title: str) -> str:
    """Share right against mean confidence: one point per bin of confidence, sized by its number of predictions.

    Args:
        runs: Runs of one product at one K, all in the same axes.
        chosen: Index of the run that is shown.
        title: Text for screen readers.
    """
    from matplotlib.collections import LineCollection  # noqa: PLC0415  # slow to import

    figure, axes = new_figure(title, 3.9, 3.8)
    axes.plot([0, 100], [0, 100], color=FAINT, linestyle="--", linewidth=1.2)
    for number, run in enumerate(runs):
        bins = [each for each in run.reliability or () if each[0]]
        if not bins:
            continue
        most = max(count for count, _, _ in bins)
        places = [(100 * confidence, 100 * share) for _, confidence, share in bins]
        _choice(
            axes.add_collection(LineCollection([places], colors=LINES[0], linewidths=1.2, clip_on=False)),
            number,
            "line",
        )
        points = axes.scatter(
            *zip(*places, strict=True),
            s=[16 + 130 * count / most for count, _, _ in bins],
            color=LINES[0],
            clip_on=False,
            zorder=3,
        )
        _choice(points, number, "bins")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_aspect("equal")
    axes.set_xlabel("mean confidence, %")
    axes.set_ylabel("share right, %")
    axes.grid()
    return to_svg(figure, title, chosen)


def _choice(artist: Any, number: int, name: str) -> None:
    artist.set_gid(f"choice-{number}-{name}")
