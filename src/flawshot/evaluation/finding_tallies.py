"""Scores of a finder over the query images of one or several episodes, and their bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.estimates import estimate_share
from flawshot.evaluation.finding_results import FindingScore
from flawshot.evaluation.finding_scores import auroc, bin_heats, f1_max, image_histograms, pixel_scores, pro
from flawshot.evaluation.intervals import draws, percentile_interval, poisson
from flawshot.evaluation.scores import mean_over_seeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flawshot.evaluation.finding_scores import BinnedHeat, ImageHeat, PixelScores

__all__ = ["UNBOUNDED", "FindingTally", "count_interval", "estimate_finding", "resample_finding"]

DRAWS_AT_ONCE = 250
# Bootstrap values this close together are the same but for rounding.
SAME = 1e-9
# Scores that are not shares.
UNBOUNDED = frozenset({"false_regions_per_image", "false_regions_per_good_image"})
CURVES = ("image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "pro")


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
        """On how many items a score is measured, and the number for its interval if the bootstrap says nothing.

        The latter, for Wilson's interval of shares, is that of the rarer kind of image for image scores, and of images
        with flaws for pixel scores; for Poisson's interval of counts, it is that of units.
        """
        flawed = int(self.flawed.sum())
        if name in {"image_auroc", "image_f1_max"}:
            return len(self.flawed), min(flawed, len(self.flawed) - flawed)
        if name in CURVES:
            return len(self.flawed), flawed
        if name not in self.counts:
            return 0, 0
        whole = self.counts[name][1]
        count = round(float(whole.sum()))
        return count, len(np.unique(self.unit[whole > 0])) if name in UNBOUNDED else count


def resample_finding(tallies: Sequence[FindingTally], units: int, key: str) -> dict[str, NDArray[np.float64]]:
    """Bootstrap the scores over episodes and units together, all on the same draws.

    Curves over pixels use a few hundred thresholds here, so that an image's share in them is a short histogram.

    Args:
        tallies: The episodes.
        units: Number of units.
        key: Seeds the draws.

    Returns:
        By name, ``[draws]``; NaN if a draw has nothing to measure.
    """
    chunks: dict[str, list[NDArray[np.float64]]] = {}
    for draw in draws(len(tallies), units, key):
        for start in range(0, len(draw.units), DRAWS_AT_ONCE):
            part = slice(start, start + DRAWS_AT_ONCE)
            several = [tally.resampled(draw.units[part]) for tally in tallies]
            weights = draw.seeds[part].astype(np.float64)
            nothing = np.full(len(weights), np.nan)
            for name in dict.fromkeys(name for each in several for name in each):
                values = np.stack([each.get(name, nothing) for each in several], axis=1)
                chunks.setdefault(name, []).append(mean_over_seeds(values, weights))
    return {name: np.concatenate(parts) for name, parts in chunks.items()}


def count_interval(mean: float, resampled: NDArray[np.float64], units: int) -> tuple[float, float]:
    """The interval of a mean count: the bootstrap's, or Poisson's if every unit counts the same, such as zero.

    Args:
        mean: The mean count.
        resampled: Its bootstrap values.
        units: Number of units that it comes from.
    """
    low, high = percentile_interval(resampled)
    return poisson(mean, units) if high - low < SAME and units else (low, high)


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
    units = len({int(unit) for tally in tallies for unit in tally.unit})
    for name in dict.fromkeys(name for each in measured for name in each):
        values = [each[name] for each in measured if name in each]
        count, fewest = max(tally.size(name) for tally in tallies)
        if name in UNBOUNDED:
            mean = float(np.mean(values))
            low, high = count_interval(mean, resampled[name], fewest)
            std = float(np.std(values, ddof=1)) if len(values) > 1 else None
            made[name] = FindingScore(mean=mean, std=std, ci95=(min(low, mean), max(high, mean)), n=count)
        else:
            share = estimate_share(values, resampled[name], fewest, units)
            made[name] = FindingScore(mean=share.mean, std=share.std, ci95=share.ci95, n=count)
    return made
