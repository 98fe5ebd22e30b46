"""Text features come with a bank: CLIP's own prompt ensemble, made anew only when what shapes them changes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
from safetensors.numpy import load_file, save_file

from flawshot import Catalog, FeatureBank, FeatureBankError, FlawshotError, Prompts
from flawshot.bank import blocks
from flawshot.bank.builder import encode_catalog
from flawshot.bank.prompts import TEMPLATES
from flawshot.encoders.alpha_clip import AlphaClipEncoder
from flawshot.encoders.base import hash_weights
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.regions.views import make_scheme
from helpers import rewrite_sealed

SCHEME = make_scheme("none")
CATEGORIES = ["crack", "dent", "scratch", "stain"]
OWN = Prompts(("a {category}", "a {product} with a {category}"), {"dent": ("a hollow in a {product}",)})


def written_out(model, prompts):
    """One category's text feature in plain steps, prompt by prompt."""
    with torch.no_grad():
        features = [model.encode_text(open_clip.tokenize([prompt]))[0] for prompt in prompts]
    mean = torch.stack([feature / feature.norm() for feature in features]).mean(dim=0)
    return (mean / mean.norm()).numpy()


def test_text_features_are_the_mean_over_the_prompts_of_clips_own(data, encoder, model, tmp_path):
    bank = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "bank").bank
    assert bank.has_text
    got = bank.text_features("bracket", CATEGORIES)
    assert (got.dtype, got.shape) == (np.float32, (4, 16))
    for row, category in zip(got, CATEGORIES, strict=True):
        said = [t.replace("{product}", "bracket").replace("{category}", category) for t in TEMPLATES]
        np.testing.assert_allclose(row, written_out(model, said), atol=1e-5)
    order = ["stain", "crack", "stain"]
    np.testing.assert_array_equal(bank.text_features("bracket", order), got[[3, 0, 3]])
    with pytest.raises(FeatureBankError, match=r"bank: contains no text features of bracket/hole"):
        bank.text_features("bracket", ["dent", "hole"])
    record = json.loads((tmp_path / "bank/manifest.json").read_text())["text"]
    assert record["templates"] == list(TEMPLATES)
    assert record["rows"] == [["bracket", category] for category in CATEGORIES]
    rest = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("visual.")}
    assert record["weights_hash"] == hash_weights(rest)


def test_ones_own_prompts_shape_them(data, encoder, model, tmp_path):
    bank = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "bank", prompts=OWN).bank
    dent, stain = bank.text_features("bracket", ["dent", "stain"])
    np.testing.assert_allclose(dent, written_out(model, ["a hollow in a bracket"]), atol=1e-5)
    np.testing.assert_allclose(stain, written_out(model, ["a stain", "a bracket with a stain"]), atol=1e-5)


def test_a_bank_from_before_there_was_text_gains_it_and_keeps_its_features(data, encoder, counted, tmp_path):
    out = tmp_path / "bank"
    before = encode_catalog(Catalog.open(data), encoder, SCHEME, out).bank
    text = before.text_features("bracket", CATEGORIES)
    rewrite_sealed(out / "manifest.json", lambda d: (d.pop("text"), d["files"].pop("text.safetensors")))
    (out / "text.safetensors").unlink()
    old = FeatureBank.open(out)
    assert not old.has_text
    with pytest.raises(FeatureBankError, match=r"no text tower was available"):
        old.text_features("bracket", CATEGORIES)
    counted["crops"] = 0
    report = encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert (report.encoded, counted["crops"]) == (0, 0)
    np.testing.assert_array_equal(report.bank.text_features("bracket", CATEGORIES), text)


def test_an_interrupted_call_goes_on_whatever_the_prompts(data, encoder, tmp_path, monkeypatch):
    whole, encode, calls = Catalog.open(data), encoder.encode, []

    def breaks(images, masks):
        calls.append(len(images))
        if len(calls) == 8:
            raise KeyboardInterrupt
        return encode(images, masks)

    monkeypatch.setattr(encoder, "encode", breaks)
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)
    with pytest.raises(KeyboardInterrupt):
        encode_catalog(whole, encoder, SCHEME, tmp_path / "bank", batch_size=2)
    report = encode_catalog(whole, encoder, SCHEME, tmp_path / "bank", batch_size=2, prompts=OWN)
    assert report.kept > 0
    assert report.bank.manifest.text.templates == OWN.templates


def of_the_trunk(model, path):
    return OpenClipEncoder("tiny-vit", str(path), layer="trunk", device="cpu")


def image_tower_only(model, path):
    torch.save(dict(model.visual.state_dict()), path)
    return AlphaClipEncoder("tiny-vit", str(path), device="cpu")


def untold(model, path):
    """An encoder in a user's code, which says nothing of texts."""
    names = ("record", "side", "dim", "device", "encode", "encode_text")
    encoder = OpenClipEncoder("tiny-vit", str(path), device="cpu")
    return SimpleNamespace(**{name: getattr(encoder, name) for name in names})


