"""COCO's instance annotations become Labelme files: polygons, run lengths, boxes."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flawshot.errors import FlawshotError, Problem
from flawshot.formats.components import component_shape
from flawshot.formats.importing import (
    Imported,
    LabelmeFolder,
    begin_import,
    box_corners,
    file_path,
    first_file,
    product_folder,
    split_and_rest,
)
from flawshot.formats.labelme import LabelmeFile, image_size, parse_labelme
from flawshot.formats.run_lengths import decode_runs
from flawshot.json_documents import ANNOTATION_BYTES, file_bytes, load_json
from flawshot.layout import SPLIT_FOLDERS
from flawshot.shapes import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["import_coco"]

# Folders and words of a file's name that say neither product nor split.
PLAIN_FOLDERS = frozenset({"annotations", "images", "labels"})
PLAIN_WORDS = frozenset(
    {"", "annotation", "annotations", "coco", "instances", "instance", "labels", "result", "results"}
)
SET_FLAGS = {"iscrowd": "crowd", "ignore": "ignore"}  # said of each annotation, and kept where it is true
TOLD_FLAGS = ("truncated", "difficult", "occluded")


class _Place(NamedTuple):
    """Where the annotations of one COCO file go, where its images may lie, and what they may not leave."""

    product: str
    split: str | None
    images: tuple[Path, ...]
    roots: tuple[Path, ...]


def import_coco(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write COCO annotations as Labelme files: ``<product>/[<split>/]<the image's path>.json``.

    Split and product are the folders that a COCO file lies in, else words of its name (``bolt_train.json``,
    ``instances_val2017.json``), else there is no split, and the product is called as the source folder. The polygons of
    one annotation share a ``group_id``; run lengths become a ``mask`` shape that is theirs to the pixel; a box without
    segmentation becomes a rectangle. ``iscrowd`` becomes the flag ``crowd``; other
    true-or-false attributes become flags too. Images without annotations get a file without shapes.

    Args:
        source: A COCO file, or a folder with any number of them.
        out: Where the files go.
        images: Where the images are looked for; beside the COCO file and in its neighbours where None.
        overwrite: Whether files there with other content may be replaced.
        progress: Called with the images done, and their number in the COCO files that were read so far.

    Raises:
        FlawshotError: If there is no COCO file, or a file at ``out`` has other content already.
    """
    root, names, folder = begin_import(source, ".json", out, images=images, overwrite=overwrite)
    images_done = images_known = 0
    for name in names:
        path = root / name
        try:
            document = _document(path)
            _no_id_twice(document)
            place = _place(PurePosixPath(name), root, images)
        except FlawshotError as error:
            if not source.is_dir():
                raise FlawshotError(f"{path}: {error}") from error
            folder.problems.append(Problem(name, "not-coco", str(error)))
            continue
        images_known += len(document["images"])
        for _ in _add_file(folder, document, place, name):
            images_done += 1
            if progress is not None:
                progress(images_done, images_known)
    return folder.done(source)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = load_json(file_bytes(path, ANNOTATION_BYTES))
    except FlawshotError as error:
        raise FlawshotError(str(error).removeprefix(f"{path}: ")) from error
    fields = ("images", "annotations", "categories")
    missing = [name for name in fields if not isinstance(document, dict) or not isinstance(document.get(name), list)]
    if missing:
        raise FlawshotError(f"is not a COCO file: {missing[0]} must be a list")
    made: dict[str, Any] = document
    return made


def _no_id_twice(document: dict[str, Any]) -> None:
    """Raise where a category's id does not say which it is; the annotations of either would be of the wrong one."""
    names: dict[Any, Any] = {}
    for entry in document["categories"]:
        if isinstance(entry, dict) and isinstance(entry.get("id"), int | str):
            name = entry.get("name")
            other = names.setdefault(entry["id"], name)
            if other != name:
                raise FlawshotError(
                    f"categories: id {entry['id']!r} is both {str(other)[:60]!r} and {str(name)[:60]!r}; "
                    "give each an id of its own"
                )


