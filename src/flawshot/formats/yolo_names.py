"""The class names and splits of YOLO data sets: data.yaml as ultralytics reads it, and lists such as classes.txt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import yaml

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import file_bytes
from flawshot.base.wording import counted, plural, such_as
from flawshot.formats.texts import decoded, plain_text
from flawshot.formats.tree_files import files_under, lies_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CLASS_LISTS", "YAML_SUFFIXES", "DataSheet", "class_lists", "data_sheets", "read_names", "split_images"]

# Files with one class per line, of LabelImg, CVAT, Label Studio and darknet.
CLASS_LISTS = frozenset({"classes.txt", "labels.txt", "predefined_classes.txt", "obj.names"})
YAML_SUFFIXES = (".yaml", ".yml")
# Parsing takes a microsecond per byte.
LARGEST_SHEET = 2**22
SPLITS = ("train", "val", "test")
NUMBER = re.compile(r"\d{1,9}")


@dataclass(frozen=True)
class DataSheet:
    """The content of a data.yaml.

    Attributes:
        file: Its path, as the user sees it.
        folder: The folder that its paths are relative to.
        names: The classes' names by number.
        splits: The folders or lists of each split's images, as the file gives them.
        path: The data set's folder as the file gives it; may be that of another machine.
        keypoints: The number of values per line for keypoints.
    """

    file: str
    folder: Path
    names: Mapping[int, str]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: str = ""
    keypoints: int = 0


def data_sheets(root: Path, problems: list[Problem], *, beyond: Path | None) -> dict[str, DataSheet]:
    """The data.yaml files below a folder, by their folder relative to it (POSIX); one per folder.

    Args:
        root: The folder.
        problems: Damaged files, and others beside the one that is used, are added here.
        beyond: A folder that is not searched.
    """
    found: dict[str, DataSheet] = {}
    names = files_under(root, YAML_SUFFIXES, problems, beyond=beyond)
    # data.yaml is ultralytics' own name for it.
    for name in sorted(names, key=lambda name: (PurePosixPath(name).stem.lower() != "data", name)):
        try:
            sheet = _sheet(root / name, name, problems)
        except FlawshotError as error:
            problems.append(Problem(name, "not-yolo", error.marked.removeprefix(f"{root / name}: ")))
            continue
        home = PurePosixPath(name).parent.as_posix()
        if sheet is not None and found.setdefault(home, sheet) is not sheet:
            message = f"is left out: the classes of this folder are those of {found[home].file}"
            problems.append(Problem(name, "data-yaml", message))
    return found


def read_names(path: Path, problems: list[Problem]) -> DataSheet:
    """The classes of a data.yaml or of a list that the user named.

    Raises:
        FlawshotError: If it has none.
    """
    if path.suffix.lower() not in YAML_SUFFIXES:
        return DataSheet(str(path), path.parent, _listed(path, str(path), problems))
    sheet = _sheet(path, str(path), problems)
    if sheet is None:
        raise FlawshotError(f"{path}: is not a data.yaml: it needs names, a list of the classes")
    return sheet


def class_lists(root: Path, names: list[str], problems: list[Problem]) -> dict[str, DataSheet]:
    """The lists of classes among some text files, by their folder relative to a folder (POSIX)."""
    found: dict[str, DataSheet] = {}
    for name in names:
        if PurePosixPath(name).name.lower() not in CLASS_LISTS:
            continue
        try:
            sheet = DataSheet(name, root, _listed(root / name, name, problems))
        except FlawshotError as error:
            problems.append(Problem(name, "not-yolo", error.marked.removeprefix(f"{root / name}: ")))
        else:
            found.setdefault(PurePosixPath(name).parent.as_posix(), sheet)
    return found


def _listed(path: Path, name: str, problems: list[Problem]) -> dict[int, str]:
    """The classes of a list, one per line."""
    lines = decoded(file_bytes(path), set, name, problems).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return {number: plain_text(line) for number, line in enumerate(lines) if plain_text(line)}


def _sheet(path: Path, name: str, problems: list[Problem]) -> DataSheet | None:
    """The content of a data.yaml; None if the file has no names, and so is of another program."""
    text = decoded(file_bytes(path, LARGEST_SHEET), set, name, problems)
    try:
        # Of all YAML's types only text, lists and maps are read: nothing is run, and a class called "no" stays one.
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError) as error:
        raise FlawshotError(f"is not YAML ({one_line(error)})") from error
    except RecursionError as error:
        raise FlawshotError("is not YAML (nested too deeply)") from error
    if not isinstance(document, dict) or "names" not in document:
        return None
    names = _names(document["names"])
    count = document.get("nc")
    if isinstance(count, str) and NUMBER.fullmatch(count) and int(count) != len(names):
        there = f"there {plural(len(names), 'is', 'are')} {counted(len(names), 'name')}"
        message = f"nc is {count}, but {there}; the names are used"
        problems.append(Problem(name, "data-yaml", message, "warning"))
    if len(set(names.values())) < len(names):
        message = "names has a name twice; these classes become one category"
        problems.append(Problem(name, "data-yaml", message, "warning"))
    splits = {split: entries for split in SPLITS if (entries := _entries(document.get(split), split))}
    place = document.get("path")
    return DataSheet(
        file=name,
        folder=path.parent,
        names=names,
        splits=splits,
        path=place if isinstance(place, str) else "",
        keypoints=_keypoints(document.get("kpt_shape")),
    )


def _names(value: Any) -> dict[int, str]:
    # Values are never shown: with YAML's aliases, a short file may contain billions of them.
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {number: plain_text(name) for number, name in enumerate(value)}
    texts = isinstance(value, dict) and all(isinstance(part, str) for item in value.items() for part in item)
    if texts and all(map(NUMBER.fullmatch, value)):
        return {int(number): plain_text(name) for number, name in value.items()}
    raise FlawshotError("names must be a list of names, or a map from class numbers to names")


def _entries(value: Any, split: str) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise FlawshotError(f"{split} must be a folder, a .txt list of images, or a list of these")
    return tuple(filter(None, entries))


def _keypoints(value: Any) -> int:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(n, str) and NUMBER.fullmatch(n) for n in value):
        return int(value[0]) * int(value[1])
    return 0


def split_images(
    sheet: DataSheet, root: Path, images: Mapping[str, Any], problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    """Which images a data.yaml puts into which split, as pairs of image and split.

    A path is relative to the data set's folder, as in ultralytics; a leading ``../`` is ignored if it leads nowhere,
    and so are the first folders of a path of another machine.

    Args:
        sheet: The file's content.
        root: The folder that the user named; nothing outside it is read.
        images: The images below it, as paths relative to it (POSIX).
        problems: Entries that lead nowhere, or outside the folder, are added here.
    """
    for split, entries in sheet.splits.items():
        for entry in entries:
            place = _place(sheet, entry, root)
            if place is None:
                message = f"{split}: {entry[:60]!r} is neither a folder nor a list of images inside the folder"
                problems.append(Problem(sheet.file, "split", f"{message}; its images get no split from it", "warning"))
            elif place.is_dir():
                inside = "" if place.resolve() == root.resolve() else f"{_relative(place, root)}/"
                yield from ((image, split) for image in images if image.startswith(inside))
            else:
                yield from ((image, split) for image in _list_of_images(place, root, images, problems))


def _place(sheet: DataSheet, entry: str, root: Path) -> Path | None:
    """The folder or file that an entry names, inside the user's folder."""
    bases = [sheet.folder / _native(sheet.path), sheet.folder, root] if sheet.path else [sheet.folder, root]
    plain, parts = _native(entry), _parts(entry)
    spelled = [plain, Path(*parts)]
    # A path of another machine ends in folders of this one.
    is_far = bool(PureWindowsPath(entry).anchor)
    far = [Path(*parts[first:]) for first in range(1, len(parts))] if is_far else []
    for candidate in [base / each for base in bases for each in spelled] + [root / each for each in far]:
        try:
            if candidate.exists() and lies_within(candidate, root):
                return candidate
        except (OSError, ValueError):  # a name that is invalid in this file system
            continue
    return None


