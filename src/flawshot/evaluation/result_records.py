"""The records that results consist of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from flawshot.base.store.files import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Answers",
    "CategoryScore",
    "Comparison",
    "EpisodeScore",
    "Estimate",
    "MeanScore",
    "Run",
    "indices_within",
    "joined_support",
    "shots_text",
]

Interval = tuple[float, float]


def indices_within(name: str, numbers: Sequence[int], count: int) -> None:
    """Refuse a field's numbers that are not indices into ``count`` items, as a validator does."""
    if numbers and not 0 <= min(numbers) <= max(numbers) < count:
        raise ValueError(f"{name}: must be numbers from 0 to {count - 1}")


def joined_support(supports: Iterable[tuple[int, int] | None]) -> tuple[int, int] | None:
    """The overall fewest and most of several pairs; None if none is known."""
    known = [each for each in supports if each is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def shots_text(shots: int, support: tuple[int, int] | None) -> str:
    """K, and the actual numbers of support instances per category if they differ from K.

    >>> shots_text(5, (5, 5)), shots_text(5, (1, 3)), shots_text(5, (2, 2)), shots_text(5, None)
    ('5', '5 (1-3)', '5 (2)', '5')
    """
    if support is None or support == (shots, shots):
        return str(shots)
    least, most = support
    return f"{shots} ({least})" if least == most else f"{shots} ({least}-{most})"


class Estimate(Document):
    """A mean over episodes.

    Attributes:
        mean: Mean over the seeds' episodes.
        std: Standard deviation over the seeds (ddof 1); None for a single seed.
        ci95: 95 % interval over seeds and query images together.
    """

    mean: float
    std: float | None
    ci95: Interval


class CategoryScore(Document):
    """Accuracy on one category's query instances; None if it has none."""

    mean: float | None
    ci95: Interval | None
    n_query: int


class EpisodeScore(Document):
    """One episode.

    Attributes:
        seed: The episode's seed.
        accuracy: Share of its query instances that are predicted correctly.
        macro_recall: Mean of the categories' recalls.
        fit_seconds: Seconds for fitting; the mean over episodes that were fitted together, up to eight.
        predict_seconds: Seconds for the prediction.
    """

    seed: int
    accuracy: float
    macro_recall: float
    fit_seconds: float
    predict_seconds: float


class Run(Document):
    """One classifier on one product at one K.

    Attributes:
        product: The product.
        classifier: The classifier's name; ``chance`` and ``majority`` are baselines, not classifiers.
        transductive: Whether it saw all queries at once.
        shots: K.
        views: Number of views per instance.
        n_query: Number of distinct query instances.
        categories: Order of the confusion matrix's rows and columns.
        accuracy: Share of query instances that are predicted correctly.
        macro_recall: Mean of the categories' recalls.
        ece: Expected calibration error, ten bins.
        brier: Brier score: the sum over all categories of the squared differences between probability and truth, from 0
            to 2, mean over queries. None in files of versions 1 to 3.
        log_loss: Minus the logarithm of the true category's probability, in nats, mean over queries. None in files of
            versions 1 to 3.
        per_category: Accuracy by true category.
        confusion: Counts summed over seeds, with true categories as rows; None for ``chance``.
        episodes: The scores of each seed.
        reliability: For each of ten bins of confidence, over all seeds: number of queries, mean confidence, share
            right; None in files of version 1.
        support: The fewest and the most support instances of a category in an episode; both are K unless short
            supports were allowed. None in files of versions 1 and 2.
    """

    product: str
    classifier: str
    transductive: bool
    shots: int
    views: int
    n_query: int
    categories: tuple[str, ...]
    accuracy: Estimate
    macro_recall: Estimate
    ece: Estimate
    brier: Estimate | None = None
    log_loss: Estimate | None = None
    per_category: dict[str, CategoryScore]
    confusion: tuple[tuple[int, ...], ...] | None
    episodes: tuple[EpisodeScore, ...]
    reliability: tuple[tuple[int, float, float], ...] | None = None
    support: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _bins_count(self) -> Self:
        if any(count < 0 for count, _, _ in self.reliability or ()):
            raise ValueError("reliability: the number of queries must be 0 or more")
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Check that every category has a score, a row and a column."""
        if not self.episodes:
            raise ValueError("episodes: must contain at least one")
        if set(self.per_category) != set(self.categories):
            raise ValueError("per_category: must have exactly the run's categories")
        rows = [len(row) for row in self.confusion or ()]
        if self.confusion is not None and rows != [len(self.categories)] * len(self.categories):
            raise ValueError("confusion: must have one row and one column per category")
        return self


class Answers(Document):
    """The answers to the queries of one product and K, for inspection.

    Attributes:
        product: The product.
        shots: K.
        ids: The instances that numbers in other fields refer to: the queries and the nearest support instances.
        true: Each instance's category, as an index into the runs' ``categories``.
        seed: Each query's episode.
        query: Each query's instance, as an index into ``ids``.
        predicted: By classifier, the predicted category's index for each query.
        probability: By classifier, its probability, to four digits.
        nearest: For each query, the support instances with the greatest cosine of mean views, nearest first.
        unit: Each instance's image, or group if images are grouped, as a number from 0; -1 for instances that are never
            asked. Intervals keep the queries of a unit together. None in files of versions 1 to 4.
        left_out: Number of queries that were scored but are not listed, because there are too many.
    """

    product: str
    shots: int
    ids: tuple[str, ...]
    true: tuple[int, ...]
    seed: tuple[int, ...]
    query: tuple[int, ...]
    predicted: dict[str, tuple[int, ...]]
    probability: dict[str, tuple[float, ...]]
    nearest: tuple[tuple[int, ...], ...]
    unit: tuple[int, ...] | None = None
    left_out: int

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Check that each column has one entry per query, and that all indices are valid."""
        columns = {"seed": self.seed, "nearest": self.nearest}
        columns |= {f"predicted.{name}": column for name, column in self.predicted.items()}
        columns |= {f"probability.{name}": column for name, column in self.probability.items()}
        for name, column in columns.items():
            if len(column) != len(self.query):
                raise ValueError(f"{name}: must have one entry per query, {len(self.query)}, not {len(column)}")
        if len(self.true) != len(self.ids):
            raise ValueError("true: must have one entry per instance")
        if self.unit is not None and len(self.unit) != len(self.ids):
            raise ValueError("unit: must have one entry per instance")
        if self.predicted.keys() != self.probability.keys():
            raise ValueError("probability: must have the same classifiers as predicted")
        indices_within("query", self.query, len(self.ids))
        for row in self.nearest:
            indices_within("nearest", row, len(self.ids))
        if self.unit is not None and any(self.unit[number] < 0 for number in self.query):
            raise ValueError("unit: must be 0 or more for every query")
        return self


class Comparison(Document):
    """A paired difference in accuracy from the reference classifier; with product None, of the means over products.

    ``support`` is that of the runs.
    """

    product: str | None
    shots: int
    classifier: str
    reference: str
    difference: Estimate
    support: tuple[int, int] | None = None


class MeanScore(Document):
    """The mean accuracy, Brier score and log loss over several products; ``support`` is that of their runs.

    Brier score and log loss are None in files of versions 1 to 3.
    """

    classifier: str
    shots: int
    products: tuple[str, ...]
    accuracy: Estimate
    brier: Estimate | None = None
    log_loss: Estimate | None = None
    support: tuple[int, int] | None = None
