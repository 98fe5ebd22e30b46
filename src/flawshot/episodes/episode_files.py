"""The JSON files that contain episodes."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flawshot.base.arguments import argument
from flawshot.base.errors import EpisodeError
from flawshot.base.store.files import Document, document_lines, json_bytes, read_document, write_with
from flawshot.episodes.episode_set import Episode, EpisodeSet, Protocol
from flawshot.episodes.verification import verify_episodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flawshot.catalog import Catalog

__all__ = ["episode_product", "find_episode_files", "read_episodes", "write_all", "write_episodes"]

SUFFIXES = ("shot.json", "shot.jsonl")
REMEDY = "sample the episodes again"


class _EpisodeEntry(Document):
    seed: int
    support: tuple[str, ...]
    query: tuple[str, ...] | None = None


class _Header(Document):
    """The fields that all episodes of a file share."""

    format: Literal["flawshot-episodes"]
    version: Literal[1]
    protocol: Protocol
    parameters: dict[str, Any]
    product: str
    shots: int
    fingerprint: str
    categories: tuple[str, ...]
    groups: dict[str, str] | None

    def episode_set(self, episodes: list[Episode]) -> EpisodeSet:
        return EpisodeSet(
            protocol=self.protocol,
            parameters=self.parameters,
            product=self.product,
            shots=self.shots,
            fingerprint=self.fingerprint,
            categories=self.categories,
            episodes=tuple(episodes),
            groups=self.groups,
        )


class _EpisodeFile(_Header):
    query: tuple[str, ...] | None
    episodes: tuple[_EpisodeEntry, ...]


class _TaskFileHeader(_Header):
    """The first line of a file of random tasks; each further line is one episode."""

    protocol: Literal["episodic"]


def write_episodes(episodes: EpisodeSet, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write ``<folder>/<protocol>/<product>-<K>shot.json`` (``.jsonl`` for ``episodic``), byte-identical everywhere.

    Args:
        episodes: What to write.
        folder: Where the protocol's folder goes.
        overwrite: Whether an existing file with other content may be replaced.

    Returns:
        The file's path.

    Raises:
        FlawshotError: If the file exists with different content and ``overwrite`` is false.
    """
    path = Path(folder) / episodes.protocol / episodes.file_name

    def write(temporary: Path) -> None:
        with temporary.open("wb") as opened:
            opened.writelines(_parts(episodes, path))

    write_with(path, write, overwrite=overwrite)
    return path


