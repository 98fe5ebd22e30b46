"""The episodes of one product and K as arrays: which queries are asked, and what the yardsticks answer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.evaluation.losses import WORST, brier_scores, log_losses
from flawshot.evaluation.scores import QueryPredictions, QueryTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.episodes import EpisodeSet

__all__ = ["YARDSTICKS", "Task", "answer_yardstick", "make_task", "no_predictions", "query_losses"]

# Baselines in every table: a random guess, and the most frequent category.
YARDSTICKS = ("chance", "majority")


class Task(NamedTuple):
    """The episodes of one product and K, as arrays.

    Attributes:
        product: The product.
        shots: K.
        protocol: The rule by which the episodes were drawn.
        categories: The product's categories.
        seeds: Each episode's seed.
        query: The ids of all instances that are asked in any episode.
        truth: The numbers of their categories, ``[query]``.
        asked: The queries, episode by episode.
        ways: Each episode's number of categories.
        support: Fewest and most support instances per category.
    """

    product: str
    shots: int
    protocol: str
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    query: list[str]
    truth: NDArray[np.intp]
    asked: QueryTable
    ways: list[int]
    support: tuple[int, int]

    def ids(self, place: slice) -> list[str]:
        """The ids of some of the queries asked."""
        return [self.query[column] for column in self.asked.query[place]]


def make_task(bank: FeatureBank, episodes: EpisodeSet) -> Task:
    """The episodes of one product and K as arrays.

    Args:
        bank: Its catalog provides the labels and images.
        episodes: The episodes.
    """
    rows = bank.catalog.row_of
    query = list(dict.fromkeys(identifier for episode in episodes.episodes for identifier in episode.query))
    place = {identifier: column for column, identifier in enumerate(query)}
    columns = [np.unique([place[identifier] for identifier in episode.query]) for episode in episodes.episodes]
    seed, column = np.repeat(np.arange(len(columns)), list(map(len, columns))), np.concatenate(columns)
    categories, images = bank.catalog.column("category"), bank.catalog.column("image")
    groups = episodes.groups or {}
    own = [images[rows[identifier]] for identifier in query]
    _, units = np.unique([groups.get(image, image) for image in own], return_inverse=True)
    truth = np.array([episodes.categories.index(categories[rows[identifier]]) for identifier in query])
    counts = [Counter(categories[rows[identifier]] for identifier in each.support) for each in episodes.episodes]
    return Task(
        product=episodes.product,
        shots=episodes.shots,
        protocol=episodes.protocol,
        categories=tuple(episodes.categories),
        seeds=tuple(episode.seed for episode in episodes.episodes),
        query=query,
        truth=truth,
        asked=QueryTable(len(columns), seed, column, truth[column], units[column]),
        ways=list(map(len, counts)),
        support=(min(min(each.values()) for each in counts), max(max(each.values()) for each in counts)),
    )


def no_predictions(task: Task) -> QueryPredictions:
    """Predictions for a task's queries, to be filled in."""
    shape = task.asked.seed.shape
    losses = {name: np.zeros(shape) for name in WORST}
    return QueryPredictions(task.asked, np.full(shape, -1), np.zeros(shape), np.zeros(shape), losses)


def query_losses(probabilities: NDArray[np.float64], truth: NDArray[np.intp]) -> dict[str, NDArray[np.float64]]:
    """The losses of some queries, by name.

    Args:
        probabilities: ``[queries, categories]``.
        truth: Numbers of the true categories, ``[queries]``.
    """
    return {"brier": brier_scores(probabilities, truth), "log_loss": log_losses(probabilities, truth)}


def answer_yardstick(name: str, task: Task) -> QueryPredictions:
    """The answers of ``chance`` or ``majority``."""
    made = no_predictions(task)
    for ways, place in zip(task.ways, task.asked.episodes(), strict=True):
        own = task.asked.truth[place]
        if name == "chance":
            made.right[place] = made.confidence[place] = 1.0 / ways
            # All of an episode's categories are equal here, so any of them stands for the truth.
            losses = query_losses(np.full((len(own), ways), 1.0 / ways), np.zeros_like(own))
        else:
            # Random tasks have different categories each; other protocols share one majority over all seeds.
            truth = own if task.protocol == "episodic" else task.truth
            most = Counter(truth.tolist()).most_common(1)[0][0]
            made.predicted[place] = most
            made.right[place] = own == most
            made.confidence[place] = 1.0
            certain = np.tile(np.arange(len(task.categories)) == most, (len(own), 1)).astype(np.float64)
            losses = query_losses(certain, own)
        for loss, values in losses.items():
            made.losses[loss][place] = values
    return made
