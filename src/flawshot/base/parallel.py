"""Work on all cores, with the same results in the same order for any number of cores."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

__all__ = ["cores", "in_order"]

Result = TypeVar("Result")


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]], workers: int
) -> Generator[Result, None, None]:
    """A function's results for some tasks, in order; at most two tasks per worker are in progress.

    Args:
        function: A module's function, not a lambda.
        tasks: The arguments of each call.
        workers: Number of processes; with 1, everything is done in this process.

    Yields:
        One result per task. Close the generator if you do not need all of them.
    """
    if workers == 1:
        for task in tasks:
            yield function(*task)
        return
    import joblib  # noqa: PLC0415 - few need it

    # New interpreters, which inherit no locks from our threads, and which need no main guard in a user's script.
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator", max_nbytes=None)
    made = parallel(joblib.delayed(function)(*task) for task in tasks)
    try:
        for each in made:  # noqa: UP028 - yield from would close it outside the block below, with its warning
            yield each
    finally:
        with warnings.catch_warnings(action="ignore"):  # that tasks are abandoned when the first error stops all
            made.close()
