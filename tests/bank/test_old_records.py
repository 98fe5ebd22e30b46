"""Banks and models of every earlier version open, grow and predict; sentences of theirs become fields."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

import flawshot
import tiny_clip
from flawshot.bank.old_records import OldEncoderRecord, upgraded_encoder
from flawshot.bank.records import ViewRecord
from flawshot.base.records import encoder_difference
from flawshot.encoders import rebuild_encoder
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.models.fitting import fit_model
from flawshot.regions.views import Size, View, ViewScheme, make_scheme
from helpers import REPOSITORY, rewrite_sealed

SCHEME = make_scheme("none", TINY_VIEWS[1], "shift")
RECORDS = json.loads((REPOSITORY / "tests/data/version-2/encoders.json").read_text(encoding="utf-8"))
SENTENCE = "48 px, bicubic, mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5), region crop, layer trunk, gelu"
VERSIONS = sorted(int(path.name.partition("-")[2]) for path in (REPOSITORY / "tests/data").glob("version-*"))


@pytest.fixture(scope="module")
def tiny():
    return TinyEncoder(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The drawn images that the old banks are of."""
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=6, side=96, surface="wood", workers=1, seed=3)
    return place


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def old(version, parts, tiny, tmp_path):
    """A copy of what an earlier version wrote, of the images as they are drawn now, by the weights as they are now."""
    copy = shutil.copytree(REPOSITORY / f"tests/data/version-{version}", tmp_path / "old")
    for name in ("bank", "mine"):
        rewrite_sealed(copy / name / "manifest.json", lambda d: known_now(d, tiny))
    stamps = copy / "bank/images.json"
    status = {image: (parts / image).stat() for image in json.loads(stamps.read_text(encoding="utf-8"))}
    stamps.write_text(json.dumps({image: [each.st_size, each.st_mtime_ns] for image, each in status.items()}))
    rehash(copy / "bank/manifest.json", stamps)
    support = copy / "model/support/manifest.json"
    rewrite_sealed(support, lambda d: known_now(d, tiny))
    rewrite_sealed(copy / "model/model.json", lambda d: known_now(d, tiny))
    rehash(copy / "model/model.json", support)
    return copy


def known_now(document, tiny):
    document["encoder"]["weights_hash"] = tiny.record.weights_hash


def rehash(document, file):
    """Let a document name the hash of a file that was changed."""
    if json.loads(document.read_text(encoding="utf-8")).get("files"):
        hashed = hashlib.sha256(file.read_bytes()).hexdigest()
        rewrite_sealed(document, lambda d: d["files"].update({file.name: hashed}))


def test_what_was_written_opens_and_evaluates_as_it_is(version):
    """Without any of the changes of the other tests: files, hashes and seals are as they were."""
    for name in ("bank", "mine"):
        bank = flawshot.FeatureBank.open(REPOSITORY / f"tests/data/version-{version}" / name)
        assert bank.manifest.version == version
        assert (bank.manifest.encoder.family, bank.manifest.encoder.options["layer"]) == ("flawshot-tiny", "trunk")
        episodes = flawshot.sample_episodes(bank.catalog, bank.catalog.products[0], 1, allow_short=True)
        assert flawshot.evaluate(bank, [episodes], ["prototype"]).runs
    assert flawshot.load_model(REPOSITORY / f"tests/data/version-{version}/model").record.version == version


def test_damage_to_an_old_file_is_noticed(old, version):
    if version == 1:
        pytest.skip("version 1 had no seals")
    for place in (old / "bank/manifest.json", old / "model/model.json"):
        text = place.read_text(encoding="utf-8")
        assert "trunk" in text
        place.write_text(text.replace("trunk", "projection"), encoding="utf-8")
    with pytest.raises(flawshot.FeatureBankError, match=r"manifest\.json: seal: is damaged"):
        flawshot.FeatureBank.open(old / "bank")
    with pytest.raises(flawshot.FlawshotError, match=r"model\.json: seal: is damaged"):
        flawshot.load_model(old / "model")


