"""Import of DeepPCB: boxes of six kinds of flaws on printed circuit boards, each with a template without a flaw."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.files import one_line, write_with
from flawshot.base.store.json_documents import file_bytes
from flawshot.formats import Option
from flawshot.formats.image_finder import ImageFinder
from flawshot.formats.image_records import ImageRecord, Part, add_record
from flawshot.formats.importing import Imported, LabelmeFolder
from flawshot.formats.paths import product_folder
from flawshot.formats.plain_shapes import box, number
from flawshot.formats.tree_files import files_under
from flawshot.labelme.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flawshot.formats.plain_shapes import Size

__all__ = ["import_deep_pcb"]

OPTIONS = {
    "source": Option("DeepPCB's folder, PCBData."),
    "templates": Option("Copy the templates, too, to the folder good, as images without a flaw."),
    "product": Option("The product's name; by default pcb.", "NAME"),
}
TYPES = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}
TEST, TEMPLATE = "_test", "_temp"
GOOD = "good"
LISTS = {"trainval": "train", "train": "train", "val": "val", "test": "test"}
PAIR = re.compile(r"^\S+\.jpg\s+\S+\.txt\s*$", re.IGNORECASE)


def import_deep_pcb(
    source: Path,
    out: Path,
    *,
    templates: bool = False,
    product: str = "pcb",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write DeepPCB's boxes as Labelme files: ``<product>/[<split>/]<group>/<name>_test.json``.

    The image ``group00041/00041/00041000_test.jpg`` has the boxes of ``group00041/00041_not/00041000.txt``, one per
    line: ``x1 y1 x2 y2 type``, separated by blanks or commas. Types are 1 open, 2 short, 3 mousebite, 4 spur, 5 copper
    and 6 pin-hole. The split is that of ``trainval.txt`` and ``test.txt``.

    Args:
        source: The folder with the groups.
        out: The output folder.
        templates: Whether to copy the templates to the product's folder ``good``, without a Labelme file.
        product: The product's name.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done and the total.

    Raises:
        FlawshotError: If there is no image with its boxes, or a file at ``out`` exists with different content.
    """
    if not source.is_dir():
        raise FlawshotError(f"{source}: is not a folder")
    home = product_folder(product)
    folder = LabelmeFolder(out, overwrite=overwrite)
    images = files_under(source, IMAGE_SUFFIXES, folder.problems, beyond=out)
    texts = dict.fromkeys(files_under(source, (".txt",), folder.problems, beyond=out))
    splits = _splits(source, texts, folder.problems)
    tests = [name for name in images if PurePosixPath(name).stem.endswith(TEST)]
    finder = ImageFinder([source], folder.problems, beyond=out)
    good = 0
    for done, name in enumerate(tests, start=1):
        path = PurePosixPath(name)
        number_ = path.stem.removesuffix(TEST)
        label = next((place for place in _label_names(path, number_) if place in texts), None)
        split = splits.get(number_)
        if label is None:
            folder.problems.append(
                Problem(name, "not-deep-pcb", f"has no {number_}.txt with its boxes; it is left out")
            )
        else:
            texts.pop(label)
            before = len(folder.problems)
            lines = _lines(source, label, folder.problems)
            if len(folder.problems) == before:  # an image whose boxes are unknown is not one without a flaw
                add_record(folder, finder, _record(source, path, label, lines, (home, split)))
        template = path.with_name(f"{number_}{TEMPLATE}{path.suffix}")
        if templates and (source / template).is_file():
            good += _copy_template(folder, source, template, [home, split, GOOD, *_groups(path)], overwrite=overwrite)
        if progress is not None:
            progress(done, len(tests))
    for lost in (name for name in texts if PurePosixPath(name).parent.name.endswith("_not")):
        folder.problems.append(Problem(lost, "missing-image", "has no image beside its folder; it is left out"))
    also = f"; {good} templates without a flaw, in the folder {GOOD}" if good else ""
    summary = f"{folder.summary()}{also}"
    return folder.done(source, lacks="image of DeepPCB with its boxes", counts={"good": good}, summary=summary)


def _groups(path: PurePosixPath) -> list[str]:
    return [part for part in path.parts[:-2] if part.lower() != "pcbdata"]


def _label_names(path: PurePosixPath, name: str) -> Iterator[str]:
    """Where an image's boxes may be: in the folder beside that of the image, or beside the image."""
    yield (path.parent.with_name(f"{path.parent.name}_not") / f"{name}.txt").as_posix() if path.parent.name else ""
    yield path.with_name(f"{name}.txt").as_posix()


def _splits(source: Path, texts: dict[str, None], problems: list[Problem]) -> dict[str, str]:
    """The split of each image's number, from the lists of images and their files of boxes."""
    found: dict[str, str] = {}
    for name in list(texts):
        split = LISTS.get(PurePosixPath(name).stem.lower())
        if split is None:
            continue
        texts.pop(name)
        for line in _lines(source, name, problems):
            if not PAIR.match(line):
                continue
            number_ = PurePosixPath(line.split()[0]).stem
            if (first := found.setdefault(number_, split)) != split:
                message = f"{number_} is in {first} and in {split}; it is taken as {first}"
                problems.append(Problem(name, "split", message, "warning"))
    return found


def _lines(source: Path, name: str, problems: list[Problem]) -> list[str]:
    try:
        return file_bytes(source / name).decode("utf-8-sig").splitlines()
    except (FlawshotError, UnicodeDecodeError) as error:
        problems.append(Problem(name, "unreadable", one_line(error).removeprefix(f"{source / name}: ")))
        return []


def _record(
    source: Path, path: PurePosixPath, label: str, lines: list[str], home: tuple[str, str | None]
) -> ImageRecord:
    parts = [_part(line, f"{label}: line {n}") for n, line in enumerate(lines, start=1) if line.strip()]
    place = PurePosixPath(*_groups(path), path.name)
    return ImageRecord(label, path.name, place, *home, parts, [source / path.parent])


def _part(line: str, where: str) -> Part:
    fields = line.replace(",", " ").split()
    kind = int(fields[-1]) if len(fields) == 5 and fields[-1].isdecimal() and len(fields[-1]) < 3 else 0
    return Part(where, TYPES.get(kind, ""), partial(_shapes, fields))


def _shapes(fields: list[str], _: Size) -> list[dict[str, Any]]:
    if len(fields) != 5:
        raise FlawshotError("must be x1 y1 x2 y2 type")
    if not fields[-1].isdecimal() or len(fields[-1]) > 2 or int(fields[-1]) not in TYPES:
        known = ", ".join(f"{kind} {name}" for kind, name in TYPES.items())
        raise FlawshotError(f"its type {fields[-1][:60]!r} is not known; it must be one of {known}")
    x0, y0, x1, y1 = (number(text, name) for text, name in zip(fields[:4], ("x1", "y1", "x2", "y2"), strict=True))
    return [box(x0, y0, x1, y1)]


def _copy_template(
    folder: LabelmeFolder, source: Path, template: PurePosixPath, folders: list[str | None], *, overwrite: bool
) -> bool:
    target = folder.claim(folders, template.stem, template.name, template.as_posix())
    if target is None:
        return False
    write_with(target.path.with_name(template.name), partial(shutil.copyfile, source / template), overwrite=overwrite)
    return True
