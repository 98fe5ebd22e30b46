"""Naming of found regions in an evaluation: a classifier fitted to the support instances of one episode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from flawshot.classifiers import make_classifier
from flawshot.encoders.preprocessing import interpolation_of
from flawshot.regions.crops import crop_views
from flawshot.regions.views import extent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.catalog.instances import Instance
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.encoders.base import Encoder
    from flawshot.labelme.shapes import Region
    from flawshot.regions.views import Extent, ViewScheme

__all__ = ["RegionNamer"]

REGIONS_AT_ONCE = 16


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
        made = self._features(image, [(each.region(), extent_of(each)) for each in new])
        self._known.update((each.id, own) for each, own in zip(new, made, strict=True))

    def fit(self, instances: Sequence[Instance]) -> FewShotClassifier | None:
        """The classifier, fitted to encoded instances; None if they are of fewer than two categories."""
        labels = [each.category for each in instances]
        if len(set(labels)) < 2:
            return None
        features = np.stack([self._known[each.id] for each in instances])
        return make_classifier(self._name).fit(features, np.array(labels, dtype=object))

    def name(self, fitted: FewShotClassifier, image: Image.Image, regions: Sequence[Region]) -> list[str]:
        """The most probable category of each found region of an image."""
        if not regions:
            return []
        return list(map(str, fitted.predict(self._features(image, [(region, None) for region in regions]))))

    def name_annotated(self, fitted: FewShotClassifier, instances: Sequence[Instance]) -> list[str]:
        """The most probable category of each annotated instance, which must be encoded."""
        if not instances:
            return []
        return list(map(str, fitted.predict(np.stack([self._known[each.id] for each in instances]))))

    def _features(
        self, image: Image.Image, regions: Sequence[tuple[Region, Extent | None]]
    ) -> list[NDArray[np.float32]]:
        """Of each region, float32 ``[views, dim]``, with the precision of a feature bank."""
        made: list[NDArray[np.float32]] = []
        filter_ = interpolation_of(self._encoder.record)
        for start in range(0, len(regions), REGIONS_AT_ONCE):
            several = [
                crop_views(image, region, self._scheme, self._encoder.side, extent=extent, interpolation=filter_)
                for region, extent in regions[start : start + REGIONS_AT_ONCE]
            ]
            pixels = torch.from_numpy(np.concatenate([each.images for each in several]))
            inside = torch.from_numpy(np.concatenate([each.masks for each in several]))
            first = self._encoder.encode(pixels, inside)[:, 0].to("cpu", torch.float16).float().numpy()
            made += list(first.reshape(len(several), len(self._scheme.views), -1))
        return made
