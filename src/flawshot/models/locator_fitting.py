"""A model's locator: fitted to the images of its examples, with what can be expected of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from sklearn.base import clone

from flawshot.bank.region_features import region_features
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.seals import sha256_of
from flawshot.evaluation.finding_inspection import Inspection
from flawshot.evaluation.finding_tallies import estimate_finding, resample_finding
from flawshot.evaluation.held_out_names import held_out_names
from flawshot.evaluation.joining import USUAL, HeldOutName, Naming, best_naming, named, probabilities_of
from flawshot.labelme.images import ImageError, read_image
from flawshot.locating.examples import LabeledImage
from flawshot.locating.fitting import ALARMS, fit_locator
from flawshot.locating.locator_file import write_locator
from flawshot.locating.record import LOCATOR, ExpectedScore, LocatorRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.encoders.base import BaseEncoder
    from flawshot.evaluation.finding_tallies import FindingTally
    from flawshot.labelme.shapes import Region
    from flawshot.locating.fitting import FittedLocator
    from flawshot.locating.locator import HeatMap, Locator
    from flawshot.regions.found import FoundOnImage
    from flawshot.regions.views import ViewScheme

__all__ = ["GoodFile", "LocatorPlan", "fit_model_locator"]

# The scores that a model's record keeps, by the names of flawshot evaluate-find.
NAMED = "found_and_named"
KEPT = (
    "image_auroc",
    "pixel_auroc",
    "pro",
    "found",
    "mean_iou",
    "precision",
    "false_regions_per_image",
    "good_images_alarmed",
    NAMED,
)


class GoodFile(NamedTuple):
    """An image without a flaw.

    Attributes:
        name: Its path from the data root (POSIX); outside of it, with ``..``.
        path: The file.
        short: Its path relative to the folder of good images (POSIX).
    """

    name: str
    path: Path
    short: str


@dataclass(frozen=True)
class LocatorPlan:
    """What a model's locator is fitted to.

    Attributes:
        encoder: The encoder whose maps it uses.
        catalog: All instances of the product, also those without a label, with their root available.
        namer: The model's encoder, which encodes the regions that are found.
        scheme: The model's views.
        good: Images without flaws.
        groups: What each image shows, by its path or name.
        alarms: The share of good images that may be alarmed.
        progress: Called with the number of images done and their total.
        left_out: Why images could not be used; lines are added.
    """

    encoder: BaseEncoder
    catalog: Catalog
    namer: BaseEncoder
    scheme: ViewScheme
    good: Sequence[GoodFile] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    alarms: float = ALARMS
    progress: Callable[[int, int], None] | None = None
    left_out: list[str] = field(default_factory=list)


class _Image(NamedTuple):
    """An image, what it shows, and its instances; good ones have none."""

    name: str
    unit: str
    source: Path | Image.Image
    instances: tuple[Instance, ...] = ()
    others: tuple[Instance, ...] = ()

    def opened(self) -> Image.Image:
        """The image, upright, RGB."""
        return self.source if isinstance(self.source, Image.Image) else read_image(self.source, self.name)


def fit_model_locator(
    plan: LocatorPlan, support: FeatureBank, estimator: FewShotClassifier, folder: Path
) -> LocatorRecord:
    """Fit a locator, write its arrays into a model's folder, and measure what can be expected of it.

    The images are divided into up to five parts. Each part is searched by a locator, and its regions are named by a
    classifier, that have not seen it; the threshold of this locator, and the weights of both names, come from the other
    parts.

    Args:
        plan: What to fit it to.
        support: The model's examples.
        estimator: The unfitted classifier.
        folder: The model's folder.

    Raises:
        FlawshotError: If an image cannot be read, or the encoder has no maps.
    """
    labeled = [each for each in _labeled(plan) if _usable(each, plan.left_out)]
    good = [_Image(each.name, plan.groups.get(each.name, f"good/{each.name}"), each.path) for each in plan.good]
    good = [each for each in good if _usable(each, plan.left_out)]
    fitted = fit_locator(
        plan.encoder,
        [_given(each) for each in labeled],
        [each.source for each in good],
        alarms=plan.alarms,
        units=[each.unit for each in (*labeled, *good)],
        progress=plan.progress,
    )
    expected, naming = _Trial(plan, support, estimator).run(fitted, [*labeled, *good])
    locator = replace(fitted.locator, sharpness=naming.sharpness)
    write_locator(folder / LOCATOR, locator)
    return LocatorRecord(
        encoder=plan.encoder.record,
        categories=locator.categories,
        labeled=len(labeled),
        good=len(good),
        alarms=plan.alarms,
        threshold=fitted.threshold.value,
        source=fitted.threshold.source,
        images=fitted.threshold.images,
        units=fitted.threshold.units,
        promised=fitted.threshold.promised,
        sharpness=naming.sharpness,
        naming=naming.weight,
        expected=expected,
        sha256=sha256_of(folder / LOCATOR),
    )


def _labeled(plan: LocatorPlan) -> Iterator[_Image]:
    """The images with labeled instances."""
    if plan.catalog.image_root is None:
        raise FlawshotError(f"{argument('find', True)}: needs the images; give Labelme files instead of a bank")
    by_image: dict[str, list[Instance]] = defaultdict(list)
    for instance in plan.catalog:
        by_image[instance.image].append(instance)
    for name, own in by_image.items():
        instances = tuple(each for each in own if each.category)
        if instances:
            try:
                source = plan.catalog.image_source(name, own[0].annotation)
                image = read_image(source, name) if isinstance(source, bytes) else source
            except ImageError as error:
                plan.left_out.append(error.marked)
                continue
            others = tuple(each for each in own if not each.category)
            yield _Image(name, plan.groups.get(name, name), image, instances, others)


def _usable(image: _Image, left_out: list[str]) -> bool:
    try:
        image.opened()
    except ImageError as error:
        left_out.append(error.marked)
        return False
    return True


def _given(image: _Image) -> LabeledImage:
    instances = tuple((each.category, each.region()) for each in image.instances)
    return LabeledImage(image.source, instances, tuple(each.region() for each in image.others))


class _Held:
    """A locator that can be exchanged, and remembers what it found last."""

    locator: Locator
    found: FoundOnImage

    def inspect(self, image: Image.Image) -> tuple[HeatMap, FoundOnImage]:
        """As :meth:`flawshot.locating.locator.Locator.inspect`."""
        heat, self.found = self.locator.inspect(image)
        return heat, self.found


class _Trial:
    """Searches and names images that a fit had not seen."""

    def __init__(self, plan: LocatorPlan, support: FeatureBank, estimator: FewShotClassifier) -> None:
        self._plan, self._estimator = plan, estimator
        catalog = support.catalog
        self._features = support.features(catalog.column("id"))
        self._labels = np.array(catalog.column("category"), dtype=object)
        self._units = [plan.groups.get(image, image) for image in catalog.column("image")]
        self._categories = tuple(sorted(set(self._labels.tolist())))

    def run(self, fitted: FittedLocator, images: Sequence[_Image]) -> tuple[dict[str, ExpectedScore], Naming]:
        """What can be expected, by score, and how names are joined best."""
        held = _Held()
        inspection = Inspection(held, ())
        named_of: list[tuple[int, HeldOutName]] = []
        asked: list[int] = []
        for part, variant in enumerate(fitted.variants):
            held.locator = variant.locator
            classifier = self._without(variant.units)
            for each in images:
                if each.unit not in variant.units:
                    continue
                image = each.opened()
                flaws = (*each.instances, *each.others)
                inspection.add(image, [replace(one, category="") for one in flaws], ("unit", each.unit))
                if classifier is not None:
                    own = held_out_names(
                        held.found,
                        image,
                        each.instances,
                        known=held.locator.categories,
                        categories=self._categories,
                        said=partial(self._said, classifier, image),
                        part=part,
                    )
                    named_of += [(len(asked), name) for name in own]
                asked.append(len(each.instances))
        names = [name for _, name in named_of]
        if not asked:
            return {}, USUAL
        numbers: dict[tuple[str, str], int] = {}
        tally = inspection.tally(numbers)
        right = np.zeros(len(asked))
        for number, name in named_of:
            # The part's own regions have no say in how they are named.
            naming = best_naming([other for other in names if other.part != name.part])
            right[number] += int(named(name, naming).argmax()) == name.truth
        tally = replace(tally, counts={**tally.counts, NAMED: (right, np.array(asked, dtype=np.float64))})
        return _scores(tally, len(numbers)), best_naming(names)

    def _without(self, units: frozenset[str]) -> FewShotClassifier | None:
        """The classifier, fitted without some units; None if fewer than two categories are left."""
        seen = np.array([unit not in units for unit in self._units])
        if len(set(self._labels[seen].tolist())) < 2:
            return None
        return clone(self._estimator).fit(self._features[seen], self._labels[seen])  # type: ignore[no-any-return]

    def _said(
        self, classifier: FewShotClassifier, image: Image.Image, regions: Sequence[Region]
    ) -> NDArray[np.float32]:
        features = region_features(self._plan.namer, self._plan.scheme, image, regions)
        return probabilities_of(classifier, features, self._categories)


def _scores(tally: FindingTally, units: int) -> dict[str, ExpectedScore]:
    resampled = resample_finding([tally], units, "expected")
    made = estimate_finding([tally], [tally.measured()], resampled)
    return {
        name: ExpectedScore(mean=made[name].mean, ci95=made[name].ci95, n=made[name].n) for name in KEPT if name in made
    }
