"""Teaching a locator: regions that a person named, and regions that a person said are not flaws."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from flawshot.locating.coreset import greedy_coreset
from flawshot.locating.dense import dense_features
from flawshot.locating.examples import examples_of
from flawshot.locating.heat import LEARNED, HeatModel, most_vectors
from flawshot.locating.outlining import OutlineModel, outline_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.labelme.shapes import Region
    from flawshot.locating.examples import EdgeExample
    from flawshot.locating.locator import Locator

__all__ = ["NamedRegion", "teach_locator", "without_alarm"]

# The most cells of one region that is not a flaw that join the bank; the directions learn from all of them.
MOST_CELLS = 16
# The most of a full bank that such cells take.
MOST_LEARNED = 0.5
NOT_A_FLAW = ""


class NamedRegion(NamedTuple):
    """A region that a person named.

    Attributes:
        category: Its category.
        region: Its pixels.
        before: The category under which the locator has learned it already; None if it is new.
    """

    category: str
    region: Region
    before: str | None = None


def teach_locator(
    locator: Locator, image: Image.Image, named: Sequence[NamedRegion], not_flaws: Sequence[Region]
) -> Locator:
    """A locator that has also learned the regions of an image.

    A named region moves the mean of its category. A region that is not a flaw joins the bank of good cells, and the
    directions that tell flaws from good cells become insensitive to what it differs from these in.

    Args:
        locator: The locator, which stays as it is.
        image: The image, upright, RGB.
        named: Regions that a person named.
        not_flaws: Regions that a person said are none.
    """
    features = dense_features(locator.encoder, image)
    wanted = [(each.category, each.region) for each in named] + [(NOT_A_FLAW, each) for each in not_flaws]
    wanted = [each for each in wanted if each[1].pixels.size]
    before = [each.before for each in named if each.region.pixels.size]
    taken = examples_of(features, wanted, unit="learned")
    heat, outline = locator.heat_model, locator.outline_model
    edges: list[EdgeExample] = []
    for number, flaw in enumerate(taken.flaws):
        cells = heat.bank.scaled([level[flaw.cells] for level in taken.levels])
        if flaw.category == NOT_A_FLAW and number >= len(before):
            heat = without_alarm(heat, cells)
            continue
        known = before[number]
        if known is not None:
            heat = _moved(heat, known, cells, -1)
        heat = _moved(heat, flaw.category, cells, 1)
        if known is None:
            edges.append(taken.edges[number])
    return replace(locator, heat_model=heat, outline_model=_outlined(outline, edges, int(heat.counts.sum())))


def without_alarm(heat: HeatModel, cells: NDArray[np.float32]) -> HeatModel:
    """The model with a region that is not a flaw.

    Some of its cells join the bank. A bank that is full loses as many of its cells, those that are nearest to others;
    cells that were learned are kept as long as they take no more than half of it.

    Args:
        heat: The model, which stays as it is.
        cells: The scaled features of the region's cells, float32 ``[cells, dim]``.
    """
    bank = heat.bank
    learned = np.array([unit == LEARNED for unit in bank.units or [""] * len(bank.vectors)])
    good, told = bank.vectors[~learned], bank.vectors[learned]
    told = np.concatenate([told, cells[greedy_coreset(cells, MOST_CELLS)]])
    most = most_vectors(cells.shape[1])
    if len(good) + len(told) > most:
        told = _thinned(told, max(1, int(MOST_LEARNED * most)))
        good = _thinned(good, most - len(told), told)
    vectors = np.concatenate([good, told])
    bank = bank._replace(vectors=vectors, units=("",) * len(good) + (LEARNED,) * len(told))
    return replace(heat, bank=bank, not_flaws=_summed(heat, cells.mean(axis=0, keepdims=True)))


def _thinned(
    vectors: NDArray[np.float32], count: int, others: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Some vectors, without those that are nearest to another one, or to others that are kept anyway."""
    own = len(vectors)
    every = vectors if others is None else np.concatenate([vectors, others])
    apart = torch.cdist(torch.from_numpy(vectors), torch.from_numpy(every)).numpy()
    apart[np.arange(own), np.arange(own)] = np.inf
    nearest = apart.argmin(axis=1)
    least = apart[np.arange(own), nearest]
    kept = np.ones(own, dtype=bool)
    for _ in range(own - count):
        gone = int(least.argmin())
        kept[gone], least[gone], apart[:, gone] = False, np.inf, np.inf
        again = np.flatnonzero(kept & (nearest == gone))
        nearest[again] = apart[again].argmin(axis=1)
        least[again] = apart[again, nearest[again]]
    return vectors[kept]


def _summed(heat: HeatModel, mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """The means of regions that are no flaws, with another one; of more than ``dim``, as few as say the same.

    The directions depend on the sum of the outer products of their differences from the mean of good cells alone.
    """
    means = np.concatenate([heat.not_flaws, mean])
    if len(means) <= means.shape[1]:
        return means
    upper = np.linalg.qr((means - heat.good_mean).astype(np.float64), mode="r")
    made: NDArray[np.float32] = (heat.good_mean + upper).astype(np.float32)
    return made


def _moved(heat: HeatModel, category: str, cells: NDArray[np.float32], by: int) -> HeatModel:
    """The model with one instance more, or less, of a category."""
    means = dict(zip(heat.categories, heat.flaw_means, strict=True))
    counts = dict(zip(heat.categories, heat.counts.tolist(), strict=True))
    count = counts.get(category, 0)
    if not count + by:
        means.pop(category, None)
        counts.pop(category, None)
    elif count + by > 0:
        old = means.get(category, np.zeros(cells.shape[1], np.float32))
        means[category] = ((count * old + by * cells.mean(axis=0)) / (count + by)).astype(np.float32)
        counts[category] = count + by
    names = tuple(sorted(means))
    dim = cells.shape[1]
    return HeatModel(
        bank=heat.bank,
        good_mean=heat.good_mean,
        good_cov=heat.good_cov,
        categories=names,
        counts=np.array([counts[name] for name in names], dtype=np.int64),
        flaw_means=np.array([means[name] for name in names], dtype=np.float32).reshape(len(names), dim),
        not_flaws=heat.not_flaws,
    )


def _outlined(outline: OutlineModel | None, edges: Sequence[EdgeExample], total: int) -> OutlineModel | None:
    """The model of outlines with further instances; each counts as one of all."""
    new = outline_model(edges)
    if outline is None or new is None:
        return new if outline is None else outline
    share = len(edges) / max(total, len(edges) + 1)
    rows = {name: (outline.apart[row], outline.middle[row]) for row, name in enumerate(outline.categories)}
    for row, name in enumerate(new.categories):
        apart, middle = rows.get(name, (new.apart[row], new.middle[row]))
        rows[name] = ((apart + new.apart[row]) / 2, (middle + new.middle[row]) / 2)
    names = tuple(sorted(rows))
    apart, middle = (
        np.stack([*(rows[name][part] for name in names), (1 - share) * old[-1] + share * own[-1]]).astype(np.float32)
        for part, (old, own) in enumerate(((outline.apart, new.apart), (outline.middle, new.middle)))
    )
    cov = ((1 - share) * outline.cov + share * new.cov).astype(np.float32)
    return OutlineModel(names, apart, middle, cov)
