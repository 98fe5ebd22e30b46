"""Encoders made by a model's name, and rebuilt from their records: the same, or refused in one line."""

from __future__ import annotations

import pytest
import torch

import tiny_clip
from flawshot import FlawshotError, make_encoder
from flawshot.encoders import ENCODERS, encoder_families, encoder_of, rebuild_encoder
from flawshot.encoders.alpha_clip import AlphaClipEncoder
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.encoders.options import EncoderOptions


@pytest.fixture
def weights(tmp_path):
    def make(name, seed=0, alpha=False):
        path = tmp_path / f"{name}-{seed}.pt"
        state = tiny_clip.make(name, seed).state_dict()
        torch.save(tiny_clip.in_alpha_clips_names(state) if alpha else state, path)
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
    "AlphaCLIP": ("tiny-vit", {"region": "alpha", "patch_tokens": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_an_encoder_of_a_file_comes_back(weights, crops, case):
    name, options = CASES[case]
    path = weights(name, alpha=case == "AlphaCLIP")
    first = make_encoder(name, path, device="cpu", **options)
    assert type(first) is (AlphaClipEncoder if case == "AlphaCLIP" else OpenClipEncoder)
    again = rebuild_encoder(type(first.record).model_validate_json(first.record.model_dump_json()), "", pretrained=path)
    assert again.record == first.record
    images, masks = crops(first.side)
    assert torch.equal(again.encode(images, masks), first.encode(images, masks))


def test_an_encoder_of_a_tag_comes_back_without_a_file(monkeypatch):
    monkeypatch.setattr(
        "open_clip.get_pretrained_cfg",
        lambda model, tag: {"quick_gelu": False} if (model, tag) == ("tiny-vit", "made-up") else {},
    )
    monkeypatch.setattr("flawshot.encoders.clip_model._from_tag", lambda *_: tiny_clip.make("tiny-vit"))
    first = make_encoder("tiny-vit", "made-up", device="cpu")
    assert rebuild_encoder(first.record, "m.json", device="cpu").record == first.record


@pytest.mark.parametrize("options", [{}, {"region": "crop"}, {"layer": "projection"}])
def test_the_embedded_encoder_needs_no_file(options):
    first = make_encoder("flawshot-tiny", device="cpu", **options)
    again = rebuild_encoder(first.record, "m.json", device="cpu")
    assert type(again) is TinyEncoder
    assert again.record == first.record
    assert "model" not in first.record.options


def test_what_an_encoder_is_stands_field_by_field(weights):
    record = make_encoder("tiny-vit", weights("tiny-vit"), device="cpu", activation="gelu").record
    assert (record.family, record.name, record.weights) == ("open_clip", "open_clip tiny-vit", "tiny-vit-0.pt")
    assert record.options == {
        "model": "tiny-vit",
        "region": "crop",
        "layer": "projection",
        "activation": "gelu",
        "side": 48,
        "interpolation": "bicubic",
        "mean": (0.48145466, 0.4578275, 0.40821073),
        "std": (0.26862954, 0.26130258, 0.27577711),
    }


def test_other_weights_and_no_weights_are_refused(weights):
    record = make_encoder("tiny-vit", weights("tiny-vit"), device="cpu").record
    with pytest.raises(FlawshotError, match=r"m.json: encoder.weights_hash: is '\w{12}…', but the available open_clip"):
        rebuild_encoder(record, "m.json", pretrained=weights("tiny-vit", seed=1), device="cpu")
    with pytest.raises(
        FlawshotError, match=r"m.json: encoder.weights: came from the file tiny-vit-0.pt; .* pretrained"
    ):
        rebuild_encoder(record, "m.json", device="cpu")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"family": "theirs"}, r"^m\.json: encoder\.family: 'theirs' is unknown; install the package"),
        ({"family": "elsewhere"}, r"^m\.json: encoder: 'open_clip tiny-vit' made the features outside flawshot"),
        ({"weights_hash": None}, r"^m\.json: encoder: 'open_clip tiny-vit' made the features outside flawshot"),
        ({"side": 49}, r"^m\.json: encoder\.options\.side: is 49, but the available open_clip tiny-vit has 48; name"),
        ({"new": "x"}, r"^m\.json: encoder\.options\.new: is 'x', but the available open_clip tiny-vit has None; name"),
        ({"model": "tiny-none"}, r"^m\.json: encoder\.options\.model: 'tiny-none' is not an open_clip model"),
        (
            {"model": "hf-hub:some/one"},
            r"^m\.json: encoder\.options\.model: 'hf-hub:some/one' is not an open_clip model",
        ),
        ({"layer": "trunks"}, r"^layer='trunks': must be projection or trunk"),
        ({"region": None}, r"^region=None: must be crop, masked or mask-pool"),
        (
            {"tokens": ("mask-pool",)},
            r"^m\.json: encoder\.tokens: is \('mask-pool',\), but .* has \('cls',\)",
        ),
    ],
)
def test_a_record_that_does_not_fit_its_encoder_is_refused(weights, change, said):
    path = weights("tiny-vit")
    record = make_encoder("tiny-vit", path, device="cpu").record
    fields = {name: value for name, value in change.items() if name in type(record).model_fields}
    options = record.options | {name: value for name, value in change.items() if name not in fields}
    record = record.model_copy(update={"options": options} | fields)
    with pytest.raises(FlawshotError, match=said):
        rebuild_encoder(record, "m.json", pretrained=path, device="cpu")


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("flawshot-tiny", {"pretrained": "x.pt"}, "pretrained='x.pt': is not supported by flawshot-tiny; omit it"),
        ("flawshot-tiny", {"patch_tokens": 2}, "patch_tokens=2: is not supported by flawshot-tiny; omit it"),
        ("flawshot-tiny", {"activation": "gelu"}, "activation='gelu': is not supported by flawshot-tiny; omit it"),
        ("flawshot-tiny", {"region": "masked"}, "region='masked': flawshot-tiny takes alpha or crop"),
        ("ViT-B-32", {}, "pretrained: name the weights of ViT-B-32: one of its tags"),
        ("ViT-B-32", {"region": "alpha"}, "pretrained: name the weights of ViT-B-32: one of its tags"),
        ("ViT-B-32", {"region": "alpha", "activation": "gelu"}, "activation='gelu': ViT-B-32 takes quickgelu"),
        ("ViT-B-32", {"region": "inside"}, "region='inside': ViT-B-32 takes crop or masked or mask-pool"),
        (
            "ViT-B-33",
            {},
            "model='ViT-B-33': is not a model of flawshot-tiny, alpha_clip, open_clip, timm; similar: ViT-B-32",
        ),
        (
            "flawshot",
            {},
            "model='flawshot': is not a model of flawshot-tiny, alpha_clip, open_clip, timm; similar: flawshot-tiny",
        ),
        ("9", {}, "model='9': is not a model of flawshot-tiny, alpha_clip, open_clip, timm$"),
    ],
)
def test_what_a_family_does_not_take_is_refused_before_anything_is_loaded(model, options, said):
    with pytest.raises(FlawshotError, match=f"^{said}"):
        make_encoder(model, **options)


def test_every_family_is_registered_under_its_own_name():
    assert encoder_families() == list(ENCODERS)
    for name, (module, kind) in ENCODERS.items():
        assert getattr(__import__(f"flawshot.encoders.{module}", fromlist=[kind]), kind).family == name


def test_default_views_are_the_familys():
    assert encoder_of(EncoderOptions("flawshot-tiny")).views == TINY_VIEWS
    assert encoder_of(EncoderOptions("ViT-B-32")).views == ("mso", None)


def test_only_who_asks_for_the_embedded_encoder_by_name_is_told_how_small_it_is():
    made = make_encoder("flawshot-tiny", device="cpu")
    assert len(made.remarks) == 1
    assert not rebuild_encoder(made.record, "m.json", device="cpu").remarks
