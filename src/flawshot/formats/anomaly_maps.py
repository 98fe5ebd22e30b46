"""Anomaly maps of other programs: regions are what lies above a threshold."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy
from PIL import Image

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line
from flawshot.base.store.seals import hash_of
from flawshot.base.wording import plural
from flawshot.formats.components import component_shape, large_components
from flawshot.formats.scored_shapes import ScoredImage, ScoredShape, bare_images, best_first, stamps_of
from flawshot.labelme.images import ImageError, check_pixels, header, open_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["AnomalyMaps", "read_map"]

# The suffixes of maps, in the order in which they are tried.
MAP_SUFFIXES = (".tiff", ".tif", ".png", ".npy")
PATH = "{path}"
# More regions than this on one image are noise, not flaws.
MOST_REGIONS = 10_000
# Pillow's modes of one channel, of any number of bits.
ONE_CHANNEL = ("1", "L", "I", "F")


class AnomalyMaps:
    """Regions of anomaly maps, one map per image: the 8-connected parts above a threshold.

    A map's file has its image's path below another folder, with or without the image's suffix, or by a pattern. If
    images differ only in their suffix, a map without it may be of any of them, and they are left out. A map is a
    one-channel PNG (of up to 16 bits) or TIFF (also of floats), or an array ``[height, width]`` stored by NumPy, in any
    units. A map of another size than its image is scaled to it bilinearly. A region's score is the maximum inside it,
    an image's that of its map.

    Args:
        root: The folder of the images.
        maps: The folder of the maps, or a path with ``{path}`` in place of the image's path, such as
            ``maps/{path}_map.png``; without a suffix, it may be any of the four.
        threshold: Values above it belong to a region.
        min_area: Regions with fewer px of the image are left out.
        max_instances: Images with more regions are left out.
        beyond: A folder that is not searched for images.

    Attributes:
        images: The images, relative to ``root`` (POSIX), sorted; the maps are not among them.
        request: A hash of everything that the regions depend on besides the images.
        problems: Images without a map of their own, and oddities.
        skipped: The number of regions so far that were too small.

    Raises:
        FlawshotError: If there is no image, no map of any, or an argument is invalid.
    """

    def __init__(
        self,
        root: Path,
        maps: str,
        *,
        threshold: float,
        min_area: int = 1,
        max_instances: int = MOST_REGIONS,
        beyond: Path | None = None,
    ) -> None:
        if not math.isfinite(threshold):
            raise FlawshotError(f"{argument('threshold', threshold)}: must be a finite number")
        self.problems: list[Problem] = []
        self.skipped: dict[str, int] = {}
        self._root, self._threshold = root, threshold
        self._min_area, self._most = min_area, max_instances
        folder, place = _places(maps)
        found = bare_images(root, self.problems, beyond=[each for each in (beyond, folder) if each is not None])
        placed = {image: path for image in found if (path := place(image)) is not None}
        if not placed:
            shown = place.wanted(found[0])
            none = plural(len(found), "the image has no map", f"none of the {len(found)} images has a map")
            raise FlawshotError(f"{argument('maps', maps)}: {none}, such as {shown}")
        # If the maps lie among the images, they are not images themselves.
        resolved = {image: path.resolve() for image, path in placed.items()}
        own = frozenset(resolved.values())
        self.images = tuple(image for image in found if (root / image).resolve() not in own)
        times = Counter(resolved[image] for image in self.images if image in placed)
        self._maps: dict[str, Path] = {}
        self._without: dict[str, str] = {}
        for image in self.images:
            if image not in placed:
                self._without[image] = "has no map"
                message = f"has no map {place.wanted(image)}; it is left out"
                self.problems.append(Problem(image, "no-map", message))
            elif times[resolved[image]] > 1:
                count = times[resolved[image]]
                self._without[image] = f"{placed[image]} may be the map of {count} images; name it {place.full(image)}"
                self.problems.append(Problem(image, "ambiguous-map", f"{self._without[image]}; it is left out"))
            else:
                self._maps[image] = placed[image]
        stamps = stamps_of(Path(), (str(path) for path in self._maps.values()))
        self.request = hash_of("maps", threshold, min_area, max_instances, stamps)

    def read(self, image: str) -> ScoredImage:
        """What lies above the threshold in an image's map."""
        path = self._maps.get(image)
        if path is None:
            return ScoredImage((), reason=f"{image}: {self._without.get(image, 'has no map')}")
        problems: tuple[Problem, ...] = ()
        try:
            height, width, lies = header(self._root / image, image)
            values = read_map(path)
            if lies != 1:
                message = (
                    f"has EXIF orientation {lies}; its map is taken to be upright: check that regions lie on flaws"
                )
                problems = (Problem(image, "orientation", message, "warning"),)
            score = float(values.max())
            scaled = _scaled(values, height, width)
            parts, small = large_components(scaled > self._threshold, self._min_area, self._most)
        except FlawshotError as error:
            reason = error.marked
            return ScoredImage((), reason=reason if reason.startswith(image) else f"{image}: {reason}")
        if small:
            under = f"under {self._min_area} px"
            self.skipped[under] = self.skipped.get(under, 0) + small
        shapes = []
        for part in parts:
            x0, y0, x1, y1 = part.box
            inside = scaled[y0:y1, x0:x1][part.pixels]
            shapes.append(ScoredShape(component_shape(0, "", part), float(inside.max())))
        return ScoredImage(best_first(shapes), score, problems=problems)


