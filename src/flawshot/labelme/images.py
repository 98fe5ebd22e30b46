"""Images: opened with a fixed list of decoders and a size limit, and converted to upright 8-bit RGB."""

from __future__ import annotations

import io
import re
import threading
import warnings
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "ImageError",
    "check_pixels",
    "cropped",
    "header",
    "header_size",
    "open_image",
    "orientation",
    "pixel_limit",
    "read_image",
    "under_pixel_limit",
    "upright_rgb",
]

Result = TypeVar("Result")

MAX_PIXELS = 2**28
# The first bytes of the supported formats; nothing else is ever decoded, whatever its name.
_SIGNATURES: tuple[tuple[re.Pattern[bytes], Callable[..., Image.Image]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    (re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.jpeg_factory),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImagePlugin.TiffImageFile),
    (re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
    (re.compile(rb"RIFF....WEBPVP8", re.DOTALL), WebPImagePlugin.WebPImageFile),
    (re.compile(rb"P[1-6fy]\s"), PpmImagePlugin.PpmImageFile),
    (re.compile(rb"GIF8[79]a"), GifImagePlugin.GifImageFile),
)
IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm", ".pbm", ".pnm", ".gif",
)  # fmt: skip
FORMATS = "PNG, JPEG, TIFF, BMP, WebP, PGM/PPM, GIF"
LONGEST_SIGNATURE = 16
# Python's representation of objects; memory addresses do not belong in messages.
OBJECT = re.compile(r"<[^<>]* object at 0x[0-9a-fA-F]+>")
SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap height and width

# Fields of a PNG's or WebP's header that may state the orientation, besides EXIF itself.
TURNED_BY = frozenset({"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"})

_limit: ContextVar[int] = ContextVar("flawshot_pixel_limit", default=MAX_PIXELS)


class ImageError(FlawshotError):
    """An image that is missing, too large, damaged, or in an unsupported format."""


@contextmanager
def pixel_limit(max_pixels: int) -> Iterator[None]:
    """Limit the number of pixels per image within the block and in this thread; 2**28 elsewhere.

    Args:
        max_pixels: Width times height, at least 1.

    Raises:
        FlawshotError: If it is less than 1.

    >>> with pixel_limit(100):
    ...     check_pixels(10, 10, "a.png")
    """
    if max_pixels < 1:
        raise FlawshotError(f"{argument('max_pixels', max_pixels)}: must be at least 1")
    token = _limit.set(max_pixels)
    try:
        yield
    finally:
        _limit.reset(token)


def under_pixel_limit(function: Callable[..., Result]) -> Callable[..., Result]:
    """The function, for another thread or process, with this thread's :func:`pixel_limit`; it must not be a lambda."""
    return partial(_limited, _limit.get(), function)


def _limited(pixels: int, function: Callable[..., Result], *given: Any, **named: Any) -> Result:
    with pixel_limit(pixels):
        return function(*given, **named)


def check_pixels(width: int, height: int, name: str) -> None:
    """Refuse an image with more pixels than :func:`pixel_limit` allows.

    Raises:
        ImageError: If it has more.
    """
    if width * height > _limit.get():
        raise ImageError(
            f"{name}: the image has {width} x {height} px, more than the limit of {_limit.get()} px; "
            f"raise the limit with {argument('max_pixels', width * height)}"
        )


