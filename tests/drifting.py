"""Features of a line that changes: every few images, both categories look new, and each like the other did before."""

from __future__ import annotations

import numpy as np

import flawshot


def drifting_bank(bank, folder, blocks=5):
    """A bank of the same instances, two categories, whose features change with the number that an image's name is.

    Args:
        bank: Its features, which do not change.
        folder: Where the new bank goes.
        blocks: How many different looks there are.
    """
    catalog = bank.catalog
    features = np.array(bank.features(catalog.column("id")))
    truth, images = np.array(catalog.column("category")), catalog.column("image")
    first, second = sorted(set(truth))
    swap = features[truth == second].mean(axis=0) - features[truth == first].mean(axis=0)
    aside = np.random.default_rng(4).normal(size=(blocks, *features.shape[1:]))
    for row, image in enumerate(images):
        block = int(image[:2]) * blocks // len(set(images))
        features[row] += 0.4 * aside[block]
        if block % 2:
            features[row] += swap if truth[row] == first else -swap
    made = features[:, :, None].astype(np.float16)
    return flawshot.write_bank(folder, catalog, made, bank.manifest.encoder, bank.manifest.views)
