"""What results say at a glance: classifiers by K, and the strongest one's categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flawshot.evaluation.curves import NOT_CLASSIFIERS
from flawshot.evaluation.metrics import precision_and_f1
from flawshot.evaluation.result_records import shots_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.evaluation.result_records import Estimate, Run
    from flawshot.evaluation.results import Results

__all__ = [
    "CategoryRow",
    "CategoryScores",
    "ClassifierRow",
    "category_rows",
    "classifier_rows",
    "confusions",
    "strongest",
]


class ClassifierRow(NamedTuple):
    """One classifier at one K, on a product or in the mean over products.

    Attributes:
        shots: K.
        label: K for display, with the actual number of support instances if it differs.
        classifier: The classifier, or a baseline.
        transductive: Whether it sees all queries at once.
        accuracy: Share of the query instances that it is right on.
        difference: Of its accuracy from the reference's; None for the reference and for baselines.
        macro_recall: Mean of the categories' recalls; None in a mean over products.
        ece: Expected calibration error; None in a mean over products.
    """

    shots: int
    label: str
    classifier: str
    transductive: bool
    accuracy: Estimate
    difference: Estimate | None
    macro_recall: Estimate | None
    ece: Estimate | None

    @property
    def is_baseline(self) -> bool:
        """Whether it learns nothing from the images."""
        return self.classifier in NOT_CLASSIFIERS


class CategoryScores(NamedTuple):
    """One category at one K, as shares; None if it has no query instance, or was never predicted.

    Attributes:
        recall: Share of its query instances that are recognized.
        ci95: The recall's 95 % interval.
        precision: Share of right ones among the answers that name it, over all seeds.
        f1: Harmonic mean of precision and recall, over all seeds.
    """

    recall: float | None
    ci95: tuple[float, float] | None
    precision: float | None
    f1: float | None


class CategoryRow(NamedTuple):
    """One category of a product.

    Attributes:
        category: Its name.
        queries: The fewest and the most distinct query instances at any K.
        scores: By K.
    """

    category: str
    queries: tuple[int, int]
    scores: dict[int, CategoryScores]


def classifier_rows(results: Results, product: str | None) -> list[ClassifierRow]:
    """Classifiers and baselines by K, in the order in which they were named.

    Args:
        results: The results.
        product: A product; None for the mean over products.
    """
    differences = {(each.product, each.classifier, each.shots): each.difference for each in results.comparisons}
    rows = []
    if product is None:
        transductive = {run.classifier for run in results.runs if run.transductive}
        for mean in results.means:
            label = shots_text(mean.shots, mean.support)
            difference = differences.get((None, mean.classifier, mean.shots))
            sees_all = mean.classifier in transductive
            row = ClassifierRow(mean.shots, label, mean.classifier, sees_all, mean.accuracy, difference, None, None)
            rows.append(row)
    for run in results.runs:
        if run.product == product:
            label = shots_text(run.shots, run.support)
            difference = differences.get((product, run.classifier, run.shots))
            scores = (run.accuracy, difference, run.macro_recall, run.ece)
            rows.append(ClassifierRow(run.shots, label, run.classifier, run.transductive, *scores))
    return sorted(rows, key=lambda row: row.shots)


def strongest(rows: Sequence[ClassifierRow]) -> str:
    """The classifier that is right most often at the greatest K; the first one named if several are."""
    candidates = [row for row in rows if not row.is_baseline] or rows
    greatest = max(row.shots for row in candidates)
    return max((row for row in candidates if row.shots == greatest), key=lambda row: row.accuracy.mean).classifier


def category_rows(results: Results, product: str, classifier: str) -> list[CategoryRow]:
    """One classifier's scores by category: first the category that it recognizes least often at the greatest K."""
    runs = sorted(_own(results, product, classifier), key=lambda run: run.shots)
    names = dict.fromkeys(name for run in runs for name in run.categories)
    rows = []
    for name in names:
        scores: dict[int, CategoryScores] = {}
        counts = []
        for run in runs:
            if name not in run.categories:
                continue
            own = run.per_category[name]
            counts.append(own.n_query)
            precision, f1 = None, None
            if run.confusion is not None:
                precision, f1 = precision_and_f1(run.confusion)[run.categories.index(name)]
            scores[run.shots] = CategoryScores(own.mean, own.ci95, precision, f1)
        rows.append(CategoryRow(name, (min(counts), max(counts)), scores))
    greatest = runs[-1].shots

    def recall(row: CategoryRow) -> float:
        at_greatest = row.scores.get(greatest)
        return 2.0 if at_greatest is None or at_greatest.recall is None else at_greatest.recall

    return sorted(rows, key=recall)


def confusions(run: Run) -> list[tuple[str, str, float]]:
    """What is mistaken for what: true category, predicted one, and the share of the true one's answers; largest first.

    Args:
        run: A run; without a confusion matrix, there are none.
    """
    found = []
    for number, row in enumerate(run.confusion or ()):
        total = sum(row)
        found += [
            (run.categories[number], run.categories[other], count / total)
            for other, count in enumerate(row)
            if count and other != number
        ]
    return sorted(found, key=lambda each: -each[2])


def _own(results: Results, product: str, classifier: str) -> list[Run]:
    return [run for run in results.runs if (run.product, run.classifier) == (product, classifier)]
