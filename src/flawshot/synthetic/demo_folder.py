"""The demo's folder, with a record of its files, so that the demo replaces only what it wrote itself."""

from __future__ import annotations

import importlib.metadata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import Document, read_document, write_json
from flawshot.base.store.places import put, scratch, settle
from flawshot.base.store.seals import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["DemoFolder"]

RECORD, MAKING = "demo.json", "making"


class _Record(Document):
    format: Literal["flawshot-demo"]
    version: Literal[1]
    flawshot: str
    source: str
    files: dict[str, str]
    coming: dict[str, str] = Field(default_factory=dict)


class DemoFolder:
    """A folder that the demo writes into, and the SHA-256 of every file that it wrote there.

    Files are recorded before they are moved to their place, so that a killed demo recognizes its own files.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, source: str) -> None:
        """Begin a folder, or open the one that an earlier call began.

        Args:
            path: The folder; made if it is not there.
            source: The data that the demo uses; a folder of another demo is refused.

        Raises:
            FlawshotError: If the folder contains other files or another demo, or cannot be written.
        """
        self.path = path
        made = _Record(
            format="flawshot-demo",
            version=1,
            flawshot=importlib.metadata.version("flawshot"),
            source=source,
            files={},
        )
        try:
            settle(path / RECORD)
            begun = (path / RECORD).exists()
            foreign = not begun and path.exists() and (not path.is_dir() or any(path.iterdir()))
        except OSError as error:
            raise FlawshotError(f"{path}: cannot be read ({error.strerror or error})") from error
        if foreign:
            raise FlawshotError(f"{path}: exists and is not the demo's folder; name another {argument('out')}")
        if not begun:
            self._record = made
            self._save()
            return
        self._record = read_document(path / RECORD, _Record, f"name another {argument('out')}")
        for field, ours, theirs in (
            ("source", source, self._record.source),
            ("flawshot", made.flawshot, self._record.flawshot),
        ):
            if ours != theirs:
                raise FlawshotError(
                    f"{path / RECORD}: {field}: is {theirs}, not {ours}; "
                    f"name another {argument('out')}, or remove that folder"
                )
        settle(path / MAKING)
        self._arrived()

    def _arrived(self) -> None:
        """Record expected files as the demo's own if they are in place, as far as a killed call got."""
        if not self._record.coming:
            return
        files = dict(self._record.files)
        for top in {name.partition("/")[0] for name in self._record.coming}:
            coming = {name: value for name, value in self._record.coming.items() if _below(name, top)}
            if all((self.path / name).is_file() and _hash(self.path / name) == coming[name] for name in coming):
                files = {name: value for name, value in files.items() if not _below(name, top)} | coming
        self._record = self._record.model_copy(update={"files": dict(sorted(files.items())), "coming": {}})
        self._save()

    def holds(self, folder: str) -> bool:
        """Whether a folder exists with exactly the unchanged files that the demo wrote.

        Raises:
            FlawshotError: If it exists with other or changed files.
        """
        place = self.path / folder
        if not place.exists():
            return False
        known = {name for name in self._record.files if name.startswith(f"{folder}/")}
        # Names of files that a desktop leaves in viewed folders begin with a dot; they are not annotations.
        there = {
            path.relative_to(self.path).as_posix()
            for path in place.rglob("*")
            if not path.is_dir() and not path.name.startswith(".")
        }
        for name in sorted(known ^ there):
            raise FlawshotError(
                f"{self.path / name}: {'is missing' if name in known else 'is not from the demo'}; to use changed "
                f"images, give {argument('data', place)} and another {argument('out')}; else remove {self.path}"
            )
        for name in sorted(known):
            if _hash(self.path / name) != self._record.files[name]:
                raise FlawshotError(
                    f"{self.path / name}: has changed since the demo wrote it; to use changed images, "
                    f"give {argument('data', place)} and another {argument('out')}; else remove {self.path}"
                )
        return bool(known)

    def is_own(self, name: str) -> bool:
        """Whether a file is the demo's, unchanged."""
        path = self.path / name
        return path.is_file() and self._record.files.get(name) == _hash(path)

    def own(self, names: Iterable[str]) -> list[Path]:
        """The existing files among those to be written: the demo's own, from an earlier call.

        Args:
            names: Files, and folders that end in ``/``, relative to the folder.

        Raises:
            FlawshotError: If one of them is not the demo's, or was changed since.
        """
        found: list[Path] = []
        for name in names:
            place = self.path / name
            found += sorted(path for path in place.rglob("*") if not path.is_dir()) if name.endswith("/") else [place]
        there = [path for path in found if path.exists()]
        for path in there:
            if not self.is_own(path.relative_to(self.path).as_posix()):
                raise FlawshotError(
                    f"{path}: was changed, or is not from the demo; move it away, or name another {argument('out')}"
                )
        return there

    @contextmanager
    def making(self, *names: str) -> Iterator[Path]:
        """A hidden folder for new files or folders, which are moved to their places at the end and recorded.

        Args:
            names: The new files or folders; they replace those with the same names in the demo's folder.

        Raises:
            FlawshotError: If a file to be replaced is not the demo's or was changed, as for :meth:`own`; or if nothing
                can be written.
        """
        try:
            with scratch(self.path / MAKING) as folder:
                yield folder
                coming = {name: value for name in names for name, value in _hashes(folder, name).items()}
                self._record = self._record.model_copy(update={"coming": coming})
                self._save()
                for name in names:
                    self.own([f"{name}/" if (self.path / name).is_dir() else name])
                    put(folder / name, self.path / name)
                self._arrived()
        except OSError as error:
            raise FlawshotError(f"{self.path}: cannot be written ({error.strerror or error})") from error

    def note(self, *places: str) -> None:
        """Record what was written: files, or all files in folders."""
        files = dict(self._record.files)
        for place in places:
            files = {name: value for name, value in files.items() if not _below(name, place)}
            files |= _hashes(self.path, place)
        self._record = self._record.model_copy(update={"files": dict(sorted(files.items()))})
        self._save()

    def _save(self) -> None:
        write_json(self.path / RECORD, self._record.model_dump(mode="json"), overwrite=True)


def _below(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}/")


def _hashes(root: Path, place: str) -> dict[str, str]:
    """SHA-256 of a file, or of all files in a folder, by path relative to the root."""
    path = root / place
    found = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    return {each.relative_to(root).as_posix(): _hash(each) for each in found}


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise FlawshotError(f"{path}: cannot be read ({error.strerror or error})") from error
