"""A copy of a folder of Labelme files in which labels are renamed, merged or dropped, and nothing else is changed."""

from __future__ import annotations

import difflib
import json
import os
import shutil
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.base.store.places import new_folder, settle
from flawshot.formats.texts import plain_text
from flawshot.labelme.data_folder import annotation_files, find_image
from flawshot.labelme.embedded import embedded_size
from flawshot.labelme.image_folder import ImageFolder
from flawshot.labelme.labelme_file import parse_labelme_document
from flawshot.labelme.labelme_json import annotation_bytes, labelme_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Relabeled", "new_labels", "relabel_document", "relabel_folder"]

Change = tuple[str, str | None]


class Relabeled(NamedTuple):
    """A folder with new labels.

    Attributes:
        changed: The number of shapes by old and new label; the new one is None for shapes that were dropped.
        files: Number of Labelme files.
        changed_files: How many of them differ from the original ones.
        emptied: How many of them have lost all their shapes.
        shapes: Number of shapes in all files.
        images: Number of images copied.
        problems: Files that are not copied, and images that were not found.
    """

    changed: dict[Change, int]
    files: int
    changed_files: int
    emptied: int
    shapes: int
    images: int
    problems: tuple[Problem, ...]


def new_labels(
    *, rename: Mapping[str, str] | None = None, merge: Mapping[str, str] | None = None, drop: Iterable[str] = ()
) -> dict[str, str | None]:
    """The new label by old one.

    Args:
        rename: New names; no two labels get the same one.
        merge: Labels that become another one, or the same one.
        drop: Labels whose shapes are removed.

    Returns:
        None for labels whose shapes are removed.

    Raises:
        FlawshotError: If a label is given twice, a new name is empty, or two labels are renamed to one.

    >>> new_labels(rename={"scratch": "scrape"}, merge={"dent": "bump", "bulge": "bump"}, drop=["smudge"])
    {'scratch': 'scrape', 'dent': 'bump', 'bulge': 'bump', 'smudge': None}
    """
    made: dict[str, str | None] = {}
    names = Counter((rename or {}).values())
    given: list[tuple[str, str, str | None]] = [("rename", old, new) for old, new in (rename or {}).items()]
    given += [("merge", old, new) for old, new in (merge or {}).items()]
    given += [("drop", old, None) for old in drop]
    for name, old, new in given:
        if old in made:
            raise FlawshotError(f"{argument(name, old)}: the label is given twice; remove one of them")
        if new is not None and not plain_text(new):
            raise FlawshotError(f"{argument(name, old)}: the new label is empty")
        if name == "rename" and new is not None and names[new] > 1:
            raise FlawshotError(f"{argument(name, old)}: another label becomes {new!r}, too; use {argument('merge')}")
        made[old] = new
    return made


def relabel_document(
    document: Mapping[str, Any], labels: Mapping[str, str | None]
) -> tuple[dict[str, Any], Counter[Change]]:
    """A Labelme file's object with new labels; everything else is kept, and the given object stays as it is.

    Args:
        document: The object, as JSON has it.
        labels: The new label by old one, as from :func:`new_labels`.

    Returns:
        The new object, and the number of shapes by old and new label.
    """
    counts: Counter[Change] = Counter()
    given = document.get("shapes")
    if not isinstance(given, list):
        return dict(document), counts
    shapes = []
    for shape in given:
        old = _label(shape)
        new = old if old is None else labels.get(old, old)
        if new == old:
            shapes.append(shape)
            continue
        counts[str(old), new] += 1
        if new is not None:
            shapes.append(shape | {"label": new})
    return dict(document) | {"shapes": shapes}, counts


