"""Trees of images and masks become Labelme files, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from flawshot import Catalog, FlawshotError
from flawshot.formats.masks import components, import_masks
from helpers import SHARED


def write(folder, name, mask, size=None):
    folder.mkdir(parents=True, exist_ok=True)
    height, width = mask.shape if size is None else size
    Image.new("L", (width, height), 90).save(folder / f"{name}.jpg")
    Image.fromarray(mask.astype(np.uint8)).save(folder / f"{name}.png")


@pytest.mark.parametrize("seed", range(15))
def test_components_are_those_of_a_plain_flood_fill(seed):
    mask = np.random.default_rng(seed).uniform(size=(17, 23)) < 0.3
    left, expected = {tuple(p) for p in np.argwhere(mask)}, []
    while left:
        stack, own = [left.pop()], set()
        while stack:
            y, x = stack.pop()
            own.add((y, x))
            near = {(y + j, x + i) for j in (-1, 0, 1) for i in (-1, 0, 1)} & left
            left -= near
            stack += near
        expected.append(own)
    got = [{(y0 + y, x0 + x) for y, x in np.argwhere(pixels)} for x0, y0, pixels in components(mask)]
    assert sorted(map(sorted, got)) == sorted(map(sorted, expected))


def test_each_component_is_an_instance_exact_to_the_pixel(tmp_path):
    mask = np.zeros((30, 40))
    mask[2:9, 3:12] = 255
    mask[4:6, 5:8] = 0  # a hole
    mask[20:25, 30:36] = 128  # over 127
    mask[15, 15] = 255  # too small
    mask[27, 2:30] = 127  # not over 127
    write(tmp_path / "src/crack/Imgs", "a", mask)
    write(tmp_path / "src/dent", "a", mask * 0)
    found = import_masks(tmp_path / "src", tmp_path / "out", min_area=5)
    assert found == ("src", ("crack", "dent"), 2, 2, 1, ())
    catalog = Catalog.open(tmp_path / "out")
    assert not catalog.problems
    assert catalog.column("id") == ["src/crack/a.json#0", "src/crack/a.json#1"]
    assert catalog.column("category") == ["crack", "crack"]
    union = sum(instance.region().full_mask(30, 40).astype(int) for instance in catalog)
    expected = mask > 127
    expected[15, 15] = False
    np.testing.assert_array_equal(union, expected)


def test_what_lacks_its_other_half_or_does_not_fit_is_said(tmp_path):
    mask = np.full((5, 6), 255)
    write(tmp_path / "src/a", "whole", mask)
    write(tmp_path / "src/a", "misfit", mask, size=(7, 8))
    write(tmp_path / "src/a", "no-mask", mask)
    (tmp_path / "src/a/no-mask.png").unlink()
    write(tmp_path / "src/a", "no-image", mask)
    (tmp_path / "src/a/no-image.jpg").unlink()
    write(tmp_path / "src/a", "broken", mask)
    (tmp_path / "src/a/broken.png").write_bytes(b"x")
    found = import_masks(tmp_path / "src", tmp_path / "out")
    assert found.images == 1
    assert min(map(str, found.problems)).startswith("a/broken.jpg: broken.png: the mask cannot be decoded")
    said = " ".join(map(str, found.problems))
    for words in (
        "misfit.png: is 6 x 5 px, its image 8 x 7 px",
        "has no mask no-mask.png",
        "is a mask without its image",
    ):
        assert words in said


def test_a_folder_without_any_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(FlawshotError):
            import_masks(place, tmp_path / "out")


def test_magnetic_tile_comes_in_whole(tmp_path):
    source = SHARED / "magnetic-tile"
    if not source.is_dir():
        pytest.skip(f"real data not at hand: {source} (set FLAWSHOT_SHARED)")
    found = import_masks(source, tmp_path, min_area=30)
    assert (found.product, len(found.categories), found.images, found.problems) == ("magnetic-tile", 5, 392, ())
    expected = 0
    for path in source.glob("*/Imgs/*.png"):
        labels, count = ndimage.label(np.asarray(Image.open(path).convert("L")) > 127, np.ones((3, 3)))
        expected += int((np.bincount(labels.ravel(), minlength=count + 1)[1:] >= 30).sum())
    assert found.instances == len(Catalog.open(tmp_path)) == expected
