"""Which regions to label next: strategies of ``flawshot suggest``, by the accuracy of what is learned from them.

    python benchmarks/suggest.py [--work DIR] [--seeds 20] [--development] [--write]

A model starts with one example per category; or with one example of half of the categories, so that the others have to
be found. In each of two rounds, a strategy suggests regions from a pool, one per image at most; their labels are
revealed, and ``default`` is fitted to all examples so far. What counts is the balanced accuracy (the mean of the
categories' recalls, in which a category that is not found counts 0) on a query set that shares no image or group with
the pool. All strategies see the same splits and first examples.

- **drawn**: four products of six categories (``flawshot synth``'s drawings; flawshot-tiny, 3 views). In the pool, each
  category is rarer than the one before, the last one ten times as rare as the first; which one is which is drawn. 20
  regions per round. The figures of a seed are means over products.
- **magnetic tile**: photographs of five categories, components of at least 30 px, whole tiles apart (flawshot-tiny, 3
  views), as frequent as they are. 20 regions per round.
- **transistor** (of MVTec-FS): the features that MVREC released (AlphaCLIP ViT-L/14, 27 views), all 43 instances in one
  set. 5 regions per round.

Each seed draws the split (40 % of images or groups are queries), the frequencies and the first examples. Intervals:
95 % by Student's t over seeds, of paired differences to ``random``, which is the mean of five draws.
``--development`` runs on the four other drawn products on which mixtures were tried; the default was chosen by the
tables of the rest. ``--write`` puts them into ``docs/suggesting.md``.

Real data is looked for in FLAWSHOT_SHARED, by default ``../shared/data``; what is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import t as student

import flawshot
from accuracy import put
from banks import SHARED, magnetic_tile_tiny, transistor
from flawshot.base.parallel import in_order
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.models.calibration import fit_novelty
from flawshot.models.selection import STRATEGIES, Candidates, doubts
from flawshot.models.suggestions import DEFAULT_STRATEGY
from uncertainty import drawn_bank, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = Path(__file__).resolve().parents[1] / "docs" / "suggesting.md"
ROUNDS, QUERY_SHARE, RANDOM_DRAWS = 2, 0.4, 5
RAREST = 0.1
STARTS = {"one of each": False, "half of the categories": True}


class Data(NamedTuple):
    """Regions with their features.

    Attributes:
        features: float32 ``[n, views, dim]``.
        labels: Category numbers, ``[n]``.
        units: Numbers of images or groups, ``[n]``.
        rare: Whether categories are made rare in the pool.
        count: Regions per round.
    """

    features: np.ndarray
    labels: np.ndarray
    units: np.ndarray
    rare: bool
    count: int


class Split(NamedTuple):
    """Rows of the first examples, of the pool and of the query set."""

    support: list[int]
    pool: list[int]
    query: list[int]


def split(data: Data, seed: str, *, lacking: bool) -> Split:
    """Draw a split in which each category has two regions in the pool or more, and one query."""
    rng = random.Random(seed)
    categories, units = sorted(set(data.labels.tolist())), sorted(set(data.units.tolist()))
    order = rng.sample(categories, len(categories))
    share = {each: RAREST ** (number / (len(order) - 1)) for number, each in enumerate(order)}
    while True:
        asked = set(rng.sample(units, round(QUERY_SHARE * len(units))))
        query = [row for row, unit in enumerate(data.units.tolist()) if unit in asked]
        others = [row for row, unit in enumerate(data.units.tolist()) if unit not in asked]
        rng.shuffle(others)
        pool: list[int] = []
        for category in categories:
            own = [row for row in others if data.labels[row] == category]
            pool += own[: max(2, round(share[category] * len(own)))] if data.rare else own
        if {*data.labels[query].tolist()} == {*categories} and min(
            sum(data.labels[row] == category for row in pool) for category in categories
        ) >= min(2, *np.bincount(data.labels)):
            break
    known = rng.sample(categories, max(2, len(categories) // 2)) if lacking else categories
    support = [next(row for row in pool if data.labels[row] == category) for category in known]
    return Split(support, sorted({*pool} - {*support}), query)


def candidates(
    data: Data, known: flawshot.FewShotClassifier, support: Sequence[int], pool: Sequence[int]
) -> Candidates:
    """The pool as a classifier fitted to some examples sees it."""
    measure = fit_novelty(data.features[support], data.labels[support])
    return Candidates(
        measure.places(data.features[pool]),
        measure.places(data.features[support]),
        doubts(known.predict_proba(data.features[pool])),
        np.unique(data.units[pool], return_inverse=True)[1],
    )


def simulate(data: Data, drawn: Split, strategy: str, seed: str) -> list[float]:
    """The balanced accuracy at first and after each round, and then the share of categories found."""
    support, pool = drawn.support, drawn.pool
    truth, scores = data.labels[drawn.query], []
    default = flawshot.make_classifier("default")
    for number in range(ROUNDS + 1):
        known = default.fit(data.features[support], data.labels[support])
        right = known.predict(data.features[drawn.query]) == truth
        scores.append(float(np.mean([right[truth == each].mean() for each in np.unique(truth)])))
        if number < ROUNDS:
            rng = random.Random(f"{seed}/{strategy}/{number}")
            chosen = STRATEGIES[strategy](candidates(data, known, support, pool), data.count, rng)
            support = [*support, *(pool[row] for row in chosen)]
            pool = sorted({*pool} - {*support})
    return [*scores, len(set(data.labels[support].tolist())) / len(set(data.labels.tolist()))]


def one_seed(parts: Sequence[Data], name: str, seed: int, *, lacking: bool) -> dict[str, list[float]]:
    """What each strategy reaches with one seed, means over the products."""
    found = {}
    splits = [split(data, f"{name}/{number}/{seed}", lacking=lacking) for number, data in enumerate(parts)]
    for strategy in STRATEGIES:
        made = [
            simulate(data, drawn, strategy, f"{name}/{number}/{seed}/{draw}")
            for number, (data, drawn) in enumerate(zip(parts, splits, strict=True))
            for draw in range(RANDOM_DRAWS if strategy == "random" else 1)
        ]
        found[strategy] = np.mean(made, axis=0).tolist()
    return found


def interval(values: np.ndarray) -> str:
    """Mean and 95 % interval of paired differences, in points of per cent; bold where it excludes 0."""
    middle, low, high = bounds(values)
    text = f"{100 * middle:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"**{text}**" if low > 0 or high < 0 else text


def bounds(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval by Student's t."""
    middle = float(values.mean())
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return middle, middle - half, middle + half


