"""flawshot-tiny: its packaged weights, its mask channel, and the command that uses it by itself."""

import hashlib
import json
import shutil

import open_clip
import pytest
import torch

from flawshot.encoders import flawshot_tiny
from flawshot.encoders.flawshot_tiny import FOLDER, TINY, TinyEncoder, empty_tiny_model, tiny_input
from flawshot.encoders.weights import read_weights
from flawshot.errors import FlawshotError

LARGEST = 12_000_000


@pytest.fixture
def crops():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (5, 96, 96, 3), dtype=torch.uint8)
    masks = torch.zeros(5, 96, 96, dtype=torch.uint8)
    masks[:, 30:60, 20:70] = 255
    return images, masks


def test_weights_are_small_half_precision_and_those_of_the_record():
    path = FOLDER / f"{TINY}.safetensors"
    record = json.loads((FOLDER / f"{TINY}.record.json").read_text(encoding="utf-8"))
    assert path.stat().st_size <= LARGEST
    assert hashlib.sha256(path.read_bytes()).hexdigest() == record["sha256"]
    assert {t.dtype for t in read_weights(path).values() if t.is_floating_point()} == {torch.float16}


def test_features_are_the_trunk_of_open_clips_own_model_where_the_mask_is_absent(crops):
    """Outside reference: open_clip builds the three-channel model from the same config, with the same weights."""
    images, masks = crops
    encoder = TinyEncoder(region="crop", device="cpu")
    assert encoder.dim == 368
    plain = open_clip.create_model(TINY)
    state = {
        name.replace("stem.conv.image.", "stem.conv."): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in read_weights(FOLDER / f"{TINY}.safetensors").items()
        if "stem.conv.mask." not in name
    }
    plain.load_state_dict(state)
    pixels = tiny_input(images.permute(0, 3, 1, 2).float(), torch.zeros(5, 1, 96, 96))[:, :3]
    with torch.inference_mode():
        expected = plain.eval().visual.trunk(pixels)
    torch.testing.assert_close(encoder.encode(images, masks)[:, 0], expected, atol=1e-4, rtol=1e-4)


def test_the_mask_counts_with_alpha_and_only_there(crops):
    images, masks = crops
    seeing, blind = TinyEncoder(device="cpu"), TinyEncoder(region="crop", device="cpu")
    nothing = torch.zeros_like(masks)
    assert torch.equal(blind.encode(images, masks), blind.encode(images, nothing))
    torch.testing.assert_close(seeing.encode(images, nothing), blind.encode(images, masks))
    assert (seeing.encode(images, masks) - seeing.encode(images, nothing)).abs().max() > 0.01
    assert seeing.record.preprocessing != blind.record.preprocessing


def test_features_with_the_mask_are_those_of_the_model_as_it_was_trained(crops):
    """The encoder joins convolutions with what follows them; the model with its layers apart gives the same."""
    images, masks = crops
    weights = read_weights(FOLDER / f"{TINY}.safetensors")
    assert next(t for name, t in weights.items() if name.endswith("stem.conv.mask.weight")).abs().max() > 0
    model = empty_tiny_model().eval()
    model.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in weights.items()})
    with torch.inference_mode():
        expected = model.visual.trunk(tiny_input(images.permute(0, 3, 1, 2).float(), masks[:, None].float()))
    torch.testing.assert_close(TinyEncoder(device="cpu").encode(images, masks)[:, 0], expected, atol=1e-4, rtol=1e-4)


def test_a_new_model_ignores_its_mask():
    """The mask's convolution starts at zero."""
    torch.manual_seed(0)
    model = empty_tiny_model().eval()
    pixels = torch.rand(2, 3, 96, 96) * 255
    with torch.inference_mode():
        without = model.visual(tiny_input(pixels, torch.zeros(2, 1, 96, 96)))
        with_mask = model.visual(tiny_input(pixels, torch.full((2, 1, 96, 96), 255.0)))
    torch.testing.assert_close(without, with_mask)


def test_texts_need_the_projection():
    assert "--layer trunk" in TinyEncoder(device="cpu").no_text
    encoder = TinyEncoder(layer="projection", device="cpu")
    assert encoder.dim == 128
    assert encoder.encode_text(["a long scratch on metal", "dent"]).shape == (2, 128)


@pytest.mark.parametrize("how", ["altered", "missing"])
def test_weights_that_are_not_the_packaged_ones_are_refused(tmp_path, monkeypatch, how):
    shutil.copytree(FOLDER, tmp_path / "tiny")
    path = tmp_path / "tiny" / f"{TINY}.safetensors"
    if how == "altered":
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
    else:
        path.unlink()
    monkeypatch.setattr(flawshot_tiny, "FOLDER", tmp_path / "tiny")
    with pytest.raises(FlawshotError, match=r"flawshot-tiny\.safetensors: is missing or not the file"):
        TinyEncoder(device="cpu")


def test_no_other_region():
    with pytest.raises(FlawshotError, match="alpha"):
        TinyEncoder(region="masked", device="cpu")
