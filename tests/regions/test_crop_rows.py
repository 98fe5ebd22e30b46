"""Rows decoded and cropped ahead of the consumer: in order, and each image once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from flawshot import Catalog, make_scheme, read_image
from flawshot.regions import crop_rows as module
from flawshot.regions.crop_rows import crop_rows, uncut_rows
from flawshot.regions.crops import crop_views
from flawshot.regions.views import extent_of

SCHEME = make_scheme("ms", ["20px", "1.5x"])


@pytest.fixture
def catalog(tmp_path):
    """Three images with four instances each."""
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (50, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        shapes = [
            {"label": "dent", "shape_type": "rectangle", "points": [[5 + 9 * n, 8], [12 + 9 * n, 20 + n]]}
            for n in range(4)
        ]
        document = {"imagePath": f"{number}.png", "imageHeight": 50, "imageWidth": 60, "shapes": shapes}
        (tmp_path / f"{number}.json").write_text(json.dumps(document))
    return Catalog.open(tmp_path)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("ahead", [0, 2**30])
def test_crops_come_in_order_from_own_and_from_shared_threads(catalog, monkeypatch, shared, ahead):
    monkeypatch.setattr(module, "BYTES_AHEAD", ahead)
    monkeypatch.setattr(module, "CHUNK_BYTES", 2 * len(SCHEME.views) * 16 * 16 * 4)  # two instances in a part
    with ThreadPoolExecutor(2) as pool:
        chunks = list(crop_rows(catalog, range(12), SCHEME, 16, 2, pool=pool if shared else None))
        assert pool.submit(int).result() == 0  # shared threads remain
    assert [row for chunk in chunks for row in chunk.rows] == list(range(12))
    for chunk in chunks:
        for row, crops in zip(chunk.rows, chunk.crops, strict=True):
            instance = catalog[row]
            image = read_image(catalog.root / instance.image, "x")
            expected = crop_views(image, instance.region(), SCHEME, 16, extent=extent_of(instance))
            np.testing.assert_array_equal(crops.images, expected.images)
            np.testing.assert_array_equal(crops.masks, expected.masks)


def test_uncut_rows_share_their_image_which_is_prepared_once(catalog, monkeypatch):
    monkeypatch.setattr(module, "REGIONS_AT_ONCE", 1)
    prepared, lock = [], threading.Lock()

    def prepare(pixels):
        with lock:
            prepared.append(pixels)
        return pixels

    found = list(uncut_rows(catalog, range(12), 3, prepare))
    assert [part.rows for part in found] == [(row,) for row in range(12)]
    assert len(prepared) == 3
    for row, part in enumerate(found):
        instance = catalog[row]
        assert part.image is found[row - row % 4].image
        np.testing.assert_array_equal(part.image, np.asarray(read_image(catalog.root / instance.image, "x")))
        ((region, extent),) = part.regions
        assert (region.box, extent) == (instance.box, extent_of(instance))


@pytest.mark.parametrize("uncut", [False, True])
def test_an_image_of_another_size_than_the_annotation_says_is_a_reason(catalog, uncut):
    Image.new("RGB", (60, 51)).save(catalog.root / "1.png")
    rows = range(12)
    parts = list(uncut_rows(catalog, rows, 2, np.copy) if uncut else crop_rows(catalog, rows, SCHEME, 16, 2))
    assert {row for part in parts for row in part.rows if part.reason} == {4, 5, 6, 7}
    assert {part.reason for part in parts} == {"", "1.png: is 60 x 51 px, but 1.json says 60 x 50"}
