"""Conversion of a catalog's instances back to Labelme files."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from flawshot.base.errors import AnnotationError
from flawshot.labelme.labelme_file import LabelmeFile, parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.labelme.shapes import Shape

__all__ = ["labelme_file", "labelme_files"]


def labelme_files(catalog: Catalog) -> Iterator[tuple[str, LabelmeFile]]:
    """The Labelme file of each annotation file in a catalog, in catalog order.

    A catalog does not store a file's version, its spelling of the image's path, its flags, its embedded image, its keys
    that Labelme does not know, or, if an instance has several shapes, the flags and descriptions of the later ones.
    These are taken from the annotation file if the data root is available, and are omitted otherwise. Unusable shapes
    are always omitted.

    Args:
        catalog: The catalog; shapes of instances that it does not contain are omitted.

    Yields:
        The annotation file's path relative to the data root (POSIX), and its content.
    """
    for annotation, instances in groupby(catalog, key=lambda instance: instance.annotation):
        yield annotation, labelme_file(list(instances), catalog.root)


def labelme_file(instances: list[Instance], root: Path | None) -> LabelmeFile:
    """The Labelme file for the instances of one annotation file, as from :func:`labelme_files`.

    Args:
        instances: All instances of the file.
        root: The data root, if it is available.
    """
    original = _original(root, instances[0].annotation)
    made = _made(instances)
    return made if original is None else _completed(made, original)


def _made(own: list[Instance]) -> LabelmeFile:
    first = own[0]
    folder = first.annotation.rpartition("/")[0]
    return LabelmeFile(
        image_path=os.path.relpath(first.image, folder or ".").replace(os.sep, "/"),
        shapes=tuple(sorted(_shapes(own), key=lambda shape: shape.index)),
        image_height=first.image_height,
        image_width=first.image_width,
    )


def _shapes(own: Iterable[Instance]) -> Iterator[Shape]:
    for instance in own:
        first, *others = instance.shapes
        yield replace(first, flags=instance.flags, description=instance.description)
        yield from others


def _original(root: Path | None, annotation: str) -> LabelmeFile | None:
    if root is None:
        return None
    try:
        return parse_labelme(annotation_bytes(root / annotation, annotation), annotation)[0]
    except AnnotationError:
        return None


def _completed(made: LabelmeFile, original: LabelmeFile) -> LabelmeFile:
    """The file made from the catalog, completed with information that only the original file has."""
    there = {shape.index: shape for shape in original.shapes}
    return replace(original, shapes=tuple(_completed_shape(shape, there.get(shape.index)) for shape in made.shapes))


def _completed_shape(shape: Shape, own: Shape | None) -> Shape:
    if own is None:
        return shape
    flags, description = shape.flags or own.flags, shape.description or own.description
    return replace(shape, other=own.other, flags=flags, description=description)
