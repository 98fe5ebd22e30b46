"""Import of images with pixel masks: one instance per connected component."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem, printable
from flawshot.base.names import folder_name
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.components import check_number, component_shape, large_components, merge_near, value_components
from flawshot.formats.importing import Imported, LabelmeFolder, Target, Written, write_annotation
from flawshot.formats.mask_layouts import DEFAULT_THRESHOLD, MaskedImage, MaskLayout, recognize_masks, target_folders
from flawshot.formats.mask_values import mask_values
from flawshot.formats.visa_labels import with_visa_labels
from flawshot.labelme.images import open_image, orientation, under_pixel_limit, upright_rgb
from flawshot.labelme.labelme_file import LabelmeFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from flawshot.labelme.shapes import Region, Shape

__all__ = ["import_masks", "masked_annotation", "read_masks"]

OPTIONS = {
    "source": Option("Images with pixel masks, of one or several products."),
    "layout": (
        Option("mvtec-ad, mvtec-loco, visa or beside; detected by default.", "LAYOUT", name="--as"),
        Option(
            "Where images and masks lie, such as '{product}/{split}/{category}/{name} | "
            "{product}/ground_truth/{category}/{name}_mask'; * and ** match anything; where MASKS ends in /*, an image "
            "has several masks, one per instance.",
            "'IMAGES | MASKS'",
            name="--pattern",
        ),
    ),
    "threshold": Option("Values above N are defects; default 127, or the layout's own.", "N", 0),
    "instance_values": Option("Every nonzero mask value is one instance."),
    "min_area": Option("Skip smaller instances.", "PX", 1),
    "merge_distance": Option("Merge connected components closer than this into one instance.", "PX", 0),
    "exact": Option("Write masks instead of polygons for all components, not only those with holes."),
    "max_instances": Option("Skip images with more instances, such as masks of noise.", "N", 1),
    "strict": Option("Stop at the first problem."),
}
# A process takes about as long to start as this many images.
IMAGES_A_WORKER = 16
# More instances than this on one image are noise, not flaws.
MAX_INSTANCES = 10_000
# An instance may have several components, but hardly this many on average.
MOST_COMPONENTS = 4
# The kind of problem for a mask without a defect.
EMPTY = "empty-mask"


class _Options(NamedTuple):
    """How masks are read; ``threshold`` is None unless the user gave one, and ``usual`` is the layout's own."""

    source: Path
    threshold: int | None
    usual: int
    instance_values: bool
    each_mask_one: bool
    min_area: int
    merge_distance: float
    exact: bool
    max_instances: int


class _Frame(NamedTuple):
    """An image's size in px, upright, and its EXIF orientation."""

    height: int
    width: int
    lies: int


class _Done(NamedTuple):
    """The result for one image: the number of instances that were too small, problems, and what was written, if any."""

    small: int = 0
    problems: tuple[Problem, ...] = ()
    written: Written | None = None


