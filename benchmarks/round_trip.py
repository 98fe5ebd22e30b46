"""What ten corrections are worth: fit on five a category, predict, correct ten, learn, predict again.

    python benchmarks/round_trip.py [--work DIR] [--seeds 20] [--write]

Of what the support set leaves, one half is looked at and the other never: accuracy is measured on that other half, on
the same regions before and after, so that nothing is gained by taking hard regions away. Whole images are apart, on
magnetic tile whole tiles. The ten are taken in the order of ``flawshot review`` (unsure and unknown ones first, the
least probable foremost), or at random (the mean of five draws). Both get their right labels, which a person would give.
What ``flawshot learn`` would fit to them is fitted to the bank's features here; no files are written and read again.

Encoder flawshot-tiny with its default views, classifier ``whitened-ridge``; intervals are 95 %, a bootstrap over seeds
and images (tiles) together. Drawn data is three products of ``flawshot.draw_data_set``; magnetic tile is looked for in
FLAWSHOT_SHARED, by default ``../shared/data``, and left out, which is said, where it is not. ``--write`` puts the table
into ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

import flawshot
from accuracy import put
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.formats.masks import import_masks
from flawshot.models.fitting import fit_model
from two_way import draws, percentile_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SHOTS, CORRECTIONS, RANDOM_DRAWS = 5, 10, 5
MIN_AREA = 30
ARMS = ("before", "ten at random", "ten doubtful ones")


class Trip(NamedTuple):
    """One seed's outcome.

    Attributes:
        right: For each arm, the share right of each region of the half that was never looked at.
        units: The image, or tile, of each.
        wrong: For each arm but the first, how many of the ten the first model had wrong.
        spread: Likewise from how many images, or tiles, the ten are.
    """

    right: dict[str, np.ndarray]
    units: list[str]
    wrong: dict[str, float]
    spread: dict[str, float]


def trip(bank: flawshot.FeatureBank, units: Mapping[str, str], support: Sequence[str], seed: int, work: Path) -> Trip:
    """Fit, predict, correct, learn, predict again.

    Args:
        bank: All regions; their categories are the truth.
        units: The image, or tile, of each region.
        support: The first examples.
        seed: Of the halves and of the random ten.
        work: Where the model goes.
    """
    rng = random.Random(f"round-trip/{seed}")
    truth = dict(zip(bank.catalog.column("id"), bank.catalog.column("category"), strict=True))
    image = dict(zip(bank.catalog.column("id"), bank.catalog.column("image"), strict=True))
    used = {units[each] for each in support}
    left: dict[str, list[str]] = defaultdict(list)
    for each in truth:
        if units[each] not in used:
            left[units[each]].append(each)
    shuffled = rng.sample(sorted(left), len(left))
    looked_at = [each for unit in shuffled[::2] for each in left[unit]]
    never = [each for unit in shuffled[1::2] for each in left[unit]]

    rows = [bank.catalog.row_of[each] for each in support]
    few = flawshot.Catalog(bank.catalog.table.take(pa.array(rows)))
    few_bank = flawshot.write_bank(work / f"few-{seed}", few, bank.rows(rows), *_records(bank))
    model = fit_model(few_bank, work / f"model-{seed}", groups={image[each]: units[each] for each in support})
    said = model.predict_features(bank, looked_at)
    doubt = [not (each.unsure or each.unknown) for each in said]
    order = sorted(range(len(looked_at)), key=lambda at: (doubt[at], said[at].probability))
    wrong = [label != truth[each] for each, label in zip(looked_at, said.labels, strict=True)]

    def after(chosen: Sequence[int]) -> np.ndarray:
        ids = [*support, *(looked_at[each] for each in chosen)]
        fitted = flawshot.make_classifier("whitened-ridge").fit(bank.features(ids), [truth[each] for each in ids])
        answers = fitted.predict(bank.features(never))
        return np.array([answer == truth[each] for answer, each in zip(answers, never, strict=True)], dtype=float)

    blind = [rng.sample(range(len(looked_at)), CORRECTIONS) for _ in range(RANDOM_DRAWS)]
    first = order[:CORRECTIONS]
    return Trip(
        right=dict(zip(ARMS, (after([]), np.mean([after(each) for each in blind], axis=0), after(first)), strict=True)),
        units=[units[each] for each in never],
        wrong={
            ARMS[1]: float(np.mean([sum(wrong[at] for at in each) for each in blind])),
            ARMS[2]: float(sum(wrong[at] for at in first)),
        },
        spread={
            arm: float(np.mean([len({units[looked_at[at]] for at in each}) for each in several]))
            for arm, several in ((ARMS[1], blind), (ARMS[2], [first]))
        },
    )


def _records(bank: flawshot.FeatureBank) -> tuple[flawshot.EncoderRecord, flawshot.ViewRecord]:
    return bank.manifest.encoder, bank.manifest.views


def shares(trips: Sequence[Trip], arm: str, less: str | None = None) -> tuple[float, tuple[float, float]]:
    """An arm's accuracy, or what it is more than another's: mean over seeds, and its interval."""
    names = sorted({unit for each in trips for unit in each.units})
    place = {name: number for number, name in enumerate(names)}
    right, asked = np.zeros((2, len(trips), len(names)))
    for row, each in enumerate(trips):
        value = each.right[arm] - (0 if less is None else each.right[less])
        at = [place[unit] for unit in each.units]
        np.add.at(right[row], at, value)
        np.add.at(asked[row], at, 1)
    mean = float((right.sum(axis=1) / asked.sum(axis=1)).mean())
    resampled = []
    for draw in draws(len(trips), len(names), "round-trip"):
        with np.errstate(invalid="ignore"):
            each_seed = (draw.units @ right.T) / (draw.units @ asked.T)
        resampled.append((each_seed * draw.seeds).sum(axis=1) / draw.seeds.sum(axis=1))
    return mean, percentile_interval(np.concatenate(resampled).astype(np.float64))


def line(name: str, trips: Sequence[Trip]) -> str:
    """A row of the table a way of choosing."""
    rows = []
    for arm in ARMS:
        mean, (low, high) = shares(trips, arm)
        cells = [name, arm, f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"]
        for less in (ARMS[0], ARMS[1]):
            if arm in {ARMS[0], less}:
                cells.append("")
                continue
            more, (low, high) = shares(trips, arm, less)
            cells.append(f"{100 * more:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]")
        for told in ("wrong", "spread"):
            values = [getattr(each, told).get(arm, np.nan) for each in trips]
            cells.append("" if arm == ARMS[0] else f"{np.mean(values):.1f}")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _of(bank: flawshot.FeatureBank, product: str, work: Path) -> flawshot.FeatureBank:
    """The bank of one product."""
    place = work / f"{product}-bank"
    if place.exists():
        return flawshot.FeatureBank.open(place)
    own = bank.catalog.select([product])
    rows = [bank.catalog.row_of[each] for each in own.column("id")]
    return flawshot.write_bank(place, own, bank.rows(rows), *_records(bank))


def encoded(catalog: flawshot.Catalog, place: Path) -> flawshot.FeatureBank:
    """The regions' features."""
    scheme = flawshot.make_scheme(*TINY_VIEWS)
    return flawshot.encode_catalog(catalog, TinyEncoder(device="cpu"), scheme, place).bank


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where data and banks are kept between calls")
    parser.add_argument("--seeds", type=int, default=20, help="of each product")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        if not (work / "drawn").exists():
            flawshot.draw_data_set(work / "drawn", products=3, categories=6, images=120, side=256, seed=8101)
        sources = {"drawn": (work / "drawn", None)}
        if (SHARED / "magnetic-tile").is_dir():
            if not (work / "tiles").exists():
                import_masks(SHARED / "magnetic-tile", work / "tiles", min_area=MIN_AREA)
            sources["magnetic tile"] = (work / "tiles", SHARED / "magnetic-tile/groups.csv")
        else:
            print(f"left out: {SHARED / 'magnetic-tile'} is not there")
        lines = []
        for data, (folder, table) in sources.items():
            layout = "{product}/**"
            bank = encoded(flawshot.Catalog.open(folder, layout=layout), work / f"{folder.name}-bank")
            images = bank.catalog.column("image")
            tiles = None if table is None else flawshot.groups_from_csv(table, images)
            units = {
                each: image if tiles is None else tiles[image]
                for each, image in zip(bank.catalog.column("id"), images, strict=True)
            }
            with tempfile.TemporaryDirectory() as place:
                trips = [
                    trip(_of(bank, product, Path(place)), units, each.support, each.seed, Path(place) / product)
                    for product in bank.catalog.products
                    for each in flawshot.sample_episodes(
                        bank.catalog, product, SHOTS, seeds=range(options.seeds), groups=tiles
                    ).episodes
                ]
            lines.append(line(data, trips))
            regions, shown = len(bank.catalog), len(set(units.values()))
            print(f"{data}: {regions} regions, {shown} images or tiles, {len(trips)} trips", flush=True)
        head = [
            "data",
            "examples learned",
            "accuracy, %",
            "more than before",
            "more than at random",
            "wrong of the ten",
            "images, tiles of the ten",
        ]
        text = "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *lines])
        about = (
            f"flawshot-tiny (weights {bank.manifest.encoder.weights_hash[:8]}), `whitened-ridge`, {SHOTS} examples a "
            f"category, seeds 0 to {options.seeds - 1}."
        )
        print(f"{about}\n\n{text}")
        if options.write:
            put(f"{about}\n\n{text}\n", "round_trip", PAGE)


if __name__ == "__main__":
    main()
