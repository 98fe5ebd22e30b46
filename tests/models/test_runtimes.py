"""An encoder in other runtimes: the same features, and one line where a runtime cannot be had. Also: timing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from flawshot import Catalog, FlawshotError
from flawshot.encoders.base import Encoder
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.encoders.network import NetworkEncoder
from flawshot.models.runtimes import OnnxEncoder, runtimes
from flawshot.models.timing import time_runtimes
from flawshot.regions.views import make_scheme

pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def _not_compiled(monkeypatch):
    """torch.compile takes a minute, and has tests of its own."""
    monkeypatch.setattr(NetworkEncoder, "compile", lambda _, crops, threads=1: f"{crops} crops, {threads} threads")


@pytest.fixture
def crops():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, 96, 96, 3), dtype=torch.uint8, generator=generator)
    masks = torch.zeros(5, 96, 96, dtype=torch.uint8)
    masks[:, 30:50, 20:70] = 255
    return images, masks


def test_every_runtime_gives_the_same_features(crops):
    encoder = TinyEncoder(device="cpu")
    expected = encoder.encode(*crops)
    seen = {}
    for runtime in runtimes(encoder, 3):
        seen[runtime.name] = runtime.remark
        if runtime.encoder is None:
            assert runtime.name == "OpenVINO"
            assert runtime.remark == "is not installed; install it with pip install openvino"
            continue
        assert isinstance(runtime.bulk, Encoder)
        torch.testing.assert_close(runtime.encoder.encode(*crops), expected, atol=1e-3, rtol=1e-4)
        # Several threads at a time, as encode_rows does it.
        with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for several in [pool.submit(runtime.bulk.encode, *crops) for _ in range(4)]:
                features = several.result()
                torch.testing.assert_close(features, expected, atol=1e-3, rtol=1e-4)
    assert list(seen) == ["torch", "torch compiled", "onnxruntime", "OpenVINO"]
    threads = torch.get_num_threads()
    assert seen["torch compiled"].startswith(f"for one region 3 crops, {threads} threads; for many ")


def test_what_cannot_be_exported_is_said():
    encoder = TinyEncoder(device="cpu")
    encoder.network = None
    found = {runtime.name: runtime for runtime in runtimes(encoder, 3)}
    for name in ("onnxruntime", "OpenVINO"):
        assert found[name].encoder is None
        assert "encoders of the family flawshot-tiny have no network that can be exported" in found[name].remark


def test_timings_have_every_runtime_and_how_far_its_features_are(parts):
    catalog = Catalog.open(parts)
    asked = []
    timings = list(
        time_runtimes(TinyEncoder(device="cpu"), make_scheme("centre3"), catalog, judge=asked.append, rounds=1)
    )
    assert [timing.runtime for timing in timings] == ["torch", "torch compiled", "onnxruntime", "OpenVINO"]
    for timing in timings:
        if timing.latency is None:
            continue
        assert 0 < timing.latency <= timing.slow
        assert timing.rate > 0
        assert timing.largest_difference < 1e-3
    assert all(features.shape[1:] == (3, 520) and features.dtype == np.float32 for features in asked)


def test_a_folder_without_a_usable_image_is_refused(parts, tmp_path):
    catalog = Catalog(Catalog.open(parts).table, tmp_path)
    with pytest.raises(FlawshotError, match="none of its images can be used"):
        next(time_runtimes(TinyEncoder(device="cpu"), make_scheme("centre3"), catalog))


def test_a_session_is_loaded_once_for_each_number_of_threads(tmp_path, crops):
    encoder = TinyEncoder(device="cpu")
    (found,) = [each for each in runtimes(encoder, 3) if each.name == "onnxruntime"]
    made = found.encoder
    assert isinstance(made, OnnxEncoder)
    assert list(made._loaded) == [torch.get_num_threads()]
    assert (made.side, made.dim, made.record) == (encoder.side, encoder.dim, encoder.record)