@pytest.mark.parametrize(
    ("make", "why", "reason"),
    [
        (
            of_the_trunk,
            r"open_clip tiny-vit: features of the trunk",
            "features of the layer trunk cannot be compared with text; those of projection can",
        ),
        (
            image_tower_only,
            r"AlphaCLIP tiny-vit: no text tower was available",
            "tiny.pt: contains only an image tower, no text tower",
        ),
        (
            untold,
            r"open_clip tiny-vit: no text tower was available",
            "open_clip tiny-vit has no text tower",
        ),
    ],
)
def test_without_a_text_tower_in_the_features_space_a_bank_has_none_and_says_why(
    data, model, weights, tmp_path, make, why, reason
):
    silent = make(model, weights)
    with pytest.raises(FlawshotError) as caught:
        encode_catalog(Catalog.open(data), silent, SCHEME, tmp_path / "bank", prompts=OWN)
    assert str(caught.value) == f"prompts: cannot be used; {reason}"
    assert not (tmp_path / "bank").exists()
    bank = encode_catalog(Catalog.open(data), silent, SCHEME, tmp_path / "bank").bank
    assert not bank.has_text
    assert not (tmp_path / "bank/text.safetensors").exists()
    with pytest.raises(FeatureBankError, match=rf"bank: has no text features of the categories \({why}\)") as caught:
        bank.text_features("bracket", CATEGORIES)
    assert str(caught.value).endswith("; encode with a CLIP that has a text tower, and layer='projection'")
    assert "\n" not in str(caught.value)
    assert encode_catalog(Catalog.open(data), silent, SCHEME, tmp_path / "bank").encoded == 0


@pytest.mark.parametrize("options", [{"region": "mask-pool"}, {"region": "masked"}, {"patch_tokens": 2}])
def test_regions_and_tokens_in_the_shared_space_have_text(data, weights, tmp_path, options):
    encoder = OpenClipEncoder("tiny-vit", str(weights), device="cpu", **options)
    assert encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "bank").bank.has_text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lambda p: torch.zeros(len(p), 16), "text features of bracket/crack are not finite; use other prompts"),
        (lambda p: torch.full((len(p), 16), torch.nan), "text features of bracket/crack are not finite"),
        (lambda p: torch.ones(len(p), 9), "so they are not comparable"),
    ],
)
def test_texts_that_are_no_features_are_not_written(data, encoder, tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(encoder, "encode_text", text)
    with pytest.raises(FlawshotError, match=message):
        encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "bank")
    assert not (tmp_path / "bank").exists()


def test_shapes_without_a_label_have_no_text(data, encoder, tmp_path):
    path = data / "bracket/training/dent/000.json"
    document = json.loads(path.read_text())
    document["shapes"][0]["label"] = ""
    path.write_text(json.dumps(document))
    catalog = Catalog.open(data)
    assert "" in catalog.column("category")
    bank = encode_catalog(catalog, encoder, SCHEME, tmp_path / "bank").bank
    assert [category for _, category in bank.manifest.text.rows] == CATEGORIES


def rewritten(change):
    def damage(folder):
        path = folder / "text.safetensors"
        save_file({key: np.ascontiguousarray(value) for key, value in change(load_file(path)["text"]).items()}, path)

    return damage


def edited(change):
    def damage(folder):
        path = folder / "manifest.json"
        document = json.loads(path.read_text())
        change(document["text"])
        path.write_text(json.dumps(document))

    return damage


def with_a_nan(text):
    text = text.copy()
    text[2, 3] = np.nan
    return {"text": text}


def cut_short(folder):
    path = folder / "text.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(cut_short, r"text\.safetensors: cannot be read", id="cut short"),
        pytest.param(lambda f: (f / "text.safetensors").unlink(), r"text\.safetensors: cannot be read", id="gone"),
        pytest.param(rewritten(lambda t: {"other": t}), r"text\.safetensors: cannot be read", id="another tensor"),
        pytest.param(
            rewritten(lambda t: {"text": t[1:]}), r"text\.safetensors: text: is F32 \[3, 16\], not", id="a row less"
        ),
        pytest.param(rewritten(lambda t: {"text": t[:, 1:]}), r"text: is F32 \[4, 15\]", id="another dim"),
        pytest.param(rewritten(lambda t: {"text": t.astype(np.float16)}), "text: is F16", id="float16"),
        pytest.param(
            rewritten(with_a_nan), r"text\.safetensors: text: features of bracket/scratch are not finite", id="NaN"
        ),
        pytest.param(
            edited(lambda t: t.update(file="../../etc/passwd")), r"manifest\.json: text\.file: ", id="hostile"
        ),
        pytest.param(edited(lambda t: t.pop("templates")), r"manifest\.json: text\.templates: ", id="field gone"),
        pytest.param(
            edited(lambda t: t["rows"].__setitem__(0, ["bracket", "dent"])), "names a category twice", id="twice"
        ),
        pytest.param(
            edited(lambda t: t["rows"].__setitem__(0, ["a\nb", "c"])), "lacks bracket/crack of catalog", id="lacking"
        ),
    ],
)
def test_damaged_text_features_are_one_line_that_names_file_and_field(data, encoder, tmp_path, damage, message):
    bank = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "bank").bank
    damage(bank.path)
    with pytest.raises(FeatureBankError, match=message) as caught:
        FeatureBank.open(bank.path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; rebuild the bank")
