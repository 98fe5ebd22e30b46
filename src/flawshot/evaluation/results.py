"""Results: what an evaluation found, and the JSON file that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from flawshot.base.store.files import Document, read_document, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Answers",
    "CategoryScore",
    "Comparison",
    "EpisodeScore",
    "Estimate",
    "MeanScore",
    "Results",
    "Run",
    "joined_support",
    "shots_text",
]

Interval = tuple[float, float]


def _within(name: str, numbers: Sequence[int], count: int) -> None:
    if numbers and not 0 <= min(numbers) <= max(numbers) < count:
        raise ValueError(f"{name}: must be numbers from 0 to {count - 1}")


def joined_support(supports: Iterable[tuple[int, int] | None]) -> tuple[int, int] | None:
    """The fewest and the most of several; None where none is known."""
    known = [each for each in supports if each is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def shots_text(shots: int, support: tuple[int, int] | None) -> str:
    """K, and how many support instances a category really brought where that is not K.

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
        mean: Over the seeds' episodes.
        std: Standard deviation over the seeds (ddof 1); None with one seed.
        ci95: 95 % interval over seeds and query images together.
    """

    mean: float
    std: float | None
    ci95: Interval


class CategoryScore(Document):
    """Accuracy on one category's query instances; None where it has none."""

    mean: float | None
    ci95: Interval | None
    n_query: int


class EpisodeScore(Document):
    """One episode.

    Attributes:
        seed: The episode's seed.
        accuracy: Share of its query instances predicted rightly.
        macro_recall: Mean of the categories' recalls.
        fit_seconds: Seconds a fit took; the mean over the episodes that were fitted in one go, up to eight.
        predict_seconds: Seconds the prediction took.
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
        classifier: The classifier's name; ``chance`` and ``majority`` are yardsticks, not classifiers.
        transductive: Whether it saw all queries at once.
        shots: K.
        views: Views of an instance.
        n_query: Distinct query instances.
        categories: Order of the confusion matrix's rows and columns.
        accuracy: Share of query instances predicted rightly.
        macro_recall: Mean of the categories' recalls.
        ece: Expected calibration error, ten bins.
        per_category: Accuracy by true category.
        confusion: Counts summed over seeds, rows true; None for ``chance``.
        episodes: The seeds' own figures.
        reliability: Of each of ten bins of confidence, over all seeds: queries, mean confidence, share right; None in
            files of version 1.
        support: The fewest and the most support instances that a category brought to an episode; both are K unless
            short supports were allowed. None in files of versions 1 and 2.
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
    per_category: dict[str, CategoryScore]
    confusion: tuple[tuple[int, ...], ...] | None
    episodes: tuple[EpisodeScore, ...]
    reliability: tuple[tuple[int, float, float], ...] | None = None
    support: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Every category has its score, its row and its column."""
        if not self.episodes:
            raise ValueError("episodes: must hold one at least")
        if set(self.per_category) != set(self.categories):
            raise ValueError("per_category: must have the run's categories, and no others")
        rows = [len(row) for row in self.confusion or ()]
        if self.confusion is not None and rows != [len(self.categories)] * len(self.categories):
            raise ValueError("confusion: must have a row and a column a category")
        return self


class Answers(Document):
    """What the queries of one product and K were given, for looking at.

    Attributes:
        product: The product.
        shots: K.
        ids: The instances that the other fields number: those asked, and the nearest.
        true: Each instance's category, a number into the runs' ``categories``.
        seed: Each query's episode.
        query: Which instance each query is.
        predicted: By classifier, the category's number for each query.
        probability: By classifier, the probability given to it, to four digits.
        nearest: The support instances of the greatest cosine of mean views to each query, nearest first.
        left_out: Queries that were asked and scored, but are not listed, for there are too many.
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
    left_out: int

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Every query has its entry in each column, and no number leads nowhere."""
        columns = {"seed": self.seed, "nearest": self.nearest}
        columns |= {f"predicted.{name}": column for name, column in self.predicted.items()}
        columns |= {f"probability.{name}": column for name, column in self.probability.items()}
        for name, column in columns.items():
            if len(column) != len(self.query):
                raise ValueError(f"{name}: must have an entry a query, {len(self.query)}, not {len(column)}")
        if len(self.true) != len(self.ids):
            raise ValueError("true: must have an entry an instance")
        if self.predicted.keys() != self.probability.keys():
            raise ValueError("probability: must have the classifiers of predicted")
        _within("query", self.query, len(self.ids))
        for row in self.nearest:
            _within("nearest", row, len(self.ids))
        return self


class Comparison(Document):
    """A paired difference in accuracy to the reference classifier; product None is the mean over products.

    ``support`` is that of the runs.
    """

    product: str | None
    shots: int
    classifier: str
    reference: str
    difference: Estimate
    support: tuple[int, int] | None = None


class MeanScore(Document):
    """The mean accuracy over several products; ``support`` is that of their runs."""

    classifier: str
    shots: int
    products: tuple[str, ...]
    accuracy: Estimate
    support: tuple[int, int] | None = None


class Results(Document):
    """All that an evaluation found.

    Attributes:
        runs: One entry a product, classifier and K.
        comparisons: Paired differences to the first classifier named, on the same draws.
        means: Mean accuracies over the products, where there are several.
        provenance: What was run on: encoder, views, protocol, fingerprints, versions.
        answers: What each query was given, by product and K; empty in files of version 1.
    """

    format: Literal["flawshot-results"] = "flawshot-results"
    version: Literal[1, 2, 3] = 3
    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
    means: tuple[MeanScore, ...]
    provenance: dict[str, Any]
    answers: tuple[Answers, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """There is something, and answers are of categories that the runs have."""
        if not self.runs:
            raise ValueError("runs: must hold one at least")
        categories = {(run.product, run.shots): len(run.categories) for run in self.runs}
        for each in self.answers:
            if (each.product, each.shots) not in categories:
                raise ValueError(f"answers: {each.product} at {each.shots} shots is in no run")
            for name, column in {"true": each.true, **each.predicted}.items():
                _within(f"answers.{name}", column, categories[each.product, each.shots])
        return self

    def shots_label(self, shots: int, product: str | None = None) -> str:
        """K as it is to be read: ``5``, or ``5 (1-3)`` where some supports had fewer, with the fewest and the most.

        Args:
            shots: K.
            product: Of one product; of all where None.
        """
        own = [run.support for run in self.runs if run.shots == shots and product in {None, run.product}]
        return shots_text(shots, joined_support(own))

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the results as JSON.

        Raises:
            FlawshotError: If ``path`` exists with other content and ``overwrite`` is false.
        """
        write_json(Path(path), self.model_dump(mode="json"), overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read results.

        Raises:
            FlawshotError: With one line that names the file and the field, if the file is missing, damaged or foreign.
        """
        return read_document(Path(path), cls, "evaluate again")