def import_masks(
    source: Path,
    out: Path,
    *,
    layout: str | None = None,
    threshold: int | None = None,
    instance_values: bool = False,
    min_area: int = 1,
    merge_distance: float = 0.0,
    exact: bool = False,
    max_instances: int = MAX_INSTANCES,
    strict: bool = False,
    workers: int = 1,
    overwrite: bool = False,
    say: Callable[[Problem], object] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write a tree of images and masks as Labelme files, one instance per connected component.

    Components are 8-connected. A component without holes becomes a polygon that draws exactly its pixels, one with
    holes a ``mask`` shape. Images are copied beside their files. Of a mask in color, or with a palette, the brightest
    channel is used. If the layout has several masks per image, each file is one instance. The counts are ``good``
    images without a defect, which get no file, ``small`` instances that were omitted, and ``empty`` masks without a
    defect pixel.

    Args:
        source: The folder of one or several products.
        out: The output folder; files are ``<product>/[<split>/]<category>/<name>.json``.
        layout: A layout's name (``mvtec-ad``, ``mvtec-loco``, ``visa``, ``beside``), or ``IMAGES | MASKS``, as in
            :class:`~flawshot.formats.mask_layouts.MaskLayout`; detected if None.
        threshold: Mask values above it are defects. If None, 127 (0 for VisA and LOCO); in a mask that contains only 0
            and 1, the ones are defects.
        instance_values: Whether each nonzero value (palette index, or color) is one instance, regardless of its number
            of components.
        min_area: Instances with fewer px are omitted, and counted.
        merge_distance: Components whose nearest pixels' centers are closer than this, in px, form one instance: their
            shapes share a ``group_id``.
        exact: Whether all components become ``mask`` shapes.
        max_instances: Images with more instances that are large enough are omitted.
        strict: Whether the first problem stops the import.
        workers: Number of processes; use more than one only in a script that guards its ``__main__``.
        overwrite: Whether existing files with different content may be replaced.
        say: Called with a remark that names the layout, before the work begins.
        progress: Called with the number of images done and the total.

    Raises:
        FlawshotError: If no image has a mask, a file at ``out`` exists with different content, or there is a problem
            and ``strict`` is set.
    """
    if not merge_distance >= 0:
        raise FlawshotError(f"{argument('merge_distance', merge_distance)}: must be a number of px, 0 or more")
    tree = recognize_masks(source, layout, beyond=out)
    if say is not None:
        how = f"{'as given' if layout else 'recognized'}: {argument('layout', tree.layout.pattern)}"
        say(Problem(str(source), "layout", f"layout {tree.layout.name}, {how}", "warning"))
    if tree.layout.name == "visa":
        tree = with_visa_labels(source, tree)
    folder = LabelmeFolder(out, overwrite=overwrite)
    folder.problems += tree.problems
    places = [(each, target) for each in tree.images if (target := _target(folder, each)) is not None]
    _stop(folder.problems, strict=strict)
    options = _Options(
        source=source,
        threshold=threshold,
        usual=tree.layout.threshold,
        instance_values=instance_values,
        each_mask_one=tree.layout.each_mask_one,
        min_area=min_area,
        merge_distance=merge_distance,
        exact=exact,
        max_instances=max_instances,
    )
    small = 0
    for number, (each, target, done) in enumerate(_all(places, options, workers), start=1):
        folder.problems += done.problems
        _stop(done.problems, strict=strict)
        if done.written is not None:
            folder.record(target, done.written)
            folder.categories.add(each.category)
            small += done.small
        if progress is not None:
            progress(number, len(places))
    folder.products.update(tree.good)
    empty = sum(problem.kind == EMPTY for problem in folder.problems)
    counts = {"good": sum(tree.good.values()), "small": small, "empty": empty}
    summary = f"{out}: {_summary(folder, counts, min_area)}"
    return folder.done(source, lacks="image with a mask", counts=counts, layout=tree.layout.name, summary=summary)


def _target(folder: LabelmeFolder, each: MaskedImage) -> Target | None:
    image = PurePosixPath(each.image)
    stem = folder_name(image.stem)
    return folder.claim(target_folders(each), stem, f"{stem}{image.suffix}", each.image)


def _summary(folder: LabelmeFolder, counts: Mapping[str, int], min_area: int) -> str:
    many = "product" if len(folder.products) == 1 else f"{len(folder.products)} products"
    products, categories = (", ".join(map(printable, sorted(names))) for names in (folder.products, folder.categories))
    good = f" and {counts['good']} without a defect" if counts["good"] else ""
    empty = f"; {counted(counts['empty'], 'mask')} without a defect pixel" if counts["empty"] else ""
    of = counted(len(folder.categories), "category", "categories")
    return (
        f"{many} {products}, {of} ({categories}), {counted(folder.images, 'image')}{good}, "
        f"{counted(folder.instances, 'instance')}; {counts['small']} under {min_area} px left out{empty}"
    )


def _stop(problems: Sequence[Problem], *, strict: bool) -> None:
    for problem in problems:
        if strict and problem.severity == "error":
            raise FlawshotError(problem.marked)


def _all(
    places: Sequence[tuple[MaskedImage, Target]], options: _Options, workers: int
) -> Iterator[tuple[MaskedImage, Target, _Done]]:
    """Every image with its destination and result, in order, regardless of the number of workers."""
    count = min(workers, len(places) // IMAGES_A_WORKER)
    if count < 2:
        for each, target in places:
            yield each, target, _import(each, target, options)
        return
    # Spawned, because a fork copies locks held by the threads of a progress bar or torch.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    work = under_pixel_limit(_import)
    waiting: deque[tuple[MaskedImage, Target, Future[_Done]]] = deque()
    try:
        for each, target in places:
            waiting.append((each, target, pool.submit(work, each, target, options)))
            if len(waiting) > 4 * count:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())
    except BrokenProcessPool as error:
        raise FlawshotError(
            f"{options.source}: a process ended too early, perhaps out of memory; use fewer {argument('workers')}"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _result(each: MaskedImage, target: Target, future: Future[_Done]) -> tuple[MaskedImage, Target, _Done]:
    return each, target, future.result()


def read_masks(
    source: Path,
    problems: list[Problem],
    *,
    layout: str | None = None,
    threshold: int | None = None,
    min_area: int = 1,
    max_instances: int = MAX_INSTANCES,
    beyond: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[str, LabelmeFile]]:
    """Read a tree of images and masks as annotations like :func:`import_masks`, without writing anything.

    Args:
        source: As for :func:`import_masks`.
        problems: Omitted images or masks, and oddities, are added here.
        layout: As for :func:`import_masks`.
        threshold: Likewise.
        min_area: Likewise.
        max_instances: Likewise.
        beyond: A folder that is not searched.
        progress: Called with the number of images done and the total.

    Yields:
        The path that an image's Labelme file would have beside the image, relative to ``source`` (POSIX), and the
        annotation; its label is the category according to the layout.

    Raises:
        FlawshotError: If no layout fits.
    """
    tree = recognize_masks(source, layout, beyond=beyond)
    if tree.layout.name == "visa":
        tree = with_visa_labels(source, tree)
    problems += tree.problems
    taken: dict[str, str] = {}
    for number, each in enumerate(tree.images, start=1):
        path = f"{each.image.rpartition('.')[0]}.json"
        if path in taken:
            problems.append(
                Problem(each.image, "mask", f"has the same name as {taken[path]} except for its suffix; rename it")
            )
        else:
            taken[path] = each.image
            file, found = masked_annotation(
                source, each, tree.layout, threshold=threshold, min_area=min_area, max_instances=max_instances
            )
            problems += found
            if file is not None:
                yield path, file
        if progress is not None:
            progress(number, len(tree.images))


def masked_annotation(
    source: Path,
    each: MaskedImage,
    layout: MaskLayout,
    *,
    threshold: int | None = None,
    min_area: int = 1,
    max_instances: int = MAX_INSTANCES,
) -> tuple[LabelmeFile | None, tuple[Problem, ...]]:
    """The annotation of one image with masks, or None if it cannot be used, and the problems; others as above."""
    several, usual = layout.each_mask_one, layout.threshold
    options = _Options(source, threshold, usual, False, several, min_area, 0.0, False, max_instances)  # noqa: FBT003
    file, done = _annotate(each, options, each.image.rpartition("/")[2])
    return file, done.problems


def _import(each: MaskedImage, target: Target, options: _Options) -> _Done:
    """Write one image's Labelme file, and copy the image."""
    image = options.source / each.image
    file, done = _annotate(each, options, f"{target.path.stem}{image.suffix}")
    return done if file is None else done._replace(written=write_annotation(target, file, image, measured=True))


def _annotate(each: MaskedImage, options: _Options, image_path: str) -> tuple[LabelmeFile | None, _Done]:
    """One image's annotation; None if it cannot be used."""
    problems: list[Problem] = []
    image = options.source / each.image
    try:
        with open_image(image, image.name) as opened:
            width, height = upright_rgb(opened).size
            frame = _Frame(height, width, orientation(opened))
        found: list[list[Region]] = []
        small = 0
        for mask in each.masks:
            own, few = _instances(options.source / mask, each.image, frame, options, problems)
            found, small = found + own, small + few
        large = [parts for parts in found if sum(part.area for part in parts) >= options.min_area]
        check_number(len(large), options.max_instances)
    except FlawshotError as error:
        return None, _Done(problems=(*problems, Problem(each.image, "mask", error.marked)))
    shapes: list[Shape] = []
    for group, parts in enumerate(large, start=1):
        group_id = group if len(parts) > 1 else None
        for part in parts:
            shapes.append(component_shape(len(shapes), each.category, part, group_id=group_id, exact=options.exact))
    file = LabelmeFile(image_path, tuple(shapes), image_height=height, image_width=width)
    return file, _Done(small + len(found) - len(large), tuple(problems))


def _instances(
    path: Path, image: str, frame: _Frame, options: _Options, problems: list[Problem]
) -> tuple[list[list[Region]], int]:
    """The components of each instance in a mask, and the number of instances that were too small."""
    values, mask_lies = mask_values(path, numbers=options.instance_values)
    turned = f"EXIF orientation {mask_lies}, its image {frame.lies}"
    if values.shape != (frame.height, frame.width):
        height, width = values.shape
        why = f"; the mask has {turned}: save both upright" if frame.lies != mask_lies else ""
        raise FlawshotError(
            f"{path.name}: is {width} x {height} px, but its image is {frame.width} x {frame.height} px{why}"
        )
    if frame.lies != mask_lies:
        message = f"{path.name}: has {turned}; both are read upright; check that the mask lies on its defect"
        problems.append(Problem(image, "orientation", message, "warning"))
    if options.instance_values:
        # Components with the same value form one instance, so more of them are allowed.
        most = MOST_COMPONENTS * options.max_instances
        instances = value_components(np.where(values > (options.threshold or 0), values, 0), most=most)
        if not instances:
            problems.append(_empty(path, image))
        return instances, 0
    limit, greatest = options.usual if options.threshold is None else options.threshold, values.max()
    if options.threshold is None and limit == DEFAULT_THRESHOLD and greatest == 1:
        problems.append(
            Problem(image, "zero-one-mask", f"{path.name}: contains only 0 and 1; 1 means defect", "warning")
        )
        limit = 0
    elif 0 < greatest <= limit:
        message = f"{path.name}: no value is above {limit}; the greatest is {greatest}; set {argument('threshold')}"
        problems.append(Problem(image, "nothing-over-threshold", message, "warning"))
    alone = not options.each_mask_one and options.merge_distance <= 1
    # Small components that cannot become part of a larger instance are dropped at once.
    most = options.max_instances if alone else MOST_COMPONENTS * options.max_instances
    found, small = large_components(values > limit, options.min_area if alone else 1, most)
    if not found and not greatest > 0:
        problems.append(_empty(path, image))
    if options.each_mask_one:
        return ([found] if found else []), small
    return merge_near(found, options.merge_distance), small


def _empty(path: Path, image: str) -> Problem:
    message = f"{path.name}: no pixel is a defect; its image has no instance then; check whether it shows a defect"
    return Problem(image, EMPTY, message, "warning")
