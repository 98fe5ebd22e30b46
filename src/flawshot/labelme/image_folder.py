"""A folder of images that is not the folder of their annotations."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.labelme.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ImageFolder"]


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The images below a folder.

    Attributes:
        root: The folder, resolved.
        named: The images' paths relative to it (POSIX), sorted, by their names in Unicode's composed form.
    """

    root: Path
    named: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, folder: Path) -> ImageFolder:
        """List a folder's images, including those in subfolders; each linked folder is followed once.

        Raises:
            FlawshotError: If it is not a folder.
        """
        if not folder.is_dir():
            raise FlawshotError(f"{argument('images', folder)}: is not a folder")
        root, seen = folder.resolve(), set[str]()
        named: dict[str, list[str]] = {}
        for place, folders, names in os.walk(root, followlinks=True):
            real = os.path.realpath(place)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            at = Path(place).relative_to(root)
            for name in names:
                if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                    named.setdefault(_key(name), []).append((at / name).as_posix())
        return cls(root, {name: sorted(paths) for name, paths in named.items()})

    def with_name(self, wanted: str, annotation: str, problems: list[Problem]) -> str | None:
        """The image of a name, wherever it is below the folder; the last folders of the path decide between several.

        Args:
            wanted: The image's path as the annotation has it, or only its name.
            annotation: The annotation's path, for problems.
            problems: A problem is added if several images are equally likely.

        Returns:
            Its path relative to the folder (POSIX); None if there is none, or none is the likeliest.
        """
        path = PurePosixPath(wanted)
        found = self.named.get(_key(path.name), ())
        most = max((_agreement(each, path) for each in found), default=0)
        best = [each for each in found if _agreement(each, path) == most]
        if len(best) > 1:
            more = f" and {len(best) - 2} more" if len(best) > 2 else ""
            message = f"imagePath: may be {best[0]}, {best[1]}{more}; name the right folder with {argument('images')}"
            problems.append(Problem(annotation, "ambiguous-image", message))
        return best[0] if len(best) == 1 else None


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _agreement(path: str, wanted: PurePosixPath) -> int:
    """The number of folders that two paths share at their ends."""
    count = 0
    for own, other in zip(PurePosixPath(path).parts[-2::-1], wanted.parts[-2::-1], strict=False):
        if _key(own) != _key(other):
            break
        count += 1
    return count
