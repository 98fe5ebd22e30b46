"""Encoding of a catalog's views, with decoding, cropping and transfers in parallel and constant memory."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from PIL import Image

from flawshot.bank.blocks import Encoded, blocks_of, rows_per_block
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.parallel import cores
from flawshot.encoders.preprocessing import interpolation_of
from flawshot.regions.crop_rows import crop_rows, uncut_rows
from flawshot.regions.crops import crop_views
from flawshot.regions.device_crops import device_crop_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from flawshot.catalog import Catalog
    from flawshot.encoders.base import Encoder
    from flawshot.regions.views import ViewScheme

    # Starts to encode crops and masks, and returns a function that waits for the features.
    Start = Callable[[torch.Tensor, torch.Tensor], Callable[[], torch.Tensor]]

__all__ = ["CropsOn", "crops_per_call", "encode_blocks", "encode_rows"]

CropsOn = Literal["cpu", "device"]

# Crops per call of the encoder if the user names no number: fewer cost time in calls, more cost memory. It depends on
# nothing but the kind of device, because rounding depends on it.
CPU_CROPS = 16
GPU_CROPS = 256
# Batches on a GPU: one is filled, one on its way, one computed.
GPU_BATCHES = 3


@dataclass(slots=True)
class _Batch:
    """Memory for crops, which may span several instances; while :attr:`wait` is set, the encoder reads it."""

    images: torch.Tensor
    masks: torch.Tensor
    filled: int = 0
    wait: Callable[[], torch.Tensor] | None = None


@dataclass(slots=True)
class _Results:
    """Features in the order of the crops, until all views of a row are there."""

    views: int
    total: int
    progress: Callable[[int, int], None] | None
    rows: deque[int] = field(default_factory=deque)
    features: list[torch.Tensor] = field(default_factory=list)
    done: int = 0

    def take(self, batch: _Batch) -> Iterator[Encoded]:
        """Wait for a batch, and give the rows that are complete."""
        if batch.wait is None:
            return
        self.features.append(batch.wait())
        batch.wait = None
        self.done += batch.filled
        batch.filled = 0
        features = torch.cat(self.features)
        whole = len(features) // self.views
        for number in range(whole):
            own = features[number * self.views : (number + 1) * self.views]
            yield Encoded((self.rows.popleft(),), own.numpy()[None])
        self.features = [features[whole * self.views :].clone()]
        if self.progress is not None:
            self.progress(self.done, self.total)


def encode_rows(
    catalog: Catalog,
    rows: Sequence[int],
    encoder: Encoder,
    scheme: ViewScheme,
    *,
    batch_size: int = 0,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
    crops_on: CropsOn | None = None,
) -> Iterator[Encoded]:
    """Encode the views of some rows, in order; arguments and errors as for :func:`encode_blocks`."""
    crops = crops_per_call(encoder.device, batch_size)
    size = rows_per_block(encoder, len(scheme.views), crops)
    return encode_blocks(
        catalog,
        blocks_of(rows, catalog.column("image"), size),
        encoder,
        scheme,
        batch_size=crops,
        workers=workers,
        progress=progress,
        crops_on=crops_on,
    )


def encode_blocks(
    catalog: Catalog,
    blocks: Sequence[Sequence[int]],
    encoder: Encoder,
    scheme: ViewScheme,
    *,
    batch_size: int = 0,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
    crops_on: CropsOn | None = None,
) -> Iterator[Encoded]:
    """Encode the views of some blocks of rows, in order.

    Which crops an encoder is given together depends on the blocks and the batch size only, so that a block's features
    are the same to the byte whatever is encoded before it, beside it, and by how many threads.

    Args:
        catalog: The data set; its root must be available.
        blocks: Row numbers, ascending; no batch contains crops of two blocks.
        encoder: The encoder.
        scheme: The views.
        batch_size: Crops per call of the encoder, which may belong to several instances; if 0, as many as suit the
            kind of device. They are halved if the device runs out of memory. On the CPU, each of torch's threads
            encodes a batch of its own.
        workers: Threads that decode and crop; if 0, one per core of this process, at most sixteen. On the CPU, the
            same threads encode.
        progress: Called with the number of crops done and the total.
        crops_on: Where crops are cut: on the ``cpu`` by Pillow, or on the encoder's ``device`` by torch, with the same
            pixels; if None, on the device if it is a CUDA GPU.

    Yields:
        Each row with its features, or rows with the reason why their image cannot be used.

    Raises:
        FlawshotError: If a device has too little memory, or an argument is invalid.
    """
    if crops_on not in {None, *get_args(CropsOn)}:
        raise FlawshotError(f"{argument('crops_on', crops_on)}: must be cpu or device")
    views, device = len(scheme.views), encoder.device
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    rows = [row for block in blocks for row in block]
    last = {block[-1] for block in blocks if len(block)}
    most = min(crops_per_call(device, batch_size), max(1, views * max((len(block) for block in blocks), default=0)))
    results = _Results(views, views * len(rows), progress)
    on_device = device.type == "cuda" if crops_on is None else crops_on == "device"
    count = threads + 1 if device.type == "cpu" else GPU_BATCHES
    batches = deque(_empty_batch(most, encoder, device if on_device else torch.device("cpu")) for _ in range(count))
    with _starting(encoder, threads, workers or min(16, cores())) as (start, croppers, pool):
        cut = _crops(catalog, rows, encoder, scheme, croppers, pool=pool, on_device=on_device)
        for own, crops, reason in cut:
            if crops is None:
                results.done += views * len(own)
                yield Encoded(own, None, reason)
            else:
                results.rows.extend(own)
            taken = 0
            while crops is not None and taken < views:
                batch = batches[0]
                yield from results.take(batch)
                taken += _fill(batch, crops, taken)
                if batch.filled == len(batch.images):
                    batch.wait = start(batch.images, batch.masks)
                    batches.rotate(-1)
            batch = batches[0]
            if batch.wait is None and batch.filled and not last.isdisjoint(own):
                batch.wait = start(batch.images[: batch.filled], batch.masks[: batch.filled])
                batches.rotate(-1)
        for batch in batches:
            yield from results.take(batch)
    if progress is not None:
        progress(results.total, results.total)


def crops_per_call(device: torch.device, batch_size: int = 0) -> int:
    """How many crops :func:`encode_blocks` gives an encoder at a time.

    Args:
        device: The encoder's device; only its kind matters.
        batch_size: As for :func:`encode_blocks`.
    """
    return batch_size or (GPU_CROPS if device.type == "cuda" else CPU_CROPS)


def _empty_batch(size: int, encoder: Encoder, place: torch.device) -> _Batch:
    side, pinned = encoder.side, encoder.device.type == "cuda" and place.type == "cpu"
    return _Batch(
        torch.empty(size, side, side, 3, dtype=torch.uint8, device=place, pin_memory=pinned),
        torch.empty(size, side, side, dtype=torch.uint8, device=place, pin_memory=pinned),
    )


def _fill(batch: _Batch, crops: Any, taken: int) -> int:
    """Add crops from number ``taken`` on, as many as fit; returns how many."""
    count = min(len(crops.images) - taken, len(batch.images) - batch.filled)
    for to, given in ((batch.images, crops.images), (batch.masks, crops.masks)):
        place, part = to[batch.filled : batch.filled + count], torch.as_tensor(given[taken : taken + count])
        if place.is_cpu and part.is_cpu:  # by NumPy: torch would wake its threads for it, which then spin for a while
            place.numpy()[:] = part.numpy()
        else:
            place.copy_(part)
    batch.filled += count
    return count


def _crops(
    catalog: Catalog,
    rows: Sequence[int],
    encoder: Encoder,
    scheme: ViewScheme,
    workers: int,
    *,
    pool: Executor | None,
    on_device: bool,
) -> Iterator[tuple[tuple[int, ...], Any, str]]:
    """Each row with its crops, or rows, None and the reason."""
    interpolation = interpolation_of(encoder.record)
    if not on_device:
        for chunk in crop_rows(catalog, rows, scheme, encoder.side, workers, interpolation=interpolation, pool=pool):
            if not chunk.crops:
                yield chunk.rows, None, chunk.reason
            for row, own in zip(chunk.rows, chunk.crops, strict=False):
                yield (row,), own, ""
        return
    stage = torch.Tensor.pin_memory if encoder.device.type == "cuda" else torch.Tensor.contiguous
    image, uploaded = None, torch.empty(0)
    for uncut in uncut_rows(catalog, rows, workers, lambda pixels: stage(torch.from_numpy(pixels)), pool=pool):
        if uncut.image is None:
            yield uncut.rows, None, uncut.reason
            continue
        if uncut.image is not image:
            image = uncut.image
            uploaded = image.to(encoder.device, non_blocking=True)
        for row, (region, extent) in zip(uncut.rows, uncut.regions, strict=True):
            given: Any = (region, scheme, encoder.side)
            try:
                crops: Any = device_crop_views(uploaded, *given, extent=extent, interpolation=interpolation)
            except torch.OutOfMemoryError:  # Pillow makes the same crops
                crops = crop_views(Image.fromarray(image.numpy()), *given, extent=extent, interpolation=interpolation)
            yield (row,), crops, ""


@contextmanager
def _starting(encoder: Encoder, threads: int, workers: int) -> Iterator[tuple[Start, int, Executor | None]]:
    """What starts the encoder, the number of threads for crops, and these threads if they are shared with it.

    On the CPU, each thread encodes a batch by itself: threads that share the work of one layer wait for each other
    after it, for long if one of them is preempted. The same threads cut the crops, so that no more than one per core
    is busy.
    """
    if encoder.device.type != "cpu":
        yield _Queue(encoder).start, workers, None
        return
    count = max(threads, workers)
    with ThreadPoolExecutor(count, "flawshot-encode", torch.set_num_threads, (1,)) as pool:
        try:
            yield lambda images, masks: pool.submit(_features, encoder, images, masks).result, count, pool
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # for threads started later; existing ones keep their own number


class _Queue:
    """Uploads, encodes and downloads batches on a GPU, without waiting for any of it.

    Uploads have a stream of their own, so that they need not wait for the batch before. On other devices, torch's
    streams of the CPU, which do everything at once, take the places of a GPU's.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._on_gpu = encoder.device.type == "cuda"
        self._streams: Any = torch.cuda if self._on_gpu else torch.cpu
        self._uploads = self._streams.Stream()

    def start(self, images: torch.Tensor, masks: torch.Tensor) -> Callable[[], torch.Tensor]:
        """Queue a batch; the returned function waits for its features, and until then the batch must not change."""
        device, stream = self._encoder.device, self._streams.current_stream()
        if images.device != device:
            with self._streams.stream(self._uploads):
                images, masks = images.to(device, non_blocking=True), masks.to(device, non_blocking=True)
            stream.wait_stream(self._uploads)
            if self._on_gpu:  # their memory must not be given away before they are encoded
                images.record_stream(stream)
                masks.record_stream(stream)
        features = _features(self._encoder, images, masks)
        out = torch.empty(features.shape, dtype=torch.float16, pin_memory=self._on_gpu)
        out.copy_(features, non_blocking=self._on_gpu)
        finished = self._streams.Event()
        finished.record(stream)

        def wait() -> torch.Tensor:
            finished.synchronize()
            return out

        return wait


def _features(encoder: Encoder, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """float16 ``[crops, tokens, dim]`` on the encoder's device; in halves if there is too little memory."""
    try:
        features = encoder.encode(images, masks)
    except torch.OutOfMemoryError:
        if len(images) == 1:
            raise FlawshotError(
                f"{argument('device')}: has too little memory for one crop; free some of it, or use "
                f"{argument('device', 'cpu')}"
            ) from None
    else:
        return features.to(torch.float16)
    half = len(images) // 2
    return torch.cat([_features(encoder, images[part], masks[part]) for part in (slice(half), slice(half, None))])
