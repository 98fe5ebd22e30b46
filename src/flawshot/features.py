"""The feature bank: the encoded views of a catalog, in a folder of safetensors shards with a manifest."""

from __future__ import annotations

import importlib.metadata
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from safetensors.numpy import save_file

from flawshot.catalog import Catalog
from flawshot.errors import FeatureBankError, FlawshotError
from flawshot.files import Document, one_line, read_document, write_bytes, write_json
from flawshot.places import new_folder, stamp, steadily
from flawshot.tensors import REMEDY, check_tensor, opened_tensors
from flawshot.text_bank import TEXT_FILE, TextFeatures, TextRecord, read_text, save_text, why_none

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "BankManifest",
    "EncoderRecord",
    "FeatureBank",
    "Shard",
    "ViewRecord",
    "library_versions",
    "write_bank",
]

SHARD_BYTES = 32 * 2**20
KEY = "features"
BANK_FILES = frozenset({"manifest.json", "catalog.parquet", "images.json", TEXT_FILE})


class EncoderRecord(Document):
    """Who computed the features.

    Attributes:
        name: The encoder, such as ``AlphaCLIP ViT-L/14``.
        weights: Which weights it had: a tag or a file's name.
        weights_hash: SHA-256 of the weights, or None where they are not at hand.
        preprocessing: How a crop became the encoder's input.
        precision: ``float32``, ``float16``, ``bfloat16``, or ``unknown``.
        tokens: What the tokens of a view are, in order; the first is the CLS token or what stands for it.
    """

    name: str
    weights: str
    weights_hash: str | None
    preprocessing: str
    precision: str
    tokens: tuple[str, ...]


class ViewRecord(Document):
    """What was cropped.

    Attributes:
        scheme: The view scheme's name, such as ``mso``.
        sizes: Its sizes, as ``256px`` or ``1.5x``.
        border: What lies beyond the image's border: ``zero``, ``reflect``, or ``shift``.
    """

    scheme: str
    sizes: tuple[str, ...]
    border: Literal["zero", "reflect", "shift"]


class Shard(Document):
    """One file of features: ``rows`` instances, in catalog order."""

    file: str
    rows: int


class LeftOut(Document):
    """An image that could not be encoded: why, and the ids of its instances."""

    image: str
    reason: str
    instances: tuple[str, ...]


class BankManifest(Document):
    """All that shaped a bank's numbers; ``manifest.json``."""

    format: Literal["flawshot-bank"]
    version: Literal[1]
    encoder: EncoderRecord
    views: ViewRecord
    shape: tuple[int, int, int, int]
    catalog_hash: str
    libraries: dict[str, str]
    shards: tuple[Shard, ...]
    left_out: tuple[LeftOut, ...] = ()
    text: TextRecord | None = None


