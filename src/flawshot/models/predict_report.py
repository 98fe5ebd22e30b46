"""What a prediction of a data set did: counts, and the accuracy on labeled regions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from flawshot.models.accuracy import measure_accuracy
from flawshot.models.prediction_folder import read_predictions

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.base.errors import Problem
    from flawshot.base.records import LeftOut
    from flawshot.models.prediction_folder import Unfinished
    from flawshot.models.record import Accuracy

__all__ = ["PredictReport", "report_of"]


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


def report_of(unfinished: Unfinished, out: Path) -> PredictReport:
    """Count the predictions; only those of labeled regions are kept in memory."""
    header, lines = read_predictions(unfinished.folder)
    counts = Counter[str]()
    unsure = unknown = examples = searched = without = 0
    left_out: list[LeftOut] = []
    problems: list[Problem] = []
    truth: list[str] = []
    predicted: list[str] = []
    images: list[str] = []
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
            if answer.true is not None and not answer.example:
                truth.append(answer.true)
                predicted.append(answer.predicted)
                images.append(answer.image)
    return PredictReport(
        out=out,
        regions=counts.total(),
        kept=unfinished.done,
        predicted={category: counts[category] for category in header.categories},
        unsure=unsure,
        unknown=unknown,
        examples=examples,
        left_out=tuple(left_out),
        accuracy=measure_accuracy(truth, predicted, images, folds=1),
        images=searched,
        without=without,
        problems=tuple(problems),
    )
