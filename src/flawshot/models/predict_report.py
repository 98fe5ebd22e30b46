"""What a prediction of a data set did: counts, the accuracy on labeled regions, and how like the examples it is."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from flawshot.base.store.files import Document, write_bytes
from flawshot.models.accuracy import measure_accuracy
from flawshot.models.drift import Drift, KnownExamples, compare_regions
from flawshot.models.prediction_folder import read_predictions
from flawshot.models.record import Accuracy  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.base.errors import Problem
    from flawshot.base.records import LeftOut
    from flawshot.models.model import Model
    from flawshot.models.prediction_folder import RegionPrediction, Unfinished

__all__ = ["PredictReport", "PredictionSummary", "report_of", "write_summary"]


class PredictReport(NamedTuple):
    """What a prediction of a data set did.

    Attributes:
        out: The folder of predictions.
        regions: Number of predicted regions, including those of earlier calls.
        kept: Number of annotation files processed by an earlier call.
        predicted: Number of regions predicted as each category, in label order.
        unsure: Number of regions that a person should look at.
        unknown: Number of regions that are unlike every category.
        examples: Number of regions that are the model's own examples.
        left_out: Images that could not be used.
        accuracy: Accuracy on regions that are not examples and whose label is one of the model's categories; None if
            there are none.
        images: Number of images in which regions were looked for; 0 if only annotated ones were predicted.
        without: Number of those that could be used and on which there is no region.
        problems: Regions on these images that were left out, and oddities, including those of earlier calls.
        drift: How like the model's examples the regions are; None if there are too few of either.
    """

    out: Path
    regions: int
    kept: int
    predicted: dict[str, int]
    unsure: int
    unknown: int
    examples: int
    left_out: tuple[LeftOut, ...]
    accuracy: Accuracy | None
    images: int = 0
    without: int = 0
    problems: tuple[Problem, ...] = ()
    drift: Drift | None = None


class PredictionSummary(Document):
    """``summary.jsonl``: one line with what :class:`PredictReport` counts.

    Attributes:
        regions: As in :class:`PredictReport`; so are the others, except for the number of what was left out.
        left_out: Number of images that could not be used.
    """

    format: Literal["flawshot-prediction-summary"]
    version: Literal[1]
    regions: int
    predicted: dict[str, int]
    unsure: int
    unknown: int
    examples: int
    images: int
    without: int
    left_out: int
    accuracy: Accuracy | None
    drift: Drift | None


class _Named:
    """The regions with a label that counts."""

    def __init__(self) -> None:
        self.truth: list[str] = []
        self.predicted: list[str] = []
        self.images: list[str] = []

    def add(self, answer: RegionPrediction) -> None:
        if answer.true is not None:
            self.truth.append(answer.true)
            self.predicted.append(answer.predicted)
            self.images.append(answer.image)

    def accuracy(self) -> Accuracy | None:
        return measure_accuracy(self.truth, self.predicted, self.images, folds=1)


class _Novelty:
    """How new regions are, in a few bytes each."""

    def __init__(self) -> None:
        self._novelty, self._unknown, self._image = array("d"), array("b"), array("q")
        self._numbers: dict[str, int] = {}
        self._whole = True

    def add(self, answer: RegionPrediction) -> None:
        if answer.novelty is None:
            self._whole = False
            return
        self._novelty.append(answer.novelty)
        self._unknown.append(answer.unknown)
        self._image.append(self._numbers.setdefault(answer.image, len(self._numbers)))

    def drift(self, model: Model) -> Drift | None:
        if not self._whole:
            return None
        return compare_regions(
            KnownExamples.of(model),
            np.array(self._novelty),
            np.array(self._unknown, dtype=bool),
            np.array(self._image, dtype=np.intp),
        )


def report_of(unfinished: Unfinished, out: Path, model: Model) -> PredictReport:
    """Count the predictions of a model; of most regions, only a few numbers are kept in memory."""
    header, lines = read_predictions(unfinished.folder)
    counts = Counter[str]()
    unsure = unknown = examples = searched = without = 0
    left_out: list[LeftOut] = []
    problems: list[Problem] = []
    labeled, newness = _Named(), _Novelty()
    for answered in lines:
        searched += answered.image is not None
        without += answered.image is not None and not answered.answers and answered.left_out is None
        problems += [each.problem() for each in answered.problems]
        if answered.left_out is not None:
            left_out.append(answered.left_out)
        for answer in answered.answers:
            counts[answer.predicted] += 1
            unsure += answer.unsure
            unknown += answer.unknown
            examples += answer.example
            if not answer.example:
                labeled.add(answer)
                newness.add(answer)
    return PredictReport(
        out=out,
        regions=counts.total(),
        kept=unfinished.done,
        predicted={category: counts[category] for category in header.categories},
        unsure=unsure,
        unknown=unknown,
        examples=examples,
        left_out=tuple(left_out),
        accuracy=labeled.accuracy(),
        images=searched,
        without=without,
        problems=tuple(problems),
        drift=newness.drift(model),
    )


def write_summary(path: Path, report: PredictReport) -> None:
    """Write what a prediction did as one line of JSON, the same however often it was interrupted."""
    summary = PredictionSummary(
        format="flawshot-prediction-summary",
        version=1,
        left_out=len(report.left_out),
        **{
            name: getattr(report, name)
            for name in PredictionSummary.model_fields
            if name not in {"format", "version", "left_out"}
        },
    )
    write_bytes(path, summary.model_dump_json().encode() + b"\n", overwrite=True)
