"""Verification of an exported graph: onnxruntime's answers against torch's, and what a reduced precision costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.wording import counted
from flawshot.models.fitting import each_left_out
from flawshot.models.line_side.examples import drawn_noise, support_crops
from flawshot.models.line_side.graph import OUTPUTS, features_only
from flawshot.models.line_side.record import LeftOutAccuracy, Verification
from flawshot.models.model import recorded_classifier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from flawshot.models.line_side.examples import CropBatch
    from flawshot.models.model import Model
    from flawshot.models.predictions import Predictions

__all__ = ["LARGEST_DIFFERENCE", "left_out_accuracy", "open_session", "verify"]

# The largest difference of a probability between torch and onnxruntime.
LARGEST_DIFFERENCE = 1e-3
# Number of regions that are compared.
REGIONS = 50
# The least mean cosine between features of the named images and those that the model keeps.
LIKE = 0.95


def open_session(graph: Path | bytes) -> Any:
    """An onnxruntime session of a graph, in a file or in memory, on the CPU."""
    import onnxruntime  # noqa: PLC0415 - an optional package

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(
        graph if isinstance(graph, bytes) else str(graph), options, providers=["CPUExecutionProvider"]
    )


class _Differences:
    """The largest differences so far."""

    def __init__(self) -> None:
        self.regions = self.same = 0
        self.probability = self.novelty = self.feature = 0.0

    def add(self, said: Predictions, probabilities: NDArray[np.float32], novelty: NDArray[np.float32]) -> None:
        """Compare torch's predictions with onnxruntime's."""
        self.regions += len(said)
        self.same += int((said.probabilities.argmax(axis=1) == probabilities.argmax(axis=1)).sum())
        self.probability = max(self.probability, _largest(said.probabilities, probabilities))
        self.novelty = max(self.novelty, _largest(said.novelty, novelty))


def verify(model: Model, path: Path, root: Path | None, *, limited: bool) -> Verification:
    """Compare a graph's answers with those of its model.

    Args:
        model: The model, on the CPU.
        path: The graph.
        root: The folder of the examples' images; if None, noise is encoded, and the classifier is compared on the
            examples' stored features too.
        limited: Whether a large difference is an error.

    Raises:
        FlawshotError: If a probability differs by more than 1e-3, or is not finite.
    """
    session, views = open_session(path), len(model.scheme.views)
    count = model.record.instances
    rows = sorted(set(np.linspace(0, count - 1, min(count, REGIONS)).round().astype(int).tolist()))
    crops = drawn_noise(views, model.encoder.side, REGIONS) if root is None else support_crops(model, root, rows)
    found = _Differences()
    for batch in crops:
        features = _encoded(model, batch)
        probabilities, novelty, own = _run(session, batch)
        found.add(model.judge(features), probabilities, novelty)
        found.feature = max(found.feature, _largest(features, own))
    if root is None:
        ids = model.support.catalog.column("id")
        _compare_stored(model, path, [ids[row] for row in rows], found)
    if limited and not found.probability <= LARGEST_DIFFERENCE:
        raise FlawshotError(
            f"{model.path}: onnxruntime's probabilities differ from torch's by up to {found.probability:.3g}, more "
            f"than {LARGEST_DIFFERENCE:g}; report this with the model's encoder and classifier"
        )
    return Verification(
        images="synthetic" if root is None else "support",
        regions=found.regions,
        same_labels=found.same,
        largest_probability_difference=found.probability,
        largest_novelty_difference=found.novelty,
        largest_feature_difference=found.feature,
        limit=LARGEST_DIFFERENCE if limited else None,
    )


def _compare_stored(model: Model, path: Path, ids: list[str], found: _Differences) -> None:
    """Compare the part after the encoder on examples' stored features."""
    session, side = open_session(features_only(path)), model.encoder.side
    taken = [each.name for each in session.get_inputs()]
    for identifier in ids:
        stored = model.support.features([identifier])
        images = np.zeros((1, stored.shape[1], side, side, 3), dtype=np.uint8)
        given = {"features": stored, "images": images, "masks": images[..., 0]}
        answer = session.run(list(OUTPUTS[:2]), {name: given[name] for name in taken})
        found.add(model.judge(stored), *answer)


