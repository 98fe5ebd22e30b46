"""A catalog whose images are in another folder than its annotations."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import flawshot
from flawshot import Catalog, FlawshotError
from flawshot.inspect.checks import check_data
from flawshot.inspect.same_sample import find_same_samples
from flawshot.regions.crop_rows import crop_rows
from flawshot.regions.views import make_scheme


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    place = tmp_path_factory.mktemp("beside") / "parts"
    flawshot.draw_data_set(place, categories=2, images=6, side=64, surface="wood", workers=1, seed=3)
    return place


@pytest.fixture(params=["mirrored", "flat"])
def apart(request, beside, tmp_path):
    """The same data, with the images elsewhere: in the same folders, or all in another one."""
    for path in beside.rglob("*"):
        if path.is_file():
            folder = "parts" if path.suffix == ".json" else "images"
            below = path.relative_to(beside)
            if request.param == "flat" and folder == "images":
                below = f"shots/of 2026/{path.name}"
            (tmp_path / folder / below).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / folder / below)
    return tmp_path


def without_images(catalog):
    # The hash is of the image's path, too.
    return catalog.table.drop_columns(["image", "annotation_hash"])


def crops(catalog):
    scheme = make_scheme("none", sizes=["48"])
    chunks = sorted(crop_rows(catalog, range(len(catalog)), scheme, 48, workers=1), key=lambda chunk: chunk.rows)
    assert not any(chunk.reason for chunk in chunks)
    return np.concatenate([each.images for chunk in chunks for each in chunk.crops])


def test_the_catalog_is_that_of_images_beside(beside, apart):
    there, here = Catalog.open(beside), Catalog.open(apart / "parts", images=apart / "images")
    assert not here.problems
    assert without_images(here).equals(without_images(there))
    if (apart / "images/wood").exists():
        assert here.table.equals(there.table)
    assert np.array_equal(crops(here), crops(there))
    assert (here.root, here.images) == (apart / "parts", apart / "images")


def test_what_is_made_of_a_catalog_keeps_the_folder(apart):
    catalog = Catalog.open(apart / "parts", images=apart / "images")
    for made in (catalog.select(catalog.products), flawshot.query_catalog(catalog, "area > 0")):
        assert made.image_root == apart / "images"
    assert check_data(catalog, shots=[1]) == []
    assert not find_same_samples(catalog).unusable


def test_a_saved_catalog_and_a_bank_find_the_images_again(beside, apart):
    catalog = Catalog.open(apart / "parts", images=apart / "images")
    catalog.save(apart / "c.parquet")
    saved = Catalog.open(apart / "c.parquet", images=apart / "images")
    assert np.array_equal(crops(saved), crops(Catalog.open(beside)))
    with pytest.raises(FlawshotError, match=r"images.*is not a folder"):
        Catalog.open(apart / "c.parquet", images=apart / "none")


def test_missing_and_ambiguous_images_are_problems_and_the_rest_is_used(apart):
    paths = sorted((apart / "images").rglob("*.png"))
    paths[0].unlink()
    for folder in ("a", "b"):
        (apart / "images" / folder).mkdir()
        shutil.copy(paths[1], apart / "images" / folder / paths[1].name)
    paths[1].unlink()
    catalog = Catalog.open(apart / "parts", images=apart / "images")
    assert sorted({problem.kind for problem in catalog.problems}) == ["ambiguous-image", "missing-image"]
    with pytest.raises(FlawshotError, match="is not in"):
        Catalog.open(apart / "parts", images=apart / "images", strict=True)


def test_workers_read_the_same(apart, monkeypatch):
    from flawshot.catalog import builder

    alone = Catalog.from_folder(apart / "parts", images=apart / "images", workers=1)
    monkeypatch.setattr(builder, "FILES_AT_ONCE", 2)
    assert Catalog.from_folder(apart / "parts", images=apart / "images", workers=2).table.equals(alone.table)
