"""Masks that other programs drew, and whole images, as regions that were found."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from flawshot import FlawshotError
from flawshot.formats.found_masks import FoundMasks
from flawshot.formats.whole_images import WholeImages, whole_image
from flawshot.labelme.shapes import rasterize

SIDE = 24
PATTERN = "images/{name} | masks/{name}"


@pytest.fixture
def root(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[2:6, 3:9] = 255
    mask[20, 20] = 255
    for name, own in (("a", mask), ("b", np.zeros_like(mask)), ("c", None), ("d", mask[:9])):
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / f"images/{name}.jpg")
        if own is not None:
            Image.fromarray(own).save(tmp_path / f"masks/{name}.png")
    return tmp_path


def test_each_part_of_a_mask_is_a_region(root):
    reader = FoundMasks(root, PATTERN, min_area=2)
    assert reader.images == tuple(f"images/{name}.jpg" for name in "abcd")
    (found,) = reader.read("images/a.jpg").shapes
    assert (rasterize(found.shape, SIDE, SIDE).box, found.score) == ((3, 2, 9, 6), None)
    black = reader.read("images/b.jpg")
    assert black[:3] == ((), None, "")
    assert [problem.kind for problem in black.problems] == ["empty-mask"]
    # Without a mask nothing was found; a mask of another size is a mistake.
    assert reader.read("images/c.jpg") == ((), None, "", ())
    assert [(problem.file, problem.kind) for problem in reader.problems][:1] == [("images/c.jpg", "no-mask")]
    assert "is 24 x 9 px, but its image is 24 x 24 px" in reader.read("images/d.jpg").reason


def test_a_mask_file_per_region_is_one_region_each(root):
    (root / "masks/a").mkdir()
    (root / "masks/a.png").rename(root / "masks/a/0.png")
    reader = FoundMasks(root, "images/{name} | masks/{name}/*")
    (found,) = reader.read("images/a.jpg").shapes
    region = rasterize(found.shape, SIDE, SIDE)
    assert (region.box, region.area) == ((3, 2, 21, 21), 25)


def test_what_the_regions_depend_on_is_in_the_request(root):
    requests = {
        FoundMasks(root, PATTERN, min_area=area, threshold=limit).request for area in (1, 2) for limit in (1, 2)
    }
    assert len(requests) == 4
    before = FoundMasks(root, PATTERN).request
    Image.new("L", (SIDE, SIDE), 255).save(root / "masks/b.png")
    assert FoundMasks(root, PATTERN).request != before


def test_no_mask_at_all_is_a_mistake(root):
    with pytest.raises(FlawshotError, match="none has a mask according to"):
        FoundMasks(root, "images/{name} | nowhere/{name}")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 1), (1, 9), (31, 47)])
def test_a_whole_image_is_every_pixel(tmp_path, height, width):
    assert rasterize(whole_image("", height, width), height, width).full_mask(height, width).all()
    Image.new("L", (width, height)).save(tmp_path / "a.png")
    (found,) = WholeImages(tmp_path).read("a.png").shapes
    assert rasterize(found.shape, height, width).area == height * width


def test_what_is_no_image_is_left_out(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert "it is empty" in WholeImages(tmp_path).read("a.png").reason
    with pytest.raises(FlawshotError, match="is not a folder of images"):
        WholeImages(tmp_path / "b")
