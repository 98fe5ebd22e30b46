"""AlphaCLIP: open_clip's own numbers without the mask, a forward pass written out with it, and its files' names."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

import tiny_clip
from flawshot import FlawshotError
from flawshot.encoders.alpha_clip import AlphaClipEncoder
from flawshot.encoders.open_clip import OpenClipEncoder

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])


@pytest.fixture
def checkpoint(tmp_path):
    def make(alpha="random", change=lambda _: None, whole=False):
        model = tiny_clip.make("tiny-vit-quickgelu")
        state = tiny_clip.in_alpha_clips_names(model.visual.state_dict())
        torch.manual_seed(3)
        if alpha == "random":
            state["conv1_alpha.weight"] = torch.randn(64, 1, 8, 8) * 0.2
        elif alpha == "zero":
            state["conv1_alpha.weight"] = torch.zeros(64, 1, 8, 8)
        change(state)
        if whole:
            rest = {k: v for k, v in model.state_dict().items() if not k.startswith("visual.")}
            state = {f"visual.{k}": v for k, v in state.items()} | rest
        path = tmp_path / "alpha.pth"
        torch.save(state, path)
        return model, state, str(path)

    return make


def forward_written_out(state, images, masks, patch=8, heads=1):
    """AlphaCLIP's image tower in plain steps, from the checkpoint's own tensors: all tokens, projected."""
    x = ((images.float() / 255 - MEAN) / STD).permute(0, 3, 1, 2)
    alpha = ((masks.float() / 255 - 0.5) / 0.26)[:, None]
    x = functional.conv2d(x, state["conv1.weight"], stride=patch) + functional.conv2d(
        alpha, state["conv1_alpha.weight"], stride=patch
    )
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([state["class_embedding"].expand(len(x), 1, -1), x], dim=1) + state["positional_embedding"]
    width = x.shape[-1]

    def norm(x, name):
        return functional.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"])

    x = norm(x, "ln_pre")
    for layer in range(2):
        block = f"transformer.resblocks.{layer}"
        q, k, v = functional.linear(
            norm(x, f"{block}.ln_1"), state[f"{block}.attn.in_proj.weight"], state[f"{block}.attn.in_proj.bias"]
        ).chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1)
        attended = (weights @ v).transpose(1, 2).flatten(2)
        x = x + functional.linear(
            attended, state[f"{block}.attn.out_proj.weight"], state[f"{block}.attn.out_proj.bias"]
        )
        hidden = functional.linear(
            norm(x, f"{block}.ln_2"), state[f"{block}.mlp.c_fc.weight"], state[f"{block}.mlp.c_fc.bias"]
        )
        hidden = hidden * torch.sigmoid(1.702 * hidden)
        x = x + functional.linear(hidden, state[f"{block}.mlp.c_proj.weight"], state[f"{block}.mlp.c_proj.bias"])
    return norm(x, "ln_post") @ state["proj"]


def test_without_alpha_weights_the_features_are_open_clips(checkpoint, crops, tmp_path):
    model, _, path = checkpoint("zero")
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    plain = OpenClipEncoder("tiny-vit-quickgelu", str(tmp_path / "clip.pt"), patch_tokens=2, device="cpu")
    alpha = AlphaClipEncoder("tiny-vit", path, patch_tokens=2, device="cpu")
    images, masks = crops(48)
    torch.testing.assert_close(alpha.encode(images, masks), plain.encode(images, masks), atol=1e-5, rtol=0)
    assert alpha.remarks == []


def test_with_alpha_weights_the_features_are_those_of_the_plain_forward_pass(checkpoint, crops):
    _, state, path = checkpoint()
    encoder = AlphaClipEncoder("tiny-vit", path, patch_tokens=2, device="cpu")
    images, masks = crops(48)
    features = encoder.encode(images, masks)
    tokens = forward_written_out(state, images, masks)
    torch.testing.assert_close(features[:, 0], tokens[:, 0], atol=1e-4, rtol=0)
    for n in range(len(images)):
        nearest = functional.cosine_similarity(tokens[n, 1:], tokens[n, :1]).argsort(descending=True)[:2]
        torch.testing.assert_close(features[n, 1:], tokens[n, 1:][nearest], atol=1e-4, rtol=0)
    other = encoder.encode(images, 255 - masks)
    assert (other - features).abs().max() > 0.01  # the mask has its say
    assert encoder.record.name == "AlphaCLIP tiny-vit"


def test_a_checkpoint_in_alpha_clips_names_comes_back_tensor_by_tensor(checkpoint):
    _, state, path = checkpoint()
    own = AlphaClipEncoder("tiny-vit-quickgelu", path, device="cpu")._model.visual.state_dict()
    back = {}
    for name, tensor in tiny_clip.in_alpha_clips_names(own).items():
        back[name.replace("conv1.image.", "conv1.").replace("conv1.alpha.", "conv1_alpha.")] = tensor
    back.setdefault("proj", state["proj"])  # the encoder applies it itself
    assert set(back) == set(state)
    for name, tensor in state.items():
        # QuickGELU's factor is moved into the layers around it.
        folded = 1.702 if "mlp.c_fc" in name else 1 / 1.702 if name.endswith("mlp.c_proj.weight") else 1
        torch.testing.assert_close(back[name], tensor * folded, atol=0, rtol=0 if folded == 1 else 1e-6)


def test_what_is_missing_or_surplus_is_said_in_one_line(checkpoint):
    _, _, path = checkpoint("absent", lambda state: state.update(extra=torch.ones(1)))
    (remark,) = AlphaClipEncoder("tiny-vit", path, device="cpu").remarks
    assert remark == "alpha.pth: missing: conv1_alpha.weight, so the mask has no effect; surplus: 1 (extra)"


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("tiny-vit", lambda s: s.pop("ln_post.weight"), r"lacks 1 of the image tower's weights \(ln_post\.weight\)"),
        (
            "tiny-vit",
            lambda s: s.update({"conv1.weight": torch.ones(64, 3, 4, 4)}),
            "conv1.weight has a different shape",
        ),
        ("tiny-resnet", lambda _: None, "is not a vision transformer"),
        ("nothing", lambda _: None, "is not an open_clip model"),
    ],
)
def test_weights_that_do_not_fit_are_refused(checkpoint, model, change, message):
    path = checkpoint(change=change)[2]
    with pytest.raises(FlawshotError, match=message):
        AlphaClipEncoder(model, path, device="cpu")


def test_texts_need_a_text_tower_in_the_file(checkpoint):
    image_only = AlphaClipEncoder("tiny-vit", checkpoint()[2], device="cpu")
    assert image_only.no_text()
    with pytest.raises(FlawshotError, match="only an image tower"):
        image_only.encode_text(["a"])
    model, _, path = checkpoint(whole=True)
    import open_clip

    encoder = AlphaClipEncoder("tiny-vit", path, device="cpu")
    assert not encoder.no_text()
    assert AlphaClipEncoder("tiny-vit", path, layer="trunk", device="cpu").no_text()
    with torch.no_grad():
        expected = model.encode_text(open_clip.tokenize(["a"]))
    torch.testing.assert_close(encoder.encode_text(["a"]), expected, atol=1e-5, rtol=0)
