"""Layouts of folders with images and masks: those of well-known data sets, or a pattern."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.names import folder_name
from flawshot.base.wording import counted
from flawshot.formats.texts import plain_text
from flawshot.formats.tree_files import files_under
from flawshot.labelme.layout import SPLIT_FOLDERS, is_split, not_a_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["GOOD", "LAYOUTS", "NO_MASK", "MaskLayout", "MaskTree", "MaskedImage", "recognize_masks", "target_folders"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Categories whose images have no defect, and therefore no mask.
GOOD = frozenset({"good", "ok", "normal"})
# The category if the pattern has none.
NO_CATEGORY = "anomaly"
DEFAULT_THRESHOLD = 127
# What the problem of an image without a mask begins with.
NO_MASK = "has no mask"

FIELDS = {
    "{product}": r"(?P<product>[^/]+)",
    "{split}": f"(?P<split>(?i:{'|'.join(SPLIT_FOLDERS)}))",
    "{category}": r"(?P<category>[^/]+)",
    "{name}": r"(?P<name>[^/]+)",
    "*": r"[^/]*",
}
ANY_SUFFIX = r"(?i:\.(?:png|jpg|jpeg|bmp|tif|tiff))"
REMEDY = (
    "IMAGES | MASKS, such as {product}/{split}/{category}/{name} | "
    "{product}/ground_truth/{category}/{name}_mask"
    ": folders joined by /, of {product}, {split}, {category}, *, **, names, and {name} once in each"
)


class MaskedImage(NamedTuple):
    """An image with its masks.

    Attributes:
        product: The product's name.
        split: The split's folder, or None.
        category: The category.
        image: The image's path relative to the source folder (POSIX).
        masks: Its masks' paths relative to the source folder (POSIX).
        folders: The folders that ``**`` matched, without the leading ones shared by all images of the category.
    """

    product: str
    split: str | None
    category: str
    image: str
    masks: tuple[str, ...]
    folders: tuple[str, ...] = ()


class MaskTree(NamedTuple):
    """The images and masks in a folder according to a layout.

    Attributes:
        layout: The layout.
        images: Images with their masks, in the order of their paths.
        good: Images without a defect, by product; they have no masks.
        problems: Images, masks and links that were omitted.
    """

    layout: MaskLayout
    images: tuple[MaskedImage, ...]
    good: dict[str, int]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class MaskLayout:
    """A pattern for images, and one for their masks.

    Attributes:
        name: The layout's name.
        images: Folders joined by ``/``: ``{product}``, ``{split}`` (a folder with one of the usual names),
            ``{category}`` and ``{name}`` match one name each, ``*`` anything within one name, ``**`` any number of
            folders. A pattern without a suffix matches images of all formats.
        masks: The same for masks. An image's mask is the one whose values agree for all fields in both patterns. If the
            pattern ends in ``/*``, an image has several masks, and each is one annotation and instance. If it equals
            ``images``, the ``.png`` files are the masks of images in other formats.
        threshold: Mask values above it are defects by default.

    >>> MaskLayout("", "{category}/{name}", "masks/{category}/{name}_m").fields("masks/dent/a_m.png", masks=True)
    {'category': 'dent', 'name': 'a'}
    """

    name: str
    images: str
    masks: str
    threshold: int = DEFAULT_THRESHOLD

    @classmethod
    def parse(cls, pattern: str) -> MaskLayout:
        """A layout from ``IMAGES | MASKS``.

        Raises:
            FlawshotError: If the pattern is invalid.
        """
        images, bar, masks = (part.strip() for part in pattern.partition("|"))
        threshold = 0 if masks.endswith("/*") else DEFAULT_THRESHOLD
        layout = cls("by pattern", images, masks, threshold)
        for half in (images, masks):
            parts = half.split("/")
            left = re.sub(r"\{(product|split|category|name)\}", "", half)
            twice = any(half.count(field) > 1 for field in FIELDS if field != "*")
            if (
                not bar
                or half.count("{name}") != 1
                or twice
                or half.count("**") > 1
                or re.search(r"[{}|\\]", left)
                or any(part in {"", ".", ".."} or ("**" in part and part != "**") for part in parts)
                or parts[-1] == "**"
            ):
                raise FlawshotError(f"{argument('layout', pattern)}: must be {REMEDY}")
        if "{name}" not in images.rpartition("/")[2]:
            raise FlawshotError(
                f"{argument('layout', pattern)}: {{name}} must be part of the file name, not of a folder's name"
            )
        return layout

    @property
    def pattern(self) -> str:
        """Both patterns, as :meth:`parse` reads them."""
        return f"{self.images} | {self.masks}"

    @property
    def each_mask_one(self) -> bool:
        """Whether each mask file is one annotation."""
        return self.masks.endswith("/*")

    @cached_property
    def _expressions(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return _expression(self.images), _expression(self.masks)

    def fields(self, path: str, *, masks: bool = False) -> dict[str, str] | None:
        """The fields of a path according to the image or mask pattern; None if it does not match."""
        if self.images == self.masks and path.lower().endswith(".png") is not masks:
            return None
        match = self._expressions[masks].fullmatch(path)
        return None if match is None else match.groupdict()

    def inside_product(self) -> MaskLayout | None:
        """The layout for the folder of one product; None if the product's folder does not come first."""
        if not all(half.startswith("{product}/") for half in (self.images, self.masks)):
            return None
        images, masks = (half.removeprefix("{product}/") for half in (self.images, self.masks))
        return MaskLayout(self.name, images, masks, self.threshold)


# In LOCO each gray value is a type of defect; in VisA small values are.
LAYOUTS = (
    MaskLayout("visa", "{product}/Data/Images/{category}/{name}", "{product}/Data/Masks/{category}/{name}", 0),
    MaskLayout("mvtec-ad", "{product}/{split}/{category}/{name}", "{product}/ground_truth/{category}/{name}_mask"),
    MaskLayout("mvtec-loco", "{product}/{split}/{category}/{name}", "{product}/ground_truth/{category}/{name}/*", 0),
    MaskLayout("beside", "{category}/**/{name}", "{category}/**/{name}"),
)


