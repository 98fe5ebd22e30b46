"""Truth over time: what fit promises in order and at random, and whether predict notices that data has changed.

    python benchmarks/order.py [--work DIR] [--draws 100] [--write]

Photographs of magnetic tiles, encoded by flawshot-tiny: 392 images of five categories. ``--write`` puts the tables into
``docs/uncertainty.md``.

- **promises**: a model is fitted to the first half of each category's images with ``order=``, and predicts the others.
  *by name*: as they are, in the order of their names, which is that of their exposures. *losing focus*: the same
  photographs, blurred by a Gaussian whose deviation grows with the order from 0 to 2 or 5 px, as if the lens worked
  loose; the change is ours, the photographs are real. *at random*: the mean over ``--draws`` / 20 random orders, as
  they are.
- **alarms**: the share of ``--draws`` draws in which ``predict`` would say that the data is unlike the examples, and in
  which each test's p-value is at most 5 and 1 %. *like the examples*: the examples are all regions of some tiles at
  random, or eight images of each category at random, and the new regions are the others. *blurred*: the same, but the
  new regions are from photographs blurred by 2 or 4 px. *a new category*: one category in turn is missing among the
  examples.

The data is looked for in ``magnetic-tile`` of FLAWSHOT_SHARED, by default ``../shared/data``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

import flawshot
from accuracy import put
from banks import MIN_AREA, SHARED
from flawshot.bank.builder import encode_catalog
from flawshot.classifiers import make_classifier
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.evaluation.intervals import percent
from flawshot.formats.masks import import_masks
from flawshot.models.accuracy import measure_share
from flawshot.models.calibration import calibrate, novelty
from flawshot.models.drift import KnownExamples, compare_regions
from flawshot.models.leave_one_out import leave_one_out
from flawshot.models.ordering import order_by_name
from uncertainty import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flawshot.models.drift import Drift

PAGE = Path(__file__).resolve().parents[1] / "docs" / "uncertainty.md"
IMAGES, TILES = 8, (20, 34)
# The deviation of the last image's blur in "losing focus", and of all in "blurred", px.
LAST, BLURS = (2.0, 5.0), (2.0, 4.0)
PROMISES = (
    "first half",
    "each image left out",
    "in order",
    "in random order",
    "clearly below",
    "second half",
    "unknown there, 10 promised",
    "said to be unlike",
)
ALARMS = ("new regions", "examples", "unlike", "unknown, 5 %", "unknown, 1 %", "newer, 5 %", "newer, 1 %")


class Tiles(NamedTuple):
    """Magnetic tile.

    Attributes:
        bank: The features.
        features: float32 ``[n, views, dim]``.
        labels: Categories.
        images: The image of each region.
        tiles: Its tile.
    """

    bank: flawshot.FeatureBank
    features: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    tiles: np.ndarray


def open_tiles(work: Path, name: str, blur: Callable[[str], float]) -> Tiles:
    """The photographs, each blurred by so many px, encoded once and kept in ``work``."""
    sharp, data = work / "tiles", work / name
    if not sharp.is_dir():
        import_masks(SHARED / "magnetic-tile", sharp, min_area=MIN_AREA)
    if not data.is_dir():
        made = shutil.copytree(sharp, work / f"{name}.made")
        for path in made.rglob("*.jpg"):
            with Image.open(path) as image:
                blurred = image.filter(ImageFilter.GaussianBlur(blur(path.relative_to(made).as_posix())))
            blurred.save(path.with_suffix(".bmp"))
            path.with_suffix(".bmp").replace(path)  # read by its first bytes: no second loss of JPEG
        made.rename(data)
    bank = encode_catalog(
        flawshot.Catalog.open(data), TinyEncoder(device="cpu"), make_views(), work / f"{name}-bank"
    ).bank
    images = bank.catalog.column("image")
    groups = flawshot.groups_from_csv(SHARED / "magnetic-tile" / "groups.csv", images)
    return Tiles(
        bank,
        bank.features(bank.catalog.column("id")),
        np.array(bank.catalog.column("category"), dtype=object),
        np.array(images, dtype=object),
        np.array([groups[image] for image in images], dtype=object),
    )


def make_views() -> flawshot.ViewScheme:
    """flawshot-tiny's own views."""
    return flawshot.make_scheme(*TINY_VIEWS)


