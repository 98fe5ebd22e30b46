"""The columns of tables of boxes, by the names that programs and people give them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ALIASES", "FIELDS", "Columns", "find_column", "named_columns", "plain_names"]

# The names of each column, the likeliest first, in lower case without blanks, hyphens and underscores.
ALIASES = {
    "image": (
        "image", "filename", "file", "imagename", "imagefile", "imagefilename", "imagepath", "filepath", "path",
        "imageid", "img", "imgname", "imgpath", "frame", "name",
    ),
    "label": (
        "labelname", "classname", "categoryname", "label", "class", "category", "type", "defect", "defecttype",
        "target", "name", "classid", "labelid", "categoryid",
    ),
    "xmin": ("xmin", "x0", "x1", "left", "bboxxmin", "minx", "bboxx1", "xtl", "startx"),
    "ymin": ("ymin", "y0", "y1", "top", "bboxymin", "miny", "bboxy1", "ytl", "starty"),
    "xmax": ("xmax", "x2", "x1", "right", "bboxxmax", "maxx", "bboxx2", "xbr", "endx"),
    "ymax": ("ymax", "y2", "y1", "bottom", "bboxymax", "maxy", "bboxy2", "ybr", "endy"),
    "x": ("x", "bboxx", "boxx", "xmin", "left", "x0", "x1"),
    "y": ("y", "bboxy", "boxy", "ymin", "top", "y0", "y1"),
    "width": ("width", "w", "bboxwidth", "boxwidth", "bboxw"),
    "height": ("height", "h", "bboxheight", "boxheight", "bboxh"),
    "bbox": ("bbox", "box"),
    "image_width": ("imagewidth", "imgwidth", "imwidth", "imagew"),
    "image_height": ("imageheight", "imgheight", "imheight", "imageh"),
    "split": ("split", "subset", "set"),
    "product": ("product",),
    "score": ("score", "confidence", "conf"),
    "difficult": ("difficult",),
    "occluded": ("occluded", "isoccluded"),
    "truncated": ("truncated", "istruncated"),
}  # fmt: skip
FIELDS = tuple(ALIASES)
OPTIONAL = ("image_width", "image_height", "split", "product", "score", "difficult", "occluded", "truncated")
CORNERS = (("xmin", "ymin"), ("xmax", "ymax"))
SIDES = (("x", "y"), ("width", "height"))


def plain_names(header: Sequence[str]) -> dict[str, str]:
    """A table's columns, by their names without blanks, hyphens, underscores and dots; the first one of each."""
    return {re.sub(r"[\s_\-.]+", "", name): name for name in reversed(header) if name}


def find_column(header: Sequence[str], aliases: Sequence[str]) -> str | None:
    """The first column that has one of several names, or None.

    >>> find_column(["ImageId", "ClassId"], ["label", "classid"]) is None
    True
    >>> find_column(["image_id", "class_id"], ["label", "classid"])
    'class_id'
    """
    plain = plain_names(header)
    return next((plain[alias] for alias in aliases if alias in plain), None)


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are which.

    Attributes:
        chosen: The columns that the user named, in lower case, by field.
        order: The names of all columns, if the table has no header.
    """

    chosen: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    @property
    def needs(self) -> str:
        """What a table needs, for an error."""
        return (
            "columns for the image, the label and the box (xmin, ymin, xmax, ymax or x, y, width, height); say which "
            f"is which with {argument('columns', 'image=NAME,label=NAME,…')}"
        )

    def fit(self, header: Sequence[str]) -> bool:
        """Whether a table with this header, in lower case, has all that is needed."""
        if "region_shape_attributes" in header:
            return True
        of = self.of(header)
        return {"image", "label"} <= set(of) and ("bbox" in of or "ymax" in of or "height" in of)

    def of(self, header: Sequence[str]) -> dict[str, str]:
        """The columns by field, as far as the header has them."""
        plain = plain_names(header)
        found = {each: name for each, name in self.chosen.items() if name in header}
        if set(found) != set(self.chosen):
            return {}
        for each in ("image", "label"):
            self._find(each, plain, found)
        for first, second in (CORNERS, SIDES):
            if self._pair(first, second, plain, found):
                break
        else:
            self._find("bbox", plain, found)
        if "xmax" in found or "bbox" in found:  # then width and height are the image's
            for each in ("width", "height"):
                name = found.pop(each, None) or plain.get(each)
                if name and name not in found.values():
                    found.setdefault(f"image_{each}", name)
        for each in OPTIONAL:
            self._find(each, plain, found)
        return found

    def _find(self, each: str, plain: Mapping[str, str], found: dict[str, str]) -> bool:
        """Find a field's column among those that no other field has."""
        if each not in found:
            taken = set(found.values())
            name = next((plain[alias] for alias in ALIASES[each] if plain.get(alias, "") not in {"", *taken}), None)
            if name is None:
                return False
            found[each] = name
        return True

    def _pair(
        self, first: Sequence[str], second: Sequence[str], plain: Mapping[str, str], found: dict[str, str]
    ) -> bool:
        """Find the four columns of a box; either all or none of them."""
        made = dict(found)
        if all(self._find(each, plain, made) for each in (*first, *second)):
            found.update(made)
            return True
        return False


def named_columns(text: str | None) -> Columns:
    """The columns that a user named: ``image=file,label=type``, or ``image,xmin,ymin,xmax,ymax,label``.

    Raises:
        FlawshotError: If it is neither, or names an unknown field.
    """
    parts = [part.strip() for part in (text or "").split(",")]
    if not text:
        return Columns()
    pairs = [tuple(side.strip() for side in part.partition("=")[::2]) for part in parts]
    unknown = [name for name, _ in pairs if name not in ALIASES and "=" in text]
    if unknown or not all(name for name, _ in pairs) or ("=" in text and not all(column for _, column in pairs)):
        said = f"{unknown[0]!r} is not known" if unknown else "must be FIELD=COLUMN,… or the columns' names in order"
        raise FlawshotError(f"{argument('columns', text)}: {said}; the fields are {', '.join(FIELDS)}")
    if "=" not in text:
        return Columns(order=tuple(name.casefold() for name, _ in pairs))
    return Columns({name: column.casefold() for name, column in pairs})
