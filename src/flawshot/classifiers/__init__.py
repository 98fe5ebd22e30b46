"""Few-shot classifiers over multi-view features, one method a file, each a scikit-learn estimator."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flawshot.errors import FlawshotError

if TYPE_CHECKING:
    from flawshot.classifiers.base import FewShotClassifier

__all__ = ["CLASSIFIERS", "make_classifier"]

# Name -> module and class; a module is loaded when its classifier is made, for some need torch.
CLASSIFIERS = {
    "default": ("whitened_ridge", "WhitenedRidge"),
    "default-transductive": ("transductive_ridge", "TransductiveRidge"),
    "matched-prototype": ("matched_prototype", "MatchedPrototype"),
    "zip-adapter": ("zip_adapter", "ZipAdapter"),
    "zip-adapter-f": ("zip_adapter_f", "ZipAdapterF"),
    "prototype": ("prototype", "CosinePrototype"),
    "knn": ("knn", "NearestNeighbours"),
    "linear-probe": ("linear_probe", "LinearProbe"),
    "zero-shot": ("zero_shot", "ZeroShot"),
    "tip-adapter": ("tip_adapter", "TipAdapter"),
    "tip-adapter-f": ("tip_adapter_f", "TipAdapterF"),
    "clip-adapter": ("clip_adapter", "ClipAdapter"),
    "gda": ("gda", "GaussianDiscriminant"),
    "soft-kmeans": ("soft_kmeans", "SoftKMeans"),
    "default-outline": ("outlined_ridge", "OutlinedRidge"),
    "outline": ("outline", "Outline"),
}


def make_classifier(name: str, **parameters: Any) -> FewShotClassifier:
    """Make a classifier by its name.

    Args:
        name: One of :data:`CLASSIFIERS`.
        parameters: Its own parameters; their defaults where left out.

    Raises:
        FlawshotError: If there is no such classifier.

    >>> make_classifier("zip-adapter", beta=16.0)
    ZipAdapter(beta=16.0)
    """
    if name not in CLASSIFIERS:
        raise FlawshotError(f"classifier {name!r} is not known; there are {', '.join(CLASSIFIERS)}")
    module, kind = CLASSIFIERS[name]
    made: FewShotClassifier = getattr(importlib.import_module(f"flawshot.classifiers.{module}"), kind)(**parameters)
    return made
