"""Flaws: each kind changes a canvas and says which px it covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.synthetic.flaws.base import Flaw, Spot
from flawshot.synthetic.flaws.edges import burr, chip, fray
from flawshot.synthetic.flaws.lines import band, bent, crack, cut, fibre, scratch, scuff, seam, wrinkle
from flawshot.synthetic.flaws.patches import (
    bleach,
    burn,
    missing,
    patch,
    print_,
    ring,
    rough,
    rust,
    shade,
    smear,
    stain,
    warp,
)
from flawshot.synthetic.flaws.reliefs import blisters, bump, dent, drop, dust, hole, inclusion, pits

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EDGE_FLAWS", "FLAWS", "HELD_OUT_FLAWS", "Flaw", "Spot"]

FLAWS: Mapping[str, Flaw] = {
    "scratch": scratch,
    "scuff": scuff,
    "crack": crack,
    "cut": cut,
    "fibre": fibre,
    "wrinkle": wrinkle,
    "bent wire": bent,
    "band": band,
    "seam": seam,
    "stain": stain,
    "ring": ring,
    "shading": shade,
    "burn": burn,
    "rust": rust,
    "rough spot": rough,
    "missing pattern": missing,
    "smear": smear,
    "distortion": warp,
    "misprint": print_,
    "foreign patch": patch,
    "bleach": bleach,
    "dent": dent,
    "bump": bump,
    "hole": hole,
    "pits": pits,
    "blisters": blisters,
    "inclusion": inclusion,
    "drop": drop,
    "dust": dust,
    "chip": chip,
    "fray": fray,
    "burr": burr,
}
# These lie on the object's edge, and need one.
EDGE_FLAWS = frozenset({"chip", "fray", "burr"})
# Never trained on: what the embedded encoder was chosen by is measured on these, among others.
HELD_OUT_FLAWS = ("bleach", "blisters", "cut", "seam", "smear")
