"""Finds images that probably show one physical sample, by their content alone."""

from __future__ import annotations

import math
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flawshot.base.parallel import cores
from flawshot.inspect.likeness import SIDE, Likeness, reduce_image
from flawshot.labelme.images import ImageError, read_image, under_pixel_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.catalog import Catalog

__all__ = ["SameSamples", "SampleGroup", "find_same_samples", "load_image"]

NEIGHBORS = 32  # candidates per image: the nearest in a quick comparison
RANDOM_PAIRS = 2000  # sample of how alike unrelated images are
FEW_PAIRS = 20  # fewer are not informative, and mirrored images stand in for unrelated ones
MIRRORS = ((0,), (1,), (0, 1))
FALSE_PAIRS = 0.01  # expected number of unrelated pairs per product that are taken for one sample
LOW_SHARES = (0.05, 0.25)  # quantiles of random pairs below all pairs of one sample, even if those are 3 of 4 pairs
CROSS_PAIRS = 36  # pairs that are compared before two groups are joined


@dataclass(frozen=True, slots=True)
class SampleGroup:
    """Images that probably show one sample.

    Attributes:
        group: Its name, unique in the data set.
        product: The images' product.
        images: Their paths relative to the data root (POSIX), sorted.
        correlations: For each image, its highest correlation with another of the group; empty for a single image.
    """

    group: str
    product: str
    images: tuple[str, ...]
    correlations: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class SameSamples:
    """All images of a data set, grouped by the sample they show.

    Attributes:
        groups: The groups; every image is in exactly one.
        unusable: Images that could not be read, each with its reason; each is a group of its own.
    """

    groups: tuple[SampleGroup, ...]
    unusable: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(len(group.images) for group in self.groups)


def find_same_samples(catalog: Catalog, *, progress: Callable[[int, int], None] | None = None) -> SameSamples:
    """Group the images of each product by the sample they probably show.

    Images match if their content is nearly identical, at any exposure, shift or crop, but not at another scale or
    rotation. Candidates are found by a quick comparison of small images, and each pair is compared over all shifts by
    :class:`~flawshot.inspect.likeness.Likeness`. The threshold follows from random pairs of the product: in one of a
    hundred such products, one of its pairs would exceed it by chance. Groups are joined only if at least half of the
    pairs between them exceed it, so that a chain of neighbors does not join unrelated images.

    The result is unreliable for a product with a single sample, or with fewer than seven images and a fixture that is
    visible in all of them; look at the evidence.

    Args:
        catalog: The data set, with its root available.
        progress: Called with the steps done and their total; each image is first read, then compared.
    """
    images = dict(zip(catalog.column("image"), catalog.column("product"), strict=True))
    annotations = dict(zip(catalog.column("image"), catalog.column("annotation"), strict=True))
    sizes = dict(
        zip(
            catalog.column("image"),
            zip(catalog.column("image_height"), catalog.column("image_width"), strict=True),
            strict=True,
        )
    )
    steps = _Steps(2 * len(images), progress)
    found: list[tuple[str, tuple[str, ...], tuple[float, ...]]] = []
    unusable: list[str] = []
    with ThreadPoolExecutor(cores(), thread_name_prefix="flawshot-sample") as pool:
        for product in catalog.products:
            own = sorted(image for image, its in images.items() if its == product)
            scale = min(1.0, SIDE / float(np.median([max(sizes[image]) for image in own])))

            def read(image: str, scale: float = scale) -> NDArray[np.float16] | str:
                try:
                    return reduce_image(load_image(catalog, image, annotations[image]), scale)
                except ImageError as error:
                    return str(error)

            names, reduced = [], []
            for image, result in zip(own, pool.map(under_pixel_limit(read), own), strict=True):
                steps.more()
                if isinstance(result, str):
                    unusable.append(result)
                    found.append((product, (image,), ()))
                    steps.more()
                else:
                    names.append(image)
                    reduced.append(result)
            if reduced:
                for members, correlations in _groups(_Pairs(Likeness(reduced), pool), steps):
                    found.append((product, tuple(names[index] for index in members), correlations))
    found.sort(key=lambda each: (each[0], each[1]))
    digits = max(4, len(str(len(found))))
    groups = (SampleGroup(f"sample{number:0{digits}}", *each) for number, each in enumerate(found, start=1))
    return SameSamples(tuple(groups), tuple(unusable))


def load_image(catalog: Catalog, image: str, annotation: str) -> Image.Image:
    """Load an image of a catalog, from its file or from the annotation that embeds it.

    Raises:
        ImageError: If it is missing or cannot be decoded.
    """
    return read_image(catalog.image_source(image, annotation), image)


