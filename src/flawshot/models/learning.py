"""Learning: regions that a person named become further examples of a model, which keeps its earlier ones."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from flawshot.bank.builder import encode_catalog
from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.places import hold
from flawshot.catalog import Catalog
from flawshot.models.corrections import read_corrections
from flawshot.models.deletions import deleted_found
from flawshot.models.fitting import ExampleBatch, each_left_out, make_model
from flawshot.models.matching import Matched, match_examples
from flawshot.models.model import recorded_classifier
from flawshot.models.model_folder import RECORD, check_model_free, discard_banks, record_hash, sound_bank_beside
from flawshot.models.review_folder import carry_back_left

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flawshot.bank.features import FeatureBank
    from flawshot.base.records import LeftOut
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.locating.record import LocatorRecord
    from flawshot.models.corrections import Corrections, How
    from flawshot.models.deletions import DeletedRegion
    from flawshot.models.locator_learning import TaughtLocator
    from flawshot.models.model import Model

__all__ = ["ChangedExample", "LearnReport", "Replaced", "learn_corrections"]


class Replaced(NamedTuple):
    """An example that was replaced: its id in the model, its category there, and the new one."""

    id: str
    before: str
    after: str


class ChangedExample(NamedTuple):
    """An example that the model, fitted without its image or group, now predicts as another category than before."""

    id: str
    category: str
    before: str
    after: str


class LearnReport(NamedTuple):
    """What :func:`learn_corrections` did.

    Attributes:
        model: The new model; the old one if nothing was new.
        added: Number of learned regions, including ``replaced``.
        replaced: Examples that the same region with another label or outline replaced.
        known: Number of regions that were already examples with the same label and outline.
        named: As in :class:`flawshot.models.corrections.Corrections`.
        before: Number of examples per category before.
        after: Number of examples per category after.
        earlier: Of the examples in both models whose prediction can be estimated in both: how many there are, how many
            were classified correctly before, and how many are now.
        changed: Those of them that are classified differently now.
        left_out: Images that could not be used.
        problems: What could not be used in the files, or is odd.
        not_flaws: Number of found regions that a person deleted, and that the locator has learned to be no flaws.
        quiet: How many of these it no longer finds.
        foreign: Whether the predictions come from a model that is neither this one nor an earlier version of it.
        ungrouped: Number of images with new examples that have no group, although the model's earlier images have one.
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
    not_flaws: int = 0
    quiet: int = 0


