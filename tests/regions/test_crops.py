"""Crops against a plain recomputation of each view, pixel for pixel."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from flawshot import Catalog, import_masks
from flawshot.labelme.images import read_image
from flawshot.labelme.shapes import Shape, rasterize, trim
from flawshot.regions.crops import crop_views
from flawshot.regions.views import SCHEMES, extent_of, make_scheme
from helpers import SHARED

TURNS = {
    "none": lambda x: x,
    "horizontal": lambda x: np.flip(x, 1),
    "vertical": lambda x: np.flip(x, 0),
    "transpose": lambda x: np.swapaxes(x, 0, 1),
    "transverse": lambda x: np.flip(np.swapaxes(np.flip(x, 1), 0, 1), 1),
}


def plain(image, mask, center, view, size, side, border):
    """One view, from scratch: pad the whole image as far as the view reaches, cut, resize, rotate, flip."""
    pixels = np.asarray(image)
    cy, cx = center[1] + view.row * size // 3, center[0] + view.column * size // 3
    top, left = cy - size // 2, cx - size // 2
    if border == "shift":
        top = min(max(top, 0), pixels.shape[0] - size) if size <= pixels.shape[0] else (pixels.shape[0] - size) // 2
        left = min(max(left, 0), pixels.shape[1] - size) if size <= pixels.shape[1] else (pixels.shape[1] - size) // 2
    far = max(0, -top, -left, top + size - pixels.shape[0], left + size - pixels.shape[1])
    mode = {"mode": "reflect"} if border == "reflect" else {"mode": "constant"}
    out = []
    for array in (pixels, mask.astype(np.uint8) * 255):
        padded = np.pad(array, ((far, far), (far, far)) + ((0, 0),) * (array.ndim - 2), **mode)
        cut = Image.fromarray(padded[top + far : top + far + size, left + far : left + far + size])
        assert cut.width == cut.height == size  # square, never squashed
        small = np.asarray(cut.resize((side, side), Image.Resampling.BICUBIC))
        for _ in range(view.angle // 90):
            small = np.flip(np.swapaxes(small, 0, 1), 0)  # a quarter turn counter-clockwise
        out.append(TURNS[view.flip](small))
    return out


@pytest.fixture(scope="module")
def drawn(pytestconfig, tmp_path_factory):
    """The small data set that comes with the project."""
    from flawshot import import_mvtec_fs

    root = tmp_path_factory.mktemp("bracket")
    import_mvtec_fs(pytestconfig.rootpath / "tests/data/bracket", root)
    return Catalog.open(root)


@pytest.mark.parametrize("border", ["zero", "reflect", "shift"])
@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_every_view_is_the_plain_one(drawn, name, border):
    scheme = make_scheme(name, border=border)
    for row in (0, 7, 23):
        instance = drawn[row]
        image = read_image(drawn.root / instance.image, instance.image)
        points = instance.shapes[0].points
        center = [int((points[:, axis].min() + points[:, axis].max()) // 2) for axis in (0, 1)]
        mask = instance.region().full_mask(image.height, image.width)
        crops = crop_views(image, instance.region(), scheme, 64, extent=extent_of(instance))
        assert crops.images.shape == (len(scheme.views), 64, 64, 3)
        for number, view in enumerate(scheme.views):
            pixels, own = plain(image, mask, center, view, view.size.pixels(instance.box), 64, border)
            np.testing.assert_array_equal(crops.images[number], pixels, err_msg=f"{view}")
            np.testing.assert_array_equal(crops.masks[number], own, err_msg=f"{view}")


@pytest.mark.parametrize("border", ["zero", "reflect", "shift"])
@pytest.mark.parametrize("sizes", [["0.5x"], ["13px"], ["64px"], ["9x"]])
def test_masks_that_fill_a_crop_miss_it_or_are_thin_are_the_plain_ones(catalog_of, border, sizes):
    """Small crops lie inside the defect, offset ones beside it; 64 px is the encoder's side itself."""
    (instance,) = catalog_of([("a", ["dent"])])
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (instance.image_height, instance.image_width, 3), dtype=np.uint8)
    )
    thin = Shape(0, "dent", "polygon", np.array([[3.0, 2.0], [40.0, 30.0], [4.0, 2.0]]))
    for shape in (instance.shapes[0], thin):
        region = rasterize(shape, image.height, image.width)
        own = replace(instance, shapes=(shape,), box=region.box)
        center = [int((shape.points[:, axis].min() + shape.points[:, axis].max()) // 2) for axis in (0, 1)]
        scheme = make_scheme("mo", sizes, border)
        crops = crop_views(image, own.region(), scheme, 64, extent=extent_of(own))
        mask = region.full_mask(image.height, image.width)
        for number, view in enumerate(scheme.views):
            pixels, expected = plain(image, mask, center, view, view.size.pixels(own.box), 64, border)
            np.testing.assert_array_equal(crops.images[number], pixels)
            np.testing.assert_array_equal(crops.masks[number], expected)


def test_a_crop_much_larger_than_the_image_is_still_square(catalog_of):
    (instance,) = catalog_of([("a", ["dent"])])
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8))
    for border in ("zero", "reflect", "shift"):
        crops = crop_views(
            image, instance.region(), make_scheme("none", ["900px"], border), 90, extent=extent_of(instance)
        )
        assert crops.images.shape == (1, 90, 90, 3)
        assert crops.masks.max() > 0


def test_mso_on_real_photographs_is_the_plain_one(tmp_path):
    """Photographs of magnetic tiles, their masks as shapes; the middle is that of the mask's extreme pixels."""
    source = SHARED / "magnetic-tile"
    if not source.is_dir():
        pytest.skip(f"real data not at hand: {source} (set FLAWSHOT_SHARED)")
    for category in ("MT_Crack", "MT_Break"):
        for path in sorted((source / category / "Imgs").glob("*"))[:6]:
            (tmp_path / "tiles" / category).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, tmp_path / "tiles" / category / path.name)
    import_masks(tmp_path / "tiles", tmp_path / "out")
    catalog, scheme = Catalog.open(tmp_path / "out"), make_scheme("mso")
    for instance in catalog:
        image = read_image(catalog.root / instance.image, instance.image)
        x0, y0, x1, y1 = instance.box
        mask = np.asarray(Image.open(source / instance.category / "Imgs" / f"{Path(instance.image).stem}.png")) > 127
        labels, _ = ndimage.label(mask, np.ones((3, 3)))
        own = labels == labels[y0:y1, x0:x1][instance.region().pixels][0]
        crops = crop_views(image, instance.region(), scheme, 224, extent=extent_of(instance))
        for number, view in enumerate(scheme.views):
            center = ((x0 + x1 - 1) // 2, (y0 + y1 - 1) // 2)
            pixels, expected = plain(image, own, center, view, view.size.pixels(instance.box), 224, "zero")
            np.testing.assert_array_equal(crops.images[number], pixels)
            np.testing.assert_array_equal(crops.masks[number], expected)


def test_a_mask_from_a_one_bit_image_is_255_inside():
    pixels = np.asarray(Image.fromarray(np.ones((8, 8), dtype=bool)))  # as Pillow stores it, True is the byte 255
    image = Image.new("RGB", (40, 40))
    crops = crop_views(image, trim(pixels, 10, 10), make_scheme("none", ["40px"]), 40)
    assert set(np.unique(crops.masks)) == {0, 255}
    assert (crops.masks == 255).sum() == 64
