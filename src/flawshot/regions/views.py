"""Views: the size, offset, angle and flip of an instance's crops."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.plugins import load_object, plugin_address, plugin_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.catalog.instances import Instance

__all__ = [
    "BORDERS",
    "SCHEMES",
    "Border",
    "Flip",
    "Size",
    "View",
    "ViewScheme",
    "crop_box",
    "extent_of",
    "make_scheme",
    "pixel_extent",
    "scheme_names",
]

Border = Literal["zero", "reflect", "shift"]
Flip = Literal["none", "horizontal", "vertical", "transpose", "transverse"]
BORDERS: tuple[Border, ...] = get_args(Border)
FLIPS: tuple[Flip, ...] = get_args(Flip)
ANGLES = (0, 90, 180, 270)
PIXEL_SIZES = ("256px", "384px", "512px")
RELATIVE_SIZES = ("1x", "1.5x", "2x")
# The least side of a crop of relative size, in px: an encoder sees nothing in smaller crops.
FLOOR = 32
# Pillow takes larger crops for an attack.
LARGEST = 9_000


@dataclass(frozen=True, slots=True)
class Size:
    """A crop's side: in px, or as a multiple of the longer side of the instance's box.

    Attributes:
        value: The number.
        relative: Whether the number is a multiple of the box's longer side.

    >>> Size.parse("384"), str(Size.parse("1.5x"))
    (Size(value=384.0, relative=False), '1.5x')
    """

    value: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``256``, ``256px`` or ``1.5x``.

        Raises:
            FlawshotError: If it is none of these, or a size in px is not whole.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(px|x|)", text.strip(), re.ASCII)
        if match is None or not 0 < float(match[1]) <= LARGEST or (match[2] != "x" and float(match[1]) % 1):
            raise FlawshotError(
                f"{argument('sizes', text)}: must be a whole number of px, such as 256, or a multiple of the box, "
                "such as 1.5x"
            )
        return cls(float(match[1]), match[2] == "x")

    def pixels(self, box: tuple[int, int, int, int]) -> int:
        """The side in px for an instance with this box (x0, y0, x1, y1; half-open; px)."""
        if not self.relative:
            return int(self.value)
        x0, y0, x1, y1 = box
        return min(LARGEST, max(FLOOR, round(self.value * max(x1 - x0, y1 - y0))))

    def __str__(self) -> str:
        """The text that :meth:`parse` reads."""
        return f"{self.value:.15g}{'x' if self.relative else 'px'}"


@dataclass(frozen=True, slots=True)
class View:
    """One crop of an instance.

    Attributes:
        size: The crop's side.
        column: Offset to the right, in thirds of the side: -1, 0 or 1.
        row: Offset downwards, in thirds of the side: -1, 0 or 1.
        angle: Counter-clockwise rotation in degrees: 0, 90, 180 or 270.
        flip: Mirroring, after the rotation; ``transpose`` and ``transverse`` are over the two diagonals.
    """

    size: Size
    column: int = 0
    row: int = 0
    angle: int = 0
    flip: Flip = "none"


@dataclass(frozen=True, slots=True)
class ViewScheme:
    """A list of views: a built-in one, see :func:`make_scheme`, or any other.

    Attributes:
        name: One of :data:`SCHEMES`, or a name of your own; for display only, as the views alone define the scheme.
        sizes: The sizes it was made from.
        border: How crops beyond the image's border are filled: ``zero``, ``reflect``, or ``shift`` (the crop is moved
            inside).
        views: The views in order.
    """

    name: str
    sizes: tuple[Size, ...]
    border: Border
    views: tuple[View, ...]


# Installed packages register their own view schemes in this group of entry points.
ENTRY_POINTS = "flawshot.views"

# What each scheme varies besides the size, and whether it uses all sizes or only the first.
SCHEMES: dict[str, tuple[str, bool]] = {
    "none": ("", False),
    "ms": ("", True),
    "mo": ("offset", False),
    "mr": ("angle", False),
    "mf": ("flip", False),
    "mso": ("offset", True),
    "msf": ("flip", True),
    "msr": ("angle", True),
    "mor": ("offset angle", False),
    "mso_bbox": ("offset", True),
    "centre3": ("", True),
    "cross15": ("cross", True),
}


def scheme_names() -> list[str]:
    """All names that :func:`make_scheme` knows: flawshot's own, then those of installed packages, sorted."""
    return [*SCHEMES, *plugin_names(ENTRY_POINTS, SCHEMES)]


