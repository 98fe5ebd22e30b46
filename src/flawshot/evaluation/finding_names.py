"""Naming of found regions in an evaluation: a classifier fitted to the support instances of one episode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flawshot.bank.region_features import region_features
from flawshot.classifiers import make_classifier
from flawshot.evaluation.joining import probabilities_of
from flawshot.regions.views import extent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.catalog.instances import Instance
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.encoders.base import Encoder
    from flawshot.labelme.shapes import Region
    from flawshot.regions.views import ViewScheme

__all__ = ["RegionNamer"]


class RegionNamer:
    """Names regions by their features.

    Annotated instances are encoded once, whatever the number of episodes.

    Args:
        encoder: The encoder.
        scheme: The views.
        classifier: The classifier's name.
    """

    def __init__(self, encoder: Encoder, scheme: ViewScheme, classifier: str = "default") -> None:
        self._encoder, self._scheme, self._name = encoder, scheme, classifier
        self._known: dict[str, NDArray[np.float32]] = {}

    def encode(self, image: Image.Image, instances: Iterable[Instance]) -> None:
        """Encode annotated instances of an image, unless they are known."""
        new = [each for each in instances if each.id not in self._known]
        regions = [each.region() for each in new]
        made = region_features(self._encoder, self._scheme, image, regions, [extent_of(each) for each in new])
        self._known.update((each.id, own) for each, own in zip(new, made, strict=True))

    def fit(self, instances: Sequence[Instance]) -> FewShotClassifier | None:
        """The classifier, fitted to encoded instances; None if they are of fewer than two categories."""
        labels = [each.category for each in instances]
        if len(set(labels)) < 2:
            return None
        features = np.stack([self._known[each.id] for each in instances])
        return make_classifier(self._name).fit(features, np.array(labels, dtype=object))

    def probabilities(
        self, fitted: FewShotClassifier, image: Image.Image, categories: Sequence[str], regions: Sequence[Region]
    ) -> NDArray[np.float32]:
        """The classifier's probabilities for each found region of an image, float32 ``[regions, categories]``."""
        if not regions:
            return np.zeros((0, len(categories)), dtype=np.float32)
        return probabilities_of(fitted, region_features(self._encoder, self._scheme, image, regions), categories)

    def name_annotated(self, fitted: FewShotClassifier, instances: Sequence[Instance]) -> list[str]:
        """The most probable category of each annotated instance, which must be encoded."""
        if not instances:
            return []
        return list(map(str, fitted.predict(np.stack([self._known[each.id] for each in instances]))))
