"""Plots as inline SVG: drawn by matplotlib, coloured by the page's style sheet."""

from __future__ import annotations

import io
import re
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec
from xml.etree import ElementTree as ET

from defusedxml.ElementTree import fromstring

from flawshot.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flawshot.evaluation.results import Estimate, Run

__all__ = ["bars", "curves", "reliability_diagram"]

SVG = "http://www.w3.org/2000/svg"
# Placeholders; the style sheet gives each class its colour, light and dark.
INK, FAINT = "#010101", "#020202"
LINES = [f"#0000{number:02x}" for number in range(0xA0, 0xA8)]
CLASSES = {INK: "ink", FAINT: "faint"} | {colour: f"c{number}" for number, colour in enumerate(LINES)}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.usetex": False,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.5,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
MARKERS = "osD^vPX*"
DASHES = ["-", "--", "-.", ":"]
LONGEST_LABEL = 32


Arguments = ParamSpec("Arguments")


def _styled(draw: Callable[Arguments, str]) -> Callable[Arguments, str]:
    """Draw under :data:`STYLE`: axes make their ticks late, and a dollar sign in a label is no formula."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> str:
        from matplotlib import rc_context  # noqa: PLC0415  # slow to import

        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


@_styled
def curves(lines: dict[str, Sequence[tuple[int, Estimate]]], title: str) -> str:
    """Accuracy against K, a line a classifier, with intervals."""
    figure, axes = _new(title, 7.2, 3.8 + 0.11 * len(lines))
    shots = sorted({k for points in lines.values() for k, _ in points})
    for number, (name, points) in enumerate(lines.items()):
        shift = (number - (len(lines) - 1) / 2) * 0.5 / max(len(lines), 1)
        x = [shots.index(k) + shift for k, _ in points]
        y = [100 * each.mean for _, each in points]
        low = [max(0.0, 100 * (each.mean - each.ci95[0])) for _, each in points]
        high = [max(0.0, 100 * (each.ci95[1] - each.mean)) for _, each in points]
        colour = LINES[number % len(LINES)]
        axes.errorbar(x, y, yerr=[low, high], fmt="none", ecolor=colour, elinewidth=1.3)
        (line,) = axes.plot(
            x,
            y,
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            linestyle=DASHES[number // len(LINES) % len(DASHES)],
            label=_short(name),
            linewidth=1.6,
            markersize=6,
        )
        line.set_gid(f"mark-line-{number}")
    axes.set_xticks(range(len(shots)), [str(k) for k in shots])
    axes.set_xlim(-0.5, len(shots) - 0.5)
    axes.set_xlabel("shots (support instances a category)")
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 101)
    axes.grid(axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    return _svg(figure, title)


@_styled
def bars(run: Run, title: str) -> str:
    """Accuracy by category, with intervals and n."""
    categories = list(run.categories)
    figure, axes = _new(title, 7.2, 0.9 + 0.36 * len(categories))
    for number, category in enumerate(categories):
        score = run.per_category[category]
        if score.mean is None or score.ci95 is None:
            continue
        mean, (low, high) = 100 * score.mean, (100 * value for value in score.ci95)
        (bar,) = axes.barh(number, mean, color=LINES[0], height=0.62)
        bar.set_gid(f"mark-bar-{number}")
        reach = [[max(0.0, mean - low)], [max(0.0, high - mean)]]
        axes.errorbar(mean, number, xerr=reach, fmt="none", ecolor=INK, capsize=3, elinewidth=1.2)
    counts = [run.per_category[category].n_query for category in categories]
    labels = [
        f"{_short(name)} (n={count}{'*' if count < 10 else ''})" for name, count in zip(categories, counts, strict=True)
    ]
    axes.set_yticks(range(len(categories)), labels)
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.set_xlim(0, 101)
    axes.set_xlabel("accuracy, %")
    axes.grid(axis="x")
    return _svg(figure, title)


@_styled
def reliability_diagram(run: Run, title: str) -> str:
    """Share right against mean confidence, a point a bin of confidence, as large as it holds predictions."""
    figure, axes = _new(title, 4.4, 4.2)
    axes.plot([0, 100], [0, 100], color=FAINT, linestyle="--", linewidth=1.2)
    bins = [each for each in run.reliability or () if each[0]]
    most = max((count for count, _, _ in bins), default=1)
    axes.plot([100 * each[1] for each in bins], [100 * each[2] for each in bins], color=LINES[0], linewidth=1.2)
    for number, (count, confidence, share) in enumerate(bins):
        points = axes.scatter(
            [100 * confidence], [100 * share], s=16 + 130 * count / most, color=LINES[0], clip_on=False, zorder=3
        )
        points.set_gid(f"mark-bin-{number}")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_aspect("equal")
    axes.set_xlabel("mean confidence, %")
    axes.set_ylabel("share right, %")
    axes.grid()
    return _svg(figure, title)


def _new(title: str, width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415  # slow to import

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot(label=title)


def _short(label: str) -> str:
    shown = printable(label)
    return shown if len(shown) <= LONGEST_LABEL else f"{shown[: LONGEST_LABEL - 1]}…"


def _svg(figure: Any, title: str) -> str:
    """The figure as an SVG element without styles of its own, which the page's policy would not let in."""
    from matplotlib import rc_context  # noqa: PLC0415

    drawn = io.BytesIO()
    with rc_context({**STYLE, "svg.hashsalt": title}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = fromstring(drawn.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{SVG}}}metadata", f"{{{SVG}}}style"}:
                parent.remove(child)
    for element in root.iter():
        _restyle(element)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", printable(title))
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ET.tostring(root, encoding="unicode")


def _restyle(element: ET.Element) -> None:
    name = element.get("id", "")
    if name.startswith("mark-"):
        element.set("data-mark", name)
    if name.startswith("mark-") or re.fullmatch(r"[A-Za-z0-9]+_\d+", name):
        del element.attrib["id"]  # several figures of one page have the same
    classes = []
    for part in element.attrib.pop("style", "").split(";"):
        key, _, value = (text.strip() for text in part.partition(":"))
        if key in {"fill", "stroke"} and value in CLASSES:
            classes.append(f"{key[0]}-{CLASSES[value]}")
        elif key == "font":
            size = re.search(r"([\d.]+)px", value)
            element.set("font-size", size[1] if size else "10")
        elif key and key != "font-family":
            element.set(key, value)
    if classes:
        element.set("class", " ".join(classes))
