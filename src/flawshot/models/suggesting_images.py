"""Suggestions from images on which regions are found, like :mod:`flawshot.models.suggestion_folder`."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flawshot.base.errors import FlawshotError
from flawshot.base.records import LeftOut
from flawshot.base.store.seals import hash_of
from flawshot.base.wording import counted
from flawshot.catalog import Catalog
from flawshot.catalog.table import SCHEMA, row_of
from flawshot.models.image_regions import annotated_image, found_on, stop
from flawshot.models.predicted_regions import Rank
from flawshot.models.predicting import data_apart
from flawshot.models.predicting_images import IMAGES_AT_ONCE, entries_of, predict_images
from flawshot.models.prediction_folder import check_predictions_free
from flawshot.models.suggestion_folder import SuggestReport, candidates
from flawshot.models.suggestions import COUNT, DEFAULT_STRATEGY, check_wanted, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from flawshot.base.errors import Problem
    from flawshot.models.image_regions import Find
    from flawshot.models.model import Model

__all__ = ["suggest_images"]


def suggest_images(  # noqa: PLR0917 - those of predict_images, and the count
    model: Model,
    root: str | Path,
    images: Sequence[str],
    find: Find,
    out: str | Path,
    count: int = COUNT,
    *,
    request: str,
    annotations: Mapping[str, str] = MappingProxyType({}),
    by: str = DEFAULT_STRATEGY,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
    bank: str | Path | None = None,
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    problems: Iterable[Problem] = (),
    progress: Callable[[int, int], None] | None = None,
) -> SuggestReport:
    """Find regions on images, and suggest which of them, or of annotated ones, a person should label next.

    Regions are found on all images first, and once more on those that are suggested.

    Args:
        model: The model.
        root: As for :func:`flawshot.predict_images`.
        images: Likewise.
        find: Likewise.
        out: The folder of suggestions.
        count: As for :func:`flawshot.suggest`.
        request: As for :func:`flawshot.predict_images`.
        annotations: Likewise.
        by: As for :func:`flawshot.suggest`.
        seed: Likewise.
        groups: The group of each image, likewise.
        bank: As for :func:`flawshot.suggest_catalog`.
        batch_size: As for :func:`flawshot.encode_catalog`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving it out.
        overwrite: Whether existing predictions may be replaced, if nobody has changed them.
        problems: As for :func:`flawshot.predict_images`.
        progress: Called with the images done and their total.

    Raises:
        FlawshotError: As :func:`flawshot.suggest_catalog` does, or if nothing was found on any image.
    """
    out = Path(out).resolve()
    check_wanted(count, by)
    check_predictions_free(out, overwrite=overwrite)
    root = data_apart(Path(root), out)
    entries = entries_of(root, images, annotations)
    rows: list[dict[str, Any]] = []
    shares: dict[str, NDArray[np.float32] | None] = {}
    left_out: list[LeftOut] = []
    noted: dict[str, list[Problem]] = {}
    for start in range(0, len(entries), IMAGES_AT_ONCE):
        block = entries[start : start + IMAGES_AT_ONCE]
        for entry, on_image in zip(block, found_on(find, block, strict=strict), strict=True):
            each = annotated_image(root, entry, on_image)
            if strict:
                stop(each.reason)
            if each.reason:
                left_out.append(LeftOut(image=entry.image, reason=each.reason, instances=()))
            noted[entry.image] = [*on_image.problems, *each.problems]
            rows += map(row_of, each.instances)
            by_shape = {index: region.shares for index, region in each.found.items()}
            shares |= {instance.id: by_shape.get(instance.shapes[0].index) for instance in each.instances}
        if progress is not None:
            progress(start + len(block), len(entries))
    if not rows:
        first = f"; {left_out[0].reason}" if left_out else ""
        raise FlawshotError(
            f"{root}: there is no region on {counted(len(entries), 'image')}, and nothing to suggest{first}"
        )
    catalog = Catalog(pa.Table.from_pylist(rows, schema=SCHEMA), root)
    with candidates(
        model, catalog, out, bank, batch_size=batch_size, workers=workers, strict=strict, progress=None
    ) as encoded:
        made = suggest(model, encoded.bank, count, by=by, seed=seed, groups=groups, shares=shares)
        ranks = {each.id: Rank(number, each.why) for number, each in enumerate(made.suggestions, start=1)}
        chosen = sorted({each.image for each in made.suggestions})
        elsewhere = [problem for image in noted.keys() - {*chosen} for problem in noted[image]]
        report = predict_images(
            model,
            root,
            chosen,
            find,
            out,
            request=hash_of(request, "suggest", [[name, *rank] for name, rank in ranks.items()]),
            annotations=annotations,
            among=images,
            suggested=ranks,
            batch_size=batch_size,
            workers=workers,
            strict=strict,
            overwrite=overwrite,
            problems=[*problems, *elsewhere],
        )
    return SuggestReport(
        out,
        made.suggestions,
        made.candidates,
        made.examples,
        report.regions - len(ranks),
        (*left_out, *encoded.left_out),
        tuple(problem for own in noted.values() for problem in own),
    )
