"""Plans of data sets: products whose pictures are well exposed, categories that a person would see, and their names."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.synthetic.fields import log_uniform
from flawshot.synthetic.flaws import EDGE_FLAWS, FLAWS
from flawshot.synthetic.scenes import Category, Product, draw_scene, invent_categories, invent_product
from flawshot.synthetic.surfaces import SURFACES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ProductPlan", "plan_products"]

# A flaw's longer side, as a share of the picture's; and where two categories differ in nothing else.
SIZES = (0.08, 0.4)
SMALL, LARGE = (0.09, 0.13), (0.28, 0.4)
# Bounds of 1 - strength: plain enough for a person to annotate.
HARDNESS = (0.0, 0.45)
# On what a category or product is tried before it is accepted, and how many may be tried.
TRIED_SIDE, TRIED_SCENES, TRIES = 144, 3, 40
# Least change of the picture inside the mask, in shares of what the surface itself varies there and of some levels;
# more for a mask that covers less than this share of the picture.
PLAIN, FAINT, AREA = 1.25, 6.0, 0.003
# Median brightness of a well exposed picture, and the largest share of px that are black or white.
BRIGHTNESS, CLIPPED = (55, 175), 0.02
# How vivid a product's color may be: largest difference of two channels, as a share of the brightest.
VIVID = 0.5
# Pictures with two instances instead of one.
TWO = 0.15
# These are told apart by their length, the others by their size.
LINES = frozenset({"scratch", "scuff", "crack", "cut", "fibre", "wrinkle", "bent wire", "band", "seam", "smear"})


@dataclass(frozen=True, slots=True)
class ProductPlan:
    """The plan of one product.

    Attributes:
        name: The name of its folder.
        product: Its look.
        categories: The categories by label.
        images: For each picture, the label and the seed of each flaw in it.
    """

    name: str
    product: Product
    categories: Mapping[str, Category]
    images: tuple[tuple[tuple[str, int], ...], ...]


def plan_products(
    *,
    products: int = 1,
    categories: int = 6,
    images: int = 100,
    seed: int = 0,
    surface: str | None = None,
    flaws: Sequence[str] | None = None,
) -> list[ProductPlan]:
    """Plan a data set.

    A third of a product's categories have the kind of another category: alternately the same look in another size
    (``scratch-long``, ``scratch-short``), and another look of that kind (``dent``, ``dent-2``). All categories have the
    same number of instances, or one more; about one in seven pictures has two instances.

    Args:
        products: Number of products.
        categories: Categories per product.
        images: Images per product.
        seed: Random seed.
        surface: One of :data:`flawshot.synthetic.surfaces.SURFACES`; any if None.
        flaws: Some of :data:`flawshot.synthetic.flaws.FLAWS`; if None, any that need no edge of the object.

    Returns:
        The same plan for the same arguments.

    Raises:
        FlawshotError: If there is no such surface or flaw, or a number is too small.
    """
    for option, number in (("products", products), ("categories", categories)):
        if number < 1:
            raise FlawshotError(f"{argument(option, number)}: must be at least 1")
    if images < categories:
        raise FlawshotError(f"{argument('images', images)}: must be at least the number of categories, {categories}")
    surfaces = list(SURFACES) if surface is None else [_known("surface", surface, SURFACES)]
    kinds = list(FLAWS) if flaws is None else list(dict.fromkeys(_known("flaws", name, FLAWS) for name in flaws))
    if not kinds:
        raise FlawshotError(f"{argument('flaws')}: name at least one")
    made: list[ProductPlan] = []
    for number in range(products):
        rng = random.Random(f"data set/{seed}/{number}")
        # The surfaces take turns, in an order of the seed's, so that several products differ.
        order = random.Random(f"surfaces/{seed}").sample(surfaces, len(surfaces))
        product = _well_exposed(rng, order[number % len(order)])
        # Without a flaw of the edge all pictures are close-ups, where no mask reaches beyond the object.
        product = replace(product, edge=flaws is not None and bool(EDGE_FLAWS.intersection(kinds)))
        fitting = [kind for kind in kinds if product.edge or kind not in EDGE_FLAWS]
        own = _name(_choose(rng, product, categories, fitting))
        taken = sum(each.product.surface == product.surface for each in made)
        name = _word(product.surface) if not taken else f"{_word(product.surface)}-{taken + 1}"
        made.append(ProductPlan(name, product, own, _instances(rng, list(own), images)))
    return made


def _known(option: str, name: str, there: Mapping[str, object]) -> str:
    spelled = " ".join(name.replace("-", " ").split()).lower()
    if spelled not in there:
        raise FlawshotError(f"{argument(option, name)}: is not known; there are {', '.join(there)}")
    return spelled


def _word(name: str) -> str:
    return name.replace(" ", "-")


def _well_exposed(rng: random.Random, surface: str) -> Product:
    """A product whose pictures are neither dark nor blown out nor gaudy; the last one tried if there is none."""
    product = invent_product(rng, [surface])
    for _ in range(TRIES):
        bare = np.stack([draw_scene(product, [], TRIED_SIDE // 2, number).image for number in range(TRIED_SCENES)])
        gray = bare.mean(axis=-1)
        medians = np.median(gray, axis=(1, 2))
        clipped = ((gray < 4) | (gray > 251)).mean(axis=(1, 2))
        color = bare.mean(axis=(0, 1, 2))
        if (
            BRIGHTNESS[0] < medians.min()
            and medians.max() < BRIGHTNESS[1]
            and clipped.max() < CLIPPED
            and color.max() - color.min() < VIVID * color.max()
        ):
            break
        product = invent_product(rng, [surface])
    return product


def _choose(rng: random.Random, product: Product, count: int, kinds: Sequence[str]) -> list[tuple[Category, str]]:
    """Categories, each with what distinguishes it from another of its kind: a size, or nothing."""
    wanted = count - count // 3
    seen: list[tuple[Category, str]] = []
    unseen: list[tuple[Category, str]] = []
    for kind in rng.sample(kinds, len(kinds)):
        category, plain = _plainest(rng, product, kind, SIZES)
        (seen if plain else unseen).append((category, ""))
        if len(seen) == wanted:
            break
    made = (seen + unseen)[:wanted]
    bases = [category for category, _ in made]
    if count == len(bases):
        return made
    smaller = [replace(base, size=log_uniform(rng, *SMALL)) for base in bases]
    shares = [_plainness(product, each) for each in smaller]
    place = next((place for place, share in enumerate(shares) if share >= PLAIN), shares.index(max(shares)))
    large, small = ("long", "short") if bases[place].flaw in LINES else ("large", "small")
    made[place] = replace(bases[place], size=log_uniform(rng, *LARGE)), large
    made.append((smaller[place], small))
    for number in range(1, count - len(bases)):
        base = bases[(place + number) % len(bases)]
        made.append((_plainest(rng, product, base.flaw, (0.8 * base.size, 1.25 * base.size))[0], ""))
    return made


def _plainest(rng: random.Random, product: Product, kind: str, sizes: tuple[float, float]) -> tuple[Category, bool]:
    """A category that can be seen, and True; or the plainest of those tried, and False."""
    best: tuple[float, Category] | None = None
    for _ in range(TRIES // 4):
        (category,) = invent_categories(rng, 1, flaws=[kind], hardness=HARDNESS, sizes=sizes)
        plain = _plainness(product, category)
        if plain >= PLAIN:
            return category, True
        if best is None or plain > best[0]:
            best = plain, category
    assert best is not None  # noqa: S101 - there was at least one
    return best[1], False


def _plainness(product: Product, category: Category) -> float:
    """How much the faintest of a few instances changes its place, in shares of what the surface varies there."""
    shares = []
    for number in range(TRIED_SCENES):
        scene = draw_scene(product, [(category, -1 - number)], TRIED_SIDE, number)
        mask = scene.masks[0]
        flawed = scene.image[mask].astype(np.float32)
        bare = draw_scene(product, [], TRIED_SIDE, number).image[mask].astype(np.float32)
        level, spread = np.abs(flawed - bare).mean(), np.abs(flawed.std(axis=0) - bare.std(axis=0)).mean()
        share = float((level + spread) / (FAINT + bare.std(axis=0).mean()))
        shares.append(share * min(1.0, math.sqrt(mask.mean() / AREA)))
    return min(shares)


def _name(chosen: Sequence[tuple[Category, str]]) -> dict[str, Category]:
    """Labels: the kind, its size if it has one, and a number from the second of a kind on."""
    named: dict[str, Category] = {}
    for category, mark in chosen:
        kind, number = f"{_word(category.flaw)}-{mark}" if mark else _word(category.flaw), 2
        label = kind
        if not mark and any(label_.startswith(f"{kind}-") for label_ in named):
            label, number = f"{kind}-{number}", number + 1
        while label in named:
            label, number = f"{kind}-{number}", number + 1
        named[label] = category
    return named


def _instances(rng: random.Random, labels: list[str], images: int) -> tuple[tuple[tuple[str, int], ...], ...]:
    """The flaws of each picture: all labels occur equally often, or once more."""
    second = set(rng.sample(range(images), round(TWO * images)))
    total = images + len(second)
    drawn = [labels[number % len(labels)] for number in range(total)]
    rng.shuffle(drawn)
    numbered = iter(enumerate(drawn))
    pictures = []
    for image in range(images):
        own = [next(numbered) for _ in range(2 if image in second else 1)]
        pictures.append(tuple((label, number) for number, label in own))
    return tuple(pictures)
