"""An encoder, and drawn parts with flaws and without."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import flawshot
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.labelme.images import read_image
from flawshot.locating.examples import FlawExample, ImageExamples, LabeledImage
from flawshot.locating.fitting import fit_locator

SUPPORT, GOOD_SUPPORT = 6, 9
SIDE = 256


class Parts(NamedTuple):
    """Images of drawn parts.

    Attributes:
        flawed: Those with flaws: file and instances (category, pixels).
        good: Files of those without.
    """

    flawed: list
    good: list


@pytest.fixture(scope="session")
def tiny():
    return TinyEncoder(device="cpu")


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(
        folder, categories=2, images=16, side=SIDE, good=21, seed=3, surface="brushed metal", workers=1
    )
    catalog = flawshot.Catalog.from_folder(folder)
    images = {}
    for each in catalog:
        images.setdefault(each.image, []).append((each.category, each.region()))
    return Parts(
        [(folder / name, own) for name, own in sorted(images.items())],
        sorted((folder / "brushed-metal/good").iterdir()),
    )


@pytest.fixture(scope="session")
def labeled(parts):
    """Support images with flaws."""
    return [LabeledImage(path, tuple(own)) for path, own in parts.flawed[:SUPPORT]]


@pytest.fixture(scope="session")
def good(parts):
    """Good support images."""
    return parts.good[:GOOD_SUPPORT]


@pytest.fixture(scope="session")
def fitted(tiny, labeled, good):
    with pytest.MonkeyPatch.context() as patch:  # to save time
        patch.setattr("flawshot.locating.heat.MOST_VECTORS", 300)
        patch.setattr("flawshot.locating.dense.LONG_SIDE", SIDE)
        return fit_locator(tiny, labeled, good)


@pytest.fixture(scope="session")
def held_out(parts):
    """Images that are no support: (image, instances), and good images."""
    flawed = [(read_image(path, path.name), [region for _, region in own]) for path, own in parts.flawed[SUPPORT:]]
    return flawed, [read_image(path, path.name) for path in parts.good[GOOD_SUPPORT:]]


@pytest.fixture(scope="session")
def example_of():
    """What is learned from an image, of given cells: good ones, and those of flaws as (category, cells)."""

    def make(good_cells, flaws=(), unit="a", edges=(), spare=0):
        good_cells = np.asarray(good_cells, np.float16)
        parts = [good_cells, *(np.asarray(cells, np.float16) for _, cells in flaws)]
        parts.append(np.zeros((spare, good_cells.shape[1]), np.float16))
        starts = np.cumsum([0, *map(len, parts)])
        return ImageExamples(
            levels=(np.concatenate(parts),),
            grid=(1, int(starts[-1])),
            good=np.arange(starts[-1]) < len(good_cells),
            flaws=tuple(
                FlawExample(category, np.arange(starts[n], starts[n + 1]))
                for n, (category, _) in enumerate(flaws, start=1)
            ),
            edges=tuple(edges),
            unit=unit,
            flawless=not flaws and not spare,
        )

    return make
