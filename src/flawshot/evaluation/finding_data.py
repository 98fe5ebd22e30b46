"""Images for the evaluation of finders: those with annotated flaws, and good ones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.catalog import Catalog
from flawshot.formats.mask_layouts import GOOD, recognize_masks
from flawshot.formats.masks import read_masks
from flawshot.formats.tree_files import files_under
from flawshot.labelme.annotated_images import without_annotated
from flawshot.labelme.data_folder import path_from
from flawshot.labelme.images import IMAGE_SUFFIXES
from flawshot.labelme.layout import SPLIT_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["FindingData", "GoodImage", "data_of_folder", "data_of_tree", "is_mask_tree"]


# Data sets with masks have few JSON files of their own, such as LOCO's defects_config.json; Labelme's are many.
LOOKED_AT = 5


class GoodImage(NamedTuple):
    """An image without a flaw.

    Attributes:
        name: Its path from the root of the annotated data (POSIX), with ``..`` if it is outside; groups are looked up
            by it.
        path: The file.
        split: ``train`` if it is only for support, ``test`` if it is only a query, ``val`` if it is neither, None if it
            may be either.
    """

    name: str
    path: Path
    split: str | None = None


class FindingData(NamedTuple):
    """The images of one product.

    Attributes:
        product: The product's name.
        catalog: Its annotated instances; the catalog's root is available. Unlabeled ones are flaws, too.
        good: Its good images.
    """

    product: str
    catalog: Catalog
    good: tuple[GoodImage, ...]


def is_mask_tree(data: Path) -> bool:
    """Whether a folder is a tree of images and masks: none of its first JSON files has shapes, as Labelme's do."""
    if not data.is_dir():
        return False
    files = itertools.islice((path for path in data.rglob("*.json") if path.is_file()), LOOKED_AT)
    return not any(b'"shapes"' in path.read_bytes() for path in files)


def data_of_folder(catalog: Catalog, good: Path | None, problems: list[Problem]) -> list[FindingData]:
    """Labelme files with a folder of good images.

    Args:
        catalog: The instances; of one product if there is a folder of good images.
        good: The folder; searched with its subfolders. Images that have a flaw, or an annotation that cannot be read,
            are left out.
        problems: These, and good images that cannot be used, are added here.

    Raises:
        FlawshotError: If the folder has no image, or there are several products.
    """
    if good is None:
        return [FindingData(name, catalog.select([name]), ()) for name in catalog.products]
    if len(catalog.products) > 1:
        raise FlawshotError(
            f"{good}: the good images are of one product, but the data has {', '.join(catalog.products)}; choose one "
            f"with {argument('product')}"
        )
    if not good.is_dir():
        raise FlawshotError(f"{good}: is not a folder of good images")
    root = catalog.image_root
    annotated = [] if root is None else [root / name for name in sorted(set(catalog.column("image")))]
    images = catalog.image_folder()
    names = files_under(good, IMAGE_SUFFIXES, problems, beyond=None)
    flawless = without_annotated(good, names, catalog.root, annotated, images)
    problems += flawless.problems
    apart = {(good / name).resolve(): GoodImage(path_from(root, good / name), good / name) for name in flawless.names}
    if not apart:
        raise FlawshotError(f"{good}: has no image that is not annotated")
    return [FindingData(catalog.products[0], catalog, tuple(apart.values()))]


def data_of_tree(
    source: Path,
    problems: list[Problem],
    *,
    layout: str | None = None,
    products: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[FindingData]:
    """A tree of images and masks, such as MVTec AD's or MIRAD's.

    Good images in a folder ``train`` are only for support, and others only queries; without such folders, they may be
    either.

    Args:
        source: The folder of one or several products.
        problems: Images that cannot be used are added here.
        layout: As for :func:`flawshot.formats.masks.import_masks`.
        products: Only these products; all if None.
        progress: Called with the number of images read and the total.

    Raises:
        FlawshotError: If no layout fits, or a product is missing.
    """
    tree = recognize_masks(source, layout)
    annotations = read_masks(source, problems, layout=layout, progress=progress)
    made = Catalog.from_annotations(annotations, root_name=source.resolve().name)
    catalog = Catalog(made.table, source.resolve())
    if not len(catalog):
        raise FlawshotError(f"{source}: contains no flaw")
    masked = {each.image for each in tree.images}
    good: dict[str, list[GoodImage]] = {}
    for name in files_under(source, IMAGE_SUFFIXES, [], beyond=None):
        fields = None if name in masked or tree.layout.fields(name, masks=True) else tree.layout.fields(name)
        if fields is not None and fields.get("category", "").lower() in GOOD:
            own = good.setdefault(fields.get("product", source.resolve().name), [])
            split = fields.get("split")
            own.append(GoodImage(name, source / name, split and SPLIT_FOLDERS[split.lower()]))
    chosen = catalog.select(products) if products else catalog
    return [FindingData(name, chosen.select([name]), tuple(good.get(name, ()))) for name in chosen.products]
