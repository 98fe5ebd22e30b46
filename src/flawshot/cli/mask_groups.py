"""Options of commands that take regions from masks beside images, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.finder_groups import REMEDIES, whole_threshold
from flawshot.cli.wording import option_words

if TYPE_CHECKING:
    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog

__all__ = ["MaskGroup"]


@dataclass(frozen=True)
class MaskGroup:
    """Where masks are, and which of their regions count."""

    layout_name: Annotated[
        str | None,
        typer.Option("--as", metavar="LAYOUT", help="Images with masks: mvtec-ad, mvtec-loco, visa or beside."),
    ] = None
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", metavar="IMAGES|MASKS", help="Images with masks: 'images/{name} | masks/{name}'."),
    ] = None
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="N", help="Masks and maps: values above N belong to a region."),
    ] = None
    min_area: Annotated[
        int, typer.Option("--min-area", metavar="PX", min=1, help="Masks and maps: skip regions with fewer px.")
    ] = 1
    max_instances: Annotated[
        int,
        typer.Option("--max-instances", metavar="N", min=1, help="Skip images with more such regions, or boxes."),
    ] = 10_000

    def hold(self, data: Path, out: Path) -> bool:
        """Whether the regions of a folder are those of masks.

        Args:
            data: The folder.
            out: The folder of predictions, which is not searched.

        Raises:
            FlawshotError: If it has neither annotation files nor masks in a known layout.
        """
        if self.layout_name or self.pattern:
            return True
        if not _only_masks(data):
            return False
        _refuse_bare(data, out)
        return True

    def catalog(self, data: Path, out: Path, product: list[str] | None, images: Path | None) -> Catalog:
        """The regions of images with masks.

        Args:
            data: The folder.
            out: The folder of predictions, which is not searched.
            product: The option of that name.
            images: Likewise.

        Raises:
            FlawshotError: If no mask contains a region, or options do not go together.
        """
        from flawshot.base.errors import FlawshotError
        from flawshot.catalog import Catalog
        from flawshot.cli.console import progress_bar, say_problems
        from flawshot.cli.options import problems_of
        from flawshot.formats.masks import read_masks

        if images is not None:
            raise FlawshotError("--images: is for Labelme files; masks name their images")
        limit = whole_threshold(self.threshold)
        problems: list[Problem] = []
        with progress_bar("masks") as progress:
            annotations = read_masks(
                data,
                problems,
                layout=self.layout_name or self.pattern,
                threshold=limit,
                min_area=self.min_area,
                max_instances=self.max_instances,
                beyond=out,
                progress=progress,
            )
            try:
                found = Catalog.from_annotations(annotations, root_name=data.resolve().name)
            except FlawshotError as error:
                raise FlawshotError(error.worded(_mask_words)) from error
        catalog = Catalog(found.table, data.resolve(), (*problems, *found.problems))
        if not len(catalog):
            first = f"; the first problem: {catalog.problems[0].marked}" if catalog.problems else ""
            raise FlawshotError(f"{data}: no mask contains a region{first}")
        selected = catalog.select(product) if product else catalog
        say_problems(problems_of(selected, catalog), data, remedy="flawshot import masks --problems FILE lists all")
        return selected


def _refuse_bare(data: Path, out: Path) -> None:
    """Say what can be done about images without masks and without regions."""
    from flawshot.base.errors import FlawshotError
    from flawshot.formats.mask_layouts import recognize_masks
    from flawshot.formats.scored_shapes import bare_images

    try:
        recognize_masks(data, beyond=out)
    except FlawshotError as error:
        found = bare_images(data, [], beyond=[out])
        raise FlawshotError(
            f"{data}: contains {counted(len(found), 'image')}, but no Labelme files, and no masks in a known layout: "
            f"{REMEDIES}; for masks that people drew, name their layout with --as or --pattern"
        ) from error


def _only_masks(data: Path) -> bool:
    """Whether a folder contains no annotation file."""
    from flawshot.labelme.data_folder import annotation_files

    return data.is_dir() and not annotation_files(data.resolve(), [])


def _mask_words(name: str, value: str) -> str:
    """An argument of the mask reader as an option; its layout has another option name than that of Labelme files."""
    words = option_words(name, value)
    return words.replace("--layout", "--pattern" if "|" in value else "--as", 1) if name == "layout" else words
