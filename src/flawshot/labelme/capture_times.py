"""When an image was taken, as its camera noted in EXIF."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from PIL import ExifTags

from flawshot.labelme.images import open_image

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["capture_time"]

# Digits that cameras without a clock leave at zero are no time.
NOTED = re.compile(r"\d{4}:\d{2}:\d{2} \d{2}:\d{2}:\d{2}")


def capture_time(source: Path | bytes, name: str) -> datetime | None:
    """The time at which an image was taken: EXIF's ``DateTimeOriginal`` with its fraction of a second.

    Time zones are ignored, because few cameras note them: the time is that of the camera's clock.

    Args:
        source: The image's file, or its bytes.
        name: The name for errors.

    Returns:
        The time without a zone, or None if there is none that is readable.

    Raises:
        ImageError: If it is no image.

    References:
        CIPA DC-008, "Exchangeable image file format for digital still cameras: Exif", tags 0x9003 and 0x9291.
    """
    with open_image(source, name) as opened:
        if opened.format == "PNG" and "exif" not in opened.info:
            return None  # Pillow would decode all pixels to look for EXIF behind them
        try:
            noted = opened.getexif().get_ifd(ExifTags.IFD.Exif)
        except Exception:  # noqa: BLE001 - damaged EXIF raises anything at all, and says nothing then
            return None
    text, part = noted.get(ExifTags.Base.DateTimeOriginal), noted.get(ExifTags.Base.SubsecTimeOriginal)
    if not isinstance(text, str) or not NOTED.fullmatch(text.strip()):
        return None
    digits = part.strip() if isinstance(part, str) else ""
    try:
        when = datetime.strptime(text.strip(), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - cameras note no zone
    except ValueError:  # such as month 0
        return None
    return when.replace(microsecond=int(f"{digits:0<6}"[:6])) if digits.isascii() and digits.isdigit() else when
