"""The gallery's data: queries and answers, and small pictures of them if images are available."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.errors import printable
from flawshot.base.wording import plural
from flawshot.catalog import Catalog
from flawshot.catalog.pictures import outlined
from flawshot.regions.crop_rows import crop_rows
from flawshot.regions.views import make_scheme

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.evaluation.result_records import Answers
    from flawshot.evaluation.results import Results

__all__ = ["Gallery", "make_gallery", "thumbnails"]

SIDE = 96
QUALITY = 60
# Crops show the instance with this much context.
SIZES = ("1.5x",)
# Limits of a page: bytes of pictures in base64, number of pictures, and number of answers.
MOST_PICTURE_BYTES = 9_000_000
MOST_PICTURES = 5000
MOST_ANSWERS = 250_000


class Gallery(NamedTuple):
    """The data that the page's script reads.

    Attributes:
        instances: Ids for display.
        pictures: The picture of each of ``instances``, in base64, or None.
        sets: The answers for each product and K, with instances and categories as indices.
        asked: Number of distinct query instances.
        pictured: How many of those have a picture.
        left_out: Number of answers that count in the figures but are not listed here.
    """

    instances: list[str]
    pictures: list[str | None]
    sets: list[dict[str, Any]]
    asked: int
    pictured: int
    left_out: int


def make_gallery(results: Results, data: str | Path | Catalog | None, reference: str) -> Gallery:
    """The recorded answers, with pictures from ``data`` if it has them.

    Args:
        results: The results.
        data: As for :func:`thumbnails`; None for no pictures.
        reference: The classifier whose wrong answers get pictures first if there is no room for all.

    Raises:
        FlawshotError: If ``data`` is neither a data folder nor a catalog.
    """
    runs = {(run.product, run.shots): run for run in results.runs}
    answers = [each for each in results.answers if each.query and each.predicted]
    step_of = _steps(answers)
    pictures = {} if data is None else thumbnails(results, data, _by_need(answers, step_of, reference))
    places: dict[str, int] = {}
    sets = []
    asked: set[str] = set()
    left_out = 0
    for each, step in zip(answers, step_of, strict=True):
        rows = range(0, len(each.query), step)
        asked.update(each.ids[each.query[row]] for row in rows)
        left_out += each.left_out + len(each.query) - len(rows)
        sets.append(
            {
                "product": printable(each.product),
                "shots": each.shots,
                "label": f"{results.shots_label(each.shots, each.product)} {plural(each.shots, 'shot')}",
                "categories": [printable(category) for category in runs[each.product, each.shots].categories],
                "classifiers": [printable(name) for name in each.predicted],
                "instances": [places.setdefault(name, len(places)) for name in each.ids],
                "true": each.true,
                "seed": [each.seed[row] for row in rows],
                "query": [each.query[row] for row in rows],
                "nearest": [each.nearest[row] for row in rows],
                "predicted": [[several[row] for row in rows] for several in each.predicted.values()],
                "permille": [[round(1000 * several[row]) for row in rows] for several in each.probability.values()],
            }
        )
    return Gallery(
        instances=[printable(name) for name in places],
        pictures=[pictures.get(name) for name in places],
        sets=sets,
        asked=len(asked),
        pictured=len(asked & pictures.keys()),
        left_out=left_out,
    )


def _steps(answers: list[Answers]) -> list[int]:
    """The step at which answers of each set are listed: 1 for all, if they are few enough in total."""
    sizes = [len(each.query) * len(each.predicted) for each in answers]
    if sum(sizes) <= MOST_ANSWERS:
        return [1] * len(answers)
    share = max(1, MOST_ANSWERS // len(answers))
    return [-(-size // share) or 1 for size in sizes]


def _by_need(answers: list[Answers], step_of: list[int], reference: str) -> list[str]:
    """Ids on the page, most needed first: the reference's wrong answers, greatest K first, each with its nearest."""
    found: dict[str, None] = {}
    pairs = sorted(zip(answers, step_of, strict=True), key=lambda pair: -pair[0].shots)
    for wrong in (True, False):
        for each, step in pairs:
            predicted = each.predicted.get(reference) or next(iter(each.predicted.values()), ())
            for row in range(0, len(predicted), step):
                if (each.true[each.query[row]] != predicted[row]) == wrong:
                    found.update(dict.fromkeys(each.ids[n] for n in (each.query[row], *each.nearest[row])))
    return list(found)


def thumbnails(results: Results, data: str | Path | Catalog, ids: list[str] | None = None) -> dict[str, str]:
    """WebP pictures in base64, by instance id, of the query and nearest instances that ``data`` contains.

    An instance with another category in ``data`` is considered a different one, and gets no picture.

    Args:
        results: The results.
        data: A folder, a Parquet file, or a catalog with its root available.
        ids: The instances, most needed first; if None, all queries and nearest instances.

    Raises:
        FlawshotError: If ``data`` is neither a data folder nor a catalog.
    """
    catalog = data if isinstance(data, Catalog) else Catalog.open(data)
    if catalog.image_root is None:
        return {}
    categories = {(run.product, run.shots): run.categories for run in results.runs}
    known = {
        name: categories[each.product, each.shots][number]
        for each in results.answers
        if (each.product, each.shots) in categories
        for name, number in zip(each.ids, each.true, strict=True)
    }
    labels, row_of = catalog.column("category"), catalog.row_of
    wanted = [
        name for name in (known if ids is None else ids) if name in row_of and labels[row_of[name]] == known[name]
    ][:MOST_PICTURES]
    rows = {row_of[name]: name for name in wanted}
    made: dict[str, str] = {}
    for chunk in crop_rows(catalog, sorted(rows), make_scheme("none", sizes=SIZES), SIDE, workers=2):
        for row, crops in zip(chunk.rows, chunk.crops, strict=False):
            out = io.BytesIO()
            outlined(crops.images[0], crops.masks[0]).save(out, format="WEBP", quality=QUALITY)
            made[rows[row]] = base64.b64encode(out.getvalue()).decode()
    kept: dict[str, str] = {}
    room = MOST_PICTURE_BYTES
    for name in wanted:
        room -= len(made.get(name, ""))
        if room < 0:
            break
        if name in made:
            kept[name] = made[name]
    return kept
