"""Instances: the annotated defects of one image; shapes with the same group and label form one instance."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line
from flawshot.labelme.shapes import Region, Shape, box_area, join_regions, rasterize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flawshot.labelme.labelme_file import LabelmeFile

__all__ = ["Instance", "instances_of"]

# Limits per file, beyond any real image: the number of shapes, and the total area of their boxes in px.
MOST_SHAPES = 100_000
MOST_PIXELS = 2**32


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One annotated defect.

    Attributes:
        id: ``<annotation file relative to the data root>#<index of its first shape>``.
        product: The object or texture inspected.
        split: ``train``, ``test``, ``val``, or None.
        category: The defect type, which is its label; empty if the annotator gave none.
        image: The image's path relative to the data root (POSIX).
        image_width: In px.
        image_height: In px.
        box: (x0, y0, x1, y1) of the mask, half-open, in px.
        area: Pixels of the mask.
        shapes: The shapes it is made of.
        group_id: Labelme's group, or None.
        flags: Labelme's flags of the first shape.
        description: Labelme's free text of the first shape.
        annotation: The annotation file's path relative to the data root (POSIX).
        annotation_hash: Hash of image, label and geometry: what its features depend on.
    """

    id: str
    product: str
    split: str | None
    category: str
    image: str
    image_width: int
    image_height: int
    box: tuple[int, int, int, int]
    area: int
    shapes: tuple[Shape, ...]
    group_id: int | None
    flags: dict[str, bool]
    description: str
    annotation: str
    annotation_hash: str

    @property
    def shape_type(self) -> str:
        """The type of its shapes, or ``mixed``."""
        types = {shape.shape_type for shape in self.shapes}
        return types.pop() if len(types) == 1 else "mixed"

    def region(self) -> Region:
        """The instance's pixels, rasterized at each call.

        Raises:
            FlawshotError: If a mask in a foreign catalog cannot be decoded.
        """
        try:
            return join_regions(rasterize(shape, self.image_height, self.image_width) for shape in self.shapes)
        except ValueError as error:
            raise FlawshotError(f"{self.id}: geometry: the mask cannot be decoded ({one_line(error)})") from error


def instances_of(
    file: LabelmeFile,
    annotation: str,
    problems: list[Problem],
    *,
    image: str,
    size: tuple[int, int],
    product: str,
    split: str | None,
) -> list[Instance]:
    """The instances of one annotation file.

    Args:
        file: The annotation.
        annotation: Its path relative to the data root (POSIX).
        problems: Errors and oddities are added here; an instance that covers no pixel is left out.
        image: The image's path relative to the data root (POSIX).
        size: The image's (height, width) in px.
        product: The product it belongs to.
        split: The split it belongs to, or None.
    """
    height, width = size
    made = []
    if len(file.shapes) > MOST_SHAPES or sum(box_area(shape, height, width) for shape in file.shapes) > MOST_PIXELS:
        message = (
            f"its {len(file.shapes)} shapes are too many or too large: at most {MOST_SHAPES}, with {MOST_PIXELS} px"
        )
        problems.append(Problem(annotation, "too-many-shapes", message))
        return []
    for shapes in _joined(file.shapes, annotation, problems):
        first = shapes[0]
        region = join_regions(rasterize(shape, height, width) for shape in shapes)
        if not region.pixels.size:
            message = f"covers no pixel of the image of {width} x {height} px"
            problems.append(Problem(annotation, "no-pixels", message, shape=first.index))
            continue
        if not first.label:
            problems.append(Problem(annotation, "no-label", "has no label", "warning", first.index))
        for shape in shapes:
            if shape.shape_type != "circle" and ((shape.points < 0) | (shape.points > (width, height))).any():
                message = f"has points outside the image of {width} x {height} px; its mask is clipped there"
                problems.append(Problem(annotation, "points-outside", message, "warning", shape.index))
        made.append(
            Instance(
                id=f"{annotation}#{first.index}",
                product=product,
                split=split,
                category=first.label,
                image=image,
                image_width=width,
                image_height=height,
                box=region.box,
                area=region.area,
                shapes=tuple(shapes),
                group_id=first.group_id,
                flags=first.flags,
                description=first.description,
                annotation=annotation,
                annotation_hash=_hash(image, size, shapes),
            )
        )
    return made


def _joined(shapes: Iterable[Shape], annotation: str, problems: list[Problem]) -> list[list[Shape]]:
    """Shapes grouped by instance, in the order of their first shapes."""
    groups: dict[int, list[Shape]] = {}
    for shape in shapes:
        if shape.group_id is not None:
            groups.setdefault(shape.group_id, []).append(shape)
    labels_of = {number: sorted({member.label for member in group}) for number, group in groups.items()}
    joined = []
    for shape in shapes:
        group = [shape] if shape.group_id is None else groups[shape.group_id]
        labels = [shape.label] if shape.group_id is None else labels_of[shape.group_id]
        if len(labels) > 1:
            if shape is group[0]:
                message = (
                    f"group {shape.group_id} has several labels ({', '.join(labels)[:200]}); its shapes are not joined"
                )
                problems.append(Problem(annotation, "mixed-group", message, "warning", shape.index))
            joined.append([shape])
        elif shape is group[0]:
            joined.append(group)
    return joined


def _hash(image: str, size: tuple[int, int], shapes: list[Shape]) -> str:
    content = [image, size, shapes[0].label]
    digest = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode())
    for shape in shapes:
        digest.update(f"{shape.shape_type} {len(shape.points)} ".encode())
        digest.update(shape.points.astype("<f8").tobytes())
        digest.update(shape.mask_png or b"")
    return digest.hexdigest()[:32]
