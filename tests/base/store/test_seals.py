"""Damage to banks, models and catalogs: a changed byte is noticed, or changes nothing that is read.

``FLAWSHOT_MUTATIONS=9000 python -m pytest tests/base/store/test_seals.py`` tries many bytes of each file, not few.
"""

from __future__ import annotations

import json
import os
import random
import shutil

import pytest

import flawshot
from flawshot.bank import blocks
from flawshot.bank.records import ViewRecord
from flawshot.base.errors import FlawshotError
from flawshot.models.fitting import fit_model
from flawshot.regions.views import make_scheme

MUTATIONS = int(os.environ.get("FLAWSHOT_MUTATIONS", "40"))
IMAGES = [(f"p/train/{n}", ["dent", "scratch"]) for n in range(6)]


@pytest.fixture
def bank(catalog_of, bank_of):
    return bank_of(catalog_of(IMAGES), views=1, dim=6)


def damaged(data, draw):
    """The data with a bit flipped, or a byte changed."""
    changed = bytearray(data)
    place = draw.randrange(len(changed))
    changed[place] ^= 1 << draw.randrange(8) if draw.random() < 0.5 else draw.randrange(1, 256)
    return bytes(changed)


def accepted(path, read, seed):
    """How many of the mutations of a file were read, and how many of them as something else."""
    draw, whole, before = random.Random(seed), path.read_bytes(), read()
    taken = other = 0
    for _ in range(MUTATIONS):
        path.write_bytes(damaged(whole, draw))
        try:
            found = read()
        except FlawshotError as error:
            assert "\n" not in str(error)
            continue
        taken, other = taken + 1, other + (found != before)
    path.write_bytes(whole)
    print(f"{path.name}: {MUTATIONS} mutations, {taken} accepted, {other} of them with changed values")  # noqa: T201
    return taken, other


def of_bank(path):
    bank = flawshot.FeatureBank.open(path)
    manifest = bank.manifest.model_dump(mode="json")
    return manifest, bank.catalog.table.to_pylist(), bank.rows(range(len(bank.catalog))).tobytes()


@pytest.mark.parametrize("name", ["features-00000.safetensors", "catalog.parquet", "manifest.json"])
def test_a_damaged_bank_is_not_read(bank, name):
    _, other = accepted(bank.path / name, lambda: of_bank(bank.path), name)
    assert not other


@pytest.mark.parametrize("geometry", [True, False])
def test_a_damaged_catalog_of_its_own_is_not_read(bank, tmp_path, geometry):
    place = tmp_path / "own.parquet"
    bank.catalog.save(place)

    def read():
        return flawshot.Catalog.load(place, geometry=geometry).table.to_pylist()

    _, other = accepted(place, read, geometry)
    assert not other


@pytest.mark.parametrize("name", ["model.json", "support/manifest.json", "support/features-00000.safetensors"])
def test_a_damaged_model_is_not_read(bank, tmp_path, name):
    model = fit_model(bank, tmp_path / "model", classifier="prototype")

    def read():
        record, *rest = flawshot.load_model(model.path).record.model_dump(mode="json"), *of_bank(model.path / "support")
        return record, rest

    _, other = accepted(model.path / name, read, name)
    assert not other


def test_what_is_left_out_of_the_hashes_is_said(bank):
    place = bank.path / "manifest.json"
    whole = json.loads(place.read_text())
    for change in ({"seal": None}, {"files": {}}, {"version": 1}, {"files": {"../x": "0"}}):
        place.write_text(json.dumps(whole | change))
        with pytest.raises(flawshot.FeatureBankError, match=r"manifest\.json: (seal|files|encoder)"):
            flawshot.FeatureBank.open(bank.path)


def test_a_manifest_may_be_spelled_otherwise(bank):
    place = bank.path / "manifest.json"
    place.write_text(json.dumps(json.loads(place.read_text()), indent=8, sort_keys=True))
    assert flawshot.FeatureBank.open(bank.path).manifest == bank.manifest


def test_every_file_of_a_bank_is_proved_unless_told_otherwise(bank):
    path = bank.path / "features-00000.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 4
    path.write_bytes(data)
    with pytest.raises(flawshot.FeatureBankError, match=r"features-00000\.safetensors: is damaged.*away"):
        flawshot.FeatureBank.open(bank.path)
    assert flawshot.FeatureBank.open(bank.path, verify=False).rows([0]).shape == (1, 1, 1, 6)


