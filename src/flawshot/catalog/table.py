"""The catalog's table: its columns, conversion between instances and rows, and its Parquet file."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import check_ordinary, load_json
from flawshot.catalog.instances import Instance
from flawshot.labelme.data_folder import LEAVES
from flawshot.labelme.labelme_file import MAX_COORDINATE, POINT_COUNTS
from flawshot.labelme.layout import SPLIT_FOLDERS
from flawshot.labelme.shapes import Shape

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SCHEMA", "hash_column", "instance_of", "read_table", "row_of", "write_table"]

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


def write_table(table: pa.Table, path: Path) -> None:
    """Write a catalog's table as Parquet, with checksums of its pages and a hash of each column's values.

    The hashes are needed because the checksums do not cover Parquet's metadata, which also determines what is read.

    Raises:
        OSError: If it cannot be written.
    """
    hashes = {name: hash_column(table.column(name)) for name in SCHEMA.names}
    header = {"flawshot": json.dumps(FORMAT | {"hashes": hashes})}
    parquet.write_table(table.replace_schema_metadata(header), path, write_page_checksum=True)


def hash_column(column: pa.ChunkedArray) -> str:
    """SHA-256 over a column's values, in order, independent of its chunks."""
    digest = hashlib.sha256()
    array = column.combine_chunks()
    for part in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        _hash_array(part, digest)
    return digest.hexdigest()


def _hash_array(array: pa.Array, digest: hashlib._Hash) -> None:
    """Hash lengths, null positions and values, for all types in a catalog."""
    kind = array.type
    digest.update(f"{kind.id} {len(array)} {array.null_count} ".encode())
    if array.null_count:
        digest.update(array.is_null().to_numpy(zero_copy_only=False).tobytes())
    if pa.types.is_struct(kind):
        for field in array.flatten():
            _hash_array(field, digest)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        if pa.types.is_list(kind):
            digest.update(np.diff(array.offsets.to_numpy()).tobytes())
        _hash_array(array.flatten(), digest)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        full = array.fill_null(b"" if pa.types.is_binary(kind) else "")
        digest.update(pc.binary_length(full).to_numpy().tobytes())
        _, offsets, data = full.buffers()
        ends = np.frombuffer(offsets, np.int32)[full.offset : full.offset + len(full) + 1] if len(full) else [0]
        if data is not None:
            digest.update(memoryview(data)[int(ends[0]) : int(ends[-1])])
    else:
        digest.update(array.fill_null(0).to_numpy().tobytes())


def read_table(path: Path, *, geometry: bool = True) -> pa.Table:
    """Read and check a Parquet catalog's table.

    Args:
        path: The file.
        geometry: Whether to read the column ``geometry``, by far the largest; without it, rows cannot become instances.

    Raises:
        FlawshotError: If the file is damaged or not a catalog.
    """
    check_ordinary(path)
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            hashes = _check_header(path, schema)
            names = [name for name in SCHEMA.names if geometry or name != "geometry"]
            table = file.read(columns=names)
        table.validate(full=True)
        table = table.replace_schema_metadata(SCHEMA.metadata)
    except FlawshotError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: names that are not UTF-8
        raise FlawshotError(f"{path}: cannot be read as a catalog ({one_line(error)})") from error
    damaged = next((name for name in names if hashes and hash_column(table.column(name)) != hashes.get(name)), None)
    if damaged is not None:
        raise FlawshotError(
            f"{path}: {damaged}: is damaged: its values are not what flawshot wrote; rebuild the catalog"
        )
    _check_values(path, table)
    _check_boxes(path, table)
    if geometry:
        _check_geometry(path, table.column("geometry").combine_chunks())
    return table


def _check_header(path: Path, schema: pa.Schema) -> dict[str, str]:
    """The hashes of the columns, by name; empty in files written by flawshot 0.1."""
    try:
        header = load_json((schema.metadata or {}).get(b"flawshot", b"null"))
    except FlawshotError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT["format"]:
        raise FlawshotError(
            f"{path}: format: is not a flawshot catalog; build it from the annotations with Catalog.open, and save that"
        )
    if header.get("version") != FORMAT["version"]:
        raise FlawshotError(f"{path}: version: {header.get('version')} is not supported; update flawshot")
    if not schema.equals(SCHEMA):
        wrong = next((name for name in SCHEMA.names if name not in schema.names), "columns")
        raise FlawshotError(f"{path}: {wrong}: does not match the catalog's schema; rebuild the catalog")
    hashes = header.get("hashes", {})
    if set(header) - {*FORMAT, "hashes"} or not isinstance(hashes, dict):
        raise FlawshotError(f"{path}: hashes: the header is damaged; rebuild the catalog")
    return hashes


