"""Whether new regions are like a model's examples: how many are unknown, and how new they are, with p-values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betaln, gammaln, stdtr

from flawshot.base.store.files import Document
from flawshot.base.wording import counted
from flawshot.models.accuracy import units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from flawshot.models.calibration import Calibration
    from flawshot.models.model import Model
    from flawshot.models.predictions import Predictions

__all__ = [
    "Drift",
    "KnownExamples",
    "compare_novelty",
    "compare_regions",
    "describe_drift",
    "measure_drift",
    "unknown_p",
]

# With fewer images than this on either side nothing is said.
LEAST_UNITS = 10
# How often data like the examples may be called unlike them.
ALARM = 0.05


class Drift(Document):
    """New regions, compared with a model's examples when each of these was left out.

    Attributes:
        regions: Number of regions that are not the model's own examples.
        images: Number of images that they are on.
        unknown: How many of them are unlike every category.
        expected: The share that may be so if they are like the examples; None if the model has too few examples to
            call a region unknown.
        unknown_p: How probable as many or more are if they are like the examples; None likewise.
        newer: Share of pairs of a region and an example in which the region is less like every category, ties halved:
            0.5 if they are alike; None if the model has too few examples, or an earlier flawshot fitted it.
        newer_p: How probable as much or more is if they are alike; None likewise.
        unlike: Whether one of these is too improbable: at most 0.05, divided by the number of tests.
    """

    regions: int
    images: int
    unknown: int
    expected: float | None
    unknown_p: float | None
    newer: float | None
    newer_p: float | None
    unlike: bool

    @property
    def level(self) -> float:
        """What the p-value of one test may be at most for the regions to be called unlike the examples."""
        return ALARM / max(1, sum(each is not None for each in (self.unknown_p, self.newer_p)))


class KnownExamples(NamedTuple):
    """What is known of a model's examples.

    Attributes:
        calibration: The model's calibration.
        units: The image, or group of images, of each example.
        novelty: The novelty of each when its unit was left out, float64 ``[n]``, infinite where it is not known; None
            if an earlier flawshot fitted the model.
    """

    calibration: Calibration
    units: Sequence[str]
    novelty: NDArray[np.float64] | None

    @classmethod
    def of(cls, model: Model) -> KnownExamples:
        """Those of a model."""
        known = model.record.left_out_novelty
        return cls(
            model.record.calibration,
            units_of(model.support.catalog.column("image"), model.record.groups),
            None if known is None else np.array([math.inf if each is None else each for each in known]),
        )


def measure_drift(model: Model, predictions: Predictions, images: Sequence[str]) -> Drift | None:
    """Compare predicted regions with the examples of a model.

    Args:
        model: The model.
        predictions: Its predictions of regions that are not its own examples.
        images: The image of each region; regions of one image are not independent. If several images show one physical
            sample, give them the same name.

    Returns:
        The comparison, or None if there are fewer than ten images of regions, or of examples.

    Raises:
        ValueError: If there are not as many images as regions.
    """
    return compare_regions(KnownExamples.of(model), predictions.novelty, predictions.unknown, images)


def compare_regions(
    known: KnownExamples, novelty: ArrayLike, unknown: ArrayLike, images: Sequence[object] | NDArray[np.intp]
) -> Drift | None:
    """Compare regions with examples; see :func:`measure_drift`.

    Args:
        known: The examples.
        novelty: Novelty of each region, ``[regions]``.
        unknown: Which of them are unlike every category, bool ``[regions]``.
        images: The image of each region.
    """
    newness, called = np.asarray(novelty, dtype=np.float64), np.asarray(unknown, dtype=bool)
    if not len(newness) == len(called) == len(images):
        raise ValueError(f"{len(newness)} novelties, {len(called)} regions and {len(images)} images do not match")
    if not len(newness):
        return None
    image, unit = _numbered(images), _numbered(known.units)
    if min(image.max(), unit.max()) + 1 < LEAST_UNITS:
        return None
    unknown_chance = unknown_p(known.calibration, np.bincount(unit), called, image)
    newer = newer_chance = None
    rated = np.zeros(0, dtype=bool) if known.novelty is None else np.isfinite(known.novelty)
    left_out = len(np.unique(unit[rated])) if known.novelty is not None else 0
    if known.novelty is not None and left_out >= LEAST_UNITS:
        wider = 1 + left_out / (left_out - 1)
        newer, newer_chance = compare_novelty(known.novelty[rated], unit[rated], newness, image, wider=wider)
    chances = [each for each in (unknown_chance, newer_chance) if each is not None]
    if not chances:
        return None
    return Drift(
        regions=len(newness),
        images=int(image.max()) + 1,
        unknown=int(called.sum()),
        expected=None if unknown_chance is None else known.calibration.false_alarms,
        unknown_p=unknown_chance,
        newer=newer,
        newer_p=newer_chance,
        unlike=min(chances) <= ALARM / len(chances),
    )


def _numbered(names: Sequence[object] | NDArray[np.intp]) -> NDArray[np.intp]:
    given = names if isinstance(names, np.ndarray) else np.array(list(names), dtype=object)
    numbers: NDArray[np.intp] = np.unique(given, return_inverse=True)[1]
    return numbers


def unknown_p(
    calibration: Calibration, sizes: NDArray[np.intp], unknown: NDArray[np.bool_], images: NDArray[np.intp]
) -> float | None:
    """How probable as many unknown regions or more are if the regions are like the examples.

    The limit is the k-th least novelty of n examples. Of as many new regions of the same distribution, the number above
    it has a beta-binomial distribution, which knows that the limit itself comes from few examples. Regions of one image
    are not independent, so their number is that of images (if these have different numbers of regions, Kish's effective
    number), and so is that of the examples: as if all regions of an image were the same, which errs on the safe side.

    Args:
        calibration: The model's calibration.
        sizes: Number of examples of each unit.
        unknown: Which new regions are unknown, bool ``[regions]``.
        images: The image of each, from 0.

    Returns:
        The probability, or None if the model has no limit.

    References:
        Vovk: "Conditional validity of inductive conformal predictors", Machine Learning 2013, for the distribution of
        the limit; Kish: "Survey sampling", 1965, for the effective number.
    """
    if calibration.novelty_limit is None:
        return None
    places = calibration.instances * (1 + 1 / calibration.groups)
    # As when the limit was chosen.
    above = 1 - math.ceil(places * (1 - calibration.false_alarms) - 1e-9) / places
    examples, trials = _effective(sizes), max(1, math.floor(_effective(np.bincount(images)) + 1e-9))
    at_least = math.floor(float(unknown.mean()) * trials + 1e-9)
    return _beta_binomial_tail(at_least, trials, (examples + 1) * above, (examples + 1) * (1 - above))


def _effective(sizes: NDArray[np.intp]) -> float:
    """How many units of one size have the variance of a mean over units of these sizes."""
    return float(sizes.sum()) ** 2 / float((sizes.astype(np.float64) ** 2).sum())


def _beta_binomial_tail(at_least: int, trials: int, a: float, b: float) -> float:
    """The probability of so many successes or more."""
    if at_least <= 0:
        return 1.0
    j = np.arange(at_least, trials + 1)
    choose = gammaln(trials + 1) - gammaln(j + 1) - gammaln(trials - j + 1)
    return min(1.0, float(np.exp(choose + betaln(j + a, trials - j + b) - betaln(a, b)).sum()))


def compare_novelty(
    examples: NDArray[np.float64],
    units: NDArray[np.intp],
    regions: NDArray[np.float64],
    images: NDArray[np.intp],
    *,
    wider: float = 1.0,
) -> tuple[float, float]:
    """Test whether regions are newer than examples, with the variance of whole images.

    Brunner's and Munzel's test, whose variance is that of placements (the share of the other side that a value
    exceeds), summed over the values of a unit as Obuchowski does. With one value for each unit it is theirs. Neither
    the shapes of both distributions nor the numbers of regions on an image need to be the same.

    Args:
        examples: Values of the examples, ``[n]``.
        units: The unit of each.
        regions: Values of the regions, ``[m]``.
        images: The image of each.
        wider: What the variance of the examples is multiplied with, if they are not independent. Novelties of examples
            that are left out in turn come from fits that share all others: with k of them, the factor of Nadeau and
            Bengio is 1 + k / (k - 1).

    Returns:
        The share of pairs in which the region's value is greater, ties halved; and the one-sided p-value.

    References:
        Brunner, Munzel: "The nonparametric Behrens-Fisher problem", Biometrical Journal 2000; Obuchowski:
        "Nonparametric analysis of clustered ROC curve data", Biometrics 1997; Nadeau, Bengio: "Inference for the
        generalization error", Machine Learning 2003.
    """
    above = _placed(regions, examples)
    below = 1 - _placed(examples, regions)
    share = float(above.mean())
    parts = [wider * _variance(below - share, units), _variance(above - share, images)]
    sides = [len(np.unique(units)), len(np.unique(images))]
    # No order of the units says more than the least probable one.
    least = math.exp(gammaln(sides[0] + 1) + gammaln(sides[1] + 1) - gammaln(sum(sides) + 1))
    total = sum(parts)
    if total <= 0:
        return share, least if share > 0.5 else 1.0
    freedom = total**2 / sum(part**2 / (side - 1) for part, side in zip(parts, sides, strict=True))
    return share, max(least, float(stdtr(freedom, (0.5 - share) / math.sqrt(total))))


def _placed(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of others that each value exceeds, ties halved."""
    ordered = np.sort(among)
    places = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return places / (2 * len(among))


