"""Import of Label Studio's JSON and JSON-MIN exports."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.store.json_documents import ANNOTATION_BYTES, file_bytes, load_json
from flawshot.formats import Option
from flawshot.formats.image_finder import ImageFinder, inside_paths
from flawshot.formats.image_records import FilePlace, ImageRecord, add_files, file_place
from flawshot.formats.importing import Imported, begin_import
from flawshot.formats.label_studio_regions import read_regions
from flawshot.formats.texts import decoded
from flawshot.labelme.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["import_label_studio"]

OPTIONS = {
    "source": Option("A .json export of Label Studio, or a folder of them."),
    "image_key": Option("The field of a task's data that names its image, if there are several.", "NAME"),
    "product": Option("The product's name; by default the first folder's, or else the source's.", "NAME"),
}
# Fields of tasks in JSON-MIN that are no regions.
COORDINATES = frozenset({"x", "points", "rle"})


class _Task(NamedTuple):
    """A task: its image and the results of the annotation that is taken."""

    where: str
    image: str
    results: list[Any]


def import_label_studio(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    image_key: str | None = None,
    product: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write Label Studio's annotations as Labelme files: ``<product>/[<split>/]<the image's path>.json``.

    Rectangles, turned about their first corner, polygons, ellipses, key points and brushes are read; brushes keep
    exactly their pixels. Of several annotations of a task, that with ``ground_truth`` is taken, or else the one that
    was updated last; the others are reported. Skipped annotations and predictions are not used. A task whose
    annotation has no region shows no flaw; one without an annotation is left out.

    Args:
        source: A JSON or JSON-MIN export, or a folder of them.
        out: The output folder.
        images: The folder to search for images first.
        image_key: The field of a task's data that names its image; by default ``image``, or the first that names one.
        product: The product's name; by default that of the file's first folder which is no split, or of the source.
        overwrite: Whether existing files with different content may be replaced.
        progress: Called with the number of images done, and the total in the files read so far.

    Raises:
        FlawshotError: If there is no usable file, or a file at ``out`` exists with different content.
    """
    root, names, folder = begin_import(source, ".json", out, images=images, overwrite=overwrite)
    roots = ([] if images is None else [images]) + ([root] if source.is_dir() else [])
    finder = ImageFinder(roots, folder.problems, beyond=out)

    def read(path: Path, name: str) -> tuple[int, Iterator[ImageRecord]]:
        place = file_place(PurePosixPath(name), root, images, product)
        document = _document(path, name, finder, place, folder.problems)
        tasks = list(_tasks(document, name, image_key, folder.problems))
        return len(tasks), _records(tasks, place, folder.problems)

    add_files(folder, finder, source, names, kind="not-label-studio", read=read, progress=progress)
    return folder.done(source, lacks="task")


def _document(
    path: Path, name: str, finder: ImageFinder, place: FilePlace, problems: list[Problem]
) -> list[dict[str, Any]]:
    data = file_bytes(path, ANNOTATION_BYTES)
    document = load_json(decoded(data, lambda: finder.names(place.homes), name, problems).encode())
    tasks = [document] if isinstance(document, dict) else document
    # Other programs' files are lists of objects, too.
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) and "id" in task for task in tasks):
        raise FlawshotError("is no export of Label Studio: it must be a list of tasks, each with an id")
    return tasks


def _tasks(
    document: Sequence[dict[str, Any]], name: str, image_key: str | None, problems: list[Problem]
) -> Iterator[_Task]:
    for task in document:
        shown = task["id"] if isinstance(task["id"], int | str) else "without id"
        where = f"{name}: task {str(shown)[:60]}"
        try:
            image = _image(task, image_key)
            results = _results(task, where, problems)
        except FlawshotError as error:
            problems.append(Problem(where, "task", f"{error.marked}; it is left out"))
            continue
        yield _Task(where, image, results)


def _image(task: dict[str, Any], image_key: str | None) -> str:
    """The address or path of a task's image."""
    data = task.get("data", task)
    data = data if isinstance(data, dict) else {}
    keys = ["image", "img", "image_url", *data] if image_key is None else [image_key]
    texts = [text for key in keys if isinstance(text := data.get(key), str) and text]
    for text in texts:
        plain = text.partition("#")[0].lower()
        if image_key is not None or plain.endswith(IMAGE_SUFFIXES) or plain.partition("?")[0].endswith(IMAGE_SUFFIXES):
            return text
    if texts and texts[0] == data.get("image"):
        return texts[0]
    field = "data" if image_key is None else f"data.{image_key}"
    raise FlawshotError(f"{field} names no image")


def _results(task: dict[str, Any], where: str, problems: list[Problem]) -> list[Any]:
    """The results of the annotation that is taken."""
    annotations = task.get("annotations", task.get("completions"))
    if annotations is None:
        return list(_least_results(task))
    if not isinstance(annotations, list) or not all(isinstance(each, dict) for each in annotations):
        raise FlawshotError("annotations must be a list of objects")
    usable = [each for each in annotations if each.get("was_cancelled") is not True]
    if skipped := len(annotations) - len(usable):
        problems.append(Problem(where, "skipped", f"{skipped} skipped annotations are left out", "warning"))
    if not usable:
        raise FlawshotError("has no annotation")
    taken = max(enumerate(usable), key=lambda each: _rank(*each))[1]
    if others := [each for each in usable if each is not taken]:
        message = f"annotation {_called(taken)} is used; left out: {', '.join(map(_called, others))[:200]}"
        problems.append(Problem(where, "several-annotations", message, "warning"))
    results = taken.get("result")
    if not isinstance(results, list):
        raise FlawshotError(f"annotation {_called(taken)}: result must be a list")
    return results


def _rank(place: int, annotation: dict[str, Any]) -> tuple[bool, str, int]:
    """The order of a task's annotations, by which the last is taken; times are ISO 8601."""
    times = [annotation.get(key) for key in ("updated_at", "created_at")]
    told = next((time for time in times if isinstance(time, str)), "")
    return annotation.get("ground_truth") is True, told, place


def _called(annotation: dict[str, Any]) -> str:
    """An annotation's id, and who made it."""
    who = annotation.get("completed_by")
    who = who.get("email", who.get("id")) if isinstance(who, dict) else who
    by = f" by {str(who)[:60]}" if isinstance(who, int | str) else ""
    number = annotation.get("id")
    return f"{str(number)[:60] if isinstance(number, int | str) else 'without id'}{by}"


def _least_results(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The regions of a task in JSON-MIN, which lists them by the names of their tags."""
    if "annotation_id" not in task and "annotator" not in task:
        raise FlawshotError("has no annotation")
    for key, values in task.items():
        if not isinstance(values, list):
            continue
        for value in values:
            if isinstance(value, dict) and COORDINATES & set(value):
                told = {each: value.get(each) for each in ("original_width", "original_height")}
                yield told | {"type": key, "value": value}


def _records(tasks: Sequence[_Task], place: FilePlace, problems: list[Problem]) -> Iterator[ImageRecord]:
    paths = inside_paths((task.image for task in tasks), "image")
    for task in tasks:
        path = paths[task.image]
        if isinstance(path, FlawshotError):
            problems.append(Problem(task.where, "image", f"{path.marked}; it is left out"))
            continue
        regions = read_regions(task.results, task.where, problems)
        yield ImageRecord(
            where=task.where,
            named=task.image,
            place=path,
            product=place.product,
            split=place.split,
            parts=regions.parts,
            homes=place.homes,
            size=regions.size,
            flags=regions.flags,
        )