class _Place:
    """Finds the map of an image."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        any_suffix = PurePosixPath(pattern).suffix.lower() not in MAP_SUFFIXES
        self._suffixes = MAP_SUFFIXES if any_suffix else ("",)

    def __call__(self, image: str) -> Path | None:
        """The map of an image, first one whose name has the image's suffix; None if there is none."""
        for path in (image, _stem(image)):
            for suffix in self._suffixes:
                place = Path(self._pattern.replace(PATH, path) + suffix)
                try:
                    if place.is_file():
                        return place
                except (OSError, ValueError):  # a name that the file system does not allow
                    continue
        return None

    def wanted(self, image: str) -> str:
        """The name that an image's map would have."""
        return self._named(_stem(image))

    def full(self, image: str) -> str:
        """The name that no other image's map would have."""
        return self._named(image)

    def _named(self, path: str) -> str:
        suffixes = f"{{{','.join(self._suffixes)}}}" if len(self._suffixes) > 1 else ""
        return self._pattern.replace(PATH, path) + suffixes


def _stem(image: str) -> str:
    return PurePosixPath(image).with_suffix("").as_posix()


def _places(maps: str) -> tuple[Path | None, _Place]:
    """The folder of the maps, if it is one, and what finds them."""
    if PATH in maps:
        if maps.count(PATH) > 1 or "{" in maps.replace(PATH, ""):
            raise FlawshotError(f"{argument('maps', maps)}: must be a folder, or a path with {PATH} once in it")
        return None, _Place(maps)
    folder = Path(maps)
    try:
        if folder.is_dir():
            return folder, _Place(f"{folder.as_posix()}/{PATH}")
    except (OSError, ValueError):
        pass
    raise FlawshotError(f"{argument('maps', maps)}: is not a folder, and has no {PATH} for the images' own paths")


def read_map(path: Path) -> NDArray[np.float32]:
    """An anomaly map, float32 ``[height, width]``, finite.

    Raises:
        FlawshotError: With its path, if it is not a map of finite numbers, or has too many px.
    """
    values = _array(path) if path.suffix.lower() == ".npy" else _picture(path)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        made = values.astype(np.float32)
    if not made.size:
        raise FlawshotError(f"{path}: the map is empty")
    if not np.isfinite(made).all():
        raise FlawshotError(f"{path}: the map has values that are not finite")
    return made


def _picture(path: Path) -> NDArray[Any]:
    try:
        with open_image(path, str(path)) as opened:
            if not opened.mode.startswith(ONE_CHANNEL) or len(opened.getbands()) > 1:
                raise FlawshotError(
                    f"{path}: is a picture of mode {opened.mode}, not a map of one channel; save the values, not "
                    "their colors"
                )
            return np.asarray(opened)
    except ImageError as error:
        raise FlawshotError(_of_map(error)) from error


def _of_map(error: ImageError) -> str:
    """An error of a picture, said of the map that it is."""
    return error.marked.replace(": the image ", ": the map ", 1)


def _array(path: Path) -> NDArray[Any]:
    """A ``.npy`` file's array, ``[height, width]``; nothing is unpickled."""
    try:
        with path.open("rb") as opened:
            version = npy.read_magic(opened)
            read: Callable[..., Any] = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, kind = read(opened)
            sides = _checked(shape, kind, str(path), path.stat().st_size - opened.tell())
        values: NDArray[Any] = np.load(path, allow_pickle=False).reshape(sides)
    except FlawshotError:
        raise
    except Exception as error:  # a damaged file makes NumPy raise anything at all
        raise FlawshotError(f"{path}: is not an array stored by NumPy ({one_line(error)[:200]})") from error
    return values


def _checked(shape: tuple[int, ...], kind: np.dtype[Any], name: str, size: int) -> list[int]:
    """The height and width in a file's header, before memory is allocated for it."""
    sides = list(shape)
    for end in (0, -1):
        while len(sides) > 2 and sides[end] == 1:
            sides.pop(end)
    if len(sides) != 2 or min(sides) < 1 or kind.kind not in "fiub":
        raise FlawshotError(f"{name}: has an array {list(shape)} of {kind}, not a map [height, width] of numbers")
    try:
        check_pixels(sides[1], sides[0], name)
    except ImageError as error:
        raise FlawshotError(_of_map(error)) from error
    if size < math.prod(sides) * kind.itemsize:
        raise FlawshotError(f"{name}: is shorter than its array")
    return sides


def _scaled(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A map in its image's size, bilinearly."""
    if values.shape == (height, width):
        return values
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
