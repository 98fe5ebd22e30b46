"""A model's record: ``model.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from flawshot.bank.old_records import OldEncoderRecord, read_upgraded
from flawshot.bank.records import ViewRecord  # noqa: TC001 - pydantic reads them
from flawshot.base.errors import FlawshotError
from flawshot.base.records import EncoderRecord  # noqa: TC001 - pydantic reads them
from flawshot.base.store.files import Document
from flawshot.base.store.json_documents import file_bytes, load_json
from flawshot.base.store.seals import check_seal
from flawshot.classifiers import DEFAULT
from flawshot.locating.record import LocatorRecord  # noqa: TC001 - likewise
from flawshot.models.calibration import Calibration  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "VERSION",
    "Accuracy",
    "CategoryAccuracy",
    "ClassifierRecord",
    "InOrder",
    "ModelRecord",
    "OrderedBy",
    "Share",
    "Step",
    "read_record",
]

REMEDY = "fit the model again"
# What "default" meant when models recorded that name; now they record what it stands for.
OLD_DEFAULT: Final = "whitened-ridge"
# The greatest share of orders, the real one included, in which as few may be right as in the real one.
CLEAR: Final = 0.05
VERSION: Final = 3
# What an order of images was derived from.
OrderedBy = Literal["name", "capture time", "modification time", "table"]


class CategoryAccuracy(Document):
    """How often one category's instances were classified correctly.

    Attributes:
        instances: Number of instances.
        units: Number of images, or groups, that they come from.
        asked: Number of instances that a fit that knows the category could predict.
        right: How many of these were right; None if the category comes from a single image or group.
        ci95: 95 % interval of the share of right ones; None likewise.
    """

    instances: int
    units: int
    asked: int
    right: int | None
    ci95: tuple[float, float] | None


class Accuracy(Document):
    """Share of instances classified correctly by a classifier that has not seen their image or group.

    Attributes:
        mean: The share.
        ci95: Its 95 % interval, for the number of images or groups; Wilson's if all or none are right.
        asked: Number of instances.
        units: Number of images, or groups, that they come from.
        folds: Number of fits: one per unit, or fewer if several units were left out together.
        per_category: By true category.
    """

    mean: float
    ci95: tuple[float, float]
    asked: int
    units: int
    folds: int
    per_category: dict[str, CategoryAccuracy]


class Share(Document):
    """A share of some instances.

    Attributes:
        mean: The share.
        ci95: Its 95 % interval, for the number of images or groups; Wilson's if it is 0 or 1.
        asked: Number of instances.
        units: Number of images, or groups, that they come from.
    """

    mean: float
    ci95: tuple[float, float]
    asked: int
    units: int


class InOrder(Document):
    """What fits to earlier images give on later ones, estimated on a model's examples.

    Attributes:
        by: What the order of the images was derived from.
        blocks: Number of blocks, each with about as many images or groups; each but the first is predicted by a fit
            to all earlier ones.
        right: Share of the examples in later blocks that are classified correctly.
        new: Number of examples in later blocks that cannot be, because no earlier block has their category.
        left_out: Share of the same examples that are classified correctly when each image or group is left out in
            turn, so that later images are known, too.
        orders: Number of random orders in which the same was done.
        random: Mean share that is classified correctly in them.
        random_range: The least and the greatest share among them.
        p: Share of all orders, the real one included, in which as few or fewer are classified correctly.
        unknown: Share of the examples of known categories in later blocks that are called unknown, by the calibration
            of the earlier blocks; None if these have too few examples for one.
        false_alarms: The share that was promised at most.
        covered: Share of the examples in later blocks whose prediction set contains their category, likewise.
        coverage: The share that was promised.
    """

    by: OrderedBy
    blocks: int
    right: Share
    new: int
    left_out: float
    orders: int
    random: float
    random_range: tuple[float, float]
    p: float
    unknown: Share | None
    false_alarms: float
    covered: Share | None
    coverage: float

    @property
    def clearly_below(self) -> bool:
        """Whether so few are right in order that chance hardly explains it: in at most one of twenty random orders."""
        return self.p <= CLEAR


class Step(Document):
    """One step in which instances were added to a model.

    Attributes:
        how: ``fit``, or ``learn`` for a later step.
        when: Time in UTC, as ISO 8601.
        source: What the user named: a bank, a data folder, a folder of corrected predictions.
        images: The folder of the images, if it is not the data folder.
        added: Number of instances; in the support bank they follow the remaining ones of earlier steps.
        categories: Number of added instances per category.
        accuracy: Accuracy of the model after this step, estimated on all its instances; None if nothing can be left
            out.
        flawshot: The version of flawshot that was used.
        replaced: Number of instances of earlier steps that were removed, because the same regions were added again.
        previous: SHA-256 of the ``model.json`` that this step started from; None for the fit.
        in_order: What fits to earlier images give on later ones; None if no order was given, or there are too few
            images.
    """

    how: Literal["fit", "learn"]
    when: str
    source: str
    images: str | None = None
    added: int
    categories: dict[str, int]
    accuracy: Accuracy | None
    flawshot: str
    replaced: int = 0
    previous: str | None = None
    in_order: InOrder | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, made: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_absent(made(self), "images", "in_order")


def _without_absent(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """A document as earlier versions wrote it, which do not know some fields, unless they say something."""
    return {name: value for name, value in document.items() if name not in names or value is not None}


class ClassifierRecord(Document):
    """A classifier's name and parameters, except the device it is trained on."""

    name: str
    parameters: dict[str, bool | int | float | str | None]


