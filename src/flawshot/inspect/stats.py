"""Counts and sizes of what is annotated, per product, category and split."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import pyarrow.compute as pc

from flawshot.inspect.database import TABLE, locked_database

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flawshot.catalog import Catalog

__all__ = ["InstancesAnImage", "Quantiles", "SizeRow", "StatsRow", "count_instances", "measure_sizes"]

SPLITS = {"train": 0, "test": 1, "val": 2, None: 3}
MEASURES = ("area", "width", "height")
# GROUPING() has one bit each for product, split and category, set if the row covers all of their values.
EVERY_SPLIT = 0b011
GROUPS = """
SELECT product, split, category, grouping(product, split, category) AS level,
    count(*) AS instances, count(DISTINCT image) AS images{measures}
FROM {table} GROUP BY GROUPING SETS ({sets})
"""
# A separate query, because the maximum number of instances per image is an aggregate of counts.
MOST = """
SELECT product, split, category, level, max(n) AS most FROM (
    SELECT product, split, category, grouping(product, split, category) AS level, count(*) AS n
    FROM {table} GROUP BY GROUPING SETS ({sets})
) GROUP BY ALL
"""


class StatsRow(TypedDict):
    """One row of the table; ``category`` is None in a product's total for a split."""

    product: str
    split: str | None
    category: str | None
    images: int
    instances: int


class Quantiles(TypedDict):
    """Distribution of a size in px, interpolated between instances."""

    min: float
    q25: float
    median: float
    q75: float
    max: float


class InstancesAnImage(TypedDict):
    """Number of instances per image, over images with at least one."""

    mean: float
    max: int


class SizeRow(TypedDict):
    """Sizes of a product's instances; ``split`` or ``category`` is None in a row over all of them."""

    product: str
    split: str | None
    category: str | None
    every_split: bool
    area: Quantiles
    width: Quantiles
    height: Quantiles
    instances_an_image: InstancesAnImage


def count_instances(catalog: Catalog) -> list[StatsRow]:
    """Count the distinct images and the instances of every product, split and category.

    Returns:
        Rows sorted by product and split (train, test, val, none), with each product's total for a split first. An
        image with instances of several categories counts once in each of them and once in the total.
    """
    table = catalog.table.select(["product", "split", "category", "image"])
    sets = "(product, split, category), (product, split)"
    with locked_database(table) as database:
        found = database.execute(GROUPS.format(table=TABLE, sets=sets, measures="")).fetchall()
    rows = [
        StatsRow(product=product, split=split, category=category, images=images, instances=instances)
        for product, split, category, _, instances, images in found
    ]
    return sorted(rows, key=_order)


def measure_sizes(catalog: Catalog) -> list[SizeRow]:
    """Quantiles of area, box size and instances per image, for each row of :func:`count_instances` and each product.

    Returns:
        Rows in the order of :func:`count_instances`; a product's row over all its splits comes before its other rows.
    """
    table = catalog.table.select(["product", "split", "category", "image", "area"])
    for name, low, high in (("width", "x0", "x1"), ("height", "y0", "y1")):
        table = table.append_column(name, pc.subtract(catalog.table.column(high), catalog.table.column(low)))
    sets = ("product, split, category", "product, split", "product")
    measures = "".join(f", quantile_cont({name}, [0, 0.25, 0.5, 0.75, 1])" for name in MEASURES)
    with locked_database(table) as database:
        plain = GROUPS.format(table=TABLE, sets=_sets(sets), measures=measures)
        found = database.execute(plain).fetchall()
        by_image = MOST.format(table=TABLE, sets=_sets(f"{group}, image" for group in sets))
        most = {tuple(row[:4]): row[4] for row in database.execute(by_image).fetchall()}
    rows = []
    for product, split, category, level, instances, images, area, width, height in found:
        per_image = InstancesAnImage(mean=instances / images, max=most[product, split, category, level])
        rows.append(
            SizeRow(
                product=product,
                split=split,
                category=category,
                every_split=level == EVERY_SPLIT,
                area=_quantiles(area),
                width=_quantiles(width),
                height=_quantiles(height),
                instances_an_image=per_image,
            )
        )
    return sorted(rows, key=lambda row: (row["product"], not row["every_split"], *_order(row)[1:]))


def _sets(groups: Iterable[str]) -> str:
    return ", ".join(f"({group})" for group in groups)


def _order(row: StatsRow | SizeRow) -> tuple[str, int, bool, str]:
    return row["product"], SPLITS[row["split"]], row["category"] is not None, row["category"] or ""


def _quantiles(values: list[float]) -> Quantiles:
    low, q25, median, q75, high = (float(value) for value in values)
    return Quantiles(min=low, q25=q25, median=median, q75=q75, max=high)
