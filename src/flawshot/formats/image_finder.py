"""Search for the images that annotations name, only in the folders that a user named.

Annotations are copied between machines: their image paths are those of another machine, an upload or a project
folder, and the files may have other suffixes or names. So an image is searched for at the path in the annotation, then
by its base name, then by the annotation's own name; an ambiguous match is not used.
"""

from __future__ import annotations

import itertools
import os
import re
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.formats.paths import file_path, first_file
from flawshot.formats.texts import name_key
from flawshot.formats.tree_files import files_under
from flawshot.labelme.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["ImageFinder", "inside_paths", "spellings"]

# A file there with an image's name and another suffix is its mask.
MASK_FOLDERS = frozenset(
    {"mask", "masks", "ground_truth", "groundtruth", "gt", "segmentationclass", "segmentationobject", "labels"}
)
# Label Studio adds this prefix to the names of uploaded files.
UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
# Label Studio's URLs of files on its own disk, and URLs in general.
LOCAL_FILE = re.compile(r"^.*[?&]d=")
ADDRESS = re.compile(r"^[A-Za-z][\w+.-]+://([^?#]*).*$", re.DOTALL)


def inside_paths(texts: Iterable[str], field: str) -> dict[str, PurePosixPath | FlawshotError]:
    r"""Paths from third-party annotations as paths inside a folder.

    From paths that lead out of it, absolute ones and those of another machine, the folders they share are removed.

    Args:
        texts: The paths, with slashes or backslashes.
        field: Their name for errors.

    Returns:
        By text: the path, or an error if it is not a valid file path.

    >>> list(inside_paths(["D:\\line\\a\\0.png", "D:\\line\\b\\0.png", "c/0.png"], "file_name").values())
    [PurePosixPath('a/0.png'), PurePosixPath('b/0.png'), PurePosixPath('c/0.png')]
    """
    made: dict[str, PurePosixPath | FlawshotError] = {}
    outside: dict[str, list[str]] = {}
    for text in texts:
        if _leaves(text) and (parts := _parts(text)):
            outside[text] = parts
        made[text] = _path(text, field)
    shared = _in_common([parts[:-1] for parts in outside.values()])
    return made | {text: _path("/".join(parts[shared:]), field) for text, parts in outside.items()}


def _in_common(lists: Sequence[Sequence[str]]) -> int:
    """The number of leading entries that all lists share."""
    levels = zip(*lists, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))


def _path(text: str, field: str) -> PurePosixPath | FlawshotError:
    try:
        return file_path(text, field)
    except FlawshotError as error:
        return error


def _parts(text: str) -> list[str]:
    """A path's components, without drive, root and ``..``."""
    plain = text
    if LOCAL_FILE.match(text):
        plain = unquote(LOCAL_FILE.sub("", text))
    elif address := ADDRESS.match(text):
        plain = unquote(address[1])
    given = PureWindowsPath(plain)
    return [part for part in given.parts if part not in {given.anchor, ".", ".."}]


def _leaves(text: str) -> bool:
    given = PureWindowsPath(text)
    return bool(given.drive or given.root or ".." in given.parts or LOCAL_FILE.match(text) or ADDRESS.match(text))