def _check_values(path: Path, table: pa.Table) -> None:
    """Refuse values that flawshot never writes, because the file may come from anywhere."""
    splits = set(pc.unique(table.column("split")).to_pylist()) - {None, *SPLIT_FOLDERS.values()}
    if splits:
        raise FlawshotError(f"{path}: split: {splits.pop()!r} is not one of train, test, val")
    if pc.count_distinct(table.column("id")).as_py() < table.num_rows:
        raise FlawshotError(f"{path}: id: contains an instance twice; rebuild the catalog")
    for text in pc.unique(table.column("flags")).to_pylist():
        try:
            flags = load_json(text.encode())
        except FlawshotError:
            flags = None
        if not isinstance(flags, dict):
            raise FlawshotError(f"{path}: flags: {text[:40]!r} is not a JSON object; rebuild the catalog")
    for name in ("image", "annotation"):
        column = table.column(name)
        if pc.any(pc.match_substring_regex(column, r"^$|\x00")).as_py():
            raise FlawshotError(f"{path}: {name}: contains an empty or invalid path; rebuild the catalog")
        hostile = column.filter(pc.match_substring_regex(column, LEAVES))
        if len(hostile):
            text = hostile[0].as_py()
            raise FlawshotError(f"{path}: {name}: {text[:80]!r} points outside the data folder; rebuild the catalog")


def _check_boxes(path: Path, table: pa.Table) -> None:
    """Refuse boxes that are not inside their image, and areas larger than their box."""
    names = ("x0", "y0", "x1", "y1", "image_width", "image_height", "area")
    x0, y0, x1, y1, width, height, area = (table.column(name).to_numpy().astype(np.int64) for name in names)
    inside = (x0 >= 0) & (y0 >= 0) & (x0 < x1) & (y0 < y1) & (x1 <= width) & (y1 <= height)
    fits = inside & (np.maximum(width, height) <= MAX_COORDINATE)
    wrong = np.flatnonzero(~(fits & (area > 0) & (area <= (x1 - x0) * (y1 - y0))))
    if wrong.size:
        identifier = table.column("id")[int(wrong[0])].as_py()
        raise FlawshotError(
            f"{path}: area, x0 to y1: those of {identifier[:80]!r} do not fit the image; rebuild the catalog"
        )


def _check_geometry(path: Path, column: pa.ListArray) -> None:
    """Refuse shapes that Labelme does not know or that are incomplete; masks are not decoded."""
    parts = pc.list_flatten(column)
    index, types, points, masks = (pc.struct_field(parts, name) for name in GEOMETRY.value_type.names)
    pairs = pc.list_flatten(points)
    numbers = pc.list_flatten(pairs)
    nothing = parts.null_count + index.null_count + types.null_count + points.null_count + pairs.null_count
    sound = not (nothing or numbers.null_count) and pc.all(pc.greater(pc.list_value_length(column), 0)).as_py()
    # Written this way because comparisons with NaN are false.
    sound = sound and bool((np.abs(numbers.to_numpy(zero_copy_only=False)) <= MAX_COORDINATE).all())
    for shape_type in pc.unique(types).to_pylist() if sound else ():
        own = pc.equal(types, shape_type)
        lengths = pc.list_value_length(points.filter(own)).to_numpy(zero_copy_only=False)
        least, most = POINT_COUNTS.get(shape_type, (1, 0))
        sound = sound and lengths.min() >= least and (most is None or lengths.max() <= most)
        sound = sound and (shape_type != "mask" or not masks.filter(own).null_count)
    if not sound:
        raise FlawshotError(f"{path}: geometry: contains an invalid shape; rebuild the catalog")


def row_of(instance: Instance) -> dict[str, Any]:
    """An instance as a row of the table."""
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


def instance_of(row: dict[str, Any]) -> Instance:
    """The instance of a row."""
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
