"""Import of images sorted into one folder per category: each image becomes one region, all of it."""

from __future__ import annotations

import shutil
from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem, printable
from flawshot.base.names import folder_name
from flawshot.base.store.files import write_with
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.importing import Imported, LabelmeFolder
from flawshot.formats.mask_layouts import recognize_masks
from flawshot.formats.paths import product_folder, split_and_rest
from flawshot.formats.texts import plain_text
from flawshot.formats.tree_files import files_under
from flawshot.formats.whole_images import whole_image
from flawshot.labelme.images import IMAGE_SUFFIXES, header_size, open_image
from flawshot.labelme.labelme_file import LabelmeFile
from flawshot.labelme.layout import not_a_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["import_folders"]

OPTIONS = {
    "source": Option(
        "A folder with one folder of images per category, or such folders in those of products or splits."
    ),
}
# Folders of images without a flaw, and the folder that they are copied to.
GOOD_FOLDERS = frozenset({"good", "ok"})
GOOD = "good"
# Folders of other data sets whose pictures are masks.
MASK_FOLDERS = frozenset(
    {"mask", "masks", "ground_truth", "groundtruth", "gt", "segmentationclass", "segmentationobject"}
)
# A photograph has more gray values than this, and so many pictures beside images are looked at to tell.
MASK_VALUES, EXAMINED = 32, 3


class _Image(NamedTuple):
    """An image with what its folders say."""

    path: PurePosixPath
    product: str
    split: str | None
    category: str
    below: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether its folder says that it shows no flaw."""
        return self.category.lower() in GOOD_FOLDERS


class _Sized(NamedTuple):
    """An image that can be read, with its height and width in px."""

    image: _Image
    size: tuple[int, int]


def import_folders(
    source: Path,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write images that are sorted into folders by category as Labelme files, with one region each: the whole image.

    The source has one folder per category, or ``<product>/<category>``, either of them also inside ``train``, ``test``
    or ``val``, or with these inside the product. If there are images right inside the first level of folders, or one of
    these is called ``good`` or ``ok``, it is that of the categories; otherwise, it is that of the products. Images in
    folders called ``good`` or ``ok`` show no flaw: they are copied to the product's folder ``good``, without a Labelme
    file, and counted. Nothing is written if the source is refused.

    Args:
        source: The folder.
        out: The output folder; files are ``<product>/[<split>/]<category>/[…/]<name>.json``, with the images beside
            them.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done and the total.

    Raises:
        FlawshotError: If no usable image is in a category's folder, there are masks, a folder of good images is inside
            that of a category, or a file at ``out`` exists with different content.
    """
    if not source.is_dir():
        raise FlawshotError(f"{source}: is not a folder")
    folder = LabelmeFolder(out, overwrite=overwrite)
    paths = files_under(source, IMAGE_SUFFIXES, folder.problems, beyond=out)
    _refuse_masks(source, paths, beyond=out)
    placed = list(_placed(source, map(PurePosixPath, paths), folder.problems))
    found = list(_sized(source, placed, folder.problems))
    if all(each.image.is_good for each in found):
        raise _nothing_to_learn(source, len(found), folder.problems)
    stems = Counter(_stem_key(each.image) for each in found)
    good = 0
    for number, (each, size) in enumerate(found, start=1):
        # Two images of one name in a folder keep their suffixes.
        alone = stems[_stem_key(each)] == 1
        stem = folder_name(each.path.stem if alone else each.path.name)
        if each.is_good:
            good += _copy_good(folder, source, each, stem, overwrite=overwrite)
        else:
            _add(folder, source, each, stem, size)
        if progress is not None:
            progress(number, len(found))
    summary = f"{out}: {_summary(folder, good)}"
    return folder.done(source, lacks="image in a category's folder", counts={"good": good}, summary=summary)


def _stem_key(each: _Image) -> str:
    return each.path.with_suffix("").as_posix().casefold()


