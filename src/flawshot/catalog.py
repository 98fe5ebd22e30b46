"""The catalog: one row a defect instance, held as an Arrow table, saved as Parquet."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from flawshot.data_folder import annotation_files, find_image
from flawshot.errors import AnnotationError, FlawshotError, Problem
from flawshot.files import one_line, write_with
from flawshot.formats.labelme import image_size, parse_labelme
from flawshot.instances import Instance, instances_of
from flawshot.layout import SPLIT_FOLDERS, Layout, recognise_layout
from flawshot.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flawshot.formats.labelme import LabelmeFile

__all__ = ["Catalog"]

GEOMETRY = pa.list_(
    pa.struct(
        [
            ("index", pa.int32()),
            ("shape_type", pa.string()),
            ("points", pa.list_(pa.list_(pa.float64(), 2))),
            ("mask_png", pa.binary()),
        ]
    )
)
FORMAT = {"format": "flawshot-catalog", "version": 1}
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("product", pa.string(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("category", pa.string(), nullable=False),
        pa.field("image", pa.string(), nullable=False),
        pa.field("image_width", pa.int32(), nullable=False),
        pa.field("image_height", pa.int32(), nullable=False),
        *(pa.field(name, pa.int32(), nullable=False) for name in ("x0", "y0", "x1", "y1")),
        pa.field("area", pa.int64(), nullable=False),
        pa.field("shape_type", pa.string(), nullable=False),
        pa.field("geometry", GEOMETRY, nullable=False),
        pa.field("group_id", pa.int64()),
        pa.field("flags", pa.string(), nullable=False),
        pa.field("description", pa.string(), nullable=False),
        pa.field("annotation", pa.string(), nullable=False),
        pa.field("annotation_hash", pa.string(), nullable=False),
    ],
    metadata={"flawshot": json.dumps(FORMAT)},
)


ROWS_AT_ONCE = 2000


class Catalog:
    """All defect instances of a data set.

    Attributes:
        table: The rows, an Arrow table; its columns are those of ``docs/formats.md``.
        root: The folder that image and annotation paths are relative to, or None where it is not at hand.
        problems: What was found wrong or odd while the annotations were read.
    """

    def __init__(self, table: pa.Table, root: Path | None = None, problems: Sequence[Problem] = ()) -> None:
        """Take a table of the catalog's schema."""
        self.table = table
        self.root = root
        self.problems = tuple(problems)

    @classmethod
    def open(cls, data: str | Path, *, layout: str | None = None, strict: bool = False) -> Catalog:
        """Read a folder of Labelme files, or a ``.parquet`` catalog.

        Args:
            data: The folder or the Parquet file.
            layout: As for :meth:`from_folder`; a Parquet catalog has its products and splits already.
            strict: As for :meth:`from_folder`.

        Raises:
            FlawshotError: If there is no such folder or file, or it holds no instance.
        """
        data = Path(data)
        try:
            is_folder = data.is_dir()
        except OSError as error:
            raise FlawshotError(f"{str(data)[:200]}: cannot be read ({error.strerror or error})") from error
        if is_folder:
            catalog = cls.from_folder(data, layout=layout, strict=strict)
        elif data.suffix == ".parquet":
            if layout is not None:
                raise FlawshotError(f"{data}: --layout is for folders; a Parquet catalog has its products already")
            catalog = cls.load(data)
        else:
            raise FlawshotError(f"{data}: is neither a folder of Labelme files nor a .parquet catalog")
        if not len(catalog):
            first = f"; the first problem: {catalog.problems[0]}" if catalog.problems else ""
            raise FlawshotError(f"{data}: holds no usable defect instance{first}")
        return catalog

    @classmethod
    def from_folder(cls, root: str | Path, *, layout: str | None = None, strict: bool = False) -> Catalog:
        """Read all Labelme files under a folder.

        Files are taken in the order of their paths. What cannot be used is collected in :attr:`problems`, file by
        file and shape by shape, and the rest is read.

        Args:
            root: The data root; folders whose name begins with a dot are passed over.
            layout: A pattern such as ``{product}/{split}/**``; recognised where None.
            strict: Stop at the first error instead.

        Raises:
            AnnotationError: The first error, if ``strict``.
            FlawshotError: If ``layout`` is no pattern.
        """
        root = Path(root).resolve()
        if not root.is_dir():
            raise FlawshotError(f"{root}: is not a folder")
        problems: list[Problem] = []
        paths = annotation_files(root, problems)
        builder = _Builder(_layout(layout, paths, root.name), root, problems)
        for path in paths:
            if strict:
                _stop(problems)
            try:
                file, found = parse_labelme((root / path).read_bytes(), path)
            except AnnotationError as error:
                problems.append(error.problem)
            except OSError as error:
                problems.append(Problem(path, "unreadable", f"cannot be read ({error.strerror or error})"))
            else:
                problems += found
                builder.add(path, file)
        if strict:
            _stop(problems)
        return cls(builder.table(), root, problems)

    @classmethod
    def from_annotations(
        cls, annotations: Iterable[tuple[str, LabelmeFile]], *, root_name: str = "data", layout: str | None = None
    ) -> Catalog:
        """Make a catalog of annotations that are not, or not yet, files; images are not looked for.

        Args:
            annotations: Path relative to the data root (POSIX) and content of each.
            root_name: The data root's name, which is the product's where the layout has none.
            layout: As for :meth:`from_folder`.
        """
        ordered = sorted(annotations, key=lambda entry: entry[0])
        problems: list[Problem] = []
        builder = _Builder(_layout(layout, [path for path, _ in ordered], root_name), None, problems)
        for path, file in ordered:
            builder.add(path, file)
        return cls(builder.table(), None, problems)

    @classmethod
    def load(cls, path: str | Path, root: str | Path | None = None) -> Catalog:
        """Read a Parquet catalog.

        Args:
            path: The file.
            root: The data root; the file's own folder where None.

        Raises:
            FlawshotError: If the file is damaged or not a catalog.
        """
        path = Path(path)
        try:
            table = parquet.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise FlawshotError(f"{path}: cannot be read as a catalog ({one_line(error)})") from error
        try:
            header = json.loads((table.schema.metadata or {}).get(b"flawshot", b"null"))
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("format") != FORMAT["format"]:
            raise FlawshotError(f"{path}: format: is not a flawshot catalog; make one with flawshot stats --catalog")
        if header.get("version") != FORMAT["version"]:
            raise FlawshotError(f"{path}: version: {header.get('version')} is not known here; update flawshot")
        if not table.schema.equals(SCHEMA):
            wrong = next((name for name in SCHEMA.names if name not in table.column_names), "columns")
            raise FlawshotError(f"{path}: {wrong}: is not as a catalog has it; make the catalog again")
        _check_values(path, table)
        return cls(table, path.resolve().parent if root is None else Path(root))

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the catalog as Parquet.

        Raises:
            FlawshotError: If ``path`` exists with other content and ``overwrite`` is false.
        """
        write_with(Path(path), lambda temporary: parquet.write_table(self.table, temporary), overwrite=overwrite)

    def __len__(self) -> int:
        """Number of instances."""
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[Instance]:
        """The instances in catalog order."""
        for batch in self.table.to_batches(max_chunksize=256):
            yield from map(_instance, batch.to_pylist())

    def __getitem__(self, index: int) -> Instance:
        """The instance of a row."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return _instance(self.table.slice(index % len(self), 1).to_pylist()[0])

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
            FlawshotError: If one of them is not there.
        """
        for product in products:
            if product not in self.products:
                raise FlawshotError(f"--product {product}: is not in the data, which has {', '.join(self.products)}")
        rows = pc.is_in(self.table.column("product"), value_set=pa.array(products, pa.string()))
        return Catalog(self.table.filter(rows), self.root, self.problems)

    def fingerprint(self, product: str) -> str:
        """SHA-256 over a product's sorted (id, category) pairs: what episodes depend on, and nothing else."""
        own = self.select([product])
        pairs = sorted(zip(own.column("id"), own.column("category"), strict=True))
        return hashlib.sha256(json.dumps(pairs, ensure_ascii=False).encode()).hexdigest()

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all rows' ids and annotation hashes, in order: what features depend on."""
        rows = list(zip(self.column("id"), self.column("annotation_hash"), strict=True))
        return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()


