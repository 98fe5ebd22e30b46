"""Make ``tests/data/version-1``: banks and a model as flawshot 0.1 wrote them, which must open for ever.

    python tests/data/make_version_1.py        (with flawshot 0.1 installed; a later one writes later versions)

``bank`` has the views of one of flawshot's own schemes, ``mine`` those of a scheme of which only the name is known, and
``model`` is fitted to ``bank``. All are of the same six drawn images.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

import flawshot
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.models.fitting import fit_model

HERE = Path(__file__).resolve().parent / "version-1"


def main() -> None:
    """Draw, encode, fit."""
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        flawshot.draw_data_set(f"{folder}/parts", categories=2, images=6, side=96, surface="wood", workers=1, seed=3)
        catalog = flawshot.Catalog.open(f"{folder}/parts")
        encoder = TinyEncoder(device="cpu", precision="float32")
        scheme = flawshot.make_scheme("none", TINY_VIEWS[1], "shift")
        bank = flawshot.encode_catalog(catalog, encoder, scheme, HERE / "bank").bank
        fit_model(bank, HERE / "model", classifier="prototype", source="parts")
    own = bank.manifest.views.model_copy(update={"scheme": "mine"})
    features = np.zeros((len(catalog), 2, 1, 3), np.float16)
    for row, category in enumerate(catalog.column("category")):
        features[row, :, 0, int(category == catalog.column("category")[0])] = 1 + row / 64
    flawshot.write_bank(HERE / "mine", catalog, features, bank.manifest.encoder, own)


if __name__ == "__main__":
    main()
