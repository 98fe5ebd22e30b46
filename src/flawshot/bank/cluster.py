"""A Ray cluster whose nodes encode blocks of rows, with the same results as this machine alone."""

from __future__ import annotations

import heapq
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import torch

from flawshot.bank.actor_pool import ActorPool
from flawshot.bank.block_worker import BlockTask, EncoderRecipe, encode_table
from flawshot.bank.blocks import Encoded
from flawshot.bank.encoding import crops_per_call
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.ray_connection import connect_to_ray
from flawshot.base.wording import counted
from flawshot.labelme.images import under_pixel_limit
from flawshot.regions.crop_rows import decode_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flawshot.bank.block_worker import EncodedTable
    from flawshot.catalog import Catalog
    from flawshot.encoders.base import Encoder
    from flawshot.regions.views import ViewScheme

__all__ = ["RayCluster"]

# Times that the same block may fail, each on an actor of its own.
MOST_FAILURES = 5
# Blocks that are given out or waiting for an earlier one, per actor; two of them are with the actor.
BLOCKS_AHEAD = 4


class RayCluster:
    """Encodes on the nodes of a Ray cluster; a context manager, within which actors keep their encoder.

    The results are the same to the byte as on one machine. A node or process that dies loses only its blocks, which
    others encode again. Images, and weights that are a file, must have the same path on every node.

    Args:
        address: ``local`` starts Ray on this machine, and ``auto`` or ``HOST:PORT`` connects to a cluster. If this
            process is connected to one already, it is used.
        actors: Number of actors, each with an encoder of its own; if 0, as many as there is room for now.
        cpus_per_actor: CPUs of each; if 0, one, or the node's share per GPU.
        gpus_per_actor: GPUs of each, such as 1 or 0.5; if None, one if the encoder is on a GPU here.
        pretrained: The encoder's weights file, if its weights came from one.
        make: Given ``cpu`` or ``cuda``, makes the encoder; only for one that cannot be rebuilt from its record.

    Raises:
        FlawshotError: If an argument is invalid, or Ray is not installed or cannot be reached.

    Attributes:
        done: Instances encoded so far, by node.
        failures: How often a block had to be given to another actor, by node.
    """

    def __init__(
        self,
        address: str = "local",
        *,
        actors: int = 0,
        cpus_per_actor: int = 0,
        gpus_per_actor: float | None = None,
        pretrained: str | Path | None = None,
        make: Callable[[str], Encoder] | None = None,
    ) -> None:
        for name, value in (("actors", actors), ("cpus_per_actor", cpus_per_actor)):
            if value < 0:
                raise FlawshotError(f"{argument(name, value)}: must be at least 0")
        if gpus_per_actor is not None and (gpus_per_actor < 0 or (gpus_per_actor > 1 and gpus_per_actor % 1)):
            raise FlawshotError(f"{argument('gpus_per_actor', gpus_per_actor)}: must be 0 to 1, or a whole number")
        self._count, self._cpus, self._gpus = actors, cpus_per_actor, gpus_per_actor
        given = None if pretrained is None else Path(pretrained)
        self._pretrained = str(given.resolve()) if given is not None and given.is_file() else None
        self._make = make
        self._pool: ActorPool | None = None
        self._encoder: Encoder | None = None
        self._call = 0
        self.done: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self._ray, self._connected = connect_to_ray(address)

    def __enter__(self) -> Self:
        """Nothing: actors start with the first block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster."""
        self.close()

    def close(self) -> None:
        """End the actors, and Ray itself if it was started for this object."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    @property
    def remarks(self) -> list[str]:
        """Remarks for the user on what was done where, one line each."""
        said = []
        if self.done:
            said.append(f"encoded by node: {', '.join(f'{node} {count}' for node, count in sorted(self.done.items()))}")
        if self.failures:
            lost = ", ".join(f"{node} {count}" for node, count in sorted(self.failures.items()))
            said.append(f"encoded again after a failure, in blocks by node: {lost}")
        kinds = sorted(set(self._pool.processors.values())) if self._pool is not None else []
        if len(kinds) > 1:
            said.append(f"nodes compute with {' and '.join(kinds)}, whose rounding may differ")
        return said

    def crops_per_call(self, encoder: Encoder, batch_size: int) -> int:
        """See :meth:`flawshot.bank.machines.Machines.crops_per_call`."""
        return crops_per_call(torch.device(self._device(encoder)), batch_size)

    def encode_blocks(
        self,
        catalog: Catalog,
        blocks: Sequence[Sequence[int]],
        encoder: Encoder,
        scheme: ViewScheme,
        *,
        batch_size: int,
        workers: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Encoded]:
        """Encode blocks on the cluster; see :meth:`flawshot.bank.machines.Machines.encode_blocks`.

        Args:
            catalog: The data set; its root must have the same path on every node.
            blocks: As for :func:`flawshot.bank.encoding.encode_blocks`.
            encoder: The encoder; actors make their own, and check that it is the same.
            scheme: The views.
            batch_size: Crops per call of the encoder.
            workers: Threads per actor that decode and crop; if 0, as many as an actor has CPUs.
            progress: Called with the number of crops done on all nodes and the total.

        Raises:
            FlawshotError: If a node cannot see the images or the weights, or has another encoder; if a block fails
                again and again; or if there is no room for an actor.
        """
        if not blocks:
            return
        pool, cpus = self._started(encoder)
        self._call += 1
        root, images = (None if place is None else str(place.resolve()) for place in (catalog.root, catalog.images))
        run = under_pixel_limit(encode_table)
        total, done = len(scheme.views) * sum(map(len, blocks)), 0
        queue = _Queue(len(blocks), BLOCKS_AHEAD * len(pool))
        early: dict[int, list[Encoded]] = {}
        while queue.first < len(blocks):
            while (actor := pool.free()) is not None and (index := queue.next()) is not None:
                rows = catalog.table.take(pa.array(blocks[index], pa.int64()))
                task = BlockTask(rows, root, images, scheme, batch_size, workers or cpus, run)
                pool.give(actor, (self._call, index), task)
            for (call, index), node, encoded, reason in pool.outcomes():
                if call != self._call:  # of an earlier call that was not finished
                    continue
                if encoded is None:
                    self.failures[node] += 1
                    if queue.failed(index, counts=bool(reason)) >= MOST_FAILURES:
                        raise _poisoned(catalog, blocks[index], reason)
                    continue
                early[index] = _parts(catalog, blocks[index], encoded, node)
                self.done[node] += len(encoded.usable)
                done += len(scheme.views) * len(blocks[index])
                if progress is not None:
                    progress(done, total)
            while queue.first in early:
                yield from early.pop(queue.first)
                queue.first += 1

    def _device(self, encoder: Encoder) -> str:
        gpus = self._gpus if self._gpus is not None else float(encoder.device.type == "cuda")
        return "cuda" if gpus else "cpu"

    def _started(self, encoder: Encoder) -> tuple[ActorPool, int]:
        """The actors with this encoder, and the CPUs of each."""
        gpus = (self._gpus or 1.0) if self._device(encoder) == "cuda" else 0.0
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        having = [node for node in nodes if node.get("GPU", 0) >= gpus > 0]
        cpus = self._cpus or max(1, min((int(node.get("CPU", 0) * gpus / node["GPU"]) for node in having), default=1))
        if self._pool is None or self._encoder is not encoder:
            room = sum(
                min(int(node.get("CPU", 0) // cpus), int(node.get("GPU", 0) // gpus) if gpus else 10**6)
                for node in nodes
            )
            if not (self._count or room):
                needs = f"{cpus} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
                raise FlawshotError(
                    f"no node of the Ray cluster has {needs} for an actor; start such a node, ask for less with "
                    f"{argument('cpus_per_actor')} and {argument('gpus_per_actor')}, or say with "
                    f"{argument('actors')} how many to wait for"
                )
            if self._pool is not None:
                self._pool.close()
            recipe = EncoderRecipe(encoder.record, self._device(encoder), self._pretrained, self._make, cpus)
            options = {"num_cpus": cpus} | ({"num_gpus": gpus} if gpus else {})
            self._pool = ActorPool(self._ray, recipe, self._count or room, options)
            self._encoder = encoder
        return self._pool, cpus


class _Queue:
    """The numbers of the blocks that are to be given out.

    Args:
        count: Number of blocks.
        ahead: How many may be given out, or wait, from the first that is not done.

    Attributes:
        first: The first block that is not done; whoever takes its results counts on.
    """

    def __init__(self, count: int, ahead: int) -> None:
        self._count, self._ahead = count, ahead
        self._following = self.first = 0
        self._again: list[int] = []
        self._failed: Counter[int] = Counter()

    def next(self) -> int | None:
        """The next block to give out; None if there is none at present."""
        if self._again:
            return heapq.heappop(self._again)
        if self._following >= min(self._count, self.first + self._ahead):
            return None
        self._following += 1
        return self._following - 1

    def failed(self, index: int, *, counts: bool) -> int:
        """Take a block back; returns how often that was the block's own failure."""
        heapq.heappush(self._again, index)
        self._failed[index] += counts
        return self._failed[index]


def _parts(catalog: Catalog, block: Sequence[int], encoded: EncodedTable, node: str) -> list[Encoded]:
    """A block's results by the catalog's rows.

    Raises:
        FlawshotError: If a node cannot read an image that this one can.
    """
    parts = [Encoded(tuple(block[position] for position in encoded.usable), encoded.features)] if encoded.usable else []
    for positions, reason in encoded.unusable:
        rows = tuple(block[position] for position in positions)
        for instance, image, _ in decode_rows(catalog, rows):
            if image is not None:
                raise FlawshotError(
                    f"{catalog.image_root}: {instance.image}: cannot be used on node {node} ({reason}), but can be "
                    "here; make the data available at the same path on every node"
                )
        parts.append(Encoded(rows, None, reason))
    return parts


def _poisoned(catalog: Catalog, block: Sequence[int], reason: str) -> FlawshotError:
    return FlawshotError(
        f"{catalog[block[0]].image}: the block of {counted(len(block), 'instance')} that begins with it has failed on "
        f"{MOST_FAILURES} actors, last because: {reason}; give actors more memory, lower {argument('batch_size')}, or "
        "encode without Ray; what is done is kept"
    )