class _Steps:
    """Counts steps, and reports each to a callback."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def more(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


class _Pairs:
    """Pairs of a product's images; each is compared once, on all cores."""

    def __init__(self, likeness: Likeness, pool: ThreadPoolExecutor) -> None:
        self.likeness, self.pool = likeness, pool
        self._known: dict[tuple[int, int], tuple[float, float]] = {}

    def compare(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Compare the pairs that have not been compared yet."""
        new = sorted(set(pairs) - self._known.keys())
        # Several per task, because a single pair is little work for a thread.
        parts = [new[start : start + 16] for start in range(0, len(new), 16)]
        for part, results in zip(parts, self.pool.map(self._compare_all, parts), strict=True):
            self._known.update(zip(part, results, strict=True))

    def _compare_all(self, pairs: list[tuple[int, int]]) -> list[tuple[float, float]]:
        return [self.likeness.compare(*pair) for pair in pairs]

    def deviations(self, first: int, second: int) -> float:
        """How far the pair's best shift stands out, in standard deviations; the pair has been compared."""
        return self._known[min(first, second), max(first, second)][0]

    def has(self, first: int, second: int) -> bool:
        """Whether the pair has been compared."""
        return (first, second) in self._known

    def correlation(self, first: int, second: int) -> float:
        """The pair's correlation; the pair has been compared."""
        return self._known[min(first, second), max(first, second)][1]


def _groups(pairs: _Pairs, steps: _Steps) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Groups of images, each sorted, with every image's highest correlation within its group."""
    candidates = _candidates(pairs.likeness, pairs.pool)
    by_first: dict[int, list[tuple[int, int]]] = {index: [] for index in range(len(pairs.likeness))}
    for pair in candidates:
        by_first[pair[0]].append(pair)
    for own in by_first.values():
        pairs.compare(own)
        steps.more()
    least = _threshold(pairs)
    alike = sorted(
        (pair for pair in candidates if pairs.deviations(*pair) > least),
        key=lambda pair: (-pairs.deviations(*pair), pair),
    )
    groups = _joined(alike, pairs, least)
    return [(tuple(group), _best(group, pairs)) for group in groups]


def _candidates(likeness: Likeness, pool: ThreadPoolExecutor) -> list[tuple[int, int]]:
    """Pairs where one image is among the other's nearest in a quick comparison; all pairs if there are few images."""
    count = len(likeness)
    if count <= NEIGHBORS + 1:
        return [(first, second) for first in range(count) for second in range(first + 1, count)]
    coarse = likeness.coarse()
    spectra = coarse.spectra()
    nearest = pool.map(lambda index: coarse.nearest(index, spectra, NEIGHBORS), range(count))
    return sorted({(min(a, b), max(a, b)) for a, others in enumerate(nearest) for b in others})


def _threshold(pairs: _Pairs) -> float:
    """How far a pair's best shift must stand out.

    The highest of many correlations follows a Gumbel distribution. Its two parameters are read from the lower quarter
    of random pairs, so that pairs of one sample, up to three quarters of all, do not matter; :data:`FALSE_PAIRS` of
    all pairs exceed the threshold by chance. It is never below what white noise reaches.
    """
    likeness = pairs.likeness
    count = len(likeness)
    total = count * (count - 1) // 2
    if not total:
        return math.inf
    rng = random.Random(0)
    numbers = range(total) if total <= RANDOM_PAIRS else rng.sample(range(total), RANDOM_PAIRS)
    drawn = [_pair(number) for number in numbers]
    pairs.compare(drawn)
    values = [pairs.deviations(*pair) for pair in drawn]
    if total < FEW_PAIRS:
        values = [
            likeness.compare_mirrored(first, second, axes)
            for first in range(count)
            for second in range(first, count)
            for axes in MIRRORS
        ]
    low, high = np.quantile(values, LOW_SHARES)
    place = [-math.log(-math.log(share)) for share in LOW_SHARES]
    scale = float(high - low) / (place[1] - place[0])
    by_chance = float(high) + scale * (math.log(total / FALSE_PAIRS) - place[1])
    return max(by_chance, math.sqrt(2 * math.log(likeness.shifts * total / FALSE_PAIRS)))


def _pair(number: int) -> tuple[int, int]:
    """The pair with a number, in the order (0, 1), (0, 2), (1, 2), (0, 3), …."""
    second = (1 + math.isqrt(1 + 8 * number)) // 2
    return number - second * (second - 1) // 2, second


def _joined(alike: list[tuple[int, int]], pairs: _Pairs, least: float) -> list[list[int]]:
    """Join groups from the most alike pair down, if half of the pairs between two groups are alike."""
    group_of = {index: [index] for index in range(len(pairs.likeness))}
    for first, second in alike:
        one, other = group_of[first], group_of[second]
        if one is other:
            continue
        between = [(min(a, b), max(a, b)) for a in _some(one) for b in _some(other)]
        pairs.compare(between)
        if 2 * sum(pairs.deviations(*pair) > least for pair in between) < len(between):
            continue
        one += other
        for index in other:
            group_of[index] = one
    return [sorted(group) for index, group in group_of.items() if index == min(group)]


def _some(group: list[int]) -> list[int]:
    """All members of a small group, or an evenly spaced sample of a large one."""
    most = math.isqrt(CROSS_PAIRS)
    return group if len(group) <= most else [group[n * len(group) // most] for n in range(most)]


def _best(group: list[int], pairs: _Pairs) -> tuple[float, ...]:
    if len(group) == 1:
        return ()
    known = [(a, b) for n, a in enumerate(group) for b in group[n + 1 :] if pairs.has(a, b)]
    best = dict.fromkeys(group, 0.0)
    for a, b in known:
        correlation = pairs.correlation(a, b)
        best[a], best[b] = max(best[a], correlation), max(best[b], correlation)
    return tuple(round(best[index], 3) for index in group)
