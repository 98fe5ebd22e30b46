"""The catalog: one row per defect instance, as an Arrow table, saved as Parquet."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem, printable
from flawshot.base.html_tables import LONGEST_CELL, table_html
from flawshot.base.store.files import write_with
from flawshot.base.store.seals import hash_of
from flawshot.catalog.builder import CatalogBuilder, build_table, stop_at_error
from flawshot.catalog.pictures import instance_picture
from flawshot.catalog.table import instance_of, read_table, write_table
from flawshot.labelme.data_folder import annotation_files, image_source
from flawshot.labelme.image_folder import ImageFolder
from flawshot.labelme.images import read_image
from flawshot.labelme.layout import Layout, recognize_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from PIL import Image

    from flawshot.catalog.instances import Instance
    from flawshot.labelme.labelme_file import LabelmeFile

__all__ = ["Catalog"]

# The file that distinguishes a feature bank's folder from one of annotations.
BANK_FILES = ("catalog.parquet", "manifest.json")


class Catalog:
    """All defect instances of a data set.

    Attributes:
        table: The rows, an Arrow table; its columns are those of ``docs/formats.md``.
        root: The folder that image and annotation paths are relative to, or None if it is not available.
        problems: Errors and oddities found while reading the annotations.
        layout: How the files' paths name product and split, or None if the catalog was not read from a folder.
        images: The folder that image paths are relative to, if it is not the root.
    """

    def __init__(
        self,
        table: pa.Table,
        root: Path | None = None,
        problems: Sequence[Problem] = (),
        *,
        layout: Layout | None = None,
        images: Path | None = None,
    ) -> None:
        """Wrap a table that has the catalog's schema."""
        self.table = table
        self.root = root
        self.problems = tuple(problems)
        self.layout = layout
        self.images = images

    @property
    def image_root(self) -> Path | None:
        """The folder that image paths are relative to, or None if it is not available."""
        return self.root if self.images is None else self.images

    def image_folder(self) -> ImageFolder | None:
        """The images' folder, listed, if it is not the annotations' own."""
        if self.images is None:
            return None
        return ImageFolder.of(self.images, () if self.root is None else annotation_files(self.root, []))

    def with_rows(self, table: pa.Table) -> Catalog:
        """The same data set with other rows."""
        return Catalog(table, self.root, self.problems, layout=self.layout, images=self.images)

    def image_source(self, image: str, annotation: str) -> Path | bytes:
        """The source of an image's pixels: the image embedded in its annotation, as in Labelme, or else its file.

        Args:
            image: Its path, as in the column ``image``.
            annotation: The path of its annotation file.

        Raises:
            ImageError: If there is neither.
        """
        return image_source(self.root, image, annotation, self.images)

    @classmethod
    def open(
        cls,
        data: str | Path,
        *,
        layout: str | None = None,
        strict: bool = False,
        geometry: bool = True,
        images: str | Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Catalog:
        """Read a folder of Labelme files, a ``.parquet`` catalog, or the catalog in a feature bank's folder.

        Args:
            data: The folder or the Parquet file. A feature bank's catalog contains the instances with features,
                without those whose images could not be encoded.
            layout: As for :meth:`from_folder`; a Parquet catalog already has its products and splits.
            strict: As for :meth:`from_folder`.
            geometry: As for :meth:`load`.
            images: As for :meth:`from_folder`, or for :meth:`load`.
            progress: As for :meth:`from_folder`.

        Raises:
            FlawshotError: If there is no such folder or file, or it contains no instance.
        """
        data = Path(data)
        try:
            is_folder = data.is_dir()
        except OSError as error:
            raise FlawshotError(f"{str(data)[:200]}: cannot be read ({error.strerror or error})") from error
        if is_folder and all((data / name).is_file() for name in BANK_FILES):
            data, is_folder = data / BANK_FILES[0], False
        if is_folder:
            catalog = cls.from_folder(data, layout=layout, strict=strict, images=images, progress=progress)
        elif data.suffix == ".parquet":
            if layout is not None:
                raise FlawshotError(
                    f"{data}: {argument('layout')} applies to folders only; a Parquet catalog already has its products"
                )
            catalog = cls.load(data, geometry=geometry, images=images)
        else:
            raise FlawshotError(f"{data}: is neither a folder of Labelme files nor a .parquet catalog")
        if not len(catalog):
            first = f"; the first problem: {catalog.problems[0].marked}" if catalog.problems else ""
            if is_folder and not annotation_files(data.resolve(), []):
                first += (
                    "; it has no Labelme file: convert masks or other annotations with flawshot import, and images in "
                    "one folder per category with flawshot import folders"
                )
            raise FlawshotError(f"{data}: contains no usable defect instance{first}")
        return catalog

    @classmethod
    def from_folder(
        cls,
        root: str | Path,
        *,
        layout: str | None = None,
        strict: bool = False,
        images: str | Path | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Catalog:
        """Read all Labelme files under a folder, on all cores if there are many.

        Files are read in the order of their paths. Unusable files and shapes are collected in :attr:`problems`, and
        the rest is used.

        Args:
            root: The data root; folders whose name begins with a dot are skipped.
            layout: A pattern such as ``{product}/{split}/**``; detected if None.
            strict: Stop at the first error instead.
            images: The folder of the images, if they are not beside the annotations. An image is looked for there as it
                would be under ``root``, and then by its name; the last folders of its path decide between several.
            workers: Number of processes; if None, one per core if there are many files.
            progress: Called with the number of files read and the total.

        Raises:
            AnnotationError: The first error, if ``strict``.
            FlawshotError: If ``layout`` is not a valid pattern, or ``images`` is not a folder.
        """
        root = Path(root).resolve()
        if not root.is_dir():
            raise FlawshotError(f"{root}: is not a folder")
        problems: list[Problem] = []
        paths = annotation_files(root, problems)
        if strict:
            stop_at_error(problems)
        place = _layout(layout, paths, root.name)
        listed = None if images is None else ImageFolder.of(Path(images), paths)
        table = build_table(
            root, paths, place, problems, images=listed, strict=strict, workers=workers, progress=progress
        )
        return cls(table, root, problems, layout=place, images=None if listed is None else listed.root)

    @classmethod
    def from_annotations(
        cls, annotations: Iterable[tuple[str, LabelmeFile]], *, root_name: str = "data", layout: str | None = None
    ) -> Catalog:
        """Make a catalog of annotations that are not stored as files; images are not looked for.

        Args:
            annotations: Path relative to the data root (POSIX) and content of each annotation.
            root_name: The data root's name, which is the product's name if the layout has no product.
            layout: As for :meth:`from_folder`.
        """
        ordered = sorted(annotations, key=lambda entry: entry[0])
        problems: list[Problem] = []
        builder = CatalogBuilder(_layout(layout, [path for path, _ in ordered], root_name), None, problems)
        for path, file in ordered:
            builder.add(path, file)
        return cls(builder.table(), None, problems)

    @classmethod
    def load(
        cls,
        path: str | Path,
        root: str | Path | None = None,
        *,
        geometry: bool = True,
        images: str | Path | None = None,
    ) -> Catalog:
        """Read a Parquet catalog.

        Args:
            path: The file.
            root: The data root; the file's own folder if None.
            geometry: Whether to read the shapes. Without them, loading takes a fraction of time and memory, and the
                catalog can be counted and queried, but its rows cannot become instances.
            images: The folder that the catalog's image paths are relative to, if it is not the root.

        Raises:
            FlawshotError: If the file is damaged or not a catalog, or ``images`` is not a folder.
        """
        path = Path(path)
        if images is not None and not Path(images).is_dir():
            raise FlawshotError(f"{argument('images', images)}: is not a folder")
        table = read_table(path, geometry=geometry)
        place = path.resolve().parent if root is None else Path(root)
        return cls(table, place, images=None if images is None else Path(images).resolve())

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the catalog as Parquet.

        Raises:
            FlawshotError: If ``path`` exists with different content and ``overwrite`` is false.
        """
        write_with(Path(path), lambda temporary: write_table(self.table, temporary), overwrite=overwrite)

    def __len__(self) -> int:
        """Number of instances."""
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        """The numbers of instances, products and categories, and the data root, in one line."""
        products, categories = (pc.count_distinct(self.table.column(name)).as_py() for name in ("product", "category"))
        root = "" if self.root is None else f", root={printable(str(self.root), LONGEST_CELL)!r}"
        return f"Catalog(instances={len(self)}, products={products}, categories={categories}{root})"

    def _repr_html_(self) -> str:
        """The numbers of instances and images by product and category, for a notebook."""
        counted = (
            self.table.select(["product", "category", "image"])
            .group_by(["product", "category"])
            .aggregate([([], "count_all"), ("image", "count_distinct")])
            .sort_by([("product", "ascending"), ("category", "ascending")])
        )
        rows = zip(*(counted.column(name).to_pylist() for name in counted.column_names), strict=True)
        return table_html(repr(self), ["product", "category", "instances", "images"], rows, counted.num_rows)

    def __iter__(self) -> Iterator[Instance]:
        """The instances in catalog order."""
        for batch in self.table.to_batches(max_chunksize=256):
            yield from map(instance_of, batch.to_pylist())

    def __getitem__(self, index: int) -> Instance:
        """The instance of a row."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return instance_of(self.table.slice(index % len(self), 1).to_pylist()[0])

    def show(self, instance: str | int, *, context: float | None = 2.0) -> Image.Image:
        """A picture of an instance with its outline, which a notebook displays.

        Args:
            instance: Its id, or its row number.
            context: Side of the window, in multiples of the longer side of the instance's box; None: the whole image.

        Raises:
            FlawshotError: If there is no such instance, its image cannot be used, or ``context`` is less than 1.
        """
        if context is not None and not context >= 1:
            raise FlawshotError(f"{argument('context', context)}: must be 1 or more, or None for the whole image")
        row = self.row_of.get(instance) if isinstance(instance, str) else instance
        if row is None or not -len(self) <= row < len(self):
            raise FlawshotError(f"{argument('instance', instance)}: is not in the catalog; its column id lists all")
        shown = self[row]
        image = read_image(self.image_source(shown.image, shown.annotation), shown.image)
        if image.size != (shown.image_width, shown.image_height):
            raise FlawshotError(
                f"{shown.image}: is {image.width} x {image.height} px, but {shown.annotation} says "
                f"{shown.image_width} x {shown.image_height}"
            )
        return instance_picture(image, shown, context)

    def column(self, name: str) -> list[Any]:
        """One column's values in catalog order."""
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row number by instance id."""
        return {identifier: row for row, identifier in enumerate(self.column("id"))}

    @property
    def products(self) -> list[str]:
        """The products' names, sorted."""
        return sorted(pc.unique(self.table.column("product")).to_pylist())

    def select(self, products: Sequence[str]) -> Catalog:
        """The instances of some products, in catalog order.

        Raises:
            FlawshotError: If one of them is not in the catalog.
        """
        for product in products:
            if product not in self.products:
                raise FlawshotError(
                    f"{argument('product', product)}: is not in the data, which has {', '.join(self.products)}"
                )
        rows = pc.is_in(self.table.column("product"), value_set=pa.array(products, pa.string()))
        return self.with_rows(self.table.filter(rows))

    def fingerprint(self, product: str) -> str:
        """SHA-256 over a product's sorted (id, category) pairs: exactly what episodes depend on."""
        own = self.select([product])
        pairs = sorted(zip(own.column("id"), own.column("category"), strict=True))
        return hash_of(*pairs)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all rows' ids and annotation hashes, in order: what features depend on."""
        return hash_of(*zip(self.column("id"), self.column("annotation_hash"), strict=True))


def _layout(pattern: str | None, paths: list[str], root_name: str) -> Layout:
    return recognize_layout(paths, root_name) if pattern is None else Layout(pattern, root_name)
