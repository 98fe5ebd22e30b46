"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.cli.voice import with_voice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog

__all__ = [
    "DataArgument",
    "GalleryImagesOption",
    "GalleryOption",
    "GroupOption",
    "ImagesOption",
    "LayoutOption",
    "MovedImagesOption",
    "NoVerifyOption",
    "OverwriteOption",
    "ProductOption",
    "RowsOption",
    "StrictOption",
    "groups_with_good",
    "image_groups",
    "open_data",
    "problems_of",
    "read_groups",
    "whole_numbers",
    "with_shared_options",
]

# A value with one of these suffixes is a table, or a spreadsheet to save as one, not a regular expression.
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods")

DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A folder of Labelme JSON files with their images, a catalog.parquet, or a feature bank's folder.",
    ),
]
ProductOption = Annotated[
    list[str] | None, typer.Option("--product", metavar="NAME", help="Only this product; repeatable.")
]
LayoutOption = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="PATTERN",
        help="Where the path names product and split, such as {product}/{split}/** or **; detected by default.",
    ),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Folder to look for the images in, by path and then by name; by default beside the annotations.",
    ),
]
MovedImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images", metavar="DIR", help="Where the images are now, if they are not in DATA; as predicted by default."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Stop at the first unusable annotation instead of skipping it.")
]
GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="REGEX|FILE.csv",
        help="Which images show the same physical sample: a regular expression on the image path, or a table with "
        "columns image,group.",
    ),
]
RowsOption = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Write the rows as JSON; - prints them.")
]
GalleryImagesOption = Annotated[
    Path | None,
    typer.Option("--images", metavar="DIR", help="Folder to look for the gallery's images in, if it is not DATA."),
]
GalleryOption = Annotated[
    Path | None, typer.Option("--data", metavar="DATA", help="Folder with the images, for the report's gallery.")
]
PixelsOption = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        metavar="N",
        min=1,
        help="Do not open images with more px (width x height); default 268435456.",
    ),
]
NoVerifyOption = Annotated[
    bool, typer.Option("--no-verify", help="Skip the check of a feature bank's files against their hashes.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing files that differ.")]


def with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of all commands: ``--max-pixels``, ``--quiet``, ``--verbose``."""
    return with_voice(_with_pixel_limit(command))


def _with_pixel_limit(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option ``--max-pixels``, which limits the size of the images that a command opens."""

    @functools.wraps(command)
    def limited(*given: Any, max_pixels: int | None, **named: Any) -> None:
        if max_pixels is None:
            command(*given, **named)
            return
        from flawshot.labelme.images import pixel_limit

        with pixel_limit(max_pixels):
            command(*given, **named)

    option = inspect.Parameter("max_pixels", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=PixelsOption)
    signature = inspect.signature(command, eval_str=True)
    limited.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    limited.__annotations__ = get_type_hints(command, include_extras=True) | {"max_pixels": PixelsOption}
    return limited


def open_data(
    data: Path,
    layout: str | None,
    products: list[str] | None,
    *,
    strict: bool,
    images: Path | None = None,
    geometry: bool = True,
    unsaid: frozenset[str] = frozenset(),
) -> Catalog:
    """Open the catalog of DATA and summarize its problems on standard error, except kinds in ``unsaid``.

    If ``images`` is given, images are looked for in that folder. Without ``geometry`` the catalog can only be counted
    and queried.
    """
    from flawshot.catalog import Catalog
    from flawshot.cli.console import progress_bar, say_problems

    with progress_bar("files") as progress:
        catalog = Catalog.open(data, layout=layout, strict=strict, geometry=geometry, images=images, progress=progress)
    selected = catalog.select(products) if products else catalog
    say_problems([problem for problem in problems_of(selected, catalog) if problem.kind not in unsaid], data)
    return selected


def problems_of(selected: Catalog, catalog: Catalog) -> list[Problem]:
    """The catalog's problems, except those of files whose instances were not selected."""
    if selected is catalog or not catalog.problems:
        return list(catalog.problems)
    elsewhere = set(catalog.column("annotation")) - set(selected.column("annotation"))
    return [problem for problem in catalog.problems if problem.file not in elsewhere]


def read_groups(group: str, catalog: Catalog) -> dict[str, str]:
    """The group of each image of a catalog, by the regular expression or table given as ``--group``."""
    return image_groups(group, catalog.column("image"))


def image_groups(group: str, images: Sequence[str]) -> dict[str, str]:
    """The group of each image, given by its path, by the regular expression or table given as ``--group``."""
    from flawshot.episodes import groups_from_csv, groups_from_regex

    if _is_table(group):
        return groups_from_csv(Path(group), images)
    return groups_from_regex(group, images)


def groups_with_good(group: str, images: Sequence[str], good: Mapping[str, str]) -> dict[str, str]:
    """The group of each annotated image, and of each good one, by ``--group``.

    A table names good images, too, by their paths from the data root, or by the end of these if it is no other image's.
    A regular expression is searched for in their paths in the folder of good images, and then in those from the root.

    Args:
        group: The regular expression or table.
        images: The annotated images, relative to the data root (POSIX).
        good: The good images' paths in their own folder, by those from the data root.
    """
    from flawshot.base.errors import EpisodeError

    if _is_table(group):
        return image_groups(group, [*images, *good])
    groups = image_groups(group, images)
    for name, short in good.items():
        try:
            (groups[name],) = image_groups(group, [short]).values()
        except EpisodeError:
            groups |= image_groups(group, [name])
    return groups


def _is_table(group: str) -> bool:
    return group.lower().endswith(TABLE_SUFFIXES) or _is_file(group)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a name that the file system does not allow
        return False


def whole_numbers(text: str, name: str) -> list[int]:
    """Parse whole numbers of at least 1, separated by commas.

    Raises:
        FlawshotError: If the text is not such a list.

    >>> whole_numbers("1,3,5", "shots")
    [1, 3, 5]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 and int(part) > 0 for part in parts):
        raise FlawshotError(f"{argument(name, text[:80])}: must be whole numbers of at least 1, such as 1,3,5")
    return list(dict.fromkeys(int(part) for part in parts))
