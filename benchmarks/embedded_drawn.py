"""What the embedded encoder reaches beside others on drawings, of kinds of surface that it was never trained on.

    python benchmarks/embedded_drawn.py [--products 24]

Products of six categories, half of their flaws of kinds never trained on, of another seed than those that the training
was watched by; three views an instance; mean accuracy over products and four draws of the support set, with 95 %
intervals (Student's t) over products. Drawings are what flawshot-tiny knows, and the others do not: the rows say how
far it carries within drawings, and nothing of photographs; for these see ``embedded.py``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import t
from torch.nn import functional

from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.synthetic.training.corpus import CorpusPlan, draw_corpus
from flawshot.synthetic.training.validation import few_shot_accuracy
from handmade import HandmadeEncoder
from lite0 import Lite0Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.encoders.base import Encoder
    from flawshot.synthetic.training.corpus import Corpus

CLASSIFIERS = ("zip-adapter", "linear-probe", "default")
SHOTS = (1, 3, 5)
SEED = 1


def encoded(encoder: Encoder, corpus: Corpus) -> NDArray[np.float32]:
    """First tokens of all views, float32 ``[products, categories, instances, views, dim]``."""
    flat = corpus.pixels.reshape(-1, *corpus.pixels.shape[4:])
    out = []
    for start in range(0, len(flat), 72):
        crops = torch.from_numpy(flat[start : start + 72].copy())
        if encoder.side != corpus.plan.side:
            wide = functional.interpolate(crops.permute(0, 3, 1, 2).float(), size=encoder.side, mode="bicubic")
            crops = wide.clamp(0, 255).round().byte().permute(0, 2, 3, 1)
        out.append(encoder.encode(crops[..., :3], crops[..., 3])[:, 0].cpu())
    return torch.cat(out).float().numpy().reshape(*corpus.pixels.shape[:4], -1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=24)
    options = parser.parse_args()
    encoders: dict[str, Encoder] = {
        "hand-made features": HandmadeEncoder(),
        "EfficientNet-Lite0": Lite0Encoder(),
        "flawshot-tiny, no mask": TinyEncoder(region="crop", device="cpu"),
        "flawshot-tiny, with mask": TinyEncoder(device="cpu"),
    }
    with tempfile.TemporaryDirectory() as name:
        plan = CorpusPlan(options.products, instances=10, views=3, side=96, seed=SEED, held_out=True)
        corpus = draw_corpus(plan, Path(name))
        print(f"{options.products} held-out drawn products (seed {SEED}), accuracy [95 % interval]; 1, 3, 5 shots")
        for row, encoder in encoders.items():
            features = encoded(encoder, corpus)
            for classifier in CLASSIFIERS:
                each = [few_shot_accuracy(own[None], SHOTS, classifier) for own in features]
                cells = []
                for k in SHOTS:
                    values = np.array([found[k] for found in each])
                    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
                    cells.append(f"{values.mean():.3f} [{values.mean() - half:.3f}, {values.mean() + half:.3f}]")
                print(f"{row:26} {classifier:14} {'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