def test_an_old_bank_is_reused_and_grows(old, parts, tiny, tmp_path):
    catalog = flawshot.Catalog.open(parts)
    before = flawshot.FeatureBank.open(old / "bank")
    rows = before.rows(range(len(catalog)))
    report = flawshot.encode_catalog(catalog, tiny, SCHEME, old / "bank")
    assert (report.encoded, report.kept) == (0, len(catalog))
    more = shutil.copytree(parts, tmp_path / "more" / "parts")
    first = next(path for path in sorted(more.rglob("*.json")) if json.loads(path.read_text())["shapes"])
    document = json.loads(first.read_text())
    document["shapes"].append(document["shapes"][0] | {"label": "added"})
    first.write_text(json.dumps(document))
    report = flawshot.encode_catalog(flawshot.Catalog.open(more), tiny, SCHEME, old / "bank")
    assert (report.encoded, report.kept) == (1, len(catalog))
    assert report.bank.manifest.version == 3
    assert report.bank.manifest.encoder == tiny.record
    kept = [report.bank.catalog.row_of[each] for each in before.catalog.column("id")]
    np.testing.assert_array_equal(report.bank.rows(kept), rows)
    with pytest.raises(flawshot.FeatureBankError, match=r"views\.sizes"):
        flawshot.encode_catalog(catalog, tiny, make_scheme("none", ["2x"], "shift"), old / "bank")
    crop = TinyEncoder(region="crop", device="cpu", precision="float32")
    with pytest.raises(flawshot.FeatureBankError, match=r"encoder\.options\.region: is 'alpha', not 'crop'"):
        flawshot.encode_catalog(catalog, crop, SCHEME, old / "bank")


def test_views_of_which_only_a_name_is_known_are_not_reused(old, version, parts, tiny):
    if version > 1:
        pytest.skip("views are listed since version 2")
    box = Size(1.5, relative=True)
    mine = ViewScheme("mine", (box,), "shift", (View(box), View(box, column=1)))
    with pytest.raises(flawshot.FlawshotError, match=r"views: lists no views, and its scheme 'mine'.*overwrite"):
        flawshot.encode_catalog(flawshot.Catalog.open(parts), tiny, mine, old / "mine")
    report = flawshot.encode_catalog(flawshot.Catalog.open(parts), tiny, mine, old / "mine", overwrite=True)
    assert report.bank.manifest.views == ViewRecord.of(mine)


def test_an_old_model_predicts_and_a_new_one_of_an_old_bank_too(old, parts):
    model, bank = flawshot.load_model(old / "model", device="cpu"), flawshot.FeatureBank.open(old / "bank")
    predictions = model.predict_features(bank)
    assert [each.label for each in predictions] == bank.catalog.column("category")
    assert model.scheme == SCHEME
    catalog = flawshot.Catalog.open(parts)
    regions = [(parts / each.image, each.region().full_mask(each.image_height, each.image_width)) for each in catalog]
    assert model.predict(*zip(*regions, strict=True)).labels == predictions.labels
    moved = fit_model(bank, old / "new", classifier="prototype")
    assert moved.record.version == 3
    assert moved.record.views == ViewRecord.of(model.scheme)
    assert moved.record.encoder == model.record.encoder
    assert moved.predict_features(bank).labels == predictions.labels
    np.testing.assert_array_equal(moved.support.rows(range(3)), model.support.rows(range(3)))


@pytest.fixture(scope="module", autouse=True)
def _tiny_models(tmp_path_factory):
    tiny_clip.register(tmp_path_factory.mktemp("configs"))


