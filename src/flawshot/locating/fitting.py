"""Fitting locators to a few labeled images and good ones, and the threshold above which they find."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from PIL import Image

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.labelme.images import read_image
from flawshot.locating.dense import dense_features
from flawshot.locating.examples import LabeledImage, examples_of
from flawshot.locating.heat import good_bank, heat_model
from flawshot.locating.locator import Locator
from flawshot.locating.outlining import outline_model
from flawshot.locating.threads import in_threads, pixels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from flawshot.encoders.base import BaseEncoder
    from flawshot.locating.examples import ImageExamples
    from flawshot.locating.heat import GoodBank, HeatModel

__all__ = ["ALARMS", "FittedLocator", "Threshold", "Variant", "fit_locator", "peaks_threshold"]

# The share of good images that may be alarmed.
ALARMS = 0.05
# The parts into which images are divided, each held out in turn.
FOLDS = 5
# A unit with more than this share of all good cells cannot be held out: hardly a bank would be left.
MOST_OF_ONE = 0.9


class Threshold(NamedTuple):
    """Above which heat a region is found.

    Attributes:
        value: The heat.
        source: Whether it comes from held-out ``good`` images, or from the ``background`` of held-out labeled ones.
        images: The number of them.
        promised: The share of good units that this leads one to expect to be alarmed, on any of their images:
            k / (units + 1), where the k-th highest peak of a unit is the threshold.
        units: The number of units that the images belong to: groups, or the images themselves.
    """

    value: float
    source: Literal["good", "background"]
    images: int
    promised: float
    units: int


class Variant(NamedTuple):
    """A locator that has not seen some of the images.

    Attributes:
        locator: The locator; its threshold comes from the other images, too.
        units: The units that it has not seen.
    """

    locator: Locator
    units: frozenset[str]


class FittedLocator(NamedTuple):
    """A locator with what was held out to fit it.

    Attributes:
        locator: The locator.
        threshold: Where its threshold comes from.
        variants: Locators that have not seen some of the images, to measure what can be expected; each image is unseen
            by exactly one of them. If nearly all good cells come from one unit, all of them have seen that unit.
    """

    locator: Locator
    threshold: Threshold
    variants: tuple[Variant, ...]


def fit_locator(
    encoder: BaseEncoder,
    labeled: Sequence[LabeledImage],
    good: Sequence[Path | Image.Image] = (),
    *,
    alarms: float = ALARMS,
    units: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FittedLocator:
    """Fit a locator.

    Good cells are those of good images, and those of labeled images that are apart from every flaw. The threshold is
    the k-th highest peak of n held-out good units, with the largest k for which k / (n + 1) is at most ``alarms``; if
    that is less than 1, the highest. If there is no good image, the backgrounds of held-out labeled images stand in.
    If nearly all good cells come from a single unit, each half of these is held out in turn.

    Args:
        encoder: An encoder with maps.
        labeled: Images with labeled flaws.
        good: Images without flaws: files, or upright RGB images.
        alarms: The share of good images that may be alarmed, above 0 and below 1.
        units: What each image shows, first of ``labeled``, then of ``good``; images of one unit are held out together.
            Each is a unit of its own if None.
        progress: Called with the number of encoded images and their total.

    Raises:
        FlawshotError: If there is nothing to fit, an image cannot be read, or the encoder has no maps.
    """
    if not 0 < alarms < 1:
        raise FlawshotError(f"{argument('alarms', alarms)}: must be a share above 0 and below 1, such as {ALARMS}")
    if not labeled and not good:
        raise FlawshotError("a locator needs images: labeled ones, good ones, or both")
    total = len(labeled) + len(good)
    names = [str(number) for number in range(total)] if units is None else list(units)
    examples: list[ImageExamples] = []
    _ = encoder.map_side  # which some encoders find out by a trial, once

    def taken(task: tuple[LabeledImage, str]) -> ImageExamples:
        (source, instances, others), unit = task
        image = source if isinstance(source, Image.Image) else read_image(source, str(source))
        return examples_of(dense_features(encoder, image), instances, others, unit=unit)

    given = [*labeled, *(LabeledImage(each, ()) for each in good)]
    tasks = zip(given, names, strict=True)
    made = in_threads(taken, tasks, encoder.device, lambda task: pixels_of(task[0].image))
    for number, each in enumerate(made, start=1):
        examples.append(each)
        if progress is not None:
            progress(number, total)
    return fit_examples(encoder, examples, alarms)


def fit_examples(encoder: BaseEncoder, examples: Sequence[ImageExamples], alarms: float) -> FittedLocator:
    """Fit a locator to what was taken from images; see :func:`fit_locator`."""
    single = _single_unit(examples)
    others = [each for each in examples if each.unit != single]
    peaks: list[tuple[str, bool, float]] = []
    if single is None:
        bank = good_bank(examples)
    else:
        bank, peaks = _by_halves(examples, single)
    parts = _parts(others)
    held_out = [_without(encoder, examples, bank, units) for units in parts]
    models = {unit: each.heat_model for each, units in zip(held_out, parts, strict=True) for unit in units}
    peaks += [(each.unit, each.flawless, _peak(models[each.unit], each)) for each in others]
    unfixed = _locator(encoder, examples, bank)
    threshold = peaks_threshold(peaks, alarms)
    variants = []
    for locator, units in zip(held_out, parts, strict=True):
        rest = [peak for peak in peaks if peak[0] not in units and math.isfinite(peak[2])]
        value = peaks_threshold(rest or peaks, alarms).value
        variants.append(Variant(replace(locator, threshold=value), units))
    return FittedLocator(replace(unfixed, threshold=threshold.value), threshold, tuple(variants))


def peaks_threshold(peaks: Sequence[tuple[str, bool, float]], alarms: float) -> Threshold:
    """The threshold from the peaks of held-out images.

    Images of one unit are not independent, so each unit counts once, with the highest of its peaks.

    Args:
        peaks: Unit, whether the image is good, and the highest heat of its good cells.
        alarms: The share of good images that may be alarmed.

    >>> peaks_threshold([("a", True, 3.0), ("b", True, 5.0), ("c", True, 4.0)], 0.5).value
    4.0
    >>> peaks_threshold([("a", True, 3.0), ("b", True, 5.0)], 0.05).promised
    0.3333333333333333
    >>> peaks_threshold([("a", True, 3.0), ("a", True, 5.0), ("a", True, 4.0)], 0.5)[:4]
    (5.0, 'good', 3, 0.5)
    """
    own = [(unit, peak) for unit, flawless, peak in peaks if flawless and math.isfinite(peak)]
    source: Literal["good", "background"] = "good" if own else "background"
    own = own or [(unit, peak) for unit, _, peak in peaks if math.isfinite(peak)]
    if not own:
        raise FlawshotError("no part of any image is good: flaws cover everything; give images without flaws")
    highest: dict[str, float] = {}
    for unit, peak in own:
        highest[unit] = max(peak, highest.get(unit, peak))
    ordered = sorted(highest.values(), reverse=True)
    rank = min(max(1, math.floor(alarms * (len(ordered) + 1) + 1e-9)), len(ordered))
    return Threshold(ordered[rank - 1], source, len(own), rank / (len(ordered) + 1), len(ordered))


def _single_unit(examples: Sequence[ImageExamples]) -> str | None:
    """The unit without which there would hardly be a good cell; None if there is none."""
    counts = Counter[str]()
    for each in examples:
        counts[each.unit] += int(each.good.sum())
    ((unit, most),) = counts.most_common(1)
    return unit if most > MOST_OF_ONE * counts.total() else None


def _by_halves(examples: Sequence[ImageExamples], unit: str) -> tuple[GoodBank, list[tuple[str, bool, float]]]:
    """A bank and the peaks of a unit's images, half of whose good cells stand in for another unit's."""
    others = [each for each in examples if each.unit != unit]
    halves = [_halves(each) for each in examples if each.unit == unit]
    sides = [[pair[side] for pair in halves] for side in (0, 1)]
    if not all(any(each.good.any() for each in side) for side in sides):
        raise FlawshotError(
            "hardly any part of any image is good: flaws cover nearly everything; give images without flaws"
        )
    bank = good_bank([*others, *sides[0], *sides[1]])
    first, second = (heat_model([*others, *rest], bank.without({side[0].unit})) for side, rest in (sides, sides[::-1]))
    peaks = [(unit, one.flawless, max(_peak(first, one), _peak(second, other))) for one, other in halves]
    own = {side[0].unit for side in sides}
    return bank._replace(units=tuple(unit if each in own else each for each in bank.units)), peaks


def _locator(encoder: BaseEncoder, examples: Sequence[ImageExamples], bank: GoodBank) -> Locator:
    edges = [edge for each in examples for edge in each.edges]
    return Locator(encoder, heat_model(examples, bank), outline_model(edges), threshold=math.inf)


def _without(encoder: BaseEncoder, examples: Sequence[ImageExamples], bank: GoodBank, units: frozenset[str]) -> Locator:
    seen = [each for each in examples if each.unit not in units]
    return _locator(encoder, seen, bank.without(units))


def _parts(examples: Sequence[ImageExamples]) -> list[frozenset[str]]:
    """Units in up to five parts, good and labeled ones spread evenly."""
    units = list(dict.fromkeys(each.unit for each in examples))
    flawed = {each.unit for each in examples if not each.flawless}
    covered = flawed - {each.unit for each in examples if each.good.any()}
    order = []
    # Those with good cells follow one another, so that no part has all of them.
    for own in (covered, flawed - covered, set(units) - flawed):
        ordered = [unit for unit in units if unit in own]
        random.Random("parts").shuffle(ordered)
        order += ordered
    count = min(FOLDS, len(order))
    return [frozenset(order[start::count]) for start in range(count)]


def _halves(example: ImageExamples) -> list[ImageExamples]:
    """The same image twice, with half of its good cells each, as two units."""
    rows, columns = example.grid
    cells = np.flatnonzero(example.good)
    if columns > rows:
        cells = cells[np.argsort(cells % columns, kind="stable")]
    made = []
    for number, own in enumerate(np.array_split(cells, 2)):
        good = np.zeros_like(example.good)
        good[own] = True
        made.append(replace(example, good=good, unit=f"{example.unit}/{number}"))
    return made


def _peak(model: HeatModel, example: ImageExamples) -> float:
    """The highest heat of an image's good cells; minus infinity if it has none."""
    if not example.good.any():
        return -math.inf
    return float(np.max(model.heat(model.bank.scaled([level[example.good] for level in example.levels]))))
