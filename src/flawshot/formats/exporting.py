"""Shared parts of exports of data sets: their result, and the folder that they write."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from PIL import Image, ImageOps

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import Document, json_bytes, read_document
from flawshot.base.store.places import new_folder, settle
from flawshot.formats import Option
from flawshot.labelme.images import header, open_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flawshot.base.errors import Problem

__all__ = [
    "IMAGE_OPTIONS",
    "RECORD",
    "Exported",
    "export_folder",
    "json_lines",
    "write_image",
    "write_json_file",
]

# Lists the files of an export, so that it can be replaced, and is not taken for data; its readers skip hidden files.
RECORD = ".flawshot-export.json"
# What Ultralytics, macOS and Windows leave in a folder when it is used; it may be replaced, too.
CACHE, SYSTEM_FILES = ".cache", frozenset({".DS_Store", "Thumbs.db"})
REMEDY = "move the folder away"
QUALITY = 95  # of JPEG and WebP images that have to be written anew


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        written: The number of items written.
        problems: What was left out, and what the format cannot express.
        summary: What else was written, in a few words.
    """

    written: int
    problems: tuple[Problem, ...] = ()
    summary: str = ""


# How the parameters are shown that all exports with images have.
IMAGE_OPTIONS = {
    "good": Option("A further folder of images without flaws, which are added without annotations.", "DIR"),
    "link": Option("Hard-link the images instead of copying them: a change to one is a change to the other."),
}


class _Record(Document):
    """The files of an export; paths are relative to its folder (POSIX)."""

    format: Literal["flawshot-export"]
    version: Literal[1]
    exporter: str
    files: tuple[str, ...]


@contextmanager
def export_folder(out: Path, exporter: str, *, data: Path | None, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which is at ``out`` once it is complete.

    Args:
        out: A new or empty folder, or one that an export wrote if ``overwrite`` is true.
        exporter: The exporter's name.
        data: The folder of the data, or None.
        overwrite: Whether an earlier export may be replaced.

    Yields:
        A temporary folder.

    Raises:
        FlawshotError: If ``out`` may not be replaced, lies in the data folder, or cannot be written.
    """
    _check_apart(out, data)
    settle(out)
    try:
        _check_free(out, overwrite=overwrite)
        with new_folder(out) as folder:
            yield folder
            names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
            record = _Record(format="flawshot-export", version=1, exporter=exporter, files=tuple(names))
            (folder / RECORD).write_bytes(record.model_dump_json().encode() + b"\n")
            _check_free(out, overwrite=overwrite)  # since it was looked at
    except OSError as error:
        raise FlawshotError(f"{out}: cannot be written ({error.strerror or error})") from error


def _check_apart(out: Path, data: Path | None) -> None:
    if data is not None and out.resolve().is_relative_to(data.resolve()):
        raise FlawshotError(
            f"{out}: is in the data folder {data}, which would then contain every image twice; name a folder elsewhere"
        )


def _check_free(out: Path, *, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not overwrite:
        raise FlawshotError(f"{out}: exists; name another folder, move it away, or add {argument('overwrite', True)}")
    if not (out / RECORD).is_file():
        raise FlawshotError(f"{out}: was not written by an export; move it away")
    known = {RECORD, *read_document(out / RECORD, _Record, REMEDY).files}
    for path in sorted(out.rglob("*")):
        own = path.is_dir() or path.relative_to(out).as_posix() in known
        if not own and path.suffix != CACHE and path.name not in SYSTEM_FILES:
            raise FlawshotError(f"{path}: is not part of the export; move it away")


def write_image(source: Path | bytes, target: Path, *, link: bool = False) -> bool:
    """Write an image to a new path: the same bytes, unless it has to be turned or becomes another format.

    Annotations are of the upright image, but many programs ignore the orientation in an image's EXIF data.

    Args:
        source: The image's file, or its bytes.
        target: The path; another suffix than that of a source file converts it.
        link: Whether to hard-link a file that needs no change, if the file system can.

    Returns:
        Whether it had to be turned.

    Raises:
        ImageError: If it cannot be decoded.
        OSError: If it cannot be written.
    """
    anew = _written_anew(source, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if anew is not None:
        anew.image.save(target, quality=QUALITY, subsampling=0, **anew.kind)
        return anew.turned
    if isinstance(source, bytes):
        target.write_bytes(source)
        return False
    if link:
        try:
            os.link(source.resolve(), target)
        except OSError:  # another disk, or a file system without links
            pass
        else:
            return False
    shutil.copyfile(source, target)
    return False


class _Anew(NamedTuple):
    """An image that has to be written anew: its format if the suffix does not say it, and whether it was turned."""

    image: Image.Image
    kind: dict[str, str]
    turned: bool


def _written_anew(source: Path | bytes, target: Path) -> _Anew | None:
    other = isinstance(source, Path) and source.suffix.lower() != target.suffix.lower()
    turned = header(source, target.name)[2] != 1  # without decoding it, which would take most of an export's time
    if not turned and not other:
        return None
    with open_image(source, target.name) as opened:
        kind = "JPEG" if opened.format == "MPO" else opened.format or "PNG"
        upright = ImageOps.exif_transpose(opened) if turned else opened.copy()
        upright.info.pop("exif", None)  # some formats would get it again, with the orientation
    return _Anew(upright, {} if other else {"format": kind}, turned)


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    r"""Rows as JSON Lines.

    >>> json_lines([{"a": 1}])
    b'{"a": 1}\n'
    """
    return b"".join(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n" for row in rows)


def write_json_file(path: Path, value: Any) -> None:
    """Write a new JSON file without line breaks, because annotations may be large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json_bytes(value, path, indent=None))
