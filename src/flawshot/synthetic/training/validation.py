"""What training is watched by: few-shot accuracy on drawn surfaces and flaws that it never sees."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from flawshot.classifiers import make_classifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.synthetic.training.corpus import Corpus
    from flawshot.synthetic.training.network import Network

__all__ = ["few_shot_accuracy", "trunk_features"]


@torch.inference_mode()
def trunk_features(network: Network, corpus: Corpus, *, masked: bool, side: int = 96) -> NDArray[np.float32]:
    """Features of every view, float32 ``[products, categories, instances, views, 520]``."""
    shape = corpus.pixels.shape[:4]
    flat = corpus.pixels.reshape(-1, *corpus.pixels.shape[4:])
    out = []
    for start in range(0, len(flat), 128):
        crops = torch.from_numpy(flat[start : start + 128].copy()).permute(0, 3, 1, 2).float()
        crops = functional.interpolate(crops, size=(side, side), mode="bilinear", antialias=True)
        allowed = torch.full((len(crops),), masked, dtype=torch.bool)
        out.append(network(crops.contiguous(memory_format=torch.channels_last), allowed).trunk)
    return torch.cat(out).numpy().reshape(*shape, -1)


def few_shot_accuracy(
    features: NDArray[np.float32], shots: Sequence[int], classifier: str = "zip-adapter", draws: int = 4, seed: int = 0
) -> dict[int, float]:
    """Mean accuracy over products and draws of support sets, by K.

    Args:
        features: float32 ``[products, categories, instances, views, dim]``.
        shots: The K.
        classifier: One of :data:`flawshot.classifiers.CLASSIFIERS`.
        draws: Of support sets a product.
        seed: Of the draws.
    """
    products, categories, instances = features.shape[:3]
    rng = random.Random(seed)
    found: dict[int, list[float]] = {count: [] for count in shots}
    for product in range(products):
        for _ in range(draws):
            order = rng.sample(range(instances), instances)
            for count in shots:
                support, query = order[:count], order[count:]
                fitted = make_classifier(classifier).fit(
                    features[product][:, support].reshape(-1, *features.shape[3:]),
                    np.repeat(np.arange(categories), count),
                )
                guessed = fitted.predict(features[product][:, query].reshape(-1, *features.shape[3:]))
                found[count].append(float((guessed == np.repeat(np.arange(categories), len(query))).mean()))
    return {count: float(np.mean(values)) for count, values in found.items()}
