"""Units of work on the CPUs of a Ray cluster, with the same results in the same order as in one process."""

from __future__ import annotations

import importlib
import socket
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Self, TypeVar

from flawshot.base.errors import FeatureBankError, FlawshotError
from flawshot.base.parallel import Attempt, attempt
from flawshot.base.ray_connection import connect_to_ray

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["RayTasks"]

Result = TypeVar("Result")

# Tasks that are given out or waiting for an earlier one, per CPU.
TASKS_AHEAD = 4
# Times that Ray does a task again whose process or node dies.
RETRIES = 5


class RayTasks:
    """Does units of work on a Ray cluster, one per CPU at a time; a context manager that leaves the cluster at its end.

    Args:
        address: ``local`` starts Ray on this machine, and ``auto`` or ``HOST:PORT`` connects to a cluster. If this
            process is connected to one already, it is used.

    Raises:
        FlawshotError: If Ray is not installed, or cannot be reached.

    Attributes:
        done: Units of work done so far, by node.
    """

    def __init__(self, address: str = "local") -> None:
        self.done: Counter[str] = Counter()
        self._ray, self._connected = connect_to_ray(address)

    def __enter__(self) -> Self:
        """Nothing: the cluster is connected already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster."""
        self.close()

    def close(self) -> None:
        """Leave the cluster, and end Ray if it was started for this object."""
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    @property
    def workers(self) -> int:
        """The CPUs of all nodes that are there now."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return max(1, int(sum(node.get("CPU", 0) for node in nodes)))

    def in_order(
        self, function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]
    ) -> Generator[Result, None, None]:
        """A function's results for some tasks, in order; see :func:`flawshot.base.parallel.in_order`.

        Args:
            function: A module's function.
            tasks: The arguments of each call.

        Raises:
            FlawshotError: If a task's process is killed again and again.
            Exception: What the function raises; if several tasks fail, the error of the first one in their order.
        """
        remote = self._ray.remote(num_cpus=1, max_retries=RETRIES)(_attempt_on_node)
        waiting: deque[Any] = deque()
        following = iter(tasks)
        ahead = TASKS_AHEAD * self.workers
        try:
            while True:
                while len(waiting) < ahead and (task := next(following, None)) is not None:
                    waiting.append(remote.remote(function, task))
                if not waiting:
                    return
                node, made = self._awaited(waiting[0])
                waiting.popleft()
                if isinstance(made.error, FeatureBankError):
                    raise FeatureBankError(f"{made.error.marked} (on node {node}; every node needs it at this path)")
                if made.error is not None:
                    raise made.error
                self.done[node] += 1
                yield made.result
        finally:
            for each in waiting:
                self._ray.cancel(each, force=True)

    def _awaited(self, reference: Any) -> tuple[str, Attempt]:
        exceptions: Any = importlib.import_module("ray.exceptions")
        try:
            given: tuple[str, Attempt] = self._ray.get(reference)
        except exceptions.RayError as error:
            reason = type(error).__name__
            raise FlawshotError(
                f"a node's process that did part of the work ended {RETRIES + 1} times ({reason}), perhaps because "
                "memory ran out; give nodes more memory, or fewer CPUs"
            ) from error
        return given


def _attempt_on_node(function: Callable[..., Any], task: tuple[Any, ...]) -> tuple[str, Attempt]:
    """Do a task on a node; also gives the node's name."""
    ray: Any = importlib.import_module("ray")
    node = f"{socket.gethostname()}/{ray.get_runtime_context().get_node_id()[:6]}"
    return node, attempt(function, task)