def _expression(pattern: str) -> re.Pattern[str]:
    *folders, last = pattern.split("/")
    parts = [r"(?P<folders>(?:[^/]+/)*)" if folder == "**" else f"{_part(folder)}/" for folder in folders]
    suffix = "" if PurePosixPath(last).suffix.lower() in IMAGE_SUFFIXES else ANY_SUFFIX
    return re.compile("".join(parts) + _part(last) + suffix, re.DOTALL)


def _part(text: str) -> str:
    pieces = re.split(r"(\{[a-z]+\}|\*)", text)
    return "".join(FIELDS.get(piece) or re.escape(piece) for piece in pieces)


def target_folders(each: MaskedImage) -> list[str | None]:
    """The folders of an image's Labelme file: ``<product>/[<split>/]<category>/[…]``."""
    return [each.product, each.split, not_a_split(folder_name(each.category)), *map(folder_name, each.folders)]


def recognize_masks(source: Path, layout: str | None = None, *, beyond: Path | None = None) -> MaskTree:
    """Find images and their masks.

    Linked folders, and linked files outside ``source``, are not followed; names that begin with a dot are skipped.

    Args:
        source: The folder of one or several products.
        layout: One of the names in :data:`LAYOUTS`, or ``IMAGES | MASKS``; if None, the layout by which the most images
            have masks.
        beyond: A folder that is not searched.

    Raises:
        FlawshotError: If ``source`` is not a folder, no layout fits it, ``layout`` is neither a name nor a pattern, or
            a product has a split's name.
    """
    if not source.is_dir():
        raise FlawshotError(f"{source}: is not a folder")
    problems: list[Problem] = []
    pictures = files_under(source, IMAGE_SUFFIXES, problems, beyond=beyond)
    trees = (_tree(candidate, source.resolve().name, pictures) for candidate in _candidates(layout))
    best = max(trees, key=lambda tree: len(tree.images))
    if not best.images:
        known = (
            f"{best.layout.pattern!r}" if layout else f"none of the layouts {', '.join(each.name for each in LAYOUTS)}"
        )
        found = (
            f"{counted(len(pictures), 'image was', 'images were')} examined, and none has a mask according to {known}"
        )
        first = next(iter((*problems, *(best.problems if layout else ()))), None)
        also = f"; the first problem: {first.marked}" if first else ""
        raise FlawshotError(
            f"{source}: {found}; specify it with {argument('layout')}, or import images "
            f"in one folder per category with flawshot import folders{also}"
        )
    for each in best.images:
        if is_split(each.product):
            raise FlawshotError(
                f"{source}: {each.image}: the product would be {each.product!r}, a split's name; name the folder "
                "above it, or rename it"
            )
    return best._replace(problems=(*problems, *best.problems))


