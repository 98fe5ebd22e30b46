"""Drawn data sets: pictures of products with flaws, with exact annotations as Labelme files."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.parallel import cores, in_order
from flawshot.base.store.places import new_folder, settle
from flawshot.formats.components import component_shape, components
from flawshot.labelme.labelme_file import LabelmeFile, write_labelme
from flawshot.labelme.shapes import Region
from flawshot.synthetic.plans import plan_products
from flawshot.synthetic.scenes import draw_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from flawshot.labelme.shapes import Shape
    from flawshot.synthetic.plans import ProductPlan

__all__ = ["DrawnProduct", "draw_data_set"]

SMALLEST, LARGEST = 64, 2048
# The folder of a product's pictures without a flaw.
GOOD = "good"
# An instance with more components than this becomes one mask: nobody would draw that many polygons.
MOST_POLYGONS = 8
# Starting a process takes about as long as drawing this many pictures.
IMAGES_A_WORKER = 12


class DrawnProduct(NamedTuple):
    """What was drawn of one product.

    Attributes:
        name: The name of its folder.
        surface: Its surface.
        images: Number of pictures.
        instances: Number of instances of each category, by label.
        good: Number of pictures without a flaw.
    """

    name: str
    surface: str
    images: int
    instances: Mapping[str, int]
    good: int = 0


def draw_data_set(
    out: str | Path,
    *,
    categories: int = 6,
    images: int = 100,
    seed: int = 0,
    side: int = 512,
    products: int = 1,
    surface: str | None = None,
    flaws: Sequence[str] | None = None,
    good: int = 0,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[DrawnProduct]:
    """Draw pictures of products with flaws, and annotate them: ``OUT/<product>/<number>.png`` and ``.json``.

    Pictures without a flaw have no annotation: ``OUT/<product>/good/<number>.png``.

    Each flaw is an instance with its exact mask: a polygon that covers exactly its pixels, several with the same
    ``group_id`` if it has several parts, and a ``mask`` if it has holes or very many parts. The files are first written
    to a folder beside ``out``, so that ``out`` only ever contains a complete data set.

    Args:
        out: A new or empty folder.
        categories: Categories per product; a third of them have the kind of another one.
        images: Images per product, with one or two instances each.
        seed: Random seed; a different seed draws a different data set.
        side: Side of the pictures, px.
        products: Number of products.
        surface: One of :data:`flawshot.synthetic.surfaces.SURFACES`; any if None.
        flaws: Some of :data:`flawshot.synthetic.flaws.FLAWS`; if None, any that need no edge of the object.
        good: Number of further images per product that show no flaw.
        workers: Number of processes; 0: one per core.
        progress: Called with the pictures done and their total.

    Returns:
        What was drawn; the same for the same arguments on every machine.

    Raises:
        FlawshotError: If ``out`` is not empty or cannot be written, a surface or flaw is unknown, or a number is out of
            range.
    """
    out = Path(out)
    if not SMALLEST <= side <= LARGEST:
        raise FlawshotError(f"{argument('side', side)}: must be {SMALLEST} to {LARGEST} px")
    if good < 0:
        raise FlawshotError(f"{argument('good', good)}: must be at least 0")
    settle(out)
    try:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise FlawshotError(f"{out}: exists; name another folder, or move it away")
    except OSError as error:
        raise FlawshotError(f"{out}: cannot be read ({error.strerror or error})") from error
    plans = plan_products(
        products=products, categories=categories, images=images, seed=seed, surface=surface, flaws=flaws
    )
    try:
        with new_folder(out) as folder:
            _draw_all(plans, folder, side, good=good, workers=workers, progress=progress)
            if out.exists() and any(out.iterdir()):  # since it was looked at
                raise FlawshotError(f"{out}: exists; name another folder, or move it away")
    except OSError as error:
        raise FlawshotError(f"{out}: cannot be written ({error.strerror or error})") from error
    return [
        DrawnProduct(
            plan.name,
            plan.product.surface,
            len(plan.images),
            dict(sorted(Counter(label for own in plan.images for label, _ in own).items())),
            good,
        )
        for plan in plans
    ]


def _draw_all(
    plans: Sequence[ProductPlan],
    folder: Path,
    side: int,
    *,
    good: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    tasks = []
    for plan in plans:
        own = folder / plan.name
        own.mkdir(parents=True)
        if good:
            (own / GOOD).mkdir()
        digits = max(3, len(str(max(len(plan.images), good) - 1)))
        flawed = len(plan.images)
        tasks += [(plan, number, own / f"{number:0{digits}}", side) for number in range(flawed)]
        tasks += [(plan, flawed + number, own / GOOD / f"{number:0{digits}}", side) for number in range(good)]
    count = max(1, min(workers or cores(), len(tasks) // IMAGES_A_WORKER))
    with closing(in_order(_draw_image, tasks, count)) as drawn:
        for number, _ in enumerate(drawn, start=1):
            if progress is not None:
                progress(number, len(tasks))


def _draw_image(plan: ProductPlan, number: int, stem: Path, side: int) -> None:
    """Draw one picture and write it, with its annotation if it is one of those with flaws."""
    if number >= len(plan.images):
        Image.fromarray(draw_scene(plan.product, [], side, number).image).save(stem.with_suffix(".png"))
        return
    labels = [label for label, _ in plan.images[number]]
    flaws = [(plan.categories[label], own) for label, own in plan.images[number]]
    scene = draw_scene(plan.product, flaws, side, number)
    shapes: list[Shape] = []
    for group, (label, mask) in enumerate(zip(labels, scene.masks, strict=True), start=1):
        shapes += _shapes(len(shapes), label, mask, group)
    image = stem.with_suffix(".png")
    Image.fromarray(scene.image).save(image)
    write_labelme(LabelmeFile(image.name, tuple(shapes), side, side), stem.with_suffix(".json"))


def _shapes(first: int, label: str, mask: NDArray[np.bool_], group: int) -> list[Shape]:
    """The shapes of one instance."""
    parts = components(mask)
    if len(parts) > MOST_POLYGONS:
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        y, x = int(rows[0]), int(columns[0])
        whole = Region(x, y, mask[y : int(rows[-1]) + 1, x : int(columns[-1]) + 1])
        return [component_shape(first, label, whole, exact=True)]
    group_id = group if len(parts) > 1 else None
    return [component_shape(first + number, label, part, group_id=group_id) for number, part in enumerate(parts)]
