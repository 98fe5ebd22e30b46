"""A model's folder: ``model.json`` and the support instances as a feature bank; written as a whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from flawshot.bank.features import FeatureBank, check_only_bank, write_blocks
from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError, FlawshotError
from flawshot.base.store.files import one_line, write_json
from flawshot.base.store.places import discard, hold, new_folder, settle, steadily
from flawshot.base.store.seals import check_files, hash_files, sealed
from flawshot.base.store.unfinished import unfinished_place
from flawshot.locating.record import LOCATOR
from flawshot.models.record import REMEDY, ModelRecord, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from flawshot.bank.records import BankManifest
    from flawshot.catalog import Catalog

    Purpose = Literal["bank", "learned", "candidates"]

__all__ = [
    "RECORD",
    "SUPPORT",
    "bank_beside",
    "check_model_free",
    "check_nothing_learned",
    "discard_banks",
    "model_place",
    "read_model",
    "record_hash",
    "sound_bank_beside",
    "support_files",
    "write_record",
    "write_support",
]

RECORD, SUPPORT = "model.json", "support"
# The longest name of a model, in bytes.
LONGEST = 200


def read_model(path: Path) -> tuple[ModelRecord, FeatureBank]:
    """Read a model's folder, and verify that its parts match each other and are unchanged.

    Raises:
        FlawshotError: With one line that names the file and the field, if it is missing, damaged, not a model's, from
            a newer flawshot, or lacks an instance that its history names.
    """
    settle_model(path)
    return steadily(path, RECORD, lambda: _read(path))


def _read(path: Path) -> tuple[ModelRecord, FeatureBank]:
    if not path.is_dir():
        raise FlawshotError(f"{path}: is not a model's folder; fit a model first")
    place = path / RECORD
    record = read_record(place)
    check_files(path / SUPPORT, record.files, REMEDY)
    try:
        support = FeatureBank.open(path / SUPPORT, verify=False)
    except FeatureBankError as error:
        raise FlawshotError(f"{error.marked} (part of a model: {REMEDY})") from error
    _check_support(place, record, support)
    if record.locator is not None:
        check_files(path, {LOCATOR: record.locator.sha256}, REMEDY)
    return record, support


def _check_support(place: Path, record: ModelRecord, support: FeatureBank) -> None:
    """Verify that a support bank is the one that the record describes."""
    manifest, catalog = support.manifest, support.catalog
    known = record.left_out_novelty
    listed = {shard.file for shard in manifest.shards} | {"manifest.json", "catalog.parquet"}
    if not listed <= set(record.files):
        raise FlawshotError(f"{place}: files: lacks {min(listed - set(record.files))}; {REMEDY}")
    for field, ours, theirs in (
        ("encoder", record.encoder, manifest.encoder),
        ("views", record.views, manifest.views),
        ("product", [record.product], catalog.products),
        ("history", record.instances, len(catalog)),
        ("categories", record.categories, tuple(sorted(set(catalog.column("category"))))),
        ("calibration.least", len(record.categories), len(record.calibration.least)),
        ("left_out_novelty", len(catalog), len(catalog) if known is None else len(known)),
    ):
        if ours != theirs:
            raise FlawshotError(f"{place}: {field}: does not match the instances in {SUPPORT}/; {REMEDY}")
    if catalog.fingerprint(record.product) != record.fingerprint:
        raise FlawshotError(f"{place}: fingerprint: is not that of {SUPPORT}/catalog.parquet; {REMEDY}")


def check_model_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that exists, unless it is a complete model and ``overwrite`` is true.

    Raises:
        FlawshotError: If the path is refused.
    """
    _check_name(path)
    settle_model(path)
    try:
        there = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else None
        if there is None and not path.exists():
            return
    except OSError as error:
        raise FlawshotError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not overwrite:
        raise FlawshotError(f"{path}: exists; name another folder, move it away, or add {argument('overwrite', True)}")
    if there is None:
        raise FlawshotError(f"{path}: is not a model's folder; move it away")
    if there:
        _check_only_model(path, there)


