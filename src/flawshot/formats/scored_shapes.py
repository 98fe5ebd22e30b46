"""Regions that other programs found on images, as this package reads them, and the images they belong to."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from flawshot.base.errors import FlawshotError
from flawshot.formats.texts import name_key
from flawshot.formats.tree_files import files_under
from flawshot.labelme.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from flawshot.base.errors import Problem
    from flawshot.labelme.shapes import Shape

__all__ = [
    "AmbiguousImageError",
    "ImageIndex",
    "ScoredImage",
    "ScoredShape",
    "ShapeReader",
    "bare_images",
    "best_first",
    "stamps_of",
]


class ScoredShape(NamedTuple):
    """A region that a program found.

    Attributes:
        shape: Its outline, in px of the upright image.
        score: Its score, greater is more certain; None if there is none.
    """

    shape: Shape
    score: float | None


class ScoredImage(NamedTuple):
    """What a program found on an image.

    Attributes:
        shapes: The regions, the most certain first.
        score: The image's own score; None if there is none.
        reason: Why the image cannot be used, in one line; empty if it can.
        problems: Regions that were left out, and oddities.
    """

    shapes: tuple[ScoredShape, ...]
    score: float | None = None
    reason: str = ""
    problems: tuple[Problem, ...] = ()


class ShapeReader(Protocol):
    """Reads what a program found, image by image.

    Attributes:
        images: The images that it is about, relative to their root (POSIX), sorted.
        request: A hash of everything that the regions depend on besides the images.
        problems: What was left out, and oddities, apart from those that :meth:`read` gives.
        skipped: The number of regions that were left out as the user wished, by what they are.
    """

    images: tuple[str, ...]
    request: str
    problems: list[Problem]
    skipped: dict[str, int]

    def read(self, image: str) -> ScoredImage:
        """What was found on an image."""
        ...


def bare_images(root: Path, problems: list[Problem], *, beyond: Iterable[Path] = ()) -> list[str]:
    """All images under a folder, as sorted paths relative to it (POSIX); links out of it are not followed.

    Args:
        root: The folder.
        problems: What was left out is added here.
        beyond: Folders that are not searched.

    Raises:
        FlawshotError: If there is no such folder, or no image in it.
    """
    if not root.is_dir():
        raise FlawshotError(f"{root}: is not a folder of images")
    root = root.resolve()
    outside = [
        folder.resolve().relative_to(root).as_posix() for folder in beyond if folder.resolve().is_relative_to(root)
    ]
    found = [
        image
        for image in files_under(root, IMAGE_SUFFIXES, problems, beyond=None)
        if not any(image.startswith(f"{folder}/") for folder in outside)
    ]
    if not found:
        raise FlawshotError(f"{root}: contains no image ({', '.join(IMAGE_SUFFIXES)})")
    return found


class AmbiguousImageError(FlawshotError):
    """A text that may mean several images.

    Attributes:
        images: The images.
    """

    def __init__(self, message: object = "", images: tuple[str, ...] = ()) -> None:
        """An error with its line."""
        super().__init__(message)
        self.images = images


class ImageIndex:
    """Images by what programs call them: their path, or only their name, with or without suffix."""

    def __init__(self, images: Sequence[str]) -> None:
        self._found: dict[str, tuple[str, ...]] = {}
        for by in (_paths, _names):
            new: dict[str, dict[str, None]] = {}
            for image in images:
                for key in by(image):
                    new.setdefault(key, {})[image] = None
            self._found = {key: tuple(each) for key, each in new.items()} | self._found
        self._used: dict[str, tuple[str, list[str]]] = {}

    def find(self, text: str) -> str:
        """The image with this path, name, or name without suffix.

        Raises:
            AmbiguousImageError: If there are several, or if its only image of this name was found for one in another
                folder before.
            FlawshotError: If there is none.
        """
        parts = [name_key(part) for part in text.replace("\\", "/").split("/") if part not in {"", "."}]
        # An absolute path, or one that begins with folders above the images, ends in the image's own.
        for start in range(len(parts)):
            key = "/".join(parts[start:])
            if key in self._found:
                image, *others = self._found[key]
                if others:
                    message = f"{text.removeprefix(_NUMBER)[:100]!r} is the name of several images; name the path"
                    raise AmbiguousImageError(message, self._found[key])
                folders = parts[-2::-1]
                first, its = self._used.setdefault(image, (text, folders))
                if any(own != other for own, other in zip(its, folders, strict=False)):
                    message = f"{text[:100]!r} may be {image}, but so may {first[:100]!r}; name the path"
                    raise AmbiguousImageError(message, (image,))
                return image
        raise FlawshotError(f"there is no image {text[:100]!r}")

    def find_number(self, number: int) -> str:
        """The image whose name without suffix is a number, however many zeros it begins with.

        Raises:
            AmbiguousImageError: If there are several.
            FlawshotError: If there is none.
        """
        return self.find(_NUMBER + str(number))


# Marks a number as that of a file; no file name begins with it.
_NUMBER = "\0"


def _paths(image: str) -> list[str]:
    parts = [name_key(part) for part in PurePosixPath(image).parts]
    stem = [*parts[:-1], name_key(PurePosixPath(image).stem)]
    return ["/".join(parts), "/".join(stem)]


def _names(image: str) -> list[str]:
    path = PurePosixPath(image)
    keys = [name_key(path.name), name_key(path.stem)]
    if path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 20:
        keys.append(_NUMBER + str(int(path.stem)))
    return keys


def best_first(shapes: Iterable[ScoredShape]) -> tuple[ScoredShape, ...]:
    """Regions by score, the greatest first, those without one last; otherwise in their order."""
    return tuple(sorted(shapes, key=lambda each: math.inf if each.score is None else -each.score))


def stamps_of(root: Path, names: Iterable[str]) -> str:
    """A hash of files' names, sizes and modification times.

    Args:
        root: Their folder.
        names: Their paths relative to it.
    """
    digest = hashlib.sha256()
    for name in names:
        try:
            status = (root / name).stat()
        except OSError:
            stamp: list[object] = [name]
        else:
            stamp = [name, status.st_size, status.st_mtime_ns]
        digest.update(json.dumps(stamp).encode())
    return digest.hexdigest()
