"""Names of images in one folder, made of their paths; no two differ only in case, in suffix or in Unicode form."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

from flawshot.base.names import folder_name
from flawshot.labelme.layout import is_split

__all__ = ["FlatNames"]

JOINED = "__"


class FlatNames:
    """Gives each image a file name.

    >>> names = FlatNames()
    >>> names.name("bolt/train/dent/0.png"), names.name("bolt/good/0.png"), names.name("bolt/good/0.jpg")
    ('bolt__dent__0.png', 'bolt__good__0.png', 'bolt__good__0_2.jpg')
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, path: str, *, below: str = "", suffix: str | None = None) -> str:
        """A name that no other call has returned, apart from the suffix.

        Args:
            path: The image's path relative to the data root (POSIX); its folders become part of the name, except one
                that is a split.
            below: The name of its first folder if that is not to be part of the name.
            suffix: The suffix of the name; the path's own if None.
        """
        place = PurePosixPath(path)
        folders = list(place.parts[:-1])
        if below and folders[:1] == [below]:
            folders = folders[1:]
        split = next((number for number, folder in enumerate(folders) if is_split(folder)), None)
        if split is not None:
            folders.pop(split)
        stem = folder_name(JOINED.join([*folders, place.stem]))
        made, number = stem, 1
        while self._key(made) in self._taken:
            number += 1
            made = f"{stem}_{number}"
        self._taken.add(self._key(made))
        return made + (place.suffix if suffix is None else suffix)

    @staticmethod
    def _key(stem: str) -> str:
        return unicodedata.normalize("NFC", stem).casefold()
