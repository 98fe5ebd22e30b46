"""Import of CVAT's XML for images, version 1.1."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import file_bytes
from flawshot.formats import Option
from flawshot.formats.image_finder import ImageFinder, inside_paths
from flawshot.formats.image_records import (
    FilePlace,
    ImageRecord,
    Part,
    add_files,
    file_place,
    known_split,
    side_px,
)
from flawshot.formats.importing import Imported, begin_import
from flawshot.formats.plain_shapes import ellipse, mask, number, points_shape, rotated_box
from flawshot.formats.run_lengths import decode_region
from flawshot.formats.texts import plain_text
from flawshot.labelme.shapes import Region, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from xml.etree.ElementTree import Element

    from flawshot.formats.plain_shapes import Size

__all__ = ["import_cvat"]

OPTIONS = {
    "source": Option("A CVAT .xml file, or a folder of them."),
    "product": Option("The product's name; by default the first folder's, or else the source's.", "NAME"),
}
# Labelme's types and the least number of points of shapes with a list of points.
POINTS = {"polygon": ("polygon", 3), "polyline": ("linestrip", 2), "points": ("points", 1)}
SHAPES = frozenset({"box", "ellipse", "mask", *POINTS})
# Elements of an image that are no shapes.
TAG = "tag"
BITS = {"true": True, "false": False}
LARGEST_GROUP = 10**12


def import_cvat(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    product: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write CVAT's annotations of images as Labelme files: ``<product>/[<split>/]<the image's path>.json``.

    Boxes that are turned, and ellipses, become polygons; masks keep exactly their pixels. ``occluded`` and attributes
    that are true or false become flags, other attributes the description, tags flags of the image. Shapes of one
    group and label form one instance. Skeletons and cuboids are left out. Images without a shape show no flaw.

    Args:
        source: An .xml file of "CVAT for images 1.1", or a folder of them.
        out: The output folder.
        images: The folder to search for images first.
        product: The product's name; by default that of the file's first folder which is no split, or of the source.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done, and the total in the files read so far.

    Raises:
        FlawshotError: If there is no usable file, or a file at ``out`` exists with different content.
    """
    root, names, folder = begin_import(source, ".xml", out, images=images, overwrite=overwrite)
    roots = ([] if images is None else [images]) + ([root] if source.is_dir() else [])
    finder = ImageFinder(roots, folder.problems, beyond=out)

    def read(path: Path, name: str) -> tuple[int, Iterator[ImageRecord]]:
        place = file_place(PurePosixPath(name), root, images, product)
        elements = _images(path)
        return len(elements), _records(elements, place, name, folder.problems)

    add_files(folder, finder, source, names, kind="not-cvat", read=read, progress=progress)
    return folder.done(source)


def _images(path: Path) -> list[Element]:
    data = file_bytes(path)
    try:
        tree: Element = ElementTree.fromstring(data, forbid_dtd=True)
    except (DefusedXmlException, SyntaxError, ValueError, LookupError) as error:
        raise FlawshotError(f"is not plain XML ({one_line(error)})") from error
    if tree.tag != "annotations":
        raise FlawshotError(f"is not CVAT's XML: its root element is {tree.tag[:60]!r}, not annotations")
    found = tree.findall("image")
    if tree.find("track") is not None:
        if not found:
            raise FlawshotError('is CVAT\'s XML for video; export the task as "CVAT for images 1.1"')
        raise FlawshotError('contains tracks of a video; export the task as "CVAT for images 1.1"')
    if not found:
        raise FlawshotError("is not CVAT's XML for images: it has no image")
    return found


def _records(
    elements: Sequence[Element], place: FilePlace, name: str, problems: list[Problem]
) -> Iterator[ImageRecord]:
    paths = inside_paths((element.get("name", "") for element in elements), "name")
    for element in elements:
        named = element.get("name", "")
        where, path = f"{name}: image {named[:200]}", paths[named]
        if isinstance(path, FlawshotError):
            problems.append(Problem(where, "image", f"{path.marked}; it is left out"))
            continue
        size = element.get("height"), element.get("width")
        split = known_split(element.get("subset", ""), where, problems)
        yield ImageRecord(
            where=where,
            named=named,
            place=path,
            product=place.product,
            split=split or place.split,
            parts=list(_parts(element, where, problems)),
            homes=place.homes,
            size=size,
            flags={tag.get("label", ""): True for tag in element.findall(TAG) if tag.get("label")},
        )


