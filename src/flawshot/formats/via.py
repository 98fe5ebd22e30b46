"""Import of the VGG Image Annotator's projects and exported annotations, of versions 1 and 2."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.json_documents import ANNOTATION_BYTES, file_bytes, load_json
from flawshot.formats import Option
from flawshot.formats.image_finder import ImageFinder, inside_paths
from flawshot.formats.image_records import FilePlace, ImageRecord, add_files, file_place
from flawshot.formats.importing import Imported, begin_import
from flawshot.formats.texts import decoded
from flawshot.formats.via_regions import LabelChoice, region_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flawshot.formats.image_records import Part

__all__ = ["import_via"]

OPTIONS = {
    "source": Option("A .json file of the VGG Image Annotator, or a folder of them."),
    "label": Option("The region attribute that is the category, if there are several.", "NAME"),
    "product": Option("The product's name; by default the first folder's, or else the source's.", "NAME"),
}
# Where the images are in a project of version 2, and in other files that contain more than the images.
IMAGES = "_via_img_metadata"


def import_via(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    label: str | None = None,
    product: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write the VGG Image Annotator's regions as Labelme files: ``<product>/[<split>/]<the image's path>.json``.

    Rectangles, circles, polygons, polylines and points stay what they are; ellipses become polygons. A region's other
    attributes become flags, if they are true or false, or else its description. Images without a region show no flaw.

    Args:
        source: A project or exported annotations (JSON), or a folder of them.
        out: The output folder.
        images: The folder to search for images first.
        label: The region attribute that is the category; by default the only one, or the only one that is called like
            a category.
        product: The product's name; by default that of the file's first folder which is no split, or of the source.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done, and the total in the files read so far.

    Raises:
        FlawshotError: If there is no usable file, or a file at ``out`` exists with different content.
    """
    root, names, folder = begin_import(source, ".json", out, images=images, overwrite=overwrite)
    roots = ([] if images is None else [images]) + ([root] if source.is_dir() else [])
    finder = ImageFinder(roots, folder.problems, beyond=out)

    def read(path: Path, name: str) -> tuple[int, Iterator[ImageRecord]]:
        place = file_place(PurePosixPath(name), root, images, product)
        document = _document(path, name, finder, place, folder.problems)
        entries = _entries(document)
        choice = _choice(document, entries, label)
        return len(entries), _records(entries, choice, place, name, folder.problems)

    add_files(folder, finder, source, names, kind="not-via", read=read, progress=progress)
    return folder.done(source)


def _document(path: Path, name: str, finder: ImageFinder, place: FilePlace, problems: list[Problem]) -> dict[str, Any]:
    data = file_bytes(path, ANNOTATION_BYTES)
    document = load_json(decoded(data, lambda: finder.names(place.homes), name, problems).encode())
    if not isinstance(document, dict):
        raise FlawshotError("is no file of the VGG Image Annotator: it must be an object with one entry per image")
    return document


def _entries(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The images of a project or of exported annotations."""
    if "project" in document and "metadata" in document:
        raise FlawshotError("is a project of VIA 3; export it as COCO, and use flawshot import coco")
    images = document.get(IMAGES, document)
    if not isinstance(images, dict) or not images:
        raise FlawshotError("is no file of the VGG Image Annotator: it has no images")
    for key, entry in images.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str) or "regions" not in entry:
            raise FlawshotError(f"is no file of the VGG Image Annotator: {key[:60]!r} must have a filename and regions")
    return images


def _regions(entry: Mapping[str, Any]) -> list[Any]:
    """An image's regions; version 1 has them by number."""
    regions = entry["regions"]
    if isinstance(regions, dict):
        return list(regions.values())
    if not isinstance(regions, list):
        raise FlawshotError("regions must be a list, or an object of regions by number")
    return regions


def _choice(document: Mapping[str, Any], entries: Mapping[str, dict[str, Any]], label: str | None) -> LabelChoice:
    told = [
        region.get("region_attributes")
        for entry in entries.values()
        if isinstance(entry["regions"], dict | list)
        for region in _regions(entry)
        if isinstance(region, dict)
    ]
    defined = document.get("_via_attributes")
    region = defined.get("region") if isinstance(defined, dict) else None
    options: dict[str, dict[str, str]] = {}
    for name, attribute in region.items() if isinstance(region, dict) else ():
        texts = attribute.get("options") if isinstance(attribute, dict) else None
        if isinstance(texts, dict):
            options[name] = {key: text for key, text in texts.items() if isinstance(text, str) and text}
    return LabelChoice.guessed(told, label, options, argument("label"))


def _records(
    entries: Mapping[str, dict[str, Any]], choice: LabelChoice, place: FilePlace, name: str, problems: list[Problem]
) -> Iterator[ImageRecord]:
    paths = inside_paths((entry["filename"] for entry in entries.values()), "filename")
    for entry in entries.values():
        path = paths[entry["filename"]]
        where = f"{name}: image {str(entry['filename'])[:200]}"
        try:
            if isinstance(path, FlawshotError):
                raise path
            parts = [_part(region, choice, f"{where}: region {n}") for n, region in enumerate(_regions(entry))]
        except FlawshotError as error:
            problems.append(Problem(where, "image", f"{error.marked}; it is left out"))
            continue
        attributes = entry.get("file_attributes")
        told = attributes.items() if isinstance(attributes, dict) else ()
        yield ImageRecord(
            where=where,
            named=entry["filename"],
            place=path,
            product=place.product,
            split=place.split,
            parts=parts,
            homes=place.homes,
            flags={key: value for key, value in told if isinstance(value, bool)},
        )


def _part(region: Any, choice: LabelChoice, where: str) -> Part:
    region = region if isinstance(region, dict) else {}
    return region_part(region.get("shape_attributes"), region.get("region_attributes"), choice, where)
