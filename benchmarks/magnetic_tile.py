"""The whole way on real images: magnetic tile's masks to per-category accuracy, and a lesson about leaks.

    python benchmarks/magnetic_tile.py [--model timm/vit_small_patch14_dinov2 --pretrained yes] [--seeds 20]

392 images of five defect categories show 68 tiles: each was photographed at up to seven exposures. Keeping only
images apart puts one tile's exposures on both sides of an episode; ``groups.csv`` says which images show one tile, and
both figures are printed. The data (abin24/Magnetic-tile-defect-datasets. on GitHub, with a ``groups.csv`` of the
columns image and group) is looked for in ``magnetic-tile`` of FLAWSHOT_SHARED, by default ``../shared/data``.

Without ``--pretrained`` the encoder has random weights, and its figures say nothing of CLIP.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import open_clip
import torch

import flawshot
from flawshot.bank.builder import encode_catalog
from flawshot.encoders import make_encoder
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.formats.masks import import_masks
from flawshot.regions.views import make_scheme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.encoders.base import Encoder
    from flawshot.evaluation import Results

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
CLASSIFIERS = ["prototype", "knn", "zip-adapter", "matched-prototype"]
VIEWS = ("1.5x", "2x", "3x")
MIN_AREA = 30


def run(
    source: Path, folder: Path, encoder: Encoder, *, shots: Sequence[int] = (1, 3, 5), seeds: int = 20
) -> dict[str, Results]:
    """Import, encode, sample and evaluate.

    Args:
        source: Magnetic tile: a folder per category, masks beside the images, and ``groups.csv``.
        folder: Where Labelme files and bank go.
        encoder: What to encode with.
        shots: The K.
        seeds: How many seeds.

    Returns:
        Results with only images kept apart, and with whole tiles kept apart.
    """
    found = import_masks(source, folder / "labelme", min_area=MIN_AREA)
    print(f"{found.images} images, {len(found.categories)} categories, {found.instances} instances from {MIN_AREA} px")
    catalog = flawshot.Catalog.open(folder / "labelme")
    report = encode_catalog(catalog, encoder, make_scheme("centre3", VIEWS), folder / "bank")
    print(f"{report.encoded} instances encoded, {report.kept} kept, {len(report.left_out)} images left out")
    tiles = flawshot.groups_from_csv(source / "groups.csv", catalog.column("image"))
    results = {}
    for name, groups in (("images apart", None), ("tiles apart", tiles)):
        sets = [
            flawshot.sample_episodes(report.bank.catalog, found.products[0], k, seeds=range(seeds), groups=groups)
            for k in shots
        ]
        both = 0
        image = dict(zip(catalog.column("id"), catalog.column("image"), strict=True))
        for episode in (episode for each in sets for episode in each.episodes):
            support, query = ({tiles[image[i]] for i in ids} for ids in (episode.support, episode.query))
            both += bool(support & query)
        print(f"{name}: {both} of {len(sets) * seeds} episodes have a tile in support and query")
        results[name] = flawshot.evaluate(report.bank, sets, CLASSIFIERS)
    return results


def show(results: dict[str, Results]) -> None:
    """Print both figures of every classifier and K."""
    for run_apart, run_tiles in zip(results["images apart"].runs, results["tiles apart"].runs, strict=True):
        cells = []
        for value in (run_apart.macro_recall, run_tiles.macro_recall):
            low, high = value.ci95
            cells.append(f"{100 * value.mean:5.1f} [{100 * low:.1f}, {100 * high:.1f}]")
        print(f"{run_apart.classifier:18} {run_apart.shots}-shot  images apart {cells[0]}   tiles apart {cells[1]}")


def random_encoder(model: str, folder: Path) -> OpenClipEncoder:
    """A model with random weights."""
    torch.manual_seed(0)
    path = folder / "random.pt"
    torch.save(open_clip.create_model(model).state_dict(), path)
    return OpenClipEncoder(model, str(path))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32-quickgelu")
    parser.add_argument("--pretrained")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder: Encoder = (
            make_encoder(options.model, options.pretrained)
            if options.pretrained
            else random_encoder(options.model, folder)
        )
        print(f"{encoder.record.name}, weights {encoder.record.weights}; views centre3 of {', '.join(VIEWS)} the box")
        print("macro recall, % [95 % interval over seeds and images, or tiles, together], protocol disjoint")
        show(run(SHARED / "magnetic-tile", folder, encoder, seeds=options.seeds))


if __name__ == "__main__":
    main()
