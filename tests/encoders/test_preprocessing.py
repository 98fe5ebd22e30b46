"""What weights expect of their input: for every model and tag of open_clip, what open_clip itself gives them."""

from __future__ import annotations

import logging

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

import tiny_clip
from flawshot import FlawshotError, crop_views
from flawshot.encoders.clip_model import clip_preprocessing
from flawshot.encoders.network import CropInput
from flawshot.encoders.open_clip import OpenClipEncoder, _side
from flawshot.encoders.preprocessing import CLIP_PREPROCESSING, Preprocessing
from flawshot.labelme.shapes import Region
from flawshot.regions.views import Size, View, ViewScheme

MODELS = [name for name in open_clip.list_models() if name not in tiny_clip.CONFIGS and name != "flawshot-tiny"]
SIDE = 300
SCHEME = ViewScheme("whole", (Size(SIDE, relative=False),), "zero", (View(Size(SIDE, relative=False)),))


@pytest.fixture(scope="module")
def picture():
    """A square image; on it the ways of open_clip to make it square (crop, squash, pad) are all the same."""
    noise = np.random.default_rng(0).integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def own_transform(model, tag, monkeypatch):
    """open_clip's model, without memory for its weights, and its transform for inference."""
    monkeypatch.setattr("open_clip.factory.download_pretrained", lambda *_, **__: None)
    config = open_clip.get_model_config(model)
    if "hf_model_name" in config["text_cfg"]:  # needs another package, and does not matter here
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, model, config | {"text_cfg": tiny_clip.TEXT})
    logging.disable(logging.ERROR)  # it says that the weights are random
    try:
        with torch.device("meta"):
            made, _, transform = open_clip.create_model_and_transforms(
                model, pretrained=tag, load_weights=False, device="meta", pretrained_text=False
            )
    finally:
        logging.disable(logging.NOTSET)
    return made, transform


def our_input(picture, expected, side):
    """What flawshot makes of a view that shows the whole picture."""
    region = Region(0, 0, np.ones((SIDE, SIDE), dtype=bool))
    crops = crop_views(picture, region, SCHEME, side, extent=(0, 0, SIDE, SIDE), interpolation=expected.interpolation)
    images, masks = torch.from_numpy(crops.images), torch.from_numpy(crops.masks)
    return CropInput(expected.mean, expected.std)(images, masks)[0]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_every_configuration_of_open_clip(model, picture, monkeypatch):
    tags = open_clip.list_pretrained_tags_by_model(model)
    kinds = {clip_preprocessing(model, tag)[0]: tag for tag in reversed(tags)}
    for expected, tag in kinds.items() or [(CLIP_PREPROCESSING, None)]:
        made, transform = own_transform(model, tag, monkeypatch)
        ours = our_input(picture, expected, _side(made.visual, model))
        torch.testing.assert_close(ours, transform(picture), atol=1e-5, rtol=0)
    # A local file is taken to be like the model's usual tag, and that is said if another is possible.
    expected, remarks = clip_preprocessing(model, "weights.safetensors")
    assert expected == (clip_preprocessing(model, tags[0])[0] if tags else CLIP_PREPROCESSING)
    assert bool(remarks) == (len(kinds) != 1)


def test_models_of_other_schools_do_not_get_clips_constants():
    inception = ((0.5,) * 3, (0.5,) * 3)
    for model in ("ViT-B-16-SigLIP2", "ViT-SO400M-14-SigLIP", "ViT-B-16-SigLIP-i18n-256"):
        expected, remarks = clip_preprocessing(model, "weights.pt")
        assert (expected.mean, expected.std, remarks) == (*inception, [])
    expected, _ = clip_preprocessing("MobileCLIP-S1", "weights.pt")
    assert expected == Preprocessing((0.0,) * 3, (1.0,) * 3, "bilinear")
    expected, remarks = clip_preprocessing("ViT-H-14-378", "weights.pt")  # DFN
    assert (expected.mean, remarks) == (CLIP_PREPROCESSING.mean, [])


def test_a_file_of_a_model_whose_tags_differ():
    expected, (remark,) = clip_preprocessing("ViT-L-14", "folder/weights.pt")
    assert expected == CLIP_PREPROCESSING
    assert remark.startswith("weights.pt: does not state its preprocessing; used that of openai, ")
    assert remark.endswith("if its weights are like laion2b_s32b_b82k, name that tag as its preprocessing")
    assert clip_preprocessing("ViT-L-14", "weights.pt", "laion2b_s32b_b82k") == (
        Preprocessing((0.5,) * 3, (0.5,) * 3, "bicubic"),
        [],
    )
    for like, message in (
        ("nope", "must be clip, imagenet, inception, or a tag of ViT-L-14: openai,"),
        ("", "must be clip"),
    ):
        with pytest.raises(FlawshotError, match=message):
            clip_preprocessing("ViT-L-14", "weights.pt", like)
    with pytest.raises(FlawshotError, match="is for local files; the tag openai has its own"):
        clip_preprocessing("ViT-L-14", "openai", "clip")


def test_an_encoder_feeds_its_tower_what_the_preprocessing_says(tmp_path, crops):
    model = tiny_clip.make("tiny-vit")
    torch.save(model.state_dict(), tmp_path / "w.pt")
    images, masks = crops(48)
    encoder = OpenClipEncoder("tiny-vit", str(tmp_path / "w.pt"), preprocessing="inception", device="cpu")
    with torch.inference_mode():
        own = model.encode_image((images.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5)
    torch.testing.assert_close(encoder.encode(images, masks)[:, 0], own, atol=1e-5, rtol=0)
    again = OpenClipEncoder.from_record(encoder.record, pretrained=str(tmp_path / "w.pt"), device="cpu")
    assert again.record == encoder.record


def test_a_record_of_a_tag_is_rebuilt_with_its_own_values(monkeypatch, tmp_path):
    """Banks of earlier versions resized all crops by bicubic, whatever the tag expects."""
    torch.save(tiny_clip.make("tiny-vit").state_dict(), tmp_path / "w.pt")
    made = OpenClipEncoder("tiny-vit", str(tmp_path / "w.pt"), device="cpu")
    old = made.record.model_copy(
        update={"weights": "openai", "options": made.record.options | {"interpolation": "bilinear", "std": (0.3,) * 3}}
    )
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *_: {"mean": None, "std": None})
    monkeypatch.setattr("flawshot.encoders.open_clip.build_model", lambda *_: (tiny_clip.make("tiny-vit"), []))
    again = OpenClipEncoder.from_record(old, device="cpu")
    assert again.record.options == old.options


@pytest.mark.parametrize(
    "options",
    [
        {"mean": (0.5, 0.5), "std": (0.5,) * 3, "interpolation": "bicubic"},
        {"mean": (0.5,) * 3, "std": (0.0,) * 3, "interpolation": "bicubic"},
        {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "hamming"},
        {"mean": "0.5", "std": (0.5,) * 3},
        {"std": (0.5,) * 3},
    ],
)
def test_a_record_that_makes_no_sense_is_refused(options):
    with pytest.raises((FlawshotError, KeyError, TypeError, ValueError)):
        Preprocessing.recorded({"model": "a", **options})
