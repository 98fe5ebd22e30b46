"""open_clip's models: the same numbers, weights read as data, mistakes said in one line."""

from __future__ import annotations

import os
import zipfile

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

import tiny_clip
from flawshot import FlawshotError
from flawshot.encoders.base import Encoder, hash_weights, mask_shares
from flawshot.encoders.open_clip import OpenClipEncoder

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])


@pytest.fixture
def weights(tmp_path):
    """A model and its weights in a file."""

    def make(name, suffix=".safetensors"):
        model = tiny_clip.make(name)
        path = tmp_path / f"{name}{suffix}"
        if suffix == ".safetensors":
            save_file(model.state_dict(), path)
        else:
            torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, path)
        return model, str(path)

    return make


def normalized(images):
    return ((images.float() / 255 - MEAN) / STD).permute(0, 3, 1, 2)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("name", ["tiny-vit", "tiny-vit-quickgelu", "tiny-resnet", "tiny-timm"])
def test_features_are_open_clips(weights, crops, name, suffix):
    model, path = weights(name, suffix)
    encoder = OpenClipEncoder(name, path, device="cpu")
    images, masks = crops(encoder.side)
    assert isinstance(encoder, Encoder)
    features = encoder.encode(images, masks)
    assert features.shape == (5, 1, 16)
    assert features.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(features[:, 0], model.encode_image(normalized(images)), atol=1e-5, rtol=0)


def test_the_weights_hash_is_that_of_the_tensors_not_of_the_file(weights):
    hashes = {
        OpenClipEncoder("tiny-vit", weights("tiny-vit", s)[1], device="cpu").record.weights_hash
        for s in (".pt", ".safetensors")
    }
    assert len(hashes) == 1
    torch.manual_seed(9)
    other = tiny_clip.make("tiny-vit", seed=9)
    path = weights("tiny-vit")[1]
    save_file(other.state_dict(), path)
    assert OpenClipEncoder("tiny-vit", path, device="cpu").record.weights_hash not in hashes


def test_the_trunk_is_what_stands_before_the_projection(weights, crops):
    model, path = weights("tiny-vit")
    encoder = OpenClipEncoder("tiny-vit", path, layer="trunk", device="cpu")
    images, masks = crops(48)
    trunk = encoder.encode(images, masks)[:, 0]
    assert trunk.shape == (5, 64)
    with torch.no_grad():
        expected = model.encode_image(normalized(images))
        torch.testing.assert_close(trunk @ model.visual.proj, expected, atol=1e-5, rtol=0)
    for name, width in (("tiny-resnet", 16 * 32), ("tiny-timm", 512)):
        own = OpenClipEncoder(name, weights(name)[1], layer="trunk", device="cpu")
        assert own.encode(*crops(own.side)).shape[-1] == own.dim
        assert own.dim in {width, 512}


def plain_tokens(model, images):
    """All of a vision transformer's tokens after its last norm, projected: a forward pass written out."""
    visual = model.visual
    with torch.no_grad():
        patches = visual.conv1(normalized(images)).flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.expand(len(patches), 1, -1), patches], 1) + visual.positional_embedding
        x = visual.ln_post(visual.transformer(visual.ln_pre(x)))
        return x @ visual.proj


def test_patch_tokens_are_those_nearest_to_the_cls_token(weights, crops):
    model, path = weights("tiny-vit")
    encoder = OpenClipEncoder("tiny-vit", path, patch_tokens=3, device="cpu")
    images, masks = crops(48)
    features = encoder.encode(images, masks)
    tokens = plain_tokens(model, images)
    assert encoder.record.tokens == ("cls", "patch-1", "patch-2", "patch-3")
    for n in range(len(images)):
        cosines = functional.cosine_similarity(tokens[n, 1:], tokens[n, :1])
        expected = tokens[n, 1:][cosines.argsort(descending=True)[:3]]
        torch.testing.assert_close(features[n], torch.cat([tokens[n, :1], expected]), atol=1e-5, rtol=0)


