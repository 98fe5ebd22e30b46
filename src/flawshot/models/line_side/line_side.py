"""Classify regions of images with a model that flawshot exported; needs numpy, Pillow and onnxruntime, nothing else.

    python line_side.py FOLDER DATA… [--json] [--max-pixels N] [--batch N]

FOLDER contains model.onnx and model.json. DATA are Labelme files, or folders of them; labels do not influence the
predictions. Each region gets one line of CSV, with the columns of flawshot's predictions.csv, or one JSON object. What
cannot be used is reported on standard error, one line each, and then the exit status is 2.

In a program of your own:

    model = LineSide("FOLDER")
    prediction = model.predict(image, mask)  # a path, a PIL image or uint8 [height, width, 3]; bool [height, width]
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import math
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF")  # no other decoder of Pillow is ever tried
MAX_PIXELS, MAX_COORDINATE, MAX_JSON = 2**28, 200_000.0, 2**30  # of an image, px, and bytes
MAX_SHAPES, MAX_DRAWN, MAX_MASKS = 100_000, 2**32, 2**30  # of a file: shapes, px of their boxes, px of masks
MAX_ROWS = 2**23  # the rows that an outline crosses: drawing takes time in proportion
FLOOR, LARGEST = 32, 9_000  # least and greatest side of a crop of relative size, px
ORIENTATION = 0x0112
LINE_WIDTH, POINT_RADIUS = 10, 5
POINTS = {
    "polygon": (3, None), "rectangle": (2, 2), "oriented_rectangle": (4, 4), "circle": (2, 2), "line": (2, 2),
    "linestrip": (2, None), "point": (1, 1), "points": (1, None), "mask": (2, 2),
}  # fmt: skip
OUTLINED = {"polygon", "rectangle", "oriented_rectangle"}
COLUMNS = (
    "id", "image", "x0", "y0", "x1", "y1", "true", "predicted", "probability", "runner_up", "runner_up_probability",
    "set", "unsure", "unknown",
)  # fmt: skip


class Mistake(ValueError):
    """Something that a user can fix, in one line."""


class Region(NamedTuple):
    """The pixels of a region: their box (x0, y0, x1, y1; half-open; px), bool ``[height, width]`` of the box, and the
    extreme points (left, top, right, bottom; inclusive) on whose middle crops are centered.
    """  # fmt: skip

    box: tuple[int, int, int, int]
    pixels: NDArray[np.bool_]
    extent: tuple[float, float, float, float]


class Prediction(NamedTuple):
    """What the model says of a region.

    ``categories`` are those that cannot be excluded, most probable first; ``unsure``: a person should look;
    ``unknown``: unlike every category that the model knows; ``novelty``: how unlike; ``probabilities`` by category.
    """

    label: str
    probability: float
    runner_up: str
    runner_up_probability: float
    categories: tuple[str, ...]
    unsure: bool
    unknown: bool
    novelty: float
    probabilities: dict[str, float]


class LineSide:
    """A model, loaded from its folder; ``providers`` and ``options`` are onnxruntime's."""

    def __init__(
        self, folder: str | Path, *, providers: Iterable[str] = ("CPUExecutionProvider",), options: Any = None
    ) -> None:
        folder = Path(folder)
        try:
            self.about = json.loads((folder / "model.json").read_bytes())
            if (self.about["format"], self.about["version"]) != ("flawshot-line-side", 1):
                raise Mistake(f"{folder / 'model.json'}: is not a model of version 1; get a line_side.py of its time")
            for name, expected in self.about["files"].items():
                with (folder / Path(name).name).open("rb") as opened:
                    if name != "line_side.py" and hashlib.file_digest(opened, "sha256").hexdigest() != expected:
                        raise Mistake(f"{folder / name}: is damaged or of another model; copy the folder again")
            self.categories: list[str] = self.about["categories"]
            self.side: int = self.about["side"]
            self.views: list[dict[str, Any]] = self.about["views"]
            self.calibration: dict[str, Any] = self.about["calibration"]
            self.filter = Image.Resampling[self.about["interpolation"].upper()]
        except (OSError, KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
            raise Mistake(f"{folder}: is not a folder of flawshot export onnx ({one_line(error)})") from error
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=list(providers))

    def predict(self, image: Any, mask: NDArray[np.bool_]) -> Prediction:
        """Predict one region.

        Args:
            image: A path, a PIL image, or uint8 ``[height, width]`` or ``[height, width, 3]``.
            mask: Its pixels in the upright image, bool ``[height, width]``.
        """
        if isinstance(image, np.ndarray):
            upright = Image.fromarray(image).convert("RGB")
        else:
            upright = upright_rgb(image) if isinstance(image, Image.Image) else read_image(Path(image), str(image))
        region = trimmed(np.asarray(mask, dtype=bool), 0, 0)
        if mask.shape != (upright.height, upright.width) or region is None:
            raise Mistake(f"the mask must be of the image's size {(upright.height, upright.width)}, and not empty")
        return self.predict_crops(*(part[None] for part in self.crop(upright, region)))[0]

    def predict_crops(self, images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> list[Prediction]:
        """Predict regions from their crops, uint8 ``[regions, views, side, side, 3]`` and ``[…, side, side]``."""
        shares, novelty = self.session.run(["probabilities", "novelty"], {"images": images, "masks": masks})
        return [self._judged(*pair) for pair in zip(shares, novelty, strict=True)]

    def _judged(self, shares: NDArray[np.float32], novelty: np.float32) -> Prediction:
        known, order = self.calibration, np.argsort(-shares, kind="stable")
        first, second = int(order[0]), int(order[1])
        enough = shares.astype(np.float64) >= np.array(known["least"])
        unsure = shares[first] < known["coverage"] if known["promised"] is None else enough.sum() != 1
        limit = math.inf if known["novelty_limit"] is None else known["novelty_limit"]
        return Prediction(
            self.categories[first],
            float(shares[first]),
            self.categories[second],
            float(shares[second]),
            tuple(self.categories[number] for number in order if enough[number] or number == first),
            bool(unsure),
            bool(novelty > limit),
            float(novelty),
            dict(zip(self.categories, map(float, shares), strict=True)),
        )

    def crop(self, image: Image.Image, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A region's views, uint8 ``[views, side, side, 3]``, and its mask in them, uint8 ``[views, side, side]``."""
        (x0, y0, x1, y1), (left, top, right, bottom) = region.box, region.extent
        images = np.empty((len(self.views), self.side, self.side, 3), dtype=np.uint8)
        masks = np.empty((len(self.views), self.side, self.side), dtype=np.uint8)
        for number, view in enumerate(self.views):
            size = int(view["size"])
            if view["relative"]:
                size = min(LARGEST, max(FLOOR, round(view["size"] * max(x1 - x0, y1 - y0))))
            x = int((left + right) // 2) + view["column"] * size // 3 - size // 2
            y = int((top + bottom) // 2) + view["row"] * size // 3 - size // 2
            pixels, mask = self._cut(image, region, x, y, size)
            images[number], masks[number] = (turned(part, view["angle"], view["flip"]) for part in (pixels, mask))
        return images, masks

    def _cut(
        self, image: Image.Image, region: Region, x: int, y: int, size: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        width, height, border = image.width, image.height, self.about["border"]
        if border == "shift":
            x, y = inside(x, size, width), inside(y, size, height)
        if border == "reflect" and (x < 0 or y < 0 or x + size > width or y + size > height):
            columns, rows = mirrored(x, size, width), mirrored(y, size, height)
            corner = int(columns.min()), int(rows.min())
            extent = int(columns.max()) + 1 - corner[0], int(rows.max()) + 1 - corner[1]
            places = ((rows - corner[1])[:, None], columns - corner[0])
            pixels = Image.fromarray(np.asarray(window(image, *corner, *extent))[places])
            mask = Image.fromarray(np.asarray(drawn(region, *corner, *extent))[places])
        else:
            pixels, mask = window(image, x, y, size, size), drawn(region, x, y, size, size)
        return self._resized(pixels), self._resized(mask)

    def _resized(self, crop: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(crop if crop.width == self.side else crop.resize((self.side, self.side), self.filter))


def window(image: Image.Image, x: int, y: int, width: int, height: int) -> Image.Image:
    """A window of an image, black outside it."""
    out = Image.new(image.mode, (width, height))
    out.paste(image, (-x, -y))
    return out


def drawn(region: Region, x: int, y: int, width: int, height: int) -> Image.Image:
    """A region in a window of its image: 255 inside, 0 outside."""
    out = Image.new("L", (width, height))
    out.paste(Image.fromarray(region.pixels.astype(np.uint8) * 255), (region.box[0] - x, region.box[1] - y))
    return out


def inside(start: int, size: int, length: int) -> int:
    """The nearest start at which a crop is inside; centered if it is larger than the image."""
    return min(max(start, 0), length - size) if size <= length else (length - size) // 2


def mirrored(start: int, size: int, length: int) -> NDArray[np.intp]:
    """Indices from ``start``, mirrored at the first and last px as often as necessary."""
    period = max(1, 2 * (length - 1))
    places = np.arange(start, start + size) % period
    return np.where(places < length, places, period - places)


def turned(crop: NDArray[np.uint8], angle: int, flip: str) -> NDArray[np.uint8]:
    """A crop, rotated counter-clockwise and then mirrored."""
    crop = np.rot90(crop, angle // 90)
    if flip in {"vertical", "transverse"}:
        crop = crop[::-1]
    if flip in {"horizontal", "transverse"}:
        crop = crop[:, ::-1]
    return crop.swapaxes(0, 1) if flip in {"transpose", "transverse"} else crop


@contextmanager
def opened_image(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """An image's header, by a decoder of :data:`FORMATS`; its pixels are decoded on demand."""
    if isinstance(source, Path) and not source.is_file():
        raise Mistake("is missing, or not an ordinary file")
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
        if image.width * image.height > max_pixels:
            raise Mistake(f"has {image.width} x {image.height} px, more than {max_pixels}")
        yield image


def read_image(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An image: upright, 8 bits, mode RGB."""
    try:
        with opened_image(source, max_pixels) as image:
            return upright_rgb(image)
    except Exception as error:  # a damaged file makes the decoders raise anything at all
        raise Mistake(f"{name}: the image cannot be used ({one_line(error)})") from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """By its EXIF orientation; more than 8 bits are stretched from the least to the greatest value, as labelme does."""
    image.load()
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything at all, and the pixels may be intact
        orientation = 1
    if orientation in range(2, 9):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float64)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        scaled = (values - low) * (255.0 / (high - low) if high > low else 0.0)
        stretched = np.clip(np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0), 0, 255)
        image = Image.fromarray(stretched.astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:  # of which Pillow would warn
        image = image.copy()
        del image.info["transparency"]
    return image if image.mode == "RGB" else image.convert("RGB")


def trimmed(pixels: NDArray[np.bool_], x: int, y: int) -> Region | None:
    """The region of some pixels, the first of which is at column x and row y; None if there is none."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not rows.size:
        return None
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    box = (x + left, y + top, x + right, y + bottom)
    return Region(box, pixels[top:bottom, left:right], (box[0], box[1], box[2] - 1, box[3] - 1))


class Shape(NamedTuple):
    """One shape of a Labelme file."""

    index: int
    label: str
    kind: str
    points: NDArray[np.float64]
    group: int | None
    mask: NDArray[np.bool_] | None


def parse_shape(index: int, raw: Any) -> Shape:
    """A shape, checked."""
    try:
        label, kind, group = raw["label"], raw.get("shape_type") or "polygon", raw.get("group_id")
        points = np.array([[float(x), float(y)] for x, y in raw["points"]], dtype=np.float64)
        mask = None
        if kind == "mask":
            data = base64.b64decode("".join(raw["mask"].split()), validate=True)
            with opened_image(data) as opened:
                mask = np.asarray(opened).astype(bool)
    except Exception as error:
        raise Mistake(f"shape {index}: is damaged ({one_line(error)})") from error
    if kind in {"quadrilateral", "rotation"}:  # of X-AnyLabeling
        kind = "polygon"
    if kind == "rectangle" and len(points) in {4, 5}:
        kind, points = four_corners(points)
    least, most = POINTS.get(kind, (math.inf, None)) if isinstance(kind, str) else (math.inf, None)
    if not isinstance(label, str) or not isinstance(group, int | None) or (mask is not None and mask.ndim != 2):
        raise Mistake(f"shape {index}: label, group_id or mask is not valid")
    if len(points) < least or (most is not None and len(points) > most):
        raise Mistake(f"shape {index}: a {str(kind)[:60]} of {len(points)} points is not known")
    if not (np.abs(points) <= MAX_COORDINATE).all() or np.abs(np.diff(points[:, 1])).sum() > MAX_ROWS:
        raise Mistake(f"shape {index}: its points are too far away or too many")
    return Shape(index, label, kind, points, group, mask)


def four_corners(points: NDArray[np.float64]) -> tuple[str, NDArray[np.float64]]:
    """A rectangle with all its corners, as X-AnyLabeling writes it: a rectangle if it is upright, or else a polygon."""
    if len(points) == 5 and (points[0] == points[4]).all():
        points = points[:4]
    low, high = points.min(axis=0), points.max(axis=0)
    upper = points > (low + high) / 2
    near = np.abs(points - np.where(upper, high, low)) <= 0.01
    steps = (upper != np.roll(upper, 1, axis=0)).sum(axis=1)
    upright = near.all() and ((steps == 1).all() or (high - low).min() <= 0.01)
    return ("rectangle", np.array([low, high])) if upright and len(points) == 4 else ("polygon", points)


def box_of(shape: Shape) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of a box that contains what is drawn."""
    low, high, margin = shape.points.min(axis=0), shape.points.max(axis=0), 0.0
    if shape.kind == "circle":
        low = high = shape.points[0]
        margin = math.dist(*shape.points)
    elif shape.kind in {"line", "linestrip", "point", "points"}:
        margin = LINE_WIDTH if "line" in shape.kind else POINT_RADIUS
    return low - margin, high + margin


def rasterized(shape: Shape, width: int, height: int) -> Region | None:
    """What a shape covers of an image, pixel for pixel as in labelme; None if nothing."""
    if shape.mask is not None:
        x, y = (int(value) for value in shape.points[0])
        left, top = max(0, -x), max(0, -y)
        return trimmed(shape.mask[top : max(0, height - y), left : max(0, width - x)], x + left, y + top)
    ends = (math.floor(end) + 2 for end in box_of(shape)[1])
    canvas = Image.new("L", tuple(max(0, min(size, end)) for size, end in zip((width, height), ends, strict=True)))
    draw, points = ImageDraw.Draw(canvas), [(float(x), float(y)) for x, y in shape.points]
    if shape.kind in {"polygon", "oriented_rectangle"}:
        draw.polygon(points, outline=1, fill=1)
    elif shape.kind == "rectangle":
        (xs, ys) = zip(*points, strict=True)
        draw.rectangle((min(xs), min(ys), max(xs), max(ys)), outline=1, fill=1)
    elif shape.kind in {"line", "linestrip"}:
        draw.line(points, fill=1, width=LINE_WIDTH)
    else:
        radius = math.dist(*points) if shape.kind == "circle" else POINT_RADIUS
        for x, y in points[:1] if shape.kind == "circle" else points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=1, fill=1)
    return trimmed(np.asarray(canvas).astype(bool), 0, 0)


def joined(shapes: list[Shape], width: int, height: int) -> Region | None:
    """The union of an instance's shapes."""
    parts = [part for shape in shapes if (part := rasterized(shape, width, height))]
    if not parts:
        return None
    x0, y0 = (min(part.box[axis] for part in parts) for axis in (0, 1))
    x1, y1 = (max(part.box[axis] for part in parts) for axis in (2, 3))
    union = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    for (left, top, right, bottom), pixels, _ in parts:
        union[top - y0 : bottom - y0, left - x0 : right - x0] |= pixels
    extent: tuple[float, float, float, float] = (x0, y0, x1 - 1, y1 - 1)
    if all(shape.kind in OUTLINED for shape in shapes):
        points = np.concatenate([shape.points for shape in shapes])
        extent = (*map(float, points.min(axis=0)), *map(float, points.max(axis=0)))  # type: ignore[assignment]
    return Region((x0, y0, x1, y1), union, extent)


def grouped(shapes: list[Shape]) -> Iterator[list[Shape]]:
    """Shapes by instance: those with the same group belong together, if they have the same label."""
    groups: dict[int | None, list[Shape]] = {}
    for shape in shapes:
        groups.setdefault(shape.group, []).append(shape)
    for shape in shapes:
        own = groups[shape.group]
        if shape.group is None or len({each.label for each in own}) > 1:
            yield [shape]
        elif shape is own[0]:
            yield own


class Found(NamedTuple):
    """A region of an annotation file, with its image."""

    id: str
    image_name: str
    label: str
    image: Image.Image
    region: Region


def read_regions(root: Path, name: str, max_pixels: int, report: Callable[[str], None]) -> Iterator[Found]:
    """The regions of a Labelme file, ``name`` under ``root``; shapes that cannot be used are reported."""
    document = read_json(root / name)
    shapes, masks = [], 0
    for index, raw in enumerate(document["shapes"]):
        try:
            shapes.append(parse_shape(index, raw))
            masks += 0 if shapes[-1].mask is None else shapes[-1].mask.size
        except Mistake as error:
            report(f"{name}: {error}")
        if masks > MAX_MASKS or index >= MAX_SHAPES:
            raise Mistake("has too many or too large shapes")
    if not shapes:
        return
    image_name, image = find_image(root, name, document, max_pixels)
    boxes = (np.clip(box_of(shape), 0, image.size) for shape in shapes)
    if sum(math.prod(np.ceil(high - low)) for low, high in boxes) > MAX_DRAWN:
        raise Mistake("has too many or too large shapes")
    for several in grouped(shapes):
        region = joined(several, *image.size)
        if region is None:
            report(f"{name}: shape {several[0].index}: covers no pixel of the image")
        else:
            yield Found(f"{name}#{several[0].index}", image_name, several[0].label, image, region)


def read_json(path: Path) -> dict[str, Any]:
    """A Labelme file's object."""
    if not path.is_file() or path.stat().st_size > MAX_JSON:
        raise Mistake("is missing, not an ordinary file, or too large")
    data = path.read_bytes()
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        document = json.loads(data.decode("gbk"))
    if not isinstance(document, dict) or not isinstance(document.get("shapes"), list):
        raise Mistake("is not a Labelme file")
    return document


def find_image(root: Path, name: str, document: dict[str, Any], max_pixels: int) -> tuple[str, Image.Image]:
    """An annotation's image: the embedded one if there is one that is readable, or else the file; and its name."""
    given, beside = document.get("imagePath") or "", (PurePosixPath(name).parent / "_").as_posix()[:-1]
    own = PureWindowsPath(given)
    wanted = os.path.normpath(beside + own.as_posix()).replace(os.sep, "/")
    by_name = beside + (own.name or f"{PurePosixPath(name).stem}.png")
    outside = own.drive or own.root or wanted == ".." or wanted.startswith("../")
    names = [by_name] if outside else [wanted, by_name]
    there = next((each for each in names if "\0" not in each and (root / each).is_file()), names[0])
    try:
        embedded = base64.b64decode("".join(document["imageData"].split()), validate=True)
        return there, read_image(embedded, "imageData", max_pixels)
    except (KeyError, AttributeError, ValueError):
        image = read_image(root / there, there, max_pixels)
    stated = (document.get("imageWidth"), document.get("imageHeight"))
    if None not in stated and stated != image.size:
        raise Mistake(
            f"{there}: is {image.width} x {image.height} px, but the annotation says {stated[0]} x {stated[1]}"
        )
    return there, image


def annotations(data: Path) -> tuple[Path, list[str]]:
    """The folder and the annotation files' paths in it; links to folders are not followed."""
    if not data.is_dir():
        return data.parent, [data.name]
    found = []
    for folder, folders, names in os.walk(data):
        folders[:] = [name for name in folders if not name.startswith(".")]
        own = [name for name in names if name.lower().endswith(".json") and not name.startswith(".")]
        found += [(Path(folder, name).relative_to(data)).as_posix() for name in own]
    return data, sorted(found)


def row(found: Found, said: Prediction, categories: list[str]) -> list[str]:
    """A region's line of the table; an apostrophe precedes text that would be a formula in a spreadsheet."""
    true = found.label if found.label in categories else ""
    shares = [f"{round(share, 6):.4f}" for share in (said.probability, said.runner_up_probability)]
    cells = [found.id, found.image_name, *map(str, found.region.box), true, said.label, shares[0], said.runner_up]
    cells += [shares[1], "|".join(said.categories), str(said.unsure).lower(), str(said.unknown).lower()]
    return [f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else cell for cell in cells]


def one_line(error: object) -> str:
    """An error's text on one short line."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return "".join(each if each.isprintable() else "?" for each in text)


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="what flawshot export onnx wrote")
    parser.add_argument("data", metavar="DATA", type=Path, nargs="+", help="Labelme files, or folders of them")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of CSV")
    parser.add_argument("--max-pixels", type=int, default=MAX_PIXELS, metavar="N", help="refuse larger images")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="regions at once")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's, of images that are refused or usable anyway
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    reports: list[str] = []

    def report(text: str) -> None:
        reports.append(text)
        print(f"line_side.py: {one_line(text)}", file=sys.stderr)

    try:
        model = LineSide(options.folder)
    except Mistake as error:
        report(str(error))
        return 2
    table = csv.writer(sys.stdout, lineterminator="\n")
    if not options.json:
        table.writerow(COLUMNS)

    def write(batch: list[Found]) -> None:
        crops = [model.crop(found.image, found.region) for found in batch]
        images, masks = (np.stack(part) for part in zip(*crops, strict=True))
        for found, said in zip(batch, model.predict_crops(images, masks), strict=True):
            if options.json:
                place = {"id": found.id, "image": found.image_name, "box": found.region.box}
                print(json.dumps(place | said._asdict(), ensure_ascii=False))
            else:
                table.writerow(row(found, said, model.categories))

    waiting: list[Found] = []
    for data in options.data:
        root, names = annotations(data)
        for name in names:
            try:
                for found in read_regions(root, name, options.max_pixels, report):
                    waiting.append(found)
                    if len(waiting) >= options.batch:
                        write(waiting)
                        waiting = []
            except (Mistake, OSError, RecursionError, ValueError) as error:
                report(f"{name}: {error}")
    if waiting:
        write(waiting)
    return 2 if reports else 0


if __name__ == "__main__":
    sys.exit(main())