def _check_only_model(path: Path, there: Sequence[str]) -> None:
    """Refuse a folder that contains anything but a complete model."""
    for name in there:
        if name not in {RECORD, SUPPORT, LOCATOR}:
            raise FlawshotError(f"{path}: contains {name}, which is not part of a model; move it away")
    record, _ = read_model(path)
    if record.locator is None and LOCATOR in there:
        raise FlawshotError(f"{path}: contains {LOCATOR}, which is not part of the model; move it away")
    for entry in (path / SUPPORT).iterdir():
        if entry.name not in record.files:
            raise FlawshotError(
                f"{path}: contains {SUPPORT}/{entry.name}, which is not part of the model; move it away"
            )


def _check_name(path: Path) -> None:
    if len(os.fsencode(path.name)) > LONGEST:  # folders beside it have longer names
        raise FlawshotError(f"{path}: its name is too long; use at most {LONGEST} bytes")


def check_nothing_learned(path: Path) -> None:
    """Refuse to replace a model that has learned examples, which a new fit would lose.

    Raises:
        FlawshotError: If the model has learned examples.
    """
    if (path / RECORD).is_file() and any(step.how == "learn" for step in read_model(path)[0].history):
        raise FlawshotError(
            f"{path}: has learned corrections, which a new fit would forget; name another folder, or move it away"
        )


@contextmanager
def model_place(path: Path) -> Iterator[Path]:
    """A temporary folder for a new model, which replaces ``path`` at the end unless an error occurs.

    Raises:
        FlawshotError: If it cannot be written.
    """
    path = path.absolute()
    try:
        with hold(path), new_folder(path, spent=_banks_beside(path)) as folder:
            yield folder
    except OSError as error:
        raise FlawshotError(f"{path}: cannot be written ({one_line(error.strerror or error)})") from error


def bank_beside(path: Path, purpose: Purpose) -> Path:
    """The path of a hidden bank beside a model, or beside suggestions, that is kept if a call is interrupted.

    Args:
        path: The folder of the model, or of the suggestions.
        purpose: ``bank`` for the instances that a model is fitted to, ``learned`` for those it learns, ``candidates``
            for those that suggestions are chosen from.
    """
    path = path.resolve()
    return path.with_name(f".{path.name}.{purpose}")


def sound_bank_beside(path: Path, purpose: Purpose) -> Path:
    """Like :func:`bank_beside`, but removes a damaged bank there, because only flawshot uses it."""
    place = bank_beside(path, purpose)
    if place.is_dir():
        check_only_bank(place)
        try:
            FeatureBank.open(place)
        except FeatureBankError:
            discard(place, path)
    return place


def _banks_beside(path: Path) -> list[Path]:
    """The banks beside a model, and their unfinished folders, which are obsolete after a new model is written."""
    banks = [bank_beside(path, "bank"), bank_beside(path, "learned")]
    return [each for bank in banks for each in (bank, unfinished_place(bank))]


def settle_model(path: Path) -> None:
    """Finish or remove what killed processes left beside a model and its hidden banks."""
    for each in (path, bank_beside(path, "bank"), bank_beside(path, "learned")):
        settle(each)


def discard_banks(path: Path) -> None:
    """Remove the hidden banks beside a model."""
    for each in _banks_beside(path):
        discard(each, path)


def write_support(
    folder: Path, catalog: Catalog, blocks: Iterable[NDArray[np.float16]], manifest: BankManifest
) -> FeatureBank:
    """Write the support instances' bank into a model's folder.

    Args:
        folder: The folder of the model being written.
        catalog: The instances, in the order in which they were added.
        blocks: Their features in that order, float16 ``[some instances, views, tokens, dim]`` each.
        manifest: The manifest of their bank, from which encoder, views and libraries are copied.
    """
    return write_blocks(
        folder / SUPPORT, catalog, blocks, manifest.encoder, manifest.views, libraries=manifest.libraries
    )


def record_hash(path: Path) -> str:
    """SHA-256 of a model's ``model.json``, which contains the hashes of all other files."""
    return hash_files(path, [RECORD])[RECORD]


def support_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of the support bank, by name."""
    return hash_files(folder / SUPPORT, (path.name for path in (folder / SUPPORT).iterdir()))


def write_record(folder: Path, record: ModelRecord) -> None:
    """Write ``model.json``."""
    write_json(folder / RECORD, sealed(record), overwrite=True)
