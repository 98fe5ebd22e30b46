"""flawshot: few-shot classification of defects, from Labelme annotations to accuracy with honest intervals.

What is named here is the public interface; each name loads its module when it is first used, so that importing
flawshot loads neither torch nor Qt.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flawshot.bank.builder import EncodeReport, encode_catalog
    from flawshot.bank.features import FeatureBank, write_bank
    from flawshot.bank.mvrec_bank import import_mvrec_features
    from flawshot.bank.prompts import Prompts, read_prompts
    from flawshot.bank.records import BankManifest, ViewRecord
    from flawshot.base.errors import AnnotationError, EpisodeError, FeatureBankError, FlawshotError, Problem
    from flawshot.base.records import EncoderRecord
    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.classifiers import CLASSIFIERS, make_classifier
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.classifiers.clip_adapter import ClipAdapter
    from flawshot.classifiers.gda import GaussianDiscriminant
    from flawshot.classifiers.knn import NearestNeighbours
    from flawshot.classifiers.linear_probe import LinearProbe
    from flawshot.classifiers.matched_prototype import MatchedPrototype
    from flawshot.classifiers.prototype import CosinePrototype
    from flawshot.classifiers.soft_kmeans import SoftKMeans
    from flawshot.classifiers.tip_adapter import TipAdapter
    from flawshot.classifiers.tip_adapter_f import TipAdapterF
    from flawshot.classifiers.transductive_ridge import TransductiveRidge
    from flawshot.classifiers.whitened_ridge import WhitenedRidge
    from flawshot.classifiers.zero_shot import ZeroShot
    from flawshot.classifiers.zip_adapter import ZipAdapter
    from flawshot.classifiers.zip_adapter_f import ZipAdapterF
    from flawshot.encoders import ENCODERS, make_encoder
    from flawshot.encoders.alpha_clip import AlphaClipEncoder
    from flawshot.encoders.base import BaseEncoder, Encoder, TextEncoder
    from flawshot.encoders.flawshot_tiny import TinyEncoder
    from flawshot.encoders.open_clip import OpenClipEncoder
    from flawshot.episodes import (
        Episode,
        EpisodeSet,
        find_episode_files,
        groups_from_csv,
        groups_from_regex,
        read_episodes,
        sample_episodes,
        sample_tasks,
        verify,
        write_episodes,
    )
    from flawshot.evaluation import Results, evaluate
    from flawshot.formats.catalog_labelme import labelme_files
    from flawshot.formats.coco import import_coco
    from flawshot.formats.detailed import write_detailed
    from flawshot.formats.mask_export import export_masks
    from flawshot.formats.masks import import_masks
    from flawshot.formats.mpdd import import_mpdd
    from flawshot.formats.mvtec_fs import import_mvtec_fs, read_mvtec_fs
    from flawshot.formats.voc import import_voc
    from flawshot.inspect.checks import check_data
    from flawshot.inspect.query import query_catalog
    from flawshot.inspect.same_sample import SameSamples, SampleGroup, find_same_samples
    from flawshot.inspect.stats import count, measure
    from flawshot.labelme.images import read_image
    from flawshot.labelme.labelme_file import LabelmeFile, read_labelme, write_labelme
    from flawshot.labelme.shapes import Region, Shape, rasterise
    from flawshot.models.fitting import fit_model
    from flawshot.models.model import Model, load
    from flawshot.models.predicting import PredictReport, predict_catalog
    from flawshot.models.predictions import Predicted, Predictions
    from flawshot.regions.crops import Crops, crop_views
    from flawshot.regions.views import View, ViewScheme, make_scheme
    from flawshot.report import write_report
    from flawshot.synthetic.data_set import DrawnProduct, draw_data_set

    __version__: str

_MODULES = {
    "bank.builder": ["EncodeReport", "encode_catalog"],
    "catalog": ["Catalog"],
    "inspect.checks": ["check_data"],
    "formats.catalog_labelme": ["labelme_files"],
    "classifiers": ["CLASSIFIERS", "make_classifier"],
    "classifiers.base": ["FewShotClassifier"],
    "classifiers.clip_adapter": ["ClipAdapter"],
    "classifiers.gda": ["GaussianDiscriminant"],
    "classifiers.knn": ["NearestNeighbours"],
    "classifiers.linear_probe": ["LinearProbe"],
    "classifiers.matched_prototype": ["MatchedPrototype"],
    "classifiers.prototype": ["CosinePrototype"],
    "classifiers.soft_kmeans": ["SoftKMeans"],
    "classifiers.tip_adapter": ["TipAdapter"],
    "classifiers.tip_adapter_f": ["TipAdapterF"],
    "classifiers.zero_shot": ["ZeroShot"],
    "classifiers.transductive_ridge": ["TransductiveRidge"],
    "classifiers.whitened_ridge": ["WhitenedRidge"],
    "classifiers.zip_adapter": ["ZipAdapter"],
    "classifiers.zip_adapter_f": ["ZipAdapterF"],
    "regions.crops": ["Crops", "crop_views"],
    "encoders.alpha_clip": ["AlphaClipEncoder"],
    "encoders": ["ENCODERS", "make_encoder"],
    "encoders.base": ["BaseEncoder", "Encoder", "TextEncoder"],
    "encoders.flawshot_tiny": ["TinyEncoder"],
    "encoders.open_clip": ["OpenClipEncoder"],
    "episodes": [
        "Episode",
        "EpisodeSet",
        "find_episode_files",
        "groups_from_csv",
        "groups_from_regex",
        "read_episodes",
        "sample_episodes",
        "sample_tasks",
        "verify",
        "write_episodes",
    ],
    "base.errors": ["AnnotationError", "EpisodeError", "FeatureBankError", "FlawshotError", "Problem"],
    "evaluation": ["Results", "evaluate"],
    "bank.features": ["FeatureBank", "write_bank"],
    "bank.records": ["BankManifest", "ViewRecord"],
    "base.records": ["EncoderRecord"],
    "formats.coco": ["import_coco"],
    "formats.detailed": ["write_detailed"],
    "labelme.labelme_file": ["LabelmeFile", "read_labelme", "write_labelme"],
    "formats.masks": ["import_masks"],
    "formats.mpdd": ["import_mpdd"],
    "formats.mvtec_fs": ["import_mvtec_fs", "read_mvtec_fs"],
    "formats.voc": ["import_voc"],
    "labelme.images": ["read_image"],
    "catalog.instances": ["Instance"],
    "formats.mask_export": ["export_masks"],
    "models.fitting": ["fit_model"],
    "models.learning": ["LearnReport", "learn_corrections"],
    "models.model": ["Model", "load"],
    "models.predicting": ["PredictReport", "predict_catalog"],
    "models.predictions": ["Predicted", "Predictions"],
    "bank.mvrec_bank": ["import_mvrec_features"],
    "bank.prompts": ["Prompts", "read_prompts"],
    "labelme.shapes": ["Region", "Shape", "rasterise"],
    "inspect.query": ["query_catalog"],
    "report": ["write_report"],
    "inspect.same_sample": ["SameSamples", "SampleGroup", "find_same_samples"],
    "inspect.stats": ["count", "measure"],
    "synthetic.data_set": ["DrawnProduct", "draw_data_set"],
    "regions.views": ["View", "ViewScheme", "make_scheme"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "CLASSIFIERS",
    "ENCODERS",
    "AlphaClipEncoder",
    "AnnotationError",
    "BankManifest",
    "BaseEncoder",
    "Catalog",
    "ClipAdapter",
    "CosinePrototype",
    "Crops",
    "DrawnProduct",
    "EncodeReport",
    "Encoder",
    "EncoderRecord",
    "Episode",
    "EpisodeError",
    "EpisodeSet",
    "FeatureBank",
    "FeatureBankError",
    "FewShotClassifier",
    "FlawshotError",
    "GaussianDiscriminant",
    "Instance",
    "LabelmeFile",
    "LearnReport",
    "LinearProbe",
    "MatchedPrototype",
    "Model",
    "NearestNeighbours",
    "OpenClipEncoder",
    "PredictReport",
    "Predicted",
    "Predictions",
    "Problem",
    "Prompts",
    "Region",
    "Results",
    "SameSamples",
    "SampleGroup",
    "Shape",
    "SoftKMeans",
    "TextEncoder",
    "TinyEncoder",
    "TipAdapter",
    "TipAdapterF",
    "TransductiveRidge",
    "View",
    "ViewRecord",
    "ViewScheme",
    "WhitenedRidge",
    "ZeroShot",
    "ZipAdapter",
    "ZipAdapterF",
    "__version__",
    "check_data",
    "count",
    "crop_views",
    "draw_data_set",
    "encode_catalog",
    "evaluate",
    "export_masks",
    "find_episode_files",
    "find_same_samples",
    "fit_model",
    "groups_from_csv",
    "groups_from_regex",
    "import_coco",
    "import_masks",
    "import_mpdd",
    "import_mvrec_features",
    "import_mvtec_fs",
    "import_voc",
    "labelme_files",
    "learn_corrections",
    "load",
    "make_classifier",
    "make_encoder",
    "make_scheme",
    "measure",
    "predict_catalog",
    "query_catalog",
    "rasterise",
    "read_episodes",
    "read_image",
    "read_labelme",
    "read_mvtec_fs",
    "read_prompts",
    "sample_episodes",
    "sample_tasks",
    "verify",
    "write_bank",
    "write_detailed",
    "write_episodes",
    "write_labelme",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load the module that holds a public name."""
    if name == "__version__":
        metadata = importlib.import_module("importlib.metadata")
        return metadata.version("flawshot")
    if name not in _HOMES:
        raise AttributeError(f"module 'flawshot' has no attribute {name!r}")
    return getattr(importlib.import_module(f"flawshot.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
