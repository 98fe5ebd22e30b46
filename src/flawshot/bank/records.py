"""Records of a feature bank's manifest: encoder, views, files."""

from __future__ import annotations

import importlib.metadata
from typing import Literal

from pydantic import Field, ValidationError

from flawshot.base.errors import FlawshotError
from flawshot.base.records import EncoderRecord, LeftOut  # noqa: TC001 - pydantic reads them
from flawshot.base.store.files import Document, one_line
from flawshot.base.wording import counted
from flawshot.regions.views import SCHEMES, Border, Flip, Size, View, ViewScheme, make_scheme

__all__ = [
    "BankManifest",
    "Shard",
    "TextRecord",
    "ViewEntry",
    "ViewRecord",
    "difference",
    "library_versions",
    "scheme_of",
]


class ViewEntry(Document):
    """One view, field by field; see :class:`flawshot.regions.views.View`.

    Attributes:
        size: The crop's side, in ``unit``.
        unit: ``px``, or ``x`` for multiples of the longer side of the instance's box.
        column: Offset to the right, in thirds of the side.
        row: Offset downwards, in thirds of the side.
        angle: Counter-clockwise rotation in degrees.
        flip: Mirroring, after the rotation.
    """

    size: float
    unit: Literal["px", "x"]
    column: int
    row: int
    angle: int
    flip: Flip


class ViewRecord(Document):
    """The views that were cropped.

    Attributes:
        scheme: The view scheme's name, such as ``mso``; for display only, it does not identify the views.
        sizes: Its sizes, such as ``256px`` or ``1.5x``.
        border: How crops beyond the image's border are filled: ``zero``, ``reflect``, or ``shift``.
        views: Every view, in order; empty in files written by flawshot 0.1.
    """

    scheme: str
    sizes: tuple[str, ...]
    border: Border
    views: tuple[ViewEntry, ...] = ()

    @classmethod
    def of(cls, scheme: ViewScheme) -> ViewRecord:
        """The record of a view scheme, built-in or not.

        Raises:
            FlawshotError: If it has no views, or one of them is invalid.
        """
        if not scheme.views:
            raise FlawshotError(f"views: the scheme {scheme.name!r} has no view")
        try:
            return cls(
                scheme=scheme.name,
                sizes=tuple(map(str, scheme.sizes)),
                border=scheme.border,
                views=tuple(_entry(view) for view in scheme.views),
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise FlawshotError(f"views: the scheme {scheme.name!r}: {field}: {one_line(first['msg'])}") from error


def _entry(view: View) -> ViewEntry:
    return ViewEntry(
        size=view.size.value,
        unit="x" if view.size.relative else "px",
        column=view.column,
        row=view.row,
        angle=view.angle,
        flip=view.flip,
    )


def scheme_of(record: ViewRecord, place: object, remedy: str) -> ViewScheme:
    """The view scheme that a record describes.

    Args:
        record: The record. One without listed views, as flawshot 0.1 wrote it, names a built-in scheme.
        place: The file that the record is in, for the error.
        remedy: What a user can do about an error.

    Raises:
        FlawshotError: If it lists no views and its name is not that of a built-in scheme.
    """
    if record.views:
        views = tuple(
            View(Size(entry.size, entry.unit == "x"), entry.column, entry.row, entry.angle, entry.flip)
            for entry in record.views
        )
        return ViewScheme(record.scheme, tuple(dict.fromkeys(view.size for view in views)), record.border, views)
    if record.scheme not in SCHEMES:
        raise FlawshotError(
            f"{place}: views: lists no views, and its scheme {record.scheme[:80]!r} is not one of flawshot's own, so "
            f"its crops are not known; {remedy}"
        )
    return make_scheme(record.scheme, record.sizes, record.border)


def difference(ours: ViewScheme, theirs: ViewScheme) -> tuple[str, object, object] | None:
    """The first field of a :class:`ViewRecord` in which two view schemes differ, and both values; None if they agree.

    The views decide, not the schemes' names; these are reported first only because they are the most informative.
    """
    one, other = ViewRecord.of(ours), ViewRecord.of(theirs)
    if (one.border, one.views) == (other.border, other.views):
        return None
    for field in ("scheme", "sizes", "border"):
        if getattr(one, field) != getattr(other, field):
            return field, getattr(one, field), getattr(other, field)
    if len(one.views) != len(other.views):
        return "views", counted(len(one.views), "view"), counted(len(other.views), "view")
    number = next(number for number, pair in enumerate(zip(one.views, other.views, strict=True)) if pair[0] != pair[1])
    mine, its = one.views[number].model_dump(), other.views[number].model_dump()
    field = next(name for name, value in mine.items() if value != its[name])
    return f"views.{number}.{field}", mine[field], its[field]


def library_versions() -> dict[str, str]:
    """Versions of the installed libraries that features depend on."""
    versions = {}
    for name in ("flawshot", "torch", "open_clip_torch", "pillow", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


class TextRecord(Document):
    """How a bank's text features were computed.

    Attributes:
        file: Their file in the bank's folder.
        templates: Prompts of every category that has no prompts of its own.
        categories: The other categories' own prompts, by label.
        rows: (product, category) of each row.
        weights_hash: SHA-256 of the text tower's weights, or None if they are not available.
    """

    file: Literal["text.safetensors"]
    templates: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    rows: tuple[tuple[str, str], ...]
    weights_hash: str | None


class Shard(Document):
    """One file of features: ``rows`` instances, in catalog order."""

    file: str
    rows: int


class BankManifest(Document):
    """How a bank's features were computed; ``manifest.json``.

    Attributes:
        version: The file's format version; for 1 and 2 see :mod:`flawshot.bank.old_records`.
        files: SHA-256 of every other file of the bank, by name; empty in files written by flawshot 0.1.
        seal: SHA-256 over the other fields; None in files written by flawshot 0.1.
    """

    format: Literal["flawshot-bank"]
    version: Literal[1, 2, 3]
    encoder: EncoderRecord
    views: ViewRecord
    shape: tuple[int, int, int, int]
    catalog_hash: str
    libraries: dict[str, str]
    shards: tuple[Shard, ...]
    left_out: tuple[LeftOut, ...] = ()
    text: TextRecord | None = None
    files: dict[str, str] = Field(default_factory=dict)
    seal: str | None = None

    @property
    def names(self) -> set[str]:
        """The other files that a bank must have."""
        text = set() if self.text is None else {self.text.file}
        return {shard.file for shard in self.shards} | {"catalog.parquet"} | text
