"""The data sets that accuracy is measured on, each as a feature bank with its episodes.

- **transistor** (of MVTec-FS): AlphaCLIP ViT-L/14 features that MVREC released, 27 views; protocol ``mvrec``.
- **magnetic tile**: 392 photographs, five categories, EfficientNet-Lite0, 27 views (``mso`` of 1.5, 2 and 3 times the
  box); protocol ``disjoint``, whole tiles apart.
- **drawn**: four drawn products of six categories (``drawn.py``), encoded likewise; protocol ``disjoint``.

Real data is looked for in FLAWSHOT_SHARED (by default ``../shared/data``); what is not there is left out, and said.
Encoding takes some minutes the first time; the banks are kept in the folder that is given.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import flawshot
from drawn import draw_products
from flawshot.bank_builder import encode_catalog
from flawshot.formats.masks import import_masks
from flawshot.views import make_scheme
from lite0 import Lite0Encoder

__all__ = ["SHOTS", "DataSet", "data_sets"]

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
SHOTS = (1, 3, 5)
SIZES = ("1.5x", "2x", "3x")
MIN_AREA = 30


class DataSet(NamedTuple):
    """A bank and the episodes to score on it.

    Attributes:
        name: What tables call it.
        about: Encoder, views, protocol and seeds, in words.
        bank: The features.
        episodes: An entry a product and K.
    """

    name: str
    about: str
    bank: flawshot.FeatureBank
    episodes: list[flawshot.EpisodeSet]


def data_sets(folder: Path) -> list[DataSet]:
    """All data sets that are at hand.

    Args:
        folder: Where banks are kept between calls.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = [drawn(folder)]
    for name, make in (("magnetic-tile", magnetic_tile), ("mvrec", transistor)):
        if (SHARED / name).is_dir():
            made.insert(0, make(folder))
        else:
            print(f"left out: {SHARED / name} is not there")
    return made


def transistor(folder: Path) -> DataSet:
    """MVREC's released features of transistor."""
    catalog = flawshot.Catalog.from_annotations(flawshot.read_mvtec_fs(SHARED / "mvtec-fs"))
    bank = flawshot.import_mvrec_features(SHARED / "mvrec", folder / "transistor", catalog, overwrite=True)
    episodes = [flawshot.sample_episodes(bank.catalog, "transistor", k, protocol="mvrec") for k in SHOTS]
    about = "AlphaCLIP ViT-L/14, MVREC's released features, 27 views; protocol mvrec, seeds 0 to 4, 21 queries"
    return DataSet("transistor", about, bank, episodes)


def magnetic_tile(folder: Path, seeds: int = 20) -> DataSet:
    """Magnetic tile, whole tiles apart."""
    source, labelme = SHARED / "magnetic-tile", folder / "magnetic-tile-labelme"
    if not labelme.is_dir():
        import_masks(source, labelme, min_area=MIN_AREA)
    bank = _encoded(flawshot.Catalog.open(labelme), folder / "magnetic-tile")
    tiles = flawshot.groups_from_csv(source / "groups.csv", bank.catalog.column("image"))
    (product,) = bank.catalog.products
    episodes = [flawshot.sample_episodes(bank.catalog, product, k, seeds=range(seeds), groups=tiles) for k in SHOTS]
    about = f"EfficientNet-Lite0 (ImageNet; no CLIP), 27 views; protocol disjoint, tiles apart, seeds 0 to {seeds - 1}"
    return DataSet("magnetic tile", about, bank, episodes)


def drawn(folder: Path, seeds: int = 5) -> DataSet:
    """Four drawn products."""
    data = folder / "drawn-images"
    if not data.is_dir():
        draw_products(data)
    bank = _encoded(flawshot.Catalog.open(data, layout="{product}/**"), folder / "drawn")
    episodes = [
        flawshot.sample_episodes(bank.catalog, product, k, seeds=range(seeds))
        for product in bank.catalog.products
        for k in SHOTS
    ]
    encoded = "mean of 4 products; EfficientNet-Lite0 (ImageNet; no CLIP), 27 views"
    about = f"{encoded}; protocol disjoint, seeds 0 to {seeds - 1}"
    return DataSet("drawn", about, bank, episodes)


def _encoded(catalog: flawshot.Catalog, out: Path) -> flawshot.FeatureBank:
    return encode_catalog(catalog, Lite0Encoder(), make_scheme("mso", SIZES), out, batch_size=54).bank