def _refuse_masks(source: Path, paths: Sequence[str], *, beyond: Path) -> None:
    """Refuse a tree in which masks would become images of a category."""
    remedy = "import them with flawshot import masks; if these are images, rename"
    for path in paths:
        for folder in PurePosixPath(path).parts[:-1]:
            if folder.lower() in MASK_FOLDERS:
                raise FlawshotError(f"{source}: {path}: the pictures in {folder} are masks: {remedy} the folder")
    try:
        beside = recognize_masks(source, "beside", beyond=beyond).images
    except FlawshotError:
        return
    for each in beside[:EXAMINED]:
        if all(_is_mask(source / mask) for mask in each.masks):
            raise FlawshotError(f"{source}: {each.masks[0]}: is the mask of {each.image}: {remedy} it")


def _is_mask(path: Path) -> bool:
    """Whether a picture has one channel and few values."""
    try:
        with open_image(path, path.name) as opened:
            few = len(opened.getbands()) == 1 and not opened.mode.startswith(("I", "F"))
            return few and opened.getcolors(MASK_VALUES) is not None
    except FlawshotError:
        return False


def _sized(source: Path, placed: Iterable[_Image], problems: list[Problem]) -> Iterator[_Sized]:
    """The images that can be read."""
    for each in placed:
        try:
            size = header_size(source / each.path, each.path.name)
        except FlawshotError as error:
            problems.append(Problem(str(each.path), "unreadable-image", f"{error.marked}; it is left out"))
        else:
            yield _Sized(each, size)


def _nothing_to_learn(source: Path, good: int, problems: Sequence[Problem]) -> FlawshotError:
    lacks = f"{source}: contains no usable image in a category's folder"
    if good:
        lacks += (
            f", only {good} of good parts; put images with flaws into one folder per category beside these (good "
            f"images need no import: flawshot fit takes their folder with {argument('good')})"
        )
    return FlawshotError(lacks + (f"; the first problem: {problems[0].marked}" if problems else ""))


def _placed(source: Path, paths: Iterable[PurePosixPath], problems: list[Problem]) -> Iterator[_Image]:
    """The images that are in a category's folder."""
    split_of = {path: split_and_rest(path.parts[:-1]) for path in paths}
    inner = [rest for _, rest in split_of.values() if rest]
    # Products come first, unless a folder on the first level can only be a category's.
    several = bool(inner) and all(len(rest) > 1 and rest[0].lower() not in GOOD_FOLDERS for rest in inner)
    direct = {tuple(rest[: several + 1]) for rest in inner if len(rest) == several + 1}
    indirect: dict[tuple[str, ...], str] = {}
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
        each = _Image(path, product, split, plain_text(category), tuple(map(folder_name, below)))
        inside = next((folder for folder in below if folder.lower() in GOOD_FOLDERS), None)
        if inside is not None and not each.is_good:
            raise FlawshotError(
                f"{source}: {path}: the folder {inside} of good images is inside that of the category {category}; put "
                f"all images into <category>/, or all into <product>/<category>/, with {GOOD} in place of a category"
            )
        home = tuple(rest[: several + 1])
        if home not in direct and not each.is_good:
            indirect.setdefault(home, below[0])
        yield each
    for home, first in indirect.items() if not several else ():
        message = (
            f"contains no image itself, but folders such as {first}; all images in them are taken as the category "
            f"{home[-1]}: check that it is one, and not a product"
        )
        problems.append(Problem("/".join(home), "mixed-depth", message, "warning"))


def _add(folder: LabelmeFolder, source: Path, each: _Image, stem: str, size: tuple[int, int]) -> None:
    image, (height, width) = source / each.path, size
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
    also = f"; {counted(good, 'image')} without a flaw, in the folder {GOOD}" if good else ""
    of = counted(len(folder.categories), "category", "categories")
    return f"{many} {products}, {of} ({categories}), {counted(folder.images, 'image')}, each one region{also}"
