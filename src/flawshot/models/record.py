"""What a model says of itself: ``model.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from flawshot.bank.old_records import OldEncoderRecord, read_upgraded
from flawshot.bank.records import ViewRecord  # noqa: TC001 - pydantic reads them
from flawshot.base.errors import FlawshotError
from flawshot.base.records import EncoderRecord  # noqa: TC001 - pydantic reads them
from flawshot.base.store.files import Document
from flawshot.base.store.json_documents import file_bytes, load_json
from flawshot.base.store.seals import check_seal
from flawshot.models.calibration import Calibration  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["VERSION", "Accuracy", "CategoryAccuracy", "ClassifierRecord", "ModelRecord", "Step", "read_record"]

REMEDY = "make the model again with flawshot fit"
VERSION: Final = 3


class CategoryAccuracy(Document):
    """How often one category's instances were named rightly.

    Attributes:
        instances: How many there are.
        units: The images, or groups, that they come from.
        asked: How many of them could be asked of a fit that knows the category.
        right: How many of these were right; None where the category vanishes with its one image, or group.
        ci95: 95 % interval of their share; None likewise.
    """

    instances: int
    units: int
    asked: int
    right: int | None
    ci95: tuple[float, float] | None


class Accuracy(Document):
    """Share of instances named rightly by a classifier that has not seen their image, or group.

    Attributes:
        mean: The share.
        ci95: Its 95 % interval: a bootstrap over images, or groups; Wilson's where all, or none, are right.
        asked: Of how many instances.
        units: The images, or groups, that they come from.
        folds: How many fits: as many as units, or fewer where several were left out together.
        per_category: By true category.
    """

    mean: float
    ci95: tuple[float, float]
    asked: int
    units: int
    folds: int
    per_category: dict[str, CategoryAccuracy]


class Step(Document):
    """One time that instances were taken in.

    Attributes:
        how: ``fit``, or ``learn`` for what came later.
        when: UTC, as ISO 8601.
        source: What the user named: a bank, a data folder, a folder of corrected predictions.
        added: How many instances; they stand in the support bank after those of the steps before that are left.
        categories: How many of each category, of those that were added.
        accuracy: Of the model after this step, estimated on all its instances; None where nothing can be left out.
        flawshot: The version that did it.
        replaced: How many instances of earlier steps it took away, because the same regions came again.
        previous: SHA-256 of the ``model.json`` that it went on from; None for the fit.
    """

    how: Literal["fit", "learn"]
    when: str
    source: str
    added: int
    categories: dict[str, int]
    accuracy: Accuracy | None
    flawshot: str
    replaced: int = 0
    previous: str | None = None


class ClassifierRecord(Document):
    """A classifier's name and parameters, but for the device it is trained on."""

    name: str
    parameters: dict[str, bool | int | float | str | None]


class ModelRecord(Document):
    """A model but for its support instances.

    Attributes:
        product: What is inspected.
        categories: The categories in label order.
        classifier: What is fitted to the support instances whenever the model is loaded.
        encoder: Who computes features.
        views: What is cropped.
        fingerprint: Of the support instances' (id, category) pairs, as :meth:`flawshot.Catalog.fingerprint` has it.
        groups: The group of each support image where a user said which images show one sample.
        calibration: What its predictions may be taken for.
        history: What was taken in when; the first step is the fit.
        files: SHA-256 of each file of the support bank, by name.
        seal: SHA-256 over the other fields; None in what flawshot 0.1 wrote.
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
    seal: str | None = None

    @property
    def accuracy(self) -> Accuracy | None:
        """The accuracy estimated at the last step."""
        return self.history[-1].accuracy

    @property
    def instances(self) -> int:
        """How many support instances there are."""
        return sum(step.added - step.replaced for step in self.history)


class OldModelRecord(ModelRecord):
    """A model's record of versions 1 and 2."""

    version: Literal[1, 2]
    encoder: OldEncoderRecord  # type: ignore[assignment]


def read_record(path: Path) -> ModelRecord:
    """Read and check ``model.json``.

    Raises:
        FlawshotError: With one line that names the file and the field, if it is missing, damaged, foreign, or of a
            newer flawshot.
    """
    data = file_bytes(path)
    try:
        head = load_json(data)
    except FlawshotError:
        head = None
    if isinstance(head, dict) and head.get("format") == "flawshot-model":
        version = head.get("version")
        if isinstance(version, int) and version > VERSION:
            raise FlawshotError(f"{path}: version: {version} is not known here; update flawshot")
    record, written = read_upgraded(data, ModelRecord, OldModelRecord, str(path), REMEDY)
    if not record.history or min(min(step.added, step.replaced) for step in record.history) < 0:
        raise FlawshotError(f"{path}: history: does not say where the support instances are from; {REMEDY}")
    if len(record.categories) < 2 or list(record.categories) != sorted(set(record.categories)):
        raise FlawshotError(f"{path}: categories: must be two or more, in order; {REMEDY}")
    check_seal(written, record.seal, path, REMEDY)
    if record.version > 1 and record.seal is None:
        raise FlawshotError(f"{path}: seal: is missing; {REMEDY}")
    return record
