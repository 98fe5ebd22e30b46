"""The defect types of VisA's images, from its ``image_anno.csv``."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from flawshot.base.delimited import delimited_texts, read_rows
from flawshot.base.errors import Problem
from flawshot.formats.mask_layouts import NO_CATEGORY, MaskTree
from flawshot.formats.texts import NamedText, guess_told, likeliest, name_key, plain_text
from flawshot.formats.tree_files import LINK_OUT, lies_within

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from flawshot.formats.mask_layouts import MaskedImage

__all__ = ["with_visa_labels"]

COLUMNS = ("image", "label", "mask")
TABLE = "image_anno.csv"
FOLDER = "Data/"


def with_visa_labels(source: Path, tree: MaskTree) -> MaskTree:
    """The tree with the categories from the products' tables.

    An image that is not in any table keeps its folder's name, in lower case. If a table names several types, the
    category is all of them, separated by commas, and a problem reports it.

    Args:
        source: The folder of the tree.
        tree: Its images and masks.

    Raises:
        FlawshotError: If a table cannot be read, or lacks a column.
    """
    problems = list(tree.problems)
    names = {name_key(PurePosixPath(each.image).name) for each in tree.images}
    images: list[MaskedImage] = []
    tables: dict[str, dict[str, str]] = {}
    for each in tree.images:
        # Only the part from Data/ on is compared; the table's paths begin with the product, wherever its folder is.
        folder, inner = _parted(each.image)
        if folder not in tables:
            path = source / folder / TABLE
            tables[folder] = _labels(path, f"{folder}{TABLE}", source, names, problems)
        label = tables[folder].pop(unicodedata.normalize("NFC", inner), None)
        category = each.category.lower()
        if label is not None:
            types = [plain for part in label.split(",") if (plain := plain_text(part))]
            category = ",".join(types) or NO_CATEGORY
            if len(types) > 1:
                message = f"{TABLE}: names {len(types)} types for one mask; the category is {category!r}"
                problems.append(Problem(each.image, "several-types", message, "warning"))
        elif (source / folder / TABLE).is_file():
            message = f"has no row in {folder}{TABLE}; the category is {category!r}"
            problems.append(Problem(each.image, "no-row", message, "warning"))
        images.append(each._replace(category=category))
    said = {unicodedata.normalize("NFC", problem.file) for problem in tree.problems}
    problems += [
        Problem(f"{folder}{TABLE}", "mask", f"image: {inner!r} is missing")
        for folder, rows in tables.items()
        for inner in rows
        if unicodedata.normalize("NFC", f"{folder}{inner}") not in said
    ]
    return tree._replace(images=tuple(images), problems=tuple(problems))


def _labels(path: Path, name: str, source: Path, names: Collection[str], problems: list[Problem]) -> dict[str, str]:
    """Image (from ``Data/`` on, in NFC) -> label, for the images with a mask according to a product's table."""
    if not path.is_file():
        return {}
    if not lies_within(path, source):
        problems.append(Problem(name, *LINK_OUT))
        return {}
    tables = delimited_texts(path, COLUMNS)
    readings = [NamedText(each.text, each.encoding) for each in tables]
    table = tables[likeliest(readings, names)]
    problems += guess_told(table.encoding, name)
    rows = [(row["image"], row["label"]) for _, row in read_rows(table, path) if row["mask"]]
    return {unicodedata.normalize("NFC", _parted(image)[1]): label for image, label in rows}


def _parted(image: str) -> tuple[str, str]:
    """A path split at its folder ``Data``: the parts before and after it.

    >>> _parted("BigData/Data/Images/Anomaly/0.JPG"), _parted("Data/Images/0.JPG")
    (('BigData/', 'Images/Anomaly/0.JPG'), ('', 'Images/0.JPG'))
    """
    before, found, after = f"/{image}".partition(f"/{FOLDER}")
    return (f"{before}/"[1:], after) if found else ("", image)
