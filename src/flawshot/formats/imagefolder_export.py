"""Export of a catalog's instances as crops, one folder per category, which common libraries load as they are."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem, printable
from flawshot.base.names import folder_name
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.export_images import export_images
from flawshot.formats.exporting import Exported, export_folder, json_lines
from flawshot.formats.flat_names import FlatNames
from flawshot.labelme.images import ImageError, cropped, read_image

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance

__all__ = ["export_imagefolder"]

OPTIONS = {
    "out": Option("A new folder.", "OUT"),
    "margin": Option("Add this share of the box's longer side around each box, inside the image.", "SHARE", 0),
}
# datasets reads validation, and torchvision any name.
SPLITS = {"train": "train", "val": "validation", "test": "test"}
# Words in names of folders and files, here escaped like characters that a file system lacks, by which datasets
# recognizes splits.
SPLIT_WORD = re.compile(
    r"(?<![a-z])(?:train|training|validation|valid|dev|val|test|testing|eval|evaluation)(?![a-z])", re.IGNORECASE
)


def export_imagefolder(catalog: Catalog, out: Path, *, margin: float = 0.0, overwrite: bool = False) -> Exported:
    """Write ``[<split>/]<category>/<id>.png``, the box of each instance, and ``[<split>/]metadata.jsonl``.

    ``datasets.load_dataset("imagefolder", data_dir=OUT)`` has the columns ``image`` and those of ``metadata.jsonl``:
    ``label``, ``product``, ``source`` (the image's path), ``instance`` (its id), ``box`` (x0, y0, x1, y1 of the
    instance, half-open, px of that image), ``crop`` (the same of the crop) and ``area`` (px of its mask).
    ``torchvision.datasets.ImageFolder`` reads each split's folder, or OUT if there is none; its classes are the
    folders' names. In the names, words such as ``test`` are escaped (``%74est``), because datasets would take
    them for splits; ``label`` is as it was. If some instances are in a split, those in none are in ``train``.

    Args:
        catalog: The instances; its data folder must be available.
        out: The output folder.
        margin: Added around each box, as a share of its longer side.
        overwrite: Whether an earlier export at ``out`` may be replaced.

    Returns:
        The number of crops.

    Raises:
        FlawshotError: If ``out`` exists or cannot be written, or ``margin`` is out of range.
    """
    if not 0 <= margin <= 100:  # also not a number
        raise FlawshotError(f"{argument('margin', margin)}: must be 0 to 100")
    problems: list[Problem] = []
    splits = any(catalog.column("split"))
    rows: dict[str, list[dict[str, Any]]] = {}
    names = FlatNames()
    with export_folder(out, "imagefolder", data=catalog.root, overwrite=overwrite) as folder:
        for image in export_images(catalog, problems, beyond=out):
            if not image.regions:
                continue
            try:
                pixels = read_image(image.source, image.path)
            except ImageError as error:
                message = error.marked.removeprefix(f"{image.path}: ")
                problems.append(Problem(image.path, "image", f"{message}; it is left out"))
                continue
            for region in image.regions:
                instance = region.instance
                home = SPLITS[instance.split or "train"] if splits else ""
                name = _no_split(f"{folder_name(instance.category)}/{names.name(_own_path(instance))}")
                place = folder / home / name
                place.parent.mkdir(parents=True, exist_ok=True)
                box = _with_margin(instance, margin)
                cropped(pixels, box).save(place)
                rows.setdefault(home, []).append(
                    {
                        "file_name": name,
                        "label": instance.category,
                        "product": instance.product,
                        "source": image.path,
                        "instance": instance.id,
                        "box": list(instance.box),
                        "crop": list(box),
                        "area": instance.area,
                    }
                )
        for home, own in rows.items():
            (folder / home / "metadata.jsonl").write_bytes(json_lines(own))
    labels = {home: {row["label"] for row in own} for home, own in rows.items()}
    every = set().union(*labels.values())
    for home, own_labels in labels.items():
        if lacking := sorted(every - own_labels):
            message = (
                f"has no {printable(lacking[0], 80)}, so ImageFolder numbers its classes differently than those of "
                "other splits; compare names"
            )
            problems.append(Problem(home, "classes", message, "warning"))
    return Exported(sum(map(len, rows.values())), tuple(problems), counted(len(every), "category", "categories"))


def _no_split(name: str) -> str:
    """A path in which no name is taken for a split's.

    >>> _no_split("test mark/latest_train-3.png"), _no_split("eval.png")
    ('%74est mark/latest_%74rain-3.png', '%65%76al.png')
    """
    while SPLIT_WORD.search(name):  # again, for digits end a word, too
        name = SPLIT_WORD.sub(lambda match: f"%{ord(match[0][0]):02X}{match[0][1:]}", name)
    return name


def _own_path(instance: Instance) -> str:
    """A path for a crop: that of the annotation with the index of the instance's first shape."""
    place = PurePosixPath(instance.annotation)
    return str(place.with_name(f"{place.stem}-{instance.shapes[0].index}.png"))


def _with_margin(instance: Instance, margin: float) -> tuple[int, int, int, int]:
    """The instance's box with a margin, inside the image."""
    x0, y0, x1, y1 = instance.box
    more = round(margin * max(x1 - x0, y1 - y0))
    return (
        max(0, x0 - more),
        max(0, y0 - more),
        min(instance.image_width, x1 + more),
        min(instance.image_height, y1 + more),
    )
