"""Import of COCO's instance annotations: polygons, run lengths and boxes become Labelme files."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.json_documents import ANNOTATION_BYTES, file_bytes, load_json
from flawshot.formats import Option
from flawshot.formats.coco_records import Identified, annotation_shapes, record_id
from flawshot.formats.image_finder import ImageFinder, inside_paths
from flawshot.formats.importing import Imported, LabelmeFolder, begin_import
from flawshot.formats.paths import product_folder, split_and_rest
from flawshot.formats.texts import decoded
from flawshot.labelme.embedded import image_size
from flawshot.labelme.labelme_file import LabelmeFile, parse_labelme_document
from flawshot.labelme.layout import SPLIT_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["import_coco"]

OPTIONS = {"source": Option("A COCO .json file, or a folder of them.")}
# Folders, and words in a file name, that indicate neither product nor split.
PLAIN_FOLDERS = frozenset({"annotations", "images", "labels"})
PLAIN_WORDS = frozenset(
    {"", "annotation", "annotations", "coco", "instances", "instance", "labels", "result", "results"}
)
SET_FLAGS = {"iscrowd": "crowd", "ignore": "ignore"}  # per annotation, and kept if true
TOLD_FLAGS = ("truncated", "difficult", "occluded")
FIELDS = ("images", "annotations", "categories")
# Fields that may name an image, the likeliest first.
NAME_KEYS = ("file_name", "path", "coco_url")


class _Place(NamedTuple):
    """The destination of one COCO file's annotations, and where its images are expected."""

    product: str
    split: str | None
    images: tuple[Path, ...]