def _stop(problems: list[Problem]) -> None:
    for problem in problems:
        if problem.severity == "error":
            raise AnnotationError(problem)


def _check_values(path: Path, table: pa.Table) -> None:
    """Refuse what a catalog of ours cannot hold, for it may come from anywhere."""
    splits = set(pc.unique(table.column("split")).to_pylist()) - {None, *SPLIT_FOLDERS.values()}
    if splits:
        raise FlawshotError(f"{path}: split: {splits.pop()!r} is none of train, test, val")
    if len(pc.unique(table.column("id"))) < table.num_rows:
        raise FlawshotError(f"{path}: id: an instance stands there twice; make the catalog again")
    for text in pc.unique(table.column("flags")).to_pylist():
        try:
            flags = json.loads(text)
        except ValueError:
            flags = None
        if not isinstance(flags, dict):
            raise FlawshotError(f"{path}: flags: {text[:40]!r} is no JSON object; make the catalog again")
    for name in ("image", "annotation"):
        for text in pc.unique(table.column(name)).to_pylist():
            if text.startswith("/") or ".." in text.split("/") or "\\" in text or text[1:2] == ":":
                raise FlawshotError(f"{path}: {name}: {text[:80]!r} leaves the data folder; make the catalog again")


def _layout(pattern: str | None, paths: list[str], root_name: str) -> Layout:
    return recognise_layout(paths, root_name) if pattern is None else Layout(pattern, root_name)


