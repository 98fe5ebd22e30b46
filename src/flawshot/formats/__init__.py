"""Third-party annotation formats, one file each: importers to Labelme files, and exporters of catalogs.

A format is one module with a function, and one line in :data:`IMPORTERS` or :data:`EXPORTERS`; the commands
``flawshot import NAME`` and ``flawshot export NAME`` are generated from the function's signature. Modules are loaded
on demand.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.errors import FlawshotError
from flawshot.base.plugins import load_object, plugin_address, plugin_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = [
    "EXPORTERS",
    "IMPORTERS",
    "Exporter",
    "Importer",
    "Option",
    "exporters",
    "importers",
    "load_function",
    "options_of",
]


class Option(NamedTuple):
    """How the command line presents a parameter; a format's module has a dict ``OPTIONS`` of these, by parameter.

    A parameter without an entry becomes an option of the same name without help. A parameter that can be set by several
    options has a tuple of them; the last accepts any value.

    Attributes:
        help: The help text, one sentence.
        metavar: The placeholder for its value; its type if None.
        least: The minimum of a number.
        name: The option's name, if it differs from the parameter's.
    """

    help: str
    metavar: str | None = None
    least: float | None = None
    name: str | None = None


class Importer(NamedTuple):
    """A format's importer.

    It is a function ``(source, out, *, …, overwrite=False, progress=None)`` that returns an
    :class:`~flawshot.formats.importing.Imported`. Its keyword parameters of the types ``str``, ``int``, ``float``,
    ``bool`` and ``Path``, or None, become options, presented as defined by the module's ``OPTIONS``.

    Attributes:
        place: Its module and name, ``module:function``.
        help: What it does, in one line; the first line of its docstring if empty.
        counted: What ``progress`` counts.
    """

    place: str
    help: str = ""
    counted: str = "files"


class Exporter(NamedTuple):
    """A format's exporter.

    It is a function ``(catalog, out, *, …, overwrite=False)`` that returns the number of items written, or an
    :class:`~flawshot.formats.exporting.Exported`.

    Attributes:
        place: Its module and name, ``module:function``.
        help: What it does, in one line; the first line of its docstring if empty.
        counted: The items whose number it returns.
    """

    place: str
    help: str = ""
    counted: str = "files"


IMPORTERS = {
    "mvtec-fs": Importer(
        "flawshot.formats.mvtec_fs:import_mvtec_fs",
        "Convert MVTec-FS's tables to Labelme files, and copy its images beside them.",
        "images",
    ),
    "masks": Importer(
        "flawshot.formats.masks:import_masks",
        "Convert pixel masks to Labelme files, one instance per connected component, and copy the images beside them.",
        "images",
    ),
    "mpdd": Importer(
        "flawshot.formats.mpdd:import_mpdd",
        "Convert MPDD's detailed annotations to Labelme files, one rectangle per box, with the images if found.",
        "records",
    ),
    "coco": Importer(
        "flawshot.formats.coco:import_coco",
        "Convert COCO's polygons, run lengths and boxes to Labelme files, with the images if found.",
        "images",
    ),
    "voc": Importer(
        "flawshot.formats.voc:import_voc",
        "Convert Pascal VOC's boxes to Labelme files, with the images if found.",
    ),
    "yolo": Importer(
        "flawshot.formats.yolo:import_yolo",
        "Convert YOLO's boxes, polygons and oriented boxes to Labelme files, with their images.",
        "images",
    ),
    "csv": Importer(
        "flawshot.formats.box_table:import_csv",
        "Convert a table with one row per box to Labelme files, with the images if found.",
        "images",
    ),
    "rle": Importer(
        "flawshot.formats.rle_table:import_rle",
        "Convert a table of run lengths, such as Severstal's train.csv, to Labelme files, with their images.",
        "images",
    ),
    "via": Importer(
        "flawshot.formats.via:import_via",
        "Convert the VGG Image Annotator's projects and exports to Labelme files, with the images if found.",
        "images",
    ),
    "cvat": Importer(
        "flawshot.formats.cvat:import_cvat",
        "Convert CVAT's XML for images to Labelme files, with the images if found.",
        "images",
    ),
    "label-studio": Importer(
        "flawshot.formats.label_studio:import_label_studio",
        "Convert Label Studio's JSON to Labelme files, with the images if found.",
        "images",
    ),
    "deep-pcb": Importer(
        "flawshot.formats.deep_pcb:import_deep_pcb",
        "Convert DeepPCB's boxes to Labelme files, and copy its images.",
        "images",
    ),
    "folders": Importer(
        "flawshot.formats.folders:import_folders",
        "Turn images in one folder per category into Labelme files, the whole image one region, and copy the images.",
        "images",
    ),
}
EXPORTERS = {
    "masks": Exporter(
        "flawshot.formats.mask_export:export_masks",
        "Write OUT/<product>/ground_truth/<category>/<name>_mask.png, 255 inside defects and 0 elsewhere.",
        "masks",
    ),
    "detailed": Exporter(
        "flawshot.formats.detailed:write_detailed",
        "Write detailed annotations like MPDD's: boxes, count, size and a description, one record per image.",
        "records",
    ),
    "coco": Exporter(
        "flawshot.formats.coco_export:export_coco",
        "Write COCO: images, exact polygons or run lengths, boxes; of predictions, results with scores, too.",
        "annotations",
    ),
    "yolo": Exporter(
        "flawshot.formats.yolo_export:export_yolo",
        "Write YOLO's text files as Ultralytics reads them, boxes or segments, with images and data.yaml.",
        "lines",
    ),
    "voc": Exporter(
        "flawshot.formats.voc_export:export_voc",
        "Write Pascal VOC's XML with images, one data set per product.",
        "objects",
    ),
    "imagefolder": Exporter(
        "flawshot.formats.imagefolder_export:export_imagefolder",
        "Write crops, one folder per category, and metadata.jsonl, for Hugging Face datasets and torchvision.",
        "crops",
    ),
    "instruct": Exporter(
        "flawshot.formats.instruct_export:export_instruct",
        "Write questions about images with their answers, as LLaVA's conversations, for vision-language models.",
        "questions",
    ),
    "fiftyone": Exporter(
        "flawshot.models.fiftyone_export:export_fiftyone",
        "Write a data set that FiftyOne imports, with masks; if given, predictions and embeddings.",
        "detections",
    ),
}
# Options that importers share; a module's own OPTIONS take precedence.
SHARED_OPTIONS = {
    "out": Option("Folder for the Labelme files.", "OUT"),
    "images": Option("Folder to look for the images in; by default beside the annotations.", "DIR"),
    "workers": Option("Number of processes; one per core by default.", "N", 1),
}
# Installed packages register their own importers and exporters in these groups of entry points.
IMPORTER_POINTS = "flawshot.importers"
EXPORTER_POINTS = "flawshot.exporters"


def importers() -> dict[str, Importer]:
    """All importers by name: flawshot's own, then those of installed packages, sorted."""
    return IMPORTERS | {name: Importer(place) for name, place in _installed(IMPORTER_POINTS, IMPORTERS)}


