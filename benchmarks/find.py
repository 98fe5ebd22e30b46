"""What a locator reaches: flaws found on whole images, named, and what that costs.

    python benchmarks/find.py [--encoders tiny,lite0] [--data tiles,drawn] [--good 0,1,4,16] [--alarms 0.05] [--seeds 3]
        [--classifier default] [--part 1]

Two kinds of data. Magnetic tile (as for ``magnetic_tile.py``) with whole tiles kept apart: it has no image without a
flaw, so each is cut in two across its longer side; halves without any flaw pixel are the good images, and those with
flaws of 30 px or more are the others. Tiles are parted by a hash of their names: settings were chosen on part 0, which
gives the support, five instances per category; the queries are the images of part 1, 24 tiles on which nothing was
chosen. And products drawn by ``flawshot.draw_data_set`` with exact masks, of seeds on which nothing was chosen; three
instances per category are labeled.

Printed are, for each encoder and number of good images, the scores of ``flawshot evaluate-find`` with their 95 %
intervals: heat maps, instances found, false regions, and names by a classifier, by the locator itself, and by both.
Then the CPU time per image, searched at 512 px, on one thread, and the bytes of the bank.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

import flawshot
from flawshot.cli.evaluating_finding import finder_fitter
from flawshot.cli.finding_tables import print_finding
from flawshot.encoders import make_encoder
from flawshot.encoders.flawshot_tiny import TINY_VIEWS
from flawshot.evaluation.finding_data import FindingData, data_of_folder
from flawshot.evaluation.finding_episodes import FindingEpisode, draw_finding_episodes
from flawshot.evaluation.finding_names import RegionNamer
from flawshot.evaluation.finding_results import FindingResults
from flawshot.evaluation.finding_runs import average_finding, evaluate_finding
from flawshot.formats.components import component_shape, large_components
from flawshot.labelme.labelme_file import LabelmeFile, write_labelme
from flawshot.locating.dense import dense_features
from flawshot.locating.examples import LabeledImage
from flawshot.locating.fitting import ALARMS, fit_locator
from flawshot.regions.views import make_scheme
from lite0 import lite0_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.encoders.base import BaseEncoder
    from flawshot.evaluation.finding_runs import ScoredRun

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
MIN_AREA = 30
LABELED = {"tiles": 5, "drawn": 3}
# Seeds of drawn data sets on which nothing was chosen.
DRAWN_SEEDS = (101, 102)


def part_of(tile: str) -> int:
    """The part, 0 or 1, that a tile belongs to."""
    return int(hashlib.sha256(tile.encode()).hexdigest(), 16) % 2


def tile_halves(source: Path, out: Path) -> tuple[FindingData, dict[str, str]]:
    """Write halves of magnetic tile's images as Labelme files and good images.

    Args:
        source: The data.
        out: A new folder.

    Returns:
        The images, and the tile that each shows.
    """
    with (source / "groups.csv").open(encoding="utf-8", newline="") as file:
        tiles = {row["image"]: row["group"] for row in csv.DictReader(file)}
    groups = {}
    for name, tile in tiles.items():
        image, mask = Image.open(source / name), Image.open((source / name).with_suffix(".png")).convert("L")
        width, height = image.size
        middle = (width // 2, height) if width > height else (width, height // 2)
        boxes = (0, 0, *middle), (*((middle[0], 0) if width > height else (0, middle[1])), width, height)
        for number, box in enumerate(boxes):
            flawed = np.asarray(mask.crop(box)) > 127
            regions, small = large_components(flawed, MIN_AREA, None)
            if small and not regions:
                continue
            category = Path(name).parts[0].removeprefix("MT_")
            folder, stem = ("tile" if regions else "good"), f"{category}-{Path(name).stem}-{number}"
            (out / folder).mkdir(parents=True, exist_ok=True)
            image.crop(box).convert("RGB").save(out / folder / f"{stem}.png")
            groups[f"{stem}.png" if regions else f"../good/{stem}.png"] = tile
            if regions:
                shapes = tuple(component_shape(index, category, each) for index, each in enumerate(regions))
                write_labelme(LabelmeFile(f"{stem}.png", shapes, *flawed.shape), out / folder / f"{stem}.json")
    catalog = flawshot.Catalog.open(out / "tile")
    return data_of_folder(catalog, out / "good", [])[0], groups


def drawn(out: Path, seeds: Sequence[int]) -> list[FindingData]:
    """Draw products, each with good images."""
    made = []
    for seed in seeds:
        flawshot.draw_data_set(out / str(seed), categories=5, images=30, products=2, good=30, seed=seed)
        folders = sorted(path for path in (out / str(seed)).iterdir() if path.is_dir())
        made += [data_of_folder(flawshot.Catalog.open(each), each / "good", [])[0] for each in folders]
    return made


def parted_episodes(
    data: FindingData, shots: int, count: int, *, seeds: int, groups: Mapping[str, str], part: int
) -> list[FindingEpisode]:
    """Episodes whose support is of part 0, and whose queries are all images of part 1, or the others of part 0."""
    first = {name for name, group in groups.items() if part_of(group) == 0}
    images = data.catalog.column("image")
    own = FindingData(
        data.product,
        flawshot.Catalog(data.catalog.table.filter([image in first for image in images]), data.catalog.root),
        tuple(each for each in data.good if each.name in first),
    )
    drawn = draw_finding_episodes(own, shots, count, seeds=range(seeds), groups=groups, allow_short=True)
    if part == 0:
        return drawn
    queries = tuple(dict.fromkeys(image for image in images if image not in first))
    good = tuple(each for each in data.good if each.name not in first)
    return [each._replace(queries=queries, good_queries=good) for each in drawn]


def run(
    data: FindingData,
    encoder: BaseEncoder,
    *,
    shots: int,
    good: Sequence[int],
    alarms: float,
    seeds: int,
    classifier: str,
    groups: Mapping[str, str] | None = None,
    part: int = 1,
) -> list[ScoredRun]:
    """Fit and score locators with several numbers of good images; of groups, those of part 0 give the support."""
    made = []
    # A namer remembers instances by their ids, so each data set has its own.
    namer = RegionNamer(encoder, make_scheme(*TINY_VIEWS), classifier)
    for count in good:
        if groups is None:
            episodes = draw_finding_episodes(data, shots, count, seeds=range(seeds))
        else:
            episodes = parted_episodes(data, shots, count, seeds=seeds, groups=groups, part=part)
        scored = evaluate_finding(
            data,
            episodes,
            finder_fitter(encoder, alarms),
            shots=shots,
            good_shots=count,
            namer=namer,
            groups=groups,
        )
        made.append(scored)
    return made


def show(scored: Sequence[ScoredRun]) -> None:
    """Print the tables of ``flawshot evaluate-find``."""
    runs, means = tuple(each.run for each in scored), tuple(average_finding(scored))
    print_finding(FindingResults(runs=runs, means=means, provenance={}), per_category=False)


def cost(encoder: BaseEncoder, data: FindingData) -> tuple[float, float, int]:
    """CPU seconds per image for the encoder's maps and for everything, on one thread; the bank's bytes."""
    episode = draw_finding_episodes(data, LABELED["tiles"], 16, seeds=[0], allow_short=True)[0]
    support = [each for each in data.catalog if each.id in set(episode.support)]
    root = Path(str(data.catalog.root))
    labeled = [LabeledImage(root / each.image, ((each.category, each.region()),)) for each in support]
    locator = fit_locator(encoder, labeled, [each.path for each in episode.good]).locator
    image = Image.open(root / support[0].image).convert("RGB").resize((384, 384))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    middles = []
    for call in (lambda: dense_features(encoder, image), lambda: locator.inspect(image)):
        taken = []
        for _ in range(9):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
        middles.append(statistics.median(taken))
    torch.set_num_threads(threads)
    return middles[0], middles[1], locator.heat_model.bank.vectors.nbytes


def encoder_named(name: str) -> BaseEncoder:
    """Flawshot-tiny, or EfficientNet-Lite0 whose last map is averaged in the mask."""
    return make_encoder("flawshot-tiny", device="cpu") if name == "tiny" else lite0_encoder("mask-pool")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", default="tiny,lite0")
    parser.add_argument("--data", default="tiles,drawn")
    parser.add_argument("--good", default="0,1,4,16")
    parser.add_argument("--alarms", type=float, default=ALARMS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--classifier", default="default", help="what names regions beside the locator")
    parser.add_argument("--part", type=int, default=1, help="0: queries of the part to choose settings on")
    options = parser.parse_args()
    settings = {
        "good": [int(each) for each in options.good.split(",")],
        "alarms": options.alarms,
        "seeds": options.seeds,
        "classifier": options.classifier,
    }
    with tempfile.TemporaryDirectory() as folder:
        tiles, groups = tile_halves(SHARED / "magnetic-tile", Path(folder, "tiles"))
        products = drawn(Path(folder, "drawn"), DRAWN_SEEDS) if "drawn" in options.data else []
        for name in options.encoders.split(","):
            encoder = encoder_named(name)
            print(
                f"\n{encoder.record.name}, queries of part {options.part} of the tiles, "
                f"thresholds at {100 * options.alarms:g} % of good images"
            )
            if "tiles" in options.data:
                show(run(tiles, encoder, shots=LABELED["tiles"], groups=groups, part=options.part, **settings))
            if products:
                show([one for each in products for one in run(each, encoder, shots=LABELED["drawn"], **settings)])
            maps, everything, size = cost(encoder, tiles)
            milliseconds = f"{1000 * everything:.0f} ms of CPU per image, of which maps {1000 * maps:.0f}"
            print(f"one thread: {milliseconds}; bank {size} bytes")


if __name__ == "__main__":
    main()
