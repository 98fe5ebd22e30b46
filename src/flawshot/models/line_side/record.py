"""The description of an exported model: ``model.json`` beside ``model.onnx``."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from flawshot.base.records import EncoderRecord  # noqa: TC001 - pydantic reads them
from flawshot.base.store.files import Document
from flawshot.models.calibration import Calibration  # noqa: TC001 - likewise
from flawshot.models.record import ClassifierRecord  # noqa: TC001 - likewise
from flawshot.regions.crops import Interpolation  # noqa: TC001 - likewise
from flawshot.regions.views import Border, Flip, ViewScheme  # noqa: TC001 - likewise

__all__ = ["PRECISIONS", "ExportPrecision", "LeftOutAccuracy", "LineSideRecord", "LineSideView", "Verification"]

ExportPrecision = Literal["float32", "float16", "int8"]
PRECISIONS: Final[tuple[ExportPrecision, ...]] = ("float32", "float16", "int8")


class LineSideView(Document):
    """One view of a region; see :class:`flawshot.regions.views.View`.

    Attributes:
        size: The crop's side, in px, or as a multiple of the longer side of the region's box.
        relative: Whether it is such a multiple.
        column: Offset to the right, in thirds of the side.
        row: Offset downwards, in thirds of the side.
        angle: Counter-clockwise rotation in degrees.
        flip: Mirroring, after the rotation.
    """

    size: float
    relative: bool
    column: int
    row: int
    angle: int
    flip: Flip

    @classmethod
    def all_of(cls, scheme: ViewScheme) -> tuple[LineSideView, ...]:
        """The views of a scheme, in order."""
        return tuple(
            cls(
                size=view.size.value,
                relative=view.size.relative,
                column=view.column,
                row=view.row,
                angle=view.angle,
                flip=view.flip,
            )
            for view in scheme.views
        )


class Verification(Document):
    """What onnxruntime answers, compared with what torch answers, when the model was exported.

    Attributes:
        images: ``support``: crops of the model's own examples; ``synthetic``: noise with drawn blobs, and for the
            classifier also the examples' stored features, because their images were not available.
        regions: Number of regions compared.
        same_labels: How many of them have the same label.
        largest_probability_difference: Over all regions and categories.
        largest_novelty_difference: Over all regions.
        largest_feature_difference: Over all regions, views and features.
        limit: The largest probability difference allowed; None if the precision is reduced, and only accuracy counts.
    """

    images: Literal["support", "synthetic"]
    regions: int
    same_labels: int
    largest_probability_difference: float
    largest_novelty_difference: float
    largest_feature_difference: float
    limit: float | None


class LeftOutAccuracy(Document):
    """What a reduced precision costs: accuracy on the model's examples, each predicted without its image or group.

    Attributes:
        instances: Number of examples that could be predicted so.
        float32: Share of right predictions from features of the float32 graph.
        reduced: Share of right predictions from features of this graph.
        tolerance: The largest loss allowed.
        float32_bytes: Size of the float32 graph.
    """

    instances: int
    float32: float
    reduced: float
    tolerance: float
    float32_bytes: int


class LineSideRecord(Document):
    """A model's description beside its graph.

    Attributes:
        product: The product that is inspected.
        categories: In the order of the graph's probabilities.
        classifier: The classifier's name and parameters; it is part of the graph.
        encoder: The encoder; it is part of the graph.
        side: Side of a crop, px.
        interpolation: The filter that resizes crops, as Pillow has it.
        mean: Mean of red, green and blue in [0, 1] by which the graph normalizes crops itself; None if not known.
        std: Likewise, the standard deviation.
        views: The views that are cropped for a region, in the graph's order.
        border: How crops beyond the image's border are filled: ``zero``, ``reflect``, or ``shift``.
        calibration: What makes a prediction unsure or unknown, and which categories its set contains.
        accuracy: Estimated share of right predictions, each image or group left out in turn; None if not known.
        precision: ``float32``; ``float16``: weights stored in half precision; ``int8``: quantized weights.
        verification: Torch against onnxruntime.
        left_out: What a reduced precision costs; None for float32.
        model: Name of the source model's folder.
        model_hash: SHA-256 of its ``model.json``.
        when: Time of the export in UTC, as ISO 8601.
        flawshot: The version of flawshot that exported.
        libraries: Versions of the libraries that were used.
        files: SHA-256 of each other file of the folder, by name.
    """

    format: Literal["flawshot-line-side"]
    version: Literal[1]
    product: str
    categories: tuple[str, ...] = Field(min_length=2)
    classifier: ClassifierRecord
    encoder: EncoderRecord
    side: int = Field(ge=1)
    interpolation: Interpolation
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    views: tuple[LineSideView, ...] = Field(min_length=1)
    border: Border
    calibration: Calibration
    accuracy: float | None
    precision: ExportPrecision
    verification: Verification
    left_out: LeftOutAccuracy | None
    model: str
    model_hash: str
    when: str
    flawshot: str
    libraries: dict[str, str]
    files: dict[str, str]
