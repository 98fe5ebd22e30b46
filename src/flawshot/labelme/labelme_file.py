"""Labelme JSON, of labelme 3 to 7, read without labelme: without Qt and without decoding images."""

from __future__ import annotations

import base64
import binascii
import math
import warnings
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.base.store.files import one_line, write_json
from flawshot.base.wording import counted
from flawshot.labelme.images import ImageError, check_pixels, header_size
from flawshot.labelme.labelme_json import annotation_bytes, check_object, file_error, labelme_object
from flawshot.labelme.shapes import SHAPE_TYPES, Shape, ShapeType, decode_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LabelmeFile",
    "from_base64",
    "labelme_document",
    "parse_labelme",
    "parse_labelme_document",
    "read_labelme",
    "write_labelme",
]

# The number of points of each shape type: (at least, at most).
POINT_COUNTS: dict[ShapeType, tuple[int, int | None]] = {
    "polygon": (3, None),
    "rectangle": (2, 2),
    "oriented_rectangle": (4, 4),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, None),
    "point": (1, 1),
    "points": (1, None),
    "mask": (2, 2),
}
# Shapes with four corners that X-AnyLabeling draws and Labelme does not know; they are read as polygons.
FOUR_CORNERS = frozenset({"quadrilateral", "rotation"})
# The largest distance, in px, of a rectangle's corners from its box.
SLANT = 0.01
# The limit for all masks of a file together, since each is decoded.
MOST_MASK_PIXELS = 2**32
# The time to draw an outline grows with the number of pixel rows that each of its lines crosses.
MOST_ROWS = 2**23
# Drawing takes time and memory by a shape's extent, so coordinates beyond any image are refused when read.
MAX_COORDINATE = 200_000.0
WRITTEN_VERSION = "6.0.0"
SHAPE_KEYS = frozenset({"label", "points", "group_id", "shape_type", "flags", "description", "mask"})
FILE_KEYS = frozenset({"version", "imageData", "imagePath", "shapes", "flags", "imageHeight", "imageWidth"})


@dataclass(frozen=True, slots=True, eq=False)
class LabelmeFile:
    """The content of one Labelme JSON file: the annotation of one image.

    Attributes:
        image_path: The image's path relative to the JSON's folder, with forward slashes; may be empty if the image is
            embedded.
        shapes: The shapes in file order.
        image_height: In px, or None if the file does not state it.
        image_width: In px, or None if the file does not state it.
        image_base64: The embedded image as stored in the file, or None.
        flags: Labelme's flags of the image.
        version: The labelme version that wrote the file, or None.
        other: Keys that Labelme does not know, kept for writing.
    """

    image_path: str
    shapes: tuple[Shape, ...]
    image_height: int | None = None
    image_width: int | None = None
    image_base64: str | None = None
    flags: dict[str, bool] = field(default_factory=dict)
    version: str | None = None
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def image_data(self) -> bytes | None:
        """The embedded image file's bytes, or None if none is embedded.

        Raises:
            FlawshotError: If the embedded data is not base64.
        """
        if self.image_base64 is None:
            return None
        try:
            return from_base64(self.image_base64)
        except (binascii.Error, ValueError) as error:
            raise FlawshotError(f"imageData is not base64 ({one_line(error)})") from error


class _ShapeError(Exception):
    """One shape cannot be used; has the kind and message of the resulting problem."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def read_labelme(path: str | Path) -> LabelmeFile:
    """Read one Labelme file.

    Usable oddities, such as an encoding other than UTF-8, are reported by :func:`warnings.warn`.

    Args:
        path: The JSON file.

    Raises:
        AnnotationError: With the file's name and the shape's index, if anything in it cannot be used.
    """
    path = Path(path)
    file, problems = parse_labelme(annotation_bytes(path, str(path)), str(path))
    for problem in problems:
        if problem.severity == "error":
            raise AnnotationError(problem)
        warnings.warn(str(problem), stacklevel=2)
    return file


def parse_labelme(data: bytes, name: str) -> tuple[LabelmeFile, list[Problem]]:
    """Parse a Labelme file's bytes.

    Args:
        data: UTF-8 JSON, with or without a byte order mark; read as GBK if it is not UTF-8.
        name: The file's name for problems.

    Returns:
        The file with its usable shapes, and the problems, shape by shape.

    Raises:
        AnnotationError: If the file as a whole is not usable.
    """
    problems: list[Problem] = []
    file, found = _parsed(labelme_object(data, name, problems), name)
    return file, [*problems, *found]


def parse_labelme_document(document: dict[str, Any], name: str) -> tuple[LabelmeFile, list[Problem]]:
    """Parse a Labelme file's JSON object, already loaded; otherwise like :func:`parse_labelme`."""
    check_object(document, name)
    return _parsed(document, name)


