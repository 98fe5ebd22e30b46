"""Draw ``tests/data/bracket``: a small product in MVTec-FS's form, with features in MVREC's form.

    python tests/data/make_bracket.py

Forty-odd drawn pictures of brushed metal with four kinds of flaws, their outlines as MVTec-FS's tables, and for each of
MVREC's 27 views a handful of hand-made numbers (coarse gray pattern, contrast, gradient directions). They are no CLIP
features and say nothing of what CLIP reaches; they let the whole way be walked without any weights.
"""

from __future__ import annotations

import csv
import json
import math
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).resolve().parent / "bracket"
SIZE = 320
PER_SPLIT = 5
Outline = list[tuple[float, float]]


def surface(rng: np.random.Generator) -> np.ndarray:
    """Brushed metal: streaks along x, a gradient of light, fine grain."""
    streaks = rng.normal(size=(SIZE, 1)) * 5 + rng.normal(size=(SIZE, SIZE)) * 3
    streaks = (streaks + np.roll(streaks, 1, axis=1) + np.roll(streaks, 2, axis=1)) / 3
    x, y = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
    return 140 + streaks * 1.5 + 18 * (x * rng.normal() + y * rng.normal())


def blob(random_: random.Random, cx: float, cy: float, radius: float, ragged: float) -> Outline:
    """A closed outline around a centre."""
    phases = [random_.uniform(0, 2 * math.pi) for _ in range(3)]
    outline = []
    for step in range(28):
        angle = 2 * math.pi * step / 28
        r = radius * (1 + ragged * sum(math.sin((k + 2) * angle + phase) / (k + 1) for k, phase in enumerate(phases)))
        outline.append((cx + r * math.cos(angle), cy + r * math.sin(angle)))
    return outline


def streak(random_: random.Random, cx: float, cy: float, length: float, width: float, bend: float) -> Outline:
    """A long thin outline through a centre."""
    angle = random_.uniform(0, math.pi)
    upper, lower = [], []
    for step in range(9):
        t = step / 8 - 0.5
        x, y = length * t, bend * length * (t * t)
        px, py = cx + x * math.cos(angle) - y * math.sin(angle), cy + x * math.sin(angle) + y * math.cos(angle)
        dx, dy = -math.sin(angle) * width / 2, math.cos(angle) * width / 2
        upper.append((px + dx, py + dy))
        lower.append((px - dx, py - dy))
    return upper + lower[::-1]


def flaw(category: str, random_: random.Random) -> Outline:
    """The outline of one flaw."""
    cx, cy = random_.uniform(90, SIZE - 90), random_.uniform(90, SIZE - 90)
    if category == "scratch":
        return streak(random_, cx, cy, random_.uniform(60, 130), random_.uniform(3, 5), random_.uniform(-0.2, 0.2))
    if category == "crack":
        return streak(random_, cx, cy, random_.uniform(50, 110), random_.uniform(6, 10), random_.uniform(-0.9, 0.9))
    if category == "dent":
        return blob(random_, cx, cy, random_.uniform(16, 30), 0.05)
    return blob(random_, cx, cy, random_.uniform(18, 36), 0.3)


def paint(pixels: np.ndarray, category: str, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay the flaw's look over the surface."""
    soft = np.asarray(Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2))) / 255
    if category == "scratch":
        return pixels + soft * (55 + 10 * rng.normal())
    if category == "crack":
        return pixels - soft * (75 + 10 * rng.normal())
    if category == "dent":
        rows, columns = np.nonzero(mask)
        y, x = np.mgrid[:SIZE, :SIZE]
        slope = ((x - columns.mean()) + (y - rows.mean())) / (np.ptp(columns) + 1)
        return pixels + soft * 60 * slope
    return pixels * (1 - soft * 0.35) + soft * 20 * rng.normal(size=mask.shape) * 0.4


def crop(image: np.ndarray, size: int, cx: int, cy: int) -> np.ndarray:
    """A square crop, zero beyond the border."""
    top, left = cy - size // 2, cx - size // 2
    out = np.zeros((size, size), dtype=np.float32)
    y0, x0, y1, x1 = max(0, top), max(0, left), min(SIZE, top + size), min(SIZE, left + size)
    if y1 > y0 and x1 > x0:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return out


