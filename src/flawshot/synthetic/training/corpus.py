"""The training corpus: views of drawn scenes, product by product, in one file that is mapped into memory."""

from __future__ import annotations

import io
import json
import math
import multiprocessing
import os
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import binary_dilation

from flawshot.base.store.files import write_json
from flawshot.labelme.images import open_image
from flawshot.synthetic.fields import log_uniform
from flawshot.synthetic.flaws import FLAWS, HELD_OUT_FLAWS
from flawshot.synthetic.scenes import Category, Product, draw_scene, invent_categories, invent_product
from flawshot.synthetic.surfaces import HELD_OUT_SURFACES, SURFACES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Corpus", "CorpusPlan", "cut_view", "draw_corpus"]

# How often a product has several lots, and a category several looks. In held-out data, every other product.
VARIED = 0.6
# How often a view is taken by a worse camera than the drawing's.
WORSE = 0.35
# The attributes in a scene's row, in order.
ATTRIBUTES = ("flaw", "surface", "share", "tone", "elongation", "angle")


@dataclass(frozen=True, slots=True)
class CorpusPlan:
    """The contents of a corpus.

    Attributes:
        products: Number of products.
        categories: Categories per product.
        instances: Instances per category, each in its own scene.
        views: Views per scene.
        side: Side of a view, px.
        seed: Random seed.
        held_out: Whether it uses the surfaces, and for half of the categories the flaws, that are never trained on.
        first_hard: The first product whose flaws may be as faint as possible; before it they gradually get fainter.
    """

    products: int
    categories: int = 6
    instances: int = 4
    views: int = 2
    side: int = 104
    seed: int = 0
    held_out: bool = False
    first_hard: int = 1


class Corpus:
    """Views of drawn scenes.

    Attributes:
        plan: Its contents.
        pixels: uint8 ``[products, categories, instances, views, side, side, 4]``: red, green, blue, mask.
        attributes: float32 ``[products, categories, instances, 6]``: kind of flaw, kind of surface, share of the
            view that the mask covers, tone (-1 darker to 1 brighter than around), elongation (0 round to 1 a line),
            angle (radians, of the longer axis).
    """

    def __init__(self, plan: CorpusPlan, folder: Path) -> None:
        """Open what :func:`draw_corpus` made."""
        self.plan = plan
        shape = (plan.products, plan.categories, plan.instances)
        self.pixels: NDArray[np.uint8] = np.memmap(
            folder / "pixels.u8", dtype=np.uint8, mode="r", shape=(*shape, plan.views, plan.side, plan.side, 4)
        )
        self.attributes: NDArray[np.float32] = np.load(folder / "attributes.npy", allow_pickle=False)


def draw_corpus(
    plan: CorpusPlan, folder: Path, *, workers: int = 0, progress: Callable[[int, int], None] | None = None
) -> Corpus:
    """Draw a corpus, or open it if it is there.

    Args:
        plan: Its contents.
        folder: Its folder; a corpus with another plan there is an error.
        workers: Number of processes; 0: one per core.
        progress: Called with the products done and their total.

    Raises:
        ValueError: If the folder holds another corpus.
    """
    record: dict[str, Any] = {"format": "flawshot-corpus", "version": 1, "plan": asdict(plan)}
    done = folder / "corpus.json"
    if done.exists():
        if json.loads(done.read_text(encoding="utf-8")) != record:
            raise ValueError(f"{done}: belongs to a corpus with another plan; name another folder")
        return Corpus(plan, folder)
    folder.mkdir(parents=True, exist_ok=True)
    size = plan.categories * plan.instances * plan.views * plan.side**2 * 4
    with (folder / "pixels.u8").open("wb") as file:
        file.truncate(plan.products * size)
    attributes = np.empty((plan.products, plan.categories, plan.instances, len(ATTRIBUTES)), dtype=np.float32)
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers or os.cpu_count()) as pool:
        tasks = ((plan, folder, number) for number in range(plan.products))
        for count, (number, own) in enumerate(pool.imap_unordered(_draw_product, tasks, chunksize=8), 1):
            attributes[number] = own
            if progress is not None:
                progress(count, plan.products)
    np.save(folder / "attributes.npy", attributes, allow_pickle=False)
    write_json(done, record)
    return Corpus(plan, folder)


def _draw_product(task: tuple[CorpusPlan, Path, int]) -> tuple[int, NDArray[np.float32]]:
    plan, folder, number = task
    rng = random.Random(f"corpus/{plan.seed}/{number}")
    product, categories = _invent(plan, number, rng)
    side = rng.choice((96, 128, 128, 176))
    pixels = np.empty((plan.categories, plan.instances, plan.views, plan.side, plan.side, 4), dtype=np.uint8)
    attributes = np.empty((plan.categories, plan.instances, len(ATTRIBUTES)), dtype=np.float32)
    surface = sorted(SURFACES).index(product.surface)
    for place, category in enumerate(categories):
        kind = sorted(FLAWS).index(category.flaw)
        for instance in range(plan.instances):
            scene = draw_scene(product, [(category, instance)], side, place * plan.instances + instance)
            mask = scene.masks[0]
            elongation, angle = _form(mask)
            share = math.sqrt(float(mask.sum())) / side
            attributes[place, instance] = (kind, surface, share, _tone(scene.image, mask), elongation, angle)
            for view in range(plan.views):
                pixels[place, instance, view] = cut_view(
                    scene.image, mask, rng, plan.side, centered=plan.held_out, view=view
                )
    with (folder / "pixels.u8").open("r+b") as file:
        file.seek(number * pixels.nbytes)
        file.write(pixels.tobytes())
    return number, attributes


