"""Views of a catalog's rows, cropped from their images ahead of the consumer."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from flawshot.labelme.images import ImageError, read_image, under_pixel_limit
from flawshot.regions.crops import Crops, crop_views
from flawshot.regions.views import extent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.labelme.shapes import Region
    from flawshot.regions.crops import Interpolation
    from flawshot.regions.views import Extent, ViewScheme

__all__ = ["Chunk", "Uncut", "crop_rows", "decode_rows", "uncut_rows"]

# The maximum memory for the crops that a worker makes at a time.
CHUNK_BYTES = 32 * 2**20
# Each worker is this many chunks ahead of the encoder, or more if they are small.
CHUNKS_AHEAD = 2
BYTES_AHEAD = 16 * 2**20
# Instances of one image whose masks are drawn at a time.
REGIONS_AT_ONCE = 64

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Instances of one image, cropped by a worker."""

    rows: tuple[int, ...]
    crops: tuple[Crops, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Uncut:
    """Instances of one image, to be cropped elsewhere.

    Attributes:
        rows: Row numbers.
        image: The pixels, the same object for all instances of an image; None if it cannot be used.
        regions: Of each row, the mask and the extreme points.
        reason: The reason why the image cannot be used.
    """

    rows: tuple[int, ...]
    image: Any = None
    regions: tuple[tuple[Region, Extent], ...] = ()
    reason: str = ""


def crop_rows(
    catalog: Catalog,
    rows: Sequence[int],
    scheme: ViewScheme,
    side: int,
    workers: int,
    *,
    interpolation: Interpolation = "bicubic",
    pool: Executor | None = None,
) -> Iterator[Chunk]:
    """Crop the views of some rows, in order, ahead of the consumer.

    The workers are threads: Pillow decodes and resizes without Python's lock, and their results need no copying.

    Args:
        catalog: The data set; its root must be available.
        rows: Row numbers, ascending; the image of consecutive rows is decoded once.
        scheme: The views.
        side: The side of the encoder's input, px.
        workers: Number of threads.
        interpolation: The filter that resizes crops.
        pool: As many threads that also do other work; own ones if None.
    """
    per_instance = len(scheme.views) * side * side * 4
    cut = under_pixel_limit(_cut)
    tasks = (
        (partial(cut, reader, part, scheme, side, interpolation), len(part) * per_instance)
        for reader, part in _parts(catalog, rows, max(1, CHUNK_BYTES // per_instance))
    )
    return _ahead(tasks, workers, pool)


def uncut_rows(
    catalog: Catalog,
    rows: Sequence[int],
    workers: int,
    prepare: Callable[[NDArray[np.uint8]], object],
    *,
    pool: Executor | None = None,
) -> Iterator[Uncut]:
    """Decode the images and draw the masks of some rows, in order, ahead of a consumer that cuts the crops.

    Args:
        catalog: The data set; its root must be available.
        rows: Row numbers, ascending; the image of consecutive rows is decoded once.
        workers: Number of threads.
        prepare: Called by a worker with an image's pixels, uint8 ``[height, width, 3]``; returns
            :attr:`Uncut.image`.
        pool: As many threads that also do other work; own ones if None.
    """
    heights, widths = catalog.column("image_height"), catalog.column("image_width")
    drawn = under_pixel_limit(_drawn)
    tasks = (
        (partial(drawn, reader, part, prepare), 3 * heights[part[0]] * widths[part[0]])
        for reader, part in _parts(catalog, rows, REGIONS_AT_ONCE)
    )
    return _ahead(tasks, workers, pool)


def _parts(catalog: Catalog, rows: Sequence[int], most: int) -> Iterator[tuple[_Reader, tuple[int, ...]]]:
    """The rows by image; an image with very many instances comes in parts, but is decoded once."""
    images = catalog.column("image")
    for _, group in groupby(rows, key=lambda row: images[row]):
        own = tuple(group)
        reader = _Reader(catalog, own)
        for start in range(0, len(own), most):
            yield reader, own[start : start + most]


def _ahead(
    tasks: Iterable[tuple[Callable[[], list[Result]], int]], workers: int, pool: Executor | None
) -> Iterator[Result]:
    """The results of tasks, in order, each of which takes some bytes until it is consumed."""
    waiting: deque[tuple[Future[list[Result]], int]] = deque()
    held = 0
    with nullcontext(pool) if pool else ThreadPoolExecutor(workers, thread_name_prefix="flawshot-crop") as threads:
        try:
            for task, size in tasks:
                waiting.append((threads.submit(task), size))
                held += size
                if len(waiting) > CHUNKS_AHEAD * workers and held > BYTES_AHEAD:
                    future, size_of_first = waiting.popleft()
                    held -= size_of_first
                    yield from future.result()
            while waiting:
                yield from waiting.popleft()[0].result()
        finally:
            for future, _ in waiting:
                future.cancel()


def decode_rows(catalog: Catalog, rows: Sequence[int]) -> Iterator[tuple[Instance, Image.Image | None, str]]:
    """Instances with their entire image, upright, mode ``RGB``; or None and the reason why it cannot be used."""
    images = catalog.column("image")
    for _, group in groupby(rows, key=lambda row: images[row]):
        own = list(group)
        reader = _Reader(catalog, own)
        for row in own:
            instance = reader.instance(row)
            try:
                yield instance, _fitting(reader.image(), instance), ""
            except ImageError as error:
                yield instance, None, str(error)


def _fitting(image: Image.Image, instance: Instance) -> Image.Image:
    """Check that the image has the size that the annotation states."""
    if image.size != (instance.image_width, instance.image_height):
        raise ImageError(
            f"{instance.image}: is {image.width} x {image.height} px, but {instance.annotation} says "
            f"{instance.image_width} x {instance.image_height}"
        )
    return image


class _Reader:
    """One image, decoded when it is first needed."""

    def __init__(self, catalog: Catalog, rows: Sequence[int]) -> None:
        self._instances = {row: catalog[row] for row in rows}
        self._catalog = catalog
        self._image: Image.Image | ImageError | None = None
        self._prepared: object = None
        self._lock = threading.Lock()

    def instance(self, row: int) -> Instance:
        return self._instances[row]

    def image(self) -> Image.Image:
        with self._lock:  # another part of the same image may be decoding it
            if self._image is None:
                first = next(iter(self._instances.values()))
                try:
                    source = self._catalog.image_source(first.image, first.annotation)
                    self._image = read_image(source, first.image)
                except ImageError as error:
                    self._image = error
        if isinstance(self._image, ImageError):
            raise self._image
        return self._image

    def prepared(self, prepare: Callable[[NDArray[np.uint8]], object]) -> object:
        """What is made of the image's pixels, once."""
        image = self.image()
        with self._lock:
            if self._prepared is None:
                self._prepared = prepare(np.array(image))
            return self._prepared


def _cut(
    reader: _Reader, rows: tuple[int, ...], scheme: ViewScheme, side: int, interpolation: Interpolation
) -> list[Chunk]:
    try:
        image = reader.image()
    except ImageError as error:
        return [Chunk(rows, reason=str(error))]
    chunks = []
    for row in rows:
        instance = reader.instance(row)
        try:
            own = _fitting(image, instance)
            crops = crop_views(
                own, instance.region(), scheme, side, extent=extent_of(instance), interpolation=interpolation
            )
            chunks.append(Chunk((row,), (crops,)))
        except ImageError as error:
            chunks.append(Chunk((row,), reason=str(error)))
    return chunks


def _drawn(reader: _Reader, rows: tuple[int, ...], prepare: Callable[[NDArray[np.uint8]], object]) -> list[Uncut]:
    try:
        image, prepared = reader.image(), reader.prepared(prepare)
    except ImageError as error:
        return [Uncut(rows, reason=str(error))]
    made = []
    for row in rows:
        instance = reader.instance(row)
        try:
            _fitting(image, instance)
            made.append(Uncut((row,), prepared, ((instance.region(), extent_of(instance)),)))
        except ImageError as error:
            made.append(Uncut((row,), reason=str(error)))
    return made
