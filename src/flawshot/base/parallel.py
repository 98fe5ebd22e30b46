"""Work on all cores, with the same results in the same order for any number of cores."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

__all__ = ["Attempt", "WhenLong", "attempt", "cores", "in_order", "one_thread"]

Result = TypeVar("Result")

# Seconds of work that are left when it is spread over processes; starting them takes some of these.
LONG: Final = 20.0


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which a terminal sends to all: this one ends them, and they say nothing.

    An interruption meanwhile is not lost where signals can be blocked: it comes when the processes are there.
    """
    if hasattr(signal, "pthread_sigmask"):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Attempt(NamedTuple):
    """What a task gave: its result, or the error that it raised."""

    result: Any
    error: Exception | None = None


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

    Raises:
        FlawshotError: If a process is killed.
        Exception: What the function raises; if several tasks fail, the error of the first one in their order.
    """
    if workers == 1:
        for task in tasks:
            yield function(*task)
        return
    import joblib  # noqa: PLC0415 - few need it

    # New interpreters, which inherit no locks from our threads, and which need no main guard in a user's script.
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator", max_nbytes=None)
    made = None
    try:
        with _deaf_to_interrupts():
            made = parallel(joblib.delayed(_attempt_here)(os.getpid(), function, task) for task in tasks)
        for each in made:
            if each.error is not None:
                raise each.error
            yield each.result
    except BrokenProcessPool as error:
        raise FlawshotError(
            "a process that did part of the work was killed, perhaps because memory ran out; run it again, with fewer "
            "processes"
        ) from error
    finally:
        with warnings.catch_warnings(action="ignore"):  # that tasks are abandoned when the first error stops all
            if made is not None:
                made.close()


def attempt(function: Callable[..., Any], task: tuple[Any, ...]) -> Attempt:
    """Do a task; errors are results, so that which one is raised does not depend on timing.

    Args:
        function: What to call.
        task: Its arguments.
    """
    try:
        return Attempt(function(*task))
    except Exception as error:  # noqa: BLE001 - raised again where the results are read
        return Attempt(None, _sendable(error))


def _attempt_here(parent: int, function: Callable[..., Any], task: tuple[Any, ...]) -> Attempt:
    """Do a task in another process of this machine."""
    _end_with(parent)
    return attempt(function, task)


@lru_cache(maxsize=1)  # once per process
def _end_with(parent: int) -> None:
    """End this process if the one that started it was killed, and could not end it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="flawshot-parent", daemon=True).start()


def _sendable(error: Exception) -> Exception:
    """The error, with its traceback as a note; of one that cannot be sent to another process, its text."""
    if isinstance(error, FlawshotError):
        return error
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - foreign errors may raise anything
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(where)
    return error


class WhenLong:
    """Like :func:`in_order`, but in this process unless the work takes long.

    Once it has spread work over processes, it spreads all further work as well.

    Args:
        workers: The most processes.
        seconds: How long this process would still take for the tasks at which they are spread.
    """

    def __init__(self, workers: int, seconds: float = LONG) -> None:
        self._workers = workers
        self._seconds = seconds
        self._spread = False

    def __call__(
        self, function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]
    ) -> Generator[Result, None, None]:
        """The results in order; see :func:`in_order`."""
        spent = 0.0
        for number, task in enumerate(tasks):
            left = len(tasks) - number
            if self._workers > 1 and number and spent / number * left > self._seconds:
                self._spread = True
            if self._spread and left > 1:
                with closing(in_order(function, tasks[number:], min(self._workers, left))) as rest:
                    yield from rest
                return
            start = time.perf_counter()
            result = function(*task)
            spent += time.perf_counter() - start
            yield result


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy, scipy and torch compute with one thread.

    How many threads share a sum may change its last bits, so results that must be the same everywhere are computed with
    one.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - few need it

    torch = sys.modules.get("torch")  # not loaded for its own sake
    threads = None if torch is None else torch.get_num_threads()
    with threadpool_limits(1):
        if torch is not None:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(threads)
