"""flawshot-tiny: its packaged weights, its mask channel, and the command that uses it by itself."""

import hashlib
import json
import math
import shutil

import pytest
import timm
import torch

from flawshot.base.errors import FlawshotError
from flawshot.encoders import flawshot_tiny
from flawshot.encoders.flawshot_tiny import FOLDER, TINY, TinyEncoder, empty_tiny_model, tiny_input
from flawshot.encoders.weights import read_weights

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


def plain_trunk():
    """Outside reference: timm's own network of three channels, with the packaged weights."""
    plain = timm.create_model("regnetx_002", num_classes=0)
    prefix = "visual.trunk.net."
    plain.load_state_dict(
        {
            name.removeprefix(prefix).replace("stem.conv.image.", "stem.conv."): tensor.float()
            if tensor.is_floating_point()
            else tensor
            for name, tensor in read_weights(FOLDER / f"{TINY}.safetensors").items()
            if name.startswith(prefix) and "stem.conv.mask." not in name
        }
    )
    return plain.eval()


def unit(features):
    return torch.nn.functional.normalize(features, dim=-1)


def test_without_the_mask_features_are_those_of_timms_network(crops):
    """Its pooled output, and its third stage averaged over the view; each of length sqrt(260)."""
    images, masks = crops
    encoder = TinyEncoder(region="crop", device="cpu")
    assert encoder.dim == 368 + 152
    pixels = tiny_input(images.permute(0, 3, 1, 2).float(), torch.zeros(5, 1, 96, 96))[:, :3]
    plain = plain_trunk()
    with torch.inference_mode():
        stages = plain.forward_intermediates(pixels, intermediates_only=True)
        expected = torch.cat([unit(plain(pixels)), unit(stages[3].mean(dim=(2, 3)))], dim=1) * math.sqrt(260)
    torch.testing.assert_close(encoder.encode(images, masks)[:, 0], expected, atol=1e-3, rtol=1e-3)


def test_the_third_stage_is_averaged_over_the_mask():
    """A map that is 1 in one cell; masks over that cell, over another, over half of it, over none."""
    trunk = empty_tiny_model().visual.trunk.eval()
    third = torch.zeros(4, 152, 6, 6)
    third[:, 0, 2, 3] = 1
    third[:, 1] = 0.5
    masks = torch.zeros(4, 1, 96, 96)
    masks[0, :, 32:48, 48:64] = 1
    masks[1, :, 0:16, 0:16] = 1
    masks[2, :, 32:48, 40:56] = 1
    with torch.inference_mode():
        got = trunk.features([third, third, third, torch.rand(4, 368, 3, 3)], masks)[:, 368:]
    share = got[:, 0] / got[:, 1] / 2  # what the first channel averages to
    torch.testing.assert_close(share, torch.tensor([1.0, 0.0, 0.5, 1 / 36]), atol=5e-3, rtol=0)


def test_the_mask_counts_with_alpha_and_only_there(crops):
    images, masks = crops
    seeing, blind = TinyEncoder(device="cpu"), TinyEncoder(region="crop", device="cpu")
    nothing = torch.zeros_like(masks)
    assert torch.equal(blind.encode(images, masks), blind.encode(images, nothing))
    torch.testing.assert_close(seeing.encode(images, nothing), blind.encode(images, masks))
    assert (seeing.encode(images, masks) - seeing.encode(images, nothing)).abs().max() > 0.01
    assert (seeing.record.options["region"], blind.record.options["region"]) == ("alpha", "crop")


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


def test_a_new_model_takes_a_mask_over_all_for_none():
    """The mask's convolution starts at zero, and an average over all of the view is the view's."""
    torch.manual_seed(0)
    model = empty_tiny_model().eval()
    pixels = torch.rand(2, 3, 96, 96) * 255
    with torch.inference_mode():
        without = model.visual(tiny_input(pixels, torch.zeros(2, 1, 96, 96)))
        with_mask = model.visual(tiny_input(pixels, torch.full((2, 1, 96, 96), 255.0)))
    torch.testing.assert_close(without, with_mask)


def test_texts_need_the_projection():
    assert "of the layer trunk" in TinyEncoder(device="cpu").no_text()
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
