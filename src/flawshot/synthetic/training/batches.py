"""Batches: small episodes of several products, each view turned, mirrored and shifted at random."""

from __future__ import annotations

import random
import threading
from queue import Queue
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.synthetic.training.captions import caption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from flawshot.synthetic.training.corpus import Corpus

__all__ = ["BatchPlan", "TrainingBatch", "batches"]


# How often nothing but its mask is seen of a product that may see it: forms look alike on drawings and photographs.
BLANK = 0.25


class BatchPlan(NamedTuple):
    """Products, categories a product and instances a category in a batch; a view each."""

    products: int = 6
    categories: int = 4
    instances: int = 4


class TrainingBatch(NamedTuple):
    """Crops in the order of product, category, instance.

    Attributes:
        pixels: uint8 ``[crops, side, side, 4]``.
        attributes: float32 ``[crops, 6]``, as the corpus has them.
        cover: Share of each view that its mask covers, float32 ``[crops]``.
        captions: A caption a crop.
        masked: Which crops may see their mask, bool ``[crops]``; all of a product, or none.
    """

    pixels: NDArray[np.uint8]
    attributes: NDArray[np.float32]
    cover: NDArray[np.float32]
    captions: list[str]
    masked: NDArray[np.bool_]


def make_batch(corpus: Corpus, plan: BatchPlan, side: int, reach: float, rng: random.Random) -> TrainingBatch:
    """Pick and turn the views of one batch.

    Args:
        corpus: Where from.
        plan: How many.
        side: Of the crops that are cut from the corpus's views, px.
        reach: The share of the corpus's products, from its easy end, to pick from.
        rng: Where the randomness comes from.
    """
    total = corpus.plan
    numbers = rng.sample(range(max(plan.products, round(reach * total.products))), plan.products)
    pixels, attributes, masked = [], [], []
    for order, number in enumerate(numbers):
        blank = rng.randrange(40, 216) if order % 2 == 0 and rng.random() < BLANK else None
        for category in rng.sample(range(total.categories), plan.categories):
            for instance in rng.sample(range(total.instances), plan.instances):
                view = corpus.pixels[number, category, instance, rng.randrange(total.views)]
                pixels.append(_turned(view, side, rng))
                if blank is not None:
                    pixels[-1][..., :3] = blank
                attributes.append(corpus.attributes[number, category, instance])
                masked.append(order % 2 == 0)
    stacked = np.stack(pixels)
    captions = [caption([float(value) for value in own], rng) for own in attributes]
    cover = (stacked[..., 3].mean(axis=(1, 2)) / 255).astype(np.float32)
    return TrainingBatch(stacked, np.stack(attributes), cover, captions, np.array(masked))


def _turned(view: NDArray[np.uint8], side: int, rng: random.Random) -> NDArray[np.uint8]:
    spare = view.shape[0] - side
    top, left = rng.randint(0, spare), rng.randint(0, spare)
    crop = np.rot90(view[top : top + side, left : left + side], rng.randrange(4))
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.5:
        gain, lift = rng.uniform(0.75, 1.3), rng.uniform(-15, 15)
        table = np.clip(np.arange(256) * gain + lift, 0, 255).astype(np.uint8)
        crop = np.concatenate([table[crop[..., :3]], crop[..., 3:]], axis=-1)
    return np.ascontiguousarray(crop)


def batches(  # noqa: PLR0917
    corpus: Corpus, plan: BatchPlan, side: int, steps: range, total: int, seed: int
) -> Iterator[TrainingBatch]:
    """The batches of some steps, made ahead by a thread; a step's batch is the same however often one resumes.

    Args:
        corpus: Where from.
        plan: How many crops.
        side: Of the crops, px.
        steps: Which steps.
        total: Of all steps, by which the share of hard products grows: all from the second fifth on.
        seed: Of the choice.
    """
    queue: Queue[TrainingBatch | BaseException | None] = Queue(maxsize=4)
    stop = threading.Event()

    def work() -> None:
        try:
            for step in steps:
                if stop.is_set():
                    return
                reach = min(1.0, 0.1 + 2.25 * step / total)
                queue.put(make_batch(corpus, plan, side, reach, random.Random(f"batch/{seed}/{step}")))
            queue.put(None)
        except BaseException as error:  # noqa: BLE001  # is raised where it is waited for
            queue.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