def _parts(image: Element, where: str, problems: list[Problem]) -> Iterator[Part]:
    numbers: Counter[str] = Counter()
    for element in image:
        kind = str(element.tag)
        if kind == TAG:
            continue
        numbers[kind] += 1
        owner = f"{where}: {kind[:60]} {numbers[kind]}"
        label = plain_text(element.get("label", ""))
        if not label:
            problems.append(Problem(owner, "label", "has no label", "warning"))
        flags, notes = _attributes(element)
        if element.get("occluded") in {"0", "1"}:
            flags = {"occluded": element.get("occluded") == "1"} | flags
        more: dict[str, Any] = {"description": notes} if notes else {}
        if (group := element.get("group_id", "0")) != "0":
            if group.isascii() and group.isdigit() and int(group[:20]) < LARGEST_GROUP:
                more["group_id"] = int(group)
            else:
                message = f"group_id must be a whole number, not {group[:60]!r}; it gets none"
                problems.append(Problem(owner, "group-id", message, "warning"))
        yield Part(owner, label, partial(_shapes, element, kind), flags, more)


def _attributes(element: Element) -> tuple[dict[str, bool], str]:
    """A shape's attributes: those that are true or false, and a text with the others."""
    flags: dict[str, bool] = {}
    notes: list[str] = []
    for attribute in element.findall("attribute"):
        name, text = attribute.get("name", ""), (attribute.text or "").strip()
        if text.lower() in BITS:
            flags[name] = BITS[text.lower()]
        elif text:
            notes.append(f"{name}: {text}")
    return flags, "; ".join(notes)


def _shapes(element: Element, kind: str, _: Size) -> list[dict[str, Any]]:
    if kind not in SHAPES:
        raise FlawshotError(f"a {kind[:60]} is not a region of pixels")
    if kind in POINTS:
        shape_type, least = POINTS[kind]
        return [points_shape(shape_type, _points(element.get("points", "")), least)]
    if kind == "mask":
        return [mask(_mask(element))]
    degrees = number(element.get("rotation", "0"), "rotation")
    if kind == "ellipse":
        x, y, rx, ry = (number(element.get(name), name) for name in ("cx", "cy", "rx", "ry"))
        return [ellipse((x, y), (rx, ry), degrees)]
    x0, y0, x1, y1 = (number(element.get(name), name) for name in ("xtl", "ytl", "xbr", "ybr"))
    center = ((x0 + x1) / 2, (y0 + y1) / 2)
    return [rotated_box((x0, y0), (x1 - x0, y1 - y0), degrees, center)]


def _points(text: str) -> list[tuple[float, float]]:
    pairs = [pair.split(",") for pair in text.split(";") if pair.strip()]
    if not all(len(pair) == 2 for pair in pairs):
        raise FlawshotError("points must be x,y;x,y;…")
    return [(number(x, "points"), number(y, "points")) for x, y in pairs]


def _mask(element: Element) -> Region:
    """A mask: runs of pixels outside and inside it, in turn, along the rows of its box."""
    left, top = (number(element.get(name), name) for name in ("left", "top"))
    width, height = (side_px(element.get(name)) for name in ("width", "height"))
    if not width or not height or left % 1 or top % 1:
        raise FlawshotError("left, top, width and height of a mask must be whole numbers of px")
    texts = element.get("rle", "").replace(",", " ").split()
    # Numbers beyond any image are not even converted.
    if not all(text.isascii() and text.isdigit() and len(text) < 13 for text in texts):
        raise FlawshotError("rle must be run lengths of at least 0")
    # Along rows is down the columns of the turned mask.
    region, _, _ = decode_region({"size": [width, height], "counts": list(map(int, texts))})
    return trim(region.pixels.T, region.y0 + int(left), region.x0 + int(top))