def _candidates(layout: str | None) -> list[MaskLayout]:
    if layout is not None and layout not in {each.name for each in LAYOUTS}:
        if "|" not in layout:
            names = ", ".join(each.name for each in LAYOUTS)
            raise FlawshotError(f"{argument('layout', layout)}: must be one of {names}, or {REMEDY}")
        return [MaskLayout.parse(layout)]
    chosen = [each for each in LAYOUTS if layout in {None, each.name}]
    inner = [each.inside_product() for each in chosen]
    return chosen + [each for each in inner if each is not None]


def _tree(layout: MaskLayout, root_name: str, pictures: Sequence[str]) -> MaskTree:
    fields_of = {
        "product": "{product}",
        "split": "{split}",
        "category": "{category}",
        "folders": "**/",
        "name": "{name}",
    }
    shared = [field for field, text in fields_of.items() if text in layout.images and text in layout.masks]
    images: list[tuple[str, dict[str, str], tuple[str, ...]]] = []
    masks: dict[tuple[str, ...], list[str]] = {}
    problems: list[Problem] = []
    for path in pictures:
        # The masks' pattern first: if both match, as for dent_mask.png beside dent.png, it is more specific.
        fields = layout.fields(path, masks=True)
        if fields is not None:
            masks.setdefault(_key(fields, shared), []).append(path)
            continue
        fields = layout.fields(path)
        if fields is None:
            problems.append(Problem(path, "elsewhere", f"fits neither pattern of {layout.pattern!r}, and is left out"))
        else:
            images.append((path, fields, _key(fields, shared)))
    return _paired(layout, root_name, images, masks, problems)


def _key(fields: dict[str, str], shared: Sequence[str]) -> tuple[str, ...]:
    """The fields that an image and its masks share, in NFC."""
    return tuple(unicodedata.normalize("NFC", fields[field]) for field in shared)


def _paired(
    layout: MaskLayout,
    root_name: str,
    images: Iterable[tuple[str, dict[str, str], tuple[str, ...]]],
    masks: dict[tuple[str, ...], list[str]],
    problems: list[Problem],
) -> MaskTree:
    pairs: list[MaskedImage] = []
    good: dict[str, int] = {}
    claimed: set[tuple[str, ...]] = set()
    taken: dict[tuple[str, ...], str] = {}
    images = list(images)
    below = _folders_below(images)
    for path, fields, key in images:
        product = unicodedata.normalize("NFC", fields.get("product", root_name))
        category = plain_text(fields.get("category", NO_CATEGORY))
        found = masks.get(key, [])
        each = MaskedImage(product, fields.get("split"), category, path, tuple(found), below[path])
        if found:
            claimed.add(key)
        if category.lower() in GOOD and not found:
            good[product] = good.get(product, 0) + 1
        elif key in taken:
            problems.append(Problem(path, "mask", f"shares its mask with {taken[key]}; give it its own"))
        elif not found:
            problems.append(Problem(path, "mask", f"{NO_MASK} {_expected(layout, fields, path)}"))
        elif len(found) > 1 and not layout.each_mask_one:
            problems.append(Problem(path, "mask", f"has several masks: {', '.join(found)}; keep one"))
        else:
            taken[key] = path
            pairs.append(each)
    for key, found in masks.items():
        if key not in claimed:
            problems += [Problem(path, "mask", "is a mask without an image") for path in found]
    return MaskTree(layout, tuple(pairs), good, tuple(problems))


def _folders_below(
    images: Iterable[tuple[str, dict[str, str], tuple[str, ...]]],
) -> dict[str, tuple[str, ...]]:
    """The folders matched by ``**`` in each image's path, without the leading ones shared by its category."""
    of_category: dict[tuple[str | None, ...], dict[str, list[str]]] = {}
    for path, fields, _ in images:
        category = tuple(fields.get(field) for field in ("product", "split", "category"))
        of_category.setdefault(category, {})[path] = (fields.get("folders") or "").split("/")[:-1]
    below: dict[str, tuple[str, ...]] = {}
    for own in of_category.values():
        levels = zip(*own.values(), strict=False)
        shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
        below |= {path: tuple(folders[shared:]) for path, folders in own.items()}
    return below


def _expected(layout: MaskLayout, fields: dict[str, str], path: str) -> str:
    """The expected name of an image's mask."""
    if layout.images == layout.masks:
        return f"{PurePosixPath(path).stem}.png beside it"
    name = layout.masks
    for field, value in fields.items():
        name = name.replace("**/" if field == "folders" else f"{{{field}}}", value)
    return name if PurePosixPath(name).suffix or layout.each_mask_one else f"{name}.png"