def import_coco(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write COCO annotations as Labelme files: ``<product>/[<split>/]<the image's path>.json``.

    Split and product come from the folders of a COCO file, or else from words in its name (``bolt_train.json``,
    ``instances_val2017.json``); otherwise there is no split, and the product has the source folder's name. An image's
    own ``product``, as ``export coco`` writes it, takes precedence. The polygons
    of one annotation share a ``group_id``. Run lengths become a pixel-exact ``mask`` shape. A box without a
    segmentation, or without a usable polygon, becomes a rectangle. Images are searched for by path, then by base name,
    below the folders that the user named. ``iscrowd`` becomes the flag ``crowd``; other Boolean attributes become flags
    too. Images without annotations get a file without shapes.

    Args:
        source: A COCO file, or a folder with any number of them.
        out: The output folder.
        images: The folder to search for images; if None, beside the COCO file and in the neighboring folders.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done, and the total in the COCO files read so far.

    Raises:
        FlawshotError: If there is no COCO file, or a file at ``out`` exists with different content.
    """
    root, names, folder = begin_import(source, ".json", out, images=images, overwrite=overwrite)
    roots = ([] if images is None else [images]) + ([root] if source.is_dir() else [])
    finder = ImageFinder(roots, folder.problems, beyond=out)
    images_done = images_known = 0
    for name in names:
        path = root / name
        try:
            place = _place(PurePosixPath(name), root, images)
            document = _document(path, name, finder, place, folder.problems)
            _no_id_twice(document)
        except FlawshotError as error:
            if not source.is_dir():
                raise FlawshotError(f"{path}: {error.marked}") from error
            folder.problems.append(Problem(name, "not-coco", error.marked))
            continue
        images_known += len(document["images"])
        for _ in _add_file(folder, document, place, name, finder):
            images_done += 1
            if progress is not None:
                progress(images_done, images_known)
    return folder.done(source)


def _document(path: Path, name: str, finder: ImageFinder, place: _Place, problems: list[Problem]) -> dict[str, Any]:
    try:
        data = file_bytes(path, ANNOTATION_BYTES)
        document = load_json(decoded(data, lambda: finder.names(place.images), name, problems).encode())
    except FlawshotError as error:
        raise FlawshotError(error.marked.removeprefix(f"{path}: ")) from error
    if not isinstance(document, dict):
        raise FlawshotError("is not a COCO file: it must be an object with images, annotations and categories")
    made: dict[str, Any] = document | {field: _entries(document.get(field), field) for field in FIELDS}
    return made


def _entries(value: Any, field: str) -> list[Any]:
    """A list in a COCO file; in LIVECell these are objects whose keys are the ids."""
    if isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values()):
        return [{"id": key} | entry for key, entry in value.items()]
    if not isinstance(value, list):
        raise FlawshotError(f"is not a COCO file: {field} must be a list, or an object of objects by id")
    return value


def _no_id_twice(document: dict[str, Any]) -> None:
    """Refuse an id shared by two categories, because the annotations of one would get the other's label."""
    names: dict[int | str, Any] = {}
    for entry in document["categories"]:
        number = record_id(entry.get("id")) if isinstance(entry, dict) else None
        if number is not None:
            name = entry.get("name")
            other = names.setdefault(number, name)
            if other != name:
                raise FlawshotError(
                    f"categories: id {entry['id']!r} is both {str(other)[:60]!r} and {str(name)[:60]!r}; "
                    "give each its own id"
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
    below = ["", "images", "data", *split_words, *(f"images/{word}" for word in split_words)]
    places = ([] if images is None else [images]) + homes
    return _Place(product_folder(product), split, tuple(home / inner for home in places for inner in below))


def _add_file(
    folder: LabelmeFolder, document: dict[str, Any], place: _Place, name: str, finder: ImageFinder
) -> Iterator[None]:
    """Write a COCO file's images, yielding before each."""
    categories = _categories(document, name, folder.problems)
    images, annotations = _by_image(document, name, folder.problems)
    paths = inside_paths((text for image in images.values() if (text := _file_name(image))), "file_name")
    usable = 0
    for number, image in images.items():
        yield
        where = f"{name}: image {number}"
        try:
            path = _usable(paths, image)
            own_product = _own_product(image)
            original = finder.find(str(path), place.images, where)
            size = _size(image, path.name, original)
            shapes = list(_all_shapes(annotations.get(number, []), categories, size, name, folder.problems))
            image_path = path.name if original is None else original.name
            parsed = {"imagePath": image_path, "imageHeight": size[0], "imageWidth": size[1], "shapes": shapes}
            file, problems = parse_labelme_document(parsed, where)
            folder.problems += problems
        except FlawshotError as error:
            folder.problems.append(Problem(where, "image", error.marked.removeprefix(f"{where}: ")))
            continue
        usable += len(file.shapes)
        product, split, inner = own_product or place.product, place.split, list(path.parts[:-1])
        if own_product and inner[:1] == [own_product]:
            inner = inner[1:]
        if split and inner and split.lower() in {inner[0].lower(), SPLIT_FOLDERS.get(inner[0].lower())}:
            inner = inner[1:]
        folder.add([product, split, *inner], path.stem, file, original, where)
    if document["annotations"] and not usable:
        folder.useless.append(name)


def _categories(document: dict[str, Any], name: str, problems: list[Problem]) -> Identified[str]:
    names: Identified[str] = Identified()
    for entry in document["categories"]:
        number = record_id(entry.get("id")) if isinstance(entry, dict) else None
        if number is not None and isinstance(entry.get("name"), str):
            names[number] = entry["name"]
        else:
            problems.append(Problem(name, "category", f"a category needs an id and a name, unlike {str(entry)[:60]}"))
    return names


def _by_image(
    document: dict[str, Any], name: str, problems: list[Problem]
) -> tuple[Identified[dict[str, Any]], dict[int | str, list[dict[str, Any]]]]:
    """Images by id, and annotations by their image's id."""
    images: Identified[dict[str, Any]] = Identified()
    for entry in document["images"]:
        number = record_id(entry.get("id")) if isinstance(entry, dict) else None
        if number is None or number in images:
            problems.append(Problem(name, "image", f"an image needs its own id, unlike {str(entry)[:60]}"))
            continue
        images[number] = entry
    annotations: dict[int | str, list[dict[str, Any]]] = {}
    for entry in document["annotations"]:
        number = images.id_of(entry.get("image_id")) if isinstance(entry, dict) else None
        if number is None:
            message = f"an annotation's image_id must be the id of an image, unlike that of {str(entry)[:60]}"
            problems.append(Problem(name, "image-id", message))
            continue
        annotations.setdefault(number, []).append(entry)
    return images, annotations


def _file_name(image: dict[str, Any]) -> str:
    """An image's file name; empty if no field has it."""
    return next((value for key in NAME_KEYS if isinstance(value := image.get(key), str) and value), "")


def _own_product(image: dict[str, Any]) -> str | None:
    """The product that flawshot's own export states for an image."""
    product = image.get("product")
    return product_folder(product) if isinstance(product, str) and product else None


def _usable(paths: dict[str, PurePosixPath | FlawshotError], image: dict[str, Any]) -> PurePosixPath:
    unnamed = FlawshotError(f"file_name must be text, not {str(image.get('file_name'))[:60]}")
    path = paths.get(_file_name(image), unnamed)
    if isinstance(path, FlawshotError):
        raise path
    return path


def _size(image: dict[str, Any], name: str, original: Path | None) -> tuple[int | None, int | None]:
    height, width = image.get("height"), image.get("width")
    if height and width:
        return height, width  # of any type; Labelme's reader checks whether they are sizes
    return image_size(LabelmeFile(name, ()), original) or (None, None)


def _all_shapes(
    annotations: list[dict[str, Any]],
    categories: Identified[str],
    size: tuple[int | None, int | None],
    name: str,
    problems: list[Problem],
) -> Iterator[dict[str, Any]]:
    """The shapes of one image; those of one annotation share a group."""
    for number, annotation in enumerate(annotations):
        owner = f"{name}: annotation {annotation.get('id')}"
        try:
            label = _label(annotation, categories)
            shapes, dropped = annotation_shapes(annotation, size)
        except FlawshotError as error:
            problems.append(Problem(owner, "annotation", f"{error.marked}; it is left out"))
            continue
        problems.extend(Problem(owner, "polygon", message, "warning") for message in dropped)
        common = {"label": label, "flags": _flags(annotation)}
        for shape in shapes:
            yield common | shape | ({"group_id": number} if len(shapes) > 1 else {})


def _label(annotation: dict[str, Any], categories: Identified[str]) -> str:
    category = categories.id_of(annotation.get("category_id"))
    if category is None:
        raise FlawshotError(f"category_id {str(annotation.get('category_id'))[:60]!r} is not the id of a category")
    return categories[category]


def _flags(annotation: dict[str, Any]) -> dict[str, bool]:
    flags = {flag: True for key, flag in SET_FLAGS.items() if annotation.get(key) == 1}
    flags |= {key: bool(annotation[key]) for key in TOLD_FLAGS if _is_bit(annotation.get(key))}
    attributes = annotation.get("attributes")
    if isinstance(attributes, dict):
        flags |= {key: value for key, value in attributes.items() if isinstance(value, bool)}
    return flags


def _is_bit(value: object) -> bool:
    return isinstance(value, int) and value in {0, 1}
