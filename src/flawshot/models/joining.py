"""One probability of each category, from the classifier's and those of the finder that found a region."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["joined"]


def joined(probabilities: NDArray[np.float32], shares: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32]:
    """The probabilities by which regions are named: for now, those of the classifier.

    Args:
        probabilities: The classifier's, float32 ``[regions, categories]``.
        shares: The finder's, float32 ``[categories]`` for each region, or None where it says nothing.

    Returns:
        float32 ``[regions, categories]``; each row adds up to 1.
    """
    if len(shares) != len(probabilities):
        raise ValueError(f"there are {len(probabilities)} regions, but shares of {len(shares)}")
    return probabilities
