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
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ImageFolder"]


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The images below a folder.

    Attributes:
        root: The folder, resolved.
        named: The images' paths relative to it (POSIX), sorted, by their names in Unicode's composed form.
        annotations: The annotations' paths relative to the data root (POSIX), by their names without suffix, likewise.
    """

    root: Path
    named: Mapping[str, Sequence[str]]
    annotations: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, folder: Path, annotations: Iterable[str]) -> ImageFolder:
        """List a folder's images, including those in subfolders; each linked folder is followed once.

        Args:
            folder: The folder.
            annotations: The paths of all annotations whose images it has, relative to the data root (POSIX).

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
        owners: dict[str, list[str]] = {}
        for path in annotations:
            owners.setdefault(_key(PurePosixPath(path).stem), []).append(path)
        return cls(root, {name: sorted(paths) for name, paths in named.items()}, owners)

    def with_name(self, wanted: str, annotation: str, problems: list[Problem]) -> str | None:
        """The image of a name, wherever it is below the folder; the last folders of the path decide between several.

        Args:
            wanted: The image's path as the annotation has it, or only its name.
            annotation: The annotation's path, for problems.
            problems: A problem is added if several images are equally likely, or the image may be that of an annotation
                with the same name in another folder.

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
        if len(best) != 1:
            return None
        problem = self._claimed(best[0], most, annotation)
        problems += [] if problem is None else [problem]
        return best[0] if problem is None else None

    def _claimed(self, image: str, agreement: int, annotation: str) -> Problem | None:
        """Why an image that was found by its name may be that of another annotation with that name, if it may be."""
        own, stem = PurePosixPath(annotation), _key(PurePosixPath(image).stem)
        if _key(own.stem) != stem:  # such an annotation names its image with intent
            return None
        others = [PurePosixPath(path) for path in self.annotations.get(stem, ())]
        others = [path for path in others if path.parent != own.parent]
        agreement = max(agreement, _agreement(image, own))
        nearest = max(others, key=lambda path: _agreement(image, path), default=None)
        if nearest is None or _agreement(image, nearest) < agreement:
            return None
        if _agreement(image, nearest) > agreement:
            message = (
                f"imagePath: the image {PurePosixPath(image).name} is not in {self.root}; {image} is that of {nearest}"
            )
            return Problem(annotation, "missing-image", message)
        remedy = "put the images into folders like those of the annotations"
        return Problem(annotation, "ambiguous-image", f"imagePath: {image} may also be that of {nearest}; {remedy}")


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
