"""Images of every kind, made by Pillow, decoded upright and as 8-bit RGB."""

from __future__ import annotations

import ast
import io
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import flawshot
from flawshot.base.errors import FlawshotError
from flawshot.base.parallel import in_order
from flawshot.labelme.images import (
    MAX_PIXELS,
    ImageError,
    check_pixels,
    cropped,
    header_size,
    open_image,
    pixel_limit,
    read_image,
    under_pixel_limit,
)

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
        pytest.param(Image.fromarray(np.dstack([RGB, GRAY])), "a.png", RGB, id="RGBA: alpha is dropped, colors stay"),
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


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *chunks):
    """A PNG that states a size, and whatever chunks follow."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "MPO", "TIFF", "BMP", "WEBP", "PPM", "GIF"], ids=lambda kind: kind.lower()
)
def test_the_formats_that_are_read(kind):
    data = encoded(Image.fromarray(RGB), kind)
    assert read_image(data, "x").size == (14, 9)
    assert header_size(data, "x") == (9, 14)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n/x (pwned) def\nshowpage\n%%EOF\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(EPS, id="EPS"),
        pytest.param(encoded(Image.fromarray(RGB), "DDS"), id="DDS"),
        pytest.param(encoded(Image.fromarray(RGB), "TGA"), id="TGA"),
        pytest.param(encoded(Image.fromarray(RGB), "ICO"), id="ICO"),
        pytest.param(encoded(Image.fromarray(RGB), "PCX"), id="PCX"),
        pytest.param(encoded(Image.fromarray(RGB), "SGI"), id="SGI"),
        pytest.param(encoded(Image.fromarray(RGB), "PDF"), id="PDF"),
        pytest.param(b"\xd7\xcd\xc6\x9a" + bytes(60), id="WMF"),
        pytest.param(b"\0\0\0\x20ftypavif" + bytes(60), id="AVIF"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="SVG"),
    ],
)
def test_no_other_format_is_opened_whatever_it_is_called(tmp_path, data):
    (tmp_path / "000.png").write_bytes(data)
    for read in (read_image, header_size):
        for source in (tmp_path / "000.png", data):
            with pytest.raises(
                ImageError, match=r"^000\.png: the image cannot be decoded \(its format is not one of PNG, JPEG, "
            ):
                read(source, "000.png")


def test_what_lies_in_an_images_place_is_told_apart(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for data, line in ((b"", "it is empty"), (pointer, "it is a Git LFS pointer")):
        with pytest.raises(ImageError, match=line):
            read_image(data, "a.png")
    for place, line in ((tmp_path / "a.png", "No such file"), (tmp_path, "it is not an ordinary file")):
        with pytest.raises(ImageError, match=line):
            read_image(place, "a.png")


def test_nothing_else_in_the_package_opens_images():
    package = Path(flawshot.__file__).parent
    opened = []
    for path in package.rglob("*.py"):
        if path.parent.name == "stand-alone":  # programs for computers without flawshot, which have a list of their own
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
                opened.append(path.relative_to(package).as_posix())
            if isinstance(node, ast.Attribute) and node.attr == "open" and ast.unparse(node.value).endswith("Image"):
                opened.append(path.relative_to(package).as_posix())
    assert opened == []


def damaged(kind, seed):
    """An image of a kind with some bytes changed, its first ones left, or its end cut off."""
    rng = np.random.default_rng(seed)
    data = bytearray(encoded(Image.fromarray(RGB), kind))
    for place in rng.integers(12, len(data), size=rng.integers(1, 9)):
        data[place] = rng.integers(256)
    return bytes(data[: rng.integers(12, len(data))] if seed % 3 == 0 else data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF"])
def test_damage_of_any_kind_is_one_short_line_or_an_image(kind, recwarn):
    refused = 0
    for seed in range(60):
        for read in (read_image, header_size):
            try:
                read(damaged(kind, seed), "a.png")
            except ImageError as error:
                refused += 1
                assert str(error).startswith("a.png: ")
                assert "\n" not in str(error)
                assert "0x" not in str(error)
                assert len(str(error)) < 500
    assert refused > 0
    assert not recwarn.list


@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param(
            png(9, 9, png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(2**27)))), "cannot be decoded", id="text bomb"
        ),
        pytest.param(png(9, 9, png_chunk(b"iCCP", b"")), "cannot be decoded", id="an empty color profile"),
        pytest.param(png(60_000, 60_000), "60000 x 60000 px, more than the limit", id="a large PNG"),
        pytest.param(b"P5 30000 30000 255\n", "30000 x 30000 px, more than the limit", id="a large PGM"),
        pytest.param(
            encoded(Image.new("L", (9, 9)), "BMP").replace(struct.pack("<ii", 9, 9), struct.pack("<ii", 99_999, 9_999)),
            "99999 x 9999 px, more than the limit",
            id="a large BMP",
        ),
    ],
)
def test_bombs_do_not_go_off(data, line, recwarn):
    for read in (read_image, header_size):
        with pytest.raises(ImageError, match=line) as caught:
            read(data, "a.png")
        assert "bomb" not in str(caught.value)
    assert not recwarn.list


def test_the_limit_is_ours_and_pillows_does_not_count(monkeypatch, recwarn):
    """Line scans are larger than Pillow likes; here its limit is lowered, and 2**28 px are allowed as ever."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF"):
        data = encoded(Image.fromarray(RGB), kind)
        assert read_image(data, "x").size == (14, 9)
        with pixel_limit(14 * 9 - 1), pytest.raises(ImageError) as caught:
            read_image(data, "p/a.png")
        assert str(caught.value) == (
            "p/a.png: the image has 14 x 9 px, more than the limit of 125 px; raise the limit with max_pixels=126"
        )
        with pixel_limit(14 * 9):
            assert header_size(data, "x") == (9, 14)
    window = cropped(Image.fromarray(RGB), (-2, 3, 13, 11))
    assert Image.MAX_IMAGE_PIXELS == 10
    assert not recwarn.list
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    np.testing.assert_array_equal(np.asarray(window), np.asarray(Image.fromarray(RGB).crop((-2, 3, 13, 11))))


