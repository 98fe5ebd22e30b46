"""What a model's locator learns from a person's corrections."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.store.seals import sha256_of
from flawshot.evaluation.found_matches import overlap
from flawshot.labelme.images import ImageError, read_image
from flawshot.labelme.shapes import rasterize
from flawshot.locating.learning import NamedRegion, teach_locator
from flawshot.locating.locator_file import write_locator
from flawshot.locating.record import LOCATOR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.locating.locator import Locator
    from flawshot.locating.record import LocatorRecord
    from flawshot.models.deletions import DeletedRegion

__all__ = ["LocatorLesson", "TaughtLocator", "taught", "write_taught"]


class LocatorLesson(NamedTuple):
    """What a locator is to learn.

    Attributes:
        data: The data set of the images.
        root: The folder of the images.
        named: Regions that a person named, and the category under which the locator has learned each already.
        deleted: Regions that it found, and a person deleted.
        prefix: Precedes the ids of these, so that none is learned twice.
    """

    data: Catalog
    root: Path
    named: Sequence[tuple[Instance, str | None]]
    deleted: Sequence[DeletedRegion]
    prefix: str


class TaughtLocator(NamedTuple):
    """A locator after a lesson.

    Attributes:
        locator: The locator.
        learned: The ids of deleted regions that were new to it.
        quiet: How many of these it no longer finds.
        unusable: Images that could not be read, with the reason.
    """

    locator: Locator
    learned: tuple[str, ...]
    quiet: int
    unusable: tuple[str, ...]


def taught(locator: Locator, record: LocatorRecord, lesson: LocatorLesson) -> TaughtLocator:
    """Teach a locator.

    Args:
        locator: The model's locator, which stays as it is.
        record: Its record.
        lesson: What it is to learn.
    """
    named: dict[str, list[tuple[Instance, str | None]]] = defaultdict(list)
    for instance, before in lesson.named:
        named[instance.image].append((instance, before))
    deleted: dict[str, list[DeletedRegion]] = defaultdict(list)
    for each in lesson.deleted:
        if f"{lesson.prefix}/{each.id}" not in record.not_flaws:
            deleted[each.image].append(each)
    unusable, learned, root = [], list[str](), lesson.root
    for image in dict.fromkeys([*named, *deleted]):
        own = named.get(image, [])
        try:
            source = lesson.data.image_source(image, own[0][0].annotation) if own else root / image
            picture = read_image(source, image)
        except ImageError as error:
            unusable.append(error.marked)
            continue
        regions = [NamedRegion(instance.category, instance.region(), before) for instance, before in own]
        gone = deleted.get(image, [])
        locator = teach_locator(locator, picture, regions, [each.region for each in gone])
        learned += [f"{lesson.prefix}/{each.id}" for each in gone]
    quiet = sum(_quiet(locator, root, image, own) for image, own in deleted.items())
    return TaughtLocator(locator, tuple(learned), quiet, tuple(unusable))


def _quiet(locator: Locator, root: Path, image: str, deleted: Sequence[DeletedRegion]) -> int:
    """How many deleted regions of an image the locator no longer finds."""
    try:
        picture = read_image(root / image, image)
    except ImageError:
        return 0
    found = [rasterize(each.shape, picture.height, picture.width) for each in locator.find(picture).regions]
    return sum(not any(overlap(each.region, region) for region in found) for each in deleted)


def write_taught(folder: Path, record: LocatorRecord, made: TaughtLocator) -> LocatorRecord:
    """Write a locator into a model's folder after a lesson, and return its record."""
    write_locator(folder / LOCATOR, made.locator)
    changed = {
        "categories": made.locator.categories,
        "not_flaws": (*record.not_flaws, *made.learned),
        "sha256": sha256_of(folder / LOCATOR),
    }
    return record.model_copy(update=changed)
