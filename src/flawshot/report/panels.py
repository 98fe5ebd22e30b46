"""Panels for each product and K: accuracy by category, confusion and reliability, with a choice of classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from flawshot.base.errors import printable
from flawshot.base.wording import plural
from flawshot.evaluation.intervals import percent
from flawshot.evaluation.result_records import shots_text
from flawshot.report.figures import bars, reliability_diagram

if TYPE_CHECKING:
    from flawshot.evaluation.result_records import Estimate, Run
    from flawshot.evaluation.results import Results

__all__ = ["make_panels", "panel_data", "shares"]

# A category with fewer query instances is marked.
FEW = 10
# Limit of all panels; with many products, Ks and classifiers only the greatest K are drawn.
MOST_BYTES = 3_000_000
SHADES = 10


def make_panels(results: Results, reference: str) -> tuple[list[dict[str, Any]], int]:
    """The panels for the template, and the number of those that had no room.

    Args:
        results: The results.
        reference: The classifier shown first; without a script, at each product's greatest K.
    """
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in results.runs:
        if run.confusion is not None:
            groups.setdefault((run.product, run.shots), []).append(run)
    greatest = {product: max(shots for own, shots in groups if own == product) for product, _ in groups}
    drawn: dict[tuple[str, int], dict[str, Any]] = {}
    room = MOST_BYTES
    for key in sorted(groups, key=lambda each: (greatest[each[0]] != each[1], -each[1])):
        if drawn and room <= 0:
            break
        drawn[key] = _panel(groups[key], reference, shown=greatest[key[0]] == key[1])
        room -= _size(drawn[key])
    order = sorted(drawn, key=lambda each: (list(greatest).index(each[0]), each[1]))
    return [drawn[key] for key in order], len(groups) - len(drawn)


def _panel(runs: list[Run], reference: str, *, shown: bool) -> dict[str, Any]:
    chosen = next((number for number, run in enumerate(runs) if run.classifier == reference), 0)
    own = runs[chosen]
    runs = [run for run in runs if run.categories == own.categories]
    chosen = runs.index(own)
    counts = [own.per_category[category].n_query for category in own.categories]
    label = shots_text(own.shots, own.support)
    over = f"{own.product} at {label} {plural(own.shots, 'shot')}"
    return {
        "product": printable(own.product),
        "shots": own.shots,
        "label": label,
        "shown": shown,
        "categories": [printable(category) for category in own.categories],
        "counts": [f"{count}{'*' if count < FEW else ''}" for count in counts],
        "few": any(count < FEW for count in counts),
        "queries": own.n_query,
        "chosen": chosen,
        "runs": [_figures(run) for run in runs],
        # Serialized from a tree, which escapes its texts.
        "bars": Markup(bars(runs, chosen, f"Accuracy by category: {over}")),  # noqa: S704
        "reliability": Markup(reliability_diagram(runs, chosen, f"Reliability: {over}"))  # noqa: S704
        if any(run.reliability for run in runs)
        else None,
    }


def _figures(run: Run) -> dict[str, Any]:
    """One run's numbers, for display."""
    scores = [run.per_category[category] for category in run.categories]
    return {
        "name": printable(run.classifier),
        "accuracy": percent(run.accuracy.mean, run.accuracy.ci95),
        "recall": percent(run.macro_recall.mean, run.macro_recall.ci95),
        "ece": percent(run.ece.mean, run.ece.ci95),
        "brier": _plain(run.brier),
        "log_loss": _plain(run.log_loss),
        "scores": [
            "–" if score.mean is None or score.ci95 is None else percent(score.mean, score.ci95) for score in scores
        ],
        "confusion": [list(row) for row in run.confusion or ()],
        "bins": [
            [count, f"{100 * confidence:.1f}", f"{100 * share:.1f}"]
            for count, confidence, share in run.reliability or ()
            if count
        ],
    }


def _plain(value: Estimate | None) -> str:
    """A number with its interval, or a dash if an older file has none."""
    return "–" if value is None else f"{value.mean:.3f} [{value.ci95[0]:.3f}, {value.ci95[1]:.3f}]"


def shares(counts: list[int]) -> list[tuple[int, int, int]]:
    """Each count with its share of the row in whole percent, and its shade; the script computes the same.

    >>> shares([1, 7, 0])
    [(1, 13, 1), (7, 88, 9), (0, 0, 0)]
    """
    total = max(sum(counts), 1)
    return [(n, (200 * n + total) // (2 * total), (2 * SHADES * n + total) // (2 * total)) for n in counts]


def panel_data(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The data that the script shows when another classifier is chosen."""
    return [{key: panel[key] for key in ("product", "shots", "label", "chosen", "runs")} for panel in panels]


def _size(panel: dict[str, Any]) -> int:
    """Approximate size of a panel in bytes."""
    cells = len(panel["categories"]) * (80 + len(panel["categories"]) * (70 + 4 * len(panel["runs"])))
    return len(panel["bars"]) + len(panel["reliability"] or "") + cells