class ModelRecord(Document):
    """A model without its support instances.

    Attributes:
        product: The product that is inspected.
        categories: The categories in label order.
        classifier: The classifier that is fitted to the support instances whenever the model is loaded.
        encoder: The encoder that computes features.
        views: The views that are cropped.
        fingerprint: :meth:`flawshot.Catalog.fingerprint` of the support instances.
        groups: The group of each support image, if the user said which images show one sample.
        calibration: How far its predictions can be trusted.
        history: The steps in which instances were added; the first one is the fit.
        files: SHA-256 of each file of the support bank, by name.
        locator: What finds regions on bare images, if the model has a locator.
        left_out_novelty: How unlike every category each support instance is when its image or group is left out, in
            the order of the support bank; None where its category is then unknown. None as a whole in files written
            by earlier versions.
        seal: SHA-256 of the other fields; None in files written by flawshot 0.1.
    """

    format: Literal["flawshot-model"]
    version: Literal[1, 2, 3]
    product: str
    categories: tuple[str, ...]
    classifier: ClassifierRecord
    encoder: EncoderRecord
    views: ViewRecord
    fingerprint: str
    groups: dict[str, str]
    calibration: Calibration
    history: tuple[Step, ...]
    files: dict[str, str]
    locator: LocatorRecord | None = None
    left_out_novelty: tuple[float | None, ...] | None = None
    seal: str | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, made: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_absent(made(self), "left_out_novelty")

    @property
    def accuracy(self) -> Accuracy | None:
        """The accuracy estimated at the last step."""
        return self.history[-1].accuracy

    @property
    def instances(self) -> int:
        """Number of support instances."""
        return sum(step.added - step.replaced for step in self.history)


class OldModelRecord(ModelRecord):
    """A model's record of versions 1 and 2."""

    version: Literal[1, 2]
    encoder: OldEncoderRecord  # type: ignore[assignment]


def read_record(path: Path) -> ModelRecord:
    """Read and check ``model.json``.

    Raises:
        FlawshotError: With one line that names the file and the field, if it is missing, damaged, not a model's, or
            from a newer flawshot.
    """
    data = file_bytes(path)
    try:
        head = load_json(data)
    except FlawshotError:
        head = None
    if isinstance(head, dict) and head.get("format") == "flawshot-model":
        version = head.get("version")
        if isinstance(version, int) and version > VERSION:
            raise FlawshotError(f"{path}: version: {version} is newer than this flawshot; update flawshot")
    record, written = read_upgraded(data, ModelRecord, OldModelRecord, str(path), REMEDY)
    if not record.history or min(min(step.added, step.replaced) for step in record.history) < 0:
        raise FlawshotError(f"{path}: history: does not say where the support instances come from; {REMEDY}")
    if len(record.categories) < 2 or list(record.categories) != sorted(set(record.categories)):
        raise FlawshotError(f"{path}: categories: must be two or more, in order; {REMEDY}")
    check_seal(written, record.seal, path, REMEDY)
    if record.version > 1 and record.seal is None:
        raise FlawshotError(f"{path}: seal: is missing; {REMEDY}")
    if record.classifier.name == DEFAULT:
        meant = record.classifier.model_copy(update={"name": OLD_DEFAULT})
        return record.model_copy(update={"classifier": meant})
    return record
