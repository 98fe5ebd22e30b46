"""Export of a catalog as YOLO's text files, as Ultralytics reads them: boxes or segments."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from flawshot.base.errors import Problem
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.export_images import export_images, save_image
from flawshot.formats.exporting import IMAGE_OPTIONS, Exported, export_folder
from flawshot.formats.flat_names import FlatNames
from flawshot.formats.region_outlines import ROUNDED, joined_outline, region_outlines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.formats.export_images import ExportImage

__all__ = ["export_yolo"]

OPTIONS = {
    "out": Option("A new folder.", "OUT"),
    **IMAGE_OPTIONS,
    "segments": Option("Write outlines, to train segmentation, instead of boxes."),
}
# Suffixes that Ultralytics reads; other images become PNG.
READ = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
# Digits behind the point: less than a thousandth px in the largest image.
DIGITS = 8
SPLITS = ("train", "val", "test")


def export_yolo(
    catalog: Catalog,
    out: Path,
    *,
    good: Path | None = None,
    link: bool = False,
    segments: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write ``data.yaml``, ``images/<split>/`` and ``labels/<split>/``, one text file per image.

    Classes count from 0 in the order of the labels, which ``data.yaml`` lists. A line is ``class cx cy width height``,
    or ``class x y x y …``, in shares of the image's size; boxes are those of the masks. Images have the names of their
    folders before their own, because many readers do not look into subfolders. Those in no split are written to
    ``train``. Good images have empty text files.

    A line is one polygon. That of a region of several parts joins them by lines there and back, as Ultralytics' own
    conversion does, and that of a region with holes covers them; both are reported.

    Args:
        catalog: The instances; its data folder must be available.
        out: The output folder.
        good: A further folder of images without flaws.
        link: Whether to hard-link images instead of copying them.
        segments: Whether to write outlines instead of boxes.
        overwrite: Whether an earlier export at ``out`` may be replaced.

    Returns:
        The number of lines.

    Raises:
        FlawshotError: If ``out`` exists, or cannot be written.
    """
    problems: list[Problem] = []
    labels = sorted(set(catalog.column("category")) - {""})
    numbers = {label: number for number, label in enumerate(labels)}
    names, written, counts = FlatNames(), 0, dict.fromkeys(SPLITS, 0)
    with export_folder(out, "yolo", data=catalog.root, overwrite=overwrite) as folder:
        for image in export_images(catalog, problems, good=good, beyond=out):
            split = image.split or "train"
            own = PurePosixPath(image.path).suffix
            name = names.name(image.path, suffix=own if own.lower() in READ else ".png")
            if not save_image(image, folder / "images" / split / name, problems, link=link):
                continue
            lines = _segments(image, numbers, problems) if segments else _boxes(image, numbers)
            place = folder / "labels" / split / f"{PurePosixPath(name).stem}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes("".join(f"{line}\n" for line in lines).encode())
            written += len(lines)
            counts[split] += 1
        present = [split for split in SPLITS if counts[split]]
        if present and "val" not in present:
            instead = "test" if "test" in present else present[0]
            message = f"the data has no val split, so val in data.yaml is {instead}"
            problems.append(Problem("data.yaml", "no-val", message, "warning"))
        (folder / "data.yaml").write_bytes(_yaml(labels, present).encode())
    return Exported(
        written,
        tuple(problems),
        f"{counted(sum(counts.values()), 'image')}, {counted(len(labels), 'category', 'categories')}",
    )


def _yaml(labels: list[str], present: list[str]) -> str:
    """The description of the data set; a string of JSON is one of YAML, too."""
    train = "train" if "train" in present else present[0] if present else "train"
    val = next((split for split in ("val", "test") if split in present), train)
    lines = [f"train: images/{train}", f"val: images/{val}"]
    if "test" in present:
        lines.append("test: images/test")
    lines += [f"nc: {len(labels)}", "names:"]
    lines += [f"  {number}: {json.dumps(label, ensure_ascii=False)}" for number, label in enumerate(labels)]
    return "".join(f"{line}\n" for line in lines)


def _boxes(image: ExportImage, numbers: dict[str, int]) -> list[str]:
    lines = []
    for region in image.regions:
        x0, y0, x1, y1 = region.instance.box
        shares = (
            (x0 + x1) / 2 / image.width,
            (y0 + y1) / 2 / image.height,
            (x1 - x0) / image.width,
            (y1 - y0) / image.height,
        )
        lines.append(_line(numbers[region.instance.category], shares))
    return lines


def _segments(image: ExportImage, numbers: dict[str, int], problems: list[Problem]) -> list[str]:
    lines = []
    for region in image.regions:
        outlines = region_outlines(region.instance.region(), moved=ROUNDED)
        if outlines.holes:
            message = "has holes, which a segment cannot express; they are covered"
            problems.append(Problem(region.instance.id, "holes", message, "warning"))
        if len(outlines.polygons) > 1:
            message = f"has {len(outlines.polygons)} parts, which its segment joins by lines"
            problems.append(Problem(region.instance.id, "parts", message, "warning"))
        points = joined_outline(outlines.polygons) / (image.width, image.height)
        lines.append(_line(numbers[region.instance.category], points.ravel().tolist()))
    return lines


def _line(number: int, shares: Iterable[float]) -> str:
    return f"{number} {' '.join(f'{share:.{DIGITS}f}'.rstrip('0').rstrip('.') for share in shares)}"