def test_the_usual_limit():
    check_pixels(16384, 16384, "a")
    with pytest.raises(ImageError, match=rf"the limit of {MAX_PIXELS} px"):
        check_pixels(16384, 16385, "a")
    with pytest.raises(FlawshotError, match="max_pixels=0: must be at least 1"), pixel_limit(0):
        pass


def test_an_image_that_stays_open_leaves_nothing_behind():
    """Threads open images at once; Pillow's settings are what they were, and warnings are shown, when all are done."""
    limit, filters = Image.MAX_IMAGE_PIXELS, warnings.filters[:]
    data = encoded(Image.fromarray(RGB), "PNG")
    first_in, first_out = threading.Event(), threading.Event()

    def first():
        with open_image(data, "x"):
            first_in.set()
            first_out.wait(60)

    other = threading.Thread(target=first)
    other.start()
    assert first_in.wait(60)
    with open_image(data, "x"):
        first_out.set()
        other.join(60)
        assert Image.MAX_IMAGE_PIXELS is None
    assert limit == Image.MAX_IMAGE_PIXELS
    assert warnings.filters == filters
    with pytest.raises(ImageError), open_image(data, "x"):
        raise ImageError("from within")
    assert limit == Image.MAX_IMAGE_PIXELS


def height_of(data):
    return read_image(data, "x").height


@pytest.mark.parametrize("workers", [1, 2])
def test_the_limit_goes_with_the_work(workers):
    data = encoded(Image.fromarray(RGB), "PNG")
    with pixel_limit(125):
        work = under_pixel_limit(height_of)
    with pytest.raises(ImageError, match="more than the limit of 125 px"):
        list(in_order(work, [(data,)] * 2, workers))
    assert list(in_order(under_pixel_limit(height_of), [(data,)] * 2, workers)) == [9, 9]


def raw_profile(exif):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(exif):8d}\n{exif.hex()}")
    return encoded(Image.fromarray(RGB), "PNG", pnginfo=info)


def xmp():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>')
    return encoded(Image.fromarray(RGB), "PNG", pnginfo=info)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", [1, 3, 6, 7, 8, 9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_header_tells_the_size_that_is_decoded(kind, orientation):
    data = encoded(Image.fromarray(RGB), kind, exif=turned(orientation))
    assert header_size(data, "x") == ((14, 9) if orientation in {6, 7, 8} else (9, 14))
    assert read_image(data, "x").size == header_size(data, "x")[::-1]


@pytest.mark.parametrize("data", [raw_profile(b"Exif\0\0" + turned(6).tobytes()[6:]), xmp()], ids=["profile", "XMP"])
def test_other_places_that_say_how_a_png_lies(data):
    assert header_size(data, "x") == (14, 9)
    assert read_image(data, "x").size == (9, 14)


def test_damaged_exif_does_not_cost_the_image():
    data = encoded(Image.fromarray(RGB), "PNG")
    for broken in (b"garbage", b"Exif\0\0MM\0*", b""):
        with_exif = data[:33] + png_chunk(b"eXIf", broken) + data[33:]
        assert header_size(with_exif, "x") == (9, 14)
        np.testing.assert_array_equal(np.asarray(read_image(with_exif, "x")), RGB)


def test_transparency_changes_no_color(recwarn):
    palette = Image.fromarray(RGB).quantize(8)
    for transparency in (3, bytes(range(0, 240, 30))):
        read = read_image(encoded(palette, "PNG", transparency=transparency), "x")
        np.testing.assert_array_equal(np.asarray(read), np.asarray(palette.convert("RGB")))
    gray = read_image(encoded(Image.fromarray(GRAY), "PNG", transparency=7), "x")
    np.testing.assert_array_equal(np.asarray(gray)[..., 0], GRAY)
    assert not recwarn.list
