"""Building a catalog's rows from annotation files, on all cores if there are many."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flawshot.base.errors import AnnotationError, Problem
from flawshot.base.parallel import cores, in_order
from flawshot.catalog.instances import instances_of
from flawshot.catalog.table import SCHEMA, row_of
from flawshot.labelme.data_folder import find_image, image_source
from flawshot.labelme.embedded import embedded_image, image_size
from flawshot.labelme.images import ImageError, header_size, under_pixel_limit
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from flawshot.labelme.image_folder import ImageFolder
    from flawshot.labelme.labelme_file import LabelmeFile
    from flawshot.labelme.layout import Layout

__all__ = ["CatalogBuilder", "build_table", "stop_at_error"]

ROWS_AT_ONCE = 2000
# The number of files that a worker reads at a time; their rows come back as one Arrow table.
FILES_AT_ONCE = 500
# With fewer files than this, starting the workers would take longer than they save.
FILES_FOR_WORKERS = 4000


class CatalogBuilder:
    """Builds a catalog's rows file by file, so that only one file's images are in memory."""

    def __init__(
        self, layout: Layout, root: Path | None, problems: list[Problem], images: ImageFolder | None = None
    ) -> None:
        """Take the layout, the data root if it is available, the list for problems, and where images are elsewhere."""
        self._layout, self._root, self._problems, self._images = layout, root, problems, images
        self._place = root if images is None else images.root
        self._rows: list[dict[str, Any]] = []
        self._tables: list[pa.Table] = []

    def read(self, path: str, root: Path) -> None:
        """Read one file under the data root and add its instances."""
        try:
            file, found = parse_labelme(annotation_bytes(root / path, path), path)
        except AnnotationError as error:
            self._problems.append(error.problem)
        else:
            self._problems += found
            self.add(path, file)

    def add(self, path: str, file: LabelmeFile) -> None:
        """Add one file's instances."""
        place = self._layout.place(path)
        if place is None:
            self._problems.append(Problem(path, "layout", f"does not fit the layout {self._layout.pattern}"))
            return
        image = find_image(path, file, self._root, self._problems, self._images)
        size = image_size(file, None if self._place is None else self._place / image)
        if size is None:
            message = f"imageHeight and imageWidth are missing, and no image gives them{self._why(image, path)}"
            self._problems.append(Problem(path, "image-size", message))
            return
        stated = (file.image_height, file.image_width)
        if None not in stated and stated != size:
            message = (
                f"imageWidth, imageHeight: say {stated[1]} x {stated[0]} px, but the embedded image has "
                f"{size[1]} x {size[0]} px; the image's size is used"
            )
            self._problems.append(Problem(path, "embedded-image", message, "warning"))
        product, split = place
        instances = instances_of(file, path, self._problems, image=image, size=size, product=product, split=split)
        self._rows += [row_of(instance) for instance in instances]
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def _why(self, image: str, annotation: str) -> str:
        try:
            header_size(image_source(self._root, image, annotation, self._place), image)
        except ImageError as error:
            return f" ({error.marked})"
        return ""

    def _flush(self) -> None:
        self._tables.append(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows = []

    def table(self) -> pa.Table:
        """All rows."""
        self._flush()
        return pa.concat_tables(self._tables).combine_chunks()


def build_table(
    root: Path,
    paths: Sequence[str],
    layout: Layout,
    problems: list[Problem],
    *,
    images: ImageFolder | None = None,
    strict: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pa.Table:
    """The table of all instances of some annotation files; rows and problems do not depend on the number of workers.

    Args:
        root: The data root.
        paths: The files' paths relative to it (POSIX), in the order of the rows.
        layout: The positions of product and split in the path.
        problems: Errors and oddities are added here, in the order of the files.
        images: The folder of the images, if it is not the data root.
        strict: Stop at the first error.
        workers: Number of processes; if None, one per core if there are many files.
        progress: Called with the number of files done and the total.

    Raises:
        AnnotationError: The first error, if ``strict``.
    """
    if workers is None:
        workers = cores() if len(paths) >= FILES_FOR_WORKERS else 1
    chunks = [paths[start : start + FILES_AT_ONCE] for start in range(0, len(paths), FILES_AT_ONCE)]
    tables, done = [SCHEMA.empty_table()], 0
    tasks = [(root, chunk, layout, images) for chunk in chunks]
    with closing(in_order(under_pixel_limit(_read_chunk), tasks, workers if len(chunks) > 1 else 1)) as read:
        for chunk, (table, found) in zip(chunks, read, strict=True):
            problems += found
            if strict:
                stop_at_error(problems)
            tables.append(table)
            done += len(chunk)
            if progress is not None:
                progress(done, len(paths))
    return _apart(pa.concat_tables(tables).combine_chunks(), root, root if images is None else images.root, problems)


def _apart(table: pa.Table, root: Path, place: Path, problems: list[Problem]) -> pa.Table:
    """The table, in which different embedded images with the same name are renamed after their annotations.

    Programs that embed images give all of them the same name, but support and query are kept apart by image names.
    """
    images, annotations = (table.column(name).to_pylist() for name in ("image", "annotation"))
    owners: dict[str, list[str]] = {}
    for image, annotation in dict.fromkeys(zip(images, annotations, strict=True)):
        owners.setdefault(image, []).append(annotation)
    renamed: dict[tuple[str, str], str] = {}
    for image, several in owners.items():
        contents = {each: _content(root, place / image, each) for each in several} if len(several) > 1 else {}
        if len(set(contents.values())) < 2:
            continue
        names: dict[bytes, str] = {}
        for annotation, content in contents.items():
            own = PurePosixPath(annotation).with_suffix(PurePosixPath(image).suffix).as_posix()
            own = own if own not in owners else f"{annotation}{PurePosixPath(image).suffix}"
            if content != _file_content(place / image):
                renamed[image, annotation] = names.setdefault(content, own)
                message = f"embeds a different {image} than other annotations do; it is used as {names[content]}"
                problems.append(Problem(annotation, "embedded-image", message, "warning"))
    if not renamed:
        return table
    called = [renamed.get(pair, pair[0]) for pair in zip(images, annotations, strict=True)]
    return table.set_column(table.schema.get_field_index("image"), table.schema.field("image"), pa.array(called))


def _content(root: Path, image: Path, annotation: str) -> bytes:
    """A hash of an annotation's image."""
    embedded = embedded_image(root / annotation)
    return _file_content(image) if embedded is None else hashlib.sha256(embedded).digest()


def _file_content(image: Path) -> bytes:
    """A hash of an image file, or of nothing if it cannot be read."""
    try:
        with image.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError:
        return b""


def stop_at_error(problems: Sequence[Problem]) -> None:
    """Raise the first problem that is an error."""
    for problem in problems:
        if problem.severity == "error":
            raise AnnotationError(problem)


def _read_chunk(
    root: Path, paths: Sequence[str], layout: Layout, images: ImageFolder | None
) -> tuple[pa.Table, list[Problem]]:
    problems: list[Problem] = []
    builder = CatalogBuilder(layout, root, problems, images)
    for path in paths:
        builder.read(path, root)
    return builder.table(), problems
