"""An unfinished feature bank: features in a raw file that only grows, and a record of its valid length."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import numpy as np
from pydantic import Field

from flawshot.base.errors import FeatureBankError, FlawshotError
from flawshot.base.records import LeftOut  # noqa: TC001 - pydantic reads it
from flawshot.base.store.files import Document, read_document, write_json
from flawshot.base.store.places import discard
from flawshot.base.store.seals import check_seal, sealed
from flawshot.base.store.unfinished import UnfinishedFolder, unfinished_place
from flawshot.base.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["UnfinishedBank", "discard_unfinished"]


class _State(Document):
    """The state of an unfinished bank; ``state.json`` beside its raw features.

    Attributes:
        request: A hash of everything that the features depend on.
        stored: The number of instances whose features in the raw file are valid.
        left_out: Images that could not be used so far.
        raw: SHA-256 of the valid features.
        seal: SHA-256 over the other fields.
    """

    format: Literal["flawshot-unfinished-bank"]
    version: Literal[2]
    request: str
    stored: Annotated[int, Field(ge=0)]
    left_out: tuple[LeftOut, ...]
    raw: str
    seal: str = ""


class UnfinishedBank:
    """An unfinished bank: a raw file of features that only grows, and a record of its valid length."""

    def __init__(self, out: Path, request: str, shape: tuple[int, int, int]) -> None:
        self.out = out
        self.folder = unfinished_place(out)
        self.shape = shape
        self.request = request
        self.stored = 0
        self.left_out: tuple[LeftOut, ...] = ()
        self._row_bytes = 2 * int(np.prod(shape))
        self._expected = ""
        state = self.folder / "state.json"
        if state.is_file():
            try:
                before = read_document(state, _State, "")
                check_seal(before, before.seal, state, "")
            except FlawshotError:
                before = None
            if before is not None and before.request == request:
                self.stored, self.left_out = before.stored, before.left_out
                self._expected = before.raw
        try:
            self._kept = UnfinishedFolder(out, "features.raw")
            self._file = self._kept.file
            with self._kept.closing_on_failure():
                self._digest = _hash_start(self._file, self.stored * self._row_bytes)
                if self._digest.hexdigest() != self._expected:  # damaged, cut short, or new
                    self.stored, self.left_out, self._digest = 0, (), hashlib.sha256()
                self._file.truncate(self.stored * self._row_bytes)
                self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise FeatureBankError(f"{self.folder}: cannot be written ({error.strerror or error})") from error
        self._count = self.stored

    def store(self, features: Sequence[NDArray[np.float16]], left_out: Sequence[LeftOut] = ()) -> None:
        """Append a block: its instances' features, and its images that cannot be used.

        What was stored when the work ends, for whatever reason, is whole blocks.

        Args:
            features: Of each instance, float16 ``[views, tokens, dim]``.
            left_out: Images that cannot be used; one may have been noted before with other instances.
        """
        try:
            data = b"".join(each.tobytes() for each in features)
            self._file.write(data)
            self._digest.update(data)
            self._count += len(features)
            for entry in left_out:
                self._leave_out(entry)
            if self._kept.due:
                self._checkpoint()
        except OSError as error:
            raise self._full(error) from error

    def _leave_out(self, entry: LeftOut) -> None:
        merged = {each.image: each for each in self.left_out}
        if entry.image in merged:
            entry = entry.model_copy(update={"instances": (*merged[entry.image].instances, *entry.instances)})
        merged[entry.image] = entry
        self.left_out = tuple(merged.values())

    def _full(self, error: OSError) -> FeatureBankError:
        reason = error.strerror or str(error)
        kept = counted(self.stored, "instance is", "instances are")
        return FeatureBankError(
            f"{self.folder}: cannot be written ({reason}); {kept} kept: free space, and run the same command again"
        )

    def _checkpoint(self) -> None:
        """Flush the features to disk, then record them in the state as valid."""
        self._kept.to_disk()
        state = _State(
            format="flawshot-unfinished-bank",
            version=2,
            request=self.request,
            stored=self._count,
            left_out=self.left_out,
            raw=self._digest.hexdigest(),
        )
        write_json(self.folder / "state.json", sealed(state), overwrite=True)
        self.stored = self._count

    def close(self) -> None:
        """Keep the features, for whatever reason the work ended."""
        try:
            with self._kept.closing_on_failure():
                self._checkpoint()
            self._file.close()
        except OSError as error:
            raise self._full(error) from error

    def rows(self, first: int, count: int) -> NDArray[np.float16]:
        """Stored features, float16 ``[count, views, tokens, dim]``."""
        with (self.folder / "features.raw").open("rb") as opened:
            opened.seek(first * self._row_bytes)
            data = np.frombuffer(opened.read(count * self._row_bytes), dtype=np.float16)
        return data.reshape(-1, *self.shape)

    def remove(self) -> None:
        """Remove the folder, once the bank is in place."""
        self._kept.discard()


def discard_unfinished(out: Path) -> None:
    """Remove the leftovers of a process that was killed after the bank was in place."""
    folder = unfinished_place(out)
    if (folder / "features.raw").is_file():
        discard(folder, out)


def _hash_start(file: BinaryIO, length: int) -> hashlib._Hash:
    """SHA-256 of the first bytes of a file, or of all of it if it is shorter."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (data := file.read(min(length, 2**20))):
        digest.update(data)
        length -= len(data)
    return digest
