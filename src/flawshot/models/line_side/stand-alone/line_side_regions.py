"""Regions of Labelme files, drawn as in labelme, with their upright images; for line_side.py."""

from __future__ import annotations

import base64
import io
import json
import math
import os
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF")  # no other decoder of Pillow is ever tried
MAX_PIXELS, MAX_COORDINATE, MAX_JSON = 2**28, 200_000.0, 2**30  # of an image, px, and bytes
MAX_SHAPES, MAX_DRAWN, MAX_MASKS = 100_000, 2**32, 2**30  # of a file: shapes, px of their boxes, px of masks
MAX_ROWS = 2**23  # the rows that an outline crosses: drawing takes time in proportion
ORIENTATION = 0x0112
LINE_WIDTH, POINT_RADIUS = 10.0, 5.0  # px
POINTS = {
    "polygon": (3, None), "rectangle": (2, 2), "oriented_rectangle": (4, 4), "circle": (2, 2), "line": (2, 2),
    "linestrip": (2, None), "point": (1, 1), "points": (1, None), "mask": (2, 2),
}  # fmt: skip
OUTLINED = {"polygon", "rectangle", "oriented_rectangle"}
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit is lower; ours is checked before anything is decoded


class Mistake(ValueError):
    """Something that a user can fix, in one line."""


class Region(NamedTuple):
    """The pixels of a region.

    ``box`` is (x0, y0, x1, y1), half-open, in px; ``pixels`` is bool ``[height, width]`` of the box; crops are centered
    on the middle of ``extent``, the extreme points (left, top, right, bottom), inclusive.
    """

    box: tuple[int, int, int, int]
    pixels: NDArray[np.bool_]
    extent: tuple[float, float, float, float]


