"""Images that show a flaw, or may show one, by the Labelme files in a folder."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.errors import AnnotationError, Problem
from flawshot.base.wording import counted
from flawshot.labelme.data_folder import annotation_files, find_image
from flawshot.labelme.images import IMAGE_SUFFIXES
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flawshot.labelme.image_folder import ImageFolder

__all__ = ["FlawlessImages", "annotated_images", "without_annotated"]


class FlawlessImages(NamedTuple):
    """Images without those that show a flaw.

    Attributes:
        names: Their names.
        problems: Why others are not among them.
    """

    names: list[str]
    problems: list[Problem]


def annotated_images(root: Path, images: ImageFolder | None = None) -> dict[Path, str]:
    """The images that a Labelme file with a shape annotates, or one that cannot be read may annotate.

    A file annotates the image that it names, and the one beside it that is named like it.

    Args:
        root: The folder that is searched for files.
        images: The folder of their images, if they are elsewhere.

    Returns:
        By the image's resolved path: empty, or why its annotation cannot be read, in one line.
    """
    root, made = root.resolve(), dict[Path, str]()
    beside: dict[Path, dict[str, list[Path]]] = {}
    for name in annotation_files(root, []):
        reason, found = "", list[Path]()
        try:
            file, problems = parse_labelme(annotation_bytes(root / name, name), name)
        except AnnotationError as error:
            if error.problem.kind == "not-labelme":  # such as a camera's settings
                continue
            reason = error.marked
        else:
            if not file.shapes and not any(problem.severity == "error" for problem in problems):
                continue
            found.append((root if images is None else images.root) / find_image(name, file, root, [], images))
        folder = (root / name).parent
        if folder not in beside:
            beside[folder] = _by_name(folder)
        for image in (*found, *beside[folder].get((root / name).stem, ())):
            made.setdefault(image.resolve(), reason)
    return made


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """The images in a folder by their names, both with and without suffix."""
    made: dict[str, list[Path]] = defaultdict(list)
    for path in folder.iterdir():
        if path.name.lower().endswith(IMAGE_SUFFIXES):
            made[path.stem].append(path)
            made[path.name].append(path)
    return made


def without_annotated(
    folder: Path,
    names: Sequence[str],
    root: Path | None,
    annotated: Iterable[Path] = (),
    images: ImageFolder | None = None,
) -> FlawlessImages:
    """The images of a folder that no annotation says, or may say, to show a flaw.

    Args:
        folder: The folder.
        names: Its images, relative to it (POSIX).
        root: The folder of the annotated data, whose files are searched, too, if the images are in it.
        annotated: Further images with flaws.
        images: The folder of the annotated data's images, if they are elsewhere.
    """
    flawed = dict.fromkeys((path.resolve() for path in annotated), "") | annotated_images(folder)
    if root is not None and folder.resolve() != root.resolve():
        place = root.resolve() if images is None else images.root
        if folder.resolve().is_relative_to(place):
            flawed = annotated_images(root, images) | flawed
    kept, unsure, count = list[str](), list[Problem](), 0
    for name in names:
        reason = flawed.get((folder / name).resolve())
        if reason is None:
            kept.append(name)
        elif reason:
            message = f"its annotation cannot be read, so that it may show a flaw: {reason}"
            unsure.append(Problem(name, "unreadable-annotation", message))
        else:
            count += 1
    said = counted(count, "image has annotated flaws", "images have annotated flaws")
    problems = [Problem(str(folder), "annotated", said, "warning")] if count else []
    return FlawlessImages(kept, [*problems, *unsure])
