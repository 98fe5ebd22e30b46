"""Encoders made again from their records: the same, or refused."""

from __future__ import annotations

import pytest
import torch

import tiny_clip
from flawshot import FlawshotError
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.encoders.recorded import recorded_encoder


@pytest.fixture
def weights(tmp_path):
    def make(name, seed=0):
        path = tmp_path / f"{name}-{seed}.pt"
        torch.save(tiny_clip.make(name, seed).state_dict(), path)
        return str(path)

    return make


CASES = {
    "vision transformer": ("tiny-vit", {}),
    "patch tokens": ("tiny-vit", {"patch_tokens": 2, "layer": "trunk"}),
    "pooled inside the mask": ("tiny-vit", {"region": "mask-pool"}),
    "another activation than the model's": ("tiny-vit", {"activation": "quickgelu", "region": "masked"}),
    "the model's own activation": ("tiny-vit-quickgelu", {}),
    "a tower without such an activation": ("tiny-resnet", {"layer": "trunk"}),
    "a tower of timm's": ("tiny-timm", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_an_encoder_of_a_file_comes_back(weights, crops, case):
    name, options = CASES[case]
    path = weights(name)
    first = OpenClipEncoder(name, path, device="cpu", **options)
    again = recorded_encoder(first.record, "model.json", pretrained=path, device="cpu")
    assert again.record == first.record
    images, masks = crops(first.side)
    assert torch.equal(again.encode(images, masks), first.encode(images, masks))


def test_other_weights_and_no_weights_are_refused(weights):
    record = OpenClipEncoder("tiny-vit", weights("tiny-vit"), device="cpu").record
    with pytest.raises(
        FlawshotError, match=r"m.json: encoder.weights_hash: is .*…, but the open_clip tiny-vit at hand"
    ):
        recorded_encoder(record, "m.json", pretrained=weights("tiny-vit", seed=1), device="cpu")
    with pytest.raises(FlawshotError, match=r"were the file tiny-vit-0.pt; say where it is by --pretrained FILE"):
        recorded_encoder(record, "m.json", device="cpu")


@pytest.mark.parametrize("options", [{}, {"region": "crop"}, {"layer": "projection"}])
def test_the_embedded_encoder_needs_no_file(options):
    first = TinyEncoder(device="cpu", **options)
    again = recorded_encoder(first.record, "m.json", device="cpu")
    assert again.record.model_dump(exclude={"precision"}) == first.record.model_dump(exclude={"precision"})
