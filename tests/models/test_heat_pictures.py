"""Pictures of heat maps: red where it is hot, of bounded size, and marked with the locator whose heat they show."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from flawshot import FlawshotError
from flawshot.labelme.shapes import Shape
from flawshot.locating.locator import HeatMap
from flawshot.models.heat_pictures import draw_heat, is_heat_picture, write_heat_picture
from flawshot.regions.found import FoundOnImage, FoundRegion

NOTHING = FoundOnImage(())


def heat(cells, size):
    cells = np.asarray(cells, np.float32)
    return HeatMap(cells, np.zeros((*cells.shape, 0), np.float32), size)


@pytest.fixture
def photo():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))


def test_the_picture_is_the_image_blended_with_red(photo):
    cells = np.random.default_rng(1).normal(4, 5, (3, 4))
    made = np.asarray(draw_heat(photo, heat(cells, (48, 64)), NOTHING, 8.0), np.float64)
    share = 0.45 * np.clip((heat(cells, (48, 64)).pixels() / 8.0 - 0.25) / 1.75, 0, 1)[..., None]
    expected = np.asarray(photo) * (1 - share) + np.array([230, 30, 30]) * share
    assert np.abs(made - expected).max() <= 1.5
    assert (made == np.asarray(photo))[share[..., 0] == 0].all()


def test_a_large_image_is_drawn_small_with_heat_and_outlines_in_their_places():
    cells = np.zeros((30, 40))
    cells[10:14, 20:24] = 99
    corners = np.array([[2000.0, 1000.0], [2400.0, 1400.0]])
    square = np.array([[2000.0, 1000.0], [2400.0, 1000.0], [2400.0, 1400.0], [2000.0, 1400.0]])
    image = Image.new("RGB", (4000, 3000), (0, 90, 0))
    for shape in (Shape(0, "", "polygon", square), Shape(0, "", "mask", corners)):
        made = draw_heat(image, heat(cells, (3000, 4000)), FoundOnImage((FoundRegion(shape),)), 8.0)
        assert made.size == (2048, 1536)
        pixels = np.asarray(made).astype(int)
        yellow = np.argwhere((pixels == (255, 255, 0)).all(axis=2))
        scale = 2048 / 4000
        assert yellow.min(axis=0) == pytest.approx([1000 * scale, 2000 * scale], abs=4)
        assert yellow.max(axis=0) == pytest.approx([1400 * scale, 2400 * scale], abs=4)
        assert (pixels[round(1200 * scale), round(2200 * scale)] == (104, 63, 14)).all()
        assert (pixels[100, 100] == (0, 90, 0)).all()


def test_drawing_a_large_image_takes_little_memory():
    image = Image.new("RGB", (6000, 5000))
    tracemalloc.start()
    draw_heat(image, heat(np.zeros((27, 32)), (5000, 6000)), NOTHING, 8.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6  # NumPy's; one float32 of the image's three channels would take 360 MB


def test_a_picture_says_whose_heat_it_shows(photo, tmp_path):
    path = tmp_path / "a/b.png"
    assert not is_heat_picture(path, "ours")
    write_heat_picture(path, photo, heat([[1]], (48, 64)), NOTHING, 8.0, request="ours")
    assert is_heat_picture(path, "ours")
    assert not is_heat_picture(path, "theirs")
    photo.save(path)
    assert not is_heat_picture(path, "ours")
    path.write_bytes(b"no")
    assert not is_heat_picture(path, "ours")


def test_a_place_that_cannot_be_written_is_named(photo, tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(FlawshotError, match=r"b\.png: cannot be written"):
        write_heat_picture(tmp_path / "a/b.png", photo, heat([[1]], (48, 64)), NOTHING, 8.0, request="")
