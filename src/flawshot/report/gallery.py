"""The gallery's data: what was asked and answered, and small pictures of it where images are at hand."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from flawshot.catalog import Catalog
from flawshot.crop_pictures import outlined
from flawshot.encoding import crop_rows
from flawshot.views import make_scheme

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.evaluation.results import Results

__all__ = ["gallery_data", "thumbnails"]

SIDE = 96
QUALITY = 60
# Crops show the instance with this much of its surroundings.
SIZES = ("1.5x",)


def gallery_data(results: Results) -> list[dict[str, Any]]:
    """The recorded answers as the page's script reads them, with the categories' names."""
    categories = {(run.product, run.shots): run.categories for run in results.runs}
    return [
        each.model_dump(mode="json") | {"categories": list(categories[each.product, each.shots])}
        for each in results.answers
        if (each.product, each.shots) in categories
    ]


def thumbnails(results: Results, data: str | Path | Catalog) -> dict[str, str]:
    """WebP pictures, base64, by instance id: of the instances asked and nearest that ``data`` holds.

    Raises:
        FlawshotError: If ``data`` is no data folder and no catalog.
    """
    catalog = data if isinstance(data, Catalog) else Catalog.open(data)
    rows = {catalog.row_of[name]: name for each in results.answers for name in each.ids if name in catalog.row_of}
    pictures: dict[str, str] = {}
    if catalog.root is None:
        return pictures
    for chunk in crop_rows(catalog, sorted(rows), make_scheme("none", sizes=SIZES), SIDE, workers=2):
        for row, crops in zip(chunk.rows, chunk.crops, strict=False):
            out = io.BytesIO()
            outlined(crops.images[0], crops.masks[0]).save(out, format="WEBP", quality=QUALITY)
            pictures[rows[row]] = base64.b64encode(out.getvalue()).decode()
    return pictures