@pytest.mark.parametrize("line", RECORDS, ids=lambda line: f"{line['kind']} {line['model']} {line['options']}")
def test_every_kind_of_encoder_that_version_2_recorded_is_rebuilt(line, tmp_path):
    written = OldEncoderRecord.model_validate_json(json.dumps(line["record"]))
    record = upgraded_encoder(written)
    pretrained = None
    if line["model"] is not None:
        state = tiny_clip.make(line["model"]).state_dict()
        pretrained = str(tmp_path / record.weights)
        torch.save(tiny_clip.in_alpha_clips_names(state) if line["kind"] == "alpha_clip" else state, pretrained)
    made = flawshot.make_encoder(
        line["model"] or "flawshot-tiny",
        pretrained,
        **line["options"] | ({"region": "alpha"} if line["kind"] == "alpha_clip" else {}),
        device="cpu",
        precision="float32",
    )
    # Random weights may be others with another torch.
    record = record.model_copy(update={"weights_hash": made.record.weights_hash})
    assert made.record == record
    assert rebuild_encoder(record, "m.json", pretrained=pretrained, device="cpu", precision="float32").record == record


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("open_clip ViT-B-32", "as released"),
        ("open_clip ViT-B-32", ""),
        ("open_clip ViT-B-32", f"{SENTENCE} "),
        ("open_clip ViT-B-32", SENTENCE.replace("48", "048")),
        ("open_clip ViT-B-32", SENTENCE.replace("48", "-")),
        ("open_clip ViT-B-32", SENTENCE.replace("bicubic", "nearest")),
        ("open_clip ViT-B-32", SENTENCE.replace("crop", "inside")),
        ("open_clip ViT-B-32", SENTENCE.replace("trunk", "stem")),
        ("open_clip ViT-B-32", SENTENCE.replace(", gelu", ", relu")),
        ("open_clip ViT-B-32", SENTENCE.replace("(0.5, 0.5, 0.5)", "(0.5, 0.5)")),
        ("open_clip ViT-B-32", SENTENCE.replace("(0.5, 0.5, 0.5)", "(0.5, 0.5, nan)")),
        ("open_clip ViT-B-32", SENTENCE.replace("(0.5, 0.5, 0.5)", "0.5, 0.5, 0.5")),
        ("open_clip", SENTENCE),
        ("my own", SENTENCE),
        ("flawshot-tiny ", SENTENCE),
    ],
)
def test_a_sentence_that_is_not_flawshots_own_is_kept_and_compared_as_a_whole(name, sentence):
    old = OldEncoderRecord(
        name=name, weights="w", weights_hash="0" * 64, preprocessing=sentence, precision="float32", tokens=("cls",)
    )
    record = upgraded_encoder(old)
    assert (record.family, record.options) == ("elsewhere", {"described": sentence})
    other = upgraded_encoder(old.model_copy(update={"preprocessing": "else"}))
    assert encoder_difference(record, record) is None
    assert encoder_difference(record, other) == ("options.described", sentence, "else")


def test_means_in_square_brackets_are_the_same():
    old = OldEncoderRecord(
        name="open_clip ViT-B-32", weights="w", weights_hash="0", preprocessing=SENTENCE, precision="x", tokens=("cls",)
    )
    other = old.model_copy(update={"preprocessing": SENTENCE.replace("(", "[").replace(")", "]")})
    assert upgraded_encoder(old) == upgraded_encoder(other)
    assert upgraded_encoder(old).options["mean"] == (0.5, 0.5, 0.5)


def test_a_bank_of_features_from_elsewhere_opens_and_is_compared(version, tmp_path):
    copy = shutil.copytree(REPOSITORY / f"tests/data/version-{version}/bank", tmp_path / "bank")
    own = {"preprocessing": "in my own way"} if version < 3 else {"family": "elsewhere", "options": {"described": "x"}}
    rewrite_sealed(copy / "manifest.json", lambda d: d["encoder"].update(own))
    bank = flawshot.FeatureBank.open(copy)
    assert bank.manifest.encoder.family == "elsewhere"
    model = fit_model(bank, tmp_path / "model", classifier="prototype")
    assert len(model.predict_features(bank)) == len(bank.catalog)
    with pytest.raises(flawshot.FlawshotError, match="encoder: 'flawshot-tiny' made the features outside flawshot"):
        model.predict([], [])
    with pytest.raises(flawshot.FlawshotError, match=r"encoder\.family: is 'flawshot-tiny', but 'elsewhere' in model"):
        model.predict_features(flawshot.FeatureBank.open(REPOSITORY / f"tests/data/version-{version}/bank"))
