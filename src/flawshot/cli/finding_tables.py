"""Results of an evaluation of finders as tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.cli.console import new_table, plain, print_line, print_table
from flawshot.cli.wide_tables import FEW
from flawshot.evaluation.finding_results import FindingMean, FindingRun
from flawshot.evaluation.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.evaluation.finding_results import FindingResults, FindingScore

__all__ = ["print_finding"]

# Title, and the scores with their headings.
TABLES = (
    (
        "Heat maps, % [95 % interval]",
        {
            "image_auroc": "image AUROC",
            "image_f1_max": "image F1-max",
            "pixel_auroc": "pixel AUROC",
            "pixel_f1_max": "pixel F1-max",
            "pro": "PRO",
        },
    ),
    (
        "Instances found, % [95 % interval]",
        {
            "found": "found",
            "found_iou_10": "IoU 0.1",
            "found_iou_30": "IoU 0.3",
            "found_iou_50": "IoU 0.5",
            "mean_iou": "mean IoU, found",
        },
    ),
    (
        "False regions [95 % interval]",
        {
            "precision": "precision, %",
            "good_images_alarmed": "good images alarmed, %",
            "false_regions_per_good_image": "per good image",
            "false_regions_per_image": "per image",
        },
    ),
    (
        "Found and named right, % of instances [95 % interval]",
        {
            "found_and_named": "found and named",
            "found_and_named_by_classifier": "by the classifier",
            "found_and_named_by_finder": "by the finder",
            "named_given_regions": "regions given",
            "named_of_found": "of those found",
        },
    ),
)
NOT_SHARES = frozenset({"false_regions_per_image", "false_regions_per_good_image"})
BY_CATEGORY = {"found": "found", "found_and_named": "found and named", "named_given_regions": "regions given"}
LEGEND = (
    "n: images with flaws + good images, and instances. Found: by a region with an IoU of 0.1 or more, or with its "
    "center on the instance; a region finds one instance at most, and is false if it finds none"
)
GIVEN = "regions given: the annotated regions, classified; the difference is the price of automatic regions"


def print_finding(results: FindingResults, *, per_category: bool) -> None:
    """Print heat map scores, found instances, false regions and names, by product and support.

    Args:
        results: What to print.
        per_category: Whether categories are printed even if there are several products.
    """
    products = {run.product for run in results.runs}
    rows: list[FindingRun | FindingMean] = [*results.runs, *results.means]
    for title, names in TABLES:
        _print(title, names, rows)
    few = False
    if per_category or len(products) == 1:
        for run in results.runs:
            few = _print_categories(run) or few
    shown = {name for run in results.runs for name in run.scores}
    notes = [LEGEND]
    if "named_given_regions" in shown:
        notes.append(GIVEN)
    if few or any(run.n_instances < FEW for run in results.runs):
        notes.append(f"* fewer than {FEW} query instances")
    for note in notes:
        print_line(note)


def _print(title: str, names: Mapping[str, str], rows: Sequence[FindingRun | FindingMean]) -> None:
    heads = {name: head for name, head in names.items() if any(name in row.scores for row in rows)}
    if not heads:
        return
    table = new_table(title, "product", "labeled", "good", "n", *heads.values())
    for row in rows:
        product = row.product if isinstance(row, FindingRun) else f"mean of {len(row.products)}"
        cells = [_cell(name, row.scores.get(name)) for name in heads]
        table.add_row(plain(product), str(row.shots), str(row.good_shots), _sizes(row), *cells)
    print_table(table)


def _sizes(row: FindingRun | FindingMean) -> str:
    """Images with flaws, good images, and instances."""
    if isinstance(row, FindingMean):
        return ""
    return f"{row.n_images}+{row.n_good}, {row.n_instances}{'*' if row.n_instances < FEW else ''}"


def _cell(name: str, score: FindingScore | None) -> str:
    if score is None:
        return "–"
    if name in NOT_SHARES:
        low, high = score.ci95
        return f"{score.mean:.2f} [{low:.2f}, {high:.2f}]"
    return percent(score.mean, score.ci95)


def _print_categories(run: FindingRun) -> bool:
    """Print a run's scores by category; returns whether one has few instances."""
    heads = {name: head for name, head in BY_CATEGORY.items() if any(name in own for own in run.per_category.values())}
    if not heads:
        return False
    title = f"{run.product}, {run.shots} labeled, {run.good_shots} good: by category, %"
    table, few = new_table(title, "category", *heads.values()), False
    for category, own in run.per_category.items():
        count = own["found"].n_query
        few = few or count < FEW
        cells = [
            percent(score.mean, score.ci95)
            if (score := own.get(name)) is not None and score.mean is not None and score.ci95 is not None
            else "–"
            for name in heads
        ]
        table.add_row(plain(f"{category} (n={count}{'*' if count < FEW else ''})"), *cells)
    print_table(table)
    return few