def relabel_folder(
    data: str | Path,
    out: str | Path,
    *,
    rename: Mapping[str, str] | None = None,
    merge: Mapping[str, str] | None = None,
    drop: Iterable[str] = (),
    images: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Relabeled:
    """Copy a folder of Labelme files and their images with new labels.

    Files keep their paths. Those without a changed label are copied as they are, and in the others nothing but labels
    is changed; only with ``images``, an ``imagePath`` that leads out of the folder becomes the image's name. A file
    that loses all its shapes stays. The files are first written to a folder beside ``out``, so that ``out`` only ever
    contains a complete copy.

    Args:
        data: The folder.
        out: A new or empty folder.
        rename: New names of labels; none of them is a label already.
        merge: Labels that become another one, by old label.
        drop: Labels whose shapes are removed.
        images: The folder of the images, if they are elsewhere.
        progress: Called with the files copied and their total.

    Raises:
        FlawshotError: If a label occurs nowhere, or is given twice, a new name is a label already, ``out`` is not empty
            or cannot be written, or there is no Labelme file.
    """
    labels = new_labels(rename=rename, merge=merge, drop=drop)
    root, out = Path(data).resolve(), Path(out)
    if not root.is_dir():
        raise FlawshotError(f"{data}: is not a folder of Labelme files")
    _check_free(out, root)
    problems: list[Problem] = []
    names = [name for name in annotation_files(root, problems) if _known(root, name, problems)]
    listed = None if images is None else ImageFolder.of(Path(images), names)
    if not names:
        raise FlawshotError(f"{data}: contains no Labelme file")
    _check_labels(labels, rename or {}, Counter(label for name in names for label in _labels(root, name)))
    copier = _Copier(root, labels, listed, problems)
    try:
        with new_folder(out) as folder:
            for done, name in enumerate(names, start=1):
                copier.copy(name, folder)
                if progress is not None:
                    progress(done, len(names))
            _check_free(out, root)  # since it was looked at
    except OSError as error:
        raise FlawshotError(f"{out}: cannot be written ({error.strerror or error})") from error
    return copier.done()


class _Copier:
    def __init__(
        self, root: Path, labels: Mapping[str, str | None], images: ImageFolder | None, problems: list[Problem]
    ) -> None:
        self._root, self._labels, self._images, self._problems = root, labels, images, problems
        self._changed: Counter[Change] = Counter()
        self._files = self._changed_files = self._emptied = self._shapes = 0
        self._copied: dict[str, Path] = {}

    def copy(self, name: str, folder: Path) -> None:
        content = annotation_bytes(self._root / name, name)
        document = labelme_object(content, name, [])
        made, counts = relabel_document(document, self._labels)
        image_path = self._copy_image(name, document, folder)
        if image_path is not None:
            made["imagePath"] = image_path
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        differs = bool(counts) or image_path is not None
        # As Labelme writes, and whatever it was: a NaN is none of our business here.
        place.write_bytes(json.dumps(made, ensure_ascii=False, indent=2).encode() if differs else content)
        self._changed += counts
        self._files += 1
        self._changed_files += differs
        shapes = made.get("shapes")
        number = len(shapes) if isinstance(shapes, list) else 0
        self._shapes += number
        self._emptied += bool(counts) and not number

    def _copy_image(self, name: str, document: dict[str, Any], folder: Path) -> str | None:
        """Copy the image to where the file says; return what else it must say, if that is outside the folder."""
        try:
            file, _ = parse_labelme_document(document, name)
        except AnnotationError:  # listed when the folder was read
            return None
        found: list[Problem] = []
        image = find_image(name, file, self._root, found, self._images)
        self._problems += [each for each in found if each.kind != "embedded-image"]
        source = (self._root if self._images is None else self._images.root) / image
        if not source.is_file():
            return None
        beside = PurePosixPath(name).parent
        given = PureWindowsPath(file.image_path)
        place = os.path.normpath(beside / given.as_posix()).replace(os.sep, "/")
        inside = not (given.drive or given.root or place == ".." or place.startswith("../"))
        if not inside or (embedded_size(file) is not None and given.suffix.lower() in {"", ".json"}):
            place = (beside / PurePosixPath(image).name).as_posix()
        if (other := self._copied.get(place)) is not None and other != source:
            message = f"imagePath: {place} is already the copy of another image, {other}; rename one of them"
            raise FlawshotError(f"{name}: {message}")
        if other is None:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / place)
            self._copied[place] = source
        return None if inside or self._images is None else PurePosixPath(image).name

    def done(self) -> Relabeled:
        return Relabeled(
            dict(sorted(self._changed.items(), key=lambda each: (each[0][0], each[0][1] or ""))),
            self._files,
            self._changed_files,
            self._emptied,
            self._shapes,
            len(self._copied),
            tuple(self._problems),
        )


def _label(shape: object) -> str | None:
    label = shape.get("label") if isinstance(shape, dict) else None
    return label if isinstance(label, str) else None


def _known(root: Path, name: str, problems: list[Problem]) -> bool:
    """Whether a file is a Labelme file."""
    try:
        labelme_object(annotation_bytes(root / name, name), name, [])
    except AnnotationError as error:
        problems.append(error.problem)
        return False
    return True


def _labels(root: Path, name: str) -> list[str]:
    shapes = labelme_object(annotation_bytes(root / name, name), name, []).get("shapes")
    return [label for shape in (shapes if isinstance(shapes, list) else []) if (label := _label(shape)) is not None]


def _check_labels(labels: Mapping[str, str | None], rename: Mapping[str, str], there: Counter[str]) -> None:
    """Refuse labels that occur nowhere, and name the nearest ones; and new names that are labels already."""
    lines = []
    for label in labels:
        if label not in there:
            near = difflib.get_close_matches(label, sorted(there), n=1, cutoff=0.0)
            nearest = f"; the nearest is {near[0]!r} ({there[near[0]]})" if near else ""
            lines.append(f"no shape has the label {label!r}{nearest}")
    if lines:
        raise FlawshotError("; ".join(lines))
    for old, new in rename.items():
        if new in there and labels.get(new, new) == new and new != old:
            raise FlawshotError(
                f"{argument('rename', old)}: {new!r} is a label already ({there[new]}); use {argument('merge')}"
            )


def _check_free(out: Path, root: Path) -> None:
    settle(out)
    place = Path(os.path.realpath(out))
    if place.is_relative_to(root) or root.is_relative_to(place):
        raise FlawshotError(f"{argument('out', out)}: must not be inside {root}, nor contain it; name another folder")
    try:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise FlawshotError(f"{out}: exists; name another folder, or move it away")
    except OSError as error:
        raise FlawshotError(f"{out}: cannot be read ({error.strerror or error})") from error