def _variance(gaps: NDArray[np.float64], units: NDArray[np.intp]) -> float:
    """The variance of the mean of values that differ from it by so much, if units are drawn as a whole."""
    place = np.unique(units, return_inverse=True)[1]
    sums = np.bincount(place, weights=gaps)
    return float((sums**2).sum()) * len(sums) / (len(sums) - 1) / len(gaps) ** 2


def describe_drift(drift: Drift, *, found: bool = False) -> str:
    """One line that says in which way regions are unlike the examples.

    Args:
        drift: A comparison with ``unlike``.
        found: Whether a finder put regions there, which may be no flaws.

    >>> described = Drift(regions=309, images=120, unknown=64, expected=0.1, unknown_p=0.0002, newer=0.6,
    ...                   newer_p=0.003, unlike=True)
    >>> describe_drift(described)[:99]
    '21% of regions are unknown where 10% were expected (p = 0.0002, 309 regions on 120 images): this da'
    """
    seen = f"{counted(drift.regions, 'region')} on {counted(drift.images, 'image')}"
    if drift.expected is not None and drift.unknown_p is not None and drift.unknown_p <= drift.level:
        share, usual, chance = drift.unknown / drift.regions, drift.expected, drift.unknown_p
        said = f"{share:.0%} of regions are unknown where {usual:.0%} were expected"
    else:
        share, chance = drift.newer or 0.0, drift.newer_p or 0.0
        said = f"in {share:.0%} of pairs, a region is less like the categories than an example was, not in half"
    doubt = ", or what was found is no flaw" if found else ""
    return f"{said} ({_chance(chance)}, {seen}): this data is unlike the examples{doubt}"


def _chance(p: float) -> str:
    return f"p = {p:.1g}" if p >= 0.0001 else "p < 0.0001"
