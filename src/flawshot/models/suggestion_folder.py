"""A folder of suggestions: predictions of the images whose regions a person should label next, ranked for a review."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from flawshot.bank.builder import encode_catalog, image_stamps
from flawshot.bank.machines import ThisMachine
from flawshot.base.errors import FlawshotError
from flawshot.base.store.places import discard, settle
from flawshot.base.store.unfinished import unfinished_place
from flawshot.catalog import Catalog
from flawshot.models.model_folder import bank_beside, sound_bank_beside
from flawshot.models.predicted_files import write_suggestions, write_table
from flawshot.models.predicted_regions import Rank, predicted_records
from flawshot.models.predicting import data_apart, header_of, spans_of
from flawshot.models.prediction_folder import (
    SUGGESTIONS,
    TABLE,
    Unfinished,
    check_predictions_free,
    read_predictions,
)
from flawshot.models.suggestions import COUNT, DEFAULT_STRATEGY, check_wanted, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flawshot.bank.builder import EncodeReport
    from flawshot.base.errors import Problem
    from flawshot.base.records import LeftOut
    from flawshot.models.model import Model
    from flawshot.models.suggestions import Suggested, Suggestion

__all__ = ["SuggestReport", "candidates", "suggest_catalog"]


class SuggestReport(NamedTuple):
    """What :func:`suggest_catalog` did.

    Attributes:
        out: The folder of suggestions.
        suggestions: The regions, in the order in which they should be labeled.
        candidates: Number of regions to choose from.
        examples: Number of regions that are the model's examples already, and are not suggested.
        others: Number of further regions on the suggested images.
        left_out: Images that could not be used.
        problems: Regions that were left out of images on which regions were looked for, and oddities.
    """

    out: Path
    suggestions: tuple[Suggestion, ...]
    candidates: int
    examples: int
    others: int
    left_out: tuple[LeftOut, ...]
    problems: tuple[Problem, ...] = ()


def suggest_catalog(
    model: Model,
    catalog: Catalog,
    out: str | Path,
    count: int = COUNT,
    *,
    by: str = DEFAULT_STRATEGY,
    seed: int = 0,
    groups: Mapping[str, str] | Callable[[Catalog], Mapping[str, str]] | None = None,
    bank: str | Path | None = None,
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SuggestReport:
    """Suggest which regions of a data set a person should label next, and write their images for a review.

    The folder is one of predictions, of the suggested images only: ``flawshot review`` shows them in the order in which
    they were suggested, and :func:`flawshot.learn_corrections` learns what was corrected or confirmed there. All
    regions of these images are predicted; the suggested one has the flag ``suggested``, and ``suggestions.csv`` lists
    them with the reasons. An interrupted call resumes where it stopped.

    Args:
        model: The model.
        catalog: The data set, with its root available. Its labels do not matter.
        out: The folder of suggestions.
        count: As for :func:`flawshot.suggest`.
        by: Likewise.
        seed: Likewise.
        groups: Likewise.
        bank: A folder in which the features are kept, so that the next call encodes only what is new; by default they
            are encoded beside ``out``, and discarded.
        batch_size: As for :func:`flawshot.encode_catalog`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving out its regions.
        overwrite: Whether existing predictions may be replaced, if nobody has changed them.
        progress: Called with the crops done and their total.

    Raises:
        FlawshotError: As :func:`flawshot.suggest` does; or if ``out`` exists, the bank is one of another encoder, an
            image cannot be used and ``strict`` is set, or the model's encoder is not available.
    """
    out = Path(out).resolve()
    check_wanted(count, by)
    check_predictions_free(out, overwrite=overwrite)
    if catalog.root is None:
        raise FlawshotError("DATA: the catalog has no data folder to read images from")
    root = data_apart(catalog.root, out)
    images = None if catalog.images is None else data_apart(catalog.images, out)
    spans_of(catalog)  # what cannot be predicted is refused before it is encoded
    with candidates(
        model, catalog, out, bank, batch_size=batch_size, workers=workers, strict=strict, progress=progress
    ) as encoded:
        found = suggest(model, encoded.bank, count, by=by, seed=seed, groups=groups)
        placed = Catalog(catalog.table, root, images=images)
        others = _write(model, placed, root, out, found, batch_size, workers, overwrite=overwrite)
    return SuggestReport(out, found.suggestions, found.candidates, found.examples, others, encoded.left_out)


@contextmanager
def candidates(
    model: Model,
    catalog: Catalog,
    out: Path,
    bank: str | Path | None,
    *,
    batch_size: int,
    workers: int,
    strict: bool,
    progress: Callable[[int, int], None] | None,
) -> Iterator[EncodeReport]:
    """The encoded regions of a data set: in a bank that stays, or in one beside ``out`` that goes once it was used.

    Args:
        model: The model that encodes.
        catalog: The data set.
        out: The folder of suggestions, resolved.
        bank: The bank's folder; None: one beside ``out``, which is kept if an error occurs.
        batch_size: As for :func:`flawshot.encode_catalog`.
        workers: Likewise.
        strict: Likewise.
        progress: Likewise.
    """
    own = bank_beside(out, "candidates")
    if bank is None:
        settle(own)
    yield encode_catalog(
        catalog,
        model.encoder,
        model.scheme,
        sound_bank_beside(out, "candidates") if bank is None else bank,
        batch_size=batch_size,
        workers=workers,
        strict=strict,
        overwrite=bank is None,
        progress=progress,
    )
    if bank is None:
        for each in (own, unfinished_place(own)):
            discard(each, out)


def _write(  # noqa: PLR0917 - all of it is one call's
    model: Model,
    catalog: Catalog,
    root: Path,
    out: Path,
    found: Suggested,
    batch_size: int,
    workers: int,
    *,
    overwrite: bool,
) -> int:
    """Write the folder; returns the number of regions that were not suggested."""
    ranks = {catalog.row_of[each.id]: Rank(number, each.why) for number, each in enumerate(found.suggestions, start=1)}
    spans = [span for span in spans_of(catalog) if not ranks.keys().isdisjoint(span.rows)]
    rows = [row for span in spans for row in span.rows]
    own = catalog.with_rows(catalog.table.take(pa.array(rows, pa.int64())))
    listed = [(row, rank.rank, rank.why) for row, rank in ranks.items()]
    crops = ThisMachine().crops_per_call(model.encoder, batch_size)
    header = header_of(
        model, root, out, "suggest", own.content_hash, image_stamps(own), listed, crops, images=catalog.images
    )
    unfinished = Unfinished(out, header, [span.annotation for span in spans])
    predicted = 0
    try:
        records = predicted_records(
            model, catalog, spans, out, done=unfinished.done, suggested=ranks, batch_size=crops, workers=workers
        )
        for answered, labelme in records:
            unfinished.add(answered, labelme)
        check_predictions_free(out, overwrite=overwrite)

        def tables(folder: Path) -> None:
            nonlocal predicted
            answers = list(read_predictions(folder)[1])
            predicted = sum(len(each.answers) for each in answers)
            write_table(folder / TABLE, answers)
            write_suggestions(folder / SUGGESTIONS, answers)

        unfinished.finish(tables)
    finally:
        unfinished.close()
    return predicted - len(ranks)
