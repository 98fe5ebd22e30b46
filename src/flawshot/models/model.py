"""A model: loaded from its folder, it predicts from features or from regions of images."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flawshot.bank.records import difference, scheme_of
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, printable
from flawshot.base.records import LONGEST_VALUE, encoder_difference, shown
from flawshot.base.store.files import one_line
from flawshot.base.store.places import steadily
from flawshot.base.wording import counted
from flawshot.classifiers import make_classifier
from flawshot.encoders import rebuild_encoder
from flawshot.encoders.preprocessing import interpolation_of
from flawshot.evaluation.joining import joined
from flawshot.labelme.shapes import rasterize
from flawshot.locating.record import LOCATOR
from flawshot.models.calibration import fit_novelty
from flawshot.models.findings import ImageFinding, inspect_image
from flawshot.models.model_folder import RECORD, read_model, record_hash
from flawshot.models.predictions import Predictions
from flawshot.models.record import REMEDY
from flawshot.models.regions import decoded, region_crops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.bank.features import FeatureBank
    from flawshot.catalog.instances import Instance
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.encoders.base import BaseEncoder
    from flawshot.locating.locator import Locator
    from flawshot.models.calibration import NoveltyMeasure
    from flawshot.models.record import ModelRecord
    from flawshot.models.regions import Picture
    from flawshot.regions.views import ViewScheme

__all__ = ["Model", "load_model"]


def load_model(
    path: str | Path, *, device: str = "auto", pretrained: str | None = None, find_pretrained: str | None = None
) -> Model:
    """Load a model that ``flawshot fit`` made.

    Args:
        path: The model's folder.
        device: Where its encoder, and a trained classifier, compute: ``auto``, ``cpu``, ``cuda``, ….
        pretrained: The encoder's weights, if they came from a file.
        find_pretrained: The weights of the locator's own encoder, likewise.

    Raises:
        FlawshotError: With one line that names the file and the field, if the folder is missing, damaged, not a
            model's, or from a newer flawshot.
    """
    return Model(Path(path), device=device, pretrained=pretrained, find_pretrained=find_pretrained)


class Model:
    """A classifier fitted to support instances, with its encoder and views.

    The classifier is fitted and the encoder is loaded when first needed.

    Args:
        path: The model's folder.
        device: As for :func:`load_model`.
        pretrained: As for :func:`load_model`.
        find_pretrained: Likewise.

    Attributes:
        path: The model's folder.
        record: The model's record, ``model.json``.
        support: The support instances, as a feature bank in the order in which they were added.
    """

    def __init__(
        self, path: Path, *, device: str = "auto", pretrained: str | None = None, find_pretrained: str | None = None
    ) -> None:
        self.path = path
        self.record: ModelRecord
        self.support: FeatureBank
        (self.record, self.support), self._hash = steadily(path, RECORD, lambda: (read_model(path), record_hash(path)))
        self._device, self._pretrained, self._find_pretrained = device, pretrained, find_pretrained

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories in label order."""
        return self.record.categories

    @property
    def hash(self) -> str:
        """SHA-256 of ``model.json``, which contains the hashes of all other files; names the model in predictions."""
        return self._hash

    @cached_property
    def classifier(self) -> FewShotClassifier:
        """The classifier, fitted to the support instances."""
        estimator = recorded_classifier(self.record, str(self.path / RECORD))
        if "device" in estimator.get_params() and self._device != "auto":
            estimator.set_params(device=self._device)
        try:
            return estimator.fit(self._features, self._labels)
        except ValueError as error:  # caused by parameters, because the rest was checked
            raise FlawshotError(f"{self.path / RECORD}: classifier: {one_line(error)}; {REMEDY}") from error

    @cached_property
    def encoder(self) -> BaseEncoder:
        """The encoder that the support instances were encoded with.

        Raises:
            FlawshotError: If it is not available, or has different weights.
        """
        return rebuild_encoder(
            self.record.encoder, self.path / RECORD, pretrained=self._pretrained, device=self._device
        )

    @cached_property
    def locator(self) -> Locator:
        """Finds regions on images that nobody has annotated.

        Raises:
            FlawshotError: If the model has none, or its encoder is not available.
        """
        from flawshot.locating.locator_file import read_locator  # noqa: PLC0415 - with torch

        record = self.record.locator
        if record is None:
            raise FlawshotError(f"{self.path}: has no locator; fit the model again with {argument('find', True)}")
        encoder = self.encoder
        if record.encoder != self.record.encoder:
            place = f"{self.path / RECORD}: locator"
            try:
                encoder = rebuild_encoder(record.encoder, place, pretrained=self._find_pretrained, device=self._device)
            except FlawshotError as error:  # the argument has another name here
                worded = error.marked.replace(argument("pretrained"), argument("find_pretrained"))
                raise FlawshotError(worded) from error
        return read_locator(self.path / LOCATOR, record, encoder)

    @cached_property
    def scheme(self) -> ViewScheme:
        """The views that are cropped for a region.

        Raises:
            FlawshotError: If an earlier flawshot recorded only the name of a user-defined scheme.
        """
        return scheme_of(self.record.views, self.path / RECORD, REMEDY)

    @cached_property
    def _features(self) -> NDArray[np.float32]:
        return self.support.features(self.support.catalog.column("id"))

    @cached_property
    def _labels(self) -> NDArray[np.object_]:
        return np.array(self.support.catalog.column("category"), dtype=object)

    @cached_property
    def novelty(self) -> NoveltyMeasure:
        """Measures how unlike the support instances a region is."""
        return fit_novelty(self._features, self._labels)

    @cached_property
    def _examples(self) -> set[tuple[str | int, ...]]:
        columns = (self.support.catalog.column(name) for name in ("image", "x0", "y0", "x1", "y1"))
        return {(image.rpartition("/")[2], *box) for image, *box in zip(*columns, strict=True)}

    def is_example(self, instance: Instance) -> bool:
        """Whether an instance is one of the support instances, by its image's file name and its box."""
        return (instance.image.rpartition("/")[2], *instance.box) in self._examples

    def judge(
        self, features: NDArray[np.float32], shares: Sequence[NDArray[np.float32] | None] | None = None
    ) -> Predictions:
        """Predict regions from their features.

        Args:
            features: float32 ``[regions, views, dim]``: the first token's features, from the model's encoder and views.
            shares: What a finder says of each region: float32 ``[categories]``, or None where it says nothing.

        Raises:
            FlawshotError: If the features are not finite or have another shape.
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
        if shares is not None:
            weight = 0.0 if self.record.locator is None else self.record.locator.naming
            probabilities = joined(probabilities, shares, weight)
        new = self.novelty.of(features)
        judgement = self.record.calibration.judge(probabilities, new)
        return Predictions(self.categories, probabilities, new, judgement.sets, judgement.unsure, judgement.unknown)

    def predict_features(self, bank: FeatureBank, ids: Sequence[str] | None = None) -> Predictions:
        """Predict instances of a feature bank.

        Args:
            bank: A bank made with the model's encoder and views.
            ids: The instances to predict, in this order; if None, all in catalog order.

        Raises:
            FlawshotError: If the bank was made with another encoder or other views.
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
            model = printable(self.path.name, LONGEST_VALUE)  # its path would not fit beside that of the bank
            raise FlawshotError(f"{place}: {part}.{field}: is {shown(theirs)}, but {shown(ours)} in {model}; {remedy}")

    def find(self, images: Sequence[Picture]) -> list[ImageFinding]:
        """Find regions on images that nobody has annotated, and name them.

        Args:
            images: Paths, PIL images, or uint8 arrays ``[height, width]`` or ``[height, width, 3]``.

        Returns:
            One value per image, in order; without regions where nothing exceeds the locator's threshold.

        Raises:
            FlawshotError: If the model has no locator, or an image (named) cannot be used.
        """
        from flawshot.locating.threads import in_threads, pixels_of  # noqa: PLC0415 - with torch

        # What is made on first use is made once, before several threads need it.
        _ = self.locator, self.classifier, self.novelty, self.scheme
        tasks = [(given, f"images[{number}]") for number, given in enumerate(images)]
        device = self.encoder.device
        return list(in_threads(lambda task: self._find(decoded(*task)), tasks, device, lambda task: pixels_of(task[0])))

    def _find(self, image: Image.Image) -> ImageFinding:
        from flawshot.bank.region_features import region_features  # noqa: PLC0415 - with torch

        heat, found = inspect_image(self.locator, self.categories, image)
        regions = [rasterize(each.shape, image.height, image.width) for each in found.regions]
        masks = np.zeros((len(regions), image.height, image.width), dtype=bool)
        for mask, region in zip(masks, regions, strict=True):
            mask[:] = region.full_mask(image.height, image.width)
        features = region_features(self.encoder, self.scheme, image, regions)
        predictions = self.judge(features, [each.shares for each in found.regions])
        return ImageFinding(found.regions, masks, predictions, heat.score, heat)

    def predict(
        self,
        images: Sequence[Picture],
        masks: Sequence[NDArray[np.bool_]],
        *,
        batch_size: int = 32,
    ) -> Predictions:
        """Predict regions of images.

        Args:
            images: One image per region: a path, a PIL image, or a uint8 array ``[height, width]`` or
                ``[height, width, 3]``; the same object several times in a row is decoded once.
            masks: The pixels of each region, bool ``[height, width]`` of the (upright) image.
            batch_size: Number of crops per batch of the encoder.

        Raises:
            FlawshotError: If there are not as many masks as images, or one of them (named) cannot be used.
        """
        import torch  # noqa: PLC0415 - only when needed

        if len(images) != len(masks):
            raise FlawshotError(
                f"images, masks: {counted(len(images), 'image')}, but {counted(len(masks), 'mask')}; give one mask per "
                "image"
            )
        encoder, made = self.encoder, []
        several = max(1, batch_size // len(self.scheme.views))
        crops = region_crops(images, masks, self.scheme, encoder.side, interpolation_of(encoder.record))
        for start in range(0, len(images), several):
            part = [next(crops) for _ in range(min(several, len(images) - start))]
            pixels = torch.from_numpy(np.concatenate([each.images for each in part]))
            inside = torch.from_numpy(np.concatenate([each.masks for each in part]))
            # The precision of a bank's features, so that a region gives the same result in memory and from a bank.
            first = encoder.encode(pixels, inside)[:, 0].to("cpu", torch.float16).float().numpy()
            made.append(first.reshape(len(part), len(self.scheme.views), -1))
        shape = (0, len(self.scheme.views), self.support.manifest.shape[3])
        return self.judge(np.concatenate(made) if made else np.zeros(shape, dtype=np.float32))


def recorded_classifier(record: ModelRecord, place: str) -> FewShotClassifier:
    """The unfitted classifier that a record names.

    Raises:
        FlawshotError: If there is no classifier with this name and these parameters.
    """
    try:
        return make_classifier(record.classifier.name, **record.classifier.parameters)
    except (FlawshotError, TypeError) as error:
        raise FlawshotError(f"{place}: classifier: {one_line(error)}; {REMEDY}, or update flawshot") from error
