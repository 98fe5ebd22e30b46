"""Import of Pascal VOC's XML: one rectangle per box."""

from __future__ import annotations

import math
import re
import unicodedata
from functools import partial
from html.entities import html5
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import file_bytes
from flawshot.formats import Option
from flawshot.formats.image_finder import ImageFinder, inside_paths
from flawshot.formats.importing import Imported, begin_import
from flawshot.formats.paths import box_corners, file_path, product_folder, split_and_rest
from flawshot.formats.texts import decoded, name_key, without_blanks
from flawshot.formats.tree_files import LINK_OUT, lies_within
from flawshot.labelme.embedded import image_size
from flawshot.labelme.images import IMAGE_SUFFIXES
from flawshot.labelme.labelme_file import LabelmeFile, parse_labelme_document

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path
    from xml.etree.ElementTree import Element

__all__ = ["import_voc"]

OPTIONS = {"source": Option("A folder of Pascal VOC .xml files.")}
PLAIN_FOLDERS = frozenset({"annotations", "labels", "jpegimages", "images"})
FLAGS = ("truncated", "difficult", "occluded")
IMAGE_END = re.compile(rf"(?i:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})$")
LIST_SPLITS = ("train", "val", "test")
# Encodings that the XML parser does not know, by their names in XML declarations.
DECLARED = re.compile(rb"\A\s*<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
ENCODINGS = {
    **dict.fromkeys(("gb2312", "gbk", "gb18030", "cp936"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "cp932"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "cp949"), "cp949"),
    "euc-jp": "euc_jp",
    "big5": "big5hkscs",
}
DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
ENTITY = re.compile(r"&(?!#\d+;|#[xX][0-9a-fA-F]+;|(?:amp|lt|gt|quot|apos);)(?:(\w+;))?")


def import_voc(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write Pascal VOC annotations as Labelme files: ``<product>/[<split>/]…/<name>.json``.

    Split and product come from a file's folders (except ``Annotations``). If no folder is a split,
    ``ImageSets/Main/{train,val,test}.txt`` determine it; if no folder is left, the product has the source's name. VOC
    counts pixels from 1, and its boxes include their last pixel: 1 to 3 are the pixels 0, 1 and 2. ``truncated``,
    ``difficult`` and ``occluded`` become flags. Images are searched for beside the annotation file, in ``JPEGImages``
    and ``images`` beside ``Annotations``, and below the folders that the user named: by the annotation file's name,
    then by the name in the file, then by the same names with other suffixes. They are copied beside the Labelme files.

    Args:
        source: A folder with .xml files, or one .xml file.
        out: The output folder.
        images: The folder to search for images first.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of .xml files processed and the total.

    Raises:
        FlawshotError: If there is no usable VOC file, or a file at ``out`` exists with different content.
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
            tree = _tree(path, name.as_posix(), partial(finder.names, _homes(path, images)), folder.problems)
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
            folder.problems.append(Problem(name.as_posix(), "not-voc", error.marked.removeprefix(f"{name}: ")))
            continue
        if split is None:
            home = path.parent.parent / "ImageSets" / "Main"
            if home not in lists:
                lists[home] = _listed(home, root, folder.problems)
            split = lists[home].get(_list_key(stem))
        folder.add([product, split, *inner[1:]], stem, file, original, name.as_posix())
    if objects and not folder.instances:
        folder.useless.append(str(source))
    return folder.done(source)


def _homes(path: Path, images: Path | None) -> list[Path]:
    """The folders in which the image of an annotation file is expected."""
    homes = [path.parent] if images is None else [images, path.parent]
    if path.parent.name.lower() in PLAIN_FOLDERS:
        homes += [path.parent.parent / name for name in ("JPEGImages", "images", "")]
    return homes


def _image_name(named: str, stem: str) -> str:
    """The name of an image that is not available."""
    path = inside_paths([named or f"{stem}.jpg"], "filename").popitem()[1]
    if isinstance(path, FlawshotError):
        raise path
    return path.name


def _listed(folder: Path, root: Path, problems: list[Problem]) -> dict[str, str]:
    """The split of each name in VOC's lists; names are normalized by :func:`_list_key`."""
    whole: dict[str, str] = {}
    parts: dict[str, str] = {}
    for split in LIST_SPLITS:
        path = folder / f"{split}.txt"
        # A user may have named VOC's Annotations alone.
        if not any(lies_within(path, place) for place in (root, folder.parent.parent)):
            problems.append(Problem(str(path), *LINK_OUT))
            continue
        if not path.exists():
            continue
        try:
            text = decoded(file_bytes(path), lambda: _stems(folder.parent.parent), str(path), problems)
        except FlawshotError as error:
            message = error.marked.removeprefix(f"{path}: ")
            problems.append(Problem(str(path), "list", f"{message}; its images get no split from it"))
            continue
        for line in text.splitlines():
            # Lists of one class have 1, 0 or -1 after each name, and those of other programs contain image paths.
            whole[_list_key(line)] = split
            parts |= dict.fromkeys(map(_list_key, line.split()), split)
            name = PurePosixPath(re.sub(r"\s+-?[01]\s*$", "", line).replace("\\", "/")).name
            parts[_list_key(name.removesuffix(suffix[0]) if (suffix := IMAGE_END.findall(name)) else name)] = split
    return parts | whole


def _list_key(name: str) -> str:
    return unicodedata.normalize("NFC", without_blanks(name))


def _stems(folder: Path) -> set[str]:
    """The names of annotation files in a folder and its direct subfolders, without suffix, normalized."""
    return {name_key(path.stem) for pattern in ("*.xml", "*/*.xml") for path in folder.glob(pattern)}


def _tree(path: Path, name: str, names: Callable[[], Collection[str]], problems: list[Problem]) -> Element:
    try:
        tree = _parsed(file_bytes(path), name, names, problems)
    except FlawshotError as error:
        raise FlawshotError(error.marked.removeprefix(f"{path}: ")) from error
    if tree.tag != "annotation":
        raise FlawshotError(f"is not Pascal VOC: its root element is {tree.tag!r}, not annotation")
    return tree


def _parsed(data: bytes, name: str, names: Callable[[], Collection[str]], problems: list[Problem]) -> Element:
    """A document's root; the encoding may be unknown to the parser, and HTML entities are allowed."""
    declared = DECLARED.match(data)
    stated = "" if declared is None else declared[1].decode()
    known = stated.lower() in ENCODINGS
    try:
        return _xml(data)
    except DefusedXmlException as error:
        raise FlawshotError(f"is not plain XML ({one_line(error)})") from error
    except (SyntaxError, ValueError, LookupError) as error:  # damaged, or in an encoding unknown to the parser
        if isinstance(error, LookupError) and not known:
            raise FlawshotError(f"is in the unknown encoding {stated}; save it again as UTF-8") from error
        damage = FlawshotError(f"is not plain XML ({one_line(error)})")
    told: list[Problem] = []
    text = _as_declared(data, stated.lower())
    if text is None:
        text = decoded(data, names, name, told)
        if stated and not told and not stated.lower().startswith("utf-8"):
            told.append(Problem(name, "encoding", f"states the encoding {stated}, but was read as UTF-8", "warning"))
    text = DECLARATION.sub("", text, count=1)
    plain = ENTITY.sub(_character, text)
    try:
        tree = _xml(plain.encode())
    except (DefusedXmlException, SyntaxError, ValueError) as error:
        raise damage from error
    if plain != text:
        message = "contains an & that is not valid XML; it was read literally or as an HTML entity"
        told.append(Problem(name, "entity", message, "warning"))
    problems += told
    return tree


def _xml(data: bytes) -> Element:
    tree: Element = ElementTree.fromstring(data, forbid_dtd=True)
    return tree


def _as_declared(data: bytes, encoding: str) -> str | None:
    """A document's text in its stated encoding, if that is one of :data:`ENCODINGS`."""
    try:
        return data.decode(ENCODINGS[encoding])
    except (KeyError, UnicodeDecodeError):
        return None


def _character(entity: re.Match[str]) -> str:
    """The character of an HTML entity; an & that does not begin one is literal."""
    known = html5.get(entity[1]) if entity[1] else None
    return f"&amp;{entity[0][1:]}" if known is None or set("<&") & set(known) else known


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
    file, found = parse_labelme_document(document, name)
    problems += found
    return file


def _shape(element: Element, where: str, problems: list[Problem]) -> dict[str, Any] | None:
    x0, y0, x1, y1 = (_number(_text(element, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    if x0 is None or y0 is None or x1 is None or y1 is None or x1 < x0 or y1 < y0:
        message = "bndbox must have xmin, ymin, xmax and ymax, in this order; it is left out"
        problems.append(Problem(where, "bndbox", message))
        return None
    if min(x0, y0) < 1:
        message = "bndbox begins before 1, VOC's first pixel; it is clipped there; check whether the file counts from 0"
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