def left_out_accuracy(model: Model, float32: Path, reduced: Path, root: Path, *, tolerance: float) -> LeftOutAccuracy:
    """Measure by leave-one-out what a reduced precision costs.

    Both graphs encode all examples; the model's classifier is then fitted without each image or group in turn.

    Args:
        model: The model, on the CPU.
        float32: The graph in full precision.
        reduced: The graph in reduced precision.
        root: The folder of the examples' images.
        tolerance: The largest loss allowed, a share.

    Raises:
        FlawshotError: If more is lost, nothing can be left out, or the images are not those of the examples.
    """
    sessions = open_session(float32), open_session(reduced)
    parts: tuple[list[NDArray[np.float32]], ...] = ([], [])
    for batch in support_crops(model, root, range(model.record.instances)):
        for session, made in zip(sessions, parts, strict=True):
            made.append(_run(session, batch, ("features",))[0])
    before, after = (np.concatenate(made) for made in parts)
    _check_like(model, before, root)
    (instances, first), (_, second) = (_accuracy(model, features) for features in (before, after))
    if not second >= first - tolerance:
        on = counted(instances, "example")
        raise FlawshotError(
            f"{argument('precision')}: lowers the leave-one-out accuracy on {on} from {first:.1%} to "
            f"{second:.1%}, by more than the {argument('tolerance', tolerance)}; use float32, or allow more"
        )
    return LeftOutAccuracy(
        instances=instances,
        float32=first,
        reduced=second,
        tolerance=tolerance,
        float32_bytes=sum(each.stat().st_size for each in float32.parent.glob(f"{float32.name}*")),
    )


def _accuracy(model: Model, features: NDArray[np.float32]) -> tuple[int, float]:
    """The number of examples that can be predicted without their image or group, and the share of right ones."""
    estimator = recorded_classifier(model.record, str(model.path))
    left, _ = each_left_out(model.support, model.record.groups, estimator, features=features)
    if not left.estimated.any():
        raise FlawshotError(
            f"{argument('precision')}: its effect cannot be measured, because each category comes from a single image "
            "or group; use float32"
        )
    numbers = np.searchsorted(np.array(model.categories, dtype=object), model.support.catalog.column("category"))
    right = left.probabilities.argmax(axis=1) == numbers
    return int(left.estimated.sum()), float(right[left.estimated].mean())


def _check_like(model: Model, features: NDArray[np.float32], root: Path) -> None:
    """Refuse images that are not those of the examples."""
    stored = model.support.features(model.support.catalog.column("id"))
    products = np.einsum("nvd,nvd->nv", stored, features)
    cosines = products / np.maximum(np.linalg.norm(stored, axis=2) * np.linalg.norm(features, axis=2), 1e-12)
    if cosines.mean() < LIKE:
        raise FlawshotError(
            f"{root}: its images are not those that the model was fitted to (mean cosine of their features "
            f"{cosines.mean():.2f}); name the right folder with {argument('data')}"
        )


def _encoded(model: Model, batch: CropBatch) -> NDArray[np.float32]:
    """Features as :meth:`flawshot.Model.predict` has them."""
    images, masks = (torch.from_numpy(part).flatten(0, 1) for part in (batch.images, batch.masks))
    first = model.encoder.encode(images, masks)[:, 0].to("cpu", torch.float16).float().numpy()
    return first.reshape(*batch.images.shape[:2], -1)


def _run(session: Any, batch: CropBatch, outputs: Iterable[str] = OUTPUTS) -> list[NDArray[np.float32]]:
    made: list[NDArray[np.float32]] = session.run(list(outputs), {"images": batch.images, "masks": batch.masks})
    if not all(np.isfinite(part).all() for part in made):
        raise FlawshotError("model.onnx: gives values that are not finite; use another precision")
    return made


def _largest(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).max(initial=0.0))
