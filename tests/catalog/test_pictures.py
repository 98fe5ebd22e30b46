"""Pictures of instances, with outlines that lie around exactly their pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import flawshot
from flawshot import FlawshotError
from flawshot.catalog.pictures import OUTLINE
from helpers import box_shape, labelme_document


@pytest.fixture
def catalog(tmp_path):
    """A gray image of 120 x 100 px with a square at (40, 30), 9 px wide, and one at the corner."""
    shapes = [box_shape("scratch", at=(40, 30)), box_shape("dent", at=(0, 0), size=4)]
    (tmp_path / "a.json").write_text(json.dumps(labelme_document(shapes)), encoding="utf-8")
    Image.new("L", (120, 100), 90).save(tmp_path / "a.png")
    return flawshot.Catalog.open(tmp_path)


def red(picture):
    return (np.asarray(picture) == OUTLINE).all(axis=2)


def test_the_outline_surrounds_the_pixels_of_the_mask(catalog):
    instance = catalog[0]
    picture = catalog.show(instance.id, context=None)
    scale = picture.width // 120
    assert picture.size == (120 * scale, 100 * scale)
    mask = instance.region().full_mask(100, 120)
    large = np.kron(mask, np.ones((scale, scale), dtype=bool))
    edge = red(picture)
    assert not (edge & large).any()
    rows, columns = np.flatnonzero(edge.any(axis=1)), np.flatnonzero(edge.any(axis=0))
    x0, y0, x1, y1 = (scale * each for each in instance.box)
    assert (columns[0], rows[0], columns[-1], rows[-1]) == (x0 - 1, y0 - 1, x1, y1)
    assert (np.asarray(picture)[~edge] == 90).all()


def test_the_window_is_as_large_as_wanted_and_ends_with_the_image(catalog):
    x0, _, x1, _ = catalog[0].box
    assert catalog.show(0, context=1).width % (x1 - x0) == 0
    assert catalog.show(0, context=2).width / catalog.show(0, context=2).height == pytest.approx(1, abs=0.1)
    corner = np.asarray(catalog.show(1, context=3))
    assert (corner[:8, :8] == 90).all()  # the square, at the image's corner, with nothing beyond it
    assert max(catalog.show(0).size) >= 256


def test_large_images_are_reduced(tmp_path):
    document = labelme_document([box_shape(size=1900)], imageWidth=3000, imageHeight=2000)
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    Image.new("RGB", (3000, 2000)).save(tmp_path / "a.png")
    picture = flawshot.Catalog.open(tmp_path).show(0, context=None)
    assert max(picture.size) == 1024
    assert red(picture).any()


def test_what_cannot_be_shown_is_named(catalog, tmp_path):
    for wanted in ("b.json#0", 2, -3):
        with pytest.raises(FlawshotError, match=r"^instance=.*: is not in the catalog; its column id lists all$"):
            catalog.show(wanted)
    for context in (0.5, float("nan")):
        with pytest.raises(FlawshotError, match=r"^context=.*: must be 1 or more, or None for the whole image$"):
            catalog.show(0, context=context)
    Image.new("L", (12, 10)).save(tmp_path / "a.png")
    with pytest.raises(FlawshotError, match=r"^a\.png: is 12 x 10 px, but a\.json says 120 x 100$"):
        catalog.show(0)
    (tmp_path / "a.png").unlink()
    with pytest.raises(FlawshotError, match=r"a\.png"):
        catalog.show(0)
