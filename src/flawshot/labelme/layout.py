"""Product and split of an annotation file, from its place under the data root."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SPLIT_FOLDERS", "Layout", "is_split", "not_a_split", "recognize_layout"]

# Folder name (lower case) -> the split's displayed name.
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
    """Whether a folder of this name is read as a split."""
    return folder.lower() in SPLIT_FOLDERS


def not_a_split(folder: str) -> str:
    """A category's folder name, changed if it would be read as a split; the label is stored in the files.

    >>> not_a_split("scratch"), not_a_split("Test")
    ('scratch', 'Test_')
    """
    return f"{folder}_" if is_split(folder) else folder


@dataclass(frozen=True, slots=True)
class Layout:
    """A pattern of folders under a data root.

    Attributes:
        pattern: Folder names joined by ``/``: ``{product}`` and ``{split}`` match one folder each, ``*`` any one
            folder, and ``**``, only at the end, any number. A folder in the place of ``{split}`` whose name is not one
            of :data:`SPLIT_FOLDERS` is an ordinary folder, not a split.
        root_name: The product's name if the pattern has no ``{product}``.

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
            FlawshotError: If the pattern is invalid.
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
                f"{argument('layout', self.pattern)}: must be folders joined by /, each {{product}}, {{split}}, * or "
                "a name, with ** only at the end, such as {product}/{split}/**"
            )

    def place(self, path: str) -> tuple[str, str | None] | None:
        """Product and split of an annotation file.

        Args:
            path: The file's path relative to the root (POSIX).

        Returns:
            None if the path does not match the pattern. A file too shallow for ``{product}`` belongs to the product
            named after the root.
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
    """Detect the layout of a data root.

    Args:
        paths: The annotation files' paths relative to the root (POSIX).
        root_name: The root folder's name.

    Returns:
        ``{split}/**`` if the root's own folders are splits or include a train and a test folder (one product: the
        root); ``**`` if it has no folders (one product without splits); otherwise ``{product}/{split}/**``.
    """
    folders = {path.split("/", 1)[0] for path in paths if "/" in path}
    if not folders:
        return Layout("**", root_name)
    splits = {SPLIT_FOLDERS.get(folder.lower()) for folder in folders}
    if None not in splits or {"train", "test"} <= splits:
        return Layout("{split}/**", root_name)
    return Layout(DEFAULT_PATTERN, root_name)
