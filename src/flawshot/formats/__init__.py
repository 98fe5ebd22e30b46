"""Other people's annotation formats, one file each: what becomes Labelme files, and what a catalog becomes.

A format is one module with a function, and one line in :data:`IMPORTERS` or :data:`EXPORTERS`; the commands
``flawshot import NAME`` and ``flawshot export NAME`` are made of the function's own signature. Modules are loaded when
they are used.
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
    """How the command line shows a parameter; a format's module has a dict ``OPTIONS`` of them, by parameter.

    A parameter without one is an option of its own name without help. One that may be given by several options has
    a tuple of them; the last takes any value.

    Attributes:
        help: What it is, in a sentence.
        metavar: What stands for its value; its type where None.
        least: The least value of a number.
        name: The option's name, where it is not the parameter's.
    """

    help: str
    metavar: str | None = None
    least: float | None = None
    name: str | None = None


class Importer(NamedTuple):
    """Where a format's importer is.

    It is a function ``(source, out, *, …, overwrite=False, progress=None)`` that returns an
    :class:`~flawshot.formats.importing.Imported`. Its keyword parameters of the types ``str``, ``int``, ``float``,
    ``bool`` and ``Path``, or None, become options, shown as the module's ``OPTIONS`` say.

    Attributes:
        place: Its module and name, ``module:function``.
        help: What it does, in a line; the first line of its docstring where empty.
        counted: What ``progress`` counts.
    """

    place: str
    help: str = ""
    counted: str = "files"


class Exporter(NamedTuple):
    """Where a format's exporter is.

    It is a function ``(catalog, out, *, …, overwrite=False)`` that returns how many things it wrote.

    Attributes:
        place: Its module and name, ``module:function``.
        help: What it does, in a line; the first line of its docstring where empty.
        counted: What it returns the number of.
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
}
# What importers have in common; a module's own OPTIONS come first.
SHARED_OPTIONS = {
    "out": Option("Folder for the Labelme files.", "OUT"),
    "images": Option("Folder to look for the images in; by default beside the annotations.", "DIR"),
    "workers": Option("Number of processes; one per core by default.", "N", 1),
}
# Installed packages name importers and exporters of their own in these groups of entry points.
IMPORTER_POINTS = "flawshot.importers"
EXPORTER_POINTS = "flawshot.exporters"


def importers() -> dict[str, Importer]:
    """Every importer by its name: flawshot's own, then those of installed packages, sorted."""
    return IMPORTERS | {name: Importer(place) for name, place in _installed(IMPORTER_POINTS, IMPORTERS)}


def exporters() -> dict[str, Exporter]:
    """Every exporter by its name: flawshot's own, then those of installed packages, sorted."""
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
    """How the command line shows a function's parameters, by their names: as its module says."""
    return {**SHARED_OPTIONS, **getattr(inspect.getmodule(function), "OPTIONS", {})}


def _installed(group: str, own: Collection[str]) -> list[tuple[str, str]]:
    return [(name, ":".join(plugin_address(group, name))) for name in plugin_names(group, own)]
