"""Building a feature bank from images: interrupted work is resumed, and only new instances are encoded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from flawshot.bank.blocks import blocks_of, rows_per_block, whole_blocks
from flawshot.bank.features import SHARD_BYTES, FeatureBank, check_only_bank, write_blocks
from flawshot.bank.machines import ThisMachine
from flawshot.bank.records import ViewRecord, difference, scheme_of
from flawshot.bank.text_encoding import encode_categories
from flawshot.bank.unfinished import UnfinishedBank, discard_unfinished
from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError, FlawshotError
from flawshot.base.records import LeftOut, encoder_difference, shown
from flawshot.base.store.json_documents import file_bytes, load_json
from flawshot.base.store.places import hold
from flawshot.base.wording import plural
from flawshot.catalog import Catalog
from flawshot.labelme.embedded import embeds_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from flawshot.bank.blocks import WholeBlock
    from flawshot.bank.machines import Machines
    from flawshot.bank.prompts import Prompts
    from flawshot.encoders.base import Encoder
    from flawshot.regions.views import ViewScheme

__all__ = ["EncodeReport", "encode_catalog", "image_stamps"]

STAMPS = "images.json"


@dataclass(frozen=True, slots=True)
class EncodeReport:
    """The result of :func:`encode_catalog`.

    Attributes:
        bank: The opened bank.
        encoded: Instances encoded in this call.
        kept: Instances whose existing features were kept.
        left_out: Images that could not be used.
        remarks: Remarks on the text features, one line each.
    """

    bank: FeatureBank
    encoded: int
    kept: int
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...] = ()


def encode_catalog(
    catalog: Catalog,
    encoder: Encoder,
    scheme: ViewScheme,
    out: str | Path,
    *,
    prompts: Prompts | None = None,
    batch_size: int = 0,
    workers: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    verify: bool = True,
    progress: Callable[[int, int], None] | None = None,
    on: Machines | None = None,
) -> EncodeReport:
    """Encode a catalog into a feature bank.

    Features are first written to a folder beside ``out``, so ``out`` only ever contains a complete bank. A call that
    was interrupted resumes where it stopped. If ``out`` is a bank of the same encoder and views, the features of
    instances whose annotation and image have not changed are kept. If the encoder has a text tower in the space of the
    features, text features of the categories are encoded too; if it has none now, the existing bank's are kept.

    Features are the same to the byte for any number of threads or machines, and whether or not the work was
    interrupted, if the encoder, the kind of device and the batch size are the same.

    Args:
        catalog: The data set; its root must be available.
        encoder: The encoder.
        scheme: The views to encode.
        out: The bank's folder.
        prompts: The prompts for the text tower. If None, those of the existing bank at ``out``, or else the built-in
            prompts, ``Prompts()``.
        batch_size: As for :func:`flawshot.bank.encoding.encode_blocks`.
        workers: Likewise.
        strict: Stop at the first unusable image instead of leaving out its instances.
        overwrite: Whether an existing bank may be replaced if it is damaged or has another encoder or other views.
            The prompts and text features of a bank with the same encoder and views are dropped too.
        verify: Whether the files of an existing bank are first compared with the hashes in its manifest.
        progress: Called with the number of crops done and the total.
        on: The machines that encode, such as a :class:`flawshot.RayCluster`; this one if None.

    Raises:
        FlawshotError: If ``out`` is taken, the disk is full, or an image cannot be used and ``strict`` is set; or if
            the encoder has no text tower and either prompts are given or the bank's text features lack a category.
    """
    out = Path(out).resolve()
    with hold(out):
        return _encode(
            catalog,
            encoder,
            scheme,
            out,
            prompts=prompts,
            batch_size=batch_size,
            workers=workers,
            strict=strict,
            overwrite=overwrite,
            verify=verify,
            progress=progress,
            on=on or ThisMachine(),
        )


def _encode(
    catalog: Catalog,
    encoder: Encoder,
    scheme: ViewScheme,
    out: Path,
    *,
    prompts: Prompts | None,
    batch_size: int,
    workers: int,
    strict: bool,
    overwrite: bool,
    verify: bool,
    progress: Callable[[int, int], None] | None,
    on: Machines,
) -> EncodeReport:
    """Encode while no other process writes to the same path."""
    views = ViewRecord.of(scheme)
    stamps = image_stamps(catalog)
    old = _old_bank(out, encoder, scheme, overwrite=overwrite, verify=verify)
    known = _known(old, catalog, stamps)
    fresh = [row for row in range(len(catalog)) if row not in known]
    text, remarks = encode_categories(encoder, prompts, catalog, old, overwrite=overwrite)
    whole = old is not None and not fresh and not old.manifest.left_out and len(known) == len(old.catalog)
    if old is not None and whole and text is old.text:
        discard_unfinished(out)
        return EncodeReport(old, 0, len(known), (), remarks)

    crops = on.crops_per_call(encoder, batch_size)
    blocks = blocks_of(fresh, catalog.column("image"), rows_per_block(encoder, len(scheme.views), crops))
    request = _request(catalog, encoder, views, stamps, fresh)
    unfinished = UnfinishedBank(out, request, (len(scheme.views), len(encoder.record.tokens), encoder.dim))
    ids = catalog.column("id")
    if strict and unfinished.left_out:
        unfinished.close()
        raise _stopped(unfinished.left_out[0].reason)
    done_before = unfinished.stored
    try:
        todo = _blocks_to_do(blocks, done_before, _instances(unfinished.left_out), ids)
        encoded = on.encode_blocks(catalog, todo, encoder, scheme, batch_size=crops, workers=workers, progress=progress)
        for block in whole_blocks(todo, encoded):
            _keep(block, catalog, ids, unfinished, strict=strict)
    finally:
        unfinished.close()
    left_out = unfinished.left_out
    gone = _instances(left_out)
    stored = [row for row in fresh if ids[row] not in gone]
    if not stored and not known:
        none = plural(len(catalog), "the instance could not", f"none of the {len(catalog)} instances could")
        raise FeatureBankError(f"{out}: {none} be encoded; {left_out[0].reason}")
    keep = [row for row in range(len(catalog)) if ids[row] not in gone]
    bank = write_blocks(
        out,
        Catalog(catalog.table.take(pa.array(keep, pa.int64())), catalog.root, images=catalog.images),
        _merged(keep, known, stored, old, unfinished),
        encoder.record,
        views,
        left_out=left_out,
        files={STAMPS: json.dumps(stamps, ensure_ascii=False, indent=0).encode()},
        text=text,
        libraries=None if old is None or stored else old.manifest.libraries,
    )
    unfinished.remove()
    return EncodeReport(bank, len(stored) - done_before, len(known) + done_before, left_out, remarks)


def _instances(left_out: Sequence[LeftOut]) -> set[str]:
    return {identifier for entry in left_out for identifier in entry.instances}


def _blocks_to_do(
    blocks: Sequence[Sequence[int]], stored: int, skipped: set[str], ids: Sequence[str]
) -> list[Sequence[int]]:
    """The blocks after those that are stored, without the instances that were left out.

    Only whole blocks are stored; they end within a block if they were cut for another number of crops per call.
    """
    usable = [[row for row in block if ids[row] not in skipped] for block in blocks] if skipped else blocks
    todo, done = [], 0
    for block in usable:
        rest = block[max(0, stored - done) :]
        done += len(block)
        if len(rest):
            todo.append(rest)
    return todo


def _keep(block: WholeBlock, catalog: Catalog, ids: Sequence[str], unfinished: UnfinishedBank, *, strict: bool) -> None:
    """Store a block's features, and note its images that cannot be used."""
    if strict and block.reasons:
        raise _stopped(next(iter(block.reasons.values())))
    by_image: dict[tuple[str, str], list[str]] = {}
    images = catalog.table.column("image")
    for row, reason in block.reasons.items():
        by_image.setdefault((images[row].as_py(), reason), []).append(ids[row])
    entries = [LeftOut(image=image, reason=reason, instances=tuple(own)) for (image, reason), own in by_image.items()]
    unfinished.store([block.features[row] for row in block.rows if row in block.features], entries)


