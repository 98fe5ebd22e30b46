"""Few-shot classifiers over multi-view features, one method per file, each a scikit-learn estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.plugins import load_object, plugin_address, plugin_names

if TYPE_CHECKING:
    from flawshot.classifiers.base import FewShotClassifier

__all__ = [
    "CLASSIFIERS",
    "DEFAULT",
    "classifier_name",
    "classifier_names",
    "descriptive_name",
    "make_classifier",
    "shown_name",
]

# Installed packages register their own classifiers in this group of entry points.
ENTRY_POINTS = "flawshot.classifiers"

# The name for the best classifier that we know, and the classifier that it stands for now. Files record the latter,
# so that they mean the same when a better one is found. Models fitted before flawshot distinguished the two record
# "default": see flawshot/models/record.py.
DEFAULT, BEST_KNOWN = "default", "evidence-ridge"

# Name -> module and class; a module is loaded when its classifier is made, because some need torch.
CLASSIFIERS = {
    BEST_KNOWN: ("evidence_ridge", "EvidenceRidge"),
    "whitened-ridge": ("whitened_ridge", "WhitenedRidge"),
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
    """All names that :func:`make_classifier` knows: ``default``, flawshot's own, then installed packages', sorted."""
    return [DEFAULT, *_described()]


def _described() -> list[str]:
    return [*CLASSIFIERS, *plugin_names(ENTRY_POINTS, [DEFAULT, *CLASSIFIERS])]


def descriptive_name(name: str) -> str:
    """The name under which a classifier is recorded: ``default`` by what it stands for, others as they are.

    >>> descriptive_name("default"), descriptive_name("knn")
    ('evidence-ridge', 'knn')
    """
    return BEST_KNOWN if name == DEFAULT else name


def shown_name(name: str) -> str:
    """The name by which results show a classifier: ``default`` together with what it stands for.

    >>> shown_name("default"), shown_name("knn")
    ('default (evidence-ridge)', 'knn')
    """
    return f"{DEFAULT} ({BEST_KNOWN})" if name == DEFAULT else name


def make_classifier(name: str, **parameters: Any) -> FewShotClassifier:
    """Make a classifier by its name.

    Args:
        name: ``default``, one of :data:`CLASSIFIERS`, or the name of an entry point in the group
            ``flawshot.classifiers`` of an installed package that refers to a subclass of
            :class:`flawshot.FewShotClassifier`. flawshot's own names take precedence.
        parameters: The classifier's parameters; omitted ones have their defaults.

    Raises:
        FlawshotError: If there is no such classifier, or a package's classifier cannot be loaded.

    >>> make_classifier("zip-adapter", beta=16.0)
    ZipAdapter(beta=16.0)
    """
    made: FewShotClassifier = _class(name)(**parameters)
    return made


def classifier_name(estimator: FewShotClassifier) -> str | None:
    """The descriptive name under which an estimator's class is registered, or None."""
    kind = type(estimator)
    for name in _described():
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
    what, name = f"classifier {name!r}", descriptive_name(name)
    kind = load_object(*_address(name), what)
    if name in CLASSIFIERS:
        return kind
    from flawshot.classifiers.base import INPUTS, FewShotClassifier  # noqa: PLC0415 - with scikit-learn, if needed

    if not (isinstance(kind, type) and issubclass(kind, FewShotClassifier)):
        raise FlawshotError(f"{what}: is not a subclass of flawshot.FewShotClassifier")
    if not kind.inputs or not kind.inputs <= INPUTS:
        raise FlawshotError(f"{what}: inputs: must be some of {', '.join(sorted(INPUTS))}")
    return kind
