"""Work on all cores: the same results in the same order, however many there are."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

__all__ = ["cores", "in_order"]

Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]], workers: int
) -> Generator[Result, None, None]:
    """What a function makes of each task, in order; no more tasks are under way than twice the workers.

    Args:
        function: One of a module, not a lambda.
        tasks: The arguments of each call.
        workers: Processes; with 1, all is done in this one.

    Yields:
        A result a task. Close the generator where not all are wanted.
    """
    if workers == 1:
        for task in tasks:
            yield function(*task)
        return
    import joblib  # noqa: PLC0415 - few need it

    # Fresh interpreters, which a thread of ours cannot have locked, and which need no main guard in a user's script.
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator", max_nbytes=None)
    made = parallel(joblib.delayed(function)(*task) for task in tasks)
    try:
        for each in made:  # noqa: UP028 - yield from would close it, and let it warn, on its own
            yield each
    finally:
        with warnings.catch_warnings(action="ignore"):  # that tasks are given up where the first error stops all
            made.close()
