"""A model: asked of features, of regions of images, and made again from its folder."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flawshot.bank.records import difference, scheme_of
from flawshot.base.errors import FlawshotError, printable
from flawshot.base.records import LONGEST_VALUE, encoder_difference, shown
from flawshot.base.store.files import one_line
from flawshot.base.store.places import steadily
from flawshot.classifiers import make_classifier
from flawshot.encoders import rebuild_encoder
from flawshot.models.calibration import fit_novelty
from flawshot.models.model_folder import RECORD, read_model, record_hash
from flawshot.models.predictions import Predictions
from flawshot.models.record import REMEDY
from flawshot.models.regions import region_crops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.catalog.instances import Instance
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.encoders.base import BaseEncoder
    from flawshot.models.calibration import NoveltyMeasure
    from flawshot.models.record import ModelRecord
    from flawshot.models.regions import Picture
    from flawshot.regions.views import ViewScheme

__all__ = ["Model", "load_model"]


def load_model(path: str | Path, *, device: str = "auto", pretrained: str | None = None) -> Model:
    """Load a model that ``flawshot fit`` made.

    Args:
        path: The model's folder.
        device: Where its encoder, and a classifier that is trained, compute: ``auto``, ``cpu``, ``cuda``, ….
        pretrained: The encoder's weights where they came from a file.

    Raises:
        FlawshotError: With one line that names the file and the field, if the folder is missing, damaged, foreign, or
            of a newer flawshot.
    """
    return Model(Path(path), device=device, pretrained=pretrained)


class Model:
    """A classifier fitted to support instances, with the encoder and the views that it takes.

    The classifier is fitted, and the encoder loaded, when they are first needed.

    Args:
        path: The model's folder.
        device: As for :func:`load_model`.
        pretrained: As for :func:`load_model`.

    Attributes:
        path: The model's folder.
        record: What it says of itself; ``model.json``.
        support: The support instances, a feature bank in the order that they were taken in.
    """

    def __init__(self, path: Path, *, device: str = "auto", pretrained: str | None = None) -> None:
        self.path = path
        self.record: ModelRecord
        self.support: FeatureBank
        (self.record, self.support), self._hash = steadily(path, RECORD, lambda: (read_model(path), record_hash(path)))
        self._device, self._pretrained = device, pretrained

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories in label order."""
        return self.record.categories

    @property
    def hash(self) -> str:
        """SHA-256 of ``model.json``, which holds those of all other files: what predictions are of."""
        return self._hash

    @cached_property
    def classifier(self) -> FewShotClassifier:
        """The classifier, fitted to the support instances."""
        estimator = recorded_classifier(self.record, str(self.path / RECORD))
        if "device" in estimator.get_params() and self._device != "auto":
            estimator.set_params(device=self._device)
        try:
            return estimator.fit(self._features, self._labels)
        except ValueError as error:  # of parameters, for the rest was checked
            raise FlawshotError(f"{self.path / RECORD}: classifier: {one_line(error)}; {REMEDY}") from error

    @cached_property
    def encoder(self) -> BaseEncoder:
        """The encoder that the support instances were encoded with.

        Raises:
            FlawshotError: If it is not at hand, or has other weights.
        """
        return rebuild_encoder(
            self.record.encoder, self.path / RECORD, pretrained=self._pretrained, device=self._device
        )

    @cached_property
    def scheme(self) -> ViewScheme:
        """The views that are cropped of a region.

        Raises:
            FlawshotError: If an earlier flawshot recorded no more of them than the name of a scheme of a user's own.
        """
        return scheme_of(self.record.views, self.path / RECORD, REMEDY)

    @cached_property
    def _features(self) -> NDArray[np.float32]:
        return self.support.features(self.support.catalog.column("id"))

    @cached_property
    def _labels(self) -> NDArray[np.object_]:
        return np.array(self.support.catalog.column("category"), dtype=object)

    @cached_property
    def _novelty(self) -> NoveltyMeasure:
        return fit_novelty(self._features, self._labels)

    @cached_property
    def _examples(self) -> set[tuple[str | int, ...]]:
        columns = (self.support.catalog.column(name) for name in ("image", "x0", "y0", "x1", "y1"))
        return {(image.rpartition("/")[2], *box) for image, *box in zip(*columns, strict=True)}

    def is_example(self, instance: Instance) -> bool:
        """Whether an instance is one of the support instances, by its image's file name and its box."""
        return (instance.image.rpartition("/")[2], *instance.box) in self._examples

    def judge(self, features: NDArray[np.float32]) -> Predictions:
        """Say what regions are, by their features.

        Args:
            features: float32 ``[regions, views, dim]``, of the model's encoder and views, of the first token.

        Raises:
            FlawshotError: If features are not such.
        """
        wanted = (self.support.manifest.shape[1], self.support.manifest.shape[3])
        if features.ndim != 3 or features.shape[1:] != wanted or not np.isfinite(features).all():
            raise FlawshotError(
                f"{self.path}: takes finite features [regions, {wanted[0]} views, {wanted[1]}], "
                f"not {list(features.shape)}"
            )
        if not len(features):
            none = np.zeros((0, len(self.categories)), dtype=np.float32)
            return Predictions(self.categories, none, none[:, 0], none > 0, none[:, 0] > 0, none[:, 0] > 0)
        probabilities = self.classifier.predict_proba(features)
        if not np.isfinite(probabilities).all():
            raise FlawshotError(f"{self.path}: {self.record.classifier.name} gives probabilities that are not finite")
        new = self._novelty.of(features)
        judgement = self.record.calibration.judge(probabilities, new)
        return Predictions(self.categories, probabilities, new, judgement.sets, judgement.unsure, judgement.unknown)

    def predict_features(self, bank: FeatureBank, ids: Sequence[str] | None = None) -> Predictions:
        """Say what instances of a feature bank are.

        Args:
            bank: Made by the model's encoder, of its views.
            ids: Which instances, in the order wanted; all, in catalog order, where None.

        Raises:
            FlawshotError: If the bank is of another encoder or of other views.
        """
        self.check_bank(bank)
        return self.judge(bank.features(bank.catalog.column("id") if ids is None else ids))

    def check_bank(self, bank: FeatureBank) -> None:
        """Refuse a bank whose features cannot be compared with the model's.

        Raises:
            FlawshotError: With the field that differs.
        """
        place, remedy = bank.path / "manifest.json", "encode the images as those of the model were"
        part, found = "encoder", encoder_difference(self.record.encoder, bank.manifest.encoder)
        if found is None:
            part, found = "views", difference(self.scheme, scheme_of(bank.manifest.views, place, remedy))
        if found is not None:
            field, ours, theirs = found
            model = printable(self.path.name, LONGEST_VALUE)  # its path would leave no room beside that of the bank
            raise FlawshotError(f"{place}: {part}.{field}: is {shown(theirs)}, but {shown(ours)} in {model}; {remedy}")

    def predict(
        self,
        images: Sequence[Picture],
        masks: Sequence[NDArray[np.bool_]],
        *,
        batch_size: int = 32,
    ) -> Predictions:
        """Say what regions of images are.

        Args:
            images: An image a region: a path, a PIL image, or a uint8 array ``[height, width]`` or
                ``[height, width, 3]``; the same object several times in a row is decoded once.
            masks: Which pixels are the region, bool ``[height, width]`` of the (upright) image each.
            batch_size: Crops that the encoder takes at once.

        Raises:
            FlawshotError: If there are not as many masks as images, or one of them cannot be used; it says which.
        """
        import torch  # noqa: PLC0415 - when it is needed

        if len(images) != len(masks):
            raise FlawshotError(f"images, masks: {len(images)} and {len(masks)} are not as many; give a mask an image")
        encoder, made = self.encoder, []
        several = max(1, batch_size // len(self.scheme.views))
        crops = region_crops(images, masks, self.scheme, encoder.side)
        for start in range(0, len(images), several):
            part = [next(crops) for _ in range(min(several, len(images) - start))]
            pixels = torch.from_numpy(np.concatenate([each.images for each in part]))
            inside = torch.from_numpy(np.concatenate([each.masks for each in part]))
            # Of the precision of a bank's features, so that the same region is the same wherever it is asked of.
            first = encoder.encode(pixels, inside)[:, 0].to("cpu", torch.float16).float().numpy()
            made.append(first.reshape(len(part), len(self.scheme.views), -1))
        shape = (0, len(self.scheme.views), self.support.manifest.shape[3])
        return self.judge(np.concatenate(made) if made else np.zeros(shape, dtype=np.float32))


def recorded_classifier(record: ModelRecord, place: str) -> FewShotClassifier:
    """The classifier that a record names, not fitted.

    Raises:
        FlawshotError: If there is none of this name and parameters.
    """
    try:
        return make_classifier(record.classifier.name, **record.classifier.parameters)
    except (FlawshotError, TypeError) as error:
        raise FlawshotError(f"{place}: classifier: {one_line(error)}; {REMEDY}, or update flawshot") from error
