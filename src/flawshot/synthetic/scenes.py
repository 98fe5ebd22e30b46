"""Scenes: pictures of a product's surface with flaws of given categories, and their exact masks."""

from __future__ import annotations

import colorsys
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.synthetic.canvas import Canvas, photograph
from flawshot.synthetic.fields import axes, grain, log_uniform, rise
from flawshot.synthetic.flaws import EDGE_FLAWS, FLAWS, Spot
from flawshot.synthetic.surfaces import SURFACES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

__all__ = ["Category", "Product", "Scene", "draw_scene", "invent_categories", "invent_product"]

# A px belongs to a flaw that covers more than this share of it, or more than the second if few px would be left.
COVERED, BARELY = 0.4, 0.12
FEWEST_PIXELS = 8
# Flaws without a visible direction.
ROUND = frozenset({"hole", "dent", "bump", "pits", "blisters", "dust", "burn", "ring", "drop", "rust"})


@dataclass(frozen=True, slots=True)
class Product:
    """What all pictures of a product share.

    Attributes:
        seed: Of its look: color, texture, light, camera.
        surface: One of :data:`flawshot.synthetic.surfaces.SURFACES`.
        detail: Size of the finest detail, px in a picture of 256 px.
        edge: Whether the object's edge is in the picture.
        lots: Number of looks that it has (lots of material, cameras, lights). Each picture shows one of them.
    """

    seed: int
    surface: str
    detail: float
    edge: bool
    lots: int = 1


@dataclass(frozen=True, slots=True)
class Category:
    """What all flaws of a category share.

    Attributes:
        seed: Of its look: tone, raggedness, proportions.
        flaw: One of :data:`flawshot.synthetic.flaws.FLAWS`.
        size: Its longer side, as a share of the picture's.
        strength: How plain it is to see, 0 to 1.
        angle: Its direction in radians, or None where it varies.
        looks: Number of looks that its instances have. A category with one cause usually has one; a general name for
            many kinds of flaws has many.
    """

    seed: int
    flaw: str
    size: float
    strength: float
    angle: float | None
    looks: int = 1

    @property
    def spread(self) -> tuple[float, float]:
        """How much size and strength vary between instances: standard deviations of their logarithms."""
        return (0.22, 0.15) if self.looks == 1 else (0.45, 0.3)


class Scene(NamedTuple):
    """A picture with its flaws.

    Attributes:
        image: uint8 ``[side, side, 3]``.
        masks: One per flaw, in the given order, bool ``[side, side]``; a later flaw may cover an earlier one.
    """

    image: NDArray[np.uint8]
    masks: tuple[NDArray[np.bool_], ...]


def invent_product(rng: random.Random, surfaces: Sequence[str] = tuple(SURFACES), *, varied: float = 0.0) -> Product:
    """Invent a product.

    Args:
        rng: Where the randomness comes from.
        surfaces: Kinds to choose from.
        varied: How often it comes in several lots.
    """
    return Product(
        seed=rng.getrandbits(48),
        surface=rng.choice(surfaces),
        detail=log_uniform(rng, 0.8, 4.5),
        edge=rng.random() < 0.3,
        lots=rng.choice((2, 3, 6, 100)) if rng.random() < varied else 1,
    )


def invent_categories(
    rng: random.Random,
    count: int,
    *,
    flaws: Sequence[str] = tuple(FLAWS),
    alike: float = 0.25,
    broad: float = 0.0,
    hardness: tuple[float, float] = (0.0, 1.0),
    sizes: tuple[float, float] = (0.04, 0.5),
) -> list[Category]:
    """Invent categories of flaws for one product.

    Args:
        rng: Where the randomness comes from.
        count: Number of categories.
        flaws: Kinds to choose from.
        alike: How often a category has the kind of another one, with other parameters.
        broad: How often a category has several looks; other categories then avoid its kind as long as there are others.
        hardness: Bounds of 1 - strength.
        sizes: Bounds of the longer side, as shares of the picture's.
    """
    made: list[Category] = []
    for _ in range(count):
        used = [category.flaw for category in made]
        free = [name for name in flaws if name not in used] or list(flaws)
        uniform = [category.flaw for category in made if category.looks == 1]
        again = bool(uniform) and rng.random() < alike
        flaw = rng.choice(uniform) if again else rng.choice(free)
        looks = rng.choice((2, 4, 100)) if not again and rng.random() < broad else 1
        angle = rng.uniform(0, math.pi) if flaw not in ROUND and rng.random() < 0.4 else None
        strength = 1 - 0.92 * rng.uniform(*hardness)
        made.append(Category(rng.getrandbits(48), flaw, log_uniform(rng, *sizes), strength, angle, looks))
    return made


def draw_scene(product: Product, flaws: Sequence[tuple[Category, int]], side: int, seed: int) -> Scene:
    """Draw a picture of a product with flaws.

    Args:
        product: Its look.
        flaws: Category and the instance's seed of each flaw, drawn in this order.
        side: Of the picture, px.
        seed: Seed of everything that belongs neither to the product nor to a flaw.

    Returns:
        The same scene for the same arguments, on every machine.
    """
    rng = random.Random(f"{product.seed}/{seed}")
    look = _look(product.seed, product.lots, rng)
    canvas = _canvas(product, look, side, rng, edge=product.edge or any(c.flaw in EDGE_FLAWS for c, _ in flaws))
    taken: list[Spot] = []
    masks = []
    for category, number in flaws:
        own = random.Random(f"{category.seed}/{number}")
        style = random.Random(_look(category.seed, category.looks, own))
        spot = _spot(category, own, canvas, taken)
        share = FLAWS[category.flaw](style, own, canvas, spot)
        if category.flaw not in EDGE_FLAWS:
            share = share * canvas.solid
        taken.append(spot)
        masks.append(_mask(share, spot))
    image = photograph(canvas, random.Random(look ^ 0x5EED), rng)
    return Scene(image, tuple(masks))


