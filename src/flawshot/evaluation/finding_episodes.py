"""Episodes for the evaluation of finders: support and query images; no image, and no group, is on both sides."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Literal, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.wording import counted
from flawshot.episodes.sampling import sample_episodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.evaluation.finding_data import FindingData, GoodImage

__all__ = ["FindingEpisode", "GoodShots", "draw_finding_episodes", "unit_of"]

GoodShots = int | Literal["all"]


class FindingEpisode(NamedTuple):
    """One draw.

    Attributes:
        seed: The seed.
        support: Ids of the labeled instances.
        queries: Paths of the images with flaws to be inspected, as in the catalog.
        good: The good images for support.
        good_queries: The good images to be inspected.
    """

    seed: int
    support: tuple[str, ...]
    queries: tuple[str, ...]
    good: tuple[GoodImage, ...] = ()
    good_queries: tuple[GoodImage, ...] = ()


def unit_of(image: str | GoodImage, groups: Mapping[str, str] | None) -> tuple[str, str]:
    """The group that an image belongs to, or else the image itself."""
    name = image if isinstance(image, str) else image.name
    if groups is not None and name in groups:
        return "group", groups[name]
    return "flawed" if isinstance(image, str) else "good", name


def draw_finding_episodes(
    data: FindingData,
    shots: int,
    good_shots: GoodShots,
    *,
    seeds: Sequence[int] = range(5),
    groups: Mapping[str, str] | None = None,
    allow_short: bool = False,
) -> list[FindingEpisode]:
    """Draw one episode per seed.

    The labeled instances are drawn as :func:`flawshot.sample_episodes` does by the protocol ``disjoint``. Good images
    for support come from the split ``train`` if there is one, and then all of ``test`` are queries; otherwise all that
    are not drawn are queries, and ``all`` draws half of them. Images of a group with a support image are no queries.

    Args:
        data: The images.
        shots: K, labeled instances per category; 0 for none, and then all images with flaws are queries.
        good_shots: Number of good images for support, or ``all``.
        seeds: One episode for each. If nothing is drawn at random, there is only one episode.
        groups: The physical sample that each image shows, by its path or name.
        allow_short: As for :func:`flawshot.sample_episodes`.

    Raises:
        FlawshotError: If there are too few instances or images, or nothing to find with.
    """
    images, splits = data.catalog.column("image"), data.catalog.column("split")
    every = tuple(dict.fromkeys(image for image, split in zip(images, splits, strict=True) if split != "val"))
    if shots:
        own = None if groups is None else {image: groups[image] for image in dict.fromkeys(images)}
        drawn = sample_episodes(
            data.catalog, data.product, shots, seeds=seeds, groups=own, allow_short=allow_short, least=1
        ).episodes
        rows = data.catalog.row_of
        flawed = [
            (each.seed, each.support, tuple(dict.fromkeys(images[rows[identifier]] for identifier in each.query)))
            for each in drawn
        ]
    else:
        tested = tuple(dict.fromkeys(image for image, split in zip(images, splits, strict=True) if split == "test"))
        # Nothing about flaws is learned, so all of them are queries, as in the published tasks.
        same = good_shots in {0, "all"} and any(each.split == "train" for each in data.good)
        flawed = [(seed, (), tested or every) for seed in (seeds[:1] if same else seeds)]
    return [_with_good(data, FindingEpisode(*each), good_shots, groups) for each in flawed]


def _with_good(
    data: FindingData, flawed: FindingEpisode, good_shots: GoodShots, groups: Mapping[str, str] | None
) -> FindingEpisode:
    """The episode with good images, and without queries that share a group with its support."""
    seed, support, queries = flawed.seed, flawed.support, flawed.queries
    rng = random.Random(json.dumps([data.product, seed, "good"]))
    images, rows = data.catalog.column("image"), data.catalog.row_of
    asked = {unit_of(image, groups) for image in queries}
    taken = {unit_of(images[rows[identifier]], groups) for identifier in support}
    train = [each for each in data.good if each.split == "train"]
    pool = train or [each for each in data.good if each.split is None]
    by_unit: dict[tuple[str, str], list[GoodImage]] = {}
    for each in pool:
        by_unit.setdefault(unit_of(each, groups), []).append(each)
    units = list(by_unit)
    rng.shuffle(units)
    # Groups without a query image with flaws come first, because those images would be lost as queries.
    units.sort(key=lambda unit: unit in asked)
    rounds = max(map(len, by_unit.values()), default=0)
    ranked = [by_unit[unit][turn] for turn in range(rounds) for unit in units if turn < len(by_unit[unit])]
    count = good_shots if good_shots != "all" else len(pool) if train else len(pool) // 2
    if count > len(ranked):
        raise FlawshotError(
            f"{argument('good_shots', good_shots)}: {data.product} has {counted(len(ranked), 'good image')} for support"
        )
    if not count and not support:
        raise FlawshotError(
            f"{argument('good_shots', good_shots)}: nothing is left to fit a locator to; give good images, or set "
            f"{argument('shots')} to 1 or more"
        )
    good = ranked[:count]
    taken |= {unit_of(each, groups) for each in good}
    free = [each for each in data.good if each.split == "test"] if train else pool
    asked_good = tuple(each for each in free if unit_of(each, groups) not in taken)
    left = tuple(image for image in queries if unit_of(image, groups) not in taken)
    if not left:
        raise FlawshotError(f"{data.product}: no image with a flaw is left as a query; annotate more images")
    return FindingEpisode(seed, support, left, tuple(good), asked_good)