def make_scheme(name: str, sizes: Sequence[str] | None = None, border: Border | None = None) -> ViewScheme:
    """Make a view scheme.

    In ``mso`` and the other names from MVREC, ``s`` varies size, ``o`` offset, ``r`` angle, and ``f`` flip; otherwise
    views are centered, upright and of the first size. ``mso_bbox`` is ``mso`` with sizes relative to the box.
    ``centre3`` is ``mso`` without offsets, ``cross15`` without the four corner offsets. Views are ordered by size, then
    row, then column, then angle or flip; each is made from the crop itself, never from the previous view.

    Args:
        name: One of :data:`SCHEMES`, or the name of an installed package's entry point ``flawshot.views``, which is a
            :class:`ViewScheme`. flawshot's own names take precedence.
        sizes: Sizes such as ``256px`` or ``1.5x``; if None, 256, 384 and 512 px (1, 1.5 and 2 times the box for
            ``mso_bbox``). A package's scheme has its own sizes.
        border: How crops beyond the image's border are filled; if None, ``zero``, or a package's scheme's own.

    Raises:
        FlawshotError: If there is no such scheme, size or border.

    References:
        MVREC (AAAI 2025, arXiv 2412.16897).

    >>> len(make_scheme("mso").views), len(make_scheme("cross15").views)
    (27, 15)
    """
    if name not in (known := scheme_names()):
        raise FlawshotError(f"{argument('views', name)}: is unknown; choose one of {', '.join(known)}")
    if border is not None and border not in BORDERS:
        raise FlawshotError(f"{argument('border', border)}: must be one of {', '.join(BORDERS)}")
    if name not in SCHEMES:
        return _installed(name, sizes, border)
    varied, all_sizes = SCHEMES[name]
    default = RELATIVE_SIZES if name == "mso_bbox" else PIXEL_SIZES
    parsed = tuple(Size.parse(size) for size in (default if sizes is None else sizes))
    if not parsed:
        raise FlawshotError(f"{argument('sizes')}: name at least one size")
    used = parsed if all_sizes else parsed[:1]
    offsets = [(0, 0)]
    if "offset" in varied or varied == "cross":
        offsets = [
            (row, column) for row, column in product((-1, 0, 1), repeat=2) if varied != "cross" or not row * column
        ]
    angles = ANGLES if "angle" in varied else (0,)
    flips = FLIPS if "flip" in varied else ("none",)
    views = tuple(
        View(size, column, row, angle, flip)
        for size, (row, column), angle, flip in product(used, offsets, angles, flips)
    )
    return ViewScheme(name, used, border or "zero", views)


def _installed(name: str, sizes: Sequence[str] | None, border: Border | None) -> ViewScheme:
    """The scheme of an installed package."""
    scheme = load_object(*plugin_address(ENTRY_POINTS, name), f"view scheme {name!r}")
    if not isinstance(scheme, ViewScheme):
        raise FlawshotError(f"view scheme {name!r}: must be a flawshot.ViewScheme, not {type(scheme).__name__}")
    if sizes is not None:
        raise FlawshotError(f"{argument('sizes')}: the view scheme {name} has its own; omit this")
    return replace(scheme, name=name, border=border or scheme.border)


Extent: TypeAlias = tuple[float, float, float, float]


def extent_of(instance: Instance) -> Extent:
    """The extreme points of an instance's outline: (left, top, right, bottom), inclusive, in px.

    They are its polygons' points, as in MVREC, or the mask's extreme pixels if the points of its shapes are not their
    outline.
    """
    if not all(shape.shape_type in {"polygon", "rectangle", "oriented_rectangle"} for shape in instance.shapes):
        return pixel_extent(instance.box)
    left, top = (min(float(shape.points[:, axis].min()) for shape in instance.shapes) for axis in (0, 1))
    right, bottom = (max(float(shape.points[:, axis].max()) for shape in instance.shapes) for axis in (0, 1))
    return left, top, right, bottom


def pixel_extent(box: tuple[int, int, int, int]) -> Extent:
    """The extreme pixels of a half-open box, inclusive."""
    x0, y0, x1, y1 = box
    return x0, y0, x1 - 1, y1 - 1


def crop_box(box: tuple[int, int, int, int], extent: Extent, view: View) -> tuple[int, int, int]:
    """The place of a view's crop: (left, top, side) in px of the image; it may extend beyond the image.

    Args:
        box: The region's (x0, y0, x1, y1), half-open, px; the view's size may be relative to it.
        extent: The region's extreme points; the view is centered on their middle.
        view: The view.
    """
    left, top, right, bottom = extent
    side = view.size.pixels(box)
    x = int((left + right) // 2) + view.column * side // 3 - side // 2
    y = int((top + bottom) // 2) + view.row * side // 3 - side // 2
    return x, y, side
