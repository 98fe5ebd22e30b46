"""Images of every kind, made by Pillow, decoded upright and as 8-bit RGB."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from flawshot.images import ImageError, read_image

RGB = np.random.default_rng(0).integers(0, 256, size=(9, 14, 3), dtype=np.uint8)
GRAY = RGB[..., 0]


def saved(tmp_path, image, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def stretched(values):
    values = values.astype(np.float64)
    return ((values - values.min()) / (values.max() - values.min()) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        pytest.param(Image.fromarray(RGB), "a.png", RGB, id="RGB"),
        pytest.param(Image.fromarray(GRAY), "a.png", np.repeat(GRAY[..., None], 3, axis=2), id="gray"),
        pytest.param(Image.fromarray(np.dstack([RGB, GRAY])), "a.png", RGB, id="RGBA: alpha is dropped, colours stay"),
        pytest.param(
            Image.fromarray(np.dstack([GRAY, GRAY])),
            "a.png",
            np.repeat(GRAY[..., None], 3, axis=2),
            id="gray and alpha",
        ),
        pytest.param(Image.fromarray(RGB).quantize(256), "a.png", None, id="palette"),
        pytest.param(
            Image.fromarray(GRAY > 127), "a.png", np.repeat((GRAY > 127)[..., None] * 255, 3, axis=2), id="1 bit"
        ),
        pytest.param(
            Image.fromarray(GRAY.astype(np.uint16) * 16 + 7),
            "a.png",
            np.repeat(stretched(GRAY.astype(np.uint16) * 16 + 7)[..., None], 3, axis=2),
            id="16 bits, as a 12-bit camera fills them",
        ),
        pytest.param(
            Image.fromarray(GRAY.astype(np.float32) / 3 - 5),
            "a.tif",
            np.repeat(stretched(GRAY.astype(np.float32) / 3 - 5)[..., None], 3, axis=2),
            id="float",
        ),
        pytest.param(
            Image.fromarray(np.full((9, 14), 300, np.uint16)), "a.png", np.zeros((9, 14, 3)), id="16 bits, flat"
        ),
    ],
)
def test_every_kind_comes_out_right(tmp_path, image, name, expected):
    read = read_image(saved(tmp_path, image, name), name)
    assert read.mode == "RGB"
    if expected is None:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_allclose(np.asarray(read).astype(int), np.asarray(expected).astype(int), atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_that_lies_on_its_side_is_set_upright(tmp_path, orientation):
    """Each of EXIF's eight orientations shows the same upright picture."""
    upright = Image.fromarray(RGB)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_image(saved(tmp_path, stored, "a.png", exif=exif), "a.png")
    np.testing.assert_array_equal(np.asarray(read), RGB)


def test_bytes_are_read_as_files_are():
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, format="PNG")
    np.testing.assert_array_equal(np.asarray(read_image(buffer.getvalue(), "x")), RGB)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"no image", lambda data: data[: len(data) // 2]])
def test_what_cannot_be_decoded_is_one_line_with_its_name(tmp_path, damage):
    path = saved(tmp_path, Image.fromarray(RGB), "a.png")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ImageError, match=r"^p/a\.png: the image cannot be decoded") as caught:
        read_image(path, "p/a.png")
    assert "\n" not in str(caught.value)
