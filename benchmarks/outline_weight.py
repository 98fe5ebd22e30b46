"""How much the outline should count beside the default: by drawn flaws, nothing else.

    python benchmarks/outline_weight.py

24 drawn products of six categories with twelve instances each, flawshot-tiny without and with the mask, six support
sets a product: accuracy of ``outline`` by its ridge, and of the default's scores plus a weight times the outline's.
"""

from __future__ import annotations

import random

import numpy as np
import torch

from flawshot.classifiers.functional import category_means, one_hot
from flawshot.classifiers.whitened_ridge import balance, ridge_regression, view_statistics, view_whitener, whiten
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.outlines import measure_outline, standard_outlines
from flawshot.synthetic.scenes import draw_scene, invent_categories, invent_product
from flawshot.synthetic.training.corpus import cut_view
from outline_statistics import cut

PRODUCTS, CATEGORIES, INSTANCES = 24, 6, 12
RIDGES, WEIGHTS = (1, 3, 10, 30, 100), (0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)


def draw() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features by region, ``[products, categories, instances, views, dim]``, and outlines."""
    rng = random.Random(99)
    encoders = {region: TinyEncoder(region=region, device="cpu") for region in ("crop", "alpha")}
    shape = (PRODUCTS, CATEGORIES, INSTANCES)
    features = {region: np.zeros((*shape, 3, 368), np.float32) for region in encoders}
    outlines = np.zeros((*shape, 10), np.float32)
    for p in range(PRODUCTS):
        product, categories = invent_product(rng), invent_categories(rng, CATEGORIES, hardness=(0.1, 0.8))
        side, views = rng.choice((128, 192, 256)), []
        for c, category in enumerate(categories):
            for i in range(INSTANCES):
                scene = draw_scene(product, [(category, i)], side, c * INSTANCES + i)
                outlines[p, c, i] = standard_outlines(measure_outline(cut(scene.masks[0]), side, side)[None])[0]
                views += [cut_view(scene.image, scene.masks[0], rng, 96, centred=True, view=view) for view in range(3)]
        crops = torch.from_numpy(np.stack(views))
        for region, encoder in encoders.items():
            parts = [
                encoder.encode(crops[a : a + 32, ..., :3], crops[a : a + 32, ..., 3]) for a in range(0, len(crops), 32)
            ]
            features[region][p] = torch.cat(parts).numpy()[:, 0].reshape(CATEGORIES, INSTANCES, 3, 368)
    return features, outlines


def score(features: np.ndarray, outlines: np.ndarray, shots: int) -> dict[tuple[float, float | None], float]:
    """Accuracy by ridge and weight; the outline alone where the weight is None."""
    found: dict[tuple[float, float | None], list[float]] = {}
    for p in range(PRODUCTS):
        rng = random.Random(p)
        for _ in range(6):
            order = rng.sample(range(INSTANCES), INSTANCES)
            s, q = order[:shots], order[shots:]
            y, truth = np.repeat(np.arange(CATEGORIES), shots), np.repeat(np.arange(CATEGORIES), len(q))
            views, asked = (features[p][:, ids].reshape(-1, 3, 368) for ids in (s, q))
            forms, asked_forms = (outlines[p][:, ids].reshape(-1, 10) for ids in (s, q))
            statistics = view_statistics(views)
            whitener, centre = (
                view_whitener(statistics.scatter, 2.0),
                category_means(statistics.instances, y, CATEGORIES).mean(0),
            )
            targets, weights = one_hot(y, CATEGORIES) - np.float32(1 / CATEGORIES), balance(y, CATEGORIES)
            fitted = ridge_regression(whiten(statistics.instances - centre, whitener), targets, weights, 0.5)
            own = whiten(view_statistics(asked).instances - centre, whitener) @ fitted.T
            middle = category_means(forms, y, CATEGORIES).mean(0)
            for ridge in RIDGES:
                other = (asked_forms - middle) @ ridge_regression(forms - middle, targets, weights, ridge).T
                found.setdefault((ridge, None), []).append(float((other.argmax(1) == truth).mean()))
                for weight in WEIGHTS:
                    found.setdefault((ridge, weight), []).append(
                        float(((own + weight * other).argmax(1) == truth).mean())
                    )
    return {key: float(np.mean(values)) for key, values in found.items()}


def main() -> None:
    """Print the tables."""
    features, outlines = draw()
    for region, own in features.items():
        for shots in (1, 3, 5):
            found = score(own, outlines, shots)
            alone = ", ".join(f"{ridge}: {found[ridge, None]:.3f}" for ridge in RIDGES)
            print(f"{region}, {shots} shots; outline alone by ridge: {alone}")
            print("   ridge 3, by weight: " + ", ".join(f"{weight}: {found[3, weight]:.3f}" for weight in WEIGHTS))


if __name__ == "__main__":
    main()
