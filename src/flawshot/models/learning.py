"""Learning: regions that a person named become further examples of a model; none that it has is forgotten."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from flawshot.bank.builder import encode_catalog
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.places import hold
from flawshot.catalog import Catalog
from flawshot.models.corrections import read_corrections
from flawshot.models.fitting import ExampleBatch, each_left_out, make_model
from flawshot.models.model import recorded_classifier
from flawshot.models.model_folder import RECORD, check_model_free, discard_banks, record_hash, sound_bank_beside
from flawshot.models.review_folder import carry_back_left

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flawshot.bank.features import FeatureBank
    from flawshot.base.errors import Problem
    from flawshot.base.records import LeftOut
    from flawshot.models.corrections import Corrections, How
    from flawshot.models.model import Model

__all__ = ["ChangedExample", "LearnReport", "Replaced", "learn_corrections"]

# Features of one region, encoded twice, differ by rounding: at most by this share of their length, measured on
# float16 and on another batch; those of another picture's region by far more.
SAME = 0.05


class Replaced(NamedTuple):
    """An example that came again: its id in the model, its category there, and the new one."""

    id: str
    before: str
    after: str


class ChangedExample(NamedTuple):
    """An example that the model, fitted without its image or group, now takes for another category than before."""

    id: str
    category: str
    before: str
    after: str


class LearnReport(NamedTuple):
    """What :func:`learn_corrections` did.

    Attributes:
        model: The new model; the one that was there where nothing was new.
        added: How many regions it learned, ``replaced`` among them.
        replaced: Examples in whose place the same region came with another label or outline.
        known: How many regions were examples already, with the same label and outline.
        named: As :class:`flawshot.models.corrections.Corrections` has it.
        before: Examples of each category before.
        after: And after.
        earlier: Of the examples that are in both models and that both can be asked of: how many there are, how many
            were judged rightly before, and how many are now.
        changed: Which of them are judged differently now.
        left_out: Images that could not be used.
        problems: What could not be used in the files, or is odd.
        foreign: Whether the predictions are of a model that is none of this one's past.
        ungrouped: How many images with new examples are in no group, though the model's first ones are.
    """

    model: Model
    added: int
    replaced: tuple[Replaced, ...]
    known: int
    named: dict[How, int]
    before: dict[str, int]
    after: dict[str, int]
    earlier: tuple[int, int, int]
    changed: tuple[ChangedExample, ...]
    left_out: tuple[LeftOut, ...]
    problems: tuple[Problem, ...]
    foreign: bool
    ungrouped: int


def learn_corrections(
    model: Model,
    predictions: str | Path,
    out: str | Path | None = None,
    *,
    data: str | Path | None = None,
    groups: Callable[[Catalog], Mapping[str, str]] | None = None,
    accept_all: bool = False,
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> LearnReport:
    """Take the regions that a person named in a folder of predictions in as further examples.

    What counts as named is :func:`flawshot.models.corrections.how_said`'s rule. A region that is an example already
    (of the same predictions, or of the same image's file name, box and features) takes the example's place; all other
    examples stay. The new model is made beside and then takes its place: the old one is there until it is whole.

    Args:
        model: The model.
        predictions: The folder of predictions.
        out: The new model's folder; the model's own where None. Not written where nothing is new.
        data: Where the data of the predictions lies now; where it lay if None.
        groups: Says the group of each image of a catalog, where images of one group show one physical sample.
        accept_all: Whether predictions that nobody looked at are taken at their word.
        batch_size: As for :func:`flawshot.encode_catalog`.
        workers: Likewise.
        strict: Stop at the first image that cannot be used, instead of leaving its regions out.
        overwrite: Whether another model that is at ``out`` may be replaced.
        progress: Called with the crops done and all there are.

    Raises:
        FlawshotError: If nothing was named, the encoder is not at hand or another one, or ``out`` is taken.
    """
    predictions = Path(predictions)
    target = model.path if out is None else Path(out)
    own = target.resolve() == model.path.resolve()
    check_model_free(target, overwrite=overwrite or own)
    with hold(target):
        if own and record_hash(target) != model.hash:
            raise FlawshotError(f"{target}: was replaced since it was read; run the command again")
        return _learn(
            model,
            predictions,
            target,
            data=data,
            groups=groups,
            accept_all=accept_all,
            batch_size=batch_size,
            workers=workers,
            strict=strict,
            progress=progress,
        )


def _learn(
    model: Model,
    predictions: Path,
    target: Path,
    *,
    data: str | Path | None,
    groups: Callable[[Catalog], Mapping[str, str]] | None,
    accept_all: bool,
    batch_size: int,
    workers: int,
    strict: bool,
    progress: Callable[[int, int], None] | None,
) -> LearnReport:
    """Learn into a place that no other process writes to meanwhile."""
    carry_back_left(predictions)
    said = read_corrections(
        predictions, model.record.product, data=None if data is None else Path(data), accept_all=accept_all
    )
    if not len(said.catalog):
        raise _nothing(predictions, said)
    place = sound_bank_beside(target, "learned")
    encoded = encode_catalog(
        said.catalog,
        model.encoder,
        model.scheme,
        place,
        batch_size=batch_size,
        workers=workers,
        strict=strict,
        overwrite=True,
        progress=progress,
    )
    model.check_bank(encoded.bank)
    prefix = f"learned/{hashlib.sha256(said.header.request.encode()).hexdigest()[:8]}"
    known = _already(model.support, encoded.bank, prefix)
    fresh = [row for row in range(len(encoded.bank.catalog)) if not _same(known.get(row), model, encoded.bank, row)]
    gone = sorted({known[row] for row in fresh if row in known})
    new_groups = {} if groups is None else dict(groups(encoded.bank.catalog))
    judged = _judged(model)
    counts = Counter(model.support.catalog.column("category"))
    made = model
    ungrouped = 0
    if fresh:
        catalog, own = _examples(model, encoded.bank.catalog, fresh, known, prefix)
        old_groups = model.record.groups
        own_groups = {path: old_groups[path] for path in own.values() if path in old_groups}
        own_groups |= {path: new_groups[image] for image, path in own.items() if image in new_groups}
        ids = encoded.bank.catalog.column("id")
        taken = ExampleBatch(
            catalog,
            encoded.bank,
            [ids[row] for row in fresh],
            own_groups,
            "learn",
            str(predictions),
            len(gone),
            model.hash,
        )
        ungrouped = len({*taken.catalog.column("image")} - taken.groups.keys()) if model.record.groups else 0
        estimator = recorded_classifier(model.record, str(model.path / RECORD))
        kept = _kept(model, gone)
        categories = {*kept.catalog.column("category"), *catalog.column("category")}
        if len(categories) < 2:
            raise FlawshotError(
                f"{predictions}: the label {categories.pop()} only would be left; a model needs two categories or more"
            )
        made = make_model(
            target,
            [kept, taken],
            estimator,
            model.record.classifier.name,
            coverage=model.record.calibration.coverage,
            before=model.record.history,
        )
    else:
        discard_banks(target)
    after = _judged(made) if fresh else judged
    both = [identifier for identifier in judged if identifier in after]
    truth = dict(zip(made.support.catalog.column("id"), made.support.catalog.column("category"), strict=True))
    rows = model.support.catalog
    ids, labels = rows.column("id"), rows.column("category")
    new_label = {known[row]: encoded.bank.catalog.column("category")[row] for row in fresh if row in known}
    return LearnReport(
        model=made,
        added=len(fresh),
        replaced=tuple(Replaced(ids[row], labels[row], new_label[row]) for row in gone),
        known=len(encoded.bank.catalog) - len(fresh),
        named=said.named,
        before=dict(sorted(counts.items())),
        after=dict(sorted(Counter(made.support.catalog.column("category")).items())),
        earlier=(
            len(both),
            sum(judged[each] == truth[each] for each in both),
            sum(after[each] == truth[each] for each in both),
        ),
        changed=tuple(
            ChangedExample(each, truth[each], judged[each], after[each]) for each in both if judged[each] != after[each]
        ),
        left_out=encoded.left_out,
        problems=said.problems,
        foreign=said.header.model_hash not in {model.hash, *(step.previous for step in model.record.history)},
        ungrouped=ungrouped,
    )


def _nothing(predictions: Path, said: Corrections) -> FlawshotError:
    first = f"; the first problem: {said.problems[0].marked}" if said.problems else ""
    return FlawshotError(
        f"{predictions}: nobody has named a region ({said.named.get('not looked at', 0)} are as they were predicted); "
        f"change a label or untick predicted in flawshot review {predictions}, "
        f"or add {argument('accept_all', True)}{first}"
    )


def _already(support: FeatureBank, new: FeatureBank, prefix: str) -> dict[int, int]:
    """Rows of new regions that the support set has already, and where."""
    by_place: dict[tuple[str | int, ...], list[int]] = {}
    for row, key in enumerate(_places(support.catalog)):
        by_place.setdefault(key, []).append(row)
    found, taken = {}, set[int]()
    for row, (identifier, key) in enumerate(zip(new.catalog.column("id"), _places(new.catalog), strict=True)):
        before = support.catalog.row_of.get(f"{prefix}/{identifier}")
        if before is None:
            # The file's name and the box may be another picture's too; its features are not.
            before = next((each for each in by_place.get(key, ()) if _alike(support, each, new, row)), None)
        if before is not None and before not in taken:
            found[row] = before
            taken.add(before)
    return found


def _places(catalog: Catalog) -> list[tuple[str | int, ...]]:
    columns = (catalog.column(name) for name in ("image", "x0", "y0", "x1", "y1"))
    return [(image.rpartition("/")[2], *box) for image, *box in zip(*columns, strict=True)]


def _alike(support: FeatureBank, before: int, new: FeatureBank, row: int) -> bool:
    one, other = (bank.rows([at]).astype(np.float32) for bank, at in ((support, before), (new, row)))
    return float(np.linalg.norm(one - other)) <= SAME * float(np.linalg.norm(one))


def _same(before: int | None, model: Model, new: FeatureBank, row: int) -> bool:
    """Whether a new region is the example that was found, label and outline too."""
    if before is None:
        return False
    category = model.support.catalog.table.column("category")[before].as_py()
    return bool(category == new.catalog.table.column("category")[row].as_py()) and _alike(
        model.support, before, new, row
    )


def _kept(model: Model, gone: Sequence[int]) -> ExampleBatch:
    """All examples but those that are replaced."""
    catalog = model.support.catalog
    rows = sorted(set(range(len(catalog))) - set(gone))
    kept = Catalog(catalog.table.take(pa.array(rows, pa.int64())))
    return ExampleBatch(kept, model.support, kept.column("id"), model.record.groups, "fit", "")


def _examples(
    model: Model, new: Catalog, fresh: Sequence[int], known: Mapping[int, int], prefix: str
) -> tuple[Catalog, dict[str, str]]:
    """New regions as examples, whose ids say which predictions they came from; and the image of each one's image."""
    table = new.table.take(pa.array(list(fresh), pa.int64()))
    before = model.support.catalog.column("image")
    images = table.column("image").to_pylist()
    # A picture that the model knows by another path is left out together with it.
    paths = {image: before[known[row]] for row, image in zip(fresh, images, strict=True) if row in known}
    named = {"image": [paths.get(image, image) for image in images]}
    for name in ("id", "annotation"):
        named[name] = [f"{prefix}/{value}" for value in table.column(name).to_pylist()]
    for name, values in named.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), pa.array(values))
    return Catalog(table), dict(zip(images, named["image"], strict=True))


def _judged(model: Model) -> dict[str, str]:
    """What each example is taken for by the model fitted without its image, or group, where that can be asked."""
    estimator = recorded_classifier(model.record, str(model.path / RECORD))
    left, _ = each_left_out(model.support, model.record.groups, estimator)
    return {
        identifier: model.categories[number]
        for identifier, number, asked in zip(
            model.support.catalog.column("id"), left.probabilities.argmax(axis=1), left.estimated, strict=True
        )
        if asked
    }
