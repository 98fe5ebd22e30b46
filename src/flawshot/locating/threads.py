"""Images searched side by side: one thread per core, each with torch's work on one core."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["in_threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> Iterator[Result]:
    """A function's results for some items, in order.

    On the CPU, several images at a time on one core each take less time than one at a time on all cores, and do not
    suffer if another program uses one of these. The results are the same.

    Args:
        function: What is computed of each item.
        items: The items, all of which are taken at once.
        device: Where the function computes; on others than the CPU, one item follows the other.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, "flawshot-find", torch.set_num_threads, (1,)) as pool:
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # for threads started later; existing ones keep their own number