def rows_of(found: Sequence[dict[str, list[float]]], gains: dict[str, list[list[float]]]) -> Iterator[list[str]]:
    """A row per strategy; its differences to random, by seed, are added to the gains."""
    for strategy in STRATEGIES:
        made = np.array([each[strategy] for each in found])
        apart = made[:, 1 : ROUNDS + 1] - np.array([each["random"] for each in found])[:, 1 : ROUNDS + 1]
        gains.setdefault(strategy, []).append(apart.mean(axis=1).tolist())
        cells = [f"{100 * made[:, number].mean():.1f}" for number in range(ROUNDS + 1)]
        gain = "–" if strategy == "random" else interval(apart.mean(axis=1))
        yield [f"`{strategy}`", *cells, gain, f"{100 * made[:, -1].mean():.0f}"]


def drawn(work: Path, seed: int) -> list[Data]:
    """Four drawn products, with categories that are rare in the pool."""
    bank = drawn_bank(work, products=4, categories=6, images=400, seed=seed)
    products = np.array(bank.catalog.column("product"))
    return [
        data_of(bank, np.flatnonzero(products == each), None, rare=True, count=20) for each in bank.catalog.products
    ]


def data_of(
    bank: flawshot.FeatureBank, rows: np.ndarray, groups: dict[str, str] | None, *, rare: bool, count: int
) -> Data:
    """Some rows of a bank."""
    columns = {name: bank.catalog.column(name) for name in ("id", "image", "category")}
    ids, images, labels = ([columns[name][row] for row in rows] for name in ("id", "image", "category"))
    units = images if groups is None else [groups[image] for image in images]
    numbers = (np.unique(np.array(each, dtype=object), return_inverse=True)[1] for each in (labels, units))
    return Data(bank.features(ids), *numbers, rare, count)


def data_sets(work: Path, *, development: bool) -> Iterator[tuple[str, list[Data], int]]:
    """Name, parts and the number of regions per round of each data set."""
    if development:
        yield "drawn, development (seed 7101)", drawn(work, 7101), 20
        return
    yield "drawn (seed 8101)", drawn(work, 8101), 20
    if (SHARED / "magnetic-tile").is_dir():
        bank = magnetic_tile_tiny(work, seeds=1).bank
        tiles = flawshot.groups_from_csv(SHARED / "magnetic-tile" / "groups.csv", bank.catalog.column("image"))
        yield "magnetic tile", [data_of(bank, np.arange(len(bank.catalog)), tiles, rare=False, count=20)], 20
    else:
        print(f"left out: {SHARED / 'magnetic-tile'} is not there")
    if (SHARED / "mvrec").is_dir():
        bank = transistor(work).bank
        yield "transistor", [data_of(bank, np.arange(len(bank.catalog)), None, rare=False, count=5)], 5
    else:
        print(f"left out: {SHARED / 'mvrec'} is not there")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where drawings and banks are kept between calls")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--development", action="store_true", help="the drawn products that strategies were tried on")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/suggesting.md")
    options = parser.parse_args()
    parts: list[str] = []

    def say(text: str) -> None:
        print(f"{text}\n", flush=True)
        parts.append(text)

    gains: dict[str, list[list[float]]] = {}
    say(f"Weights of flawshot-tiny: `{TinyEncoder(device='cpu').record.weights_hash}`.")
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        work.mkdir(parents=True, exist_ok=True)
        for title, data, count in data_sets(work, development=options.development):
            for start, lacking in STARTS.items():
                tasks = ((data, title, seed, lacking) for seed in range(options.seeds))
                found = list(in_order(_one_seed, tasks, options.workers))
                head = ("strategy", "at first", *(f"after {count * (n + 1)}" for n in range(ROUNDS)))
                say(f"### {title}, starting with {start}")
                say(table([*head, "difference to `random`", "categories, %"], list(rows_of(found, gains))))
    say("### All of them")
    over = {name: np.mean(values, axis=0) for name, values in gains.items()}
    best = over[DEFAULT_STRATEGY]
    rows = [
        [f"`{name}`", interval(each), "–" if name == DEFAULT_STRATEGY else interval(each - best)]
        for name, each in over.items()
        if name != "random"
    ]
    say(table(["strategy", "difference to `random`", f"difference to `{DEFAULT_STRATEGY}`"], rows))
    if options.write:
        put("\n\n".join(parts) + "\n", "suggest", PAGE)


def _one_seed(data: list[Data], title: str, seed: int, lacking: bool) -> dict[str, list[float]]:  # noqa: FBT001
    return one_seed(data, title, seed, lacking=lacking)


if __name__ == "__main__":
    main()