def _invent(plan: CorpusPlan, number: int, rng: random.Random) -> tuple[Product, list[Category]]:
    known_surfaces = [name for name in SURFACES if name not in HELD_OUT_SURFACES]
    known_flaws = [name for name in FLAWS if name not in HELD_OUT_FLAWS]
    if not plan.held_out:
        faintest = 0.3 + 0.65 * min(1.0, number / plan.first_hard)
        categories = invent_categories(rng, plan.categories, flaws=known_flaws, hardness=(0.0, faintest), broad=VARIED)
        return invent_product(rng, known_surfaces, varied=VARIED), categories
    half, varied = plan.categories // 2, float(number % 2)
    categories = invent_categories(rng, half, flaws=HELD_OUT_FLAWS, hardness=(0.1, 0.8), broad=varied)
    categories += invent_categories(rng, plan.categories - half, flaws=known_flaws, hardness=(0.1, 0.8), broad=varied)
    return invent_product(rng, HELD_OUT_SURFACES, varied=varied), categories


def cut_view(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], rng: random.Random, side: int, *, centered: bool, view: int
) -> NDArray[np.uint8]:
    """A square crop around the flaw, uint8 ``[side, side, 4]``; beyond the picture it is zero."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    longer = max(bottom - top, right - left)
    factor = (1.5, 2.0, 3.0)[view % 3] if centered else math.exp(rng.uniform(math.log(1.05), math.log(3.6)))
    size = max(24, round(longer * factor))
    reach = 0.0 if centered else (0.22 * size if rng.random() < 0.5 else 0.03 * size)
    x = (left + right - size) / 2 + rng.uniform(-reach, reach)
    y = (top + bottom - size) / 2 + rng.uniform(-reach, reach)
    box = (round(x), round(y), round(x) + size, round(y) + size)
    outline = mask if centered else _drawn_by_hand(mask, rng, (top, bottom, left, right))
    crop = Image.fromarray(image).crop(box).resize((side, side), Image.Resampling.BICUBIC)
    if not centered and rng.random() < WORSE:
        crop = _worse(crop, rng)
    inside = Image.fromarray(outline.astype(np.uint8) * 255).crop(box).resize((side, side), Image.Resampling.BICUBIC)
    return np.concatenate([np.asarray(crop), np.asarray(inside)[..., None]], axis=-1)


def _worse(crop: Image.Image, rng: random.Random) -> Image.Image:
    """The same view with fewer px, out of focus, or as a JPEG of poor quality."""
    side = crop.width
    kind = rng.randrange(3)
    if kind == 0:
        fewer = max(16, round(side / log_uniform(rng, 1.3, 4)))
        return crop.resize((fewer, fewer), Image.Resampling.BOX).resize((side, side), Image.Resampling.BICUBIC)
    if kind == 1:
        return crop.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 2.2)))
    stored = io.BytesIO()
    crop.save(stored, "JPEG", quality=rng.randint(15, 70))
    with open_image(stored.getvalue(), "a view") as opened:
        return opened.convert("RGB")


def _drawn_by_hand(mask: NDArray[np.bool_], rng: random.Random, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """The mask as people would annotate it: exact, generous, or as a box."""
    kind = rng.random()
    if kind < 0.5:
        return mask
    if kind < 0.85:
        grown: NDArray[np.bool_] = binary_dilation(mask, iterations=rng.randint(1, 4))
        return grown
    whole = np.zeros_like(mask)
    top, bottom, left, right = box
    margin = rng.randint(0, 3)
    whole[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin] = True
    return whole


def _tone(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    """How much brighter a flaw is than its surroundings, relative to their standard deviation, -1 to 1."""
    around = binary_dilation(mask, iterations=4) & ~mask
    gray = image.mean(axis=-1)
    if not around.any():
        return 0.0
    deviation = float(gray[around].std()) + 4.0
    return math.tanh((float(gray[mask].mean()) - float(gray[around].mean())) / (1.5 * deviation))


def _form(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Elongation (0 round to 1 a line) and direction (radians) by second moments."""
    rows, columns = np.nonzero(mask)
    if len(rows) < 3:
        return 0.0, 0.0
    values, vectors = np.linalg.eigh(np.cov(np.stack([columns, rows])) + 1e-3 * np.eye(2))
    return 1 - math.sqrt(float(values[0] / values[1])), math.atan2(float(vectors[1, 1]), float(vectors[0, 1])) % math.pi
