"""How found regions are best named: by what a finder and a classifier say of support images that they have not seen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.evaluation.found_matches import match_regions
from flawshot.evaluation.joining import HeldOutName, best_naming, known_shares
from flawshot.labelme.shapes import rasterize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.catalog.instances import Instance
    from flawshot.evaluation.finding_inspection import Finder
    from flawshot.evaluation.finding_names import RegionNamer
    from flawshot.evaluation.joining import Naming
    from flawshot.labelme.shapes import Region
    from flawshot.regions.found import FoundOnImage

__all__ = ["HeldOutFinder", "SupportImage", "best_naming_of", "held_out_names"]


class HeldOutFinder(NamedTuple):
    """A finder that has not seen some of the support.

    Attributes:
        finder: The finder.
        categories: The categories that it tells apart, in the order of its shares.
        units: The units, images or groups, that it has not seen.
    """

    finder: Finder
    categories: Sequence[str]
    units: frozenset[str]


class SupportImage(NamedTuple):
    """An image with labeled instances.

    Attributes:
        open: Returns the image, upright, RGB.
        instances: Its labeled instances.
        unit: The image, or its group.
    """

    open: Callable[[], Image.Image]
    instances: Sequence[Instance]
    unit: str


def held_out_names(
    found: FoundOnImage,
    image: Image.Image,
    instances: Sequence[Instance],
    *,
    known: Sequence[str],
    categories: Sequence[str],
    said: Callable[[Sequence[Region]], NDArray[np.float32]],
    part: int,
) -> Iterator[HeldOutName]:
    """What is said of the regions that find labeled instances of an image.

    Args:
        found: What a finder found on it that has not seen it.
        image: The image, upright, RGB.
        instances: Its labeled instances.
        known: The categories that the finder tells apart.
        categories: The categories of the support.
        said: Returns the probabilities of regions, float32 ``[regions, categories]``, by a classifier likewise.
        part: The part of the images that was held out.
    """
    regions = [rasterize(each.shape, image.height, image.width) for each in found.regions]
    matches = match_regions([each.region() for each in instances], regions)
    matches = [match for match in matches if instances[match.instance].category in categories]
    if not matches:
        return
    for match, row in zip(matches, said([regions[match.region] for match in matches]), strict=True):
        shares = known_shares(found.regions[match.region].shares, known, categories)
        if shares is not None and np.isfinite(shares).any():
            yield HeldOutName(categories.index(instances[match.instance].category), row, shares, part)


def best_naming_of(
    images: Sequence[SupportImage], variants: Sequence[HeldOutFinder], namer: RegionNamer, categories: Sequence[str]
) -> Naming:
    """How the names of a finder and of a classifier are joined best, by support images that both have not seen.

    Args:
        images: The support images; their instances are encoded already.
        variants: Finders that have not seen some of the images.
        namer: Fits the classifier.
        categories: The categories of the support.
    """
    names: list[HeldOutName] = []
    for part, variant in enumerate(variants):
        seen = [instance for each in images if each.unit not in variant.units for instance in each.instances]
        classifier = namer.fit(seen)
        if classifier is None:
            continue
        for each in images:
            if each.unit in variant.units:
                image = each.open()
                names += held_out_names(
                    variant.finder.inspect(image)[1],
                    image,
                    each.instances,
                    known=variant.categories,
                    categories=categories,
                    said=partial(namer.probabilities, classifier, image, categories),
                    part=part,
                )
    return best_naming(names)
