"""How much the outline should count beside the default: by drawn flaws, nothing else.

    python benchmarks/outline_weight.py

24 drawn products of six categories with twelve instances each, half of them in several lots and looks; flawshot-tiny
without and with the mask, six support sets a product. Each product is annotated by one of four hands: exactly to the
px, generously, by the convex hull, or by the box; the encoder's mask and the outline are both the hand's. Printed are
the accuracy of ``outline`` by its ridge, and of ``default-outline`` by its weight, by hand and K; weight 0 is
``default``.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation
from scipy.spatial import ConvexHull

from flawshot.classifiers import make_classifier
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.regions.outlines import measure_outline, standard_outlines
from flawshot.synthetic.scenes import draw_scene, invent_categories, invent_product
from flawshot.synthetic.training.corpus import cut_view
from outline_statistics import cut

PRODUCTS, CATEGORIES, INSTANCES, DRAWS = 24, 6, 12, 6
RIDGES, WEIGHTS = (1, 3, 10, 30, 100), (0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
HANDS = ("exact", "generous", "hull", "box")


def annotate(mask: np.ndarray, hand: str, rng: random.Random) -> np.ndarray:
    """A mask as a person draws it, bool of the same shape.

    Args:
        mask: Exact.
        hand: One of ``HANDS``: to the px; wider by some px; the convex hull of that; the box of that.
        rng: How much wider.
    """
    if hand == "exact":
        return mask
    wide = binary_dilation(mask, iterations=rng.randint(1, 4))
    if hand == "generous":
        return wide
    rows, columns = np.nonzero(wide)
    sheet = Image.new("1", mask.shape[::-1])
    if hand == "hull":
        points = np.stack([columns, rows], axis=1)
        corners = [(int(x), int(y)) for x, y in points[ConvexHull(points).vertices]]
        ImageDraw.Draw(sheet).polygon(corners, fill=1, outline=1)
    else:
        ImageDraw.Draw(sheet).rectangle((columns.min(), rows.min(), columns.max(), rows.max()), fill=1)
    return np.asarray(sheet)


def draw() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features by region, ``[products, categories, instances, views, dim]``, and outlines."""
    rng = random.Random(99)
    encoders = {region: TinyEncoder(region=region, device="cpu") for region in ("crop", "alpha")}
    shape = (PRODUCTS, CATEGORIES, INSTANCES)
    features: dict[str, list[np.ndarray]] = {region: [] for region in encoders}
    outlines = np.zeros((*shape, 10), np.float32)
    for p in range(PRODUCTS):
        varied = float(p // len(HANDS) % 2)
        product = invent_product(rng, varied=varied)
        categories = invent_categories(rng, CATEGORIES, hardness=(0.1, 0.8), broad=varied)
        side, views = rng.choice((128, 192, 256)), []
        for c, category in enumerate(categories):
            for i in range(INSTANCES):
                scene = draw_scene(product, [(category, i)], side, c * INSTANCES + i)
                mask = annotate(scene.masks[0], HANDS[p % len(HANDS)], rng)
                outlines[p, c, i] = standard_outlines(measure_outline(cut(mask), side, side)[None])[0]
                views += [cut_view(scene.image, mask, rng, 96, centered=True, view=view) for view in range(3)]
        crops = torch.from_numpy(np.stack(views))
        for region, encoder in encoders.items():
            parts = [
                encoder.encode(crops[a : a + 32, ..., :3], crops[a : a + 32, ..., 3]) for a in range(0, len(crops), 32)
            ]
            features[region].append(torch.cat(parts).numpy()[:, 0].reshape(CATEGORIES, INSTANCES, 3, -1))
    return {region: np.stack(own) for region, own in features.items()}, outlines


def score(features: np.ndarray, outlines: np.ndarray, shots: int) -> dict[tuple[str, float], np.ndarray]:
    """Accuracy of every product, by ``ridge`` or ``weight`` and its value."""
    found: dict[tuple[str, float], list[list[float]]] = {}
    for p in range(PRODUCTS):
        rng = random.Random(p)
        for _ in range(DRAWS):
            order = rng.sample(range(INSTANCES), INSTANCES)
            s, q = order[:shots], order[shots:]
            y, truth = np.repeat(np.arange(CATEGORIES), shots), np.repeat(np.arange(CATEGORIES), len(q))
            views, asked = (features[p][:, ids].reshape(-1, *features.shape[3:]) for ids in (s, q))
            forms, asked_forms = (outlines[p][:, ids].reshape(-1, outlines.shape[-1]) for ids in (s, q))
            said = {
                ("ridge", ridge): make_classifier("outline", ridge=ridge).fit(forms, y).predict(asked_forms)
                for ridge in RIDGES
            }
            said["weight", 0] = make_classifier("whitened-ridge").fit(views, y).predict(asked)
            for weight in WEIGHTS[1:]:
                fitted = make_classifier("default-outline", outline_weight=weight).fit(views, y, outlines=forms)
                said["weight", weight] = fitted.classes_[fitted.predict_proba(asked, asked_forms).argmax(axis=1)]
            for key, guess in said.items():
                found.setdefault(key, [[] for _ in range(PRODUCTS)])[p].append(float((guess == truth).mean()))
    return {key: np.array(values).mean(axis=1) for key, values in found.items()}


def main() -> None:
    """Print the tables."""
    features, outlines = draw()
    hands = np.array([HANDS[p % len(HANDS)] for p in range(PRODUCTS)])
    for region, own in features.items():
        for shots in (1, 3, 5):
            found = score(own, outlines, shots)
            alone = ", ".join(f"{ridge}: {found['ridge', ridge].mean():.3f}" for ridge in RIDGES)
            print(f"{region}, {shots} shots; outline alone by ridge: {alone}")
            for hand in (*HANDS, "all"):
                chosen = slice(None) if hand == "all" else hands == hand
                cells = ", ".join(f"{weight}: {found['weight', weight][chosen].mean():.3f}" for weight in WEIGHTS)
                print(f"   {hand:9} by weight at one shot: {cells}", flush=True)


if __name__ == "__main__":
    main()
