"""Whether a model's doubt can be taken at its word: prediction sets and unknown regions, on drawn data and photographs.

    python benchmarks/uncertainty.py [--work DIR] [--write]

``--write`` puts the tables into ``docs/uncertainty.md``.

- **drawn**: 20 drawn products of 9 categories, 30 instances each (``flawshot synth``'s drawings, seed 8001; the weights
  were trained on other drawings), protocol ``disjoint``, 10 seeds a product: 200 episodes for each K, 60 for K = 20.
- **magnetic tile** (reported; nothing was chosen on it): photographs of five defect categories, whole tiles apart by
  ``groups.csv``, components of at least 30 px, 100 seeds. Looked for in ``magnetic-tile`` of FLAWSHOT_SHARED, by
  default ``../shared/data``; left out, and said, where it is not.

Encoder flawshot-tiny with its default views, classifier ``whitened-ridge``. In every episode one category, in turn, is
left out of the support set: the other categories' queries say whether sets hold what they should, its own are what is
to be found unknown. Shares are means over categories, for that is what is promised: regions whose categories are as
frequent as among the examples. Intervals: 95 %, bootstrap over seeds and products (on magnetic tile over seeds)
together.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import flawshot
from accuracy import put
from flawshot.bank.builder import encode_catalog
from flawshot.base.parallel import cores, in_order
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.formats.masks import import_masks
from flawshot.models.calibration import calibrate, novelty
from flawshot.models.leave_one_out import leave_one_out
from flawshot.regions.views import make_scheme
from flawshot.synthetic.data_set import draw_data_set
from two_way import draws, percentile_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
PAGE = Path(__file__).resolve().parents[1] / "docs" / "uncertainty.md"
# Seeds a product, by K: many fits are needed where there are many examples.
SEEDS = {1: 10, 2: 10, 5: 10, 10: 10, 20: 3}
TILE_SEEDS = {1: 100, 2: 100, 5: 100, 10: 100}
COVERAGES = (0.8, 0.9, 0.95)
MIN_AREA = 30
SETS_HEAD = (
    "K",
    "promised",
    "in so many models",
    "covered",
    "one model in ten below",
    "covered by the threshold alone",
    "categories a set",
    "unsure",
    "right where sure",
    "wrong ones that are unsure",
)
UNKNOWN_HEAD = ("K", "AUROC", "as foretold", "unknown found", "as foretold", "false alarms", "accuracy")


class Asked(NamedTuple):
    """An episode without one of its categories.

    Attributes:
        support: float32 ``[n, views, dim]``.
        labels: Category numbers of the others, ``[n]``.
        groups: Image or tile of each.
        query: float32 ``[q, views, dim]``.
        truth: Category numbers of the queries; -1 where theirs was left out.
    """

    support: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    query: np.ndarray
    truth: np.ndarray


def episodes(
    bank: flawshot.FeatureBank, product: str, shots: int, seeds: range, groups: Mapping[str, str] | None = None
) -> Iterator[Asked]:
    """The episodes of a product, each without the category whose turn it is."""
    drawn = flawshot.sample_episodes(bank.catalog, product, shots, seeds=seeds, groups=groups, allow_short=True)
    rows = bank.catalog.row_of
    category, image = bank.catalog.column("category"), bank.catalog.column("image")
    for episode in drawn.episodes:
        out = drawn.categories[episode.seed % len(drawn.categories)]
        known = [name for name in drawn.categories if name != out]
        support = [each for each in episode.support if category[rows[each]] != out]
        images = [image[rows[each]] for each in support]
        yield Asked(
            bank.features(support),
            np.array([known.index(category[rows[each]]) for each in support]),
            np.array([each if groups is None else groups[each] for each in images], dtype=object),
            bank.features(episode.query),
            np.array([-1 if (c := category[rows[each]]) == out else known.index(c) for each in episode.query]),
        )


def measure(asked: Asked) -> dict[str, float]:
    """What one episode gives; NaN where it has nothing to measure."""
    left = leave_one_out(flawshot.make_classifier("whitened-ridge"), asked.support, asked.labels, asked.groups)
    fitted = flawshot.make_classifier("whitened-ridge").fit(asked.support, asked.labels)
    given = fitted.predict_proba(asked.query)
    newness = novelty(asked.support, asked.labels, asked.query)
    known = asked.truth >= 0
    truth = asked.truth[known]
    own = np.arange(len(truth))
    right = given[known].argmax(axis=1) == truth

    def share(values: np.ndarray) -> float:
        """Mean over the categories that are asked for."""
        return float(np.mean([values[truth == each].mean() for each in np.unique(truth)]))

    found = {"accuracy": share(right)}
    for coverage in COVERAGES:
        made = calibrate(
            left.probabilities, asked.labels, left.novelty, left.held_out_novelty, coverage, groups=asked.groups
        )
        judged = made.judge(given, newness)
        unsure, sets = judged.unsure[known], judged.sets[known]
        promised = made.promised is not None
        found |= {
            f"promised {coverage}": float(promised),
            f"by category {coverage}": float(made.by_category),
            f"covered {coverage}": share(sets[own, truth]) if promised else np.nan,
            f"bare {coverage}": share((given[known] >= np.array(made.least))[own, truth]) if promised else np.nan,
            f"size {coverage}": share(sets.sum(axis=1)),
            f"unsure {coverage}": share(unsure),
            f"sure right {coverage}": float(right[~unsure].mean()) if not unsure.all() else np.nan,
            f"wrong unsure {coverage}": float(unsure[~right].mean()) if not right.all() else np.nan,
        }
    limited = made.novelty_limit is not None
    found |= {
        "limited": float(limited),
        "auroc": auroc(newness[known], newness[~known]),
        "alarms": share(judged.unknown[known]) if limited else np.nan,
        "found": float(judged.unknown[~known].mean()) if limited else np.nan,
        "auroc foretold": np.nan if made.unknown_auroc is None else made.unknown_auroc,
        "found foretold": np.nan if made.unknown_found is None else made.unknown_found,
    }
    return found


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """How often an unknown one is newer than a known one."""
    ordered = np.sort(known)
    places = np.searchsorted(ordered, unknown, "left") + np.searchsorted(ordered, unknown, "right")
    return float(places.mean() / 2 / len(known))


def cell(values: np.ndarray, key: str, *, digits: int = 1, scale: float = 100) -> str:
    """The mean of ``[products, seeds]`` with its interval, over seeds and products together; NaN does not count."""
    there = np.isfinite(values)
    if not there.any():
        return "–"
    filled = np.where(there, values, 0.0)
    means = []
    for draw in draws(values.shape[1], values.shape[0], key):
        with np.errstate(invalid="ignore"):
            total = np.einsum("ds,us,du->d", draw.seeds, filled, draw.units)
            means.append(total / np.einsum("ds,us,du->d", draw.seeds, there.astype(float), draw.units))
    low, high = percentile_interval(np.concatenate(means))
    return f"{scale * values[there].mean():.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table."""
    return "\n".join(["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)])


def tables(found: Mapping[int, Mapping[str, np.ndarray]]) -> str:
    """Both tables of a data set, from what was measured by K and name, each ``[products, seeds]``."""
    sets, unknown = [], []
    for shots, measured in found.items():
        for coverage in COVERAGES:
            by = " of each category" if measured[f"by category {coverage}"].all() else ""
            covered = measured[f"covered {coverage}"]
            sets.append(
                [
                    str(shots),
                    f"{100 * coverage:.0f}{by}" if np.isfinite(covered).any() else f"nothing ({100 * coverage:.0f})",
                    f"{100 * measured[f'promised {coverage}'].mean():.0f}",
                    cell(covered, "covered"),
                    f"{100 * np.nanpercentile(covered, 10):.1f}" if np.isfinite(covered).any() else "–",
                    cell(measured[f"bare {coverage}"], "bare"),
                    cell(measured[f"size {coverage}"], "size", digits=2, scale=1),
                    cell(measured[f"unsure {coverage}"], "unsure"),
                    cell(measured[f"sure right {coverage}"], "sure"),
                    cell(measured[f"wrong unsure {coverage}"], "wrong"),
                ]
            )
        cells = [cell(measured[name], name, digits=3, scale=1) for name in ("auroc", "auroc foretold")]
        cells += [cell(measured[name], name) for name in ("found", "found foretold", "alarms", "accuracy")]
        unknown.append([str(shots), *cells])
    return f"{table(SETS_HEAD, sets)}\n\n{table(UNKNOWN_HEAD, unknown)}"


def run(
    bank: flawshot.FeatureBank,
    seeds: Mapping[int, int],
    wanted: set[int],
    groups: Mapping[str, str] | None,
    workers: int,
) -> dict[int, dict[str, np.ndarray]]:
    """Measure every product, with so many seeds by K, at the K that are wanted; each goes to standard error at once."""
    made: dict[int, dict[str, np.ndarray]] = {}
    products = bank.catalog.products
    for k, count in seeds.items():
        if k not in wanted:
            continue
        tasks = (
            (asked,)
            for number, product in enumerate(products)
            for asked in episodes(bank, product, k, range(number * count, (number + 1) * count), groups)
        )
        found = list(in_order(measure, tasks, workers))
        made[k] = {name: np.array([each[name] for each in found]).reshape(len(products), count) for name in found[0]}
        print(tables({k: made[k]}), file=sys.stderr, flush=True)
    return made


def drawn_bank(work: Path, *, products: int, categories: int, images: int, seed: int) -> flawshot.FeatureBank:
    """A bank of drawn products; both are kept in ``work``."""
    data = work / f"drawn-{seed}"
    if not data.is_dir():
        draw_data_set(data, products=products, categories=categories, images=images, seed=seed, side=256)
    return encoded(flawshot.Catalog.open(data, layout="{product}/**"), work / f"drawn-{seed}-bank")


def encoded(catalog: flawshot.Catalog, out: Path) -> flawshot.FeatureBank:
    """The catalog's bank by flawshot-tiny with its default views."""
    scheme, sizes = TINY_VIEWS
    return encode_catalog(catalog, TinyEncoder(device="cpu"), make_scheme(scheme, sizes), out).bank


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where drawings and banks are kept between calls")
    parser.add_argument("--shots", help="only these K, such as 5,10; all unless given")
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--write", action="store_true", help="put the tables into docs/uncertainty.md")
    options = parser.parse_args()
    wanted = {int(each) for each in options.shots.split(",")} if options.shots else set(SEEDS)
    parts: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        parts.append(text)

    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        work.mkdir(parents=True, exist_ok=True)
        bank = drawn_bank(work, products=20, categories=9, images=235, seed=8001)
        say(f"Weights of flawshot-tiny: `{bank.manifest.encoder.weights_hash}`.")
        say("### Drawn: 20 products of 9 categories, 200 episodes for each K, 60 for K = 20")
        say(tables(run(bank, SEEDS, wanted, None, options.workers)))
        source = SHARED / "magnetic-tile"
        if source.is_dir():
            if not (work / "tiles").is_dir():
                import_masks(source, work / "tiles", min_area=MIN_AREA)
            bank = encoded(flawshot.Catalog.open(work / "tiles"), work / "tiles-bank")
            tiles = flawshot.groups_from_csv(source / "groups.csv", bank.catalog.column("image"))
            say("### Magnetic tile: 5 categories, whole tiles apart, 100 episodes for each K")
            say(tables(run(bank, TILE_SEEDS, wanted, tiles, options.workers)))
        else:
            print(f"left out: {source} is not there")
    if options.write:
        put("\n\n".join(parts) + "\n", "uncertainty", PAGE)


if __name__ == "__main__":
    main()
