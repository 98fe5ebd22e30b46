"""The regions of an image: those that its annotation has, and those that a finder adds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.base.wording import counted
from flawshot.catalog.instances import instances_of
from flawshot.evaluation.found_matches import same_place
from flawshot.labelme.images import ImageError, header_size
from flawshot.labelme.labelme_file import LabelmeFile, parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes
from flawshot.labelme.shapes import rasterize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from flawshot.catalog.instances import Instance
    from flawshot.labelme.shapes import Shape
    from flawshot.regions.found import FoundOnImage, FoundRegion

    # Given some images in order, yields one value for each.
    Find = Callable[[Sequence[str]], Iterable[FoundOnImage]]

__all__ = ["AnnotatedImage", "Find", "ImageEntry", "annotated_image", "found_on", "stop"]


class ImageEntry(NamedTuple):
    """An image to predict; ``exists`` says whether there is an annotation file."""

    image: str
    annotation: str
    exists: bool


class AnnotatedImage(NamedTuple):
    """An image's annotation together with what was found.

    ``file`` is the annotation with usable shapes only, ``found`` has the found regions by the index of their shape,
    ``reason`` says why the image cannot be used, and ``problems`` which regions cannot.
    """

    file: LabelmeFile
    instances: list[Instance]
    found: dict[int, FoundRegion]
    reason: str
    problems: Sequence[Problem] = ()


def found_on(find: Find, block: Sequence[ImageEntry], *, strict: bool) -> list[FoundOnImage]:
    """What a finder gives on some images; the first that cannot be used is an error if ``strict``."""
    found = list(find([entry.image for entry in block]))
    if len(found) != len(block):
        raise ValueError(f"the finder was given {len(block)} images, but said something of {len(found)}")
    for each in found:
        if strict:
            stop(each.reason)
    return found


def stop(reason: str) -> None:
    """Refuse an image that cannot be used, if there is a reason for that."""
    if reason:
        raise FlawshotError(f"{reason} (without {argument('strict', True)} it is left out)")


def annotated_image(root: Path, entry: ImageEntry, on_image: FoundOnImage) -> AnnotatedImage:
    """An image's annotation, with the found regions that it does not have yet."""
    problems: list[Problem] = []
    try:
        height, width = header_size(root / entry.image, entry.image)
    except ImageError as error:
        return AnnotatedImage(LabelmeFile("", ()), [], {}, on_image.reason or error.marked)
    file = LabelmeFile(PurePosixPath(entry.image).name, (), image_height=height, image_width=width)
    if entry.exists:
        try:
            file, wrong = parse_labelme(annotation_bytes(root / entry.annotation, entry.annotation), entry.annotation)
        except AnnotationError as error:
            return AnnotatedImage(file, [], {}, error.marked)
        problems += wrong
    own = _instances(file, entry, (height, width), problems)
    regions = () if on_image.reason else on_image.regions
    start = 1 + max((shape.index for shape in file.shapes), default=-1)
    known = [instance.region() for instance in own]
    shapes: list[Shape] = []
    found: dict[int, FoundRegion] = {}
    for each in regions:
        if known:
            region = rasterize(each.shape, height, width)
            if any(same_place(region, other) for other in known):
                continue
        index = start + len(shapes)
        shapes.append(replace(each.shape, index=index, label="", group_id=None))
        found[index] = each
    new = _instances(replace(file, shapes=tuple(shapes)), entry, (height, width), problems)
    used = {shape.index for instance in own for shape in instance.shapes}
    usable = replace(file, shapes=tuple(shape for shape in file.shapes if shape.index in used))
    reason = on_image.reason
    if shapes and not own and not new:
        first = f"; {problems[0].message}" if problems else ""
        reason = f"{entry.image}: {counted(len(shapes), 'region')} found on it cannot be used{first}"
    return AnnotatedImage(usable, [*own, *new], found, reason, problems)


def _instances(file: LabelmeFile, entry: ImageEntry, size: tuple[int, int], problems: list[Problem]) -> list[Instance]:
    """The instances of an image; that they have no label is no news."""
    wrong: list[Problem] = []
    made = instances_of(
        file, entry.annotation, wrong, image=entry.image, size=size, product=entry.image.partition("/")[0], split=None
    )
    problems += [problem for problem in wrong if problem.kind != "no-label"]
    return made