def _parsed(document: dict[str, Any], name: str) -> tuple[LabelmeFile, list[Problem]]:
    problems: list[Problem] = []
    image_path, shapes = document.get("imagePath"), document["shapes"]
    embeds = isinstance(document.get("imageData"), str)
    if embeds and image_path is None:
        image_path = ""
    if not isinstance(image_path, str) or not (image_path or embeds) or "\0" in image_path:
        raise file_error(name, "not-labelme", "imagePath must be the name of an image file")
    if not isinstance(shapes, list):
        raise file_error(name, "not-labelme", "shapes must be a list")
    image_data = document.get("imageData")
    if image_data is not None and not isinstance(image_data, str):
        raise file_error(name, "not-labelme", "imageData must be base64 text or null")
    height, width = (_image_size(document, key, name) for key in ("imageHeight", "imageWidth"))
    if height and width:
        try:
            check_pixels(width, height, name)
        except ImageError as error:
            raise file_error(name, "image-size", error.marked.removeprefix(f"{name}: ")) from error
    version, flags = document.get("version"), document.get("flags")
    usable = _usable(shapes, name, problems)
    file = LabelmeFile(
        image_path=PureWindowsPath(image_path).as_posix() if image_path else "",
        shapes=tuple(usable),
        image_height=height,
        image_width=width,
        image_base64=image_data,
        flags=flags if isinstance(flags, dict) else {},
        version=version if isinstance(version, str) else None,
        other={key: value for key, value in document.items() if key not in FILE_KEYS},
    )
    return file, problems


def _usable(shapes: list[Any], name: str, problems: list[Problem]) -> list[Shape]:
    """The usable shapes; the others become problems."""
    usable: list[Shape] = []
    mask_pixels = 0
    for index, raw in enumerate(shapes):
        try:
            shape = _shape(index, raw)
            if shape.shape_type == "mask":
                mask_pixels += _mask_pixels(shape)
                if mask_pixels > MOST_MASK_PIXELS:
                    message = f"its masks have more than {MOST_MASK_PIXELS} px in total; crop each mask to its box"
                    raise file_error(name, "too-many-shapes", message)
                _check_mask(shape)
            usable.append(shape)
        except _ShapeError as error:
            problems.append(Problem(name, error.kind, str(error), shape=index))
    return usable


def _image_size(document: dict[str, Any], key: str, name: str) -> int | None:
    value = document.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_COORDINATE or value % 1:
        raise file_error(name, "image-size", f"{key} must be a whole number of px above 0, not {value!r}")
    return int(value)


def _shape(index: int, raw: Any) -> Shape:
    if not isinstance(raw, dict):
        raise _ShapeError("not-a-shape", "is not an object")
    label, shape_type = raw.get("label"), raw.get("shape_type")
    if not isinstance(label, str):
        raise _ShapeError("label", "label must be text" if "label" in raw else "label is missing")
    if shape_type is None:  # labelme 3 knew polygons only
        shape_type = "polygon"
    if not isinstance(shape_type, str) or shape_type not in SHAPE_TYPES | FOUR_CORNERS:
        known = ", ".join([*POINT_COUNTS, *sorted(FOUR_CORNERS)])
        raise _ShapeError("shape-type", f"shape_type {str(shape_type)[:60]!r} is not known; it must be one of {known}")
    group_id = raw.get("group_id")
    if group_id is not None and (not isinstance(group_id, int) or abs(group_id) >= 2**63):
        raise _ShapeError("group-id", f"group_id must be a whole number or null, not {str(group_id)[:60]!r}")
    flags, description = raw.get("flags"), raw.get("description")
    if flags is not None and not (isinstance(flags, dict) and all(isinstance(value, bool) for value in flags.values())):
        raise _ShapeError("flags", "flags must be an object whose values are true or false")
    if description is not None and not isinstance(description, str):
        raise _ShapeError("description", "description must be text")
    points = _points(raw.get("points"))
    drawn, points = _as_labelme(shape_type, points)
    return Shape(
        index=index,
        label=label,
        shape_type=drawn,
        points=points,
        group_id=None if group_id is None else int(group_id),
        flags=dict(flags or {}),
        description=description or "",
        mask_png=_mask_png(raw.get("mask")),
        other={key: value for key, value in raw.items() if key not in SHAPE_KEYS},
    )


def _points(raw: Any) -> NDArray[np.float64]:
    if not isinstance(raw, list) or not raw:
        raise _ShapeError("points", "points must be a list of [x, y] pairs")
    if (points := _plain_points(raw)) is not None:
        return points
    if not all(map(_is_pair, raw)):
        raise _ShapeError("points", "points must be a list of [x, y] pairs of numbers")
    far = next(place for place, (x, y) in enumerate(raw) if not _is_near(x) or not _is_near(y))
    shown = f"[{str(raw[far][0])[:20]}, {str(raw[far][1])[:20]}]"
    finite = all(isinstance(value, int) or math.isfinite(value) for value in raw[far])
    why = "lies outside any possible image" if finite else "is not finite"
    raise _ShapeError("points", f"point {far} {why}: {shown}")


