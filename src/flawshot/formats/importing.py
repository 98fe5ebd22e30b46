"""What all imports share: the folder of Labelme files that they write, each with its image, and what they return."""

from __future__ import annotations

import shutil
import unicodedata
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem, printable
from flawshot.base.names import folder_name
from flawshot.base.store.files import write_with
from flawshot.formats.texts import plain_text
from flawshot.formats.tree_files import files_under
from flawshot.labelme.images import ImageError, header
from flawshot.labelme.labelme_file import write_labelme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.labelme.labelme_file import LabelmeFile

__all__ = [
    "Imported",
    "LabelmeFolder",
    "Target",
    "Written",
    "begin_import",
    "check_images",
    "count_instances",
    "write_annotation",
]


@dataclass(frozen=True)
class Imported:
    """What an import found.

    Attributes:
        products: The products' names, sorted.
        categories: The categories' names, sorted.
        files: Labelme files written.
        images: Images copied beside them.
        instances: Instances in the files.
        problems: What was left out, or is odd.
        missing: Images that were not found, a warning each; they are not among the problems.
        useless: Annotation files of which not one annotation could be used, though there are some.
        counts: What else the format counts, by what it is, such as ``good`` images without a defect.
        layout: The layout by which the source was read, where the format has several.
        summary: All this in a line or two.
    """

    products: tuple[str, ...]
    categories: tuple[str, ...]
    files: int
    images: int
    instances: int
    problems: tuple[Problem, ...]
    missing: tuple[Problem, ...] = ()
    useless: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    layout: str | None = None
    summary: str = field(default="", compare=False)


def count_instances(file: LabelmeFile) -> int:
    """How many instances a file has: shapes of one group and label are one."""
    single = sum(shape.group_id is None for shape in file.shapes)
    return single + len({(shape.group_id, shape.label) for shape in file.shapes if shape.group_id is not None})


class Target(NamedTuple):
    """Where an annotation goes; see :meth:`LabelmeFolder.claim`.

    Attributes:
        path: The Labelme file.
        product: The product's name.
        where: What to call the annotation in problems.
        overwrite: Whether files there with other content may be replaced.
    """

    path: Path
    product: str
    where: str
    overwrite: bool


class Written(NamedTuple):
    """What became of one annotation; see :func:`write_annotation`.

    Attributes:
        labels: The labels of its shapes.
        instances: How many instances it has.
        images: Images copied beside it, one or none.
        problems: What is odd.
        missing: Images that were not found.
    """

    labels: frozenset[str]
    instances: int
    images: int
    problems: tuple[Problem, ...] = ()
    missing: tuple[Problem, ...] = ()


