"""Fixtures that all tests share."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

import flawshot
from flawshot.labelme.labelme_file import parse_labelme

if TYPE_CHECKING:
    from pathlib import Path
from helpers import SHARED, box_shape, labelme_document

if "PYTEST_XDIST_WORKER" in os.environ:  # several workers with all cores each only get in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def shared(relative: str) -> Path:
    path = SHARED / relative
    if not path.exists():
        if os.environ.get("FLAWSHOT_REQUIRE_SHARED"):
            pytest.fail(f"real data is required, but {path} is not there")
        pytest.skip(f"real data not at hand: {path} (set FLAWSHOT_SHARED)")
    return path


@pytest.fixture(scope="session")
def mvtec_fs() -> Path:
    """The folder that holds MVTec-FS's CONFIG."""
    return shared("mvtec-fs/CONFIG").parent


@pytest.fixture(scope="session")
def mvtec_fs_catalog(mvtec_fs):
    return flawshot.Catalog.from_annotations(flawshot.read_mvtec_fs(mvtec_fs))


@pytest.fixture(scope="session")
def magnetic_tile() -> Path:
    """The folder of magnetic tiles with masks."""
    return shared("magnetic-tile")


@pytest.fixture(scope="session")
def mvrec() -> Path:
    """The folder of the released features and accuracies."""
    return shared("mvrec")


@pytest.fixture(scope="session")
def transistor_bank(mvrec, mvtec_fs_catalog, tmp_path_factory):
    """A bank of the released transistor features."""
    return flawshot.import_mvrec_features(mvrec, tmp_path_factory.mktemp("bank") / "transistor", mvtec_fs_catalog)


@pytest.fixture
def write_annotations(tmp_path):
    """Write Labelme files, given as path -> list of shapes; images are left away."""

    def write(files, root=None):
        root = tmp_path / "data" if root is None else root
        for path, shapes in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            name = target.with_suffix(".png").name
            target.write_text(json.dumps(labelme_document(shapes, imagePath=name)), encoding="utf-8")
        return root

    return write


@pytest.fixture(scope="session")
def catalog_of():
    """A catalog of made-up instances, given as (image path without suffix, labels of its shapes)."""

    def make(images, layout=None):
        annotations = []
        for stem, labels in images:
            shapes = [box_shape(label, at=(9 * (n % 10), 9 * (n // 10))) for n, label in enumerate(labels)]
            document = labelme_document(shapes, imagePath=f"{stem.rpartition('/')[2]}.png")
            file, problems = parse_labelme(json.dumps(document).encode(), stem)
            assert not problems
            annotations.append((f"{stem}.json", file))
        return flawshot.Catalog.from_annotations(annotations, root_name="part", layout=layout)

    return make


@pytest.fixture
def bank_of(tmp_path, bank_in):
    """A bank for a catalog, in the test's own folder."""

    def make(catalog, name="bank", **options):
        return bank_in(tmp_path / name, catalog, **options)

    return make


@pytest.fixture(scope="session")
def bank_in():
    """A bank for a catalog: Gaussian features around a mean for each category, far enough apart to be told."""

    def make(folder, catalog, views=3, dim=12, spread=0.3):
        rng = np.random.default_rng(7)
        categories = sorted(set(catalog.column("category")))
        means = rng.normal(size=(len(categories), views, dim))
        rows = [means[categories.index(category)] for category in catalog.column("category")]
        features = np.stack(rows) + spread * rng.normal(size=(len(catalog), views, dim))
        encoder = flawshot.EncoderRecord(
            family="elsewhere",
            name="made up",
            weights="none",
            weights_hash=None,
            precision="float16",
            tokens=("cls",),
        )
        record = flawshot.ViewRecord(scheme="none", sizes=("256px",), border="zero")
        return flawshot.write_bank(folder, catalog, features[:, :, None, :].astype(np.float16), encoder, record)

    return make