class _Quiet:
    """Disables Pillow's own pixel limit and its warnings while any thread opens an image.

    Both are settings of the whole process: the first thread to enter changes them, the last to leave restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._restore = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._restore.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                Image.MAX_IMAGE_PIXELS = None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._restore.close()


_quiet = _Quiet()


@contextmanager
def open_image(source: Path | bytes, name: str) -> Iterator[Image.Image]:
    """Open an image: the header is read now, the pixels on demand.

    PNG, JPEG, TIFF, BMP, WebP, PGM/PPM and GIF are recognized by their first bytes. No other decoder of Pillow is ever
    tried, because some of them start programs. Pillow's own pixel limit does not apply, and its warnings are hidden.

    Args:
        source: The image's file, or its bytes.
        name: The name for errors.

    Raises:
        ImageError: With the name, if it is in another format, has more pixels than :func:`pixel_limit` allows, or a
            decoder raises any exception, here or within the block.
    """
    try:
        _check_ordinary(source)
        with _quiet, io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as opened:
            image = _decoder(opened.read(LONGEST_SIGNATURE))(_rewound(opened), name)
            with image:
                check_pixels(image.width, image.height, name)
                yield image
    except ImageError:
        raise
    except Exception as error:  # a damaged file makes the decoders raise anything at all
        reason = getattr(error, "strerror", None) or _without_addresses(error)
        raise ImageError(f"{name}: the image cannot be decoded ({reason})") from error


def _check_ordinary(source: Path | bytes) -> None:
    if not isinstance(source, bytes) and source.exists() and not source.is_file():
        raise ValueError("it is not an ordinary file")


def _rewound(opened: Any) -> Any:
    opened.seek(0)
    return opened


def _decoder(start: bytes) -> Callable[..., Image.Image]:
    for signature, decoder in _SIGNATURES:
        if signature.match(start):
            return decoder
    if not start:
        raise ValueError("it is empty")
    if start.startswith(b"version https://"[:LONGEST_SIGNATURE]):
        raise ValueError("it is a Git LFS pointer, not the image; run git lfs pull")
    raise ValueError(f"its format is not one of {FORMATS}")


def _without_addresses(error: Exception) -> str:
    return OBJECT.sub("the file", one_line(error))[:200] or type(error).__name__


def read_image(source: Path | bytes, name: str) -> Image.Image:
    """Decode an image.

    The EXIF orientation is applied, because Labelme's points refer to the upright image. Palettes become their colors,
    and an alpha channel is dropped. Values of more than 8 bits, and floats, are stretched from the image's least to its
    greatest value, as labelme shows them. If there are several frames, the first is used.

    Args:
        source: The image's file, or its bytes.
        name: The name for errors.

    Returns:
        The image, in mode ``RGB``.

    Raises:
        ImageError: With the image's name, if it cannot be decoded.
    """
    with open_image(source, name) as opened:
        return upright_rgb(opened)


def header_size(source: Path | bytes, name: str) -> tuple[int, int]:
    """An image's (height, width) in px after its EXIF orientation, from its header.

    Raises:
        ImageError: As :func:`open_image` does.
    """
    height, width, _ = header(source, name)
    return height, width


def header(source: Path | bytes, name: str) -> tuple[int, int, int]:
    """An image's height and width in px after its EXIF orientation, and that orientation, from its header.

    Raises:
        ImageError: As :func:`open_image` does.
    """
    with open_image(source, name) as opened:
        width, height = opened.size
        if isinstance(opened, TiffImagePlugin.TiffImageFile):  # whose size is upright in some versions of Pillow
            width, height = opened.tag_v2[ExifTags.Base.ImageWidth], opened.tag_v2[ExifTags.Base.ImageLength]
        # Pillow decodes a whole PNG to look for EXIF after its pixels, where it hardly ever is.
        seen = opened.format != "PNG" or bool(TURNED_BY.intersection(opened.info))
        lies = orientation(opened) if seen else 1
        return (width, height, lies) if lies in SIDEWAYS else (height, width, lies)


def orientation(image: Image.Image) -> int:
    """An image's EXIF orientation, 1 to 8; 1, upright, if there is none that is readable."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything at all, and the pixels may be intact
        return 1
    return found if found in range(1, 9) else 1


def cropped(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A window of an image, of any size, black outside it; Pillow's own ``crop`` refuses more than 178 million px.

    >>> list(cropped(Image.new("L", (2, 2), 9), (1, 1, 3, 2)).tobytes())
    [9, 0]
    """
    x0, y0, x1, y1 = box
    window = Image.new(image.mode, (x1 - x0, y1 - y0))
    window.paste(image, (-x0, -y0))
    return window


def upright_rgb(image: Image.Image) -> Image.Image:
    """An image as :func:`read_image` returns it: upright, 8 bits, mode ``RGB``; itself if it already is."""
    image.load()
    upright = image
    if orientation(image) != 1:
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        upright = _stretched(np.asarray(upright).astype(np.float64))
    if upright.mode == "P" and "transparency" in upright.info:
        # Pillow would warn; a palette's colors do not depend on which of them are transparent.
        upright = upright.copy()
        del upright.info["transparency"]
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def _stretched(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Image.Image:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = 255.0 / (high - low) if high > low else 0.0
    shares = np.nan_to_num((values - low) * scale, nan=0.0, posinf=255.0, neginf=0.0)
    return Image.fromarray(np.clip(shares, 0, 255).astype(np.uint8))
