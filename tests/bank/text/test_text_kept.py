"""A bank's text features over several calls: what is kept, what is made anew, and what is said of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from flawshot import Catalog, FeatureBank, FeatureBankError, Prompts
from flawshot.bank.builder import encode_catalog
from flawshot.bank.prompts import TEMPLATES
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.regions.views import make_scheme
from helpers import rewrite_sealed

SCHEME = make_scheme("none")
CATEGORIES = ["crack", "dent", "scratch", "stain"]
OWN = Prompts(("a {category}", "a {product} with a {category}"), {"dent": ("a hollow in a {product}",)})


def without_a_tokenizer(encoder, monkeypatch):
    monkeypatch.setattr(encoder, "no_text", lambda: "tiny-vit: its tokenizer is not available")


def with_another_label(data, label):
    path = data / "bracket/training/dent/001.json"
    document = json.loads(path.read_text())
    document["shapes"].append(document["shapes"][0] | {"label": label, "flags": {label: True}})
    document["shapes"][-1]["points"][0][0] += 3
    path.write_text(json.dumps(document))
    return Catalog.open(data)


def test_only_what_differs_is_made_anew(data, encoder, counted, tmp_path):
    out = tmp_path / "bank"
    first = encode_catalog(Catalog.open(data), encoder, SCHEME, out).bank
    crops, prompts = counted["crops"], counted["prompts"]
    assert (crops, prompts) == (len(first.catalog), 4 * len(TEMPLATES))
    features, text = first.rows(range(crops)), first.text_features("bracket", CATEGORIES)

    encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert (counted["crops"], counted["prompts"]) == (crops, prompts)

    report = encode_catalog(Catalog.open(data), encoder, SCHEME, out, prompts=OWN)
    assert (report.encoded, report.kept, counted["crops"], counted["prompts"]) == (0, crops, crops, prompts + 7)
    np.testing.assert_array_equal(report.bank.rows(range(crops)), features)
    assert not np.allclose(report.bank.text_features("bracket", CATEGORIES), text)

    # A new instance of a known category leaves the texts; one of a new category brings its own.
    for label, texts in (("dent", 7), ("hole", 7 + 9)):
        report = encode_catalog(with_another_label(data, label), encoder, SCHEME, out, prompts=OWN)
        assert (report.encoded > 0, counted["prompts"]) == (True, prompts + texts)
    assert report.bank.text_features("bracket", ["hole"]).shape == (1, 16)


def test_another_text_tower_makes_the_texts_anew(data, model, encoder, weights, tmp_path):
    out = tmp_path / "bank"
    before = encode_catalog(Catalog.open(data), encoder, SCHEME, out).bank
    state = model.state_dict()
    torch.save(state | {"text_projection": -state["text_projection"]}, weights)
    report = encode_catalog(Catalog.open(data), OpenClipEncoder("tiny-vit", str(weights), device="cpu"), SCHEME, out)
    assert report.encoded == 0
    np.testing.assert_allclose(
        report.bank.text_features("bracket", CATEGORIES), -before.text_features("bracket", CATEGORIES), atol=1e-6
    )


def test_texts_that_cannot_be_made_now_stay(data, encoder, tmp_path, monkeypatch):
    out = tmp_path / "bank"
    text = encode_catalog(Catalog.open(data), encoder, SCHEME, out, prompts=OWN).bank.text
    without_a_tokenizer(encoder, monkeypatch)
    for catalog in (Catalog.open(data), with_another_label(data, "dent")):
        report = encode_catalog(catalog, encoder, SCHEME, out)
        assert report.bank.text.record == text.record
        np.testing.assert_array_equal(report.bank.text.matrix, text.matrix)
        why = "because none can be computed now (tiny-vit: its tokenizer is not available)"
        assert report.remarks == (f"{out}: its text features stay as they are, {why}",)
    assert report.encoded > 0


def test_a_category_that_kept_texts_lack_stops_unless_they_may_go(data, encoder, counted, tmp_path, monkeypatch):
    out = tmp_path / "bank"
    encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    without_a_tokenizer(encoder, monkeypatch)
    catalog, crops = with_another_label(data, "hole"), counted["crops"]
    with pytest.raises(FeatureBankError) as caught:
        encode_catalog(catalog, encoder, SCHEME, out)
    assert str(caught.value) == (
        f"{out}: its text features lack bracket/hole, and none can be computed now (tiny-vit: its tokenizer is not "
        "available); fix that, or add overwrite=True, which drops them"
    )
    assert counted["crops"] == crops
    assert FeatureBank.open(out).has_text
    assert not encode_catalog(catalog, encoder, SCHEME, out, overwrite=True).bank.has_text


def test_a_bank_keeps_its_own_prompts_until_told_otherwise(data, encoder, counted, tmp_path):
    out = tmp_path / "bank"

    def encode(label="dent", **options):
        report = encode_catalog(with_another_label(data, label), encoder, SCHEME, out, **options)
        record = report.bank.manifest.text
        return Prompts(record.templates, record.categories), report.remarks

    assert encode() == (Prompts(), ())
    assert encode() == (Prompts(), ())
    assert encode(prompts=OWN) == (OWN, ())
    said = f"{out}: kept its own prompts; a prompts file without prompts, or overwriting, brings the built-in ones back"
    assert encode() == (OWN, (said,))
    before = counted["prompts"]
    assert encode("hole")[0] == OWN
    assert counted["prompts"] == before + 9
    assert encode(prompts=Prompts()) == (Prompts(), ())
    assert encode(prompts=OWN) == (OWN, ())
    assert encode(overwrite=True) == (Prompts(), ())


def test_prompts_of_a_bank_that_are_none_are_one_line(data, encoder, tmp_path):
    bank = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "bank").bank
    rewrite_sealed(bank.path / "manifest.json", lambda d: d["text"].update(templates=["a {thing}"]))
    with pytest.raises(FeatureBankError, match=r"bank/manifest\.json: text\.templates\.0: .*; rebuild the bank$"):
        encode_catalog(Catalog.open(data), encoder, SCHEME, bank.path)


def test_categories_that_read_alike_are_named(data, encoder, tmp_path):
    out, long = tmp_path / "bank", "long " * 80
    for label in ("Cut Lead", "cut-lead", "cut_lead", f"{long}a", f"{long}b"):
        catalog = with_another_label(data, label)
    own = Prompts(("a {category}",), {"cut_lead": ("a lead whose end is gone",)})
    for prompts in (own, None, own):
        report = encode_catalog(catalog, encoder, SCHEME, out, prompts=prompts)
        assert [remark for remark in report.remarks if "look the same" in remark] == [
            "bracket: 'Cut Lead' and 'cut-lead' look the same to the text tower; give them their own prompts",
            f"bracket: '{long}a' and '{long}b' look the same to the text tower; give them their own prompts",
        ]
    report = encode_catalog(catalog, encoder, SCHEME, out, prompts=Prompts(("a {category}",)))
    same = "bracket: 'Cut Lead', 'cut-lead' and 'cut_lead' look the same to the text tower; "
    assert report.remarks[0].startswith(same)


def test_texts_of_a_tower_without_a_hash_are_made_anew(data, model, weights, tmp_path):
    class Unhashed(OpenClipEncoder):
        def text_weights_hash(self):
            return None

    out, catalog = tmp_path / "bank", Catalog.open(data)
    before = encode_catalog(catalog, Unhashed("tiny-vit", str(weights), device="cpu"), SCHEME, out).bank
    assert before.manifest.text.weights_hash is None
    written = (out / "manifest.json").stat().st_mtime_ns
    encode_catalog(catalog, Unhashed("tiny-vit", str(weights), device="cpu"), SCHEME, out)
    assert (out / "manifest.json").stat().st_mtime_ns == written  # the same came out
    state = model.state_dict()
    torch.save(state | {"text_projection": -state["text_projection"]}, weights)
    after = encode_catalog(catalog, Unhashed("tiny-vit", str(weights), device="cpu"), SCHEME, out).bank
    np.testing.assert_allclose(after.text.matrix, -before.text.matrix, atol=1e-6)


def test_other_prompts_leave_the_libraries_that_computed_the_features(data, encoder, tmp_path):
    out = tmp_path / "bank"
    libraries = encode_catalog(Catalog.open(data), encoder, SCHEME, out).bank.manifest.libraries
    rewrite_sealed(out / "manifest.json", lambda d: d["libraries"].update(torch="0.1"))
    bank = encode_catalog(Catalog.open(data), encoder, SCHEME, out, prompts=OWN).bank
    assert bank.manifest.text.templates == OWN.templates
    assert bank.manifest.libraries == libraries | {"torch": "0.1"}
    bank = encode_catalog(with_another_label(data, "dent"), encoder, SCHEME, out).bank
    assert bank.manifest.libraries == libraries
