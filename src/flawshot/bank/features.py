"""The feature bank: the encoded views of a catalog, in a folder of safetensors shards with a manifest."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flawshot.bank.old_records import OldManifest, read_upgraded
from flawshot.bank.records import BankManifest, Shard, ViewRecord, library_versions, scheme_of
from flawshot.bank.tensors import REMEDY, check_tensor, opened_tensors, save_tensors
from flawshot.bank.text_bank import TEXT_FILE, read_text, save_text, why_none
from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError, FlawshotError, printable
from flawshot.base.html_tables import LONGEST_CELL, facts_html
from flawshot.base.records import EncoderRecord, LeftOut
from flawshot.base.store.files import Document, one_line, write_bytes, write_json
from flawshot.base.store.json_documents import file_bytes
from flawshot.base.store.places import new_folder, stamp, steadily
from flawshot.base.store.seals import check_files, check_seal, hash_files, sealed
from flawshot.base.wording import counted
from flawshot.catalog import Catalog
from flawshot.regions.views import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from flawshot.bank.text_bank import TextFeatures

__all__ = [
    "BankManifest",
    "EncoderRecord",
    "FeatureBank",
    "LeftOut",
    "Shard",
    "ViewRecord",
    "write_bank",
]

SHARD_BYTES = 32 * 2**20
KEY = "features"
BANK_FILES = frozenset({"manifest.json", "catalog.parquet", "images.json", TEXT_FILE})


class FeatureBank:
    """A feature bank: the encoded views of a catalog's instances.

    Attributes:
        path: The bank's folder.
        manifest: How the features were computed.
        catalog: The instances, one per row of features.
        text: Text features of the categories, or None.
    """

    def __init__(
        self,
        path: Path,
        manifest: BankManifest,
        catalog: Catalog,
        text: TextFeatures | None = None,
        *,
        written: Document | None = None,
    ) -> None:
        """Combine the parts of an opened bank (``written``: the manifest as stored, if of an earlier version)."""
        self.path = path
        self.manifest = manifest
        self.catalog = catalog
        self.text = text
        self._written = manifest if written is None else written
        self._stamp = stamp(path / "manifest.json")

    def __repr__(self) -> str:
        """Folder, shape and encoder in one line."""
        place, encoder = (printable(text, LONGEST_CELL) for text in (str(self.path), self.manifest.encoder.name))
        instances, views, tokens, dim = self.manifest.shape
        return f"FeatureBank({place!r}, {instances} instances x {views} views x {tokens} tokens x {dim}, {encoder!r})"

    def _repr_html_(self) -> str:
        """The same as a table, with the views and the products, for a notebook."""
        views, products = self.manifest.views, self.catalog.products
        facts = [
            ("instances", len(self.catalog)),
            ("products", f"{len(products)}: {', '.join(products)}"),
            ("encoder", f"{self.manifest.encoder.name}, {self.manifest.encoder.weights}"),
            ("views", f"{self.manifest.shape[1]}: {views.scheme} of {', '.join(views.sizes)}"),
            ("tokens x features", f"{self.manifest.shape[2]} x {self.manifest.shape[3]}"),
            ("text features", None if self.text is None else f"{len(self.text.record.rows)} categories"),
        ]
        return facts_html(f"FeatureBank {self.path}", facts)

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> FeatureBank:
        """Open a bank and check that its parts are consistent.

        Args:
            path: The bank's folder.
            verify: Whether to read all files and compare them with the hashes in the manifest; see :meth:`verify`.

        Raises:
            FeatureBankError: With one line that names the file and the field, if the bank is missing, damaged,
                foreign or incomplete.
        """
        path = Path(path)
        return steadily(path, "manifest.json", lambda: cls._opened(path, verify=verify))

    @classmethod
    def _opened(cls, path: Path, *, verify: bool) -> FeatureBank:
        if not path.is_dir():
            raise FeatureBankError(f"{path}: is not a feature bank's folder")
        try:
            place = path / "manifest.json"
            manifest, written = read_upgraded(file_bytes(place), BankManifest, OldManifest, str(place), REMEDY)
            catalog = Catalog.load(path / "catalog.parquet")
        except FlawshotError as error:
            raise FeatureBankError(error.marked) from error
        rows = manifest.shape[0]
        if min(manifest.shape) < 1 or manifest.shape[2] != len(manifest.encoder.tokens):
            raise FeatureBankError(f"{place}: shape: {list(manifest.shape)} is not valid for a bank; {REMEDY}")
        if len(catalog) != rows or catalog.content_hash != manifest.catalog_hash:
            raise FeatureBankError(f"{place}: catalog_hash: does not match catalog.parquet beside it; {REMEDY}")
        if sum(shard.rows for shard in manifest.shards) != rows:
            raise FeatureBankError(f"{place}: shards: have more or fewer rows than the catalog; {REMEDY}")
        for shard in manifest.shards:
            _check_shard(path, shard, manifest.shape[1:])
        text = None if manifest.text is None else read_text(path, manifest.text, manifest.shape[3], catalog)
        if manifest.views.views and len(manifest.views.views) != manifest.shape[1]:
            raise FeatureBankError(f"{place}: views: lists more or fewer views than the features have; {REMEDY}")
        bank = cls(path, manifest, catalog, text, written=written)
        if verify:
            bank.verify()
        return bank

    def verify(self) -> None:
        """Check that every file is as it was written. Banks from flawshot 0.1 have no hashes and are not checked.

        Raises:
            FeatureBankError: With one line that names the file.
        """
        place, remedy = self.path / "manifest.json", f"move the bank away and {REMEDY}, or restore a copy of it"
        try:
            check_seal(self._written, self.manifest.seal, place, remedy)
            if self.manifest.version > 1:
                absent = self.manifest.names.difference(self.manifest.files)
                if absent or self.manifest.seal is None:
                    raise FeatureBankError(f"{place}: files: lacks {min(absent, default='its seal')}; {remedy}")
            check_files(self.path, self.manifest.files, remedy)
        except FlawshotError as error:
            raise FeatureBankError(error.marked) from error

    def features(self, ids: Sequence[str], *, token: int = 0) -> NDArray[np.float32]:
        """Features of some instances, at one token.

        Args:
            ids: Instance ids, in the requested order.
            token: Index into the manifest's tokens; 0 is the CLS token or its substitute.

        Returns:
            float32 ``[instances, views, dim]``.

        Raises:
            FeatureBankError: If an id is not in the bank, or there is no such token.
        """
        tokens = self.manifest.shape[2]
        if not 0 <= token < tokens:
            raise FeatureBankError(f"{self.path}: has {counted(tokens, 'token')} per view, no token {token}")
        try:
            rows = [self.catalog.row_of[identifier] for identifier in ids]
        except KeyError as error:
            raise FeatureBankError(f"{self.path}: contains no features of {error.args[0]}") from error
        return self._read(rows, slice(token, token + 1))[:, :, 0].astype(np.float32)

    @property
    def has_text(self) -> bool:
        """Whether the bank has text features of the categories."""
        return self.text is not None

    def text_features(self, product: str, categories: Sequence[str]) -> NDArray[np.float32]:
        """Text features of some categories of a product, float32 ``[categories, dim]`` of length one.

        Raises:
            FeatureBankError: If the bank has no text features, or none of a category.
        """
        if self.text is None:
            raise FeatureBankError(f"{self.path}: {why_none(self.manifest.encoder)}")
        return self.text.of(product, categories, self.path)

    def rows(self, rows: Sequence[int]) -> NDArray[np.float16]:
        """All tokens of some rows of the catalog, float16 ``[rows, views, tokens, dim]``."""
        return self._read(rows, slice(0, self.manifest.shape[2]))

    def _read(self, rows: Sequence[int], tokens: slice) -> NDArray[np.float16]:
        _, views, _, dim = self.manifest.shape
        wanted = np.array(rows, dtype=np.intp)
        out = np.empty((len(wanted), views, tokens.stop - tokens.start, dim), dtype=np.float16)
        start = 0
        for shard in self.manifest.shards:
            here = np.flatnonzero((wanted >= start) & (wanted < start + shard.rows))
            if here.size:
                places = wanted[here] - start
                low, high = int(places.min()), int(places.max()) + 1
                out[here] = _read_block(self.path / shard.file, slice(low, high), tokens)[places - low]
            start += shard.rows
        if stamp(self.path / "manifest.json") != self._stamp:
            raise FeatureBankError(f"{self.path}: was replaced while it was read; run the command again")
        bad = np.flatnonzero(~np.isfinite(out).all(axis=(1, 2, 3)))
        if bad.size:
            named = self.catalog[int(wanted[bad[0]])].id
            raise FeatureBankError(f"{self.path}: features of {named} are not finite; {REMEDY}")
        return out


def _read_block(path: Path, rows: slice, tokens: slice) -> NDArray[np.float16]:
    with opened_tensors(path) as opened:
        block: NDArray[np.float16] = opened.get_slice(KEY)[rows, :, tokens, :]
    return block


def _check_shard(path: Path, shard: Shard, shape: tuple[int, ...]) -> None:
    if "/" in shard.file or "\\" in shard.file or shard.file in {"", ".", ".."}:
        raise FeatureBankError(
            f"{path / 'manifest.json'}: shards: {shard.file!r} points outside the bank's folder; {REMEDY}"
        )
    check_tensor(path / shard.file, KEY, "float16", (shard.rows, *shape))


def write_bank(
    path: str | Path,
    catalog: Catalog,
    features: NDArray[np.float16],
    encoder: EncoderRecord,
    views: ViewRecord,
    *,
    libraries: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> FeatureBank:
    """Write a bank of features that are all in memory.

    Args:
        path: The bank's folder.
        catalog: The instances, one per row.
        features: float16 ``[instances, views, tokens, dim]``, finite, in catalog order.
        encoder: The encoder that computed the features.
        views: The views that were encoded.
        libraries: Versions of the libraries that computed the features; the installed ones if None.
        overwrite: Whether an existing bank may be replaced; anything else at ``path`` never is.

    Returns:
        The opened bank.

    Raises:
        FeatureBankError: If the features do not fit the catalog, or ``path`` is taken.
    """
    path = Path(path).absolute()
    if features.ndim != 4 or len(features) != len(catalog) or features.dtype != np.float16:
        raise FeatureBankError(
            f"{path}: features must be float16 [{len(catalog)}, views, tokens, dim], "
            f"not {features.dtype} {list(features.shape)}"
        )
    if min(features.shape) < 1:
        raise FeatureBankError(f"{path}: features of shape {list(features.shape)} are empty")
    check_free(path, overwrite=overwrite)
    rows_each = max(1, SHARD_BYTES // max(1, features[:1].nbytes))
    blocks = (features[start : start + rows_each] for start in range(0, len(features), rows_each))
    return write_blocks(path, catalog, blocks, encoder, views, libraries=libraries)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that is taken; a feature bank is accepted if ``overwrite`` is set.

    Raises:
        FeatureBankError: If the path is taken.
    """
    if path.exists():
        if not overwrite:
            raise FeatureBankError(
                f"{path}: exists; name another folder, move it away, or add {argument('overwrite', value=True)}"
            )
        if not path.is_dir() or any(path.iterdir()):
            try:
                FeatureBank.open(path, verify=False)
            except FeatureBankError as error:
                raise FeatureBankError(f"{error.marked} (only an intact bank is replaced: move this away)") from error
        check_only_bank(path)


