"""Feature banks: what is written is read, and nothing damaged reads as whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from flawshot import EncoderRecord, FeatureBank, FeatureBankError, ViewRecord, write_bank
from flawshot.bank import features
from flawshot.catalog import Catalog

IMAGES = [(f"p/train/{n}", ["dent", "scratch"]) for n in range(5)]
ENCODER = EncoderRecord(
    family="elsewhere",
    name="made up",
    weights="none",
    weights_hash=None,
    precision="float16",
    tokens=("cls", "patch-1"),
)
VIEWS = ViewRecord(scheme="none", sizes=("256px",), border="zero")


@pytest.fixture
def catalog(catalog_of):
    return catalog_of(IMAGES)


def numbers(catalog, views=3, tokens=2, dim=4):
    shape = (len(catalog), views, tokens, dim)
    return np.arange(np.prod(shape), dtype=np.float16).reshape(shape)


@pytest.mark.parametrize("rows_each", [1, 3, 100])
def test_features_come_back_in_the_order_asked_for_from_any_shards(catalog, tmp_path, monkeypatch, rows_each):
    values = numbers(catalog)
    monkeypatch.setattr(features, "SHARD_BYTES", rows_each * values[:1].nbytes)
    bank = write_bank(tmp_path / "bank", catalog, values, ENCODER, VIEWS)
    assert len(bank.manifest.shards) == -(-len(catalog) // rows_each)
    ids = catalog.column("id")
    order = [7, 0, 3, 9, 3]
    for token in (0, 1):
        got = bank.features([ids[row] for row in order], token=token)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, values[order, :, token])
    assert bank.features([]).shape == (0, 3, 4)


def test_the_manifest_records_what_shaped_the_numbers(catalog, tmp_path):
    bank = write_bank(tmp_path / "bank", catalog, numbers(catalog), ENCODER, VIEWS)
    manifest = json.loads((tmp_path / "bank/manifest.json").read_text())
    assert manifest["format"] == "flawshot-bank"
    assert manifest["encoder"]["tokens"] == ["cls", "patch-1"]
    assert manifest["views"] == {"scheme": "none", "sizes": ["256px"], "border": "zero", "views": []}
    assert manifest["shape"] == [10, 3, 2, 4]
    assert manifest["catalog_hash"] == catalog.content_hash
    assert "flawshot" in manifest["libraries"]
    assert FeatureBank.open(bank.path).catalog.table.equals(catalog.table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.astype(np.float32), "must be float16"),
        (lambda v: v[:-1], "must be float16"),
        (lambda v: v[:, :, 0], "must be float16"),
        (lambda v: v[:, :, :1], "names 2 tokens, but the features have 1"),
        (lambda v: np.where(v == 5, np.float16("nan"), v), r"p/train/0\.json#0 are not finite"),
    ],
)
def test_features_that_do_not_fit_are_not_written(catalog, tmp_path, change, message):
    with pytest.raises(FeatureBankError, match=message):
        write_bank(tmp_path / "bank", catalog, change(numbers(catalog)), ENCODER, VIEWS)
    assert list(tmp_path.iterdir()) == []


def test_a_bank_is_replaced_only_when_told_and_anything_else_never(catalog, tmp_path):
    path = tmp_path / "bank"
    write_bank(path, catalog, numbers(catalog), ENCODER, VIEWS)
    with pytest.raises(FeatureBankError, match="exists"):
        write_bank(path, catalog, numbers(catalog) + 1, ENCODER, VIEWS)
    bank = write_bank(path, catalog, numbers(catalog) + 1, ENCODER, VIEWS, overwrite=True)
    assert bank.features(catalog.column("id")[:1])[0, 0, 0] == 1
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "only-copy.jpg").write_bytes(b"x")
    with pytest.raises(FeatureBankError, match="manifest"):
        write_bank(photos, catalog, numbers(catalog), ENCODER, VIEWS, overwrite=True)
    assert (photos / "only-copy.jpg").read_bytes() == b"x"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bank", "photos"]


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def shorten(folder):
    path = folder / "features-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def other_rows(folder):
    path = folder / "features-00000.safetensors"
    save_file({"features": load_file(path)["features"][:-1]}, path)


def other_type(folder):
    path = folder / "features-00000.safetensors"
    save_file({"features": load_file(path)["features"].astype(np.float32)}, path)


def other_catalog(folder):
    catalog = Catalog.load(folder / "catalog.parquet")
    Catalog(catalog.table.slice(1)).save(folder / "catalog.parquet", overwrite=True)


def manifest(change):
    return lambda folder: edit(folder / "manifest.json", change)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(shorten, r"features-00000\.safetensors: cannot be read", id="cut short"),
        pytest.param(other_rows, r"features-00000\.safetensors: features: is F16", id="a row less"),
        pytest.param(other_type, r"features-00000\.safetensors: features: is F32", id="float32"),
        pytest.param(other_catalog, "catalog_hash", id="another catalog"),
        pytest.param(lambda f: (f / "features-00000.safetensors").unlink(), "cannot be read", id="shard gone"),
        pytest.param(lambda f: (f / "manifest.json").unlink(), r"manifest\.json: cannot be read", id="manifest gone"),
        pytest.param(lambda f: (f / "catalog.parquet").unlink(), r"catalog\.parquet", id="catalog gone"),
        pytest.param(manifest(lambda m: m.update(version=9)), "version", id="newer"),
        pytest.param(manifest(lambda m: m.pop("encoder")), "encoder", id="field gone"),
        pytest.param(manifest(lambda m: m["shards"].clear()), "shards", id="no shards"),
        pytest.param(manifest(lambda m: m["encoder"].update(tokens=["a"])), "shape", id="tokens that do not fit"),
        pytest.param(
            manifest(lambda m: m["shards"][0].update(file="../../etc/passwd")),
            "points outside the bank's folder",
            id="hostile",
        ),
    ],
)
def test_a_damaged_bank_is_one_line_that_names_file_and_field(catalog, tmp_path, damage, message):
    path = tmp_path / "bank"
    write_bank(path, catalog, numbers(catalog), ENCODER, VIEWS)
    damage(path)
    with pytest.raises(FeatureBankError, match=message) as caught:
        FeatureBank.open(path)
    assert "\n" not in str(caught.value)


def test_what_the_bank_does_not_hold_is_said(catalog, tmp_path):
    bank = write_bank(tmp_path / "bank", catalog, numbers(catalog), ENCODER, VIEWS)
    with pytest.raises(FeatureBankError, match=r"contains no features of q/x\.json#0"):
        bank.features(["q/x.json#0"])
    with pytest.raises(FeatureBankError, match="no token 2"):
        bank.features(catalog.column("id"), token=2)
    with pytest.raises(FeatureBankError, match="is not a feature bank's folder"):
        FeatureBank.open(tmp_path / "none")


def test_a_bank_with_something_of_the_users_in_it_is_not_replaced(catalog, tmp_path):
    path = tmp_path / "bank"
    write_bank(path, catalog, numbers(catalog), ENCODER, VIEWS)
    (path / "my-notes.txt").write_text("x")
    with pytest.raises(FeatureBankError, match=r"contains my-notes\.txt, which is not part of a bank"):
        write_bank(path, catalog, numbers(catalog), ENCODER, VIEWS, overwrite=True)
    assert (path / "my-notes.txt").read_text() == "x"


def test_a_linked_bank_is_replaced_where_it_lies(catalog, tmp_path, monkeypatch):
    write_bank(tmp_path / "bank", catalog, numbers(catalog), ENCODER, VIEWS)
    (tmp_path / "link").symlink_to("bank")
    write_bank(tmp_path / "link", catalog, numbers(catalog) + 1, ENCODER, VIEWS, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert FeatureBank.open(tmp_path / "bank").features(catalog.column("id")[:1])[0, 0, 0] == 1
    monkeypatch.chdir(tmp_path / "bank")
    write_bank(".", catalog, numbers(catalog), ENCODER, VIEWS, overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bank", "link"]


def not_a_number(folder):
    path = folder / "features-00000.safetensors"
    values = load_file(path)["features"].copy()
    values[4] = np.nan
    save_file({"features": values}, path)


def test_a_bank_that_was_replaced_since_it_was_opened_gives_no_features_of_another(catalog, tmp_path):
    first, second = (np.full_like(numbers(catalog), value) for value in (1, 2))
    opened = write_bank(tmp_path / "bank", catalog, first, ENCODER, VIEWS)
    assert (opened.rows([0]) == 1).all()
    write_bank(tmp_path / "bank", catalog, second, ENCODER, VIEWS, overwrite=True)
    with pytest.raises(FeatureBankError, match="bank: was replaced while it was read; run the command again"):
        opened.rows([0])
    assert (FeatureBank.open(tmp_path / "bank").rows([0]) == 2).all()


def test_features_that_are_no_numbers_are_refused_with_their_instance(catalog, tmp_path):
    bank = write_bank(tmp_path / "bank", catalog, numbers(catalog), ENCODER, VIEWS)
    not_a_number(bank.path)
    ids = catalog.column("id")
    with pytest.raises(FeatureBankError, match=rf"features of {ids[4]} are not finite"):
        FeatureBank.open(bank.path, verify=False).features(ids)


@pytest.mark.parametrize("shape", [(10, 0, 2, 4), (10, 3, 2, 0)])
def test_features_of_no_view_or_no_dimension_are_none(catalog, tmp_path, shape):
    with pytest.raises(FeatureBankError, match="are empty"):
        write_bank(tmp_path / "bank", catalog, np.zeros(shape, np.float16), ENCODER, VIEWS)