def _native(text: str) -> Path:
    return Path(PureWindowsPath(text).as_posix() if "\\" in text else text)


def _parts(text: str) -> list[str]:
    """A path's components, without drive, root and ``..``."""
    given = PureWindowsPath(text)
    return [part for part in given.parts if part not in {given.anchor, "..", "."}]


def _relative(path: Path, root: Path) -> str:
    return path.resolve().relative_to(root.resolve()).as_posix()


def _list_of_images(path: Path, root: Path, images: Mapping[str, Any], problems: list[Problem]) -> Iterator[str]:
    """The images that a .txt list names; its paths are relative to its own folder, the user's, or another machine's."""
    name = _relative(path, root)
    try:
        lines = decoded(file_bytes(path), set, name, problems).splitlines()
    except FlawshotError as error:
        problems.append(Problem(name, "list", f"{error.marked.removeprefix(f'{path}: ')}; its images get no split"))
        return
    lost: list[str] = []
    for line in map(str.strip, lines):
        if not line:
            continue
        parts = _parts(line)
        ends = ["/".join(parts[first:]) for first in range(len(parts))]
        own = path.parent.resolve()
        beside = f"{_relative(own, root)}/" if own != root.resolve() else ""
        found = next((end for each in ends for end in (beside + each, each) if end in images), None)
        if found is None:
            lost.append(line)
        else:
            yield found
    if lost:
        those = such_as([repr(line[:60]) for line in lost], "of its images", "of its images")
        message = f"{those} not in the folder"
        problems.append(Problem(name, "missing-image", message, "warning"))
