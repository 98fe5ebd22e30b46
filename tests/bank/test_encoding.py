"""Batches of crops: whatever memory a device has, every crop comes out, in order and once."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

import flawshot
from flawshot.bank import encoding
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


def encoded(catalog, encoder, views, batch_size, crops_on=None):
    scheme = make_scheme(views)
    parts = list(encode_rows(catalog, range(len(catalog)), encoder, scheme, batch_size=batch_size, crops_on=crops_on))
    assert [row for part in parts for row in part.rows] == list(range(len(catalog)))
    return np.concatenate([part.features for part in parts])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize(("views", "batch_size"), [("ms", 7), ("mo", 5), ("mo", 16), ("none", 4), ("mr", 11)])
def test_no_crop_is_lost_where_memory_runs_out(catalog, threads, count, most, views, batch_size):
    threads(count)
    scarce = Small(most)
    found = encoded(catalog, scarce, views, batch_size)
    assert scarce.failed or batch_size <= most
    np.testing.assert_array_equal(found, encoded(catalog, Small(10**6), views, batch_size))
    assert len(np.unique(found.reshape(len(catalog), -1), axis=0)) == len(catalog)


@pytest.mark.parametrize("count", [1, 2])
def test_memory_for_not_even_one_crop_is_one_line(catalog, threads, count):
    threads(count)
    with pytest.raises(flawshot.FlawshotError, match=r"too little memory for one crop.*device='cpu'"):
        encoded(catalog, Small(0), "ms", 7)


@pytest.mark.parametrize("most", [3, 10**6])
@pytest.mark.parametrize(("views", "batch_size"), [("mso", 20), ("mor", 7), ("none", 4)])
def test_crops_made_on_the_device_give_the_same_features(catalog, most, views, batch_size):
    found = encoded(catalog, Small(most), views, batch_size, "device")
    np.testing.assert_array_equal(found, encoded(catalog, Small(10**6), views, batch_size, "cpu"))


def test_a_device_without_memory_for_crops_leaves_them_to_the_cpu(catalog, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(encoding, "device_crop_views", full)
    found = encoded(catalog, Small(10**6), "ms", 7, "device")
    np.testing.assert_array_equal(found, encoded(catalog, Small(10**6), "ms", 7))


@pytest.mark.parametrize("crops_on", ["cpu", "device"])
@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_queue_of_a_gpu_gives_the_same_features(catalog, monkeypatch, batch_size, crops_on):
    """Its code runs here on torch's streams of the CPU."""

    @contextmanager
    def queued(encoder, threads, workers):
        yield encoding._Queue(encoder).start, workers, None

    monkeypatch.setattr(encoding, "_starting", queued)
    found = encoded(catalog, Small(10**6), "ms", batch_size, crops_on)
    monkeypatch.undo()
    np.testing.assert_array_equal(found, encoded(catalog, Small(10**6), "ms", batch_size))


def test_a_batch_that_is_being_encoded_is_not_filled_again(catalog, monkeypatch):
    """A device that works only when its results are waited for, as late as a GPU ever may."""
    small = Small(10**6)

    @contextmanager
    def lazy(encoder, threads, workers):
        yield lambda images, masks: lambda: encoding._features(encoder, images, masks), workers, None

    monkeypatch.setattr(encoding, "_starting", lazy)
    found = encoded(catalog, small, "mo", 5)
    monkeypatch.undo()
    np.testing.assert_array_equal(found, encoded(catalog, small, "mo", 5))


@pytest.mark.parametrize("crops_on", ["cpu", "device"])
def test_rows_without_an_image_are_left_out_with_the_reason(tmp_path, crops_on):
    place = tmp_path / "parts"
    flawshot.draw_data_set(place, categories=2, images=5, side=64, surface="wood", workers=1, seed=5)
    catalog = flawshot.Catalog.open(place)
    gone, cut_short = sorted(set(catalog.column("image")))[1:3]
    (place / gone).unlink()
    (place / cut_short).write_bytes((place / cut_short).read_bytes()[:200])
    parts = list(encode_rows(catalog, range(len(catalog)), Small(10**6), make_scheme("ms"), crops_on=crops_on))
    reasons = {row: part.reason for part in parts for row in part.rows}
    images = catalog.column("image")
    assert sorted(reasons) == list(range(len(catalog)))
    for row, reason in reasons.items():
        match images[row]:
            case image if image == gone:
                assert "is missing" in reason
            case image if image == cut_short:
                assert reason.startswith(f"{cut_short}: the image cannot be decoded")
            case _:
                assert not reason


def test_an_unknown_place_for_crops_is_one_line(catalog):
    with pytest.raises(flawshot.FlawshotError, match=r"crops_on='gpu': must be cpu or device"):
        encoded(catalog, Small(1), "ms", 0, "gpu")