def exporters() -> dict[str, Exporter]:
    """All exporters by name: flawshot's own, then those of installed packages, sorted."""
    return EXPORTERS | {name: Exporter(place) for name, place in _installed(EXPORTER_POINTS, EXPORTERS)}


def load_function(name: str, entry: Importer | Exporter) -> Callable[..., Any]:
    """The function of a format.

    Raises:
        FlawshotError: If it cannot be loaded.
    """
    module, _, attribute = entry.place.partition(":")
    function: Callable[..., Any] = load_object(module, attribute, f"format {name!r}")
    if not inspect.isfunction(function):
        raise FlawshotError(f"format {name!r}: {entry.place} is not a function")
    parameters = inspect.signature(function).parameters
    needed = {"overwrite", "progress"} if isinstance(entry, Importer) else {"overwrite"}
    if missing := sorted(needed.difference(parameters)):
        raise FlawshotError(f"format {name!r}: {entry.place} must have the parameter {missing[0]}")
    return function


def options_of(function: Callable[..., Any]) -> dict[str, Option | tuple[Option, ...]]:
    """How the command line presents a function's parameters, by name, as defined by its module."""
    return {**SHARED_OPTIONS, **getattr(inspect.getmodule(function), "OPTIONS", {})}


def _installed(group: str, own: Collection[str]) -> list[tuple[str, str]]:
    return [(name, ":".join(plugin_address(group, name))) for name in plugin_names(group, own)]
