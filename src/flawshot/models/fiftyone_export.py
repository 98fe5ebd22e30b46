"""Export of a catalog as a data set of FiftyOne: labels, predictions, probabilities and embeddings, each with masks.

It is here, and not among the formats, because it reads feature banks and models.
"""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from flawshot.bank.features import FeatureBank
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.export_images import export_images, save_image
from flawshot.formats.exporting import IMAGE_OPTIONS, Exported, export_folder, write_json_file
from flawshot.models.model import load_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.formats.export_images import ExportImage, ExportRegion
    from flawshot.models.predictions import Predictions

__all__ = ["export_fiftyone"]

OPTIONS = {
    "out": Option("A new folder.", "OUT"),
    **IMAGE_OPTIONS,
    "bank": Option("A feature bank of the same data; the features become embeddings of the regions.", "DIR"),
    "model": Option("A model whose predictions of the bank's features are added, with all probabilities.", "DIR"),
}
# What a stored prediction says, besides label and confidence.
TOLD = ("runner_up", "runner_up_probability", "categories", "unsure", "unknown", "found", "score")
DIGITS = 7  # behind the point, of what is stored as float32


def export_fiftyone(
    catalog: Catalog,
    out: Path,
    *,
    good: Path | None = None,
    link: bool = False,
    bank: Path | None = None,
    model: Path | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write ``data/``, ``samples.json`` and ``metadata.json``, which FiftyOne imports as a ``FiftyOneDataset``.

    Every sample has the split as its tag, and the fields ``product``, ``ground_truth`` and, if there are predictions,
    ``predictions``: detections with the box and the exact mask of each region, and with its id as ``region``. Regions
    have an ``embedding`` if ``bank`` is given: the mean of the views' features, of length one. Predictions are those
    of a folder of predictions, or of ``model``; then they have ``probabilities``, too, in the order of ``categories``
    in the data set's ``info``.

    Args:
        catalog: The instances; its data folder must be available.
        out: The output folder.
        good: A further folder of images without flaws.
        link: Whether to hard-link images instead of copying them.
        bank: A feature bank of the same data.
        model: A model, made with the bank's encoder and views.
        overwrite: Whether an earlier export at ``out`` may be replaced.

    Returns:
        The number of detections.

    Raises:
        FlawshotError: If ``out`` exists or cannot be written, or ``bank`` or ``model`` cannot be used.
    """
    problems: list[Problem] = []
    features = None if bank is None else _Features(bank, model)
    if model is not None and features is None:
        raise FlawshotError(f"{argument('model')}: needs features to predict; give {argument('bank')}, too")
    with export_folder(out, "fiftyone", data=catalog.root, overwrite=overwrite) as folder:
        samples = [
            _sample(image, features)
            for image in export_images(catalog, problems, good=good, beyond=out)
            if save_image(image, folder / "data" / image.path, problems, link=link)
        ]
        write_json_file(folder / "samples.json", {"samples": samples})
        labels = sorted(set(catalog.column("category")) - {""})
        info = {"labels": labels, "categories": list(features.categories) if features else []}
        write_json_file(folder / "metadata.json", {"name": out.name, "media_type": "image", "info": info})
    if features is not None and features.missing:
        count = counted(features.missing, "region is", "regions are")
        message = f"{count} not in the bank, or with another box, and without embedding"
        problems.append(Problem(str(bank), "embedding", message, "warning"))
    written = sum(
        len(sample[field]["detections"])
        for sample in samples
        for field in ("ground_truth", "predictions")
        if field in sample
    )
    return Exported(written, tuple(problems), counted(len(samples), "image"))


class _Features:
    """Embeddings of regions, and predictions from their features."""

    def __init__(self, bank: Path, model: Path | None) -> None:
        opened = FeatureBank.open(bank)
        ids = opened.catalog.column("id")
        self._rows = opened.catalog.row_of
        self._boxes = list(zip(*(opened.catalog.column(name) for name in ("x0", "y0", "x1", "y1")), strict=True))
        self._bank = opened
        self._predictions: Predictions | None = None
        self.categories: tuple[str, ...] = ()
        self.missing = 0
        if model is not None:
            self._predictions = load_model(model).predict_features(opened, ids)
            self.categories = self._predictions.categories

    def add(self, instance: Instance, *fields: dict[str, Any]) -> dict[str, Any] | None:
        """Add a region's embedding to its detections; returns the model's prediction, if there is one."""
        row = self._rows.get(instance.id)
        if row is None or self._boxes[row] != instance.box:
            self.missing += 1
            return None
        mean = self._bank.features([instance.id])[0].mean(axis=0)
        unit = mean / max(float(np.linalg.norm(mean)), 1e-12)
        embedding = [round(value, DIGITS) for value in unit.tolist()]
        for field in fields:
            field["embedding"] = embedding
        if self._predictions is None:
            return None
        said = self._predictions[row]
        return {
            "label": said.label,
            "confidence": said.probability,
            "probabilities": [round(share, DIGITS) for share in self._predictions.probabilities[row].tolist()],
            "novelty": float(self._predictions.novelty[row]),
            "categories": list(said.categories),
            "unsure": said.unsure,
            "unknown": said.unknown,
            "embedding": embedding,
        }


def _sample(image: ExportImage, features: _Features | None) -> dict[str, Any]:
    truth, predictions = [], []
    for region in image.regions:
        common = _detection(region.instance)
        said = _told(region)
        label = {} if region.truth is None else {"label": region.truth}
        more = None if features is None else features.add(region.instance, common)
        if label:
            truth.append(common | label)
        if more is not None or said is not None:
            predictions.append(common | (more or said or {}))
    sample: dict[str, Any] = {
        "filepath": str(PurePosixPath("data", image.path)),
        "tags": [image.split] if image.split else [],
        "_media_type": "image",
        "metadata": {"_cls": "ImageMetadata", "width": image.width, "height": image.height},
        "product": image.product,
        "ground_truth": {"_cls": "Detections", "detections": truth},
    }
    if predictions:
        sample["predictions"] = {"_cls": "Detections", "detections": predictions}
    return sample


def _detection(instance: Instance) -> dict[str, Any]:
    x0, y0, x1, y1 = instance.box
    width, height = instance.image_width, instance.image_height
    return {
        "_cls": "Detection",
        "attributes": {},
        "tags": [name for name, value in instance.flags.items() if value],
        "bounding_box": [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
        "mask": _array(instance.region().pixels),
        "region": instance.id,
    }


def _told(region: ExportRegion) -> dict[str, Any] | None:
    """A stored prediction as fields of a detection."""
    if region.prediction is None:
        return None
    said = region.prediction
    more = {name: said[name] for name in TOLD if said.get(name) is not None}
    return {"label": said["predicted"], "confidence": said["probability"], **more}


def _array(values: NDArray[Any]) -> dict[str, Any]:
    """An array as FiftyOne stores it: NumPy's format, compressed, as binary of MongoDB's extended JSON."""
    with io.BytesIO() as opened:
        np.save(opened, values, allow_pickle=False)
        packed = zlib.compress(opened.getvalue())
    return {"$binary": {"base64": base64.b64encode(packed).decode("ascii"), "subType": "00"}}
