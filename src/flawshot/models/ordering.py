"""Orders of images: by name, by time, or as a table says; and blocks of images that follow each other."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.base.arguments import argument
from flawshot.base.errors import EpisodeError, FlawshotError
from flawshot.base.wording import counted
from flawshot.episodes.groups import values_from_csv
from flawshot.labelme.capture_times import capture_time
from flawshot.labelme.images import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from flawshot.catalog import Catalog
    from flawshot.models.record import OrderedBy

__all__ = [
    "BLOCKS",
    "ImageOrder",
    "blocks_of",
    "image_order",
    "order_by_name",
    "order_by_time",
    "order_from_csv",
    "ranks_of_units",
]

BLOCKS = 5
# The column of a table if none is named.
COLUMN = "order"
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
# Dates that say the day or the month first cannot be sorted, because nobody knows which.
UNCLEAR_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b.*")


class ImageOrder(NamedTuple):
    """In which order images were taken, as far as is known.

    Attributes:
        by: What it was derived from.
        ranks: The rank of each image, by path; images whose order is not known have the same.
        remark: What a user should know about it; usually empty.
    """

    by: OrderedBy
    ranks: Mapping[str, int]
    remark: str = ""


def image_order(order: str | Path, catalog: Catalog) -> ImageOrder:
    """The order of a catalog's images.

    Args:
        order: ``name``, ``time``, or a table's path, which may be followed by a colon and the name of a column:
            ``shots.csv:time``.
        catalog: The data set; for ``time``, with its images.

    Raises:
        FlawshotError: If there is no such order, a table lacks an image or is not readable, or an image has no time.
    """
    text = str(order)
    images = catalog.column("image")
    if text.lower() == "name":
        return order_by_name(images)
    if text.lower() == "time":
        return order_by_time(_sources(catalog))
    path, _, column = text.rpartition(":")
    if not _is_table(path):
        path, column = text, COLUMN
    if not _is_table(path):
        raise FlawshotError(f"{argument('order', text)}: must be name, time, or a table with columns image,order")
    return order_from_csv(Path(path), images, column.strip().lower())


def _is_table(path: str) -> bool:
    try:
        return path.lower().endswith(TABLE_SUFFIXES) or Path(path).is_file()
    except (OSError, ValueError):  # a name that the file system does not allow
        return False


def _sources(catalog: Catalog) -> dict[str, Path | bytes]:
    """Where each image is that is there; the others are left out when they are encoded."""
    found: dict[str, Path | bytes] = {}
    for image, annotation in zip(catalog.column("image"), catalog.column("annotation"), strict=True):
        if image not in found:
            try:
                found[image] = catalog.image_source(image, annotation)
            except ImageError:
                continue
    return found


def order_by_name(images: Iterable[str]) -> ImageOrder:
    """Order images by path as a person counts: ``img2`` comes before ``img10``.

    >>> order_by_name(["a/img10.png", "a/img2.png"]).ranks
    {'a/img2.png': 0, 'a/img10.png': 1}
    """
    return ImageOrder("name", {image: rank for rank, image in enumerate(sorted(set(images), key=_natural))})


def _natural(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A key that sorts numbers in a text by their value; equal only for equal texts."""
    parts = re.split(r"([0-9]+)", text)
    # Every second part is digits; others may be digits to Python, such as exponents, but no numbers.
    key = tuple((0, int(part), "") if place % 2 else (1, 0, part.casefold()) for place, part in enumerate(parts))
    return key, text


def order_by_time(sources: Mapping[str, Path | bytes]) -> ImageOrder:
    """Order images by the time at which they were taken, or, if not all of them say, by that of their files' change.

    Both are never mixed. Copying may change a file's time; the remark says that it was used.

    Args:
        sources: Each image's file, or its bytes, by path.

    Raises:
        FlawshotError: If an image has neither time, or none can be read.
    """
    taken: dict[str, datetime | None] = {}
    for image, source in sources.items():
        try:
            taken[image] = capture_time(source, image)
        except ImageError:  # it cannot be encoded, either
            continue
    if not taken:
        raise FlawshotError(
            f"{argument('order', 'time')}: none of the images can be read; give the data with its images, or a table "
            "with columns image,order"
        )
    lacking = [image for image, when in taken.items() if when is None]
    if not lacking:
        return ImageOrder("capture time", _ranks({image: when for image, when in taken.items() if when is not None}))
    changed: dict[str, Any] = {}
    for image in taken:
        source = sources[image]
        if isinstance(source, bytes):
            raise FlawshotError(
                f"{image}: is embedded in its annotation and does not say when it was taken; order the images by "
                "name, or by a table"
            )
        changed[image] = source.stat().st_mtime_ns
    none = len(lacking) == len(taken)
    remark = (
        f"{'no image says' if none else counted(len(lacking), 'image does', 'images do') + ' not say'} when it was "
        "taken; the times at which the files were last changed are used for all, and copying may have changed them"
    )
    return ImageOrder("modification time", _ranks(changed), remark)


