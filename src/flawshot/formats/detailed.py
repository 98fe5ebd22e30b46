"""Export of a catalog as detailed annotations in MPDD's schema: one record per image and category, with boxes."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from flawshot.base.store.files import write_json
from flawshot.formats import Option

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.catalog import Catalog

__all__ = ["detailed_document", "ninth", "write_detailed"]

OPTIONS = {"path": Option("The file to write.", "OUT.json")}
NINTHS = (
    ("upper left", "upper center", "upper right"),
    ("center left", "center", "center right"),
    ("lower left", "lower center", "lower right"),
)
COLUMNS = ("product", "category", "image", "image_width", "image_height", "x0", "y0", "x1", "y1", "area")


def write_detailed(catalog: Catalog, path: Path, *, overwrite: bool = False) -> int:
    """Write a catalog as detailed annotations, in MPDD's schema.

    Args:
        catalog: The catalog.
        path: The .json file.
        overwrite: Whether an existing file with different content may be replaced.

    Returns:
        The number of records written.

    Raises:
        FlawshotError: If ``path`` exists with different content and ``overwrite`` is false.
    """
    document = detailed_document(catalog)
    write_json(path, document, overwrite=overwrite, indent=4)
    return sum(map(len, document.values()))


def detailed_document(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    """A catalog in MPDD's schema: records by class.

    A record's ``image`` is the image's name if the image is in ``<class>/``, ``<class>/<anomaly>/`` or
    ``<class>/test/<anomaly>/`` and its name is unique for the class and anomaly; otherwise its path below the class.
    Boxes end before their ``max``. ``size_anomalies`` is the sum of the instances' px.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for batch in catalog.table.select(COLUMNS).to_batches():
        for row in batch.to_pylist():
            groups.setdefault((row["product"], row["category"], row["image"]), []).append(row)
    names = _image_names(list(groups))
    document: dict[str, list[dict[str, Any]]] = {}
    for (product, category, image), rows in groups.items():
        record = {
            "class": product,
            "anomaly": category,
            "image": names[product, category, image],
            "num_anomalies": len(rows),
            "size_anomalies": sum(row["area"] for row in rows),
            "coordinates": [
                {"min_row": row["y0"], "min_col": row["x0"], "max_row": row["y1"], "max_col": row["x1"]} for row in rows
            ],
            "description": _description(product, category, rows),
        }
        document.setdefault(product, []).append(record)
    return document


def _image_names(keys: list[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """The name of each image: its file name if class and anomaly determine its folder, else its path in its product."""
    paths = {key: key[2].removeprefix(f"{key[0]}/") for key in keys}
    names = {}
    for key, path in paths.items():
        folder, _, name = path.rpartition("/")
        names[key] = name if folder in {"", key[1], f"test/{key[1]}"} else path
    taken = Counter((*key[:2], PurePosixPath(name).stem.casefold()) for key, name in names.items())
    alone = {key for key, name in names.items() if taken[*key[:2], PurePosixPath(name).stem.casefold()] == 1}
    return {key: name if key in alone else paths[key] for key, name in names.items()}


def _description(product: str, category: str, rows: list[dict[str, Any]]) -> str:
    """A description of the anomalies' type, places, size and number."""
    width, height = rows[0]["image_width"], rows[0]["image_height"]
    places = Counter(ninth((row["x0"], row["y0"], row["x1"], row["y1"]), width, height) for row in rows)
    ordered = [name for line in NINTHS for name in line if name in places]
    size, largest = sum(row["area"] for row in rows), max(row["area"] for row in rows)
    total = f"{size} px, {_per_cent(size, width * height)} of the image of {width} x {height} px"
    what = f"of type '{category}' on {product}"
    if len(rows) == 1:
        return f"1 anomaly {what}: {ordered[0]}; {total}."
    where = f"all {ordered[0]}" if len(ordered) == 1 else ", ".join(f"{places[name]} {name}" for name in ordered)
    return f"{len(rows)} anomalies {what}: {where}; together {total}; the largest {largest} px."


def ninth(box: tuple[int, int, int, int], width: int, height: int) -> str:
    """The ninth of the image that contains the middle of a half-open box (x0, y0, x1, y1).

    >>> ninth((0, 0, 10, 10), 90, 90), ninth((40, 40, 50, 50), 90, 90), ninth((80, 0, 90, 90), 90, 90)
    ('upper left', 'center', 'center right')
    """
    x0, y0, x1, y1 = box
    column, row = (min(2, 3 * (low + high) // (2 * side)) for low, high, side in ((x0, x1, width), (y0, y1, height)))
    return NINTHS[row][column]


def _per_cent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return "under 0.01 %" if share < 0.01 else f"{share:.3g} %"
