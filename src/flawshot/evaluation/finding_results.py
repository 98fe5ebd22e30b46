"""Results of an evaluation of finders, and their JSON file."""

from __future__ import annotations

from typing import Any, Literal

from flawshot.base.store.files import Document
from flawshot.evaluation.result_records import CategoryScore, Estimate

__all__ = ["FindingEpisodeScore", "FindingMean", "FindingResults", "FindingRun", "FindingScore"]


class FindingScore(Estimate):
    """One score.

    Attributes:
        n: How many images, instances or regions it is measured on, in the episode with the most.
    """

    n: int


class FindingEpisodeScore(Document):
    """One episode.

    Attributes:
        seed: The episode's seed.
        scores: Its scores by name; those that cannot be measured are omitted.
        fit_seconds: Seconds for fitting the finder.
        find_seconds: Seconds for its heat maps and regions.
    """

    seed: int
    scores: dict[str, float]
    fit_seconds: float
    find_seconds: float


class FindingRun(Document):
    """One finder on one product, with some numbers of labeled instances and good images.

    Attributes:
        product: The product.
        shots: Labeled instances per category.
        good_shots: Number of good images for support; ``all`` if all there were.
        good_images: Their actual number.
        n_images: Number of distinct query images with flaws.
        n_good: Number of distinct good query images.
        n_instances: Number of distinct query instances.
        scores: By name, as listed in ``docs/formats.md``; those that cannot be measured are omitted.
        per_category: By category: ``found``, ``found_and_named`` and ``named_given_regions``.
        episodes: The scores of each seed.
        left_out: Images that could not be used, with the reason.
    """

    product: str
    shots: int
    good_shots: int | Literal["all"]
    good_images: int
    n_images: int
    n_good: int
    n_instances: int
    scores: dict[str, FindingScore]
    per_category: dict[str, dict[str, CategoryScore]]
    episodes: tuple[FindingEpisodeScore, ...]
    left_out: dict[str, str]


class FindingMean(Document):
    """Mean scores over products."""

    shots: int
    good_shots: int | Literal["all"]
    products: tuple[str, ...]
    scores: dict[str, FindingScore]


class FindingResults(Document):
    """All results of an evaluation of a finder.

    Attributes:
        runs: One entry per product, number of labeled instances, and number of good images.
        means: Means over products, if there are several; a score is there if every product has it.
        provenance: What the evaluation was run on.
    """

    format: Literal["flawshot-finding-results"] = "flawshot-finding-results"
    version: Literal[1] = 1
    runs: tuple[FindingRun, ...]
    means: tuple[FindingMean, ...]
    provenance: dict[str, Any]