def test_mask_pool_averages_the_patch_tokens_inside_the_mask(weights, crops):
    model, path = weights("tiny-vit")
    encoder = OpenClipEncoder("tiny-vit", path, region="mask-pool", device="cpu")
    images, masks = crops(48)
    masks[4] = 0  # the mask misses this crop: all patches count
    features = encoder.encode(images, masks)[:, 0]
    tokens = plain_tokens(model, images)[:, 1:]
    for n in range(5):
        share = masks[n].float().reshape(6, 8, 6, 8).mean(dim=(1, 3)).flatten()
        share = torch.ones(36) if not share.any() else share
        expected = (tokens[n] * share[:, None]).sum(0) / share.sum()
        torch.testing.assert_close(features[n], expected, atol=1e-5, rtol=0)
    assert encoder.record.tokens == ("mask-pool",)
    torch.testing.assert_close(mask_shares(masks, (6, 6)).sum(1), torch.ones(5))


def test_masked_dims_the_background(weights, crops):
    model, path = weights("tiny-vit")
    encoder = OpenClipEncoder("tiny-vit", path, region="masked", device="cpu")
    images, masks = crops(48)
    dimmed = images.float() * torch.where(masks[..., None] > 0, 1.0, 0.3)
    with torch.no_grad():
        expected = model.encode_image(normalized(dimmed))
    torch.testing.assert_close(encoder.encode(images, masks)[:, 0], expected, atol=1e-5, rtol=0)


def test_texts_are_open_clips(weights):
    model, path = weights("tiny-vit")
    encoder = OpenClipEncoder("tiny-vit", path, device="cpu")
    prompts = ["a photo of a scratch", "a photo of a dent"]
    with torch.no_grad():
        expected = model.encode_text(open_clip.tokenize(prompts))
    torch.testing.assert_close(encoder.encode_text(prompts), expected, atol=1e-5, rtol=0)
    rest = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("visual.")}
    assert (encoder.no_text(), encoder.text_weights_hash()) == ("", hash_weights(rest))
    trunk = OpenClipEncoder("tiny-vit", path, layer="trunk", device="cpu")
    with pytest.raises(FlawshotError, match="features of the layer trunk cannot be compared with text"):
        trunk.encode_text(prompts)


def test_a_tokenizer_that_is_not_at_hand_is_no_text_tower_and_no_harm_to_images(weights, crops, monkeypatch):
    """Such as SigLIP's, which lies on Hugging Face's hub; with a local file of weights it is not downloaded."""
    asked = []

    def absent(name, **options):
        asked.append(options)
        raise OSError(f"no tokenizer\nof {name}")

    path = weights("tiny-vit")[1]
    config = open_clip.get_model_config("tiny-vit")
    config["text_cfg"]["hf_tokenizer_name"] = "some/where"
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: config)
    monkeypatch.setattr(open_clip, "get_tokenizer", absent)
    encoder = OpenClipEncoder("tiny-vit", path, device="cpu")
    assert encoder.encode(*crops(48)).shape == (5, 1, 16)
    expected = "the tokenizer some/where of tiny-vit is not available (no tokenizer of tiny-vit)"
    with pytest.raises(FlawshotError) as caught:
        encoder.encode_text(["a"])
    assert (encoder.no_text(), str(caught.value)) == (expected, expected)
    assert asked == [{"local_files_only": True}]


def test_half_precision_is_near(weights, crops):
    path = weights("tiny-vit")[1]
    images, masks = crops(48)
    full = OpenClipEncoder("tiny-vit", path, device="cpu").encode(images, masks)
    half = OpenClipEncoder("tiny-vit", path, device="cpu", precision="bfloat16").encode(images, masks)
    assert functional.cosine_similarity(full, half, dim=-1).min() > 0.99