def order_from_csv(path: Path, images: Iterable[str], column: str = COLUMN) -> ImageOrder:
    """Order images as a table says.

    Values are compared as numbers if all are numbers, as times if all are dates or times in ISO 8601, and as text like
    names otherwise. Images with the same value have the same rank, and are never divided into earlier and later ones.

    Args:
        path: A table as for :func:`flawshot.groups_from_csv`, with the column ``image``.
        images: Image paths relative to the data root (POSIX).
        column: The column with the order, in lower case.

    Raises:
        EpisodeError: If the table cannot be read, lacks a column or an image, or has dates that are not ISO 8601.
    """
    values = values_from_csv(path, images, column)
    unclear = next((value for value in values.values() if UNCLEAR_DATE.fullmatch(value)), None)
    if unclear is not None:
        raise EpisodeError(f"{path}: {column}: {unclear} may be two dates; write the year first, such as 2024-01-31")
    for read in (_number, datetime.fromisoformat):
        try:
            return ImageOrder("table", _ranks({image: read(value) for image, value in values.items()}))
        except (ValueError, TypeError):  # TypeError: times with and without a zone
            continue
    return ImageOrder("table", _ranks({image: _natural(value) for image, value in values.items()}))


def _number(text: str) -> float:
    value = float(text)
    if value != value:  # noqa: PLR0124 - NaN
        raise ValueError("not a number")
    return value


def _ranks(values: Mapping[str, Any]) -> dict[str, int]:
    places = {value: rank for rank, value in enumerate(sorted(set(values.values())))}
    return {image: places[value] for image, value in values.items()}


def blocks_of(
    ranks: NDArray[np.intp], units: NDArray[np.intp], categories: NDArray[np.intp], *, apart: bool
) -> NDArray[np.intp]:
    """Divide instances into blocks that follow each other, each with about as many units.

    A unit (an image, or a group of images) is never divided, nor are units of the same rank.

    Args:
        ranks: The rank of each unit, ``[units]``.
        units: The unit of each instance, from 0, ``[instances]``.
        categories: The category of each instance, from 0, ``[instances]``.
        apart: Whether each category is divided by itself, because ranks compare only images of one category: a unit
            lies where it does among those of its category; if it has several, where it lies latest.

    Returns:
        The block of each instance, from 0, ``[instances]``; at most :data:`BLOCKS` of them.
    """
    places = _among_their_own(ranks, units, categories) if apart else ranks
    _, place, counts = np.unique(places, return_inverse=True, return_counts=True)
    # Whole numbers, because a middle may lie exactly on a border.
    middle = (2 * np.cumsum(counts) - counts) * BLOCKS // (2 * len(places))
    block: NDArray[np.intp] = np.unique(middle[place], return_inverse=True)[1]
    return block[units]


def _among_their_own(
    ranks: NDArray[np.intp], units: NDArray[np.intp], categories: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Where each unit lies among those of its category, above 0 and below 1."""
    places = np.zeros(len(ranks))
    for category in range(int(categories.max()) + 1):
        own = np.unique(units[categories == category])
        below = np.searchsorted(np.sort(ranks[own]), ranks[own], "left")
        upto = np.searchsorted(np.sort(ranks[own]), ranks[own], "right")
        places[own] = np.maximum(places[own], (below + upto) / (2 * len(own)))
    return places


def ranks_of_units(order: ImageOrder, images: Sequence[str], units: NDArray[np.intp]) -> NDArray[np.intp]:
    """The rank of each unit: that of its last image.

    Args:
        order: The order.
        images: The image of each instance.
        units: The unit of each instance, from 0.

    Raises:
        FlawshotError: If the order lacks an image.
    """
    ranks = np.zeros(int(units.max()) + 1, dtype=np.intp)
    for image, unit in zip(images, units, strict=True):
        if image not in order.ranks:
            raise FlawshotError(f"{image}: has no place in the order; {argument('order')} must be of all images")
        ranks[unit] = max(ranks[unit], order.ranks[image])
    return ranks
