"""The contents of a data folder: annotation files and their images."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from flawshot.base.errors import Problem
from flawshot.base.store.places import remove_dead
from flawshot.labelme.embedded import embedded_image, embedded_size, embedded_suffix, why_not_embedded
from flawshot.labelme.images import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.labelme.image_folder import ImageFolder
    from flawshot.labelme.labelme_file import LabelmeFile

__all__ = ["LEAVES", "annotation_files", "find_image", "image_source", "path_from"]

# A path that leads out of the data folder, here or on another system: absolute, with a drive, with .. or backslashes.
LEAVES = r"^/|^.:|\\|(^|/)\.\.(/|$)"


def annotation_files(root: Path, problems: list[Problem]) -> list[str]:
    """Annotation files under the root, sorted; each linked folder is followed once."""
    found: list[str] = []
    seen: set[str] = set()

    def unreadable(error: OSError) -> None:
        place = Path(error.filename or root)
        name = place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)
        problems.append(Problem(name, "unreadable", f"the folder cannot be read ({error.strerror or error})"))

    for folder, folders, names in os.walk(root, followlinks=True, onerror=unreadable):
        real = os.path.realpath(folder)
        if real in seen:  # a link back up, or a second link to one folder
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        at = Path(folder).relative_to(root)
        remove_dead(Path(folder), names)
        for name in names:
            if not name.lower().endswith(".json") or name.startswith("."):
                continue
            path = (at / name).as_posix()
            try:
                path.encode()
            except UnicodeEncodeError:
                shown = path.encode(errors="backslashreplace").decode()
                problems.append(Problem(shown, "file-name", "the file name is not valid text; rename it"))
                continue
            if re.search(LEAVES, path):
                message = "a backslash, or a letter followed by a colon, makes it a path on other systems; rename it"
                problems.append(Problem(path, "file-name", message))
            elif (Path(folder) / name).is_file():
                found.append(path)
            else:
                problems.append(Problem(path, "unreadable", "is not an ordinary file"))
    return sorted(found)


def find_image(
    path: str, file: LabelmeFile, root: Path | None, problems: list[Problem], images: ImageFolder | None = None
) -> str:
    """The image's path relative to the root, or to the folder of images if there is one.

    A readable embedded image is the annotation's image, even if there is a file; its path is then only its name. A
    problem is added if there is neither an embedded image nor a file.

    Args:
        path: The annotation's path relative to the root (POSIX).
        file: The annotation.
        root: The data root; if None, and there is no folder of images, nothing is looked for.
        problems: Problems are added here.
        images: The folder of the images if it is not the root: the image is looked for there as it would be in the
            root, and then by its name.
    """
    beside, _, own = path.rpartition("/")
    embedded = embedded_size(file)
    given = file.image_path
    if embedded is not None and PureWindowsPath(given).suffix.lower() in {"", ".json"}:
        given = f"{PurePosixPath(own).stem}{embedded_suffix(file)}"
    name = PureWindowsPath(given).name
    by_name = f"{beside}/{name}" if beside else name
    # An absolute path is another machine's, and a path out of the root is not followed.
    absolute = given.startswith("/") or given[1:2] == ":"
    wanted = os.path.normpath(f"{beside}/{given}" if beside else given).replace(os.sep, "/")
    outside = absolute or wanted == ".." or wanted.startswith("../")
    candidates = [by_name] if outside else list(dict.fromkeys((wanted, by_name)))
    place = root if images is None else images.root
    if place is None:
        return candidates[0]
    found = _first_file(place, [*candidates, *_other_forms(candidates, beside)])
    unsure: list[Problem] = []
    if found is None and images is not None and embedded is None:
        found = images.with_name(candidates[0] if absolute else _inside(beside, given), path, unsure)
    if found is not None:
        if file.image_base64 is not None and embedded is None:
            message = f"imageData: {why_not_embedded(file)}; {found} is used instead"
            problems.append(Problem(path, "embedded-image", message, "warning"))
        return found
    problems += unsure
    if unsure:
        return candidates[0]
    if file.image_base64 is None:
        where = f"outside the data folder, and {by_name} is missing" if outside else "missing"
        if images is not None:
            where = f"not in {images.root}"
        problems.append(Problem(path, "missing-image", f"imagePath: the image {given} is {where}"))
    elif embedded is None:
        message = f"imageData: {why_not_embedded(file)}; and {given or 'an image file beside it'} is missing"
        problems.append(Problem(path, "missing-image", message))
    return candidates[0]


def _first_file(place: Path, candidates: Sequence[str]) -> str | None:
    """The first path that is a file's."""
    for candidate in candidates:
        try:
            if (place / candidate).is_file():
                return candidate
        except OSError:  # a name that is invalid in this file system
            continue
    return None


def _inside(beside: str, given: str) -> str:
    """An image's path from the annotation's folder, without the steps upward."""
    parts = PurePosixPath(os.path.normpath(f"{beside}/{given}" if beside else given).replace(os.sep, "/")).parts
    return "/".join(part for part in parts if part != "..")


def _other_forms(candidates: Sequence[str], beside: str) -> list[str]:
    """The paths in the other Unicode forms, except for the annotation's own folder.

    macOS separates letters and accents in names, other systems do not, and files are copied between them.
    """
    made = []
    for candidate in candidates:
        known = f"{beside}/" if candidate.startswith(f"{beside}/") else ""
        rest = candidate.removeprefix(known)
        if not rest.isascii():
            made += [known + unicodedata.normalize(form, rest) for form in ("NFC", "NFD")]
    return made


def image_source(root: Path | None, image: str, annotation: str, images: Path | None = None) -> Path | bytes:
    """The source of an image's pixels: the image embedded in its annotation, as in Labelme, or else its file.

    Args:
        root: The data root.
        image: The image's path relative to it, or to ``images`` (POSIX).
        annotation: The path of its annotation file, relative to the root (POSIX).
        images: The folder that the image's path is relative to, if it is not the root.

    Raises:
        ImageError: If there is neither.
    """
    place = root if images is None else images
    if place is None:
        raise ImageError(f"{image}: there is no data folder to read it from")
    embedded = None if root is None else embedded_image(root / annotation)
    if embedded is not None:
        return embedded
    try:
        if (place / image).is_file():
            return place / image
    except OSError:  # a name that the file system cannot have
        pass
    raise ImageError(f"{image}: the image is missing")


def path_from(root: Path | None, path: Path) -> str:
    """A file's path from a data root (POSIX), with ``..`` if it is outside; absolute without a root."""
    # Only the folder is resolved, for a link is known by its own name.
    place = path.parent.resolve() / path.name
    if root is None:
        return place.as_posix()
    try:
        return PurePath(os.path.relpath(place, root.resolve())).as_posix()
    except ValueError:  # on another drive
        return place.as_posix()
