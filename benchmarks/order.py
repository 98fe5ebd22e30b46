"""Truth over time: what fit promises in order and at random, and whether predict notices that data has changed.

    python benchmarks/order.py [--work DIR] [--draws 200] [--write]

Photographs of magnetic tiles, encoded by flawshot-tiny: 392 images of five categories, each tile at up to seven
exposures, which file names begin with. ``--write`` puts the tables into ``docs/uncertainty.md``.

- **promises**: a model is fitted to eight images of each category with ``order=``, and predicts all other images:
  the first eight by name, which are those of the first exposures; or eight at random, ``--draws`` / 20 times. Images of
  a tile are on both sides, as in a line that sees similar parts.
- **alarms**: the examples are all regions of some tiles, the new regions those of the others, ``--draws`` times.
  *like the examples*: tiles at random. *another exposure*: examples from exposures 0 and 1, new regions from the
  others. *a new category*: one category in turn is missing among the examples. The share of draws in which ``predict``
  would say that the data is unlike the examples, and in which each test's p-value is at most 5 and 1 %.

The data is looked for in ``magnetic-tile`` of FLAWSHOT_SHARED, by default ``../shared/data``.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import flawshot
from accuracy import put
from banks import SHARED, magnetic_tile_tiny
from flawshot.classifiers import make_classifier
from flawshot.evaluation.intervals import percent
from flawshot.models.accuracy import measure_share
from flawshot.models.calibration import calibrate, novelty
from flawshot.models.drift import KnownExamples, compare_regions
from flawshot.models.leave_one_out import leave_one_out
from flawshot.models.ordering import order_by_name
from uncertainty import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flawshot.models.drift import Drift

PAGE = Path(__file__).resolve().parents[1] / "docs" / "uncertainty.md"
IMAGES = 8
PROMISES = (
    "eight images of each category",
    "promised, each image left out",
    "in order",
    "in random order",
    "clearly below",
    "on the others",
    "unknown among them",
    "said to be unlike",
)
ALARMS = ("new regions", "examples from", "unlike", "unknown, 5 %", "unknown, 1 %", "newer, 5 %", "newer, 1 %")


class Tiles(NamedTuple):
    """Magnetic tile.

    Attributes:
        bank: The features.
        features: float32 ``[n, views, dim]``.
        labels: Categories.
        images: The image of each region.
        tiles: Its tile.
        exposure: Its exposure, from 0.
    """

    bank: flawshot.FeatureBank
    features: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    tiles: np.ndarray
    exposure: np.ndarray


def open_tiles(work: Path) -> Tiles:
    """The photographs, encoded once."""
    bank = magnetic_tile_tiny(work).bank
    images = bank.catalog.column("image")
    groups = flawshot.groups_from_csv(SHARED / "magnetic-tile" / "groups.csv", images)
    exposures = [re.search(r"exp(\d)_", image) for image in images]
    return Tiles(
        bank,
        bank.features(bank.catalog.column("id")),
        np.array(bank.catalog.column("category"), dtype=object),
        np.array(images, dtype=object),
        np.array([groups[image] for image in images], dtype=object),
        np.array([int(found[1]) if found else -1 for found in exposures]),
    )


def first_images(tiles: Tiles, ranks: dict[str, int]) -> np.ndarray:
    """The regions on the first images of each category, bool ``[n]``."""
    chosen: set[str] = set()
    for category in np.unique(tiles.labels):
        own = sorted(set(tiles.images[tiles.labels == category]), key=ranks.__getitem__)
        chosen.update(own[:IMAGES])
    return np.isin(tiles.images, list(chosen))


class Promise(NamedTuple):
    """What a model promised, and what became of it; the shares as texts with intervals."""

    promised: float
    in_order: float
    at_random: float
    below: bool
    others: float
    unknown: float
    unlike: bool
    cells: tuple[str, ...]


def promise(tiles: Tiles, ranks: dict[str, int], out: Path) -> Promise:
    """Fit to the first images, and predict the others."""
    own = first_images(tiles, ranks)
    catalog = tiles.bank.catalog
    part = flawshot.Catalog(catalog.table.filter(own), catalog.root)
    support = flawshot.write_bank(
        out / "bank",
        part,
        tiles.bank.features(part.column("id"))[:, :, None].astype(np.float16),
        tiles.bank.manifest.encoder,
        tiles.bank.manifest.views,
    )
    order = flawshot.ImageOrder("name", ranks)
    model = flawshot.fit_model(support, out / "model", order=order)
    step = model.record.history[-1]
    others = model.judge(tiles.features[~own])
    right = measure_share(np.array(others.labels) == tiles.labels[~own], tiles.images[~own], np.ones(sum(~own), bool))
    unknown = measure_share(others.unknown, tiles.images[~own], np.ones(sum(~own), bool))
    drift = flawshot.measure_drift(model, others, tiles.images[~own].tolist())
    if step.accuracy is None or step.in_order is None or right is None or unknown is None or drift is None:
        raise ValueError("there is too little data")
    found = step.in_order
    chance = min(p for p in (drift.unknown_p, drift.newer_p) if p is not None)
    cells = (
        percent(step.accuracy.mean, step.accuracy.ci95),
        percent(found.right.mean, found.right.ci95),
        f"{100 * found.random:.1f}",
        f"{'yes' if found.clearly_below else 'no'}, p = {found.p:.2g}",
        percent(right.mean, right.ci95),
        percent(unknown.mean, unknown.ci95),
        f"{'yes' if drift.unlike else 'no'}, p = {chance:.1g}",
    )
    return Promise(
        step.accuracy.mean,
        found.right.mean,
        found.random,
        found.clearly_below,
        right.mean,
        unknown.mean,
        drift.unlike,
        cells,
    )


def promises(tiles: Tiles, draws: int) -> str:
    """The table of promises: by name, and the mean over random orders."""
    images = sorted(set(tiles.images))
    made = []
    rng = np.random.default_rng(0)
    for number in range(draws + 1):
        ranks = (
            dict(order_by_name(images).ranks)
            if not number
            else dict(zip(images, rng.permutation(len(images)).tolist(), strict=True))
        )
        with tempfile.TemporaryDirectory() as name:
            made.append(promise(tiles, ranks, Path(name)))
    first, others = made[0], made[1:]

    def mean(name: str) -> str:
        return f"{100 * np.mean([getattr(each, name) for each in others]):.1f}"

    rows = [("first by name", *first.cells)]
    if others:
        numbers = [mean(name) for name in ("promised", "in_order", "at_random")]
        counted = [f"{sum(getattr(each, name) for each in others)} of {draws}" for name in ("below", "unlike")]
        rows.append((f"at random, mean of {draws}", *numbers, counted[0], mean("others"), mean("unknown"), counted[1]))
    return table(PROMISES, rows)


def compared(tiles: Tiles, example: np.ndarray, new: np.ndarray) -> Drift | None:
    """The comparison of some regions with others as examples."""
    labels, units = tiles.labels[example], tiles.tiles[example]
    left = leave_one_out(make_classifier("prototype"), tiles.features[example], labels, units)
    known = calibrate(left.probabilities, labels, left.novelty, left.held_out_novelty, groups=units)
    newness = novelty(tiles.features[example], labels, tiles.features[new])
    limit = np.inf if known.novelty_limit is None else known.novelty_limit
    examples = KnownExamples(known, units.tolist(), left.novelty.astype(np.float64))
    return compare_regions(examples, newness, newness > limit, tiles.tiles[new].tolist())


def cases(tiles: Tiles, name: str, count: int, draws: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Which regions are examples, and which are new, bool ``[n]`` each."""
    every = np.array(sorted(set(tiles.tiles)), dtype=object)
    categories = np.unique(tiles.labels)
    for draw in range(draws):
        chosen = np.random.default_rng(draw).permutation(every)[:count]
        example = np.isin(tiles.tiles, chosen)
        new = ~example
        if name == "another exposure":
            example, new = example & (tiles.exposure < 2), new & (tiles.exposure >= 2)
        if name == "a new category":
            example = example & (tiles.labels != categories[draw % len(categories)])
        yield example, new


def alarms(tiles: Tiles, draws: int) -> str:
    """How often data is called unlike the examples."""
    rows = []
    for name in ("like the examples", "another exposure", "a new category"):
        for count in (20, 34):
            found = [compared(tiles, *case) for case in cases(tiles, name, count, draws)]
            told = [each for each in found if each is not None]
            shares = [np.mean([each.unlike for each in told])]
            for test in ("unknown_p", "newer_p"):
                given = np.array([p for each in told if (p := getattr(each, test)) is not None])
                shares += [np.mean(given <= level) if len(given) else np.nan for level in (0.05, 0.01)]
            rows.append((name, f"{count} of {len(set(tiles.tiles))} tiles", *(f"{100 * each:.1f}" for each in shares)))
    return table(ALARMS, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where the bank is kept between calls")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/uncertainty.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        work.mkdir(parents=True, exist_ok=True)
        tiles = open_tiles(work)
        about = f"Weights of flawshot-tiny: `{tiles.bank.manifest.encoder.weights_hash}`."
        parts = [about, promises(tiles, options.draws // 20), alarms(tiles, options.draws)]
        print("\n\n".join(parts))
    if options.write:
        put("\n\n".join(parts) + "\n", "order", PAGE)


if __name__ == "__main__":
    main()