@contextmanager
def opened_image(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """An image's header, by a decoder of :data:`FORMATS`; its pixels are decoded on demand."""
    if isinstance(source, Path) and not source.is_file():
        raise Mistake("there is no such file")
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
        if image.width * image.height > max_pixels:
            raise Mistake(f"has {image.width} x {image.height} px, more than {max_pixels}")
        yield image


def read_image(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An image: upright, 8 bits, mode RGB."""
    try:
        with opened_image(source, max_pixels) as image:
            return upright_rgb(image)
    except Mistake as error:
        raise Mistake(f"{name}: the image cannot be used ({one_line(error)})") from error
    except UnidentifiedImageError as error:
        raise Mistake(f"{name}: the image is damaged, or not one of {', '.join(FORMATS)}") from error
    except Exception as error:  # a damaged file makes the decoders raise anything at all
        raise Mistake(f"{name}: the image cannot be decoded ({one_line(error)})") from error


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

    number: int
    label: str
    kind: str
    points: NDArray[np.float64]
    group: int | None
    mask: NDArray[np.bool_] | None


def checked_fields(index: int, raw: Any) -> tuple[str, str, int | None]:
    """A shape's label, type and group; its points are pairs of numbers."""
    if not isinstance(raw, dict):
        raise Mistake(f"shape {index}: is not an object")
    label, kind, group = raw.get("label"), raw.get("shape_type") or "polygon", raw.get("group_id")
    if not isinstance(label, str) or not isinstance(kind, str):
        raise Mistake(f"shape {index}: label and shape_type must be text")
    if isinstance(group, bool) or not isinstance(group, int | None) or abs(group or 0) >= 2**63:
        raise Mistake(f"shape {index}: group_id must be a whole number or null")
    if not all(type(value) in {int, float} for point in listed(raw.get("points")) for value in listed(point)):
        raise Mistake(f"shape {index}: points must be pairs of numbers")
    return label, kind, group


def parse_shape(index: int, raw: Any) -> Shape:
    """A shape, checked."""
    label, kind, group = checked_fields(index, raw)
    try:
        points = np.array([[float(x), float(y)] for x, y in raw["points"]], dtype=np.float64).reshape(-1, 2)
        mask = None
        if kind == "mask":
            data = base64.b64decode("".join(raw["mask"].split()), validate=True)
            with opened_image(data) as opened:
                mask = np.asarray(opened).astype(bool)
    except Exception as error:
        raise Mistake(f"shape {index}: its {'mask' if kind == 'mask' else 'points'} cannot be used") from error
    if kind in {"quadrilateral", "rotation"}:  # of X-AnyLabeling
        kind = "polygon"
    if kind == "rectangle" and len(points) in {4, 5}:
        kind, points = four_corners(points)
    least, most = POINTS.get(kind, (math.inf, None))
    if mask is not None and mask.ndim != 2:
        raise Mistake(f"shape {index}: mask must be a picture of one channel")
    if kind not in POINTS:
        raise Mistake(f"shape {index}: shape_type {kind[:60]} is unknown")
    if len(points) < least or (most is not None and len(points) > most):
        raise Mistake(f"shape {index}: a {kind} cannot have {len(points)} points")
    if not (np.abs(points) <= MAX_COORDINATE).all() or np.abs(np.diff(points[:, 1])).sum() > MAX_ROWS:
        raise Mistake(f"shape {index}: its points are too far away or too many")
    return Shape(index, label, kind, points, group, mask)


def listed(value: Any) -> list[Any]:
    """The value, if it is a list; or else a list that is no list of numbers."""
    return value if isinstance(value, list) else [None]


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
    low, high = shape.points.min(axis=0), shape.points.max(axis=0)
    margin = 0.0
    if shape.kind == "circle":
        low = high = shape.points[0]
        margin = math.dist(*shape.points)
    elif shape.kind in {"line", "linestrip", "point", "points"}:
        margin = LINE_WIDTH if "line" in shape.kind else POINT_RADIUS
    return low - margin, high + margin


def rasterized(shape: Shape, width: int, height: int) -> Region | None:
    """What a shape covers of an image, pixel for pixel as in labelme; None if nothing."""
    if shape.mask is not None:
        column, row = (int(value) for value in shape.points[0])
        left, top = max(0, -column), max(0, -row)
        part = shape.mask[top : max(0, height - row), left : max(0, width - column)]
        return trimmed(part, column + left, row + top)
    ends = (math.floor(end) + 2 for end in box_of(shape)[1])
    canvas = Image.new("L", tuple(max(0, min(size, end)) for size, end in zip((width, height), ends, strict=True)))
    draw, points = ImageDraw.Draw(canvas), [(float(x), float(y)) for x, y in shape.points]
    if shape.kind in {"polygon", "oriented_rectangle"}:
        draw.polygon(points, outline=1, fill=1)
    elif shape.kind == "rectangle":
        (xs, ys) = zip(*points, strict=True)
        draw.rectangle((min(xs), min(ys), max(xs), max(ys)), outline=1, fill=1)
    elif shape.kind in {"line", "linestrip"}:
        draw.line(points, fill=1, width=int(LINE_WIDTH))
    else:
        radius, centers = POINT_RADIUS, points
        if shape.kind == "circle":
            (cx, cy), (rim_x, rim_y) = points
            radius, centers = math.sqrt((cx - rim_x) ** 2 + (cy - rim_y) ** 2), points[:1]
        for x, y in centers:
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


def read_data(data: Path, max_pixels: int, report: Callable[[str], None]) -> Iterator[Found]:
    """The regions of a Labelme file, or of all of a folder; what cannot be used is reported."""
    root, names = annotation_files(data)
    for name in names:
        try:
            yield from read_regions(root, name, max_pixels, report)
        except Exception as error:  # noqa: BLE001 - one odd file must not cost the others
            report(f"{name}: {one_line(error)}")


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
            report(f"{name}: shape {several[0].number}: covers no pixel of the image")
        else:
            yield Found(f"{name}#{several[0].number}", image_name, several[0].label, image, region)


def read_json(path: Path) -> dict[str, Any]:
    """A Labelme file's object."""
    if not path.is_file():
        raise Mistake("there is no such file or folder")
    if path.stat().st_size > MAX_JSON:
        raise Mistake(f"has more than {MAX_JSON} bytes")
    data = path.read_bytes()
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        document = json.loads(data.decode("gbk", errors="replace"))
    if not isinstance(document, dict) or not isinstance(document.get("shapes"), list):
        raise Mistake("is not a Labelme file")
    return document


def find_image(root: Path, name: str, document: dict[str, Any], max_pixels: int) -> tuple[str, Image.Image]:
    """An annotation's image: the embedded one if there is one that is readable, or else the file; and its name."""
    given, beside = document.get("imagePath") or "", (PurePosixPath(name).parent / "_").as_posix()[:-1]
    if not isinstance(given, str):
        raise Mistake("imagePath must be text")
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


def annotation_files(data: Path) -> tuple[Path, list[str]]:
    """The folder and the annotation files' paths in it; links to folders are not followed."""
    if not data.is_dir():
        return data.parent, [data.name]
    found = []
    for folder, folders, names in os.walk(data):
        folders[:] = [name for name in folders if not name.startswith(".")]
        own = [name for name in names if name.lower().endswith(".json") and not name.startswith(".")]
        found += [(Path(folder, name).relative_to(data)).as_posix() for name in own]
    return data, sorted(found)


def one_line(error: object) -> str:
    """An error's text on one short line."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return "".join(each if each.isprintable() else "?" for each in text)
