"""Provenance of an evaluation: everything that is needed to run it again."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flawshot.bank.records import ViewRecord, scheme_of
from flawshot.evaluation.intervals import DRAWS
from flawshot.regions.views import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.bank.features import FeatureBank
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.encoders.base import Encoder
    from flawshot.episodes import EpisodeSet
    from flawshot.evaluation.finding_data import FindingData
    from flawshot.regions.views import ViewScheme

__all__ = ["finding_provenance", "make_provenance"]

# The libraries that compute results from features.
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")
INTERVAL = f"variance over seeds, and over query images by {DRAWS} bootstrap draws; Student's quantiles, Wilson's form"


def make_provenance(
    bank: FeatureBank, episode_sets: Sequence[EpisodeSet], estimators: Mapping[str, FewShotClassifier], device: str
) -> dict[str, Any]:
    """Data set, protocol, encoder, views, classifiers and versions, as JSON values.

    Args:
        bank: The features.
        episode_sets: The episodes that were evaluated.
        estimators: The classifiers, by name.
        device: The device on which classifiers were trained.
    """
    text = bank.manifest.text
    return {
        "flawshot": version("flawshot"),
        "data": {"catalog_hash": bank.manifest.catalog_hash, "products": _counts(bank, episode_sets)},
        "encoder": bank.manifest.encoder.model_dump(mode="json"),
        "text": None if text is None else text.model_dump(mode="json", exclude={"file", "rows"}),
        "views": _views(bank.manifest.views),
        "libraries": bank.manifest.libraries,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "device": device,
        "protocols": sorted({each.protocol for each in episode_sets}),
        "sampling": {
            each.product: {**each.parameters, "grouped": each.groups is not None} for each in reversed(episode_sets)
        },
        "seeds": sorted({episode.seed for each in episode_sets for episode in each.episodes}),
        "fingerprints": {each.product: each.fingerprint for each in episode_sets},
        "episodes": _digests(episode_sets),
        "classifiers": {
            name: {"class": type(estimator).__name__, "parameters": estimator.get_params()}
            for name, estimator in estimators.items()
        },
        "interval": INTERVAL,
    }


def _digests(episode_sets: Sequence[EpisodeSet]) -> dict[str, dict[str, str]]:
    """By product and K, the SHA-256 of the episodes: results with the same one were asked the same from the same."""
    digests: dict[str, dict[str, str]] = {}
    for each in episode_sets:
        digest = hashlib.sha256()
        for episode in each.episodes:
            digest.update(json.dumps([episode.seed, episode.support, episode.query]).encode())
        digests.setdefault(each.product, {})[str(each.shots)] = digest.hexdigest()
    return digests


def _views(record: ViewRecord) -> dict[str, Any]:
    """The views; the full list only if it does not follow from the scheme's name, sizes and border."""
    said = record.model_dump(mode="json", exclude={"views"})
    named = record.model_copy(update={"views": ()})
    if record.views and (
        record.scheme not in SCHEMES or scheme_of(named, "", "").views != scheme_of(record, "", "").views
    ):
        said["views"] = [entry.model_dump(mode="json") for entry in record.views]
    return said


def _counts(bank: FeatureBank, episode_sets: Sequence[EpisodeSet]) -> dict[str, dict[str, int]]:
    """Number of instances and images of each product in the bank."""
    products, images = bank.catalog.column("product"), bank.catalog.column("image")
    counts = {}
    for product in dict.fromkeys(each.product for each in episode_sets):
        own = [image for name, image in zip(products, images, strict=True) if name == product]
        counts[product] = {"instances": len(own), "images": len(set(own))}
    return counts


def finding_provenance(data: Sequence[FindingData], encoder: Encoder, scheme: ViewScheme) -> dict[str, Any]:
    """Data, encoder, views and versions, as JSON values.

    Args:
        data: The images of each product.
        encoder: The encoder.
        scheme: The views with which regions are named.
    """
    return {
        "flawshot": version("flawshot"),
        "data": {
            own.product: {
                "instances": len(own.catalog),
                "images": len(set(own.catalog.column("image"))),
                "good": len(own.good),
                "fingerprint": own.catalog.fingerprint(own.product),
            }
            for own in data
        },
        "encoder": encoder.record.model_dump(mode="json"),
        "views": _views(ViewRecord.of(scheme)),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "interval": INTERVAL,
    }
