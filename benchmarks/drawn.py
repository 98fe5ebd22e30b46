"""Drawn products with drawn flaws, as Labelme files: a data set that anyone can make again.

Each product has a surface (grain, weave, brushed, blotched) and six categories of flaws, two of which are alike on
purpose (scratch and crack, stain and dent). They are no photographs; they serve where a third data set is wanted.
Another seed gives other products.
"""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CATEGORIES", "draw_products"]

SIDE = 384
CATEGORIES = ("chip", "crack", "dent", "pits", "scratch", "stain")


def draw_products(out: Path, *, products: int = 4, per_category: int = 14, seed: int = 0) -> None:
    """Write ``out/product<n>/<category>/<n>.png`` with their Labelme files."""
    for product in range(products):
        style = random.Random(f"{seed}/{product}")
        look = {
            "kind": ("grain", "weave", "brushed", "blotched")[product % 4],
            "level": style.uniform(90, 165),
            "tint": [style.uniform(0.8, 1.1) for _ in range(3)],
            "contrast": style.uniform(0.7, 1.3),
        }
        for category in CATEGORIES:
            for number in range(per_category):
                rng = random.Random(f"{seed}/{product}/{category}/{number}")
                folder = out / f"product{product}" / category
                folder.mkdir(parents=True, exist_ok=True)
                pixels, outline = _picture(look, category, rng)
                Image.fromarray(pixels).save(folder / f"{number:03}.png")
                shape = {"label": category, "points": outline, "shape_type": "polygon"}
                document = {
                    "imagePath": f"{number:03}.png",
                    "imageData": None,
                    "imageHeight": SIDE,
                    "imageWidth": SIDE,
                    "shapes": [shape],
                }
                (folder / f"{number:03}.json").write_text(json.dumps(document), encoding="utf-8")


def _blur(pixels: np.ndarray, radius: float) -> np.ndarray:
    return gaussian_filter(pixels.astype(np.float32), radius)


def _surface(look: dict, rng: random.Random) -> np.ndarray:
    """Gray levels of the flawless surface, ``[side, side]``."""
    noise = np.random.default_rng(rng.getrandbits(32))
    base = noise.normal(size=(SIDE, SIDE)).astype(np.float32)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    match look["kind"]:
        case "grain":
            texture = 14 * _blur(base, 1.5) * 2 + 5 * base
        case "weave":
            phase = rng.uniform(0, 6)
            texture = 16 * np.sin(x * 210 + phase) * np.sin(y * 210) + 5 * base
        case "brushed":
            texture = 40 * _blur(np.repeat(base[:, :1], SIDE, axis=1) * 0.5 + 0.1 * base, 0.6)
        case _:
            texture = 260 * _blur(base, 9) + 4 * base
    light = 22 * ((x - 0.5) * rng.uniform(-1, 1) + (y - 0.5) * rng.uniform(-1, 1))
    return look["level"] + rng.uniform(-12, 12) + look["contrast"] * texture + light


def _picture(look: dict, category: str, rng: random.Random) -> tuple[np.ndarray, list[list[float]]]:
    gray = _surface(look, rng)
    lines, discs, outline = _geometry(category, rng)
    mask = Image.new("L", (2 * SIDE, 2 * SIDE))
    draw = ImageDraw.Draw(mask)
    for points, width in lines:
        draw.line([(2 * a, 2 * b) for a, b in points], fill=255, width=max(1, round(2 * width)), joint="curve")
    for points in discs:
        draw.polygon([(2 * a, 2 * b) for a, b in points], fill=255)
    soft = np.asarray(mask.resize((SIDE, SIDE)), dtype=np.float32) / 255
    strength = rng.uniform(0.25, 1.0)
    tint = np.ones(3)
    if category == "scratch":
        gray = gray + strength * 48 * soft
    elif category == "crack":
        gray = gray - strength * 55 * soft
    elif category == "chip":
        rough = 2.2 * _blur(gray - gray.mean(), 1)
        gray = gray * (1 - soft) + soft * (look["level"] - strength * 45 + rough)
    elif category == "pits":
        gray = gray - strength * 45 * _blur(soft, 0.8)
    elif category == "dent":
        relief = _blur(soft, 5)
        down, across = rng.randint(-4, 4), rng.choice((-4, -3, 3, 4))
        slope = np.roll(relief, (down, across), axis=(0, 1)) - np.roll(relief, (-down, -across), axis=(0, 1))
        gray = gray + strength * 110 * slope
    else:
        gray = gray - strength * 26 * _blur(soft, 3)
        tint = np.array([1.0, rng.uniform(0.9, 1.0), rng.uniform(0.75, 0.95)])
    colors = gray[..., None] * np.array(look["tint"]) * (1 + (tint - 1) * _blur(soft, 2)[..., None])
    return np.clip(colors, 0, 255).astype(np.uint8), outline


def _blob(rng: random.Random, center: tuple[float, float], radius: float, ragged: float) -> list[tuple[float, float]]:
    phases = [rng.uniform(0, 2 * math.pi) for _ in range(4)]
    stretch = rng.uniform(0.7, 1.3)
    points = []
    for step in range(36):
        angle = 2 * math.pi * step / 36
        r = radius * (1 + ragged * sum(math.sin((k + 2) * angle + p) / (k + 1) for k, p in enumerate(phases)))
        points.append((center[0] + stretch * r * math.cos(angle), center[1] + r / stretch * math.sin(angle)))
    return points


def _path(rng: random.Random, start: tuple[float, float], length: float, wander: float) -> list[tuple[float, float]]:
    angle, points = rng.uniform(0, 2 * math.pi), [start]
    for _ in range(14):
        angle += rng.gauss(0, wander)
        a, b = points[-1]
        points.append((a + length / 14 * math.cos(angle), b + length / 14 * math.sin(angle)))
    return points


def _hull(points: list[tuple[float, float]], margin: float) -> list[list[float]]:
    """A loose outline: the box around the points, as a hurried annotator draws it."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    left, right = max(0.0, min(xs) - margin), min(SIDE - 1.0, max(xs) + margin)
    top, bottom = max(0.0, min(ys) - margin), min(SIDE - 1.0, max(ys) + margin)
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def _geometry(category: str, rng: random.Random) -> tuple[list, list, list[list[float]]]:
    """Lines with their widths, filled outlines, and the annotation's outline."""
    center = (rng.uniform(110, SIDE - 110), rng.uniform(110, SIDE - 110))
    if category == "scratch":
        path = _path(rng, center, rng.uniform(50, 130), 0.06)
        return [(path, rng.uniform(1.5, 4))], [], _hull(path, 4)
    if category == "crack":
        path = _path(rng, center, rng.uniform(60, 130), 0.45)
        branch = _path(rng, path[7], rng.uniform(15, 45), 0.4)
        width = rng.uniform(1.5, 4)
        return [(path, width), (branch, width * 0.7)], [], _hull(path + branch, 4)
    if category == "pits":
        spread = rng.uniform(14, 34)
        spots = [(rng.gauss(center[0], spread), rng.gauss(center[1], spread)) for _ in range(rng.randint(6, 18))]
        discs = [_blob(rng, spot, rng.uniform(2, 5), 0.1) for spot in spots]
        return [], discs, _hull(spots, 6)
    ragged = {"chip": 0.35, "dent": 0.04, "stain": 0.2}[category]
    blob = _blob(rng, center, rng.uniform(14, 38), ragged)
    return [], [blob], _hull(blob, 4)