def check_only_bank(path: Path) -> None:
    """Refuse a bank's folder that contains anything else, because replacing the bank would delete that.

    Raises:
        FeatureBankError: If it contains anything else.
    """
    for entry in sorted(path.iterdir()) if path.is_dir() else []:
        if entry.name not in BANK_FILES and not re.fullmatch(r"features-\d{5,}\.safetensors", entry.name):
            raise FeatureBankError(f"{path}: contains {entry.name}, which is not part of a bank; move it away")


def write_blocks(
    path: Path,
    catalog: Catalog,
    blocks: Iterable[NDArray[np.float16]],
    encoder: EncoderRecord,
    views: ViewRecord,
    *,
    left_out: Sequence[LeftOut] = (),
    files: Mapping[str, bytes] | None = None,
    text: TextFeatures | None = None,
    libraries: Mapping[str, str] | None = None,
) -> FeatureBank:
    """Write a bank block by block to a temporary folder, which then replaces what is at ``path``.

    Args:
        path: The bank's folder; the caller has made sure that it may be replaced.
        catalog: The instances, one per row.
        blocks: float16 arrays ``[some instances, views, tokens, dim]``, in catalog order; one shard each.
        encoder: The encoder that computed the features.
        views: The views that were encoded.
        left_out: Images whose instances are not in the catalog.
        files: Additional files of the bank, by name.
        text: Text features of the categories.
        libraries: Versions of the libraries that computed the features; the installed ones if None.

    Raises:
        FeatureBankError: If the features are not finite, do not match the catalog in number, or cannot be written.
    """
    path = path.resolve()
    check_only_bank(path)
    with _new_bank(path) as temporary:
        shards: list[Shard] = []
        hashes: dict[str, str] = {}
        rows, shape = 0, (0, len(encoder.tokens), 0)
        for block in blocks:
            shape = (block.shape[1], block.shape[2], block.shape[3])
            _check_block(path, block, catalog, rows, encoder)
            shard = Shard(file=f"features-{len(shards):05}.safetensors", rows=len(block))
            hashes[shard.file] = save_tensors(temporary / shard.file, {KEY: block})
            shards.append(shard)
            rows += len(block)
            del block  # before the next one is made
        if rows != len(catalog):
            raise FeatureBankError(f"{path}: has features of {rows}, but the catalog has {len(catalog)} instances")
        if text is not None:
            save_text(temporary, text)
        catalog.save(temporary / "catalog.parquet")
        for name, data in (files or {}).items():
            write_bytes(temporary / name, data)
        others = {path.name for path in temporary.iterdir()}.difference(hashes)
        manifest = BankManifest(
            format="flawshot-bank",
            version=3,
            encoder=encoder,
            views=_listed(views, shape[0]),
            shape=(rows, *shape),
            catalog_hash=catalog.content_hash,
            libraries=library_versions() if libraries is None else dict(libraries),
            shards=tuple(shards),
            left_out=tuple(left_out),
            text=None if text is None else text.record,
            files=hashes | hash_files(temporary, others),
        )
        write_json(temporary / "manifest.json", sealed(manifest))
    return FeatureBank.open(path, verify=False)