def numbers(gray: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Thirty-two numbers of a view."""
    small = np.asarray(Image.fromarray(gray).resize((64, 64), Image.Resampling.BOX), dtype=np.float32) / 255
    inside = np.asarray(Image.fromarray(mask).resize((64, 64), Image.Resampling.BOX), dtype=np.float32)
    dy, dx = np.gradient(small)
    strength = np.hypot(dx, dy) * np.minimum(1, inside * 3)
    turns = ((np.arctan2(dy, dx) % math.pi) / math.pi * 8).astype(int).clip(0, 7)
    directions = np.bincount(turns.ravel(), weights=strength.ravel(), minlength=8) / (strength.sum() + 1e-6)
    weight = inside.sum() + 1e-6
    mean = (small * inside).sum() / weight
    around = (small * (1 - inside)).sum() / ((1 - inside).sum() + 1e-6)
    spread = math.sqrt((((small - mean) ** 2) * inside).sum() / weight)
    grid = inside.reshape(4, 16, 4, 16).mean(axis=(1, 3)).ravel()
    figures = [mean - around, abs(mean - around), spread, strength.sum() / weight, inside.mean(), mean, around, 1.0]
    return np.concatenate([np.sort(directions)[::-1], 4 * np.array(figures), grid]).astype(np.float32)


def views(gray: np.ndarray, mask: np.ndarray, outline: Outline) -> np.ndarray:
    """MVREC's 27 views, three tokens each: the view, its middle, and its mask blurred away."""
    xs, ys = zip(*outline, strict=True)
    cx, cy = int(min(xs) + max(xs)) // 2, int(min(ys) + max(ys)) // 2
    out = []
    for size in (256, 384, 512):
        for j in (-1, 0, 1):
            for i in (-1, 0, 1):
                at = cx + i * size // 3, cy + j * size // 3
                one, two = crop(gray, size, *at), crop(mask, size, *at)
                quarter = slice(size // 4, -size // 4)
                out.append(
                    [
                        numbers(one, two),
                        numbers(one[quarter, quarter], two[quarter, quarter]),
                        numbers(one, two * 0 + 1),
                    ]
                )
    return np.array(out)


def main() -> None:
    """Write tables, pictures and features."""
    random_, rng = random.Random(1), np.random.default_rng(1)
    categories = ["crack", "dent", "scratch", "stain"]
    for split, table, part in (("training", "train", "support"), ("testing", "valid", "query")):
        rows, features = [], []
        for category in categories:
            for number in range(PER_SPLIT):
                # Every fifth picture has two flaws, the second of another category, as real ones do.
                own = [category] + ([categories[(categories.index(category) + 1) % 4]] if number == 4 else [])
                gray, outlines = surface(rng), []
                for each in own:
                    outline = flaw(each, random_)
                    canvas = Image.new("L", (SIZE, SIZE))
                    ImageDraw.Draw(canvas).polygon(outline, fill=1)
                    mask = np.asarray(canvas).astype(bool)
                    gray = paint(gray, each, mask, rng)
                    outlines.append((each, outline, mask))
                name = f"{split}/{category}/{number:03}.jpg"
                path = HERE / "image" / "bracket" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                picture = Image.fromarray(gray.clip(0, 255).astype(np.uint8))
                picture.save(path, quality=80)
                for each, outline, mask in outlines:
                    points = [[round(x, 1), round(y, 1)] for x, y in outline]
                    rows.append([name, SIZE, SIZE, each, json.dumps(points)])
                    pixels = np.asarray(picture, dtype=np.float32)
                    label = torch.tensor(categories.index(each))
                    view_features = torch.from_numpy(views(pixels, mask.astype(np.float32), outline)).half()
                    features.append({"y": label, "mvrec": view_features})
        folder = HERE / "CONFIG" / "bracket_config1"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as opened:
            writer = csv.writer(opened, lineterminator="\n")
            writer.writerow(["img_rel_path", "imageHeight", "imageWidth", "label", "points"])
            writer.writerows(rows)
        (HERE / "features").mkdir(exist_ok=True)
        torch.save(features, HERE / "features" / f"bracket_{part}.pt")


if __name__ == "__main__":
    main()
