"""The answers for each query, for inspection: predictions, probabilities and nearest support instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.result_records import Answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.episodes import EpisodeSet
    from flawshot.evaluation.scores import QueryPredictions, QueryTable

__all__ = ["MOST_ANSWERS", "nearest_support", "record_answers"]

# Only the first of many random tasks are kept, so that results files stay small.
MOST_ANSWERS = 5000
NEAREST = 3


def nearest_support(query: NDArray[np.float32], support: NDArray[np.float32]) -> NDArray[np.intp]:
    """The support instances whose mean views have the greatest cosine to each query's.

    Args:
        query: Features, float32 ``[query, views, dim]``.
        support: Features, float32 ``[support, views, dim]``.

    Returns:
        Places in the support set, nearest first, ``[query, up to 3]``.
    """
    likeness = _means(query) @ _means(support).T
    return np.argsort(-likeness, axis=1, kind="stable")[:, :NEAREST]


def record_answers(
    bank: FeatureBank,
    episodes: EpisodeSet,
    query: Sequence[str],
    asked: QueryTable,
    made: Mapping[str, QueryPredictions],
    *,
    near: Sequence[NDArray[np.intp]],
) -> Answers:
    """The answers for one product and K: complete episodes with at most :data:`MOST_ANSWERS` queries in all.

    Args:
        bank: Its catalog provides the labels.
        episodes: The evaluated episodes.
        query: The ids that the numbers in ``asked.query`` refer to.
        asked: The queries, episode by episode.
        made: Predictions by classifier; those without predictions are omitted.
        near: Of each episode that is kept, the queries' nearest support instances; see :func:`nearest_support`.
    """
    places = [place for place in asked.episodes() if place.stop <= MOST_ANSWERS]
    kept = places[-1].stop if places else 0
    ids: dict[str, int] = {}
    seeds: list[int] = []
    numbers: list[int] = []
    nearest: list[tuple[int, ...]] = []
    units: dict[int, int] = {}
    for episode, place, rows_of in zip(episodes.episodes, places, near, strict=False):
        own = [query[column] for column in asked.query[place]]
        seeds += [episode.seed] * len(own)
        numbers += [ids.setdefault(identifier, len(ids)) for identifier in own]
        units |= zip(numbers[-len(own) :], asked.unit[place].tolist(), strict=True)
        nearest += [tuple(ids.setdefault(episode.support[column], len(ids)) for column in row) for row in rows_of]
    labels, rows = bank.catalog.column("category"), bank.catalog.row_of
    guessing = {name: each for name, each in made.items() if (each.predicted >= 0).all()}
    return Answers(
        product=episodes.product,
        shots=episodes.shots,
        ids=tuple(ids),
        true=tuple(episodes.categories.index(labels[rows[identifier]]) for identifier in ids),
        seed=tuple(seeds),
        query=tuple(numbers),
        predicted={name: tuple(each.predicted[:kept].tolist()) for name, each in guessing.items()},
        probability={
            name: tuple(round(value, 4) for value in each.confidence[:kept].tolist()) for name, each in guessing.items()
        },
        nearest=tuple(nearest),
        unit=tuple(units.get(number, -1) for number in range(len(ids))),
        left_out=len(asked.query) - kept,
    )


def _means(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over views, scaled to length one, ``[instances, dim]``."""
    means: NDArray[np.float32] = features.mean(axis=1)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (means / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
