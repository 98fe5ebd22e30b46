"""When images were taken: what Pillow writes into EXIF, and what cameras without a clock, or damage, leave there."""

from __future__ import annotations

import io
from datetime import datetime

import pytest
from PIL import ExifTags, Image

from flawshot.labelme.capture_times import capture_time
from flawshot.labelme.images import ImageError


def taken(when=None, part=None, kind="JPEG"):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"  # without it, Pillow writes no EXIF into a PNG
    if when is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = when
    if part is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.SubsecTimeOriginal] = part
    if kind == "TIFF" and when is not None:
        exif[ExifTags.IFD.Exif] = 0  # Pillow writes only what is listed
    made = io.BytesIO()
    Image.new("RGB", (8, 8)).save(made, kind, exif=exif)
    return made.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_time_is_that_of_exif_in_every_format_that_has_it(kind):
    assert capture_time(taken("2024:01:31 08:09:10", kind=kind), "a") == datetime(2024, 1, 31, 8, 9, 10)  # noqa: DTZ001


def test_a_fraction_of_a_second_counts():
    found = capture_time(taken("2024:01:31 08:09:10", "25"), "a")
    assert found == datetime(2024, 1, 31, 8, 9, 10, 250_000)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("when", "part"),
    [
        pytest.param(None, None, id="no EXIF"),
        pytest.param("0000:00:00 00:00:00", None, id="a camera without a clock"),
        pytest.param("2024:13:31 08:09:10", None, id="no such month"),
        pytest.param("    :  :     :  :  ", None, id="blanks, as the standard has it for unknown"),
        pytest.param("yesterday", "5", id="no time at all"),
    ],
)
def test_no_time_is_none(when, part):
    assert capture_time(taken(when, part), "a") is None


def test_a_fraction_that_is_no_number_is_passed_over():
    assert capture_time(taken("2024:01:31 08:09:10", "x"), "a") == datetime(2024, 1, 31, 8, 9, 10)  # noqa: DTZ001


def test_damaged_exif_says_nothing():
    content = taken("2024:01:31 08:09:10")
    start = content.index(b"Exif\0\0")
    assert capture_time(content[: start + 8] + b"\xff" * 20 + content[start + 28 :], "a") is None


def test_what_is_no_image_is_named():
    with pytest.raises(ImageError, match=r"^a\.png: the image cannot be decoded"):
        capture_time(b"no image", "a.png")