def image_stamps(catalog: Catalog) -> dict[str, list[int] | None]:
    """Size and modification time of each image's file, or of the annotation file if that embeds the image."""
    stamps: dict[str, list[int] | None] = {}
    for image, annotation in zip(catalog.column("image"), catalog.column("annotation"), strict=True):
        if image not in stamps:
            places = [] if catalog.image_root is None else [catalog.image_root / image]
            if catalog.root is not None and embeds_image(catalog.root / annotation):
                places.insert(0, catalog.root / annotation)  # the image file is used if the embedded one is unreadable
            there = [place.stat() for place in places if place.is_file()]
            stamps[image] = [part for status in there for part in (status.st_size, status.st_mtime_ns)] or None
    return stamps


def _stopped(reason: str) -> FlawshotError:
    """The error that stops the work at the first unusable image."""
    return FlawshotError(f"{reason} (without {argument('strict', value=True)} its instances are left out)")


def _old_bank(out: Path, encoder: Encoder, scheme: ViewScheme, *, overwrite: bool, verify: bool) -> FeatureBank | None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    check_only_bank(out)
    old = FeatureBank.open(out, verify=False)
    try:
        _check_same(old, encoder, scheme)
        if verify:
            old.verify()
    except FlawshotError:
        if overwrite:
            return None
        raise
    return old