def learn_corrections(
    model: Model,
    predictions: str | Path,
    out: str | Path | None = None,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    groups: Callable[[Catalog], Mapping[str, str]] | None = None,
    accept_all: bool = False,
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> LearnReport:
    """Add the regions that a person named in a folder of predictions to a model as further examples.

    :func:`flawshot.models.corrections.how_said` defines which regions count as named. A region that is already an
    example (from the same predictions, or with the same image file name, box and features) replaces the example; all
    other examples are kept. If the model has a locator, it learns the same regions, and that found regions that a
    person deleted are no flaws. The old model stays in place until the new one is complete.

    Args:
        model: The model.
        predictions: The folder of predictions.
        out: The new model's folder; by default the model's own. It is not written if nothing is new.
        data: Where the data of the predictions is now; if None, where it was when it was predicted.
        images: Where its images are now, if not with the data; likewise.
        groups: Returns the group of each image of a catalog; images of one group show one physical sample.
        accept_all: Whether to learn predictions that nobody looked at, too.
        batch_size: As for :func:`flawshot.encode_catalog`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving out its regions.
        overwrite: Whether another model at ``out`` may be replaced.
        progress: Called with the crops done and their total.

    Raises:
        FlawshotError: If nothing was named, the encoder is unavailable or a different one, or ``out`` exists.
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
            images=images,
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
    images: str | Path | None,
    groups: Callable[[Catalog], Mapping[str, str]] | None,
    accept_all: bool,
    batch_size: int,
    workers: int,
    strict: bool,
    progress: Callable[[int, int], None] | None,
) -> LearnReport:
    """Learn into a folder that is locked against other processes."""
    carry_back_left(predictions)
    said = read_corrections(
        predictions,
        model.record.product,
        data=None if data is None else Path(data),
        images=None if images is None else Path(images),
        accept_all=accept_all,
    )
    prefix = f"learned/{hashlib.sha256(said.header.request.encode()).hexdigest()[:8]}"
    root, problems = said.catalog.image_root, list(said.problems)
    deleted = [] if model.record.locator is None or root is None else deleted_found(predictions, root, problems)
    said = said._replace(problems=tuple(problems))
    if not len(said.catalog) and not deleted:
        raise _nothing(predictions, said)
    new = _Encoded(model.support, said.catalog, Matched({}, [], []), ())
    if len(said.catalog):
        report = encode_catalog(
            said.catalog,
            model.encoder,
            model.scheme,
            sound_bank_beside(target, "learned"),
            batch_size=batch_size,
            workers=workers,
            strict=strict,
            overwrite=True,
            progress=progress,
        )
        model.check_bank(report.bank)
        matched = match_examples(model.support, report.bank, prefix)
        new = _Encoded(report.bank, report.bank.catalog, matched, report.left_out)
    judged = _judged(model)  # before its folder may be replaced
    lesson = _taught(model, new, said.catalog, deleted, prefix)
    if new.matched.fresh or (lesson is not None and lesson.learned):
        new_groups = {} if groups is None else dict(groups(new.catalog))
        taken = _batch(model, new, source=str(predictions), prefix=prefix, groups=new_groups)
        made = _rebuild(model, target, taken, new.matched, lesson)
        ungrouped = len({*taken.catalog.column("image")} - taken.groups.keys()) if model.record.groups else 0
    else:
        discard_banks(target)
        made, ungrouped = model, 0
    return _compare(model, made, said, new, lesson, judged=judged, ungrouped=ungrouped)


class _Encoded(NamedTuple):
    """The regions that a person named, with their features.

    Attributes:
        bank: The features.
        catalog: The regions.
        matched: Which of them are examples already.
        left_out: Images that could not be used.
    """

    bank: FeatureBank
    catalog: Catalog
    matched: Matched
    left_out: tuple[LeftOut, ...]


def _taught(
    model: Model, new: _Encoded, data: Catalog, deleted: Sequence[DeletedRegion], prefix: str
) -> TaughtLocator | None:
    """The model's locator after the lesson; None if the model has none."""
    root = data.image_root
    if model.record.locator is None or root is None:
        return None
    from flawshot.models.locator_learning import LocatorLesson, taught  # noqa: PLC0415 - with torch

    known, labels = new.matched.known, model.support.catalog.column("category")
    catalog = data.with_rows(new.catalog.table)
    named = [(catalog[row], labels[known[row]] if row in known else None) for row in new.matched.fresh]
    return taught(model.locator, model.record.locator, LocatorLesson(catalog, root, named, deleted, prefix))


def _batch(model: Model, new: _Encoded, *, source: str, prefix: str, groups: Mapping[str, str]) -> ExampleBatch:
    """The regions that are new to the model."""
    catalog, own = _examples(model, new.catalog, new.matched, prefix)
    old_groups = model.record.groups
    own_groups = {path: old_groups[path] for path in own.values() if path in old_groups}
    own_groups |= {path: groups[image] for image, path in own.items() if image in groups}
    ids = new.catalog.column("id")
    fresh = [ids[row] for row in new.matched.fresh]
    replaced = len(new.matched.replaced)
    return ExampleBatch(catalog, new.bank, fresh, own_groups, "learn", source, replaced, model.hash)


def _rebuild(model: Model, target: Path, taken: ExampleBatch, matched: Matched, lesson: TaughtLocator | None) -> Model:
    """Make the model of the examples that are kept and those that are new."""
    kept = _kept(model, matched.replaced)
    categories = {*kept.catalog.column("category"), *taken.catalog.column("category")}
    if len(categories) < 2:
        raise FlawshotError(
            f"{taken.source}: only the label {categories.pop()} would remain; a model needs two categories or more"
        )
    return make_model(
        target,
        [kept, taken],
        recorded_classifier(model.record, str(model.path / RECORD)),
        model.record.classifier.name,
        coverage=model.record.calibration.coverage,
        before=model.record.history,
        locator=None if lesson is None else partial(_written, model.record.locator, lesson),
    )


def _written(
    record: LocatorRecord | None,
    lesson: TaughtLocator,
    bank: FeatureBank,  # noqa: ARG001 - those of make_model
    estimator: FewShotClassifier,  # noqa: ARG001
    folder: Path,
) -> LocatorRecord:
    from flawshot.models.locator_learning import write_taught  # noqa: PLC0415 - with torch

    if record is None:
        raise ValueError("only a locator can be taught")
    return write_taught(folder, record, lesson)


def _compare(
    model: Model,
    made: Model,
    said: Corrections,
    encoded: _Encoded,
    lesson: TaughtLocator | None,
    *,
    judged: dict[str, str],
    ungrouped: int,
) -> LearnReport:
    """Compare the new model's predictions of the examples with the old one's."""
    unusable = () if lesson is None else lesson.unusable
    after = judged if made is model else _judged(made)
    both = [identifier for identifier in judged if identifier in after]
    truth = dict(zip(made.support.catalog.column("id"), made.support.catalog.column("category"), strict=True))
    ids, labels = (model.support.catalog.column(name) for name in ("id", "category"))
    new, matched = encoded.catalog.column("category"), encoded.matched
    new_label = {matched.known[row]: new[row] for row in matched.fresh if row in matched.known}
    return LearnReport(
        model=made,
        added=len(matched.fresh),
        replaced=tuple(Replaced(ids[row], labels[row], new_label[row]) for row in matched.replaced),
        known=len(new) - len(matched.fresh),
        named=said.named,
        before=dict(sorted(Counter(labels).items())),
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
        problems=(
            *said.problems,
            *(Problem(reason, "unreadable-image", "the locator learns nothing from it") for reason in unusable),
        ),
        not_flaws=0 if lesson is None else len(lesson.learned),
        quiet=0 if lesson is None else lesson.quiet,
        foreign=said.header.model_hash not in {model.hash, *(step.previous for step in model.record.history)},
        ungrouped=ungrouped,
    )


def _nothing(predictions: Path, said: Corrections) -> FlawshotError:
    first = f"; the first problem: {said.problems[0].marked}" if said.problems else ""
    return FlawshotError(
        f"{predictions}: nobody has named a region ({said.named.get('not looked at', 0)} are still as predicted); "
        f"change a label or untick predicted in Labelme, "
        f"or add {argument('accept_all', True)}{first}"
    )


def _kept(model: Model, gone: Sequence[int]) -> ExampleBatch:
    """All examples except those that are replaced."""
    catalog = model.support.catalog
    rows = sorted(set(range(len(catalog))) - set(gone))
    kept = Catalog(catalog.table.take(pa.array(rows, pa.int64())))
    return ExampleBatch(kept, model.support, kept.column("id"), model.record.groups, "fit", "")


def _examples(model: Model, new: Catalog, matched: Matched, prefix: str) -> tuple[Catalog, dict[str, str]]:
    """New regions as examples, with ids that name their predictions; and each image's path in the model."""
    table = new.table.take(pa.array(matched.fresh, pa.int64()))
    before = model.support.catalog.column("image")
    images = table.column("image").to_pylist()
    # A picture that the model has under another path must be left out together with it.
    paths = {
        image: before[matched.known[row]]
        for row, image in zip(matched.fresh, images, strict=True)
        if row in matched.known
    }
    named = {"image": [paths.get(image, image) for image in images]}
    for name in ("id", "annotation"):
        named[name] = [f"{prefix}/{value}" for value in table.column(name).to_pylist()]
    for name, values in named.items():
        field = table.schema.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))
    return Catalog(table), dict(zip(images, named["image"], strict=True))


def _judged(model: Model) -> dict[str, str]:
    """The category of each example as predicted by a fit without its image or group, if that can be estimated."""
    estimator = recorded_classifier(model.record, str(model.path / RECORD))
    left, _ = each_left_out(model.support, model.record.groups, estimator)
    return {
        identifier: model.categories[number]
        for identifier, number, asked in zip(
            model.support.catalog.column("id"), left.probabilities.argmax(axis=1), left.estimated, strict=True
        )
        if asked
    }
