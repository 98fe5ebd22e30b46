"""A tiny CLIP with a text tower, and a few images for it."""

from __future__ import annotations

import pytest
import torch

import tiny_clip
from flawshot import import_mvtec_fs
from flawshot.encoders.open_clip import OpenClipEncoder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    tiny_clip.register(tmp_path_factory.mktemp("models"))
    return tiny_clip.make("tiny-vit")


@pytest.fixture
def weights(model, tmp_path):
    path = tmp_path / "tiny.pt"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture
def encoder(weights):
    return OpenClipEncoder("tiny-vit", str(weights), device="cpu")


@pytest.fixture
def counted(encoder, monkeypatch):
    """How many crops and prompts pass the encoder."""
    seen = {"crops": 0, "prompts": 0}
    encode, encode_text = encoder.encode, encoder.encode_text

    def count_crops(images, masks):
        seen["crops"] += len(images)
        return encode(images, masks)

    def count_prompts(prompts):
        seen["prompts"] += len(prompts)
        return encode_text(prompts)

    monkeypatch.setattr(encoder, "encode", count_crops)
    monkeypatch.setattr(encoder, "encode_text", count_prompts)
    return seen


@pytest.fixture
def data(pytestconfig, tmp_path):
    import_mvtec_fs(pytestconfig.rootpath / "tests/data/bracket", tmp_path / "data")
    for path in (tmp_path / "data").rglob("*.json"):  # a few will do
        if path.stem not in {"000", "001"}:
            path.unlink()
    return tmp_path / "data"