def _check_same(old: FeatureBank, encoder: Encoder, scheme: ViewScheme) -> None:
    """Refuse a bank with a different encoder, with different views, or with unknown views."""
    place, remedy = (
        old.path / "manifest.json",
        f"name another folder, or add {argument('overwrite', value=True)}",
    )
    part, found = "encoder", encoder_difference(encoder.record, old.manifest.encoder, precision=True)
    if found is None:
        part, found = "views", difference(scheme, scheme_of(old.manifest.views, place, remedy))
    if found is not None:
        field, ours, theirs = found
        raise FeatureBankError(f"{place}: {part}.{field}: is {shown(theirs)}, not {shown(ours)}; {remedy}")


def _known(old: FeatureBank | None, catalog: Catalog, stamps: dict[str, list[int] | None]) -> dict[int, int]:
    """Map catalog rows to the old bank's rows with their features. Instances that it left out are tried again."""
    if old is None or not (old.path / STAMPS).is_file():
        return {}
    try:
        before = load_json(file_bytes(old.path / STAMPS))
    except FlawshotError:
        return {}
    same = {image for image, stamp in stamps.items() if isinstance(before, dict) and before.get(image) == stamp}
    hashes = dict(zip(old.catalog.column("id"), old.catalog.column("annotation_hash"), strict=True))
    known = {}
    columns = (catalog.column(name) for name in ("id", "annotation_hash", "image"))
    for row, (identifier, annotation_hash, image) in enumerate(zip(*columns, strict=True)):
        if image in same and hashes.get(identifier) == annotation_hash:
            known[row] = old.catalog.row_of[identifier]
    return known


def _request(
    catalog: Catalog,
    encoder: Encoder,
    views: ViewRecord,
    stamps: dict[str, list[int] | None],
    fresh: Sequence[int],
) -> str:
    """A hash of everything that the unfinished features depend on, but for rounding."""
    parts = [
        encoder.record.model_dump(mode="json"),
        views.model_dump(mode="json"),
        catalog.content_hash,
        stamps,
        list(fresh),
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def _merged(
    keep: Sequence[int],
    known: dict[int, int],
    stored: Sequence[int],
    old: FeatureBank | None,
    unfinished: UnfinishedBank,
) -> Iterator[NDArray[np.float16]]:
    """The bank's blocks; each row comes from the old bank or from the unfinished features."""
    place = {row: number for number, row in enumerate(stored)}
    rows_each = max(1, SHARD_BYTES // (2 * int(np.prod(unfinished.shape))))
    for start in range(0, len(keep), rows_each):  # no name keeps a block while the next one is made
        yield _block(keep[start : start + rows_each], known, place, old, unfinished)


def _block(
    rows: Sequence[int],
    known: dict[int, int],
    place: dict[int, int],
    old: FeatureBank | None,
    unfinished: UnfinishedBank,
) -> NDArray[np.float16]:
    fresh = [number for number, row in enumerate(rows) if row not in known]
    read = None
    if fresh:  # consecutive in the raw file, because both are in catalog order
        read = unfinished.rows(place[rows[fresh[0]]], len(fresh))
        if len(read) != len(fresh):
            raise FeatureBankError(f"{unfinished.folder}: contains too few features; remove it and encode again")
        if len(fresh) == len(rows):
            return read
    block = np.empty((len(rows), *unfinished.shape), dtype=np.float16)
    if read is not None:
        block[fresh] = read
    from_old = [number for number, row in enumerate(rows) if row in known]
    if from_old and old is not None:
        block[from_old] = old.rows([known[rows[number]] for number in from_old])
    return block