def first_of_each(tiles: Tiles, ranks: Mapping[str, int], count: int | None = None) -> np.ndarray:
    """The regions on the first images of each category, or on the first half of them, bool ``[n]``."""
    chosen: set[str] = set()
    for category in np.unique(tiles.labels):
        own = sorted(set(tiles.images[tiles.labels == category]), key=ranks.__getitem__)
        chosen.update(own[: len(own) // 2 if count is None else count])
    return np.isin(tiles.images, list(chosen))


class Promise(NamedTuple):
    """What a model promised, what became of it, and the cells of the table."""

    left_out: float
    in_order: float
    at_random: float
    below: bool
    others: float
    unknown: float
    unlike: bool
    cells: tuple[str, ...]


def promise(tiles: Tiles, ranks: Mapping[str, int]) -> Promise:
    """Fit to the first half, and predict the second."""
    own = first_of_each(tiles, ranks)
    catalog = tiles.bank.catalog
    part = flawshot.Catalog(catalog.table.filter(own), catalog.root)
    manifest, features = tiles.bank.manifest, tiles.features[own]
    with tempfile.TemporaryDirectory() as name:
        support = flawshot.write_bank(
            Path(name) / "bank", part, features[:, :, None].astype(np.float16), manifest.encoder, manifest.views
        )
        model = flawshot.fit_model(support, Path(name) / "model", order=flawshot.ImageOrder("name", ranks))
        others = model.judge(tiles.features[~own])
        drift = flawshot.measure_drift(model, others, tiles.images[~own].tolist())
    every = np.ones(len(others), dtype=bool)
    right = measure_share(np.array(others.labels) == tiles.labels[~own], tiles.images[~own].tolist(), every)
    unknown = measure_share(others.unknown, tiles.images[~own].tolist(), every)
    accuracy, found = model.record.history[-1].accuracy, model.record.history[-1].in_order
    if accuracy is None or found is None or right is None or unknown is None or drift is None:
        raise ValueError("there is too little data")
    chance = min(p for p in (drift.unknown_p, drift.newer_p) if p is not None)
    cells = (
        percent(accuracy.mean, accuracy.ci95),
        percent(found.right.mean, found.right.ci95),
        f"{100 * found.random:.1f}",
        f"{'yes' if found.clearly_below else 'no'}, p = {found.p:.2g}",
        percent(right.mean, right.ci95),
        percent(unknown.mean, unknown.ci95),
        f"{'yes' if drift.unlike else 'no'}, p = {chance:.1g}",
    )
    shares = (accuracy.mean, found.right.mean, found.random, found.clearly_below, right.mean, unknown.mean)
    return Promise(*shares, drift.unlike, cells)


def promises(sharp: Tiles, losing: Mapping[float, Tiles], ranks: Mapping[str, int], draws: int) -> str:
    """The table of promises: in order, and the mean over random orders."""
    rows = [("by name", *promise(sharp, ranks).cells)]
    rows += [(f"losing focus, to {last:g} px", *promise(each, ranks).cells) for last, each in losing.items()]
    images, rng = sorted(ranks), np.random.default_rng(0)
    others = [
        promise(sharp, dict(zip(images, rng.permutation(len(images)).tolist(), strict=True))) for _ in range(draws)
    ]
    cells = []
    for name in ("left_out", "in_order", "at_random", "below", "others", "unknown", "unlike"):
        values = [getattr(each, name) for each in others]
        yes_no = name in {"below", "unlike"}
        cells.append(f"yes in {sum(values)} of {draws}" if yes_no else f"{100 * np.mean(values):.1f}")
    return table(PROMISES, [*rows, ("at random", *cells)])


def compared(examples: Tiles, own: np.ndarray, others: Tiles, new: np.ndarray, units: np.ndarray) -> Drift | None:
    """The comparison of some regions with others as examples."""
    labels = examples.labels[own]
    left = leave_one_out(make_classifier("prototype"), examples.features[own], labels, units[own])
    known = calibrate(left.probabilities, labels, left.novelty, left.held_out_novelty, groups=units[own])
    newness = novelty(examples.features[own], labels, others.features[new])
    limit = np.inf if known.novelty_limit is None else known.novelty_limit
    of_examples = KnownExamples(known, units[own].tolist(), left.novelty.astype(np.float64))
    return compare_regions(of_examples, newness, newness > limit, units[new].tolist())


def drawn(tiles: Tiles, count: int | None, draws: int) -> Iterator[tuple[int, np.ndarray]]:
    """The draws' numbers, and which regions are examples: those of so many tiles, or of images of each category."""
    every = np.array(sorted(set(tiles.tiles)), dtype=object)
    images = sorted(set(tiles.images))
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        if count is None:
            ranks = dict(zip(images, rng.permutation(len(images)).tolist(), strict=True))
            yield draw, first_of_each(tiles, ranks, IMAGES)
        else:
            yield draw, np.isin(tiles.tiles, rng.permutation(every)[:count])


def alarms(sharp: Tiles, blurred: Mapping[float, Tiles], draws: int) -> str:
    """How often data is called unlike the examples."""
    rows = []
    categories = np.unique(sharp.labels)
    cases: list[tuple[str, Tiles, int | None]] = [("like the examples", sharp, count) for count in (*TILES, None)]
    cases += [(f"blurred, {blur:g} px", tiles, count) for blur, tiles in blurred.items() for count in (TILES[0], None)]
    cases += [("a new category", sharp, TILES[1])]
    for name, others, count in cases:
        told = []
        for draw, example in drawn(sharp, count, draws):
            own = example & (sharp.labels != categories[draw % len(categories)]) if "category" in name else example
            found = compared(sharp, own, others, ~example, sharp.images if count is None else sharp.tiles)
            if found is not None:
                told.append(found)
        shares = [np.mean([each.unlike for each in told])]
        for test in ("unknown_p", "newer_p"):
            given = np.array([p for each in told if (p := getattr(each, test)) is not None])
            shares += [np.mean(given <= level) for level in (0.05, 0.01)]
        about = f"{IMAGES} images of each category" if count is None else f"{count} of {len(set(sharp.tiles))} tiles"
        rows.append((name, about, *(f"{100 * each:.1f}" for each in shares)))
        print(*rows[-1], file=sys.stderr, flush=True)
    return table(ALARMS, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where pictures and banks are kept between calls")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/uncertainty.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        work.mkdir(parents=True, exist_ok=True)
        sharp = open_tiles(work, "sharp", lambda _: 0.0)
        ranks = order_by_name(sharp.images).ranks
        share = {}
        for category in np.unique(sharp.labels):
            own = sorted(set(sharp.images[sharp.labels == category]), key=ranks.__getitem__)
            share |= {image: place / len(own) for place, image in enumerate(own)}
        losing = {
            last: open_tiles(work, f"losing-{last:g}", lambda image, last=last: last * share.get(image, 0.0))
            for last in LAST
        }
        blurred = {blur: open_tiles(work, f"blurred-{blur:g}", lambda _, blur=blur: blur) for blur in BLURS}
        parts = [f"Weights of flawshot-tiny: `{sharp.bank.manifest.encoder.weights_hash}`."]
        parts.append(promises(sharp, losing, ranks, options.draws // 20))
        print(parts[-1], flush=True)
        parts.append(alarms(sharp, blurred, options.draws))
        print(parts[-1])
    if options.write:
        put("\n\n".join(parts) + "\n", "order", PAGE)


if __name__ == "__main__":
    main()
