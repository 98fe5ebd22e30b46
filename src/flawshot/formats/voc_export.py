"""Export of a catalog as Pascal VOC's XML: one data set per product."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from flawshot.base.errors import FlawshotError, printable
from flawshot.base.names import folder_name
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.export_images import export_images, save_image
from flawshot.formats.exporting import IMAGE_OPTIONS, Exported, export_folder
from flawshot.formats.flat_names import FlatNames
from flawshot.labelme.images import open_image

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.formats.export_images import ExportImage

__all__ = ["export_voc"]

OPTIONS = {"out": Option("A new folder.", "OUT"), **IMAGE_OPTIONS}
FLAGS = ("truncated", "difficult", "occluded")
# The split of images that are in none; VOC's own name for all that may be trained on.
UNSPLIT = "trainval"
# Characters that XML 1.0 does not have, even escaped.
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def export_voc(
    catalog: Catalog, out: Path, *, good: Path | None = None, link: bool = False, overwrite: bool = False
) -> Exported:
    """Write ``<product>/Annotations/``, ``<product>/JPEGImages/`` and ``<product>/ImageSets/Main/<split>.txt``.

    Each product is a data set of its own, as VOC2007 is one in a VOCdevkit. Boxes are those of the masks: they count
    pixels from 1 and include their last one. The flags ``truncated``, ``difficult`` and ``occluded`` are kept. Images
    have the names of their folders before their own, and keep their format. ``trainval.txt`` lists the images of train
    and val, and those in no split. Good images have an XML file without an object.

    Args:
        catalog: The instances; its data folder must be available.
        out: The output folder.
        good: A further folder of images without flaws.
        link: Whether to hard-link images instead of copying them.
        overwrite: Whether an earlier export at ``out`` may be replaced.

    Returns:
        The number of objects.

    Raises:
        FlawshotError: If ``out`` exists or cannot be written, or a label contains a character that XML does not have.
    """
    problems: list[Problem] = []
    names: dict[str, FlatNames] = {}
    lists: dict[tuple[str, str], list[str]] = {}
    written = count = 0
    with export_folder(out, "voc", data=catalog.root, overwrite=overwrite) as folder:
        for image in export_images(catalog, problems, good=good, beyond=out):
            product = folder_name(image.product)
            name = names.setdefault(product.casefold(), FlatNames()).name(image.path, below=image.product)
            if not save_image(image, folder / product / "JPEGImages" / name, problems, link=link):
                continue
            stem = PurePosixPath(name).stem
            place = folder / product / "Annotations" / f"{stem}.xml"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(_document(image, product, name))
            split = image.split or UNSPLIT
            for own in dict.fromkeys((split, UNSPLIT if split != "test" else "test")):
                lists.setdefault((product, own), []).append(stem)
            written, count = written + len(image.regions), count + 1
        for (product, split), stems in lists.items():
            place = folder / product / "ImageSets" / "Main" / f"{split}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes("".join(f"{stem}\n" for stem in stems).encode())
    return Exported(written, tuple(problems), f"{counted(count, 'image')}, {counted(len(names), 'product')}")


def _document(image: ExportImage, product: str, name: str) -> bytes:
    root = ET.Element("annotation")
    for tag, text in (("folder", product), ("filename", name)):
        ET.SubElement(root, tag).text = text
    source = ET.SubElement(root, "source")
    ET.SubElement(source, "database").text = "flawshot"
    size = ET.SubElement(root, "size")
    with open_image(image.source, image.path) as opened:
        depth = len(opened.getbands())
    for tag, number in (("width", image.width), ("height", image.height), ("depth", depth)):
        ET.SubElement(size, tag).text = str(number)
    ET.SubElement(root, "segmented").text = "0"
    for region in image.regions:
        root.append(_object(region.instance))
    ET.indent(root, "\t")
    return ET.tostring(root, encoding="unicode").encode() + b"\n"


def _object(instance: Instance) -> ET.Element:
    if NOT_XML.search(instance.category):
        raise FlawshotError(
            f"{instance.id}: the label {printable(instance.category, 80)!r} has a character that XML does not have; "
            "rename it"
        )
    element = ET.Element("object")
    ET.SubElement(element, "name").text = instance.category
    ET.SubElement(element, "pose").text = "Unspecified"
    for flag in FLAGS:
        ET.SubElement(element, flag).text = str(int(instance.flags.get(flag, False)))
    box = ET.SubElement(element, "bndbox")
    x0, y0, x1, y1 = instance.box
    for tag, number in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
        ET.SubElement(box, tag).text = str(number)
    return element
