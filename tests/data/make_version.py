"""Make ``tests/data/version-N``: banks and a model as this flawshot writes them, which every later one must open.

    python tests/data/make_version.py        (N is the version of the banks that it writes; earlier folders stay)

``bank`` has the views of one of flawshot's own schemes, ``mine`` those of a scheme of a user's own, and ``model`` is
fitted to ``bank``. All are of the same six drawn images. ``encoders.json`` holds what each kind of encoder says of
itself, and how it was made. Version 1 is by flawshot 0.1, which had no ``encoders.json``.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import flawshot
from flawshot.encoders.alpha_clip import AlphaClipEncoder
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.models.fitting import fit_model

DATA = Path(__file__).resolve().parent
sys.path.insert(0, str(DATA.parent))
import tiny_clip  # noqa: E402 - of the tests' folder

# (class, model, options) of each record in encoders.json.
ENCODERS = [
    ("tiny", None, {}),
    ("tiny", None, {"region": "crop", "layer": "projection"}),
    ("open_clip", "tiny-vit", {}),
    ("open_clip", "tiny-vit", {"patch_tokens": 2, "layer": "trunk"}),
    ("open_clip", "tiny-vit", {"region": "mask-pool"}),
    ("open_clip", "tiny-vit", {"region": "masked", "activation": "quickgelu"}),
    ("open_clip", "tiny-vit-quickgelu", {}),
    ("open_clip", "tiny-resnet", {"layer": "trunk"}),
    ("open_clip", "tiny-timm", {}),
    ("alpha_clip", "tiny-vit", {"patch_tokens": 1}),
]


def main() -> None:
    """Draw, encode, fit."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made")
        make_banks(made, Path(folder, "parts"))
        make_encoders(made, Path(folder))
        version = json.loads((made / "bank/manifest.json").read_text(encoding="utf-8"))["version"]
        here = DATA / f"version-{version}"
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(made, here)


def make_banks(made: Path, parts: Path) -> None:
    """Two banks and a model."""
    flawshot.draw_data_set(parts, categories=2, images=6, side=96, surface="wood", workers=1, seed=3)
    catalog = flawshot.Catalog.open(parts)
    encoder = TinyEncoder(device="cpu", precision="float32")
    scheme = flawshot.make_scheme("none", TINY_VIEWS[1], "shift")
    bank = flawshot.encode_catalog(catalog, encoder, scheme, made / "bank").bank
    fit_model(bank, made / "model", classifier="prototype", source="parts")
    own = bank.manifest.views.model_copy(update={"scheme": "mine", "views": 2 * bank.manifest.views.views})
    features = np.zeros((len(catalog), 2, 1, 3), np.float16)
    for row, category in enumerate(catalog.column("category")):
        features[row, :, 0, int(category == catalog.column("category")[0])] = 1 + row / 64
    flawshot.write_bank(made / "mine", catalog, features, bank.manifest.encoder, own)


def make_encoders(made: Path, folder: Path) -> None:
    """What each kind of encoder says of itself."""
    (folder / "configs").mkdir()
    tiny_clip.register(folder / "configs")
    lines = []
    for kind, model, options in ENCODERS:
        if model is None:
            encoder = TinyEncoder(device="cpu", precision="float32", **options)
        else:
            weights = folder / f"{model}.pt"
            state = tiny_clip.make(model).state_dict()
            torch.save(tiny_clip.in_alpha_clips_names(state) if kind == "alpha_clip" else state, weights)
            of = AlphaClipEncoder if kind == "alpha_clip" else OpenClipEncoder
            encoder = of(model, str(weights), device="cpu", **options)
        record = encoder.record.model_dump(mode="json")
        lines.append({"kind": kind, "model": model, "options": options, "record": record})
    (made / "encoders.json").write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