class FeatureBank:
    """Encoded views of a catalog's instances.

    Attributes:
        path: The bank's folder.
        manifest: What shaped the numbers.
        catalog: The instances, one for each row of features.
        text: Text features of the categories, or None.
    """

    def __init__(self, path: Path, manifest: BankManifest, catalog: Catalog, text: TextFeatures | None = None) -> None:
        """Take the parts of an opened bank; see :meth:`open`."""
        self.path = path
        self.manifest = manifest
        self.catalog = catalog
        self.text = text
        self._stamp = stamp(path / "manifest.json")

    @classmethod
    def open(cls, path: str | Path) -> FeatureBank:
        """Open a bank and check that its parts fit each other.

        Raises:
            FeatureBankError: With one line that names the file and the field, if the bank is missing, damaged,
                foreign or incomplete.
        """
        path = Path(path)
        return steadily(path, "manifest.json", lambda: cls._opened(path))

    @classmethod
    def _opened(cls, path: Path) -> FeatureBank:
        if not path.is_dir():
            raise FeatureBankError(f"{path}: is not a feature bank's folder")
        try:
            manifest = read_document(path / "manifest.json", BankManifest, REMEDY)
            catalog = Catalog.load(path / "catalog.parquet")
        except FlawshotError as error:
            raise FeatureBankError(str(error)) from error
        rows, place = manifest.shape[0], path / "manifest.json"
        if min(manifest.shape) < 1 or manifest.shape[2] != len(manifest.encoder.tokens):
            raise FeatureBankError(f"{place}: shape: {list(manifest.shape)} is none of a bank; {REMEDY}")
        if len(catalog) != rows or catalog.content_hash != manifest.catalog_hash:
            raise FeatureBankError(f"{place}: catalog_hash: is not that of catalog.parquet beside it; {REMEDY}")
        if sum(shard.rows for shard in manifest.shards) != rows:
            raise FeatureBankError(f"{place}: shards: do not hold as many rows as the catalog; {REMEDY}")
        for shard in manifest.shards:
            _check_shard(path, shard, manifest.shape[1:])
        text = None if manifest.text is None else read_text(path, manifest.text, manifest.shape[3], catalog)
        return cls(path, manifest, catalog, text)

    def features(self, ids: Sequence[str], *, token: int = 0) -> NDArray[np.float32]:
        """One token's features of some instances.

        Args:
            ids: Instance ids, in the order wanted.
            token: Which of the manifest's tokens; 0 is the CLS token or what stands for it.

        Returns:
            float32 ``[instances, views, dim]``.

        Raises:
            FeatureBankError: If an id is not in the bank, or there is no such token.
        """
        tokens = self.manifest.shape[2]
        if not 0 <= token < tokens:
            raise FeatureBankError(f"{self.path}: has {tokens} tokens a view, no token {token}")
        try:
            rows = [self.catalog.row_of[identifier] for identifier in ids]
        except KeyError as error:
            raise FeatureBankError(f"{self.path}: holds no features of {error.args[0]}") from error
        return self._read(rows, slice(token, token + 1))[:, :, 0].astype(np.float32)

    @property
    def has_text(self) -> bool:
        """Whether there are text features of the categories."""
        return self.text is not None

    def text_features(self, product: str, categories: Sequence[str]) -> NDArray[np.float32]:
        """Text features of some categories of a product, float32 ``[categories, dim]`` of length one.

        Raises:
            FeatureBankError: If the bank has none, or none of a category.
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
        raise FeatureBankError(f"{path / 'manifest.json'}: shards: {shard.file!r} leaves the bank's folder; {REMEDY}")
    check_tensor(path / shard.file, KEY, "float16", (shard.rows, *shape))


def library_versions() -> dict[str, str]:
    """Versions of the libraries that features depend on, of those installed."""
    versions = {}
    for name in ("flawshot", "torch", "open_clip_torch", "pillow", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


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
    """Write a bank of features that are all at hand.

    Args:
        path: The bank's folder.
        catalog: The instances, one for each row.
        features: float16 ``[instances, views, tokens, dim]``, finite, in catalog order.
        encoder: Who computed them.
        views: What was cropped.
        libraries: Versions of what computed the features; those installed where None.
        overwrite: Whether a bank that is there already may be replaced; anything else there never is.

    Returns:
        The bank, opened.

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
        raise FeatureBankError(f"{path}: features of shape {list(features.shape)} are none")
    check_free(path, overwrite=overwrite)
    rows_each = max(1, SHARD_BYTES // max(1, features[:1].nbytes))
    blocks = (features[start : start + rows_each] for start in range(0, len(features), rows_each))
    return write_blocks(path, catalog, blocks, encoder, views, libraries=libraries)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a place that is taken by anything but, if ``overwrite``, a feature bank.

    Raises:
        FeatureBankError: If it is.
    """
    if path.exists():
        if not overwrite:
            raise FeatureBankError(f"{path}: exists; name another folder, move it away, or add --overwrite")
        if not path.is_dir() or any(path.iterdir()):
            try:
                FeatureBank.open(path)
            except FeatureBankError as error:
                raise FeatureBankError(f"{error} (what is no whole bank is not replaced: move it away)") from error
        check_only_bank(path)


def check_only_bank(path: Path) -> None:
    """Refuse a bank's folder that holds anything else, for replacing the bank would take that away.

    Raises:
        FeatureBankError: If it does.
    """
    for entry in sorted(path.iterdir()) if path.is_dir() else []:
        if entry.name not in BANK_FILES and not re.fullmatch(r"features-\d{5,}\.safetensors", entry.name):
            raise FeatureBankError(f"{path}: holds {entry.name}, which is no part of a bank; move it away")


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
    """Write a bank block by block to a temporary folder that then takes the place of what is at ``path``.

    Args:
        path: The bank's folder; whoever calls has made sure that it may be replaced.
        catalog: The instances, one for each row.
        blocks: float16 ``[some instances, views, tokens, dim]`` each, in catalog order; one shard each.
        encoder: Who computed them.
        views: What was cropped.
        left_out: Images whose instances are not in the catalog.
        files: Further files of the bank, by name.
        text: Text features of the categories.
        libraries: Versions of what computed the features; those installed where None.

    Raises:
        FeatureBankError: If the features are not finite, not as many as the catalog, or cannot be written.
    """
    path = path.resolve()
    check_only_bank(path)
    with _new_bank(path) as temporary:
        shards: list[Shard] = []
        rows, shape = 0, (0, len(encoder.tokens), 0)
        for block in blocks:
            shape = (block.shape[1], block.shape[2], block.shape[3])
            _check_block(path, block, catalog, rows, encoder)
            shard = Shard(file=f"features-{len(shards):05}.safetensors", rows=len(block))
            save_file({KEY: np.ascontiguousarray(block)}, temporary / shard.file)
            shards.append(shard)
            rows += len(block)
        if rows != len(catalog):
            raise FeatureBankError(f"{path}: has features of {rows} instances, but {len(catalog)} instances")
        manifest = BankManifest(
            format="flawshot-bank",
            version=1,
            encoder=encoder,
            views=views,
            shape=(rows, *shape),
            catalog_hash=catalog.content_hash,
            libraries=library_versions() if libraries is None else dict(libraries),
            shards=tuple(shards),
            left_out=tuple(left_out),
            text=None if text is None else text.record,
        )
        if text is not None:
            save_text(temporary, text)
        catalog.save(temporary / "catalog.parquet")
        for name, data in (files or {}).items():
            write_bytes(temporary / name, data)
        write_json(temporary / "manifest.json", manifest.model_dump(mode="json"))
    return FeatureBank.open(path)


@contextmanager
def _new_bank(path: Path) -> Iterator[Path]:
    """A folder to write a bank in, which takes its place at the end."""
    try:
        with new_folder(path) as folder:
            yield folder
    except OSError as error:
        raise FeatureBankError(f"{path}: cannot be written ({one_line(error.strerror or error)})") from error


def _check_block(path: Path, block: NDArray[np.float16], catalog: Catalog, start: int, encoder: EncoderRecord) -> None:
    if block.shape[2] != len(encoder.tokens):
        raise FeatureBankError(
            f"{path}: the encoder names {len(encoder.tokens)} tokens, features have {block.shape[2]}"
        )
    bad = np.flatnonzero(~np.isfinite(block).all(axis=(1, 2, 3)))
    if bad.size and start + int(bad[0]) < len(catalog):
        named = catalog[start + int(bad[0])].id
        raise FeatureBankError(f"{path}: features of {named} are not finite ({bad.size} such instances)")
