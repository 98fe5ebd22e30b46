"""Blocks of rows that are encoded as one, and are therefore the same however much is done at the same time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from flawshot.encoders.base import Encoder

__all__ = ["Encoded", "WholeBlock", "blocks_of", "groups_of", "rows_per_block", "whole_blocks"]

Part = TypeVar("Part")

# Calls of the encoder in a block: its last one is rarely full, and an interruption loses a block.
CALLS_PER_BLOCK = 16
# The most memory for a block's features, because several blocks wait for an earlier one.
BLOCK_BYTES = 16 * 2**20


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


class WholeBlock(NamedTuple):
    """A block whose rows have all been encoded or found unusable.

    Attributes:
        rows: All its rows.
        features: By row, float16 ``[views, tokens, dim]``; rows whose image cannot be used are absent.
        reasons: By row, why its image cannot be used.
    """

    rows: Sequence[int]
    features: dict[int, NDArray[np.float16]]
    reasons: dict[int, str]


def rows_per_block(encoder: Encoder, views: int, crops: int) -> int:
    """The least number of rows in a block, if there are as many and no image has more.

    Args:
        encoder: The encoder.
        views: Views of each row.
        crops: Crops per call of the encoder.
    """
    each = 2 * views * len(encoder.record.tokens) * encoder.dim
    return max(1, min(-(-CALLS_PER_BLOCK * crops // views), BLOCK_BYTES // each))


def blocks_of(rows: Sequence[int], images: Sequence[str], size: int) -> list[Sequence[int]]:
    """Divide rows into blocks, counted from the first row.

    Args:
        rows: Row numbers, ascending.
        images: The image of every row of the catalog; an image stays in one block, unless it has more than a block.
        size: Rows per block; an image that a block ends in belongs to it.

    >>> blocks_of(range(7), ["a", "b", "b", "b", "c", "d", "e"], 2)
    [[0, 1, 2], [3, 4], [5, 6]]
    """
    parts: list[Sequence[int]] = []
    for _, group in groupby(rows, key=lambda row: images[row]):
        own = list(group)
        parts += [own[start : start + size] for start in range(0, len(own), size)]
    return [list(chain.from_iterable(several)) for several in groups_of(parts, size, len)]


def groups_of(parts: Sequence[Part], size: int, count: Callable[[Part], int]) -> list[Sequence[Part]]:
    """Consecutive parts, gathered until they count at least ``size``; the last group may count less."""
    groups: list[Sequence[Part]] = []
    start = counted = 0
    for number, part in enumerate(parts):
        counted += count(part)
        if counted >= size:
            groups.append(parts[start : number + 1])
            start, counted = number + 1, 0
    return groups if start == len(parts) else [*groups, parts[start:]]


def whole_blocks(blocks: Sequence[Sequence[int]], parts: Iterator[Encoded]) -> Iterator[WholeBlock]:
    """Yield blocks in order, each as soon as all its rows are there.

    Args:
        blocks: The rows of each block, without those that nobody encodes; an empty block is skipped.
        parts: What was encoded: rows with features in order, and others at any time.
    """
    waiting = deque(block for block in blocks if len(block))
    features: dict[int, NDArray[np.float16]] = {}
    reasons: dict[int, str] = {}
    for part in parts:
        for number, row in enumerate(part.rows):
            if part.features is None:
                reasons[row] = part.reason
            else:
                features[row] = part.features[number]
        while waiting and all(row in features or row in reasons for row in waiting[0]):
            block = waiting.popleft()
            yield WholeBlock(
                block,
                {row: features.pop(row) for row in block if row in features},
                {row: reasons.pop(row) for row in block if row in reasons},
            )
