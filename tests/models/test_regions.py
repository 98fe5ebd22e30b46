"""Regions in memory: masks of several kinds, boxes, single images, 16 bits; and what is refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import flawshot
from flawshot import FlawshotError, read_image
from flawshot.models.regions import decoded


@pytest.fixture(scope="module")
def region(parts):
    """The first region of the drawn parts: its image's path, pixels, mask, and box."""
    first = flawshot.Catalog.open(parts)[0]
    image = read_image(parts / first.image, first.image)
    return parts / first.image, np.asarray(image), first.region().full_mask(image.height, image.width), first.box


def same(one, other):
    assert one.labels == other.labels
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    np.testing.assert_array_equal(one.novelty, other.novelty)


def test_all_kinds_of_masks_mean_the_same(model, region):
    path, _, mask, _ = region
    expected = model.predict([path], [mask])
    same(model.predict([path], [mask.astype(np.uint8) * 255]), expected)
    same(model.predict([path], [mask.astype(np.uint8)]), expected)
    same(model.predict([path], [Image.fromarray(mask.astype(np.uint8) * 255)]), expected)
    same(model.predict([path], [Image.fromarray(mask)]), expected)


def test_one_image_takes_one_region_or_several(model, region):
    path, pixels, mask, _ = region
    other = np.roll(mask, 9, axis=1)
    expected = model.predict([path, path], [mask, other])
    for image in (path, str(path), pixels, Image.fromarray(pixels)):
        same(model.predict(image, [mask, other]), expected)
        same(model.predict(image, np.stack([mask, other])), expected)
    one = model.predict([path], [mask])
    same(model.predict(path, mask), one)
    same(model.predict(pixels, mask.astype(np.uint8) * 255), one)
    same(model.predict([path], mask), one)
    assert len(model.predict(path, [])) == 0


def test_a_stack_of_gray_images_is_several_images(model, region):
    _, pixels, mask, _ = region
    gray = np.stack([pixels[..., 0]] * 2)
    assert len(model.predict(gray, [mask, mask])) == 2


def test_a_box_is_the_mask_of_its_pixels(model, region):
    path, pixels, _, (x0, y0, x1, y1) = region
    full = np.zeros(pixels.shape[:2], dtype=bool)
    full[y0:y1, x0:x1] = True
    expected = model.predict(path, full)
    same(model.predict(path, boxes=(x0, y0, x1, y1)), expected)
    same(model.predict(path, boxes=[[x0, y0, x1, y1]]), expected)
    same(model.predict(path, boxes=np.array([x0, y0, x1, y1], dtype=np.int64)), expected)
    same(model.predict([path], boxes=np.array([[x0, y0, x1, y1]], dtype=np.float32)), expected)
    same(model.predict(path, boxes=(x0 + 0.25, y0 + 0.5, x1 - 0.75, y1 - 0.01)), expected)
    assert len(model.predict(path, boxes=[[x0, y0, x1, y1]] * 3)) == 3
    assert len(model.predict(path, boxes=np.zeros((0, 4)))) == 0


def test_a_box_that_leaves_the_image_is_cut_off(model, region):
    path, pixels, _, _ = region
    height, width = pixels.shape[:2]
    whole = model.predict(path, np.ones((height, width), dtype=bool))
    same(model.predict(path, boxes=(-10, -3, width + 5, height + 99)), whole)


def png(samples):
    """A PNG of 16-bit colors, uint16 ``[height, width, 3]``; Pillow writes none."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("color", [True, False], ids=["color", "gray"])
def test_sixteen_bits_are_read_as_from_a_file(tmp_path, color):
    rng = np.random.default_rng(3)
    samples = rng.integers(1000, 50_000, (24, 30, 3) if color else (24, 30), dtype=np.uint16)
    path = tmp_path / "deep.png"
    if color:
        path.write_bytes(png(samples))
    else:
        Image.fromarray(samples).save(path)
    in_memory = np.asarray(decoded(samples, "images[0]"))
    np.testing.assert_array_equal(in_memory, np.asarray(read_image(path, "deep.png")))
    assert in_memory.std() > 10


def test_opencvs_order_is_turned_around_as_the_docstring_says(region):
    _, pixels, _, _ = region
    bgra = np.dstack([pixels[..., ::-1], np.full(pixels.shape[:2], 255, np.uint8)])
    for given in (pixels[..., ::-1], bgra):
        np.testing.assert_array_equal(np.asarray(decoded(given[..., 2::-1], "images")), pixels)


def refused(path, pixels, mask):
    """What is refused: images, masks, boxes, and how the line begins."""
    twelve = mask.astype(np.uint8) * 12
    soft = mask.astype(np.uint8) * 255
    soft[0, 0] = 128
    labels = mask.astype(np.uint8) * 255
    labels[0, 0] = 1
    width = mask.shape[1]
    return {
        "neither": (path, None, None, "masks, boxes: one of them must be given"),
        "both": (path, mask, (1, 2, 3, 4), "masks, boxes: only one of them must be given"),
        "soft edges": (path, soft, None, r"masks\[0\]: has the value 128; give 0 and 255 only, or bool"),
        "another value": (path, twelve, None, r"masks\[0\]: has the value 12; give 0 and 255 only"),
        "several labels": (path, labels, None, r"masks\[0\]: has the value 1; give 0 and 255 only"),
        "an empty uint8 mask": (path, np.zeros_like(twelve), None, r"masks\[0\]: has no pixel"),
        "a mask of floats": (
            path,
            mask.astype(float),
            None,
            r"masks\[0\]: must be bool \[96, 96\], like its image, or",
        ),
        "a second mask of another size": (path, [mask, mask[1:]], None, r"masks\[1\]: must be bool \[96, 96\], like"),
        "a list of one image": ([path], [mask, mask], None, r"images, masks: 1 image, but 2 masks; give one"),
        "fewer boxes": ([path, path], None, [(1, 2, 3, 4)], "images, boxes: 2 images, but 1 box; give one"),
        "width and height": (
            path,
            None,
            (50, 60, 20, 10),
            r"boxes\[0\]: \(50, 60, 20, 10\) must have x0 < x1 and y0 <",
        ),
        "three numbers": (path, None, (1, 2, 3), r"boxes\[0\]: must be four numbers, x0, y0, x1, y1 in px, not \(1, 2"),
        "no number": (path, None, [(1, 2, 3, "x")], r"boxes\[0\]: must be four numbers"),
        "not finite": (path, None, (0, 0, float("nan"), 5), r"boxes\[0\]: must be four numbers"),
        "elsewhere": (
            path,
            None,
            (width, 0, width + 5, 5),
            r"boxes\[0\]: .* covers no pixel of its image of 96 x 96 px",
        ),
        "an alpha channel": (
            np.dstack([pixels, pixels[..., 0]]),
            mask,
            None,
            "images: must be a path, .*; leave out the",
        ),
        "floats": (pixels / 255.0, mask, None, "images: must be a path, a PIL image, or uint8 or uint16"),
        "a missing file": (f"{path}.gone", mask, None, ".*png.gone: the image cannot be decoded"),
    }


@pytest.mark.parametrize("case", list(refused("", np.zeros((2, 2, 3)), np.zeros((2, 2), dtype=bool))))
def test_what_cannot_be_used_is_named(model, region, case):
    path, pixels, mask, _ = region
    images, masks, boxes, said = refused(path, pixels, mask)[case]
    with pytest.raises(FlawshotError, match=f"^{said}") as raised:
        model.predict(images, masks, boxes=boxes)
    assert "\n" not in str(raised.value)
