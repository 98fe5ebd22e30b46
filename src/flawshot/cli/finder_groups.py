"""Options of flawshot predict and flawshot suggest that say where regions on bare images come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawshot.base.errors import FlawshotError
from flawshot.cli.wording import option_of, option_words

if TYPE_CHECKING:
    from flawshot.formats.scored_shapes import ShapeReader

__all__ = ["REMEDIES", "FinderGroup", "whole_threshold"]

# What a user can do about images without regions.
REMEDIES = (
    "find regions with --find if the model has a locator, give those of another program with --boxes, --masks or "
    "--maps, or take each image as one region with --whole-image"
)
# Options that go with one source only.
NEEDS = {"heatmaps": "find", "find_pretrained": "find", "coco": "boxes", "min_score": "boxes"}


@dataclass(frozen=True)
class FinderGroup:
    """Where the regions on bare images come from: one source at most."""

    find: Annotated[
        bool, typer.Option("--find", help="Find regions with the model's locator, on bare and on annotated images.")
    ] = False
    heatmaps: Annotated[
        Path | None,
        typer.Option("--heatmaps", metavar="DIR", help="With --find: write each image with its heat and regions."),
    ] = None
    find_pretrained: Annotated[
        Path | None,
        typer.Option(
            "--find-pretrained", metavar="FILE", help="The weights of the locator's own encoder, if from a file."
        ),
    ] = None
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            metavar="FILE|DIR",
            help="Bare images: regions of a detector: COCO results or a COCO file, a table image,x0,y0,x1,y1[,score], "
            "or a folder of YOLO's text files.",
        ),
    ] = None
    coco: Annotated[
        Path | None,
        typer.Option("--coco", metavar="FILE", help="COCO results: the COCO file with the images of their image_id."),
    ] = None
    min_score: Annotated[
        float | None, typer.Option("--min-score", metavar="S", help="Boxes: skip those with a lower score.")
    ] = None
    masks: Annotated[
        str | None,
        typer.Option(
            "--masks",
            metavar="IMAGES|MASKS",
            help="Bare images: regions of masks in the same folder: 'images/{name} | masks/{name}'.",
        ),
    ] = None
    maps: Annotated[
        str | None,
        typer.Option(
            "--maps",
            metavar="DIR|PATTERN",
            help="Bare images: regions of anomaly maps (.png, .tiff, .npy) above --threshold; in a folder, or named as "
            "in 'maps/{path}_map.png'.",
        ),
    ] = None
    whole_image: Annotated[bool, typer.Option("--whole-image", help="Bare images: each image is one region.")] = False

    @property
    def named(self) -> list[str]:
        """The options of sources that were given."""
        return [option_of(name) for name in ("find", "boxes", "masks", "maps", "whole_image") if getattr(self, name)]

    def check(self, *, threshold: float | None, min_area: int, others: dict[str, Any]) -> None:
        """Refuse options that do not go together.

        Args:
            threshold: The option of that name.
            min_area: Likewise.
            others: Options for annotated data that were given or not, by option.

        Raises:
            FlawshotError: With one line that names two of them.
        """
        named = self.named
        if len(named) > 1:
            raise FlawshotError(f"{' and '.join(named)}: regions come from one of them; remove the others")
        for name, source in NEEDS.items():
            if getattr(self, name) is not None and not getattr(self, source):
                raise FlawshotError(f"{option_of(name)}: needs {option_of(source)}")
        if not named:
            return
        (source,) = named
        if clash := [option for option, value in others.items() if value]:
            raise FlawshotError(f"{clash[0]}: is for annotated data, and {source} for bare images; remove one of them")
        if threshold is None and self.maps:
            raise FlawshotError("--maps: needs --threshold T, the value above which a map shows a flaw")
        if source in {"--find", "--boxes", "--whole-image"}:
            given = "--threshold" if threshold is not None else "--min-area" if min_area > 1 else ""
            if given:
                raise FlawshotError(f"{given}: is for masks and maps, not for {source}; remove it")

    def check_heat_maps(self, data: Path, out: Path) -> None:
        """Refuse a folder of heat maps that would become images of the data, or part of the predictions.

        Args:
            data: The folder of the images.
            out: The folder of predictions.

        Raises:
            FlawshotError: If one of them is inside the other.
        """
        if self.heatmaps is None:
            return
        place = self.heatmaps.resolve()
        for what, other in (("DATA", data.resolve()), ("predictions", out.resolve())):
            if place.is_relative_to(other) or other.is_relative_to(place):
                raise FlawshotError(
                    f"--heatmaps {self.heatmaps}: {what} and heat maps must not be inside each other ({other}); name "
                    "another folder"
                )

    def reader(
        self, root: Path, out: Path, *, threshold: float | None, min_area: int, max_instances: int
    ) -> ShapeReader:
        """What reads the regions of the source that was named.

        Args:
            root: The folder of the images.
            out: The folder of predictions, which is not searched.
            threshold: The option of that name.
            min_area: Likewise.
            max_instances: Likewise.

        Raises:
            FlawshotError: If it cannot be read.
        """
        if self.boxes is not None:
            from flawshot.formats.found_boxes import FoundBoxes

            return FoundBoxes(
                root,
                self.boxes,
                coco=self.coco,
                min_score=self.min_score,
                max_instances=max_instances,
                beyond=out,
            )
        if self.masks is not None:
            from flawshot.formats.found_masks import FoundMasks

            limit = whole_threshold(threshold)
            try:
                return FoundMasks(
                    root, self.masks, threshold=limit, min_area=min_area, max_instances=max_instances, beyond=out
                )
            except FlawshotError as error:
                raise FlawshotError(error.worded(_mask_words)) from error
        if self.maps is not None and threshold is not None:
            from flawshot.formats.anomaly_maps import AnomalyMaps

            return AnomalyMaps(
                root, self.maps, threshold=threshold, min_area=min_area, max_instances=max_instances, beyond=out
            )
        from flawshot.formats.whole_images import WholeImages

        return WholeImages(root, beyond=out)


def whole_threshold(threshold: float | None) -> int | None:
    """The threshold of masks, whose values are whole numbers.

    Raises:
        FlawshotError: If it is not one.
    """
    if threshold is None:
        return None
    if not 0 <= threshold <= 65535 or int(threshold) != threshold:
        raise FlawshotError(f"--threshold {threshold:g}: must be a whole number from 0 to 65535 for masks")
    return int(threshold)


def _mask_words(name: str, value: str) -> str:
    words = option_words(name, value)
    return words.replace("--layout", "--masks", 1) if name == "layout" else words
