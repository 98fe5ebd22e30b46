"""Parts with colored flaws, and a finder that is real but simple: distances between colors of small patches."""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image
from scipy import ndimage

from flawshot.labelme.images import read_image
from flawshot.labelme.shapes import Shape, join_regions
from flawshot.regions.found import FoundOnImage, FoundRegion
from helpers import box_shape, labelme_document

COLORS = {"rust": (180, 60, 30), "stain": (30, 40, 120)}
SIDE, PATCH = 64, 4


def part(rng, *flaws):
    """A gray part with square flaws, given as (category, x, y, side); returns the image and the mask of each flaw."""
    pixels = rng.normal(128, 6, (SIDE, SIDE, 3))
    masks = []
    for category, x, y, side in flaws:
        mask = np.zeros((SIDE, SIDE), dtype=bool)
        mask[y : y + side, x : x + side] = True
        pixels[mask] = rng.normal(COLORS[category], 6, (mask.sum(), 3))
        masks.append(mask)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), masks


def write_tree(root, products=("bolt",), train=4, good=3, flawed=3, seed=0):
    """A tree like MVTec AD's."""
    rng = np.random.default_rng(seed)
    for product in products:
        home = root / product
        for split, count in (("train", train), ("test", good)):
            (home / split / "good").mkdir(parents=True)
            for number in range(count):
                part(rng)[0].save(home / split / "good" / f"{number:03}.png")
        for category in COLORS:
            (home / "test" / category).mkdir(parents=True)
            (home / "ground_truth" / category).mkdir(parents=True)
            for number in range(flawed):
                x, y = (4 * rng.integers(1, 11, 2)).tolist()
                image, (mask,) = part(rng, (category, x, y, 12))
                image.save(home / "test" / category / f"{number:03}.png")
                Image.fromarray(mask).convert("L").save(home / "ground_truth" / category / f"{number:03}_mask.png")
    return root


def write_labelme(root, flawed=4, good=6, seed=0):
    """Labelme files with one flaw each in ``data``, and good images in ``good``; their names end in a part's number."""
    rng = np.random.default_rng(seed)
    (root / "data").mkdir(parents=True)
    (root / "good").mkdir()
    for number in range(good):
        part(rng)[0].save(root / "good" / f"fine-{number}.png")
    for category in COLORS:
        for number in range(flawed):
            x, y = (4 * rng.integers(1, 11, 2)).tolist()
            name = f"{category}-{number}"
            part(rng, (category, x, y, 12))[0].save(root / "data" / f"{name}.png")
            shape = box_shape(category, at=(x, y), size=11)
            document = labelme_document([shape], imagePath=f"{name}.png", imageHeight=SIDE, imageWidth=SIDE)
            (root / "data" / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return root


class ColorHeat:
    """A heat map over patches."""

    def __init__(self, grid):
        self.grid = grid
        self.score = float(grid.max())

    def pixels(self):
        return np.kron(self.grid, np.ones((PATCH, PATCH))).astype(np.float32)


class ColorFinder:
    """Distances to the nearest good patch; regions are patches beyond half of the distance of the labeled flaws."""

    def __init__(self, labeled, good):
        images = [(read_image(path, path.name), ()) for path in good]
        # Of images with flaws, the patches beside them.
        images += [
            (read_image(each.image, "support"), (*(own for _, own in each.instances), *each.others))
            for each in (labeled if not good else ())
        ]
        patches = []
        for image, flaws in images:
            covered = join_regions(flaws).full_mask(SIDE, SIDE).reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH)
            patches.append(_patches(image)[~covered.any(axis=(1, 3))])
        self.good = np.concatenate(patches)[::7]
        self.categories = sorted({category for each in labeled for category, _ in each.instances})
        self.colors = []
        for category in self.categories:
            shown = [
                np.asarray(read_image(each.image, "support"))[region.y0 + 4, region.x0 + 4]
                for each in labeled
                for name, region in each.instances
                if name == category
            ]
            self.colors.append(np.mean(shown, axis=0))

    def heat(self, image):
        patches = _patches(image)
        return ColorHeat(np.linalg.norm(patches[:, :, None] - self.good, axis=-1).min(axis=2))

    def inspect(self, image):
        return self.heat(image), self.find(image)

    def find(self, image):
        heat = self.heat(image)
        labels, count = ndimage.label(heat.pixels() > 25)
        regions = []
        for number in range(1, count + 1):
            mask = labels == number
            rows, columns = np.nonzero(mask)
            box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            encoded = io.BytesIO()
            Image.fromarray(box).save(encoded, "PNG")
            corners = np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]], dtype=float)
            shares = None
            if self.categories:
                color = np.asarray(image)[mask].mean(axis=0)
                nearness = np.exp(-np.array([np.linalg.norm(color - own) for own in self.colors]) / 50)
                shares = (nearness / nearness.sum()).astype(np.float32)
            score = float(heat.pixels()[mask].max())
            regions.append(FoundRegion(Shape(number, "", "mask", corners, mask_png=encoded.getvalue()), score, shares))
        return FoundOnImage(tuple(regions), heat.score)


def _patches(image):
    pixels = np.asarray(image, dtype=float)
    count = len(pixels) // PATCH
    return pixels.reshape(count, PATCH, count, PATCH, 3).mean(axis=(1, 3))
