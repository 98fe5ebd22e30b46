"""Regions that other programs drew as pixel masks, one connected part each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.base.errors import Problem
from flawshot.base.store.seals import hash_of
from flawshot.formats.components import component_shape
from flawshot.formats.mask_layouts import NO_MASK, MaskedImage, recognize_masks
from flawshot.formats.masks import MAX_INSTANCES, masked_annotation
from flawshot.formats.scored_shapes import ScoredImage, ScoredShape, bare_images, stamps_of
from flawshot.labelme.shapes import join_regions, rasterize

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.labelme.shapes import Shape

__all__ = ["FoundMasks"]


class FoundMasks:
    """Regions of masks that lie in the folder of their images: the 8-connected parts, or one region per mask file.

    Args:
        root: The folder of the images and masks.
        layout: ``IMAGES | MASKS``, or a layout's name, as for :func:`~flawshot.formats.masks.import_masks`.
        threshold: As there.
        min_area: Likewise.
        max_instances: Likewise.
        beyond: A folder that is not searched.

    Attributes:
        images: The images, relative to ``root`` (POSIX), sorted; those without a mask have no region.
        request: A hash of everything that the regions depend on besides the images.
        problems: Masks and images that cannot be used, and images without a mask.
        skipped: Nothing.

    Raises:
        FlawshotError: If no image has a mask.
    """

    def __init__(
        self,
        root: Path,
        layout: str,
        *,
        threshold: int | None = None,
        min_area: int = 1,
        max_instances: int = MAX_INSTANCES,
        beyond: Path | None = None,
    ) -> None:
        tree = recognize_masks(root, layout, beyond=beyond)
        self._root, self._layout = root, tree.layout
        self._given = (threshold, min_area, max_instances)
        self._masked: dict[str, MaskedImage] = {each.image: each for each in tree.images}
        searched = bare_images(root, [], beyond=[] if beyond is None else [beyond])
        self.images = tuple(
            image
            for image in searched
            if image in self._masked
            or (tree.layout.fields(image) is not None and tree.layout.fields(image, masks=True) is None)
        )
        own = set(self.images)
        self._wrong: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.skipped: dict[str, int] = {}
        for problem in tree.problems:
            if problem.file in own and problem.message.startswith(NO_MASK):
                self.problems.append(Problem(problem.file, "no-mask", problem.message, "warning"))
                continue
            if problem.file in own:
                self._wrong[problem.file] = problem.message
            self.problems.append(problem)
        masks = [mask for each in tree.images for mask in each.masks]
        self.request = hash_of("masks", tree.layout.pattern, *self._given, stamps_of(root, masks))

    def read(self, image: str) -> ScoredImage:
        """The regions of an image's masks."""
        if image in self._wrong:
            return ScoredImage((), reason=f"{image}: {self._wrong[image]}")
        each = self._masked.get(image)
        if each is None:
            return ScoredImage(())
        threshold, min_area, most = self._given
        file, found = masked_annotation(
            self._root, each, self._layout, threshold=threshold, min_area=min_area, max_instances=most
        )
        if file is None:
            return ScoredImage((), reason=f"{image}: {found[-1].message}", problems=found[:-1])
        size = (file.image_height or 0, file.image_width or 0)
        regions: dict[tuple[str, int | None], list[Shape]] = {}
        for shape in file.shapes:
            key = ("shape", shape.index) if shape.group_id is None else ("group", shape.group_id)
            regions.setdefault(key, []).append(shape)
        scored = tuple(ScoredShape(_one(shapes, size), None) for shapes in regions.values())
        return ScoredImage(scored, problems=found)


def _one(shapes: list[Shape], size: tuple[int, int]) -> Shape:
    """The parts of a region as one shape."""
    if len(shapes) == 1:
        return shapes[0]
    return component_shape(0, "", join_regions(rasterize(shape, *size) for shape in shapes), exact=True)
