"""Product and split of an annotation file, from where it lies under the data root."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SPLIT_FOLDERS", "Layout", "is_split", "not_a_split", "recognize_layout"]

# Folder name (lower case) -> split as it is shown.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
DEFAULT_PATTERN = "{product}/{split}/**"


def is_split(folder: str) -> bool:
    """Whether a folder of this name is read as a split's."""
    return folder.lower() in SPLIT_FOLDERS


def not_a_split(folder: str) -> str:
    """A category's folder, renamed where it would be read as a split's; the label stands in the files.

    >>> not_a_split("scratch"), not_a_split("Test")
    ('scratch', 'Test_')
    """
    return f"{folder}_" if is_split(folder) else folder


@dataclass(frozen=True, slots=True)
class Layout:
    """A pattern of folders under a data root.

    Attributes:
        pattern: Folder names joined by ``/``: ``{product}`` and ``{split}`` stand for one folder each, ``*`` for any
            one folder, and ``**``, at the end only, for any number. Where the folder that ``{split}`` stands for has
            none of the names in :data:`SPLIT_FOLDERS`, it is no split, but an ordinary folder.
        root_name: The product's name where the pattern has no ``{product}``.

    >>> Layout("{product}/{split}/**", "data").place("bolt/testing/dent/000.json")
    ('bolt', 'test')
    >>> Layout("{product}/{split}/**", "data").place("bolt/dent/000.json")
    ('bolt', None)
    >>> Layout("**", "bolts").place("a/b/000.json")
    ('bolts', None)
    """

    pattern: str
    root_name: str

    def __post_init__(self) -> None:
        """Check the pattern.

        Raises:
            FlawshotError: If the pattern is not one.
        """
        parts = self.pattern.split("/")
        bad = [
            part for part in parts if part not in {"{product}", "{split}", "*", "**"} and re.search(r"[{}*\\]", part)
        ]
        if (
            not self.pattern
            or "" in parts
            or bad
            or "**" in parts[:-1]
            or any(parts.count(name) > 1 for name in ("{product}", "{split}"))
        ):
            raise FlawshotError(
                f"{argument('layout', self.pattern)}: must be folders joined by /, of {{product}}, {{split}}, *, a "
                "name, and ** at the end, such as {product}/{split}/**"
            )

    def place(self, path: str) -> tuple[str, str | None] | None:
        """Product and split of an annotation file.

        Args:
            path: The file's path relative to the root (POSIX).

        Returns:
            None where the path does not fit the pattern. A file too shallow for ``{product}`` belongs to the root's
            own product.
        """
        folders = path.split("/")[:-1]
        product, split = self.root_name, None
        for part in self.pattern.split("/"):
            if part == "**":
                return product, split
            if not folders:
                return (product, split) if part in {"{product}", "{split}"} else None
            if part == "{split}":
                split = SPLIT_FOLDERS.get(folders[0].lower())
                if split is None:
                    continue
            elif part == "{product}":
                product = folders[0]
            elif part not in {"*", folders[0]}:
                return None
            folders = folders[1:]
        return None if folders else (product, split)


def recognize_layout(paths: Iterable[str], root_name: str) -> Layout:
    """The layout of a data root that nobody named one for.

    Args:
        paths: The annotation files' paths relative to the root (POSIX).
        root_name: The root folder's name.

    Returns:
        ``{split}/**`` where the root's own folders are splits, or a train and a test folder are among them (one
        product: the root), ``**`` where it has no folders (one product without split), else ``{product}/{split}/**``.
    """
    folders = {path.split("/", 1)[0] for path in paths if "/" in path}
    if not folders:
        return Layout("**", root_name)
    splits = {SPLIT_FOLDERS.get(folder.lower()) for folder in folders}
    if None not in splits or {"train", "test"} <= splits:
        return Layout("{split}/**", root_name)
    return Layout(DEFAULT_PATTERN, root_name)