def _place(name: PurePosixPath, root: Path, images: Path | None) -> _Place:
    split, folders = split_and_rest(name.parts[:-1])
    folders = [folder for folder in folders if folder.lower() not in PLAIN_FOLDERS]
    words = re.split(r"[_.\s-]+", name.stem)
    split_words = [word for word in words if word.rstrip("0123456789").lower() in SPLIT_FOLDERS]
    others = [word for word in words if word not in split_words and word.lower() not in PLAIN_WORDS]
    if split is None and split_words:
        split = split_words[0].rstrip("0123456789")
    product = folders[0] if folders else "_".join(others) or root.resolve().name
    beside = (root / name).parent
    homes = [beside, beside.parent] if beside.name.lower() == "annotations" else [beside]
    below = ["", "images", *split_words, *(f"images/{word}" for word in split_words)]
    places = ([] if images is None else [images]) + homes
    candidates = tuple(home / inner for home in places for inner in below)
    return _Place(product_folder(product), split, candidates, (root, *places))


def _add_file(folder: LabelmeFolder, document: dict[str, Any], place: _Place, name: str) -> Iterator[None]:
    """Write a COCO file's images, yielding before each."""
    categories = _categories(document, name, folder.problems)
    images, annotations = _by_image(document, name, folder.problems)
    for number, image in images.items():
        yield
        where = f"{name}: image {number}"
        try:
            path = file_path(_file_name(image), "file_name")
            original = first_file((home / path for home in place.images), place.roots, folder.problems)
            size = _size(image, path.name, original)
            shapes = list(_all_shapes(annotations.get(number, []), categories, size, name, folder.problems))
            parsed = {"imagePath": path.name, "imageHeight": size[0], "imageWidth": size[1], "shapes": shapes}
            # Labelme's own reader is the one place that says what a usable shape is.
            file, problems = parse_labelme(json.dumps(parsed).encode(), where)
            folder.problems += problems
        except FlawshotError as error:
            folder.problems.append(Problem(where, "image", str(error).removeprefix(f"{where}: ")))
            continue
        split, inner = place.split, list(path.parts[:-1])
        if split and inner and inner[0].lower() == split.lower():
            inner = inner[1:]
        folder.add([place.product, split, *inner], path.stem, file, original, where)


def _categories(document: dict[str, Any], name: str, problems: list[Problem]) -> dict[Any, str]:
    names = {}
    for entry in document["categories"]:
        if isinstance(entry, dict) and isinstance(entry.get("id"), int | str) and isinstance(entry.get("name"), str):
            names[entry["id"]] = entry["name"]
        else:
            problems.append(Problem(name, "category", f"a category needs id and name, unlike {str(entry)[:60]}"))
    return names


def _by_image(
    document: dict[str, Any], name: str, problems: list[Problem]
) -> tuple[dict[Any, dict[str, Any]], dict[Any, list[dict[str, Any]]]]:
    """Images by id, and annotations by their image's id."""
    images: dict[Any, dict[str, Any]] = {}
    for entry in document["images"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int | str) or entry["id"] in images:
            problems.append(Problem(name, "image", f"an image needs an id of its own, unlike {str(entry)[:60]}"))
            continue
        images[entry["id"]] = entry
    annotations: dict[Any, list[dict[str, Any]]] = {}
    for entry in document["annotations"]:
        number = entry.get("image_id") if isinstance(entry, dict) else None
        if not isinstance(number, int | str) or number not in images:
            message = f"an annotation's image_id must be an image's id, unlike that of {str(entry)[:60]}"
            problems.append(Problem(name, "image-id", message))
            continue
        annotations.setdefault(number, []).append(entry)
    return images, annotations


def _file_name(image: dict[str, Any]) -> str:
    name = image.get("file_name")
    if not isinstance(name, str):
        raise FlawshotError(f"file_name must be text, not {str(name)[:60]}")
    return name


