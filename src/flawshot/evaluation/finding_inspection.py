"""Inspection of query images by a finder: what it found, what it missed, and how found regions are named."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from flawshot.evaluation.finding_scores import summarize_heat
from flawshot.evaluation.finding_tallies import FindingTally
from flawshot.evaluation.found_matches import match_regions
from flawshot.evaluation.joining import USUAL, joined_as
from flawshot.labelme.shapes import join_regions, rasterize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.catalog.instances import Instance
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.evaluation.finding_names import RegionNamer
    from flawshot.evaluation.finding_scores import ImageHeat
    from flawshot.evaluation.joining import Naming
    from flawshot.labelme.shapes import Region
    from flawshot.regions.found import FoundOnImage

__all__ = ["Finder", "HeatMap", "Inspection"]

# The intersections over union at which instances are counted as found.
IOUS = (0.1, 0.3, 0.5)
BY_FINDER, BY_CLASSIFIER = "found_and_named_by_finder", "found_and_named_by_classifier"


class HeatMap(Protocol):
    """How unlike a good part each place on an image is, and the image as a whole."""

    @property
    def score(self) -> float:
        """The image's score; greater is less like a good part."""
        ...

    def pixels(self) -> NDArray[np.float32]:
        """The scores of all pixels, float32 ``[height, width]`` of the upright image."""
        ...


class Finder(Protocol):
    """Finds flaws on images."""

    def inspect(self, image: Image.Image) -> tuple[HeatMap, FoundOnImage]:
        """The heat map of an upright RGB image, and the regions found on it."""
        ...


@dataclass
class _Counts:
    """Numerators and denominators of ratios, image by image."""

    images: int = 0
    parts: dict[str, dict[int, list[float]]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, name: str, part: float, whole: float) -> None:
        """Add to the current image's sums."""
        own = self.parts[name].setdefault(self.images, [0.0, 0.0])
        own[0] += part
        own[1] += whole

    def arrays(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """By name, both sums of every image."""
        made = {}
        for name, rows in self.parts.items():
            sums = np.zeros((2, self.images))
            for image, pair in rows.items():
                sums[:, image] = pair
            made[name] = (sums[0], sums[1])
        return made


class Inspection:
    """One episode's query images, while they are inspected.

    Args:
        finder: The finder.
        categories: The support's categories, in the order of :attr:`flawshot.regions.found.FoundRegion.shares`.
        namer: Names found regions; None if they are not to be named.
        fitted: Its classifier; None likewise.
        naming: How its names and the finder's are joined.

    Attributes:
        flawed: Whether each image shows a flaw.
        seconds: Seconds that the finder took.
    """

    def __init__(
        self,
        finder: Finder,
        categories: Sequence[str],
        namer: RegionNamer | None = None,
        fitted: FewShotClassifier | None = None,
        naming: Naming = USUAL,
    ) -> None:
        self._finder, self._categories, self._namer, self._fitted = finder, categories, namer, fitted
        self._naming = naming
        self._counts = _Counts()
        self._units: list[tuple[str, str]] = []
        self._scores: list[float] = []
        self._heats: list[ImageHeat] = []
        self._told_apart = False
        self.flawed: list[bool] = []
        self.seconds = 0.0

    def add(self, image: Image.Image, instances: Sequence[Instance], unit: tuple[str, str]) -> str:
        """Inspect an image.

        Args:
            image: The image, upright, RGB.
            instances: Its flaws.
            unit: The image's group, or the image.

        Returns:
            Why it cannot be used; empty if it can.
        """
        start = time.perf_counter()
        heat, found = self._finder.inspect(image)
        self.seconds += time.perf_counter() - start
        if found.reason:
            return found.reason
        truth = [each.region() for each in instances]
        mask = join_regions(truth).full_mask(image.height, image.width)
        self._heats.append(summarize_heat(heat.pixels(), mask))
        self._scores.append(float(heat.score))
        self.flawed.append(bool(instances))
        self._units.append(unit)
        self._match(image, instances, truth, found)
        self._counts.images += 1
        return ""

    def _match(
        self, image: Image.Image, instances: Sequence[Instance], truth: Sequence[Region], found: FoundOnImage
    ) -> None:
        regions = [rasterize(each.shape, image.height, image.width) for each in found.regions]
        kept = [number for number, region in enumerate(regions) if region.pixels.size]
        regions = [regions[number] for number in kept]
        matches, add = match_regions(truth, regions), self._counts.add
        false = len(regions) - len(matches)
        add("precision", len(matches), len(regions))
        add("false_regions_per_image", false, 1)
        if not instances:
            add("false_regions_per_good_image", false, 1)
            add("good_images_alarmed", float(bool(regions)), 1)
        by_instance = {match.instance: match for match in matches}
        said = [found.regions[number].shares for number in kept]
        named, by_classifier, given = self._names(image, instances, regions, said)
        for number, instance in enumerate(instances):
            match = by_instance.get(number)
            add("found", match is not None, 1)
            for iou in IOUS:
                add(f"found_iou_{round(100 * iou)}", match is not None and match.iou >= iou, 1)
            if match is not None:
                add("mean_iou", match.iou, 1)
            if not instance.category:
                continue
            add(f"found/{instance.category}", match is not None, 1)
            if given:
                right = match is not None and named[match.region] == instance.category
                alone = match is not None and by_classifier[match.region] == instance.category
                add(BY_CLASSIFIER, alone, 1)
                for name, value in (
                    ("found_and_named", right),
                    ("named_given_regions", given[number] == instance.category),
                ):
                    add(name, value, 1)
                    add(f"{name}/{instance.category}", value, 1)
                if match is not None:
                    add("named_of_found", right, 1)
            shares = None if match is None else said[match.region]
            self._told_apart = self._told_apart or shares is not None
            by_finder = "" if shares is None else self._categories[int(np.argmax(shares))]
            add(BY_FINDER, by_finder == instance.category, 1)

    def _names(
        self,
        image: Image.Image,
        instances: Sequence[Instance],
        regions: Sequence[Region],
        shares: Sequence[NDArray[np.float32] | None],
    ) -> tuple[list[str], list[str], list[str]]:
        """The names of found regions, joined and by the classifier alone, and of annotated ones; empty if not named."""
        if self._namer is None or self._fitted is None:
            return [], [], []
        self._namer.encode(image, instances)
        alone = self._namer.probabilities(self._fitted, image, self._categories, regions)
        both = joined_as(self._naming, alone, shares)
        joint, own = ([self._categories[row] for row in each.argmax(axis=1)] for each in (both, alone))
        return joint, own, self._namer.name_annotated(self._fitted, instances)

    def tally(self, numbers: dict[tuple[str, str], int]) -> FindingTally:
        """What was counted; ``numbers`` gives units the same numbers in all episodes."""
        unit = np.array([numbers.setdefault(unit, len(numbers)) for unit in self._units], dtype=np.intp)
        flawed, scores, counts = np.array(self.flawed, dtype=bool), np.array(self._scores), self._counts.arrays()
        if not self._told_apart:  # then the classifier is all there is
            counts.pop(BY_FINDER, None)
            counts.pop(BY_CLASSIFIER, None)
        return FindingTally(unit, flawed, scores, self._heats, counts)
