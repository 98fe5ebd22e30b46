"""Export of a catalog as COCO: images, boxes, exact polygons or run lengths, and results of predictions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.export_images import export_images, is_prediction_folder, save_image
from flawshot.formats.exporting import IMAGE_OPTIONS, Exported, export_folder, write_json_file
from flawshot.formats.region_outlines import region_outlines
from flawshot.formats.run_lengths import encode_region

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog
    from flawshot.formats.export_images import ExportImage, ExportRegion
    from flawshot.labelme.shapes import Region

__all__ = ["export_coco"]

OPTIONS = {
    "out": Option("A new folder.", "OUT"),
    **IMAGE_OPTIONS,
    "no_images": Option("Write the annotations only; file_name is then the path in DATA."),
    "masks": Option("Write all regions as run lengths, also those that polygons express exactly."),
}
# Regions of more parts than this are written as run lengths.
MOST_POLYGONS = 32


def export_coco(
    catalog: Catalog,
    out: Path,
    *,
    good: Path | None = None,
    link: bool = False,
    no_images: bool = False,
    masks: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write ``annotations/instances[_<split>].json`` and ``images/``, in COCO's format.

    Category ids count from 1 in the order of the labels, and ids of images and annotations in the order of the images'
    paths; all files of an export share them. Boxes and areas are those of the masks. A region is written as polygons
    that pycocotools, and Labelme after ``import coco``, draw as exactly its pixels; as run lengths if it has holes or
    very many parts. Flags become ``attributes``. Good images have no annotations.

    Of a folder of predictions, the annotations are what people labeled, and ``results[_<split>].json`` are the
    predictions, in COCO's format for results, with their probabilities as ``score``.

    Args:
        catalog: The instances; its data folder must be available.
        out: The output folder.
        good: A further folder of images without flaws.
        link: Whether to hard-link images instead of copying them.
        no_images: Whether to write no images.
        masks: Whether to write run lengths only.
        overwrite: Whether an earlier export at ``out`` may be replaced.

    Returns:
        The number of annotations.

    Raises:
        FlawshotError: If ``out`` exists, or cannot be written.
    """
    problems: list[Problem] = []
    predicted = catalog.root is not None and is_prediction_folder(catalog.root)
    with export_folder(out, "coco", data=catalog.root, overwrite=overwrite) as folder:
        writer = _Writer(masks=masks)
        for image in export_images(catalog, problems, good=good, beyond=out):
            if no_images or save_image(image, folder / "images" / image.path, problems, link=link):
                writer.add(image)
        documents, results = writer.documents()
        for split, document in documents.items():
            write_json_file(folder / "annotations" / f"instances{split}.json", document)
            if predicted:
                write_json_file(folder / f"results{split}.json", results[split])
    written = sum(len(document["annotations"]) for document in documents.values())
    count = sum(len(document["images"]) for document in documents.values())
    summary = f"{counted(count, 'image')}, {counted(len(writer.labels), 'category', 'categories')}"
    if predicted:
        summary += f", {counted(sum(map(len, results.values())), 'result')}"
    return Exported(written, tuple(problems), summary)


class _Writer:
    """Collects images, annotations and results; labels become ids when all are known."""

    def __init__(self, *, masks: bool) -> None:
        self.labels: set[str] = set()
        self._masks = masks
        self._images: dict[str, list[dict[str, Any]]] = {}
        self._annotations: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._results: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._image_id = self._annotation_id = 0

    def add(self, image: ExportImage) -> None:
        split = f"_{image.split}" if image.split else ""
        self._image_id += 1
        entry = {"id": self._image_id, "file_name": image.path, "width": image.width, "height": image.height}
        self._images.setdefault(split, []).append(entry | {"product": image.product})
        for region in image.regions:
            self._add_region(region, split)

    def _add_region(self, region: ExportRegion, split: str) -> None:
        instance = region.instance
        pixels = instance.region()
        x0, y0, x1, y1 = pixels.box
        box = [x0, y0, x1 - x0, y1 - y0]
        runs = partial(encode_region, pixels, instance.image_height, instance.image_width)
        if region.truth is not None:
            self._annotation_id += 1
            entry = {
                "id": self._annotation_id,
                "image_id": self._image_id,
                "bbox": box,
                "area": pixels.area,
                "segmentation": (None if self._masks else _polygons(pixels)) or runs(),
                "iscrowd": 0,
            }
            if instance.flags:
                entry["attributes"] = instance.flags
            self.labels.add(region.truth)
            self._annotations.setdefault(split, []).append((region.truth, entry))
        if region.prediction is not None:
            label = region.prediction["predicted"]
            score = region.prediction["probability"]
            result = {"image_id": self._image_id, "bbox": box, "segmentation": runs(), "score": score}
            self.labels.add(label)
            self._results.setdefault(split, []).append((label, result))

    def documents(self) -> tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]]]:
        """The COCO file of each split, and its results."""
        numbers = {label: number for number, label in enumerate(sorted(self.labels), start=1)}
        categories = [{"id": number, "name": label, "supercategory": "defect"} for label, number in numbers.items()]

        def identified(entries: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
            return [entry | {"category_id": numbers[label]} for label, entry in entries]

        documents = {
            split: {
                "info": {"description": "Written by flawshot export coco", "version": "1.0"},
                "licenses": [],
                "images": images,
                "annotations": identified(self._annotations.get(split, [])),
                "categories": categories,
            }
            for split, images in self._images.items()
        }
        return documents, {split: identified(self._results.get(split, [])) for split in self._images}


def _polygons(region: Region) -> list[list[float]] | None:
    """Polygons that are exactly a region; None if there are none, or too many."""
    outlines = region_outlines(region)
    if not outlines.exact or len(outlines.polygons) > MOST_POLYGONS:
        return None
    return [polygon.ravel().tolist() for polygon in outlines.polygons]
