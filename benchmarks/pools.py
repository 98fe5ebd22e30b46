"""Real features from which ``coverage.py`` draws data sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

import flawshot
from flawshot.bank.builder import encode_catalog
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.formats.masks import import_masks
from flawshot.formats.mvrec_features import read_mvrec_features
from flawshot.regions.views import make_scheme

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
MIN_AREA = 30


class Pool(NamedTuple):
    """Real features.

    Attributes:
        features: float32 ``[instances, views, dim]``.
        labels: Category numbers, ``[instances]``.
        unit: The unit (image or tile) of each.
        support: Which instances support sets are drawn from, bool ``[instances]``; the others are queries.
    """

    features: np.ndarray
    labels: np.ndarray
    unit: np.ndarray
    support: np.ndarray


def transistor() -> Pool:
    """MVREC's released features; every instance is a unit."""
    parts = [read_mvrec_features(SHARED / "mvrec" / f"transistor_{part}.pt") for part in ("support", "query")]
    labels = np.concatenate([part[0] for part in parts])
    features = np.concatenate([part[1][:, :, 0] for part in parts]).astype(np.float32)
    return Pool(features, labels, np.arange(len(labels)), np.arange(len(labels)) < len(parts[0][0]))


def magnetic_tile(folder: Path) -> Pool:
    """Photographs of tiles, encoded by flawshot-tiny; every other tile of a category is for support sets."""
    source = SHARED / "magnetic-tile"
    if not (folder / "labelme").is_dir():
        import_masks(source, folder / "labelme", min_area=MIN_AREA)
    scheme = make_scheme(*TINY_VIEWS)
    bank = encode_catalog(flawshot.Catalog.open(folder / "labelme"), TinyEncoder(), scheme, folder / "bank").bank
    images = bank.catalog.column("image")
    tiles = flawshot.groups_from_csv(source / "groups.csv", images)
    labels = np.unique(bank.catalog.column("category"), return_inverse=True)[1]
    unit = np.unique([tiles.get(image, image) for image in images], return_inverse=True)[1]
    of_unit = np.zeros(unit.max() + 1, dtype=int)
    of_unit[unit] = labels
    order = np.argsort(of_unit, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Pool(bank.features(bank.catalog.column("id")), labels, unit, place[unit] % 2 == 0)