def _plain_points(raw: list[Any]) -> NDArray[np.float64] | None:
    """The points, by a fast path for the usual form; None if one of them is wrong.

    Types are checked first: with one long string among them, numpy would allocate its length for every item.
    """
    if set(map(type, raw)) != {list} or set(map(len, raw)) != {2}:
        return None
    if not set(map(type, chain.from_iterable(raw))) <= {int, float}:
        return None
    try:
        points = np.array(raw, dtype=np.float64)
    except OverflowError:  # an integer too large for a float
        return None
    # Compared this way round, for NaN is not below anything.
    return points if bool((np.abs(points) <= MAX_COORDINATE).all()) else None


def _is_pair(point: object) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(type(value) in {int, float} for value in point)


def _is_near(value: float) -> bool:
    return -MAX_COORDINATE <= value <= MAX_COORDINATE


def _as_labelme(shape_type: str, points: NDArray[np.float64]) -> tuple[ShapeType, NDArray[np.float64]]:
    """A shape as Labelme has it: what X-AnyLabeling writes with four corners becomes a rectangle or a polygon."""
    if shape_type in FOUR_CORNERS | {"rectangle"} and len(points) == 5 and (points[0] == points[4]).all():
        points = points[:4]
    if shape_type in FOUR_CORNERS:
        if len(points) != 4:
            raise _ShapeError("point-count", f"a {shape_type} has 4 points, not {len(points)}")
        return "polygon", points
    if shape_type == "rectangle" and len(points) == 4:
        low, high = points.min(axis=0), points.max(axis=0)
        upper = points > (low + high) / 2
        near = np.abs(points - np.where(upper, high, low)) <= SLANT
        # Around a box, each step follows one side.
        steps = (upper != np.roll(upper, 1, axis=0)).sum(axis=1)
        if near.all() and ((steps == 1).all() or (high - low).min() <= SLANT):
            return "rectangle", np.array([low, high])
        return "polygon", points
    known = cast("ShapeType", shape_type)
    least, most = POINT_COUNTS[known]
    if len(points) < least or (most is not None and len(points) > most):
        wanted = counted(least, "point") if most else f"at least {least} points"
        raise _ShapeError("point-count", f"a {shape_type} has {wanted}, not {len(points)}")
    rows = float(np.abs(np.diff(points[:, 1], append=points[:1, 1])).sum())
    if shape_type in {"polygon", "linestrip"} and rows > MOST_ROWS:
        message = f"its outline crosses {rows:.0f} pixel rows, more than any drawn by hand; simplify it"
        raise _ShapeError("shape-length", message)
    return known, points


def from_base64(text: str, *, whole: bool = True) -> bytes:
    """Bytes from base64, or from the complete groups at its beginning.

    Raises:
        ValueError: If it is not base64.
    """
    joined = "".join(text.split())  # some writers break the lines
    return base64.b64decode(joined if whole else joined[: len(joined) // 4 * 4], validate=True)


def _mask_png(raw: Any) -> bytes | None:
    if raw is None:
        return None
    try:
        return from_base64(raw)
    except (binascii.Error, ValueError, AttributeError):
        raise _ShapeError("mask", "mask must be a base64-encoded PNG") from None


def _mask_pixels(shape: Shape) -> int:
    """The number of a mask's pixels, from its header; 0 if it is unreadable."""
    try:
        return 0 if shape.mask_png is None else math.prod(header_size(shape.mask_png, "mask"))
    except ImageError:
        return 0


def _check_mask(shape: Shape) -> None:
    if shape.mask_png is None:
        raise _ShapeError("mask", "a mask shape needs a mask, a base64-encoded PNG")
    try:
        decode_mask(shape)
    except ValueError as error:
        raise _ShapeError("mask", f"mask cannot be decoded ({one_line(error)})") from error


def write_labelme(file: LabelmeFile, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a file that Labelme can open.

    Args:
        file: The content.
        path: The file to write; a temporary file is written beside it and then renamed.
        overwrite: Whether an existing file with different content may be replaced.

    Raises:
        FlawshotError: If ``path`` exists with different content and ``overwrite`` is false.
    """
    write_json(Path(path), labelme_document(file), overwrite=overwrite)


def labelme_document(file: LabelmeFile) -> dict[str, Any]:
    """The file as the JSON object that Labelme reads."""
    return {
        "version": file.version or WRITTEN_VERSION,
        "flags": file.flags,
        "shapes": [_shape_document(shape) for shape in file.shapes],
        "imagePath": file.image_path,
        "imageData": file.image_base64,
        "imageHeight": file.image_height,
        "imageWidth": file.image_width,
        **file.other,
    }


def _shape_document(shape: Shape) -> dict[str, Any]:
    return {
        "label": shape.label,
        "points": shape.points.tolist(),
        "group_id": shape.group_id,
        "description": shape.description,
        "shape_type": shape.shape_type,
        "flags": shape.flags,
        "mask": None if shape.mask_png is None else base64.b64encode(shape.mask_png).decode("ascii"),
        **shape.other,
    }
