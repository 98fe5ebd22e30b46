"""A model's predictions of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Prediction", "Predictions"]


class Prediction(NamedTuple):
    """A model's prediction of one region.

    Attributes:
        label: The most probable category.
        probability: Its probability.
        runner_up: The second most probable category.
        runner_up_probability: Its probability.
        categories: The prediction set: the possible categories at the model's coverage, most probable first.
        unsure: Whether a person should look at the region.
        unknown: Whether it is unlike every category.
        novelty: How unlike every category it is; greater means less alike.
    """

    label: str
    probability: float
    runner_up: str
    runner_up_probability: float
    categories: tuple[str, ...]
    unsure: bool
    unknown: bool
    novelty: float


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A model's predictions of several regions, in their order; iterating yields one :class:`Prediction` per region.

    Attributes:
        categories: The model's categories, in the order of columns.
        probabilities: float32 ``[regions, categories]``; each row adds up to 1.
        novelty: How unlike every category a region is, float32 ``[regions]``; greater means less alike.
        sets: The prediction sets, bool ``[regions, categories]``.
        unsure: bool ``[regions]``.
        unknown: bool ``[regions]``.
    """

    categories: tuple[str, ...]
    probabilities: NDArray[np.float32]
    novelty: NDArray[np.float32]
    sets: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    unknown: NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of regions."""
        return len(self.probabilities)

    @property
    def labels(self) -> list[str]:
        """The most probable category of each region."""
        return [self.categories[number] for number in self.probabilities.argmax(axis=1)]

    def __getitem__(self, index: int) -> Prediction:
        """The prediction of one region."""
        shares = self.probabilities[index]
        order = np.argsort(-shares, kind="stable")
        first, second = int(order[0]), int(order[1])
        return Prediction(
            label=self.categories[first],
            probability=float(shares[first]),
            runner_up=self.categories[second],
            runner_up_probability=float(shares[second]),
            categories=tuple(self.categories[number] for number in order if self.sets[index, number]),
            unsure=bool(self.unsure[index]),
            unknown=bool(self.unknown[index]),
            novelty=float(self.novelty[index]),
        )

    def __iter__(self) -> Iterator[Prediction]:
        """The prediction of each region."""
        return (self[index] for index in range(len(self)))