class LabelmeFolder:
    """A folder of Labelme files in the making: one file each, never two in one place, its image copied beside it.

    :meth:`add` does all for one annotation. Whoever works with several processes claims a place here, lets another
    process call :func:`write_annotation`, and records here what became of it.

    Attributes:
        problems: What was left out, or is odd; imports add their own.
        missing: Images that were not found.
        useless: Annotation files of which nothing could be used; imports add them.
        products: The products' names; imports may add those without a file.
        categories: The categories' names, likewise.
        files: Files written.
        images: Images copied.
        instances: Instances in the files.
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
        self.products: set[str] = set()
        self.categories: set[str] = set()
        self.files = self.images = self.instances = 0
        self._out, self._overwrite = out, overwrite
        self._taken: dict[str, str] = {}
        self._files: dict[str, str] = {}  # images too, and whose they are
        self._folders: dict[str, str] = {}

    def add(self, folders: Sequence[str | None], stem: str, file: LabelmeFile, image: Path | None, where: str) -> None:
        """Write ``<folders>/<stem>.json``, its labels in one Unicode form without blanks around, its image beside it.

        Args:
            folders: Product, split and what lies below; None and empty ones are left out. A product's folder is called
                as :func:`~flawshot.base.names.folder_name` says; so should that of a category be.
            stem: The file's name without ``.json``.
            file: What to write.
            image: Where the image lies, or None.
            where: What to call the annotation in problems.

        Raises:
            FlawshotError: If a file there has other content already.
        """
        target = self.claim(folders, stem, file.image_path if _is_copied(image) else None, where)
        if target is not None:
            self.record(target, write_annotation(target, file, image))

    def claim(self, folders: Sequence[str | None], stem: str, image_name: str | None, where: str) -> Target | None:
        """A place for a file and its image, or None where another has it, which is then among the problems.

        Args:
            folders: As for :meth:`add`.
            stem: Likewise.
            image_name: What the image is called beside the file; None where none is copied.
            where: What to call the annotation in problems.
        """
        product, *below = filter(None, folders)
        path = PurePosixPath(folder_name(product), *below, f"{stem}.json")
        if (key := _one_place(path)) in self._taken:
            message = f"would be one file {path} with {self._taken[key]}; it is left out, rename one of them"
            self.problems.append(Problem(where, "same-name", message))
            return None
        files = [path] if image_name is None else [path, path.with_name(image_name)]
        above = path.parents[:-1]
        for places, others in ((files, self._folders), (above, self._files)):
            for place in places:
                if (other := others.get(_one_place(place))) is not None:
                    message = f"{place} would be a file and a folder, with {other}; it is left out, rename one of them"
                    self.problems.append(Problem(where, "same-name", message))
                    return None
        self._taken[key] = where
        self._files |= {_one_place(each): where for each in files}
        self._folders |= {_one_place(each): where for each in above}
        return Target(self._out / path, product, where, self._overwrite)

    def record(self, target: Target, written: Written) -> None:
        """Count what was written to a place."""
        self.products.add(target.product)
        self.categories |= written.labels
        self.problems += written.problems
        self.missing += written.missing
        self.files += 1
        self.images += written.images
        self.instances += written.instances

    def done(self, source: Path, *, lacks: str = "annotation", **more: Any) -> Imported:
        """What was written.

        Args:
            source: What was imported, for the error.
            lacks: What it does not hold where nothing was written.
            more: Further fields of :class:`Imported`, such as ``counts`` and ``summary``.

        Raises:
            FlawshotError: If it is nothing at all.
        """
        if not self.files:
            first = f"; the first problem: {self.problems[0].marked}" if self.problems else ""
            raise FlawshotError(f"{source}: holds no {lacks} that can be used{first}")
        return Imported(
            products=tuple(sorted(self.products)),
            categories=tuple(sorted(self.categories)),
            files=self.files,
            images=self.images,
            instances=self.instances,
            problems=tuple(self.problems),
            missing=tuple(self.missing),
            useless=tuple(self.useless),
            **{"summary": self.summary(), **more},
        )

    def summary(self) -> str:
        """What was written, in a line."""
        products = ", ".join(printable(product) for product in sorted(self.products))
        return (
            f"{self._out}: {self.files} Labelme files with {self.instances} instances, {self.images} images; "
            f"products: {products or 'none'}"
        )


def write_annotation(target: Target, file: LabelmeFile, image: Path | None, *, measured: bool = False) -> Written:
    """Write an annotation to its place, its labels in one Unicode form without blanks around, its image beside it.

    Args:
        target: The place.
        file: What to write.
        image: Where the image lies, or None.
        measured: Whether the file's image size is that of the image itself, which is then not looked at again.

    Raises:
        FlawshotError: If a file there has other content already.
    """
    shapes = tuple(replace(shape, label=plain_text(shape.label) or shape.label) for shape in file.shapes)
    file = replace(file, shapes=shapes)
    write_labelme(file, target.path, overwrite=target.overwrite)
    labels, instances = frozenset(shape.label for shape in shapes), count_instances(file)
    if image is None:
        message = f"the image {file.image_path} is not found; say where it is with {argument('images')}"
        return Written(labels, instances, 0, missing=(Problem(target.where, "missing-image", message, "warning"),))
    if not _is_copied(image):
        problem = Problem(target.where, "file-name", f"the image {image.name} is called as annotations are")
        return Written(labels, instances, 0, (problem,))
    problems = () if measured else tuple(_other_size(target.where, file, image))
    beside = target.path.with_name(file.image_path)
    write_with(beside, partial(shutil.copyfile, image), overwrite=target.overwrite)
    return Written(labels, instances, 1, problems)


def _is_copied(image: Path | None) -> bool:
    return image is not None and image.suffix.lower() != ".json"


def _one_place(path: PurePosixPath) -> str:
    """A path as file systems compare them, some of which take two names for one."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _other_size(where: str, file: LabelmeFile, image: Path) -> list[Problem]:
    """A size that the annotation states and the image does not have, or an image that is turned without that."""
    stated = (file.image_height, file.image_width)
    try:
        height, width, lies = header(image, image.name)
    except ImageError as error:
        return [Problem(where, "unreadable-image", f"{error.marked}; it is copied as it is", "warning")]
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
    """Refuse what ``images`` names if it is not a folder.

    Raises:
        FlawshotError: If so.
    """
    if images is not None and not images.is_dir():
        raise FlawshotError(f"{argument('images', images)}: is not a folder")
