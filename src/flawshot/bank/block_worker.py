"""A process on some machine that encodes blocks of rows which another process sends it."""

from __future__ import annotations

import platform
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from flawshot.bank.encoding import encode_blocks
from flawshot.bank.records import library_versions
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.records import encoder_difference, shown
from flawshot.catalog import Catalog
from flawshot.encoders import rebuild_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from numpy.typing import NDArray

    from flawshot.base.records import EncoderRecord
    from flawshot.encoders.base import Encoder
    from flawshot.regions.views import ViewScheme

__all__ = ["BlockTask", "BlockWorker", "EncodedTable", "EncoderRecipe", "Loaded", "Refused", "encode_table"]


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """How a worker makes the encoder.

    Attributes:
        record: The record that the encoder must have.
        device: ``cpu`` or ``cuda``.
        pretrained: The weights file, absolute, if the weights came from one.
        make: Given the device, makes an encoder that cannot be rebuilt from its record; None for all others.
        threads: Torch's threads.
    """

    record: EncoderRecord
    device: str
    pretrained: str | None
    make: Callable[[str], Encoder] | None
    threads: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a worker says of itself once it has its encoder.

    Attributes:
        node: The name of its machine.
        libraries: Versions of the libraries that features depend on.
        processor: The kind of device that computes, since rounding depends on it.
    """

    node: str
    libraries: dict[str, str]
    processor: str


@dataclass(frozen=True, slots=True)
class BlockTask:
    """A block to encode.

    Attributes:
        table: The block's rows of the catalog.
        root: The data root, absolute.
        images: The folder of the images, absolute, if it is not the root.
        scheme: The views.
        crops: Crops per call of the encoder.
        workers: Threads that decode and crop.
        run: :func:`encode_table`, under the limits of the process that sends the block.
    """

    table: pa.Table
    root: str | None
    images: str | None
    scheme: ViewScheme
    crops: int
    workers: int
    run: Callable[..., EncodedTable]


@dataclass(frozen=True, slots=True)
class EncodedTable:
    """A block that was encoded.

    Attributes:
        usable: Positions in the block of rows with features.
        features: Theirs, float16 ``[usable, views, tokens, dim]``.
        unusable: Other positions, and the reason why their image cannot be used.
    """

    usable: tuple[int, ...]
    features: NDArray[np.float16]
    unusable: tuple[tuple[tuple[int, ...], str], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a worker cannot do what it was sent, in one line with its arguments marked."""

    reason: str


class BlockWorker:
    """Encodes blocks, one after another.

    Args:
        name: Given the machine's host name, returns a name that distinguishes it.
    """

    def __init__(self, name: Callable[[str], str] = str) -> None:
        self._node = name(socket.gethostname())
        self._encoder: Encoder | None = None

    def load(self, recipe: EncoderRecipe) -> Loaded | Refused:
        """Make the encoder, and check that it is the one that was meant."""
        torch.set_num_threads(recipe.threads)
        if recipe.pretrained is not None and not Path(recipe.pretrained).is_file():
            return Refused(
                f"{argument('pretrained', recipe.pretrained)}: is not visible on node {self._node}; make it available "
                "at the same path on every node"
            )
        try:
            if recipe.make is None:
                self._encoder = rebuild_encoder(
                    recipe.record,
                    f"node {self._node}",
                    pretrained=recipe.pretrained,
                    device=recipe.device,
                    precision=recipe.record.precision,
                )
            else:
                self._encoder = recipe.make(recipe.device)
        except FlawshotError as error:
            return Refused(f"{error.marked} (on node {self._node})")
        if (differs := encoder_difference(self._encoder.record, recipe.record, precision=True)) is not None:
            field, ours, theirs = differs
            return Refused(f"node {self._node}: encoder.{field}: is {shown(ours)}, but must be {shown(theirs)}")
        return Loaded(self._node, library_versions(), _processor(self._encoder.device))

    def encode(self, task: BlockTask) -> EncodedTable | Refused:
        """Encode a block with the encoder that was loaded."""
        for place in (task.root, task.images):
            if place is not None and not Path(place).is_dir():
                return Refused(
                    f"{place}: is not visible on node {self._node}; make the data available at the same path on every "
                    "node"
                )
        try:
            return task.run(self._encoder, task)
        except FlawshotError as error:
            return Refused(f"{error.marked} (on node {self._node})")


def encode_table(encoder: Encoder, task: BlockTask) -> EncodedTable:
    """Encode a block.

    Args:
        encoder: The encoder.
        task: The block.

    Raises:
        FlawshotError: If the device has too little memory.
    """
    root, images = (None if place is None else Path(place) for place in (task.root, task.images))
    catalog = Catalog(task.table, root, images=images)
    block = range(len(catalog))
    parts = list(encode_blocks(catalog, [block], encoder, task.scheme, batch_size=task.crops, workers=task.workers))
    several = [part.features for part in parts if part.features is not None]
    shape = (0, len(task.scheme.views), len(encoder.record.tokens), encoder.dim)
    return EncodedTable(
        tuple(row for part in parts if part.features is not None for row in part.rows),
        np.concatenate(several) if several else np.zeros(shape, np.float16),
        tuple((part.rows, part.reason) for part in parts if part.features is None),
    )


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}" if device.type == "cpu" else device.type
