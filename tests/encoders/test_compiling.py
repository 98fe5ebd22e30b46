"""Compiled networks: the same features, for any number of crops; what cannot be gained is said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
import torch

import tiny_clip
from flawshot.encoders import compiling
from flawshot.encoders.base import BaseEncoder
from flawshot.encoders.compiling import CompiledNetwork
from flawshot.encoders.open_clip import OpenClipEncoder

SAID = re.compile(r"compiled in \d+ s: \d+\.\d\d times as fast as uncompiled")


@pytest.fixture
def encoder(tmp_path):
    torch.save(tiny_clip.make("tiny-vit").state_dict(), tmp_path / "w.pt")
    return OpenClipEncoder("tiny-vit", str(tmp_path / "w.pt"), region="mask-pool", patch_tokens=2, device="cpu")


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_a_compiled_encoder_gives_the_same_features(encoder, crops, monkeypatch):
    images, masks = crops(48, 11)
    plain = encoder.encode(images, masks)
    # Whichever is faster, so that the compiled network is tested on every machine.
    monkeypatch.setattr(compiling, "_seconds", lambda network, *_: 1 if isinstance(network, CompiledNetwork) else 2)
    threads = torch.get_num_threads()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    remark = encoder.compile(4)
    assert SAID.fullmatch(remark)
    assert torch.get_num_threads() == threads
    fast = encoder._fast
    assert isinstance(fast, CompiledNetwork)
    torch.set_num_threads(1)
    try:
        before = fast._compiled
        calls = []
        fast._compiled = lambda some, inside: calls.append(len(some)) or before(some, inside)
        for count in (11, 4, 1):
            torch.testing.assert_close(
                encoder.encode(images[:count], masks[:count]), plain[:count], atol=1e-4, rtol=1e-4
            )
        assert calls == [4] * 5
        # Whether crops are made inside torch's inference mode or outside, it compiles once.
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
        with torch.inference_mode():
            encoder.encode(images[:4].clone(), masks[:4].clone())
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    finally:
        torch.set_num_threads(threads)
    # With another number of threads torch would compile again, for a minute: the uncompiled network is taken.
    calls.clear()
    fast.threads = threads + 1
    torch.testing.assert_close(encoder.encode(images, masks), plain)
    assert not calls


def test_without_a_compiler_that_is_said_and_it_runs_uncompiled(tmp_path):
    code = """
from flawshot.encoders.flawshot_tiny import TinyEncoder
import torch
encoder = TinyEncoder(device="cpu")
print(encoder.compile(2))
print(encoder.encode(torch.zeros(1, 96, 96, 3, dtype=torch.uint8), torch.zeros(1, 96, 96, dtype=torch.uint8)).shape[0])
"""
    kept = {name: value for name, value in os.environ.items() if name not in {"CC", "CXX"}}
    environment = kept | {"PATH": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    remark, count = done.stdout.splitlines()
    assert re.fullmatch(r"torch\.compile failed \(.+\); the encoder runs uncompiled", remark)
    assert count == "1"


def test_a_network_that_changes_when_compiled_is_not_taken(encoder, monkeypatch):
    monkeypatch.setattr(CompiledNetwork, "__call__", lambda self, images, masks: self.network(images, masks) * 1.5 + 1)
    remark = encoder.compile(4)
    assert re.fullmatch(r"compiled in \d+ s, but its features differ by \S+; the encoder runs uncompiled", remark)
    assert encoder._fast is encoder.network


def test_an_encoder_without_a_network_says_so(encoder):
    assert BaseEncoder.compile(encoder, 4) == (
        "encoders of the family open_clip cannot be compiled; open_clip tiny-vit runs uncompiled"
    )
