"""Coresets: a few vectors that lie near all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["distances", "greedy_coreset"]

ROWS_AT_ONCE = 4096


def greedy_coreset(vectors: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Choose vectors so that the farthest of all others from its nearest chosen one is near.

    The first is the one nearest to the mean; each further one is the farthest from those chosen before. The largest
    distance that remains is at most twice the smallest possible.

    Args:
        vectors: float32 ``[n, dim]``.
        count: How many to choose, at most.

    Returns:
        The chosen rows in the order in which they were chosen; all of them if there are no more than ``count``.

    References:
        Gonzalez: "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 1985; as in
        PatchCore.
    """
    if len(vectors) <= count:
        return np.arange(len(vectors), dtype=np.intp)
    given = torch.from_numpy(vectors)
    squares = (given * given).sum(dim=1)
    first = int((given - given.mean(dim=0)).square().sum(dim=1).argmin())
    chosen, nearest = [first], squares - 2 * (given @ given[first]) + squares[first]
    nearest[first] = -torch.inf
    while len(chosen) < count:
        farthest = int(nearest.argmax())
        chosen.append(farthest)
        nearest = torch.minimum(nearest, squares - 2 * (given @ given[farthest]) + squares[farthest])
        nearest[farthest] = -torch.inf
    return np.array(chosen, dtype=np.intp)


def distances(vectors: NDArray[np.float32], bank: NDArray[np.float32]) -> NDArray[np.float32]:
    """The Euclidean distance of each vector to its nearest one in a bank.

    Args:
        vectors: float32 ``[n, dim]``.
        bank: float32 ``[m, dim]``, m at least 1.

    Returns:
        float32 ``[n]``.
    """
    known = torch.from_numpy(bank)
    made = [
        torch.cdist(torch.from_numpy(vectors[start : start + ROWS_AT_ONCE]), known).min(dim=1).values.numpy()
        for start in range(0, len(vectors), ROWS_AT_ONCE)
    ]
    return np.concatenate(made) if made else np.zeros(0, dtype=np.float32)
