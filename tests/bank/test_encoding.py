"""Batches of crops: whatever memory a device has, every crop comes out, in order and once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import flawshot
from flawshot.bank.encoding import encode_rows
from flawshot.regions.views import make_scheme


class Small:
    """An encoder without a network, which has no memory for more than some crops at once."""

    side, dim, device = 16, 4, torch.device("cpu")
    record = flawshot.EncoderRecord(
        family="small", name="small", weights="none", weights_hash=None, precision="float32", tokens=("mean",)
    )

    def __init__(self, most):
        self.most = most
        self.failed = 0

    def encode(self, images, masks):
        if len(images) > self.most:
            self.failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        flat = images.reshape(len(images), -1).float()
        inside = masks.reshape(len(masks), -1).float().mean(dim=1)
        return torch.stack([flat.mean(dim=1), flat.std(dim=1), flat[:, 5], inside], dim=1)[:, None] / 16


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=5, side=64, surface="wood", workers=1, seed=5)
    return flawshot.Catalog.open(place)


@pytest.fixture
def threads():
    """Sets how many threads share a batch out, and gives back what there were."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def encoded(catalog, encoder, views, batch_size):
    parts = list(encode_rows(catalog, range(len(catalog)), encoder, make_scheme(views), batch_size=batch_size))
    assert [row for part in parts for row in part.rows] == list(range(len(catalog)))
    return np.concatenate([part.features for part in parts])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize(("views", "batch_size"), [("ms", 7), ("mo", 5), ("mo", 16), ("none", 4), ("mr", 11)])
def test_no_crop_is_lost_where_memory_runs_out(catalog, threads, count, most, views, batch_size):
    threads(count)
    scarce = Small(most)
    found = encoded(catalog, scarce, views, batch_size)
    assert scarce.failed or -(-batch_size // count) <= most
    np.testing.assert_array_equal(found, encoded(catalog, Small(10**6), views, batch_size))
    assert len(np.unique(found.reshape(len(catalog), -1), axis=0)) == len(catalog)


@pytest.mark.parametrize("count", [1, 2])
def test_memory_for_not_even_one_crop_is_one_line(catalog, threads, count):
    threads(count)
    with pytest.raises(flawshot.FlawshotError, match=r"too little memory for one crop.*device='cpu'"):
        encoded(catalog, Small(0), "ms", 7)
