"""Actors of Ray that encode blocks, replaced when they die; Ray itself is handed in by whoever started it."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.bank.block_worker import BlockWorker, Loaded, Refused
from flawshot.bank.records import library_versions
from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flawshot.bank.block_worker import BlockTask, EncodedTable, EncoderRecipe

    # The call that a block belongs to, and its number there.
    BlockKey = tuple[int, int]

__all__ = ["Actor", "ActorPool", "Outcome"]

# Blocks that an actor has: it encodes one, and the next is there when it is done.
BLOCKS_PER_ACTOR = 2
# Times that actors in a row may die while they load the encoder.
MOST_FAILED_STARTS = 5
# A machine may have to be started first.
START_SECONDS = 600.0
# How often it is looked whether any actor is left.
LOOK_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Actor:
    """An actor: until it has loaded the encoder, ``starting`` will tell its node; then ``tasks`` are its blocks."""

    handle: Any
    starting: Any
    node: str = ""
    tasks: deque[tuple[BlockKey, Any]] = field(default_factory=deque)


class Outcome(NamedTuple):
    """What became of a block.

    Attributes:
        key: The block's.
        node: Where it was.
        encoded: The result, or None if it must be given to another actor.
        reason: Why it failed, in one line; empty if it was only waiting for another block that did.
    """

    key: BlockKey
    node: str
    encoded: EncodedTable | None
    reason: str = ""


class ActorPool:
    """Actors that have an encoder, on whatever nodes Ray finds room for them.

    Args:
        ray: The module, connected to a cluster.
        recipe: How an actor makes its encoder.
        count: Number of actors.
        options: What each of them needs, as Ray's ``options`` takes it.

    Attributes:
        processors: By node, the kind of device that computes there.
    """

    def __init__(self, ray: Any, recipe: EncoderRecipe, count: int, options: Mapping[str, float]) -> None:
        self._ray = ray
        self._recipe = recipe
        self._options = dict(options)
        self._libraries = library_versions()
        self._failed_starts = 0
        self._alive_at = time.monotonic()
        self.processors: dict[str, str] = {}
        self._actors = [self._new() for _ in range(count)]

    def __len__(self) -> int:
        """The number of actors, with those that are still to start."""
        return len(self._actors)

    def free(self) -> Actor | None:
        """The actor with the fewest blocks, if it may have another one."""
        ready = [actor for actor in self._actors if actor.starting is None]
        least = min(ready, key=lambda actor: len(actor.tasks), default=None)
        return least if least is not None and len(least.tasks) < BLOCKS_PER_ACTOR else None

    def give(self, actor: Actor, key: BlockKey, task: BlockTask) -> None:
        """Give an actor a block; :meth:`outcomes` will return the key."""
        actor.tasks.append((key, actor.handle.encode.remote(task)))

    def outcomes(self) -> list[Outcome]:
        """Wait until anything happens, and return what became of blocks, if it was that.

        Raises:
            FlawshotError: If an actor refuses its work, actors cannot start, or there is room for none of them.
        """
        waiting = {
            (actor.tasks[0][1] if actor.starting is None else actor.starting): actor
            for actor in self._actors
            if actor.starting is not None or actor.tasks
        }
        ready, _ = self._ray.wait(list(waiting), num_returns=1, timeout=LOOK_SECONDS)
        if any(actor.starting is None for actor in self._actors):
            self._alive_at = time.monotonic()
        elif time.monotonic() - self._alive_at > START_SECONDS:
            raise FlawshotError(
                f"no node of the Ray cluster has had room for {self._needs()} for {START_SECONDS:.0f} s; start nodes "
                "with more, or ask for less"
            )
        made = []
        for reference in ready:
            actor = waiting[reference]
            if actor.starting is None:
                made += self._outcome(actor)
            else:
                self._welcome(actor)
        return made

    def close(self) -> None:
        """End all actors."""
        for actor in self._actors:
            self._end(actor)
        self._actors = []

    def _needs(self) -> str:
        return f"an actor with {' and '.join(f'{each} {name[4:].upper()}' for name, each in self._options.items())}"

    def _new(self) -> Actor:
        remote = self._ray.remote(BlockWorker).options(max_restarts=0, max_task_retries=0, **self._options)
        handle = remote.remote(_Named(self._ray))
        return Actor(handle, handle.load.remote(self._recipe))

    def _welcome(self, actor: Actor) -> None:
        """Take an actor on that has loaded its encoder."""
        try:
            loaded: Loaded | Refused = self._ray.get(actor.starting)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise FlawshotError(
                    f"{self._needs()} cannot start on the Ray cluster ({_reason(error)}); every node needs the same "
                    "flawshot, and memory for the encoder"
                ) from error
            self._replace(actor)
            return
        if isinstance(loaded, Refused):
            raise FlawshotError(loaded.reason)
        for name, version in self._libraries.items():
            theirs = loaded.libraries.get(name)
            if theirs != version:
                raise FlawshotError(
                    f"node {loaded.node}: has {name} {theirs or '(none)'}, but {version} is installed here, and "
                    "features may differ; install the same versions on every node"
                )
        self._failed_starts = 0
        self.processors[loaded.node] = loaded.processor
        actor.node, actor.starting = loaded.node, None

    def _outcome(self, actor: Actor) -> list[Outcome]:
        key, reference = actor.tasks[0]
        try:
            encoded: EncodedTable | Refused = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            lost = [Outcome(other, actor.node, None) for other, _ in list(actor.tasks)[1:]]
            self._replace(actor)
            return [Outcome(key, actor.node, None, _reason(error)), *lost]
        actor.tasks.popleft()
        if isinstance(encoded, Refused):
            raise FlawshotError(encoded.reason)
        return [Outcome(key, actor.node, encoded)]

    def _replace(self, actor: Actor) -> None:
        """Start another actor in the place of one that died, or that can no longer be trusted."""
        self._end(actor)
        self._actors[self._actors.index(actor)] = self._new()

    def _end(self, actor: Actor) -> None:
        with suppress(Exception):  # it may be dead, and Ray itself, too
            self._ray.kill(actor.handle)


class _Named:
    """Names a node by its host name and the beginning of Ray's id: several nodes may share a host."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def __call__(self, host: str) -> str:
        return f"{host}/{self._ray.get_runtime_context().get_node_id()[:6]}"


def _reason(error: Exception) -> str:
    """The last line of an error that says something, without Ray's advice."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return f"{type(cause).__name__}: {one_line(cause)[:160]}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("\t")]
    return " ".join(lines).partition(" Some common causes")[0][:240]
