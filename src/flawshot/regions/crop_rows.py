"""Views of a catalog's rows, cropped from their images ahead of the consumer."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from flawshot.labelme.data_folder import image_source
from flawshot.labelme.images import ImageError, read_image, under_pixel_limit
from flawshot.regions.crops import Crops, crop_views
from flawshot.regions.views import extent_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.regions.crops import Interpolation
    from flawshot.regions.views import ViewScheme

__all__ = ["Chunk", "crop_rows", "decode_rows"]

# The maximum memory for the crops that a worker makes at a time.
CHUNK_BYTES = 32 * 2**20
# Each worker is this many chunks ahead of the encoder, or more if they are small.
CHUNKS_AHEAD = 2
BYTES_AHEAD = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Chunk:
    """Instances of one image, cropped by a worker."""

    rows: tuple[int, ...]
    crops: tuple[Crops, ...] = ()
    reason: str = ""


def crop_rows(
    catalog: Catalog,
    rows: Sequence[int],
    scheme: ViewScheme,
    side: int,
    workers: int,
    *,
    interpolation: Interpolation = "bicubic",
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
    """
    per_instance = len(scheme.views) * side * side * 4
    most = max(1, CHUNK_BYTES // per_instance)
    waiting: deque[Future[list[Chunk]]] = deque()
    held = 0
    cut = under_pixel_limit(_cut)
    images = catalog.column("image")
    groups = (tuple(group) for _, group in groupby(rows, key=lambda row: images[row]))
    with ThreadPoolExecutor(workers, thread_name_prefix="flawshot-crop") as pool:
        try:
            for group in groups:
                reader = _Reader(catalog, group)
                # An image with very many instances is cropped in parts, but decoded once.
                for start in range(0, len(group), most):
                    part = group[start : start + most]
                    waiting.append(pool.submit(cut, reader, part, scheme, side, interpolation))
                    held += len(part) * per_instance
                    if len(waiting) > CHUNKS_AHEAD * workers and held > BYTES_AHEAD:
                        chunks = waiting.popleft().result()
                        held -= sum(len(chunk.rows) for chunk in chunks) * per_instance
                        yield from chunks
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
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
        self._root = catalog.root
        self._image: Image.Image | ImageError | None = None
        self._lock = threading.Lock()

    def instance(self, row: int) -> Instance:
        return self._instances[row]

    def image(self) -> Image.Image:
        with self._lock:  # another part of the same image may be decoding it
            if self._image is None:
                first = next(iter(self._instances.values()))
                try:
                    source = image_source(self._root, first.image, first.annotation)
                    self._image = read_image(source, first.image)
                except ImageError as error:
                    self._image = error
        if isinstance(self._image, ImageError):
            raise self._image
        return self._image


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
