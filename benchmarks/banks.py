"""The data sets that accuracy is measured on, each as a feature bank with its episodes.

- **transistor** (of MVTec-FS): AlphaCLIP ViT-L/14 features that MVREC released, 27 views; protocol ``mvrec``.
- **pooled transistor**: the same features, support and query drawn from all 43 instances; protocol ``disjoint``.
- **magnetic tile**: 392 photographs, five categories, EfficientNet-Lite0, 27 views (``mso`` of 1.5, 2 and 3 times the
  box); protocol ``disjoint``, whole tiles apart.
- **drawn**: four drawn products of six categories (``drawn.py``), encoded likewise; protocol ``disjoint``.
- **held out**: four other drawn products, on which nothing was ever chosen; the others served to find ``default``.

Real data is looked for in FLAWSHOT_SHARED (by default ``../shared/data``); what is not there is left out, and said.
Encoding takes some minutes the first time; the banks are kept in the folder that is given.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import flawshot
from drawn import draw_products
from flawshot.bank.builder import encode_catalog
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.formats.masks import import_masks
from flawshot.regions.views import make_scheme
from lite0 import lite0_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SHOTS", "DataSet", "data_sets", "held_out"]

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
    """The data sets at hand that served to find ``default``.

    Args:
        folder: Where banks are kept between calls.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = [drawn(folder, "drawn", seed=0)]
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


def pooled_transistor(folder: Path, seeds: int = 15) -> DataSet:
    """The same features, support and query drawn from all 43 instances, images apart."""
    bank = transistor(folder).bank
    episodes = [flawshot.sample_episodes(bank.catalog, "transistor", k, seeds=range(seeds)) for k in SHOTS]
    about = f"AlphaCLIP ViT-L/14, MVREC's released features, 27 views; protocol disjoint, seeds 0 to {seeds - 1}"
    return DataSet("pooled transistor", about, bank, episodes)


def magnetic_tile(folder: Path, seeds: int = 10) -> DataSet:
    """Magnetic tile, whole tiles apart."""
    source, labelme = SHARED / "magnetic-tile", folder / "magnetic-tile-labelme"
    _once(labelme, lambda place: import_masks(source, place, min_area=MIN_AREA))
    bank = _encoded(flawshot.Catalog.open(labelme), folder / "magnetic-tile")
    tiles = flawshot.groups_from_csv(source / "groups.csv", bank.catalog.column("image"))
    (product,) = bank.catalog.products
    episodes = [flawshot.sample_episodes(bank.catalog, product, k, seeds=range(seeds), groups=tiles) for k in SHOTS]
    about = f"EfficientNet-Lite0 (ImageNet; no CLIP), 27 views; protocol disjoint, tiles apart, seeds 0 to {seeds - 1}"
    return DataSet("magnetic tile", about, bank, episodes)


def magnetic_tile_tiny(folder: Path, seeds: int = 10) -> DataSet:
    """Magnetic tile as :func:`magnetic_tile`, with the encoder that flawshot contains and its own three views."""
    source, labelme = SHARED / "magnetic-tile", folder / "magnetic-tile-labelme"
    _once(labelme, lambda place: import_masks(source, place, min_area=MIN_AREA))
    scheme, sizes = TINY_VIEWS
    catalog = flawshot.Catalog.open(labelme)
    bank = encode_catalog(catalog, TinyEncoder(device="cpu"), make_scheme(scheme, sizes), folder / "mt-tiny").bank
    tiles = flawshot.groups_from_csv(source / "groups.csv", bank.catalog.column("image"))
    (product,) = bank.catalog.products
    episodes = [flawshot.sample_episodes(bank.catalog, product, k, seeds=range(seeds), groups=tiles) for k in SHOTS]
    about = f"flawshot-tiny, 3 views; protocol disjoint, tiles apart, seeds 0 to {seeds - 1}"
    return DataSet("magnetic tile, flawshot-tiny", about, bank, episodes)


def held_out(folder: Path) -> DataSet:
    """Four drawn products that nothing was chosen on."""
    return drawn(folder, "held out", seed=1, seeds=3)


def drawn(folder: Path, name: str, *, seed: int, seeds: int = 5) -> DataSet:
    """Four drawn products."""
    data = folder / f"{name.replace(' ', '-')}-images"
    _once(data, lambda place: draw_products(place, seed=seed))
    bank = _encoded(flawshot.Catalog.open(data, layout="{product}/**"), folder / name.replace(" ", "-"))
    episodes = [
        flawshot.sample_episodes(bank.catalog, product, k, seeds=range(seeds))
        for product in bank.catalog.products
        for k in SHOTS
    ]
    encoded = f"mean of 4 drawn products (seed {seed}); EfficientNet-Lite0 (ImageNet; no CLIP), 27 views"
    return DataSet(name, f"{encoded}; protocol disjoint, seeds 0 to {seeds - 1}", bank, episodes)


def _once(place: Path, make: Callable[[Path], object]) -> None:
    """Make a folder, unless it is there; a call that was cut short leaves none."""
    if not place.is_dir():
        unfinished = place.with_name(f".{place.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        make(unfinished)
        unfinished.rename(place)


def _encoded(catalog: flawshot.Catalog, out: Path) -> flawshot.FeatureBank:
    return encode_catalog(catalog, lite0_encoder(), make_scheme("mso", SIZES), out, batch_size=54).bank
