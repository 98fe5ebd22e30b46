"""Few-shot classifiers over multi-view features, one method per file, each a scikit-learn estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.plugins import load_object, plugin_address, plugin_names

if TYPE_CHECKING:
    from flawshot.classifiers.base import FewShotClassifier

__all__ = ["CLASSIFIERS", "classifier_name", "classifier_names", "make_classifier"]

# Installed packages register their own classifiers in this group of entry points.
ENTRY_POINTS = "flawshot.classifiers"

# Name -> module and class; a module is loaded when its classifier is made, because some need torch.
CLASSIFIERS = {
    "default": ("whitened_ridge", "WhitenedRidge"),
    "default-transductive": ("transductive_ridge", "TransductiveRidge"),
    "matched-prototype": ("matched_prototype", "MatchedPrototype"),
    "zip-adapter": ("zip_adapter", "ZipAdapter"),
    "zip-adapter-f": ("zip_adapter_f", "ZipAdapterF"),
    "prototype": ("prototype", "CosinePrototype"),
    "knn": ("knn", "NearestNeighbors"),
    "linear-probe": ("linear_probe", "LinearProbe"),
    "zero-shot": ("zero_shot", "ZeroShot"),
    "tip-adapter": ("tip_adapter", "TipAdapter"),
    "tip-adapter-f": ("tip_adapter_f", "TipAdapterF"),
    "clip-adapter": ("clip_adapter", "ClipAdapter"),
    "gda": ("gda", "GaussianDiscriminant"),
    "gda-text": ("gda_text", "GaussianDiscriminantText"),
    "timo": ("timo", "Timo"),
    "proker": ("proker", "ProKer"),
    "proker-text": ("proker_text", "ProKerText"),
    "lp-plus-plus": ("lp_plus_plus", "LinearProbePlusPlus"),
    "clap": ("clap", "Clap"),
    "soft-kmeans": ("soft_kmeans", "SoftKMeans"),
    "transclip": ("transclip", "TransClip"),
    "transclip-text": ("transclip_text", "TransClipText"),
    "default-outline": ("outlined_ridge", "OutlinedRidge"),
    "outline": ("outline", "Outline"),
}


def classifier_names() -> list[str]:
    """All names that :func:`make_classifier` knows: flawshot's own, then those of installed packages, sorted."""
    return [*CLASSIFIERS, *plugin_names(ENTRY_POINTS, CLASSIFIERS)]


def make_classifier(name: str, **parameters: Any) -> FewShotClassifier:
    """Make a classifier by its name.

    Args:
        name: One of :data:`CLASSIFIERS`, or the name of an entry point in the group ``flawshot.classifiers`` of an
            installed package that refers to a subclass of :class:`flawshot.FewShotClassifier`. flawshot's own names
            take precedence.
        parameters: The classifier's parameters; omitted ones have their defaults.

    Raises:
        FlawshotError: If there is no such classifier, or a package's classifier cannot be loaded.

    >>> make_classifier("zip-adapter", beta=16.0)
    ZipAdapter(beta=16.0)
    """
    made: FewShotClassifier = _class(name)(**parameters)
    return made


def classifier_name(estimator: FewShotClassifier) -> str | None:
    """The name under which an estimator's class is registered, or None."""
    kind = type(estimator)
    for name in classifier_names():
        if _address(name) == (kind.__module__, kind.__qualname__):
            return name
    return None


def _address(name: str) -> tuple[str, str]:
    """Module and class of a classifier."""
    if name in CLASSIFIERS:
        module, kind = CLASSIFIERS[name]
        return f"flawshot.classifiers.{module}", kind
    return plugin_address(ENTRY_POINTS, name)


def _class(name: str) -> Any:
    if name not in (known := classifier_names()):
        raise FlawshotError(f"{argument('classifier', name)}: is not known; there are {', '.join(known)}")
    what = f"classifier {name!r}"
    kind = load_object(*_address(name), what)
    if name in CLASSIFIERS:
        return kind
    from flawshot.classifiers.base import INPUTS, FewShotClassifier  # noqa: PLC0415 - with scikit-learn, if needed

    if not (isinstance(kind, type) and issubclass(kind, FewShotClassifier)):
        raise FlawshotError(f"{what}: is not a subclass of flawshot.FewShotClassifier")
    if not kind.inputs or not kind.inputs <= INPUTS:
        raise FlawshotError(f"{what}: inputs: must be some of {', '.join(sorted(INPUTS))}")
    return kind
