"""Means and deviations of the outlines of drawn flaws: the constants of ``flawshot.regions.outlines``.

    python benchmarks/outline_statistics.py

2,880 flaws, 90 of each kind, each of its own category and product, in pictures of 256 px, seed 0.
"""

from __future__ import annotations

import random

import numpy as np

from flawshot.labelme.shapes import Region
from flawshot.regions.outlines import OUTLINE_NUMBERS, measure_outline
from flawshot.synthetic.flaws import FLAWS
from flawshot.synthetic.scenes import draw_scene, invent_categories, invent_product

EACH, SIDE = 90, 256


def cut(mask: np.ndarray) -> Region:
    """A mask as a region."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Region(int(columns[0]), int(rows[0]), mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def main() -> None:
    """Print them."""
    rng = random.Random(0)
    made = []
    for flaw in FLAWS:
        for number in range(EACH):
            product, (category,) = invent_product(rng), invent_categories(rng, 1, flaws=[flaw])
            made.append(
                measure_outline(cut(draw_scene(product, [(category, number)], SIDE, number).masks[0]), SIDE, SIDE)
            )
    table = np.array(made)
    print(f"{len(table)} flaws")
    for name, mean, deviation in zip(OUTLINE_NUMBERS, table.mean(axis=0), table.std(axis=0), strict=True):
        print(f"{name:12} {mean:8.3f} {deviation:8.3f}")


if __name__ == "__main__":
    main()
