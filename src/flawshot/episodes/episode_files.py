"""The JSON files that hold episodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flawshot.episodes.episode_set import Episode, EpisodeSet, Protocol
from flawshot.episodes.verification import verify
from flawshot.errors import EpisodeError
from flawshot.files import Document, json_bytes, read_document, write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.catalog import Catalog

__all__ = ["episode_product", "find_episode_files", "read_episodes", "write_all", "write_episodes"]

REMEDY = "make it again with flawshot sample"


class _EpisodeEntry(Document):
    seed: int
    support: tuple[str, ...]
    query: tuple[str, ...] | None = None


class _EpisodeFile(Document):
    format: Literal["flawshot-episodes"]
    version: Literal[1]
    protocol: Protocol
    parameters: dict[str, Any]
    product: str
    shots: int
    fingerprint: str
    categories: tuple[str, ...]
    query: tuple[str, ...] | None
    groups: dict[str, str] | None
    episodes: tuple[_EpisodeEntry, ...]


def write_episodes(episodes: EpisodeSet, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write ``<folder>/<protocol>/<product>-<K>shot.json``, the same bytes on every machine.

    Args:
        episodes: What to write.
        folder: Where the protocol's folder goes.
        overwrite: Whether an existing file with other content may be replaced.

    Returns:
        The file's path.

    Raises:
        FlawshotError: If the file exists with other content and ``overwrite`` is false.
    """
    path = Path(folder) / episodes.protocol / episodes.file_name
    write_bytes(path, _document(episodes, path), overwrite=overwrite)
    return path


def write_all(several: Sequence[EpisodeSet], folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write several sets of episodes, or none of them if a file is in the way.

    Raises:
        FlawshotError: If a file exists with other content and ``overwrite`` is false.
    """
    for episodes in several:
        path = Path(folder) / episodes.protocol / episodes.file_name
        if not overwrite and path.is_file() and path.read_bytes() != _document(episodes, path):
            raise EpisodeError(f"{path}: exists with other content; name another --out, or add --overwrite")
    return [write_episodes(episodes, folder, overwrite=overwrite) for episodes in several]


def _document(episodes: EpisodeSet, path: Path) -> bytes:
    shared = episodes.shared_query
    entries: list[dict[str, Any]] = []
    for episode in episodes.episodes:
        entry: dict[str, Any] = {"seed": episode.seed, "support": episode.support}
        entries.append(entry if shared is not None else entry | {"query": episode.query})
    document = {
        "format": "flawshot-episodes",
        "version": 1,
        "protocol": episodes.protocol,
        "parameters": dict(episodes.parameters),
        "product": episodes.product,
        "shots": episodes.shots,
        "fingerprint": episodes.fingerprint,
        "categories": episodes.categories,
        "query": shared,
        "groups": None if episodes.groups is None else dict(sorted(episodes.groups.items())),
        "episodes": entries,
    }
    return json_bytes(document, path)


def read_episodes(path: str | Path, catalog: Catalog) -> EpisodeSet:
    """Read an episode file and prove what it claims against the catalog, as :func:`flawshot.verify` does.

    Args:
        path: The file.
        catalog: The data set, or a feature bank's catalog.

    Raises:
        EpisodeError: If the file does not hold what it claims.
        FlawshotError: If it is missing, damaged or foreign.
    """
    path = Path(path)
    file = read_document(path, _EpisodeFile, REMEDY)
    episodes = []
    for number, entry in enumerate(file.episodes):
        if (entry.query is None) == (file.query is None):
            raise EpisodeError(f"{path}: episodes.{number}.query: must stand here or once for all, not both; {REMEDY}")
        episodes.append(
            Episode(entry.seed, entry.support, entry.query if entry.query is not None else file.query or ())
        )
    loaded = EpisodeSet(
        protocol=file.protocol,
        parameters=file.parameters,
        product=file.product,
        shots=file.shots,
        fingerprint=file.fingerprint,
        categories=file.categories,
        episodes=tuple(episodes),
        groups=file.groups,
    )
    try:
        verify(loaded, catalog)
    except EpisodeError as error:
        raise EpisodeError(f"{path}: {error}") from error
    return loaded


def episode_product(path: Path) -> str:
    """The product that an episode file is of; nothing in it is proved.

    Raises:
        FlawshotError: If the file is missing, damaged or foreign.
    """
    return read_document(path, _EpisodeFile, REMEDY).product


def find_episode_files(place: str | Path) -> list[Path]:
    """The episode files that a user means by ``place``.

    Args:
        place: An episode file, a protocol's folder, or the folder that holds one protocol's folder.

    Returns:
        The files, sorted by name and then by K.

    Raises:
        FlawshotError: If there is none, or folders of several protocols.
    """
    place = Path(place)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise EpisodeError(f"{place}: does not exist; make episodes with flawshot sample")
    pattern = "*shot.json"
    files = list(place.glob(pattern))
    if not files:
        folders = sorted({file.parent for file in place.glob(f"*/{pattern}")})
        if len(folders) > 1:
            names = ", ".join(folder.name for folder in folders)
            raise EpisodeError(f"{place}: holds episodes of several protocols ({names}); name one of these folders")
        files = [file for folder in folders for file in folder.glob(pattern)]
    if not files:
        raise EpisodeError(f"{place}: holds no episode file <product>-<K>shot.json; make some with flawshot sample")
    return sorted(files, key=_by_product_and_shots)


def _by_product_and_shots(path: Path) -> tuple[str, int, str]:
    product, _, shots = path.name.removesuffix("shot.json").rpartition("-")
    return product, int(shots) if shots.isdecimal() else 0, path.name
