"""Feature maps of whole images: those of timm's own feature extractors, of open_clip's towers, and of flawshot-tiny."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file, save_model
from torch import nn

import tiny_clip
from flawshot import BaseEncoder, EncoderRecord, FlawshotError
from flawshot.encoders.alpha_clip import AlphaClipEncoder
from flawshot.encoders.flawshot_tiny import FOLDER, TINY, TinyEncoder, empty_tiny_model
from flawshot.encoders.maps import map_reader
from flawshot.encoders.network import CropInput, NetworkEncoder, RegionNetwork
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.encoders.timm import TimmEncoder
from flawshot.encoders.weights import read_weights
from tiny_timm import REGISTERS

CONVOLUTIONAL = ["resnet10t", "convnextv2_atto", "tf_efficientnet_lite0"]
CLIP_MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
CLIP_STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])


def pictures(height, width, count=2):
    generator = torch.Generator().manual_seed(height + width)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def as_input(images, mean, std):
    mean, std = (torch.as_tensor(values)[:, None, None] for values in (mean, std))
    return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std


@pytest.fixture(scope="module")
def tiny():
    return TinyEncoder(device="cpu")


@pytest.fixture(scope="module")
def timm_encoder(tmp_path_factory):
    """An encoder with random weights, and the model that they come from."""
    folder = tmp_path_factory.mktemp("timm")
    made = {}

    def make(name, **options):
        key = (name, *options.items())
        if key not in made:
            torch.manual_seed(1)
            model = timm.create_model(name, pretrained=False, num_classes=0).eval()
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.1)
                    module.running_var.uniform_(0.5, 1.5)
            save_model(model, folder / f"{name}.safetensors")
            encoder = TimmEncoder(name, str(folder / f"{name}.safetensors"), device="cpu", **options)
            made[key] = model, encoder
        return made[key]

    return make


@pytest.fixture(scope="module")
def clip_encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")

    def make(name, **options):
        model = tiny_clip.make(name)
        save_file(model.state_dict(), folder / f"{name}.safetensors")
        return model, OpenClipEncoder(name, str(folder / f"{name}.safetensors"), device="cpu", **options)

    return make


def timms_own_maps(name, model, given):
    """Outside reference: timm's model that returns maps, with the same tensors in the same order."""
    own = timm.create_model(name, pretrained=False, features_only=True).eval()
    state = own.state_dict()
    pairs = dict(zip(state, model.state_dict().values(), strict=False))
    assert all(pairs[key].shape == tensor.shape for key, tensor in state.items())
    own.load_state_dict(pairs)
    with torch.inference_mode():
        return dict(zip(own.feature_info.reduction(), own(given), strict=True))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_maps_of_a_convolutional_network_are_timms_own(timm_encoder, name):
    model, encoder = timm_encoder(name)
    assert encoder.map_side == 0
    images = pictures(96, 160)
    maps = encoder.maps(images)
    options = encoder.record.options
    expected = timms_own_maps(name, model, as_input(images, options["mean"], options["std"]))
    assert [tuple(each.shape[-2:]) for each in maps] == [(96 // stride, 160 // stride) for stride in (4, 8, 16, 32)]
    assert all(each.dtype == torch.float32 for each in maps)
    for stride, each in zip((4, 8, 16, 32), maps, strict=True):
        torch.testing.assert_close(each, expected[stride], atol=1e-4, rtol=1e-4)


def test_the_map_of_a_transformer_is_its_normalized_patch_tokens(timm_encoder):
    """Without the CLS token and the registers, for the one side that it was built for."""
    model, encoder = timm_encoder(REGISTERS, side=70)
    assert encoder.map_side == 70
    images = pictures(70, 70)
    (made,) = encoder.maps(images)
    options = encoder.record.options
    with torch.inference_mode():
        # set_input_size resamples positions; as in the encoder
        model.set_input_size(img_size=(70, 70))
        tokens = model.forward_features(as_input(images, options["mean"], options["std"]))
    assert tokens.shape[1] == 1 + 4 + 25
    torch.testing.assert_close(made, tokens[:, 5:].transpose(1, 2).unflatten(2, (5, 5)), atol=1e-4, rtol=1e-4)


def test_a_transformer_in_windows_has_several_maps_of_one_side():
    small = {"img_size": 64, "window_size": 2, "embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
    model = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0, **small).eval()
    given = as_input(pictures(64, 64), CLIP_MEAN, CLIP_STD)
    reader = map_reader(model, torch.zeros(1, 3, 64, 64))
    assert reader.side == 64
    with torch.inference_mode():
        maps, last = reader.read(given), model.forward_features(given)
    assert [each.shape[1:] for each in maps] == [(16, 16, 16), (32, 8, 8), (64, 4, 4), (128, 2, 2)]
    torch.testing.assert_close(maps[-1], last.permute(0, 3, 1, 2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", ["trunk", "projection"])
@pytest.mark.parametrize("name", ["tiny-vit", "tiny-vit-quickgelu"])
def test_the_map_of_a_clip_transformer_is_its_patch_tokens_before_the_projection(clip_encoder, name, layer):
    model, encoder = clip_encoder(name, layer=layer)
    assert encoder.map_side == 48
    images = pictures(48, 48)
    (made,) = encoder.maps(images)
    model.visual.output_tokens = True
    with torch.inference_mode():
        _, tokens = model.visual(as_input(images, CLIP_MEAN, CLIP_STD))
    torch.testing.assert_close(made, tokens.transpose(1, 2).unflatten(2, (6, 6)), atol=1e-4, rtol=1e-4)


def test_the_maps_of_a_clip_resnet_are_those_of_its_layers(clip_encoder):
    model, encoder = clip_encoder("tiny-resnet")
    assert encoder.map_side == 0
    images = pictures(96, 64)
    seen = []
    for number in (1, 2, 3, 4):
        getattr(model.visual, f"layer{number}").register_forward_hook(lambda _, __, out: seen.append(out))
    with torch.inference_mode():
        x = model.visual.stem(as_input(images, CLIP_MEAN, CLIP_STD))
        for number in (1, 2, 3, 4):
            x = getattr(model.visual, f"layer{number}")(x)
    maps = encoder.maps(images)
    assert [tuple(each.shape[-2:]) for each in maps] == [(24, 16), (12, 8), (6, 4), (3, 2)]
    for each, expected in zip(maps, seen, strict=True):
        torch.testing.assert_close(each, expected, atol=1e-4, rtol=1e-4)


def test_the_maps_of_a_clip_with_a_tower_of_timms_are_timms(clip_encoder):
    model, encoder = clip_encoder("tiny-timm")
    images = pictures(64, 128)
    expected = timms_own_maps("resnet10t", model.visual.trunk, as_input(images, CLIP_MEAN, CLIP_STD))
    for stride, each in zip((4, 8, 16, 32), encoder.maps(images), strict=True):
        torch.testing.assert_close(each, expected[stride], atol=1e-4, rtol=1e-4)


def alpha_checkpoint(path, alpha):
    model = tiny_clip.make("tiny-vit-quickgelu")
    state = tiny_clip.in_alpha_clips_names(model.visual.state_dict())
    state["conv1_alpha.weight"] = alpha
    torch.save(state, path)
    return model


def test_alpha_clip_takes_everything_to_be_inside_the_mask(tmp_path):
    """A constant mask adds a constant to each patch, as a bias of the convolution of pixels would."""
    torch.manual_seed(3)
    alpha = torch.randn(64, 1, 8, 8) * 0.2
    model = alpha_checkpoint(tmp_path / "alpha.pth", alpha)
    encoder = AlphaClipEncoder("tiny-vit", str(tmp_path / "alpha.pth"), device="cpu")
    assert encoder.map_side == 48
    conv = model.visual.conv1
    conv.bias = nn.Parameter(alpha.sum(dim=(1, 2, 3)) * (1 - 0.5) / 0.26)
    model.visual.output_tokens = True
    images = pictures(48, 48)
    with torch.inference_mode():
        _, tokens = model.visual(as_input(images, CLIP_MEAN, CLIP_STD))
    (made,) = encoder.maps(images)
    torch.testing.assert_close(made, tokens.transpose(1, 2).unflatten(2, (6, 6)), atol=1e-4, rtol=1e-4)


def test_maps_of_flawshot_tiny_are_those_of_timms_network_with_its_weights(tiny):
    plain = timm.create_model("regnetx_002", num_classes=0)
    prefix = "visual.trunk.net."
    plain.load_state_dict({
        name.removeprefix(prefix).replace("stem.conv.image.", "stem.conv."): tensor.float()
        if tensor.is_floating_point()
        else tensor
        for name, tensor in read_weights(FOLDER / f"{TINY}.safetensors").items()
        if name.startswith(prefix) and "stem.conv.mask." not in name
    })  # fmt: skip
    plain.eval()
    assert tiny.map_side == 0
    images = pictures(64, 160)
    with torch.inference_mode():
        expected = plain.forward_intermediates(as_input(images, CLIP_MEAN, CLIP_STD), intermediates_only=True)[1:]
    maps = tiny.maps(images)
    assert [tuple(each.shape[-2:]) for each in maps] == [(64 // stride, 160 // stride) for stride in (4, 8, 16, 32)]
    for each, other in zip(maps, expected, strict=True):
        torch.testing.assert_close(each, other, atol=2e-3, rtol=1e-3)


def test_maps_of_flawshot_tiny_are_those_from_which_its_features_are_made(tiny):
    """At its own side without a mask, averages of its maps by the trunk as it was trained."""
    weights = read_weights(FOLDER / f"{TINY}.safetensors")
    model = empty_tiny_model().eval()
    model.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in weights.items()})
    images = pictures(96, 96)
    with torch.inference_mode():
        made = model.visual.trunk.features(tiny.maps(images), torch.zeros(2, 1, 96, 96))
    expected = tiny.encode(images, torch.zeros(2, 96, 96, dtype=torch.uint8))[:, 0]
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


def test_several_images_at_once_give_the_maps_of_each(tiny, timm_encoder, clip_encoder):
    encoders = [
        (tiny, (64, 96)),
        (timm_encoder("resnet10t")[1], (64, 96)),
        (timm_encoder(REGISTERS, side=70)[1], (70, 70)),
        (clip_encoder("tiny-vit")[1], (48, 48)),
    ]
    for encoder, size in encoders:
        images = pictures(*size, 3)
        together = encoder.maps(images)
        for number in range(3):
            for each, other in zip(encoder.maps(images[number : number + 1]), together, strict=True):
                torch.testing.assert_close(each[0], other[number], atol=1e-4, rtol=1e-4)


class PlainEncoder(BaseEncoder):
    """What a package of someone else's may provide: features and nothing more."""

    family = "plain"

    def __init__(self):
        self.record = record_of("plain")
        self.side, self.dim, self.device = 32, 3, torch.device("cpu")

    @classmethod
    def from_options(cls, _options):
        return cls()

    @classmethod
    def from_record(cls, _record, **_):
        return cls()

    def encode(self, images, _masks):
        return images.float().mean(dim=(1, 2))[:, None]


class Averages(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3)), None


class PlainNetworkEncoder(PlainEncoder, NetworkEncoder):
    """The same as a network, which says nothing of maps."""

    def __init__(self):
        super().__init__()
        self.network = RegionNetwork(CropInput([0.5] * 3, [0.5] * 3), Averages())

    encode = NetworkEncoder.encode


def record_of(name):
    return EncoderRecord(
        family="plain", name=name, weights="none", weights_hash=None, precision="float32", tokens=("cls",)
    )


class WithoutMaps(TimmEncoder):
    """A model of timm's that has no maps, by what it consists of."""

    def _map_tower(self):
        return Averages()


@pytest.mark.parametrize("kind", ["interface", "network", "timm"])
def test_an_encoder_without_maps_says_so_in_one_line(kind, timm_encoder, tmp_path):
    if kind == "timm":
        model = timm.create_model("resnet10t", pretrained=False, num_classes=0)
        save_model(model, tmp_path / "weights.safetensors")
        encoder = WithoutMaps("resnet10t", str(tmp_path / "weights.safetensors"), device="cpu")
    else:
        encoder = PlainEncoder() if kind == "interface" else PlainNetworkEncoder()
        assert encoder.encode(pictures(32, 32), torch.zeros(2, 32, 32)).shape == (2, 1, 3)
    for ask in (lambda: encoder.map_side, lambda: encoder.maps(pictures(32, 32))):
        with pytest.raises(FlawshotError, match=r"has no feature maps.*find_encoder") as caught:
            ask()
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(encoder.record.name)
