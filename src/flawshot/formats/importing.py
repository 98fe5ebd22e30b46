"""What all imports share: names that stay inside a folder, the place of a file, and writing it with its image."""

from __future__ import annotations

import re
import shutil
import unicodedata
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import write_with
from flawshot.formats.texts import UNSEEN, plain_text, without_blanks
from flawshot.formats.tree_files import LINK_OUT, files_under, lies_within
from flawshot.labelme.images import ImageError, header
from flawshot.labelme.labelme_file import write_labelme
from flawshot.labelme.layout import SPLIT_FOLDERS, is_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flawshot.labelme.labelme_file import LabelmeFile

__all__ = [
    "Imported",
    "LabelmeFolder",
    "begin_import",
    "box_corners",
    "category_folder",
    "check_images",
    "count_instances",
    "file_path",
    "first_file",
    "product_folder",
    "split_and_rest",
]

LONGEST_NAME = 200  # bytes; file systems take 255, and a suffix or a temporary file's name is still to come


# A rectangle's second corner lies this far inside the end of its box. Drawing cuts coordinates to whole pixels, so the
# rectangle covers the box's pixels and no more; and a box of one pixel has an extent that can be seen and grasped.
INSET = 0.25


class Imported(NamedTuple):
    """What an import found.

    Attributes:
        products: The products' names, sorted.
        files: Labelme files written.
        images: Images copied beside them.
        instances: Instances in the files.
        problems: What was left out, or is odd.
        missing: Images that were not found, a warning each; they are not among the problems.
        useless: Annotation files of which not one annotation could be used, though there are some.
    """

    products: tuple[str, ...]
    files: int
    images: int
    instances: int
    problems: tuple[Problem, ...]
    missing: tuple[Problem, ...] = ()
    useless: tuple[str, ...] = ()


def file_path(text: str, field: str) -> PurePosixPath:
    r"""A file's path from someone else's annotations, which may lead anywhere: relative, and inside its folder.

    Args:
        text: The path, with slashes or backslashes; blanks and what cannot be seen around it are not part of it.
        field: What to call it in the error.

    Raises:
        FlawshotError: If it leaves its folder, or no file can be called that.

    >>> file_path("a\\b.png", "image")
    PurePosixPath('a/b.png')
    """
    given = PureWindowsPath(without_blanks(text))
    parts = [part.strip(UNSEEN) for part in given.as_posix().split("/") if part != "."]
    if given.drive or given.root or ".." in parts:
        raise FlawshotError(f"{field}: {text!r} leaves the folder; it must be a path inside it")
    if not all(map(_usable, parts)) or not parts:
        raise FlawshotError(f"{field}: {text!r} is no name that a file can have; rename it")
    return PurePosixPath(*parts)


def product_folder(text: str, field: str = "product") -> str:
    """A product's name, as that of its folder.

    Raises:
        FlawshotError: If no folder can be called that, or it would be read as a split's.
    """
    path = file_path(text, field)
    if len(path.parts) > 1:
        raise FlawshotError(f"{field}: {text!r} must be the name of one folder, without slashes; rename it")
    if is_split(path.name):
        raise FlawshotError(f"{field}: {text!r} is a split's name; give the folder above it, or rename it")
    return unicodedata.normalize("NFC", path.name)


def category_folder(label: str) -> str:
    """A folder's name for a category, whose label may hold anything; empty where the label is.

    >>> category_folder("scratch / deep"), category_folder("..")
    ('scratch _ deep', '_.')
    """
    name = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff/\\:]", "_", label).strip()
    name = name.encode()[:LONGEST_NAME].decode(errors="ignore")
    return "_" + name[1:] if name.startswith(".") else name


def _usable(name: str) -> bool:
    # Folders and files whose name begins with a dot are passed over when a data folder is read.
    if not name or name.startswith(".") or not all(map(_shows, name)):
        return False
    return len(name.encode(errors="replace")) <= LONGEST_NAME


