"""All checks over all files of a data set, on all cores and in constant memory."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.base.parallel import cores
from flawshot.formats.mpdd import contradictions
from flawshot.inspect.checks.labels import similar_labels, small_categories
from flawshot.inspect.checks.pictures import Picture, look_at, other_embedded, same_images, wrong_size
from flawshot.inspect.checks.polygons import duplicate_shapes, self_intersections, zero_areas
from flawshot.labelme.data_folder import annotation_files, find_image
from flawshot.labelme.embedded import embedded_size
from flawshot.labelme.images import ImageError, under_pixel_limit
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.labelme.image_folder import ImageFolder
    from flawshot.labelme.labelme_file import LabelmeFile

__all__ = ["check_data"]

FILES_AHEAD = 4


def check_data(
    catalog: Catalog,
    *,
    shots: Sequence[int] = (5,),
    fast: bool = False,
    elsewhere: frozenset[str] = frozenset(),
    progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """Find errors and oddities beyond those found when the annotations were read (``catalog.problems``).

    Every annotation file is read again, so that files without instances, and shapes that belong to none, are checked.

    Args:
        catalog: The instances to check, with their folder available.
        shots: The values of K that each category should have enough instances for.
        fast: Read only the images' headers.
        elsewhere: Annotation files to skip.
        progress: Called with the files done and their total.

    Raises:
        FlawshotError: If the catalog has no folder.
    """
    if catalog.root is None:
        raise FlawshotError("check: the catalog has no data folder to inspect")
    problems = similar_labels(catalog) + small_categories(catalog, shots)
    paths = [path for path in annotation_files(catalog.root, []) if path not in elsewhere]
    images = catalog.image_folder()
    pictures = []
    for done, (found, picture) in enumerate(_checked(catalog.root, images, paths, fast=fast), start=1):
        problems += found
        if picture is not None:
            pictures.append(picture)
        if progress is not None:
            progress(done, len(paths))
    return problems + same_images(pictures)


def _checked(
    root: Path, images: ImageFolder | None, paths: Sequence[str], *, fast: bool
) -> Iterator[tuple[list[Problem], Picture | None]]:
    """Each file's findings, in order; in threads, because Pillow releases Python's lock to decode."""
    workers, check = cores(), under_pixel_limit(_check_file)
    waiting: deque[Future[tuple[list[Problem], Picture | None]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="flawshot-check") as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(check, root, images, path, fast=fast))
                if len(waiting) > FILES_AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _check_file(
    root: Path, images: ImageFolder | None, path: str, *, fast: bool
) -> tuple[list[Problem], Picture | None]:
    try:
        file, _ = parse_labelme(annotation_bytes(root / path, path), path)
    except AnnotationError:  # reported when the catalog was read
        return [], None
    problems = zero_areas(path, file.shapes) + self_intersections(path, file.shapes) + contradictions(path, file)
    try:
        picture = _picture(root, images, path, file, problems, fast=fast)
    except ImageError as error:
        problems.append(Problem(path, "unreadable-image", f"imagePath: {error.marked}; replace the image"))
        picture = None
    if picture is not None:
        problems += wrong_size(picture, file.image_height, file.image_width)
    height, width = file.image_height, file.image_width
    if (not height or not width) and picture is not None:
        height, width = picture.size
    if height and width:
        problems += duplicate_shapes(path, file.shapes, height, width)
    return problems, picture


def _picture(
    root: Path, images: ImageFolder | None, path: str, file: LabelmeFile, problems: list[Problem], *, fast: bool
) -> Picture | None:
    """The file's image; None if it is missing, which was reported when the catalog was read."""
    missing: list[Problem] = []
    image = find_image(path, file, root, missing, images)
    embedded = None
    if embedded_size(file) is not None and file.image_data is not None:
        embedded = look_at(file.image_data, path, f"imageData of {path}", fast=fast)
    elif any(problem.severity == "error" for problem in missing):
        return None
    place = (root if images is None else images.root) / image
    try:
        beside = look_at(place.read_bytes(), path, image, fast=fast) if place.is_file() else None
    except OSError as error:
        raise ImageError(f"{image}: cannot be read ({error.strerror or error})") from error
    except ImageError as error:
        if embedded is None:
            raise
        message = f"imagePath: {error.marked}; the embedded image is used, as in Labelme"
        problems.append(Problem(path, "embedded-image", message, "warning"))
        return embedded
    if embedded is None:
        return beside
    if beside is not None:
        problems += other_embedded(embedded, beside)
    return embedded
