"""Checks of the image of an annotation file, and of duplicate images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flawshot.base.errors import Problem
from flawshot.labelme.images import header_size, read_image

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Picture", "look_at", "other_embedded", "same_images", "wrong_size"]


@dataclass(frozen=True, slots=True)
class Picture:
    """What the checks keep of an image.

    Attributes:
        annotation: The annotation file that names it.
        image: Its path relative to the data root, or the annotation's path if it is embedded.
        size: (height, width) in px, upright.
        bytes_hash: Hash of the file's content.
        pixels_hash: Hash of the decoded pixels, or None if only the header was read.
    """

    annotation: str
    image: str
    size: tuple[int, int]
    bytes_hash: bytes
    pixels_hash: bytes | None = None


def look_at(data: bytes, annotation: str, image: str, *, fast: bool) -> Picture:
    """Decode an image, or only its header if ``fast``.

    Raises:
        ImageError: If it cannot be decoded.
    """
    content = hashlib.blake2b(data, digest_size=16).digest()
    if fast:
        return Picture(annotation, image, header_size(data, image), content)
    decoded = read_image(data, image)
    pixels = hashlib.blake2b(repr(decoded.size).encode(), digest_size=16)
    pixels.update(decoded.tobytes())
    return Picture(annotation, image, (decoded.height, decoded.width), content, pixels.digest())


def wrong_size(picture: Picture, height: int | None, width: int | None) -> list[Problem]:
    """Report a size in the annotation file that differs from the image's."""
    if not height or not width or picture.size == (height, width):
        return []
    message = (
        f"imageWidth, imageHeight: {width} x {height} px, but {picture.image} has {picture.size[1]} x "
        f"{picture.size[0]} after its EXIF orientation; annotate the image as it is"
    )
    return [Problem(picture.annotation, "size-mismatch", message)]


def other_embedded(picture: Picture, beside: Picture) -> list[Problem]:
    """Report an embedded image that differs from the image file; Labelme shows the embedded one.

    Args:
        picture: The embedded image.
        beside: The image file that the annotation names.
    """
    if picture.size != beside.size:
        (height, width), (other_height, other_width) = picture.size, beside.size
        differs = f"has {width} x {height} px, but {beside.image} has {other_width} x {other_height}"
    elif picture.bytes_hash == beside.bytes_hash or picture.pixels_hash == beside.pixels_hash:
        return []
    else:
        differs = f"differs from {beside.image}"
    message = f"imageData {differs}; the embedded image is used, as in Labelme: remove the wrong one"
    return [Problem(picture.annotation, "embedded-image", message, "warning")]


def same_images(pictures: Iterable[Picture]) -> list[Problem]:
    """Report images with equal bytes or pixels, each with the first image that it equals."""
    problems = []
    by_bytes: dict[bytes, Picture] = {}
    by_pixels: dict[bytes, Picture] = {}
    for picture in pictures:
        first = by_bytes.setdefault(picture.bytes_hash, picture)
        how = "byte by byte"
        if first is picture and picture.pixels_hash is not None:
            first = by_pixels.setdefault(picture.pixels_hash, picture)
            how = "pixel by pixel"
        if first is picture:
            continue
        if first.image == picture.image:
            message = f"imagePath: {picture.image} is also annotated by {first.annotation}; merge the two"
        else:
            message = f"imagePath: {picture.image} equals {first.image} {how}; keep one of them"
        problems.append(Problem(picture.annotation, "same-image", message, "warning"))
    return problems
