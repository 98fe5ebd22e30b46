"""Import of images sorted into one folder per category: each image becomes one region, all of it."""

from __future__ import annotations

import shutil
from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.errors import FlawshotError, Problem, printable
from flawshot.base.names import folder_name
from flawshot.base.store.files import write_with
from flawshot.formats import Option
from flawshot.formats.importing import Imported, LabelmeFolder
from flawshot.formats.paths import product_folder, split_and_rest
from flawshot.formats.texts import plain_text
from flawshot.formats.tree_files import files_under
from flawshot.formats.whole_images import whole_image
from flawshot.labelme.images import IMAGE_SUFFIXES, header_size
from flawshot.labelme.labelme_file import LabelmeFile
from flawshot.labelme.layout import not_a_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["import_folders"]

OPTIONS = {
    "source": Option(
        "A folder with one folder of images per category, or such folders in those of products or splits."
    ),
}
# Folders of images without a flaw, and the folder that they are copied to.
GOOD_FOLDERS = frozenset({"good", "ok"})
GOOD = "good"


class _Image(NamedTuple):
    """An image with what its folders say."""

    path: PurePosixPath
    product: str
    split: str | None
    category: str
    below: tuple[str, ...]


def import_folders(
    source: Path,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write images that are sorted into folders by category as Labelme files, with one region each: the whole image.

    The source has one folder per category, or ``<product>/<category>``, either of them also inside ``train``, ``test``
    or ``val``, or with these inside the product. If there are images right inside the first level of folders, it is
    that of the categories; otherwise, it is that of the products. Images in folders called ``good`` or ``ok`` show no
    flaw: they are copied to the product's folder ``good``, without a Labelme file, and counted.

    Args:
        source: The folder.
        out: The output folder; files are ``<product>/[<split>/]<category>/[…/]<name>.json``, with the images beside
            them.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done and the total.

    Raises:
        FlawshotError: If no image is in a category's folder, or a file at ``out`` exists with different content.
    """
    if not source.is_dir():
        raise FlawshotError(f"{source}: is not a folder")
    folder = LabelmeFolder(out, overwrite=overwrite)
    paths = files_under(source, IMAGE_SUFFIXES, folder.problems, beyond=out)
    found = list(_placed(source, map(PurePosixPath, paths), folder.problems))
    stems = Counter(each.path.with_suffix("").as_posix().casefold() for each in found)
    good = 0
    for number, each in enumerate(found, start=1):
        # Two images of one name in a folder keep their suffixes.
        alone = stems[each.path.with_suffix("").as_posix().casefold()] == 1
        stem = folder_name(each.path.stem if alone else each.path.name)
        if each.category.lower() in GOOD_FOLDERS:
            good += _copy_good(folder, source, each, stem, overwrite=overwrite)
        else:
            _add(folder, source, each, stem)
        if progress is not None:
            progress(number, len(found))
    summary = f"{out}: {_summary(folder, good)}"
    return folder.done(source, lacks="image in a category's folder", counts={"good": good}, summary=summary)


def _placed(source: Path, paths: Iterable[PurePosixPath], problems: list[Problem]) -> Iterator[_Image]:
    """The images that are in a category's folder."""
    split_of = {path: split_and_rest(path.parts[:-1]) for path in paths}
    inner = [len(rest) for _, rest in split_of.values() if rest]
    several = bool(inner) and min(inner) > 1  # products come first
    for path, (split, rest) in split_of.items():
        if not rest:
            message = "is in no folder that names its category, and is left out"
            problems.append(Problem(str(path), "no-category", message))
            continue
        try:
            product = product_folder(rest[0] if several else source.resolve().name)
        except FlawshotError as error:
            problems.append(Problem(str(path), "product", error.marked))
            continue
        category, *below = rest[several:]
        yield _Image(path, product, split, plain_text(category), tuple(map(folder_name, below)))


def _add(folder: LabelmeFolder, source: Path, each: _Image, stem: str) -> None:
    image = source / each.path
    try:
        height, width = header_size(image, image.name)
    except FlawshotError as error:
        folder.problems.append(Problem(str(each.path), "unreadable-image", f"{error.marked}; it is left out"))
        return
    suffix = "" if stem.endswith(each.path.suffix) else each.path.suffix
    shapes = (whole_image(each.category, height, width),)
    file = LabelmeFile(f"{stem}{suffix}", shapes, image_height=height, image_width=width)
    category = not_a_split(folder_name(each.category))
    folder.add([each.product, each.split, category, *each.below], stem, file, image, str(each.path))


def _copy_good(folder: LabelmeFolder, source: Path, each: _Image, stem: str, *, overwrite: bool) -> bool:
    """Copy an image without a flaw; False, with a problem, if its place is taken."""
    name = stem if stem.endswith(each.path.suffix) else f"{stem}{each.path.suffix}"
    target = folder.claim([each.product, each.split, GOOD, *each.below], stem, name, str(each.path))
    if target is None:
        return False
    write_with(target.path.with_name(name), partial(shutil.copyfile, source / each.path), overwrite=overwrite)
    folder.products.add(target.product)
    return True


def _summary(folder: LabelmeFolder, good: int) -> str:
    many = "product" if len(folder.products) == 1 else f"{len(folder.products)} products"
    products, categories = (", ".join(map(printable, sorted(names))) for names in (folder.products, folder.categories))
    also = f"; {good} images without a flaw, in the folder {GOOD}" if good else ""
    return (
        f"{many} {products}, {len(folder.categories)} categories ({categories}), {folder.images} images, each one "
        f"region{also}"
    )
