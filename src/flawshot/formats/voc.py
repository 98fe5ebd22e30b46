"""Pascal VOC's XML becomes Labelme files, a rectangle a box."""

from __future__ import annotations

import codecs
import json
import math
import re
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from defusedxml import ElementTree

from flawshot.delimited import decodings
from flawshot.errors import FlawshotError, Problem
from flawshot.files import one_line
from flawshot.formats.embedded import image_size
from flawshot.formats.image_finder import ImageFinder, inside_paths
from flawshot.formats.importing import Imported, begin_import, box_corners, file_path, product_folder, split_and_rest
from flawshot.formats.labelme import LabelmeFile, parse_labelme
from flawshot.formats.tree_files import LINK_OUT, lies_within
from flawshot.json_documents import file_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from xml.etree.ElementTree import Element

__all__ = ["import_voc"]

PLAIN_FOLDERS = frozenset({"annotations", "labels", "jpegimages", "images"})
FLAGS = ("truncated", "difficult", "occluded")
STATED = re.compile(rb"""^\s*<\?xml[^>]*encoding=["']([\w.-]+)""")
DECLARATION = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")
LIST_SPLITS = ("train", "val", "test")


def import_voc(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write Pascal VOC annotations as Labelme files: ``<product>/[<split>/]…/<name>.json``.

    Split and product are the folders that a file lies in (``Annotations`` aside); where no folder is a split's,
    ``ImageSets/Main/{train,val,test}.txt`` say it, and where no folder is left, the product is called as the source.
    VOC counts pixels from 1, and its boxes include their last pixel: 1 to 3 are the pixels 0, 1 and 2. ``truncated``,
    ``difficult`` and ``occluded`` become flags. An image is looked for beside its file, in ``JPEGImages`` and
    ``images`` beside ``Annotations``, and below the folders that the user named: called as the annotation file, else as
    that says, else the same with another suffix. It is copied beside the Labelme file.

    Args:
        source: A folder with .xml files, or one .xml file.
        out: Where the files go.
        images: Where the images are looked for first.
        overwrite: Whether files there with other content may be replaced.
        progress: Called with the .xml files looked at and their number.

    Raises:
        FlawshotError: If there is no usable VOC file, or a file at ``out`` has other content already.
    """
    root, names, folder = begin_import(source, ".xml", out, images=images, overwrite=overwrite)
    roots = ([] if images is None else [images]) + ([root] if source.is_dir() else [])
    finder = ImageFinder(roots, folder.problems, beyond=out)
    objects = 0
    lists: dict[Path, dict[str, str]] = {}
    for number, place in enumerate(names, start=1):
        if progress is not None:
            progress(number, len(names))
        path, name = root / place, PurePosixPath(place)
        try:
            tree = _tree(path, name.as_posix(), folder.problems)
            objects += len(tree.findall("object"))
            named = _text(tree, "filename") or _text(tree, "path")
            original = finder.find(named, _homes(path, images), name.as_posix(), own=path.stem)
            image = _image_name(named, path.stem) if original is None else original.name
            file = _annotation(tree, image, original, name.as_posix(), folder.problems)
            split, inner = split_and_rest(name.parts[:-1])
            inner = [part for part in inner if part.lower() not in PLAIN_FOLDERS]
            product = product_folder(inner[0] if inner else root.resolve().name)
            stem = file_path(path.stem, "file name").name
        except FlawshotError as error:
            folder.problems.append(Problem(name.as_posix(), "not-voc", str(error).removeprefix(f"{name}: ")))
            continue
        if split is None:
            home = path.parent.parent / "ImageSets" / "Main"
            if home not in lists:
                lists[home] = _listed(home, root, folder.problems)
            split = lists[home].get(stem)
        folder.add([product, split, *inner[1:]], stem, file, original, name.as_posix())
    if objects and not folder.instances:
        folder.useless.append(str(source))
    return folder.done(source)


def _homes(path: Path, images: Path | None) -> list[Path]:
    """Where the image of an annotation file is expected."""
    homes = [path.parent] if images is None else [images, path.parent]
    if path.parent.name.lower() in PLAIN_FOLDERS:
        homes += [path.parent.parent / name for name in ("JPEGImages", "images", "")]
    return homes


def _image_name(named: str, stem: str) -> str:
    """What an image that is not at hand is called."""
    path = inside_paths([named or f"{stem}.jpg"], "filename").popitem()[1]
    if isinstance(path, FlawshotError):
        raise path
    return path.name


def _listed(folder: Path, root: Path, problems: list[Problem]) -> dict[str, str]:
    """The split of each name in VOC's lists."""
    splits: dict[str, str] = {}
    for split in LIST_SPLITS:
        path = folder / f"{split}.txt"
        # A user may have named VOC's Annotations alone.
        if not any(lies_within(path, place) for place in (root, folder.parent.parent)):
            problems.append(Problem(str(path), *LINK_OUT))
            continue
        try:
            names = next(decodings(file_bytes(path)), ("", ""))[0].split()
        except FlawshotError:
            continue
        splits |= dict.fromkeys(names, split)
    return splits


def _tree(path: Path, name: str, problems: list[Problem]) -> Element:
    try:
        data = file_bytes(path)
    except FlawshotError as error:
        raise FlawshotError(str(error).removeprefix(f"{path}: ")) from error
    try:
        tree: Element = ElementTree.fromstring(data, forbid_dtd=True)
    except (SyntaxError, ValueError, LookupError) as error:  # damaged, with entities, of an unknown encoding
        other = _in_another_encoding(data)
        if other is None:
            raise FlawshotError(f"is not plain XML ({one_line(error)})") from error
        tree, encoding = other
        message = f"is not in the encoding that it states, or UTF-8, and was read as {encoding}; save it again as UTF-8"
        problems.append(Problem(name, "encoding", message, "warning"))
    if tree.tag != "annotation":
        raise FlawshotError(f"is not Pascal VOC: its root is {tree.tag!r}, not annotation")
    return tree


def _in_another_encoding(data: bytes) -> tuple[Element, str] | None:
    """XML in an encoding that the parser does not know, or that it does not state; and the encoding."""
    stated = STATED.search(data[:200])
    readings = decodings(data)
    if stated:
        try:
            encoding = codecs.lookup(stated[1].decode()).name
            readings = chain([(data.decode(encoding), encoding)], readings)
        except (LookupError, ValueError):
            pass
    for text, encoding in readings:
        try:
            tree: Element = ElementTree.fromstring(DECLARATION.sub("", text, count=1), forbid_dtd=True)
        except (SyntaxError, ValueError, LookupError):
            continue
        return tree, encoding
    return None


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _annotation(tree: Element, image: str, original: Path | None, name: str, problems: list[Problem]) -> LabelmeFile:
    height, width = (_whole(_text(tree, f"size/{side}")) for side in ("height", "width"))
    if not height or not width:
        height, width = image_size(LabelmeFile(image, ()), original) or (None, None)
    shapes = [
        _shape(element, f"{name}: object {index}", problems) for index, element in enumerate(tree.findall("object"))
    ]
    document = {
        "imagePath": image,
        "imageHeight": height,
        "imageWidth": width,
        "shapes": [shape for shape in shapes if shape is not None],
    }
    # Labelme's own reader is the one place that says what a usable shape is.
    file, found = parse_labelme(json.dumps(document).encode(), name)
    problems += found
    return file


def _shape(element: Element, where: str, problems: list[Problem]) -> dict[str, Any] | None:
    x0, y0, x1, y1 = (_number(_text(element, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    if x0 is None or y0 is None or x1 is None or y1 is None or x1 < x0 or y1 < y0:
        message = "bndbox must have xmin, ymin, xmax and ymax, in this order; it is left out"
        problems.append(Problem(where, "bndbox", message))
        return None
    if min(x0, y0) < 1:
        message = (
            "bndbox begins before 1, where VOC's pixels begin; it is cut there, look whether the file counts from 0"
        )
        problems.append(Problem(where, "bndbox", message, "warning"))
    points = box_corners(max(x0 - 1, 0), max(y0 - 1, 0), max(x1, 1), max(y1, 1))
    flags = {flag: _text(element, flag) == "1" for flag in FLAGS if _text(element, flag) in {"0", "1"}}
    return {"label": _text(element, "name"), "shape_type": "rectangle", "points": points, "flags": flags}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str) -> int | None:
    value = _number(text)
    return int(value) if value is not None and value > 0 and value % 1 == 0 else None