def _size(image: dict[str, Any], name: str, original: Path | None) -> tuple[int | None, int | None]:
    height, width = image.get("height"), image.get("width")
    if height and width:
        return height, width  # whatever they are, Labelme's reader says whether they are sizes
    return image_size(LabelmeFile(name, ()), original) or (None, None)


def _all_shapes(
    annotations: list[dict[str, Any]],
    categories: dict[Any, str],
    size: tuple[int | None, int | None],
    name: str,
    problems: list[Problem],
) -> Iterator[dict[str, Any]]:
    """The shapes of one image, those of one annotation in one group."""
    for number, annotation in enumerate(annotations):
        try:
            shapes = _shapes(annotation, categories, size)
        except FlawshotError as error:
            owner = f"{name}: annotation {annotation.get('id')}"
            problems.append(Problem(owner, "annotation", f"{error}; it is left out"))
            continue
        for shape in shapes:
            yield shape | ({"group_id": number} if len(shapes) > 1 else {})


def _shapes(
    annotation: dict[str, Any], categories: dict[Any, str], size: tuple[int | None, int | None]
) -> list[dict[str, Any]]:
    """One annotation as Labelme's shapes."""
    category = annotation.get("category_id")
    if not isinstance(category, int | str) or category not in categories:
        raise FlawshotError(f"category_id {category!r} is no category's")
    common = {"label": categories[category], "flags": _flags(annotation)}
    return [common | shape for shape in _drawn(annotation, size)]


def _flags(annotation: dict[str, Any]) -> dict[str, bool]:
    flags = {flag: True for key, flag in SET_FLAGS.items() if annotation.get(key) == 1}
    flags |= {key: bool(annotation[key]) for key in TOLD_FLAGS if _is_bit(annotation.get(key))}
    attributes = annotation.get("attributes")
    if isinstance(attributes, dict):
        flags |= {key: value for key, value in attributes.items() if isinstance(value, bool)}
    return flags


def _is_bit(value: object) -> bool:
    return isinstance(value, int) and value in {0, 1}


def _drawn(annotation: dict[str, Any], size: tuple[int | None, int | None]) -> list[dict[str, Any]]:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return [_mask(decode_runs(segmentation), size)]
    if isinstance(segmentation, list) and segmentation:
        return [_polygon(polygon) for polygon in segmentation]
    if segmentation is None or segmentation == []:
        return [_rectangle(annotation.get("bbox"))]
    raise FlawshotError("segmentation must be a list of polygons or run lengths")


def _polygon(polygon: Any) -> dict[str, Any]:
    if not isinstance(polygon, list) or len(polygon) % 2 or len(polygon) < 6 or not all(map(_is_number, polygon)):
        raise FlawshotError("a polygon must be [x, y, x, y, …] of at least 3 points")
    return {"shape_type": "polygon", "points": [list(point) for point in zip(*[iter(polygon)] * 2, strict=True)]}


def _rectangle(box: Any) -> dict[str, Any]:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)) or min(box[2:]) <= 0:
        raise FlawshotError(
            f"neither segmentation nor a bbox [x, y, width, height] that covers something: {str(box)[:60]}"
        )
    x, y, width, height = box
    return {"shape_type": "rectangle", "points": box_corners(x, y, x + width, y + height)}


# No image is so large, in px.
LARGEST_NUMBER = 10**9


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _mask(mask: NDArray[np.bool_], size: tuple[int | None, int | None]) -> dict[str, Any]:
    height, width = mask.shape
    if None not in size and size != (height, width):
        raise FlawshotError(f"its mask is {width} x {height} px, its image {size[1]} x {size[0]} px")
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise FlawshotError("its mask covers no pixel")
    y0, x0 = int(rows[0]), int(columns[0])
    covered = Region(x0, y0, mask[y0 : rows[-1] + 1, x0 : columns[-1] + 1])
    shape = component_shape(0, "", covered, exact=True)
    encoded = base64.b64encode(shape.mask_png or b"").decode("ascii")
    return {"shape_type": "mask", "points": shape.points.tolist(), "mask": encoded}