def test_the_activation_of_a_file_is_named_or_remarked_on(weights):
    path = weights("tiny-vit")[1]
    remark, _ = OpenClipEncoder("tiny-vit", path, device="cpu").remarks
    assert "does not state its activation; used gelu as for tiny-vit" in remark
    told = {"activation": "gelu", "preprocessing": "clip"}
    assert OpenClipEncoder("tiny-vit", path, device="cpu", **told).remarks == []
    named = OpenClipEncoder("tiny-vit", path, activation="quickgelu", device="cpu")
    own = OpenClipEncoder("tiny-vit-quickgelu", path, device="cpu")
    images = torch.full((1, 48, 48, 3), 99, dtype=torch.uint8)
    torch.testing.assert_close(named.encode(images, images[..., 0]), own.encode(images, images[..., 0]))


class Hostile:
    def __reduce__(self):
        return os.system, ("touch was-here",)


def torchscript(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/constants.pkl", b"")
        archive.writestr("archive/code/__torch__.py", "evil()")


@pytest.mark.parametrize(
    ("model", "file", "options", "message"),
    [
        ("ViT-B32", None, {}, "model='ViT-B32': is not an open_clip model; similar: ViT-B-32"),
        ("ViT-B-32", "no-such-tag", {}, "is neither a file nor a tag of ViT-B-32: openai, laion"),
        ("ViT-B-32", "openai", {}, "its weights expect quickgelu, ViT-B-32 has gelu; use ViT-B-32-quickgelu"),
        ("ViT-B-32", "openai", {"activation": "gelu"}, "is for local files"),
        ("tiny-vit", "none.safetensors", {}, "there is no such file"),
        ("tiny-vit", lambda p: p.write_bytes(b"x"), {}, "cannot be read as tensors"),
        (
            "tiny-vit",
            torchscript,
            {},
            "is a TorchScript archive, which contains code; save its weights as .safetensors",
        ),
        ("tiny-vit", lambda p: torch.save([Hostile()], p), {}, "cannot be read as tensors"),
        ("tiny-vit", lambda p: torch.save([1, 2], p), {}, "must contain a state dictionary"),
        (
            "tiny-vit",
            lambda p: torch.save({"a": torch.ones(1)}, p),
            {},
            "does not fit the model: .* missing .*, 1 surplus",
        ),
        ("tiny-vit", "weights", {"region": "alpha"}, "region='alpha'"),
        ("tiny-vit", "weights", {"device": "tpu9"}, "device='tpu9': is not available"),
        ("tiny-vit", "weights", {"precision": "int3"}, "precision='int3'"),
        ("tiny-resnet", "weights", {"region": "mask-pool"}, "has no patch tokens"),
        ("tiny-resnet", "weights", {"patch_tokens": 2}, "has no patch tokens"),
        ("tiny-vit-quickgelu", "weights", {"activation": "gelu"}, "tiny-vit-quickgelu has QuickGELU"),
    ],
)
def test_mistakes_are_one_line(weights, tmp_path, monkeypatch, model, file, options, message):
    monkeypatch.chdir(tmp_path)
    pretrained = str(file)
    if file == "weights":
        pretrained = weights(model)[1]
    elif callable(file):
        pretrained = str(tmp_path / "file.pt")
        file(tmp_path / "file.pt")
    with pytest.raises(FlawshotError, match=message) as caught:
        OpenClipEncoder(model, pretrained, **{"device": "cpu"} | options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "was-here").exists()


def test_nothing_is_downloaded_that_was_not_named(weights, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a download was tried")

    for name in ("download_pretrained", "download_pretrained_from_hf"):
        monkeypatch.setattr(open_clip.factory, name, refuse)
    OpenClipEncoder("tiny-timm", weights("tiny-timm")[1], device="cpu")
    with pytest.raises(FlawshotError, match=r"cannot be downloaded .* offline, use a local file"):
        OpenClipEncoder("ViT-B-32-quickgelu", "openai", device="cpu")