def _shows(character: str) -> bool:
    # Japanese names have wide blanks, those of screenshots on a Mac narrow ones, and Persian words joiners.
    return character.isprintable() or character in "\u200c\u200d" or unicodedata.category(character) == "Zs"


def box_corners(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
    """The points of a Labelme rectangle that covers exactly the pixels of a half-open box.

    >>> box_corners(2, 3, 5, 4)
    [[2.0, 3.0], [4.75, 3.75]]
    """
    return [[float(x0), float(y0)], [max(float(x0), x1 - INSET), max(float(y0), y1 - INSET)]]


def split_and_rest(folders: Iterable[str]) -> tuple[str | None, list[str]]:
    """The first folder that is a split's, None where there is none, and the others.

    >>> split_and_rest(["bolt", "Test", "a"])
    ('Test', ['bolt', 'a'])
    """
    split, rest = None, []
    for folder in folders:
        if split is None and folder.lower() in SPLIT_FOLDERS:
            split = folder
        else:
            rest.append(folder)
    return split, rest


def first_file(candidates: Iterable[Path], roots: Sequence[Path], problems: list[Problem]) -> Path | None:
    """The first that is a file and, its links followed, lies in one of the folders that the user named.

    Args:
        candidates: Where it may lie.
        roots: The folders.
        problems: Files behind links out of the folders are added here.
    """
    for candidate in candidates:
        try:
            if not candidate.is_file():
                continue
            if any(lies_within(candidate, root) for root in roots):
                return candidate
            problems.append(Problem(str(candidate), *LINK_OUT))
        except OSError:  # a name that the file system cannot have
            continue
    return None


def count_instances(file: LabelmeFile) -> int:
    """How many instances a file has: shapes of one group and label are one."""
    single = sum(shape.group_id is None for shape in file.shapes)
    return single + len({(shape.group_id, shape.label) for shape in file.shapes if shape.group_id is not None})


class LabelmeFolder:
    """A folder of Labelme files in the making: one file each, never two in one place, its image copied beside it.

    Attributes:
        problems: What was left out, or is odd; imports add their own.
        missing: Images that were not found.
        useless: Annotation files of which nothing could be used; imports add them.
    """

    def __init__(self, out: Path, *, overwrite: bool) -> None:
        """Begin with nothing written.

        Args:
            out: The data root.
            overwrite: Whether files there with other content may be replaced.
        """
        self.problems: list[Problem] = []
        self.missing: list[Problem] = []
        self.useless: list[str] = []
        self._out, self._overwrite = out, overwrite
        self._taken: dict[str, str] = {}
        self._files: dict[str, str] = {}  # images too, and whose they are
        self._folders: dict[str, str] = {}
        self._products: set[str] = set()
        self._images = self._instances = 0

    def add(self, folders: Sequence[str | None], stem: str, file: LabelmeFile, image: Path | None, where: str) -> None:
        """Write ``<folders>/<stem>.json``, its labels in one Unicode form without blanks around, its image beside it.

        Args:
            folders: Product, split and what lies below; None and empty ones are left out.
            stem: The file's name without ``.json``.
            file: What to write.
            image: Where the image lies, or None.
            where: What to call the annotation in problems.

        Raises:
            FlawshotError: If a file there has other content already.
        """
        file = replace(
            file, shapes=tuple(replace(shape, label=plain_text(shape.label) or shape.label) for shape in file.shapes)
        )
        path = PurePosixPath(*(folder for folder in folders if folder), f"{stem}.json")
        if (key := _one_place(path)) in self._taken:
            message = f"would be one file {path} with {self._taken[key]}; it is left out, rename one of them"
            self.problems.append(Problem(where, "same-name", message))
            return
        copied = image is not None and image.suffix.lower() != ".json"
        files = [path, path.with_name(file.image_path)] if copied else [path]
        above = path.parents[:-1]
        for places, others in ((files, self._folders), (above, self._files)):
            for place in places:
                if (other := others.get(_one_place(place))) is not None:
                    message = f"{place} would be a file and a folder, with {other}; it is left out, rename one of them"
                    self.problems.append(Problem(where, "same-name", message))
                    return
        self._taken[key] = where
        self._files |= {_one_place(each): where for each in files}
        self._folders |= {_one_place(each): where for each in above}
        target = self._out / path
        write_labelme(file, target, overwrite=self._overwrite)
        self._products.add(path.parts[0])
        self._instances += count_instances(file)
        if image is None:
            message = f"the image {file.image_path} is not found; say where it is with --images"
            self.missing.append(Problem(where, "missing-image", message, "warning"))
        elif not copied:
            self.problems.append(Problem(where, "file-name", f"the image {image.name} is called as annotations are"))
        else:
            self.problems += _other_size(where, file, image)
            beside = target.with_name(file.image_path)
            write_with(beside, partial(shutil.copyfile, image), overwrite=self._overwrite)
            self._images += 1

    @property
    def instances(self) -> int:
        """Instances in the files that were written."""
        return self._instances

    def done(self, source: Path) -> Imported:
        """What was written.

        Raises:
            FlawshotError: If it is nothing at all.
        """
        if not self._taken:
            first = f"; the first problem: {self.problems[0]}" if self.problems else ""
            raise FlawshotError(f"{source}: holds no annotation that can be used{first}")
        return Imported(
            tuple(sorted(self._products)),
            len(self._taken),
            self._images,
            self._instances,
            tuple(self.problems),
            tuple(self.missing),
            tuple(self.useless),
        )


def _one_place(path: PurePosixPath) -> str:
    """A path as file systems compare them, some of which take two names for one."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _other_size(where: str, file: LabelmeFile, image: Path) -> list[Problem]:
    """A size that the annotation states and the image does not have, or an image that is turned without that."""
    stated = (file.image_height, file.image_width)
    try:
        height, width, lies = header(image, image.name)
    except ImageError as error:
        return [Problem(where, "unreadable-image", f"{error}; it is copied as it is", "warning")]
    if None in stated:
        return []
    if stated == (height, width):
        if lies not in {2, 3, 4}:  # 1 is upright, and the others would show in the size
            return []
        message = f"{image.name}: an EXIF orientation turns or mirrors it; look whether the shapes lie on their defects"
        return [Problem(where, "orientation", message, "warning")]
    if stated == (width, height):
        why = "an EXIF orientation turns it, and the annotation may be of the image before that"
    else:
        why = "the annotation may be of another image, or of another size of it"
    message = f"{image.name}: has {width} x {height} px, not {file.image_width} x {file.image_height} as stated; {why}"
    return [Problem(where, "image-size", message, "warning")]


def begin_import(
    source: Path, suffix: str, out: Path, *, images: Path | None, overwrite: bool
) -> tuple[Path, list[str], LabelmeFolder]:
    """What an import of files of one kind begins with.

    Args:
        source: A folder, searched without leaving it by a link, or one file.
        suffix: What the files' names end in.
        out: Where the Labelme files go; it is not looked into.
        images: Where the user says the images are.
        overwrite: Whether files at ``out`` with other content may be replaced.

    Returns:
        The folder that the user named, or that holds the file they named; the files' names relative to it; and the
        folder to write.

    Raises:
        FlawshotError: If ``images`` is not a folder.
    """
    check_images(images)
    folder = LabelmeFolder(out, overwrite=overwrite)
    if source.is_dir():
        return source, files_under(source, (suffix,), folder.problems, beyond=out), folder
    return source.parent, [source.name], folder


def check_images(images: Path | None) -> None:
    """Refuse what ``--images`` names if it is not a folder.

    Raises:
        FlawshotError: If so.
    """
    if images is not None and not images.is_dir():
        raise FlawshotError(f"--images {images}: is not a folder")
