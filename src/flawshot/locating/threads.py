"""Images searched side by side: one thread per core, each with torch's work on one core."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from PIL import Image

from flawshot.labelme.images import ImageError, header_size, under_pixel_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["PIXELS_AT_ONCE", "in_threads", "pixels_of"]

# Images of more px in total are not in memory at the same time, except for a single one.
PIXELS_AT_ONCE = 2**26

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    device: torch.device,
    pixels: Callable[[Item], int] | None = None,
) -> Iterator[Result]:
    """A function's results for some items, in order.

    On the CPU, several images at a time on one core each take less time than one at a time on all cores, and do not
    suffer if another program uses one of these. The results are the same. The limit of pixels per image holds in the
    threads, too.

    Args:
        function: What is computed of each item.
        items: The items, all of which are taken at once.
        device: Where the function computes; on others than the CPU, one item follows the other.
        pixels: The number of px of an item's image. Large images wait for each other, so that memory does not grow with
            the number of cores; if None, all images are taken to be small.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield from map(function, items)
        return
    room = _Room(PIXELS_AT_ONCE)

    def inside(item: Item) -> Result:
        with room.for_pixels(0 if pixels is None else pixels(item)):
            return function(item)

    with ThreadPoolExecutor(threads, "flawshot-find", torch.set_num_threads, (1,)) as pool:
        try:
            yield from pool.map(under_pixel_limit(inside), items)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # for threads started later; existing ones keep their own number


def pixels_of(image: object) -> int:
    """The number of px of an image: a file, whose header is read, a PIL image, or an array; 0 if it is unknown."""
    if isinstance(image, str | Path):
        try:
            height, width = header_size(Path(image), str(image))
        except ImageError:
            return 0
        return height * width
    if isinstance(image, Image.Image):
        return image.width * image.height
    return math.prod(image.shape[:2]) if isinstance(image, np.ndarray) else 0


class _Room:
    """Room for a number of px in memory, in which images wait until they fit."""

    def __init__(self, pixels: int) -> None:
        self._whole = self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def for_pixels(self, pixels: int) -> Iterator[None]:
        """Wait for room, and use it within the block; what is larger than the whole room waits for all of it."""
        taken = min(pixels, self._whole)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()