def test_views_must_be_as_many_as_the_features(catalog_of, bank_of, tmp_path):
    bank = bank_of(catalog_of(IMAGES), views=3)
    place = bank.path / "manifest.json"
    document = json.loads(place.read_text())
    document["views"] = ViewRecord.of(make_scheme("mso")).model_dump(mode="json")
    place.write_text(json.dumps(document))
    with pytest.raises(flawshot.FeatureBankError, match="views: lists more or fewer"):
        flawshot.FeatureBank.open(bank.path, verify=False)


class Counting:
    """Counts what is encoded and makes features of the crops' means; stops when told."""

    side, dim = 16, 4
    record = flawshot.EncoderRecord(
        family="counting", name="counting", weights="none", weights_hash=None, precision="float32", tokens=("mean",)
    )

    def __init__(self, stop=10**6):
        import torch

        self.device, self.stop, self.seen = torch.device("cpu"), stop, 0

    def encode(self, images, masks):  # noqa: ARG002
        self.seen += len(images)
        if self.seen > self.stop:
            raise KeyboardInterrupt
        return images.reshape(len(images), 1, -1)[:, :, :4].float() / 255


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=6, side=64, surface="wood", workers=1, seed=5)
    return flawshot.Catalog.open(place)


@pytest.mark.parametrize("name", [None, "features.raw", "state.json"])
def test_damaged_unfinished_features_are_encoded_again(parts, tmp_path, monkeypatch, name):
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)
    scheme, out = make_scheme("none"), tmp_path / "bank"
    whole = flawshot.encode_catalog(parts, Counting(), scheme, tmp_path / "whole").bank.rows(range(len(parts)))
    with pytest.raises(KeyboardInterrupt):
        flawshot.encode_catalog(parts, Counting(4), scheme, out, batch_size=2)
    unfinished = tmp_path / ".bank.unfinished"
    stored = json.loads((unfinished / "state.json").read_text())["stored"]
    assert stored > 1
    if name == "features.raw":
        data = bytearray((unfinished / name).read_bytes())
        data[3] ^= 1
        (unfinished / name).write_bytes(data)
    elif name == "state.json":
        text = (unfinished / name).read_text()
        (unfinished / name).write_text(text.replace(f'"stored": {stored}', f'"stored": {stored - 1}'))
        assert text != (unfinished / name).read_text()
    report = flawshot.encode_catalog(parts, Counting(), scheme, out, batch_size=2)
    assert report.encoded == (len(parts) - stored if name is None else len(parts))
    assert (report.bank.rows(range(len(parts))) == whole).all()


def test_a_damaged_bank_is_replaced_only_when_told(parts, tmp_path):
    scheme, out = make_scheme("none"), tmp_path / "bank"
    bank = flawshot.encode_catalog(parts, Counting(), scheme, out).bank
    data = bytearray((out / "images.json").read_bytes())
    data[9] ^= 1
    (out / "images.json").write_bytes(data)
    with pytest.raises(FlawshotError, match=r"images\.json: is damaged"):
        flawshot.encode_catalog(parts, Counting(), scheme, out)
    shutil.copytree(out, tmp_path / "other")
    assert flawshot.encode_catalog(parts, Counting(), scheme, tmp_path / "other", verify=False).kept
    report = flawshot.encode_catalog(parts, Counting(), scheme, out, overwrite=True)
    assert report.encoded == len(parts) == len(bank.catalog)
    flawshot.FeatureBank.open(out)


def test_an_unfinished_bank_is_continued_with_another_batch_size(parts, tmp_path, monkeypatch):
    """Its blocks end elsewhere then, and hours of work are not thrown away for that."""
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)
    scheme, out = make_scheme("none"), tmp_path / "bank"
    whole = flawshot.encode_catalog(parts, Counting(), scheme, tmp_path / "whole").bank.rows(range(len(parts)))
    with pytest.raises(KeyboardInterrupt):
        flawshot.encode_catalog(parts, Counting(4), scheme, out, batch_size=2)
    stored = json.loads((tmp_path / ".bank.unfinished" / "state.json").read_text())["stored"]
    report = flawshot.encode_catalog(parts, Counting(), scheme, out, batch_size=5)
    assert (report.kept, report.encoded) == (stored, len(parts) - stored)
    assert (report.bank.rows(range(len(parts))) == whole).all()
