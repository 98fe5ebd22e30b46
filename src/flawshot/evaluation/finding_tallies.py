"""Scores of a finder over the query images of one or several episodes, and their bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.estimates import MOST, share_parts
from flawshot.evaluation.finding_results import FindingScore
from flawshot.evaluation.finding_scores import auroc, bin_heats, f1_max, image_histograms, pixel_scores, pro
from flawshot.evaluation.intervals import count_interval, draws, share_interval, variance_parts
from flawshot.evaluation.scores import mean_over_seeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flawshot.evaluation.finding_scores import BinnedHeat, ImageHeat, PixelScores
    from flawshot.evaluation.intervals import Part

__all__ = ["FindingTally", "estimate_finding", "finding_interval", "finding_parts", "resample_finding"]

DRAWS_AT_ONCE = 250
# Scores that are not shares.
UNBOUNDED = frozenset({"false_regions_per_image", "false_regions_per_good_image"})
CURVES = ("image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "pro")
# Scores between 0 and 1 that are not shares of items.
GRADED = frozenset({*CURVES, "mean_iou"})


@dataclass(frozen=True)
class FindingTally:
    """What a finder did on the query images of one episode.

    Attributes:
        unit: The number of the unit (image or group) that each image belongs to, ``[images]``.
        flawed: Whether each image shows a flaw, ``[images]``.
        score: The image scores, ``[images]``.
        heats: The images' summarized heat maps.
        counts: By the name of a score: numerators and denominators by image, ``[images]`` each; the score is the sum of
            the ones over the sum of the others.
    """

    unit: NDArray[np.intp]
    flawed: NDArray[np.bool_]
    score: NDArray[np.float64]
    heats: Sequence[ImageHeat]
    counts: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]

    @cached_property
    def _binned(self) -> BinnedHeat:
        return bin_heats(self.heats)

    @cached_property
    def _images(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return image_histograms(self.score, self.flawed)

    @cached_property
    def _pixels(self) -> PixelScores:
        return pixel_scores(self.heats)

    @cached_property
    def _shift(self) -> NDArray[np.float64]:
        """What short histograms change in the scores over pixels, and is taken back in every draw."""
        good, flawed, covered = (each.astype(np.float64).sum(axis=0) for each in self._binned)
        short = [float(auroc(good, flawed)), float(f1_max(good, flawed)), float(pro(good, covered))]
        return np.array(self._pixels) - short

    def measured(self) -> dict[str, float]:
        """The scores by name; those that cannot be measured are omitted."""
        image = [each.sum(axis=0) for each in self._images]
        curves = (float(auroc(*image)), float(f1_max(*image)), *self._pixels)
        made = dict(zip(CURVES, curves, strict=True))
        for name, (part, whole) in self.counts.items():
            made[name] = float(part.sum() / whole.sum()) if whole.sum() else float("nan")
        return {name: value for name, value in made.items() if np.isfinite(value)}

    def resampled(self, weights: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """The scores with images weighted, by name, ``[draws]`` each; NaN if a draw has nothing to measure.

        Args:
            weights: How often each unit was drawn, ``[draws, units]``.
        """
        own = weights[:, self.unit]
        image = [own @ each for each in self._images]
        good, flawed, covered = ((own @ each).astype(np.float64) for each in self._binned)
        pixels = np.stack([auroc(good, flawed), f1_max(good, flawed), pro(good, covered)])
        shifted = (pixels + self._shift[:, None]).clip(0.0, 1.0)
        made = dict(zip(CURVES, (auroc(*image), f1_max(*image), *shifted), strict=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            made |= {name: (own @ part) / (own @ whole) for name, (part, whole) in self.counts.items()}
        return made

    def size(self, name: str) -> tuple[int, int]:
        """On how many items a score is measured, and from how many units these come.

        The latter is for its interval if the bootstrap says nothing: Wilson's of shares, Poisson's of counts. Image
        scores come from the rarer kind of unit, those with flaws or those without, and pixel scores from units with
        flaws.
        """
        flawed, good = (len(np.unique(self.unit[own])) for own in (self.flawed, ~self.flawed))
        if name in {"image_auroc", "image_f1_max"}:
            return len(self.flawed), min(flawed, good)
        if name in CURVES:
            return len(self.flawed), flawed
        if name not in self.counts:
            return 0, 0
        whole = self.counts[name][1]
        return round(float(whole.sum())), len(np.unique(self.unit[whole > 0]))


def resample_finding(tallies: Sequence[FindingTally], units: int, key: str) -> dict[str, NDArray[np.float64]]:
    """Bootstrap the scores over units, all on the same draws.

    Curves over pixels use a few hundred thresholds here, so that an image's share in them is a short histogram.

    Args:
        tallies: The episodes.
        units: Number of units.
        key: Seeds the draws.

    Returns:
        By name, ``[draws]``; NaN if a draw has nothing to measure.
    """
    chunks: dict[str, list[NDArray[np.float64]]] = {}
    for draw in draws(units, key):
        for start in range(0, len(draw), DRAWS_AT_ONCE):
            part = draw[start : start + DRAWS_AT_ONCE]
            several = [tally.resampled(part) for tally in tallies]
            nothing = np.full(len(part), np.nan)
            for name in dict.fromkeys(name for each in several for name in each):
                values = np.stack([each.get(name, nothing) for each in several], axis=1)
                chunks.setdefault(name, []).append(mean_over_seeds(values))
    return {name: np.concatenate(parts) for name, parts in chunks.items()}


def finding_parts(name: str, values: Sequence[float], resampled: NDArray[np.float64], units: int) -> list[Part]:
    """The parts of the variance of a score.

    Args:
        name: The score's name.
        values: The score in each episode that has it.
        resampled: Bootstrap values of their mean.
        units: Number of units that it comes from.
    """
    if name in UNBOUNDED:
        # Poisson's law: the variance of a count is its mean.
        return variance_parts(values, resampled, units, float(np.mean(values)))
    return share_parts(values, resampled, units)


def finding_interval(name: str, mean: float, parts: Sequence[Part], items: int, units: int) -> tuple[float, float]:
    """The interval of a score.

    Args:
        name: The score's name.
        mean: The score.
        parts: The parts of its variance.
        items: On how many items it is measured.
        units: Number of units that it comes from.
    """
    if name in UNBOUNDED:
        return count_interval(mean, parts, units)
    return share_interval(mean, parts, units, most=math.inf if name in GRADED else MOST * items)


def estimate_finding(
    tallies: Sequence[FindingTally],
    measured: Sequence[Mapping[str, float]],
    resampled: Mapping[str, NDArray[np.float64]],
) -> dict[str, FindingScore]:
    """The mean of each score over the episodes that have it, with its interval.

    Args:
        tallies: The episodes.
        measured: Their scores.
        resampled: As :func:`resample_finding` returns it.
    """
    made = {}
    for name in dict.fromkeys(name for each in measured for name in each):
        values = [each[name] for each in measured if name in each]
        count, units = max(tally.size(name) for tally in tallies)
        mean = float(np.mean(values))
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        ci95 = finding_interval(name, mean, finding_parts(name, values, resampled[name], units), count, units)
        made[name] = FindingScore(mean=mean, std=std, ci95=ci95, n=count)
    return made
