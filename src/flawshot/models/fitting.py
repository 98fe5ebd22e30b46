"""Fitting: makes a model with estimated accuracy from the labeled instances of a feature bank."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flawshot.bank.features import SHARD_BYTES
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.catalog import Catalog
from flawshot.classifiers import classifier_name, classifier_names, descriptive_name, make_classifier
from flawshot.models.accuracy import measure_accuracy, units_of
from flawshot.models.calibration import calibrate
from flawshot.models.in_order import OrderedExamples, estimate_in_order
from flawshot.models.leave_one_out import leave_one_out
from flawshot.models.model import load_model
from flawshot.models.model_folder import (
    check_model_free,
    check_nothing_learned,
    model_place,
    support_files,
    write_record,
    write_support,
)
from flawshot.models.record import VERSION, ClassifierRecord, ModelRecord, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Literal

    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.locating.record import LocatorRecord
    from flawshot.models.calibration import Calibration
    from flawshot.models.leave_one_out import HeldOut
    from flawshot.models.locator_fitting import LocatorPlan
    from flawshot.models.model import Model
    from flawshot.models.ordering import ImageOrder
    from flawshot.models.record import Accuracy, InOrder

    MakeLocator = Callable[[FeatureBank, FewShotClassifier, Path], LocatorRecord]

__all__ = ["ExampleBatch", "each_left_out", "fit_model", "labeled", "make_model", "pick_classifier"]

# The maximum number of fits to estimate the accuracy; fewer for trained classifiers, whose fits take seconds.
FOLDS, TRAINED_FOLDS = 100, 20
# Digits of a novelty; features have three or four.
DIGITS = 6


class ExampleBatch(NamedTuple):
    """Instances that are added to a model in one step.

    Attributes:
        catalog: The labeled instances, of one product.
        bank: The bank with their features.
        ids: Their ids in the bank, in the catalog's order; ids in the catalog may differ.
        groups: The group of each of their images, by the catalog's paths; empty if each image is its own group.
        how: ``fit``, or ``learn`` for a later step.
        source: What the user named.
        images: The folder of the images, if the user named another one.
        replaced: Number of earlier instances that are removed, because the same regions are among these.
        previous: SHA-256 of the ``model.json`` that this step starts from.
    """

    catalog: Catalog
    bank: FeatureBank
    ids: Sequence[str]
    groups: Mapping[str, str]
    how: Literal["fit", "learn"]
    source: str
    replaced: int = 0
    previous: str | None = None
    images: str | None = None


def fit_model(
    bank: FeatureBank,
    out: str | Path,
    *,
    classifier: str | FewShotClassifier = "default",
    product: str | None = None,
    groups: Mapping[str, str] | None = None,
    coverage: float = 0.9,
    order: ImageOrder | None = None,
    source: str | None = None,
    images: str | None = None,
    locate: LocatorPlan | None = None,
    overwrite: bool = False,
) -> Model:
    """Fit a model to all labeled instances of one product of a bank.

    The accuracy is estimated by leaving out each image or group in turn, or several at a time if there are more than
    100 (20 for trained classifiers).

    Args:
        bank: The features; its catalog provides the labels.
        out: The model's folder.
        classifier: A classifier's name, or an unfitted classifier that is registered.
        product: The product; required if the bank has several.
        groups: The group of each image, by path; images of one group show one physical sample.
        coverage: Desired share of regions whose prediction set contains their category.
        order: In which order the images were taken, from :func:`flawshot.image_order`: then it is also estimated what
            fits to earlier images give on later ones.
        source: The source of the instances in the model's history; by default the bank's folder.
        images: The folder of their images, for the history, if it is another one.
        locate: What the model's locator is fitted to; without it, the model finds no regions on bare images.
        overwrite: Whether an existing model may be replaced.

    Returns:
        The loaded model.

    Raises:
        FlawshotError: If there is nothing to fit, the classifier cannot be used in a model, or ``out`` exists.
    """
    out = Path(out)
    check_model_free(out, overwrite=overwrite)
    check_nothing_learned(out)
    estimator, name = pick_classifier(classifier)
    own = labeled(bank.catalog, product, bank.path)
    named = str(bank.path) if source is None else source
    taken = ExampleBatch(own, bank, own.column("id"), groups or {}, "fit", named, images=images)
    locator = None
    if locate is not None:
        from flawshot.models.locator_fitting import fit_model_locator  # noqa: PLC0415 - with torch

        locator = partial(fit_model_locator, locate)
    return make_model(out, [taken], estimator, name, coverage=coverage, order=order, locator=locator)


def pick_classifier(classifier: str | FewShotClassifier) -> tuple[FewShotClassifier, str]:
    """A classifier that can be used in a model, and its descriptive name.

    Raises:
        FlawshotError: If there is no such classifier, or it needs more than the features of one region.
    """
    if isinstance(classifier, str):
        estimator, name = make_classifier(classifier), descriptive_name(classifier)
    else:
        estimator, known = classifier, classifier_name(classifier)
        if known is None:
            raise FlawshotError(
                f"classifier {type(classifier).__name__}: is not registered, so a model could not be loaded again; "
                f"use one of {', '.join(classifier_names())}, or register it as an entry point in flawshot.classifiers"
            )
        name = known
    if estimator.transductive:
        why = "is transductive: its prediction of a region depends on the others predicted with it"
    elif "text" in estimator.inputs:
        why = "needs text features, which a model does not keep"
    elif "outlines" in estimator.inputs:
        why = "needs outlines, which a model does not keep"
    else:
        return estimator, name
    raise FlawshotError(f"{argument('classifier', name)}: {why}; use default, or another that needs features only")


def labeled(catalog: Catalog, product: str | None, place: Path) -> Catalog:
    """The labeled instances of one product.

    Raises:
        FlawshotError: If there are several products and none is named, or there are fewer than two categories.
    """
    if product is None and len(catalog.products) > 1:
        raise FlawshotError(
            f"{place}: has {len(catalog.products)} products ({', '.join(catalog.products)}), but a model is for one; "
            f"choose one with {argument('product')}, or make a model for each"
        )
    own = catalog.select([product or catalog.products[0]])
    labeled = own.table.filter(pc.not_equal(own.table.column("category"), ""))
    own = Catalog(labeled, catalog.root, images=catalog.images)
    found = sorted(set(own.column("category")))
    if len(found) < 2:
        raise FlawshotError(
            f"{place}: {product or catalog.products[0]} has {'only the label ' + found[0] if found else 'no label'}; "
            "a model needs two categories or more"
        )
    return own


def make_model(
    out: Path,
    taken: Sequence[ExampleBatch],
    estimator: FewShotClassifier,
    name: str,
    *,
    coverage: float,
    order: ImageOrder | None = None,
    before: Sequence[Step] = (),
    locator: MakeLocator | None = None,
) -> Model:
    """Write a model from batches of instances, and load it.

    Args:
        out: The folder; the caller has checked that it may be replaced.
        taken: The batches; if there are earlier steps, all their instances come first, as one batch.
        estimator: The unfitted classifier.
        name: Its name.
        coverage: Desired share of regions whose prediction set contains their category.
        order: The order of the images, if there is one.
        before: The history so far, which describes the instances of ``taken[0]``.
        locator: Writes a locator into the model's folder, given the support bank, the unfitted classifier and the
            folder.

    Raises:
        FlawshotError: If an instance occurs twice, or the folder cannot be written.
    """
    catalog = Catalog(pa.concat_tables([each.catalog.table for each in taken]).combine_chunks())
    twice = [identifier for identifier, times in Counter(catalog.column("id")).items() if times > 1]
    if twice:
        raise FlawshotError(f"{out}: would contain {twice[0]} twice ({len(twice)} such instances)")
    groups = {image: group for each in taken for image, group in each.groups.items()}
    groups = {image: groups[image] for image in dict.fromkeys(catalog.column("image")) if image in groups}
    manifest = taken[0].bank.manifest
    with model_place(out) as folder:
        bank = write_support(folder, catalog, _blocks(taken), manifest)
        found = _estimate(bank, groups, estimator, coverage, order)
        history = tuple(before)
        for each in taken[1:] if before else taken:
            history = (*history, _step(each, found))
        (product,) = catalog.products
        record = ModelRecord(
            format="flawshot-model",
            version=VERSION,
            product=product,
            categories=tuple(sorted(set(catalog.column("category")))),
            classifier=ClassifierRecord(name=name, parameters=_parameters(estimator)),
            encoder=manifest.encoder,
            views=bank.manifest.views,
            fingerprint=catalog.fingerprint(product),
            groups=groups,
            calibration=found.calibration,
            history=history,
            files=support_files(folder),
            locator=None if locator is None else locator(bank, estimator, folder),
            left_out_novelty=found.novelty,
        )
        write_record(folder, record)
    return load_model(out)


def _blocks(taken: Sequence[ExampleBatch]) -> Iterator[NDArray[np.float16]]:
    for each in taken:
        rows = [each.bank.catalog.row_of[identifier] for identifier in each.ids]
        at_once = max(1, SHARD_BYTES // (2 * int(np.prod(each.bank.manifest.shape[1:]))))
        for start in range(0, len(rows), at_once):
            yield each.bank.rows(rows[start : start + at_once])


def each_left_out(
    bank: FeatureBank,
    groups: Mapping[str, str],
    estimator: FewShotClassifier,
    *,
    features: NDArray[np.float32] | None = None,
) -> tuple[HeldOut, int]:
    """Results for each support instance from fits without its image or group, and the number of fits.

    Args:
        bank: The support instances.
        groups: The group of each image, by path.
        estimator: The unfitted classifier.
        features: Their features, float32 ``[instances, views, dim]``; by default those of the bank.
    """
    units = units_of(bank.catalog.column("image"), dict(groups))
    features = bank.features(bank.catalog.column("id")) if features is None else features
    return _left_out(estimator, features, bank.catalog.column("category"), units), _fits(estimator, units)[0]


def _fits(estimator: FewShotClassifier, units: Sequence[str]) -> tuple[int, int]:
    """The number of fits that leave each unit out, and the number of folds: 0 if it is one for each unit."""
    most = TRAINED_FOLDS if "device" in estimator.get_params() else FOLDS
    folds = min(most, len(set(units)))
    return folds, 0 if folds < most else most


def _left_out(
    estimator: FewShotClassifier, features: NDArray[np.float32], truth: Sequence[str], units: Sequence[str]
) -> HeldOut:
    return leave_one_out(estimator, features, truth, units, folds=_fits(estimator, units)[1])


class _Estimates(NamedTuple):
    """What is known of a model from its examples: see :class:`flawshot.models.record.ModelRecord`."""

    accuracy: Accuracy | None
    calibration: Calibration
    novelty: tuple[float | None, ...]
    in_order: InOrder | None


def _estimate(
    bank: FeatureBank,
    groups: dict[str, str],
    estimator: FewShotClassifier,
    coverage: float,
    order: ImageOrder | None,
) -> _Estimates:
    truth, images = bank.catalog.column("category"), bank.catalog.column("image")
    categories, units = sorted(set(truth)), units_of(images, groups)
    features = bank.features(bank.catalog.column("id"))
    left, folds = each_left_out(bank, groups, estimator, features=features)
    predicted = [categories[number] for number in left.probabilities.argmax(axis=1)]
    in_order = None
    if order is not None:
        examples = OrderedExamples(features, truth, images, units, order)
        in_order = estimate_in_order(estimator, examples, left, partial(_left_out, estimator), coverage)
    return _Estimates(
        measure_accuracy(truth, predicted, units, folds=folds, estimated=left.estimated),
        calibrate(left.probabilities, truth, left.novelty, left.held_out_novelty, coverage, groups=units),
        tuple(float(f"{each:.{DIGITS}g}") if np.isfinite(each) else None for each in left.novelty),
        in_order,
    )


def _step(taken: ExampleBatch, found: _Estimates) -> Step:
    return Step(
        how=taken.how,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        source=taken.source,
        images=taken.images,
        added=len(taken.catalog),
        categories=dict(sorted(Counter(taken.catalog.column("category")).items())),
        accuracy=found.accuracy,
        flawshot=importlib.metadata.version("flawshot"),
        replaced=taken.replaced,
        previous=taken.previous,
        in_order=found.in_order,
    )


def _parameters(estimator: FewShotClassifier) -> dict[str, bool | int | float | str | None]:
    return {name: value for name, value in estimator.get_params().items() if name != "device"}