def _look(seed: int, count: int, rng: random.Random) -> int:
    """The seed of one of several looks; if there is only one, nothing is drawn."""
    return seed if count == 1 else random.Random(f"{seed}/{rng.randrange(count)}").getrandbits(48)


def _canvas(product: Product, look: int, side: int, rng: random.Random, *, edge: bool) -> Canvas:
    style = random.Random(look)
    base, other, behind = (_color(style) for _ in range(3))
    detail = product.detail if product.lots == 1 else product.detail * math.exp(style.gauss(0, 0.3))
    unit = max(0.8, detail * side / 256)
    surface = SURFACES[product.surface](style, rng, side, unit)
    base = base * np.float32(1 + rng.gauss(0, 0.04))
    contrast = style.uniform(0.5, 1.3)
    tone = np.float32(contrast) * surface.tone[..., None]
    mixed = base * (1 + tone) + (other - base) * np.clip(tone, 0, 1) * np.float32(style.random() < 0.5)
    solid = np.ones((side, side), dtype=np.float32)
    if edge:
        solid = _outline(style, rng, side)
    if style.random() < 0.6:
        behind = behind * np.float32(0.15)
    return Canvas(
        color=np.clip(mixed, 0.01, 1.2).astype(np.float32),
        height=surface.height.astype(np.float32),
        gloss=np.full((side, side), surface.gloss, dtype=np.float32),
        solid=solid,
        behind=behind.astype(np.float32),
        unit=unit,
    )


def _color(style: random.Random) -> NDArray[np.float32]:
    """A color, mostly grayish, like most manufactured products."""
    saturation = style.choice((0.0, 0.05, style.uniform(0, 0.25), style.uniform(0, 0.8)))
    made = colorsys.hsv_to_rgb(style.random(), saturation, style.uniform(0.2, 0.9))
    return np.array(made, dtype=np.float32)


def _outline(style: random.Random, rng: random.Random, side: int) -> NDArray[np.float32]:
    """Where the object is: a straight, wavy or round edge through the picture."""
    along, across = axes(
        side, rng.uniform(0, 2 * math.pi) if style.random() < 0.6 else style.choice((0, 0.5, 1)) * math.pi
    )
    offset = np.float32(rng.uniform(-0.28, 0.05) * side)
    away = along - offset
    kind = style.randrange(3)
    if kind == 1:
        radius = np.float32(style.uniform(0.5, 2) * side)
        away = np.hypot(along - offset - radius, across) * -1 + radius
    elif kind == 2:
        away = away + grain(rng, side, side / 4) * np.float32(style.uniform(0, 0.015) * side)
    return rise(away, -0.7, 0.7)


def _spot(category: Category, rng: random.Random, canvas: Canvas, taken: Sequence[Spot]) -> Spot:
    """A place for a flaw: inside the picture, on the object (or its edge), and apart from the others."""
    side = canvas.side
    sizes, strengths = category.spread
    size = max(6.0, min(0.85 * side, category.size * side * math.exp(rng.gauss(0, sizes))))
    angle = rng.uniform(0, math.pi) if category.angle is None else category.angle + rng.gauss(0, 0.12)
    strength = min(1.0, max(0.04, category.strength * math.exp(rng.gauss(0, strengths))))
    margin = min(0.48 * side, size / 2 + 2)
    best, room = (side / 2, side / 2), -math.inf
    at_edge = category.flaw in EDGE_FLAWS
    rim: Collection[tuple[int, int]] = ()
    if at_edge:
        places = np.argwhere((canvas.solid > 0.2) & (canvas.solid < 0.8))
        inside = places[((places > margin / 2) & (places < side - margin / 2)).all(axis=1)]
        rim = [(int(y), int(x)) for y, x in (inside if len(inside) else places)]
    for _ in range(24):
        if rim:
            y, x = rng.choice(list(rim))
            place = (float(x), float(y))
        else:
            place = (rng.uniform(margin, side - margin), rng.uniform(margin, side - margin))
        free = min([math.dist(place, other.center) - (size + other.size) / 2 for other in taken], default=1.0)
        if not at_edge and canvas.solid[int(place[1]), int(place[0])] < 0.5:
            free -= 10 * side
        if free > room:
            best, room = place, free
        if free > 0:
            break
    if rim:
        angle = _tangent(canvas, best)
    return Spot(best[0], best[1], size, angle, strength)


def _tangent(canvas: Canvas, place: tuple[float, float]) -> float:
    """The edge's direction near a place, radians."""
    x, y = int(place[0]), int(place[1])
    window = canvas.solid[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
    if min(window.shape) < 2:
        return 0.0
    down, across = np.gradient(window)
    return math.atan2(float(down.sum()), float(across.sum())) + math.pi / 2


def _mask(share: NDArray[np.float32], spot: Spot) -> NDArray[np.bool_]:
    for least in (COVERED, BARELY):
        mask: NDArray[np.bool_] = share > least
        if int(mask.sum()) >= FEWEST_PIXELS:
            return mask
    line = np.arange(len(share), dtype=np.float32)
    near = np.hypot(line[None, :] - np.float32(spot.x), line[:, None] - np.float32(spot.y))
    fallback: NDArray[np.bool_] = near <= max(2.0, spot.size / 4)
    return fallback