class _Builder:
    """Rows of a catalog, made file by file, so that no more than one file's images are in memory."""

    def __init__(self, layout: Layout, root: Path | None, problems: list[Problem]) -> None:
        self._layout, self._root, self._problems = layout, root, problems
        self._rows: list[dict[str, Any]] = []
        self._tables: list[pa.Table] = []

    def add(self, path: str, file: LabelmeFile) -> None:
        """Add one file's instances."""
        place = self._layout.place(path)
        if place is None:
            self._problems.append(Problem(path, "layout", f"does not fit the layout {self._layout.pattern}"))
            return
        image = find_image(path, file, self._root, self._problems)
        size = image_size(file, None if self._root is None else self._root / image)
        if size is None:
            message = "imageHeight and imageWidth are missing, and no image tells them"
            self._problems.append(Problem(path, "image-size", message))
            return
        product, split = place
        instances = instances_of(file, path, self._problems, image=image, size=size, product=product, split=split)
        self._rows += [_row(instance) for instance in instances]
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._tables.append(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows = []

    def table(self) -> pa.Table:
        """All rows."""
        self._flush()
        return pa.concat_tables(self._tables).combine_chunks()


def _row(instance: Instance) -> dict[str, Any]:
    x0, y0, x1, y1 = instance.box
    return {
        "id": instance.id,
        "product": instance.product,
        "split": instance.split,
        "category": instance.category,
        "image": instance.image,
        "image_width": instance.image_width,
        "image_height": instance.image_height,
        "x0": x0,
        "y0": y0,
        "x1": x1,
        "y1": y1,
        "area": instance.area,
        "shape_type": instance.shape_type,
        "geometry": [
            {
                "index": shape.index,
                "shape_type": shape.shape_type,
                "points": shape.points.tolist(),
                "mask_png": shape.mask_png,
            }
            for shape in instance.shapes
        ],
        "group_id": instance.group_id,
        "flags": json.dumps(instance.flags, ensure_ascii=False, sort_keys=True),
        "description": instance.description,
        "annotation": instance.annotation,
        "annotation_hash": instance.annotation_hash,
    }


def _instance(row: dict[str, Any]) -> Instance:
    shapes = tuple(
        Shape(
            index=part["index"],
            label=row["category"],
            shape_type=part["shape_type"],
            points=np.array(part["points"], dtype=np.float64),
            group_id=row["group_id"],
            mask_png=part["mask_png"],
        )
        for part in row["geometry"]
    )
    return Instance(
        id=row["id"],
        product=row["product"],
        split=row["split"],
        category=row["category"],
        image=row["image"],
        image_width=row["image_width"],
        image_height=row["image_height"],
        box=(row["x0"], row["y0"], row["x1"], row["y1"]),
        area=row["area"],
        shapes=shapes,
        group_id=row["group_id"],
        flags=json.loads(row["flags"]),
        description=row["description"],
        annotation=row["annotation"],
        annotation_hash=row["annotation_hash"],
    )
