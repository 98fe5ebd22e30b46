"""Captions: what a view shows, in words that vary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flawshot.synthetic.flaws import FLAWS
from flawshot.synthetic.surfaces import SURFACES

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

__all__ = ["caption"]

KINDS, GROUNDS = sorted(FLAWS), sorted(SURFACES)
SYNONYMS = {
    "scratch": ("scratch", "score mark", "thin scratch"),
    "scuff": ("scuff", "abrasion", "scuff marks", "fine scratches"),
    "crack": ("crack", "fracture", "hairline crack"),
    "cut": ("cut", "slit", "tear"),
    "fibre": ("fibre", "hair", "thread"),
    "wrinkle": ("wrinkle", "fold", "crease"),
    "bent wire": ("bent wire", "bent lead", "bent pin"),
    "band": ("band", "stripe", "streak"),
    "seam": ("seam", "row of marks", "chain of marks"),
    "stain": ("stain", "spot", "discolouration"),
    "ring": ("ring", "water mark", "dried drop"),
    "shading": ("shading", "uneven brightness", "cloudy region"),
    "burn": ("burn", "burn mark", "scorch"),
    "rust": ("rust", "corrosion", "flaking"),
    "rough spot": ("rough spot", "broken surface", "spalling"),
    "missing pattern": ("missing pattern", "worn spot", "missing texture"),
    "smear": ("smear", "smudge", "wiped spot"),
    "distortion": ("distortion", "warped pattern", "pulled pattern"),
    "misprint": ("misprint", "wrong print", "mark"),
    "foreign patch": ("foreign patch", "wrong material", "patch"),
    "bleach": ("bleach", "pale spots", "faded drops"),
    "dent": ("dent", "dimple", "pressed-in spot"),
    "bump": ("bump", "bulge", "blister"),
    "hole": ("hole", "cavity", "pore"),
    "pits": ("pits", "pitting", "small holes"),
    "blisters": ("blisters", "bubbles", "small bumps"),
    "inclusion": ("inclusion", "foreign particle", "embedded particle"),
    "drop": ("drop", "glue drop", "oil drop"),
    "dust": ("dust", "chips", "contamination"),
    "chip": ("chip", "chipped edge", "broken edge"),
    "fray": ("fray", "frayed edge", "loose fibres"),
    "burr": ("burr", "flash", "overhanging edge"),
}


def caption(attributes: Sequence[float], rng: random.Random) -> str:
    """Put a scene's attributes into words.

    Args:
        attributes: As :class:`flawshot.synthetic.training.corpus.Corpus` holds them.
        rng: Picks words, and leaves some out.
    """
    kind, ground, share, tone, elongation, angle = attributes
    words = []
    if rng.random() < 0.5:
        words.append(
            "tiny" if share < 0.05 else "small" if share < 0.12 else "large" if share > 0.3 else "medium-sized"
        )
    if rng.random() < 0.5 and abs(tone) > 0.25:
        words.append(rng.choice(("dark", "darker")) if tone < 0 else rng.choice(("bright", "brighter")))
    if rng.random() < 0.5:
        words.append("round" if elongation < 0.35 else "long" if elongation > 0.75 else "elongated")
    if rng.random() < 0.4 and elongation > 0.5:
        lean = min(angle, math.pi - angle)
        words.append("horizontal" if lean < 0.4 else "vertical" if lean > 1.17 else "slanting")
    words.append(rng.choice(SYNONYMS[KINDS[int(kind)]]))
    if rng.random() < 0.7:
        words.append(f"{rng.choice(('on', 'in'))} {GROUNDS[int(ground)]}")
    start = rng.choice(("", "a ", "a photo of a ", "close-up of a ", "defect: "))
    return start + " ".join(words)
