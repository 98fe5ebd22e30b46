"""Shared parts of all imports: the folder of Labelme files and images that they write, and their result."""

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
from flawshot.base.wording import counted
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
    """The result of an import.

    Attributes:
        products: The products' names, sorted.
        categories: The categories' names, sorted.
        files: Labelme files written.
        images: Images copied beside them.
        instances: Instances in the files.
        problems: Omissions and oddities.
        missing: Images that were not found, one warning each; they are not among the problems.
        useless: Annotation files that contain annotations, but no usable one.
        counts: The format's additional counts by name, such as ``good`` images without a defect.
        layout: The layout of the source, if the format has several.
        summary: A summary in one or two lines.
    """

    products: tuple[str, ...]
    categories: tuple[str, ...]
    files: int
    images: int
    instances: int
    problems: tuple[Problem, ...]
    missing: tuple[MissingImage, ...] = ()
    useless: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    layout: str | None = None
    summary: str = field(default="", compare=False)


@dataclass(frozen=True)
class MissingImage(Problem):
    """An image that was not found.

    Attributes:
        image: Its path, as the annotation gives it.
    """

    image: str = ""


def count_instances(file: LabelmeFile) -> int:
    """The number of a file's instances; shapes with the same group and label form one."""
    single = sum(shape.group_id is None for shape in file.shapes)
    return single + len({(shape.group_id, shape.label) for shape in file.shapes if shape.group_id is not None})


class Target(NamedTuple):
    """The destination of an annotation; see :meth:`LabelmeFolder.claim`.

    Attributes:
        path: The Labelme file.
        product: The product's name.
        where: The annotation's name for problems.
        overwrite: Whether existing files with different content may be replaced.
    """

    path: Path
    product: str
    where: str
    overwrite: bool


class Written(NamedTuple):
    """The result for one annotation; see :func:`write_annotation`.

    Attributes:
        labels: The labels of its shapes.
        instances: The number of its instances.
        images: The number of images copied beside it, one or none.
        problems: Oddities.
        missing: Images that were not found.
    """

    labels: frozenset[str]
    instances: int
    images: int
    problems: tuple[Problem, ...] = ()
    missing: tuple[MissingImage, ...] = ()


class LabelmeFolder:
    """An output folder of Labelme files: one per annotation, with unique paths, each with its image beside it.

    :meth:`add` does everything for one annotation. With several processes, call :meth:`claim` here, then
    :func:`write_annotation` in another process, and then :meth:`record` here with its result.

    Attributes:
        problems: Omissions and oddities; imports add their own.
        missing: Images that were not found.
        useless: Annotation files without usable annotations; imports add them.
        products: The products' names; imports may add products without files.
        categories: The categories' names, likewise.
        files: Number of files written.
        images: Number of images copied.
        instances: Number of instances in the files.
    """

    def __init__(self, out: Path, *, overwrite: bool) -> None:
        """Start with an empty result.

        Args:
            out: The data root.
            overwrite: Whether existing files with different content may be replaced.
        """
        self.problems: list[Problem] = []
        self.missing: list[MissingImage] = []
        self.useless: list[str] = []
        self.products: set[str] = set()
        self.categories: set[str] = set()
        self.files = self.images = self.instances = 0
        self._out, self._overwrite = out, overwrite
        self._taken: dict[str, str] = {}
        self._files: dict[str, str] = {}  # including images; the values are their annotations
        self._folders: dict[str, str] = {}

    def add(self, folders: Sequence[str | None], stem: str, file: LabelmeFile, image: Path | None, where: str) -> None:
        """Write ``<folders>/<stem>.json`` with labels in NFC without surrounding blanks, and its image beside it.

        Args:
            folders: Product, split and further folders; None and empty ones are omitted. A product's folder is named by
                :func:`~flawshot.base.names.folder_name`, as should be that of a category.
            stem: The file's name without ``.json``.
            file: The content.
            image: The image's path, or None.
            where: The annotation's name for problems.

        Raises:
            FlawshotError: If a file there exists with different content.
        """
        target = self.claim(folders, stem, file.image_path if _is_copied(image) else None, where)
        if target is not None:
            self.record(target, write_annotation(target, file, image))

    def claim(self, folders: Sequence[str | None], stem: str, image_name: str | None, where: str) -> Target | None:
        """Reserve the path of a file and its image; None, with a problem, if it is taken.

        Args:
            folders: As for :meth:`add`.
            stem: Likewise.
            image_name: The image's name beside the file; None if none is copied.
            where: The annotation's name for problems.
        """
        product, *below = filter(None, folders)
        path = PurePosixPath(folder_name(product), *below, f"{stem}.json")
        if (key := _one_place(path)) in self._taken:
            message = f"would be the same file {path} as {self._taken[key]}; it is left out, rename one of them"
            self.problems.append(Problem(where, "same-name", message))
            return None
        files = [path] if image_name is None else [path, path.with_name(image_name)]
        above = path.parents[:-1]
        for places, others in ((files, self._folders), (above, self._files)):
            for place in places:
                if (other := others.get(_one_place(place))) is not None:
                    message = f"{place} would be a file and, for {other}, a folder; it is left out, rename one of them"
                    self.problems.append(Problem(where, "same-name", message))
                    return None
        self._taken[key] = where
        self._files |= {_one_place(each): where for each in files}
        self._folders |= {_one_place(each): where for each in above}
        return Target(self._out / path, product, where, self._overwrite)

    def record(self, target: Target, written: Written) -> None:
        """Add the result for a reserved path."""
        self.products.add(target.product)
        self.categories |= written.labels
        self.problems += written.problems
        self.missing += written.missing
        self.files += 1
        self.images += written.images
        self.instances += written.instances

    def done(self, source: Path, *, lacks: str = "annotation", **more: Any) -> Imported:
        """The result of the import.

        Args:
            source: The imported file or folder, for the error.
            lacks: What the source lacks if nothing was written.
            more: Additional fields of :class:`Imported`, such as ``counts`` and ``summary``.

        Raises:
            FlawshotError: If nothing was written.
        """
        if not self.files:
            first = f"; the first problem: {self.problems[0].marked}" if self.problems else ""
            raise FlawshotError(f"{source}: contains no usable {lacks}{first}")
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
        """A one-line summary of what was written."""
        products = ", ".join(printable(product) for product in sorted(self.products))
        return (
            f"{self._out}: {counted(self.files, 'Labelme file')} with {counted(self.instances, 'instance')}, "
            f"{counted(self.images, 'image')}; products: {products or 'none'}"
        )


