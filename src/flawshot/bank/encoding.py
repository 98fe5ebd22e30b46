"""Encoding of a catalog's views, with decoding and cropping in parallel and constant memory."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.parallel import cores
from flawshot.encoders.preprocessing import interpolation_of
from flawshot.regions.crop_rows import crop_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from flawshot.catalog import Catalog
    from flawshot.encoders.base import Encoder
    from flawshot.regions.views import ViewScheme

    Encode = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

__all__ = ["Encoded", "encode_rows"]

# Crops that a core encodes at once: fewer cost time in calls, more cost memory.
CROPS_PER_CORE = 16


@dataclass(frozen=True, slots=True)
class Encoded:
    """Some rows of a catalog on their way into a bank.

    Attributes:
        rows: Row numbers.
        features: float16 ``[rows, views, tokens, dim]``, or None if the image cannot be used.
        reason: The reason why it cannot be used.
    """

    rows: tuple[int, ...]
    features: NDArray[np.float16] | None
    reason: str = ""


@dataclass(slots=True)
class _Batch:
    """Crops to encode, which may span several instances, and the encoder's results."""

    images: torch.Tensor
    masks: torch.Tensor
    filled: int = 0
    out: list[torch.Tensor] = field(default_factory=list)

    def free(self) -> int:
        return len(self.images) - self.filled


def encode_rows(
    catalog: Catalog,
    rows: Sequence[int],
    encoder: Encoder,
    scheme: ViewScheme,
    *,
    batch_size: int = 0,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Encoded]:
    """Encode the views of some rows, in order.

    Args:
        catalog: The data set; its root must be available.
        rows: Row numbers, ascending.
        encoder: The encoder.
        scheme: The views.
        batch_size: Crops per batch, which may span several instances; chosen by the device if 0, and halved if the
            device runs out of memory. On the CPU, a batch is divided among torch's threads.
        workers: Threads that decode and crop; if 0, one per core of this process, at most sixteen.
        progress: Called with the number of crops done and the total.

    Yields:
        Each row with its features, or rows with the reason why their image cannot be used.
    """
    views, side = len(scheme.views), encoder.side
    threads = torch.get_num_threads() if encoder.device.type == "cpu" else 1
    usual = 256 if encoder.device.type == "cuda" else max(32, CROPS_PER_CORE * threads)
    size = min(batch_size or usual, max(1, views * len(rows)))
    batch = _Batch(
        torch.empty(size, side, side, 3, dtype=torch.uint8), torch.empty(size, side, side, dtype=torch.uint8)
    )
    if encoder.device.type == "cuda":
        batch.images, batch.masks = batch.images.pin_memory(), batch.masks.pin_memory()
    waiting: deque[int] = deque()
    done = 0
    chunks = crop_rows(
        catalog,
        rows,
        scheme,
        side,
        workers or min(16, cores()),
        interpolation=interpolation_of(encoder.record),
    )
    with _shared_out(encoder, threads) as encode:
        for chunk in chunks:
            if not chunk.crops:
                done += views * len(chunk.rows)
                yield Encoded(chunk.rows, None, chunk.reason)
                continue
            for row, crops in zip(chunk.rows, chunk.crops, strict=True):
                waiting.append(row)
                taken = 0
                while taken < views:
                    count = min(views - taken, batch.free())
                    place = slice(batch.filled, batch.filled + count)
                    batch.images[place] = torch.from_numpy(crops.images[taken : taken + count])
                    batch.masks[place] = torch.from_numpy(crops.masks[taken : taken + count])
                    batch.filled += count
                    taken += count
                    if not batch.free():
                        done += _run(encode, batch)
                        yield from _whole_rows(batch, waiting, views)
                        if progress is not None:
                            progress(done, views * len(rows))
        if batch.filled:
            done += _run(encode, batch)
            yield from _whole_rows(batch, waiting, views)
    if progress is not None:
        progress(views * len(rows), views * len(rows))


@contextmanager
def _shared_out(encoder: Encoder, threads: int) -> Iterator[Encode]:
    """The encoder's function; with several threads, each encodes a part of the batch independently.

    Threads that share the work of one layer wait for each other after it, for long if one of them is preempted.
    """
    if threads == 1:
        yield encoder.encode
        return

    def encode(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        return torch.cat(list(pool.map(encoder.encode, images.chunk(threads), masks.chunk(threads))))

    with ThreadPoolExecutor(threads, "flawshot-encode", torch.set_num_threads, (1,)) as pool:
        try:
            yield encode
        finally:
            torch.set_num_threads(threads)  # for threads started later; existing ones keep their own number


def _run(encode: Encode, batch: _Batch) -> int:
    """Encode and empty the batch; returns the number of crops."""
    count = batch.filled
    step = count
    start = 0
    while start < count:
        part = slice(start, min(start + step, count))
        try:
            features = encode(batch.images[part], batch.masks[part])
        except torch.OutOfMemoryError:
            if step == 1:
                raise FlawshotError(
                    f"{argument('device')}: has too little memory for one crop; free some of it, or use "
                    f"{argument('device', 'cpu')}"
                ) from None
            step = max(1, step // 2)
            continue
        batch.out.append(features.to("cpu", torch.float16))
        start = part.stop
    batch.filled = 0
    return count


def _whole_rows(batch: _Batch, waiting: deque[int], views: int) -> Iterator[Encoded]:
    """The rows whose views are all encoded; the others stay in the batch."""
    features = torch.cat(batch.out)
    whole = len(features) // views
    for number in range(whole):
        yield Encoded((waiting.popleft(),), features[number * views : (number + 1) * views].numpy()[None])
    batch.out = [features[whole * views :].clone()] if len(features) % views else []
