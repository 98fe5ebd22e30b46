"""flawshot: few-shot classification of defects, from Labelme annotations to accuracy with honest intervals.

The table lists the public interface. Each name loads its module when it is first used, so that importing flawshot loads
neither torch nor Qt.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "bank.builder": "EncodeReport encode_catalog",
    "bank.cluster": "RayCluster",
    "bank.default_encoding": "encode",
    "bank.features": "FeatureBank write_bank",
    "bank.mvrec_bank": "import_mvrec_features",
    "bank.prompts": "Prompts read_prompts",
    "bank.records": "BankManifest ViewRecord",
    "base.errors": "AnnotationError EpisodeError FeatureBankError FlawshotError Problem",
    "base.ray_tasks": "RayTasks",
    "base.records": "EncoderRecord",
    "catalog": "Catalog",
    "catalog.instances": "Instance",
    "classifiers": "CLASSIFIERS classifier_names make_classifier",
    "classifiers.base": "Evidence FewShotClassifier Support",
    "classifiers.clap": "Clap",
    "classifiers.clip_adapter": "ClipAdapter",
    "classifiers.evidence_ridge": "EvidenceRidge",
    "classifiers.gda": "GaussianDiscriminant",
    "classifiers.gda_text": "GaussianDiscriminantText",
    "classifiers.knn": "NearestNeighbors",
    "classifiers.linear_probe": "LinearProbe",
    "classifiers.lp_plus_plus": "LinearProbePlusPlus",
    "classifiers.matched_prototype": "MatchedPrototype",
    "classifiers.outline": "Outline",
    "classifiers.outlined_ridge": "OutlinedRidge",
    "classifiers.proker": "ProKer",
    "classifiers.proker_text": "ProKerText",
    "classifiers.prototype": "CosinePrototype",
    "classifiers.soft_kmeans": "SoftKMeans",
    "classifiers.timo": "Timo",
    "classifiers.tip_adapter": "TipAdapter",
    "classifiers.tip_adapter_f": "TipAdapterF",
    "classifiers.transclip": "TransClip",
    "classifiers.transclip_text": "TransClipText",
    "classifiers.transductive_ridge": "TransductiveRidge",
    "classifiers.whitened_ridge": "WhitenedRidge",
    "classifiers.zero_shot": "ZeroShot",
    "classifiers.zip_adapter": "ZipAdapter",
    "classifiers.zip_adapter_f": "ZipAdapterF",
    "encoders": "ENCODERS make_encoder",
    "encoders.alpha_clip": "AlphaClipEncoder",
    "encoders.base": "BaseEncoder Encoder TextEncoder",
    "encoders.flawshot_tiny": "TinyEncoder",
    "encoders.open_clip": "OpenClipEncoder",
    "episodes": (
        "Episode EpisodeSet find_episode_files groups_from_csv groups_from_regex read_episodes sample_episodes "
        "sample_tasks verify_episodes write_episodes"
    ),
    "evaluation": "ComparedResults Results compare_results evaluate evaluate_banks",
    "evaluation.language_questions": "read_answers read_instructions",
    "evaluation.language_results": "LanguageResults",
    "evaluation.language_scores": "evaluate_answers",
    "formats.box_table": "import_csv",
    "formats.catalog_labelme": "labelme_files",
    "formats.coco": "import_coco",
    "formats.coco_export": "export_coco",
    "formats.cvat": "import_cvat",
    "formats.deep_pcb": "import_deep_pcb",
    "formats.detailed": "write_detailed",
    "formats.folders": "import_folders",
    "formats.imagefolder_export": "export_imagefolder",
    "formats.instruct_export": "export_instruct",
    "formats.label_studio": "import_label_studio",
    "formats.mask_export": "export_masks",
    "formats.masks": "import_masks",
    "formats.mpdd": "import_mpdd",
    "formats.mvtec_fs": "import_mvtec_fs read_mvtec_fs",
    "formats.rle_table": "import_rle",
    "formats.via": "import_via",
    "formats.relabeling": "Relabeled new_labels relabel_document relabel_folder",
    "formats.voc": "import_voc",
    "formats.voc_export": "export_voc",
    "formats.yolo": "import_yolo",
    "formats.yolo_export": "export_yolo",
    "inspect.asking": "Question ask_catalog read_question",
    "inspect.checks": "check_data",
    "inspect.query": "query_catalog",
    "inspect.same_sample": "SameSamples SampleGroup find_same_samples",
    "inspect.stats": "count_instances measure_sizes",
    "labelme.images": "pixel_limit read_image",
    "labelme.labelme_file": "LabelmeFile read_labelme write_labelme",
    "labelme.shapes": "Region Shape rasterize",
    "locating.examples": "LabeledImage",
    "locating.fitting": "FittedLocator fit_locator",
    "locating.locator": "HeatMap Locator",
    "models.drift": "Drift measure_drift",
    "models.fiftyone_export": "export_fiftyone",
    "models.findings": "ImageFinding",
    "models.fitting": "fit_model",
    "models.learning": "LearnReport learn_corrections",
    "models.line_side.exporting": "LineSideReport export_onnx",
    "models.model": "Model load_model",
    "models.ordering": "ImageOrder image_order",
    "models.predict_report": "PredictReport",
    "models.predicting": "predict_catalog",
    "models.predicting_images": "predict_images",
    "models.predictions": "Prediction Predictions",
    "models.suggestion_folder": "SuggestReport suggest_catalog",
    "models.suggestions": "Suggested Suggestion suggest",
    "regions.crops": "Crops crop_views",
    "regions.found": "FoundOnImage FoundRegion",
    "regions.outlines": "standard_outlines",
    "regions.views": "Size View ViewScheme make_scheme",
    "report": "write_report",
    "synthetic.data_set": "DrawnProduct draw_data_set",
}
_RENAMED = {
    "NearestNeighbours": "NearestNeighbors",
    "Predicted": "Prediction",
    "count": "count_instances",
    "load": "load_model",
    "measure": "measure_sizes",
    "rasterise": "rasterize",
    "verify": "verify_episodes",
}
_HOMES = {name: module for module, names in _PUBLIC.items() for name in names.split()}

# What type checkers read; tests/test_public_interface.py compares it with the table.
if TYPE_CHECKING:
    from flawshot.bank.builder import EncodeReport as EncodeReport
    from flawshot.bank.builder import encode_catalog as encode_catalog
    from flawshot.bank.cluster import RayCluster as RayCluster
    from flawshot.bank.default_encoding import encode as encode
    from flawshot.bank.features import FeatureBank as FeatureBank
    from flawshot.bank.features import write_bank as write_bank
    from flawshot.bank.mvrec_bank import import_mvrec_features as import_mvrec_features
    from flawshot.bank.prompts import Prompts as Prompts
    from flawshot.bank.prompts import read_prompts as read_prompts
    from flawshot.bank.records import BankManifest as BankManifest
    from flawshot.bank.records import ViewRecord as ViewRecord
    from flawshot.base.errors import AnnotationError as AnnotationError
    from flawshot.base.errors import EpisodeError as EpisodeError
    from flawshot.base.errors import FeatureBankError as FeatureBankError
    from flawshot.base.errors import FlawshotError as FlawshotError
    from flawshot.base.errors import Problem as Problem
    from flawshot.base.ray_tasks import RayTasks as RayTasks
    from flawshot.base.records import EncoderRecord as EncoderRecord
    from flawshot.catalog import Catalog as Catalog
    from flawshot.catalog.instances import Instance as Instance
    from flawshot.classifiers import CLASSIFIERS as CLASSIFIERS
    from flawshot.classifiers import classifier_names as classifier_names
    from flawshot.classifiers import make_classifier as make_classifier
    from flawshot.classifiers.base import Evidence as Evidence
    from flawshot.classifiers.base import FewShotClassifier as FewShotClassifier
    from flawshot.classifiers.base import Support as Support
    from flawshot.classifiers.clap import Clap as Clap
    from flawshot.classifiers.clip_adapter import ClipAdapter as ClipAdapter
    from flawshot.classifiers.evidence_ridge import EvidenceRidge as EvidenceRidge
    from flawshot.classifiers.gda import GaussianDiscriminant as GaussianDiscriminant
    from flawshot.classifiers.gda_text import GaussianDiscriminantText as GaussianDiscriminantText
    from flawshot.classifiers.knn import NearestNeighbors as NearestNeighbors
    from flawshot.classifiers.linear_probe import LinearProbe as LinearProbe
    from flawshot.classifiers.lp_plus_plus import LinearProbePlusPlus as LinearProbePlusPlus
    from flawshot.classifiers.matched_prototype import MatchedPrototype as MatchedPrototype
    from flawshot.classifiers.outline import Outline as Outline
    from flawshot.classifiers.outlined_ridge import OutlinedRidge as OutlinedRidge
    from flawshot.classifiers.proker import ProKer as ProKer
    from flawshot.classifiers.proker_text import ProKerText as ProKerText
    from flawshot.classifiers.prototype import CosinePrototype as CosinePrototype
    from flawshot.classifiers.soft_kmeans import SoftKMeans as SoftKMeans
    from flawshot.classifiers.timo import Timo as Timo
    from flawshot.classifiers.tip_adapter import TipAdapter as TipAdapter
    from flawshot.classifiers.tip_adapter_f import TipAdapterF as TipAdapterF
    from flawshot.classifiers.transclip import TransClip as TransClip
    from flawshot.classifiers.transclip_text import TransClipText as TransClipText
    from flawshot.classifiers.transductive_ridge import TransductiveRidge as TransductiveRidge
    from flawshot.classifiers.whitened_ridge import WhitenedRidge as WhitenedRidge
    from flawshot.classifiers.zero_shot import ZeroShot as ZeroShot
    from flawshot.classifiers.zip_adapter import ZipAdapter as ZipAdapter
    from flawshot.classifiers.zip_adapter_f import ZipAdapterF as ZipAdapterF
    from flawshot.encoders import ENCODERS as ENCODERS
    from flawshot.encoders import make_encoder as make_encoder
    from flawshot.encoders.alpha_clip import AlphaClipEncoder as AlphaClipEncoder
    from flawshot.encoders.base import BaseEncoder as BaseEncoder
    from flawshot.encoders.base import Encoder as Encoder
    from flawshot.encoders.base import TextEncoder as TextEncoder
    from flawshot.encoders.flawshot_tiny import TinyEncoder as TinyEncoder
    from flawshot.encoders.open_clip import OpenClipEncoder as OpenClipEncoder
    from flawshot.episodes import Episode as Episode
    from flawshot.episodes import EpisodeSet as EpisodeSet
    from flawshot.episodes import find_episode_files as find_episode_files
    from flawshot.episodes import groups_from_csv as groups_from_csv
    from flawshot.episodes import groups_from_regex as groups_from_regex
    from flawshot.episodes import read_episodes as read_episodes
    from flawshot.episodes import sample_episodes as sample_episodes
    from flawshot.episodes import sample_tasks as sample_tasks
    from flawshot.episodes import verify_episodes as verify_episodes
    from flawshot.episodes import write_episodes as write_episodes
    from flawshot.evaluation import ComparedResults as ComparedResults
    from flawshot.evaluation import Results as Results
    from flawshot.evaluation import compare_results as compare_results
    from flawshot.evaluation import evaluate as evaluate
    from flawshot.evaluation import evaluate_banks as evaluate_banks
    from flawshot.evaluation.language_questions import read_answers as read_answers
    from flawshot.evaluation.language_questions import read_instructions as read_instructions
    from flawshot.evaluation.language_results import LanguageResults as LanguageResults
    from flawshot.evaluation.language_scores import evaluate_answers as evaluate_answers
    from flawshot.formats.box_table import import_csv as import_csv
    from flawshot.formats.catalog_labelme import labelme_files as labelme_files
    from flawshot.formats.coco import import_coco as import_coco
    from flawshot.formats.coco_export import export_coco as export_coco
    from flawshot.formats.cvat import import_cvat as import_cvat
    from flawshot.formats.deep_pcb import import_deep_pcb as import_deep_pcb
    from flawshot.formats.detailed import write_detailed as write_detailed
    from flawshot.formats.folders import import_folders as import_folders
    from flawshot.formats.imagefolder_export import export_imagefolder as export_imagefolder
    from flawshot.formats.instruct_export import export_instruct as export_instruct
    from flawshot.formats.label_studio import import_label_studio as import_label_studio
    from flawshot.formats.mask_export import export_masks as export_masks
    from flawshot.formats.masks import import_masks as import_masks
    from flawshot.formats.mpdd import import_mpdd as import_mpdd
    from flawshot.formats.mvtec_fs import import_mvtec_fs as import_mvtec_fs
    from flawshot.formats.mvtec_fs import read_mvtec_fs as read_mvtec_fs
    from flawshot.formats.relabeling import Relabeled as Relabeled
    from flawshot.formats.relabeling import new_labels as new_labels
    from flawshot.formats.relabeling import relabel_document as relabel_document
    from flawshot.formats.relabeling import relabel_folder as relabel_folder
    from flawshot.formats.rle_table import import_rle as import_rle
    from flawshot.formats.via import import_via as import_via
    from flawshot.formats.voc import import_voc as import_voc
    from flawshot.formats.voc_export import export_voc as export_voc
    from flawshot.formats.yolo import import_yolo as import_yolo
    from flawshot.formats.yolo_export import export_yolo as export_yolo
    from flawshot.inspect.asking import Question as Question
    from flawshot.inspect.asking import ask_catalog as ask_catalog
    from flawshot.inspect.asking import read_question as read_question
    from flawshot.inspect.checks import check_data as check_data
    from flawshot.inspect.query import query_catalog as query_catalog
    from flawshot.inspect.same_sample import SameSamples as SameSamples
    from flawshot.inspect.same_sample import SampleGroup as SampleGroup
    from flawshot.inspect.same_sample import find_same_samples as find_same_samples
    from flawshot.inspect.stats import count_instances as count_instances
    from flawshot.inspect.stats import measure_sizes as measure_sizes
    from flawshot.labelme.images import pixel_limit as pixel_limit
    from flawshot.labelme.images import read_image as read_image
    from flawshot.labelme.labelme_file import LabelmeFile as LabelmeFile
    from flawshot.labelme.labelme_file import read_labelme as read_labelme
    from flawshot.labelme.labelme_file import write_labelme as write_labelme
    from flawshot.labelme.shapes import Region as Region
    from flawshot.labelme.shapes import Shape as Shape
    from flawshot.labelme.shapes import rasterize as rasterize
    from flawshot.locating.examples import LabeledImage as LabeledImage
    from flawshot.locating.fitting import FittedLocator as FittedLocator
    from flawshot.locating.fitting import fit_locator as fit_locator
    from flawshot.locating.locator import HeatMap as HeatMap
    from flawshot.locating.locator import Locator as Locator
    from flawshot.models.drift import Drift as Drift
    from flawshot.models.drift import measure_drift as measure_drift
    from flawshot.models.fiftyone_export import export_fiftyone as export_fiftyone
    from flawshot.models.findings import ImageFinding as ImageFinding
    from flawshot.models.fitting import fit_model as fit_model
    from flawshot.models.learning import LearnReport as LearnReport
    from flawshot.models.learning import learn_corrections as learn_corrections
    from flawshot.models.line_side.exporting import LineSideReport as LineSideReport
    from flawshot.models.line_side.exporting import export_onnx as export_onnx
    from flawshot.models.model import Model as Model
    from flawshot.models.model import load_model as load_model
    from flawshot.models.ordering import ImageOrder as ImageOrder
    from flawshot.models.ordering import image_order as image_order
    from flawshot.models.predict_report import PredictReport as PredictReport
    from flawshot.models.predicting import predict_catalog as predict_catalog
    from flawshot.models.predicting_images import predict_images as predict_images
    from flawshot.models.predictions import Prediction as Prediction
    from flawshot.models.predictions import Predictions as Predictions
    from flawshot.models.suggestion_folder import SuggestReport as SuggestReport
    from flawshot.models.suggestion_folder import suggest_catalog as suggest_catalog
    from flawshot.models.suggestions import Suggested as Suggested
    from flawshot.models.suggestions import Suggestion as Suggestion
    from flawshot.models.suggestions import suggest as suggest
    from flawshot.regions.crops import Crops as Crops
    from flawshot.regions.crops import crop_views as crop_views
    from flawshot.regions.found import FoundOnImage as FoundOnImage
    from flawshot.regions.found import FoundRegion as FoundRegion
    from flawshot.regions.outlines import standard_outlines as standard_outlines
    from flawshot.regions.views import Size as Size
    from flawshot.regions.views import View as View
    from flawshot.regions.views import ViewScheme as ViewScheme
    from flawshot.regions.views import make_scheme as make_scheme
    from flawshot.report import write_report as write_report
    from flawshot.synthetic.data_set import DrawnProduct as DrawnProduct
    from flawshot.synthetic.data_set import draw_data_set as draw_data_set

    __version__: str

    NearestNeighbours = NearestNeighbors
    Predicted = Prediction
    count = count_instances
    load = load_model
    measure = measure_sizes
    rasterise = rasterize
    verify = verify_episodes


def __dir__() -> list[str]:
    """The public names, without the deprecated ones."""
    return sorted([*_HOMES, "__version__"])


if not TYPE_CHECKING:  # type checkers read the names above, and report any other

    def __getattr__(name: str) -> Any:
        """Load the module that has a public name."""
        if name == "__version__":
            return importlib.import_module("importlib.metadata").version("flawshot")
        if name in _RENAMED:
            new = _RENAMED[name]
            warnings.warn(f"flawshot.{name} is now called flawshot.{new}", DeprecationWarning, stacklevel=2)
            name = new
        if name not in _HOMES:
            raise AttributeError(f"module 'flawshot' has no attribute {name!r}")
        return getattr(importlib.import_module(f"flawshot.{_HOMES[name]}"), name)

    __all__ = __dir__()  # noqa: PLE0605