def write_annotation(target: Target, file: LabelmeFile, image: Path | None, *, measured: bool = False) -> Written:
    """Write an annotation to its path with labels in NFC without surrounding blanks, and its image beside it.

    Args:
        target: The destination.
        file: The content.
        image: The image's path, or None.
        measured: Whether the file's image size was read from the image, which is then not checked again.

    Raises:
        FlawshotError: If a file there exists with different content.
    """
    shapes = tuple(replace(shape, label=plain_text(shape.label) or shape.label) for shape in file.shapes)
    file = replace(file, shapes=shapes)
    write_labelme(file, target.path, overwrite=target.overwrite)
    labels, instances = frozenset(shape.label for shape in shapes), count_instances(file)
    if image is None:
        message = f"the image {file.image_path} was not found; say where it is with {argument('images')}"
        lost = MissingImage(target.where, "missing-image", message, "warning", image=file.image_path)
        return Written(labels, instances, 0, missing=(lost,))
    if not _is_copied(image):
        problem = Problem(
            target.where, "file-name", f"the image {image.name} has the suffix of annotation files and is not copied"
        )
        return Written(labels, instances, 0, (problem,))
    problems = () if measured else tuple(_other_size(target.where, file, image))
    beside = target.path.with_name(file.image_path)
    write_with(beside, partial(shutil.copyfile, image), overwrite=target.overwrite)
    return Written(labels, instances, 1, problems)


def _is_copied(image: Path | None) -> bool:
    return image is not None and image.suffix.lower() != ".json"


def _one_place(path: PurePosixPath) -> str:
    """A path normalized for comparison, because some file systems treat different names as the same."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _other_size(where: str, file: LabelmeFile, image: Path) -> list[Problem]:
    """Warn if the image's size differs from the annotation's, or if the image is rotated without changing its size."""
    stated = (file.image_height, file.image_width)
    try:
        height, width, lies = header(image, image.name)
    except ImageError as error:
        return [Problem(where, "unreadable-image", f"{error.marked}; it is copied unchanged", "warning")]
    if None in stated:
        return []
    if stated == (height, width):
        if lies not in {2, 3, 4}:  # 1 is upright, and the others change the size
            return []
        message = (
            f"{image.name}: its EXIF orientation rotates or mirrors it; check that the shapes lie on their defects"
        )
        return [Problem(where, "orientation", message, "warning")]
    if stated == (width, height):
        why = "its EXIF orientation rotates it, and the annotation may be of the unrotated image"
    else:
        why = "the annotation may be of another image, or of the image at another size"
    message = f"{image.name}: has {width} x {height} px, not {file.image_width} x {file.image_height} as stated; {why}"
    return [Problem(where, "image-size", message, "warning")]


def begin_import(
    source: Path, suffix: str | tuple[str, ...], out: Path, *, images: Path | None, overwrite: bool
) -> tuple[Path, list[str], LabelmeFolder]:
    """Find the annotation files of an import, and prepare its output folder.

    Args:
        source: A folder, searched without following links out of it, or one file.
        suffix: The suffix of the annotation files, or several.
        out: The output folder, which is not searched.
        images: The folder with the images, if the user named one.
        overwrite: Whether existing files at ``out`` with different content may be replaced.

    Returns:
        The folder that the user named, or the one that contains the named file; the files' names relative to it; and
        the output folder.

    Raises:
        FlawshotError: If ``images`` is not a folder.
    """
    check_images(images)
    folder = LabelmeFolder(out, overwrite=overwrite)
    suffixes = (suffix,) if isinstance(suffix, str) else suffix
    if source.is_dir():
        return source, files_under(source, suffixes, folder.problems, beyond=out), folder
    return source.parent, [source.name], folder


def check_images(images: Path | None) -> None:
    """Check that ``images`` is a folder, if given.

    Raises:
        FlawshotError: If it is not.
    """
    if images is not None and not images.is_dir():
        raise FlawshotError(f"{argument('images', images)}: is not a folder")