def write_all(several: Sequence[EpisodeSet], folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write several sets of episodes, or none of them if a file with other content exists.

    Raises:
        FlawshotError: If a file exists with different content and ``overwrite`` is false.
    """
    for episodes in several:
        path = Path(folder) / episodes.protocol / episodes.file_name
        if not overwrite and path.is_file() and not _holds(path, episodes):
            raise EpisodeError(
                f"{path}: exists with different content; name another folder, or add {argument('overwrite', True)}"
            )
    return [write_episodes(episodes, folder, overwrite=overwrite) for episodes in several]


def _holds(path: Path, episodes: EpisodeSet) -> bool:
    """Whether a file contains exactly these episodes, byte by byte."""
    wanted = hashlib.sha256()
    for part in _parts(episodes, path):
        wanted.update(part)
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest() == wanted.digest()


def _parts(episodes: EpisodeSet, path: Path) -> Iterator[bytes]:
    """The file's bytes: one document, or for random tasks a header line followed by one line per episode."""
    if episodes.protocol != "episodic":
        yield _document(episodes, path)
        return
    yield json_bytes(_header(episodes), path, indent=None)
    for episode in episodes.episodes:
        entry = {"seed": episode.seed, "support": episode.support, "query": episode.query}
        yield json_bytes(entry, path, indent=None)


def _header(episodes: EpisodeSet) -> dict[str, Any]:
    return {
        "format": "flawshot-episodes",
        "version": 1,
        "protocol": episodes.protocol,
        "parameters": dict(episodes.parameters),
        "product": episodes.product,
        "shots": episodes.shots,
        "fingerprint": episodes.fingerprint,
        "categories": episodes.categories,
        "groups": None if episodes.groups is None else dict(sorted(episodes.groups.items())),
    }


def _document(episodes: EpisodeSet, path: Path) -> bytes:
    shared = episodes.shared_query
    entries: list[dict[str, Any]] = []
    for episode in episodes.episodes:
        entry: dict[str, Any] = {"seed": episode.seed, "support": episode.support}
        entries.append(entry if shared is not None else entry | {"query": episode.query})
    header = _header(episodes)
    groups = header.pop("groups")
    return json_bytes({**header, "query": shared, "groups": groups, "episodes": entries}, path)


def read_episodes(path: str | Path, catalog: Catalog) -> EpisodeSet:
    """Read an episode file and verify it against the catalog, as :func:`flawshot.verify_episodes` does.

    Args:
        path: The file.
        catalog: The data set, or a feature bank's catalog.

    Raises:
        EpisodeError: If the file does not match the catalog or its own claims.
        FlawshotError: If it is missing, damaged or not an episode file.
    """
    path = Path(path)
    loaded = _read_tasks(path) if path.suffix == ".jsonl" else _read_document(path)
    try:
        verify_episodes(loaded, catalog)
    except EpisodeError as error:
        raise EpisodeError(f"{path}: {error.marked}") from error
    return loaded


def _read_document(path: Path) -> EpisodeSet:
    file = read_document(path, _EpisodeFile, REMEDY)
    if file.protocol == "episodic":
        raise EpisodeError(f"{path}: protocol: random tasks must be JSON Lines in a .jsonl file; {REMEDY}")
    episodes = []
    for number, entry in enumerate(file.episodes):
        if (entry.query is None) == (file.query is None):
            raise EpisodeError(
                f"{path}: episodes.{number}.query: must be given either here or once for all episodes; {REMEDY}"
            )
        episodes.append(
            Episode(entry.seed, entry.support, entry.query if entry.query is not None else file.query or ())
        )
    return file.episode_set(episodes)


def _read_tasks(path: Path) -> EpisodeSet:
    """Read a file of random tasks, line by line, without verifying it."""
    episodes = []
    header, entries = document_lines(path, _TaskFileHeader, _EpisodeEntry, REMEDY)
    for entry in entries:
        # Tasks name the same instances over and over: keep each name once.
        support, query = (tuple(map(sys.intern, ids)) for ids in (entry.support, entry.query or ()))
        episodes.append(Episode(entry.seed, support, query))
    return header.episode_set(episodes)


def episode_product(path: Path) -> str:
    """The product of an episode file, which is not verified.

    Raises:
        FlawshotError: If the file is missing, damaged or not an episode file.
    """
    if path.suffix == ".jsonl":
        return document_lines(path, _TaskFileHeader, _EpisodeEntry, REMEDY)[0].product
    return read_document(path, _EpisodeFile, REMEDY).product


def find_episode_files(place: str | Path) -> list[Path]:
    """Find the episode files at a path.

    Args:
        place: An episode file, a protocol's folder, or a folder that contains one protocol's folder.

    Returns:
        The files, sorted by name and then by K.

    Raises:
        FlawshotError: If there are none, or there are folders of several protocols.
    """
    place = Path(place)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise EpisodeError(f"{place}: does not exist; sample episodes first")
    files = _named(place, "")
    if not files:
        folders = sorted({file.parent for file in _named(place, "*/")})
        if len(folders) > 1:
            names = ", ".join(folder.name for folder in folders)
            raise EpisodeError(f"{place}: contains episodes of several protocols ({names}); name one of these folders")
        files = [file for folder in folders for file in _named(folder, "")]
    if not files:
        raise EpisodeError(f"{place}: contains no episode file <product>-<K>shot.json; sample episodes first")
    return sorted(files, key=_by_product_and_shots)


def _named(folder: Path, below: str) -> list[Path]:
    return [file for suffix in SUFFIXES for file in folder.glob(f"{below}*{suffix}")]


def _by_product_and_shots(path: Path) -> tuple[str, int, str]:
    product, _, shots = path.stem.removesuffix("shot").rpartition("-")
    return product, int(shots) if shots.isdecimal() else 0, path.name
