"""Images with pixel masks beside them, a folder for each category, as magnetic tile comes."""

from __future__ import annotations

import io
import shutil
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from flawshot.errors import FlawshotError, Problem
from flawshot.files import one_line, write_with
from flawshot.formats.labelme import LabelmeFile, write_labelme
from flawshot.images import read_image
from flawshot.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["MasksImport", "components", "import_masks"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
MASK_SUFFIX = ".png"
THRESHOLD = 127
EVERY_NEIGHBOUR = np.ones((3, 3), dtype=bool)


class MasksImport(NamedTuple):
    """What an import of masks found.

    Attributes:
        product: The product's name: the source folder's.
        categories: The categories' names, sorted.
        images: Images with a mask.
        instances: Components that were large enough.
        small: Components that were not.
        problems: Images or masks that were left out.
    """

    product: str
    categories: tuple[str, ...]
    images: int
    instances: int
    small: int
    problems: tuple[Problem, ...]


def import_masks(source: Path, out: Path, *, min_area: int = 1, overwrite: bool = False) -> MasksImport:
    """Write a tree of images and masks as Labelme files, one instance a connected component.

    In ``<source>/<category>/`` or a folder in it, each image (``.jpg``, ``.bmp``, ``.tif``) has its mask beside it, a
    ``.png`` of the same name, defect where it is over 127. Components are 8-connected and become ``mask`` shapes,
    exact to the pixel. Images are copied beside their files.

    Args:
        source: The folder whose children are the categories.
        out: Where ``<source's name>/<category>/<name>.json`` goes.
        min_area: Components of fewer px are left out, and counted.
        overwrite: Whether files there with other content may be replaced.

    Raises:
        FlawshotError: If no image has a mask, or a file at ``out`` has other content already.
    """
    if not source.is_dir():
        raise FlawshotError(f"{source}: is not a folder")
    product = source.resolve().name
    problems: list[Problem] = []
    categories: set[str] = set()
    images = instances = small = 0
    for category, image, mask in _pairs(source, problems):
        try:
            file, left_out = _annotation(category, image, mask, min_area)
        except FlawshotError as error:
            problems.append(Problem(image.relative_to(source).as_posix(), "mask", str(error)))
            continue
        target = out / product / category / f"{image.stem}.json"
        write_labelme(file, target, overwrite=overwrite)
        write_with(target.with_name(image.name), partial(shutil.copyfile, image), overwrite=overwrite)
        categories.add(category)
        images += 1
        instances += len(file.shapes)
        small += left_out
    if not images:
        first = f"; the first problem: {problems[0]}" if problems else ""
        raise FlawshotError(f"{source}: holds no <category>/…/<name>.jpg with its mask <name>.png beside it{first}")
    return MasksImport(product, tuple(sorted(categories)), images, instances, small, tuple(problems))


def _pairs(source: Path, problems: list[Problem]) -> Iterator[tuple[str, Path, Path]]:
    """Category, image and mask; what lacks its other half is a problem."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
        seen: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                name = path.relative_to(source).as_posix()
                mask = path.with_suffix(MASK_SUFFIX)
                if path.stem in seen:
                    problems.append(Problem(name, "mask", f"has the name of {seen[path.stem].relative_to(source)}"))
                elif not mask.is_file():
                    problems.append(Problem(name, "mask", f"has no mask {mask.name} beside it"))
                else:
                    seen[path.stem] = path
                    yield folder.name, path, mask
            elif path.suffix.lower() == MASK_SUFFIX and not any(path.with_suffix(s).is_file() for s in IMAGE_SUFFIXES):
                problems.append(Problem(path.relative_to(source).as_posix(), "mask", "is a mask without its image"))


def _annotation(category: str, image: Path, mask: Path, min_area: int) -> tuple[LabelmeFile, int]:
    picture = read_image(image, image.name)
    try:
        with Image.open(mask) as opened:
            values = np.asarray(opened.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FlawshotError(f"{mask.name}: the mask cannot be decoded ({one_line(error)})") from error
    height, width = values.shape
    if (width, height) != picture.size:
        raise FlawshotError(f"{mask.name}: is {width} x {height} px, its image {picture.width} x {picture.height} px")
    found = components(values > THRESHOLD)
    large = [(x0, y0, pixels) for x0, y0, pixels in found if np.count_nonzero(pixels) >= min_area]
    shapes = tuple(_shape(number, category, *component) for number, component in enumerate(large))
    return LabelmeFile(image.name, shapes, image_height=height, image_width=width), len(found) - len(large)


def components(mask: NDArray[np.bool_]) -> list[tuple[int, int, NDArray[np.bool_]]]:
    """A mask's 8-connected components: x0, y0 and the pixels of its box, bool ``[height, width]``.

    >>> components(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], dtype=bool))[0][2].tolist()
    [[True, False], [False, True]]
    """
    labels, _ = ndimage.label(mask, EVERY_NEIGHBOUR)
    return [
        (place[1].start, place[0].start, labels[place] == number)
        for number, place in enumerate(ndimage.find_objects(labels), start=1)
    ]


def _shape(index: int, category: str, x0: int, y0: int, pixels: NDArray[np.bool_]) -> Shape:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8) * 255).save(buffer, format="PNG")
    height, width = pixels.shape
    corners = np.array([[x0, y0], [x0 + width - 1, y0 + height - 1]], dtype=np.float64)
    return Shape(index, category, "mask", corners, mask_png=buffer.getvalue())