@contextmanager
def _new_bank(path: Path) -> Iterator[Path]:
    """A folder to write a bank in, which is moved into place at the end."""
    folder = path
    try:
        with new_folder(path) as folder:
            yield folder
    except OSError as error:
        reason = one_line(error.strerror or error)
        raise FeatureBankError(f"{path}: cannot be written ({reason}); run the same command again") from error
    except FlawshotError as error:  # the bank's path says more than that of a deleted folder
        raise FeatureBankError(error.marked.replace(str(folder), str(path))) from error


def _listed(views: ViewRecord, count: int) -> ViewRecord:
    """The record with its views listed, if its scheme's name determines them and their number matches."""
    if views.views or views.scheme not in SCHEMES:
        return views
    listed = ViewRecord.of(scheme_of(views, "views", REMEDY))
    return listed if len(listed.views) == count else views


def _check_block(path: Path, block: NDArray[np.float16], catalog: Catalog, start: int, encoder: EncoderRecord) -> None:
    if block.shape[2] != len(encoder.tokens):
        raise FeatureBankError(
            f"{path}: the encoder names {counted(len(encoder.tokens), 'token')}, but the features have {block.shape[2]}"
        )
    bad = np.flatnonzero(~np.isfinite(block).all(axis=(1, 2, 3)))
    if bad.size and start + int(bad[0]) < len(catalog):
        named = catalog[start + int(bad[0])].id
        raise FeatureBankError(f"{path}: features of {named} are not finite ({bad.size} such instances)")