class ImageFinder:
    """Finds images below the folders that a user named.

    Args:
        roots: Folders to search, including subfolders, in this order.
        problems: Links to outside the folders, images found under a different name than in the annotation, ambiguous
            images, and images that were found for two paths are added here.
        beyond: A folder that is not searched.
    """

    def __init__(self, roots: Sequence[Path], problems: list[Problem], *, beyond: Path | None) -> None:
        self._roots = list(dict.fromkeys(roots))
        self._problems, self._beyond = problems, beyond
        self._listed: dict[Path, dict[str, list[str]]] = {}
        self._used: dict[Path, tuple[PurePosixPath, str]] = {}

    def find(self, named: str, homes: Iterable[Path], where: str, *, own: str = "") -> Path | None:
        """Find the image of an annotation.

        Args:
            named: The image's path or name in the annotation; may be empty.
            homes: Folders in which it is expected, in this order; outside ``roots``, only these are searched.
            where: The annotation's name for problems.
            own: The annotation file's name without suffix, if the image may have the same name.

        Returns:
            The image's path, or None if there is none or the choice is ambiguous.
        """
        places = list(dict.fromkeys(homes))
        path = _inside(named)
        names = [] if path is None else list(dict.fromkeys(spellings(path.name)))
        exact = [] if path is None else [str(path), *names]
        found = self._first(places, exact)
        if own and (found is None or found.stem != own):
            # If all files of a set name the same image, the one with the annotation file's name is meant.
            found = self._by_stem([own], places) or found
        stems = [*([own] if own else []), *(PurePosixPath(name).stem for name in names), *names]
        found = found or self._by_stem(stems, places) or self._below(path, names, stems, where)
        meant = {name_key(name) for name in names}
        if found is not None and path is not None and not meant & _told(found, whole=_is_picture(path.name)):
            message = (
                f"the image {path.name} is missing, and {found.name} is used; rename it if it is a different image"
            )
            self._problems.append(Problem(where, "renamed-image", message, "warning"))
        return found if found is None or path is None else self._once(found, path, where)

    def _once(self, found: Path, path: PurePosixPath, where: str) -> Path | None:
        """The image, unless it was found for a path with other folders before, which are no less like its own."""
        first, its = self._used.setdefault(found, (path, where))
        shared = min(len(first.parts), len(path.parts)) - 1
        if _agreement(first, path) == shared:
            return found
        remedy = f"name the right folder with {argument('images')}"
        message = f"{found.name} is used for {first}, and may be the image {path} instead; {remedy}"
        self._problems.append(Problem(its, "ambiguous-image", message, "warning"))
        if _agreement(PurePosixPath(found), path) > _agreement(PurePosixPath(found), first):
            self._used[found] = (path, where)
            return found
        message = f"its image {path} may be {found.name}, but that is used for {first}; {remedy}"
        self._problems.append(Problem(where, "ambiguous-image", message))
        return None

    def names(self, homes: Iterable[Path]) -> set[str]:
        """The names of all available images, with and without suffix, normalized for comparison.

        Args:
            homes: Folders in which images are expected, besides those below the roots.
        """
        found = {key for index in self._indices for key in (*index.names, *index.stems)}
        for home in dict.fromkeys(homes):
            pictures = self._pictures(home)
            found.update(pictures, (name_key(name) for names in pictures.values() for name in names))
        return found

    def _first(self, homes: Sequence[Path], names: Sequence[str]) -> Path | None:
        links: list[Problem] = []
        allowed = [*self._roots, *homes]
        found = first_file((home / name for home in homes for name in names), allowed, links)
        self._problems.extend(link for link in links if link not in self._problems)
        return found

    def _by_stem(self, stems: Sequence[str], homes: Sequence[Path]) -> Path | None:
        """An image in one of the folders with one of these names, with any suffix."""
        for home in homes:
            for key in dict.fromkeys(map(name_key, stems)):
                if found := self._first([home], self._pictures(home).get(key, [])):
                    return found
        return None

    def _pictures(self, home: Path) -> dict[str, list[str]]:
        if home not in self._listed:
            self._listed[home] = _pictures(home)
        return self._listed[home]

    def _below(self, path: PurePosixPath | None, names: list[str], stems: list[str], where: str) -> Path | None:
        """An image of that name anywhere below the roots, if a single one has the best matching folders."""
        for index in self._indices:
            called = [index.names.get(name_key(name), []) for name in names]
            called += [index.stems.get(name_key(stem), []) for stem in stems]
            likely = next(filter(None, called), [])
            # Two files may differ only in what the comparison of names ignores.
            as_named = [each for each in likely if path is not None and PurePosixPath(each).name == path.name]
            best = _agreeing(as_named or likely, path)
            if len(best) > 1:
                more = f" and {len(best) - 2} more" if len(best) > 2 else ""
                message = (
                    f"its image may be {best[0]}, {best[1]}{more}; name the right folder with {argument('images')}"
                )
                self._problems.append(Problem(where, "ambiguous-image", message))
                return None
            if best:
                return index.root / best[0]
        return None

    @cached_property
    def _indices(self) -> list[_Index]:
        return [_Index(root, self._beyond) for root in self._roots]


class _Index:
    """The images below a folder, by name and by name without suffix."""

    def __init__(self, root: Path, beyond: Path | None) -> None:
        self.root = root
        self.names: dict[str, list[str]] = {}
        self.stems: dict[str, list[str]] = {}
        for path in files_under(root, IMAGE_SUFFIXES, [], beyond=beyond):
            *folders, name = PurePosixPath(path).parts
            self.names.setdefault(name_key(name), []).append(path)
            if not MASK_FOLDERS.intersection(map(str.lower, folders)):
                self.stems.setdefault(name_key(PurePosixPath(name).stem), []).append(path)


def _inside(text: str) -> PurePosixPath | None:
    """An annotation's path as one inside a folder; only its base name if it leads out of the folder."""
    made = inside_paths([text], "")[text]
    return None if isinstance(made, FlawshotError) else made


def spellings(name: str) -> Iterator[str]:
    """A name, and its forms before it was uploaded or made part of a URL."""
    yield name
    plain = unquote(name)
    if plain != name and "/" not in plain and "\\" not in plain:
        yield plain
    for each in dict.fromkeys((name, plain)):
        if UPLOADED.match(each):
            yield UPLOADED.sub("", each)


def _told(found: Path, *, whole: bool) -> set[str]:
    """How an annotation may call an image; without its suffix, too, unless it names images with theirs."""
    return {name_key(found.name)} if whole else {name_key(found.name), name_key(found.stem)}


def _is_picture(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


def _pictures(folder: Path) -> dict[str, list[str]]:
    """The names of the images in a folder, by name without suffix."""
    found: dict[str, list[str]] = {}
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return found
    for name in names:
        if _is_picture(name) and not name.startswith("."):
            found.setdefault(name_key(PurePosixPath(name).stem), []).append(name)
    return found


def _agreeing(found: Sequence[str], wanted: PurePosixPath | None) -> list[str]:
    """The paths whose last folders match those of the wanted path best."""
    agreement = {path: 0 if wanted is None else _agreement(PurePosixPath(path), wanted) for path in found}
    most = max(agreement.values(), default=0)
    return [path for path in found if agreement[path] == most]


def _agreement(path: PurePosixPath, other: PurePosixPath) -> int:
    """The number of folders that two paths share at their ends."""
    return _in_common([[name_key(part) for part in each.parts[-2::-1]] for each in (path, other)])
