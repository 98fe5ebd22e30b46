"""MVREC's released features become a bank, beside the annotations they belong to."""

from __future__ import annotations

import os
import pickle
import warnings

import numpy as np
import pytest
import torch

from flawshot import FeatureBankError, import_mvrec_features

IMAGES = [("p/training/a", ["dent", "scratch"]), ("p/training/b", ["scratch"]), ("p/testing/c", ["dent"])]
LABELS = {"support": [0, 1, 1], "query": [0]}


@pytest.fixture
def catalog(catalog_of):
    return catalog_of(IMAGES)


def entries(labels, views=27, tokens=3, dim=8):
    rng = np.random.default_rng(3)
    return [
        {"y": torch.tensor(label), "mvrec": torch.from_numpy(rng.normal(size=(views, tokens, dim)).astype(np.float16))}
        for label in labels
    ]


def save(folder, **changed):
    saved = {part: entries(labels) for part, labels in LABELS.items()} | changed
    for part, value in saved.items():
        torch.save(value, folder / f"p_{part}.pt")
    return saved


def test_each_feature_stands_beside_its_annotation(catalog, tmp_path):
    saved = save(tmp_path)
    bank = import_mvrec_features(tmp_path, tmp_path / "bank", catalog)
    ids = ["p/training/a.json#0", "p/training/a.json#1", "p/training/b.json#0", "p/testing/c.json#0"]
    assert bank.catalog.column("id") == ids
    for token in range(3):
        expected = [entry["mvrec"][:, token].numpy() for part in ("support", "query") for entry in saved[part]]
        np.testing.assert_array_equal(bank.features(ids, token=token), np.stack(expected))
    assert bank.manifest.views.scheme == "mso"


class Hostile:
    def __reduce__(self):
        return os.system, ("touch was-here",)


def replace_entry(**changes):
    made = entries(LABELS["support"])
    made[1] = made[1] | changes
    return made


BAD = [
    pytest.param(
        {"support": entries([0, 1])}, "has 2 instances, but the annotations have 3 train rows", id="a row less"
    ),
    pytest.param(
        {"support": entries([0, 0, 1])},
        r"instance 1: y is category dent, but row p/training/a\.json#1 is lab",
        id="another order",
    ),
    pytest.param({"support": entries([0, 1, 9])}, "instance 2: y is category number 9", id="an unknown category"),
    pytest.param({"query": entries([0], dim=9)}, "different", id="another dim"),
    pytest.param(
        {"support": replace_entry(mvrec=torch.zeros(27, 3, 9, dtype=torch.float16))}, "instance 1: mvrec is", id="shape"
    ),
    pytest.param(
        {"support": replace_entry(mvrec=torch.zeros(27, 3, 8))}, "instance 1: mvrec must be float16", id="float32"
    ),
    pytest.param({"support": replace_entry(y=torch.tensor(0.5))}, "instance 1: y must be", id="y no whole number"),
    pytest.param({"support": replace_entry(y=None)}, "instance 1: y must be", id="y absent"),
    pytest.param({"support": replace_entry(y=torch.tensor(1 + 2j))}, "instance 1: y must be", id="complex y"),
    pytest.param(
        {"support": replace_entry(mvrec=torch.zeros(27, 3, 8, dtype=torch.float16).to_sparse())},
        "instance 1: mvrec must be",
        id="sparse",
    ),
    pytest.param(
        {"support": replace_entry(mvrec=torch.zeros(1, dtype=torch.float16).expand(27, 3, 3_000_000))},
        "instance 1: mvrec must be",
        id="a few bytes that claim gigabytes",
    ),
    pytest.param(
        {part: entries(labels, views=4) for part, labels in LABELS.items()},
        "has 4 views per instance, but mso has 27",
        id="views of another scheme",
    ),
    pytest.param({"support": {"y": 1}}, "must contain a list", id="no list"),
    pytest.param({"support": []}, "must contain a list", id="empty"),
    pytest.param(
        {"support": replace_entry(mvrec=torch.full((27, 3, 8), float("nan"), dtype=torch.float16))},
        r"p/training/a\.json#1 are not finite",
        id="NaN",
    ),
]


@pytest.mark.parametrize(("changed", "message"), BAD)
def test_what_does_not_fit_is_refused(catalog, tmp_path, changed, message):
    save(tmp_path, **changed)
    with pytest.raises(FeatureBankError, match=message) as caught:
        import_mvrec_features(tmp_path, tmp_path / "bank", catalog)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bank").exists()


@pytest.mark.parametrize("writer", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_hostile_file_is_not_run(catalog, tmp_path, monkeypatch, writer):
    monkeypatch.chdir(tmp_path)
    save(tmp_path)
    writer([Hostile()], tmp_path / "p_support.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch remarks on the foreign pickle before it refuses it
        with pytest.raises(FeatureBankError, match="cannot be read as saved tensors"):
            import_mvrec_features(tmp_path, tmp_path / "bank", catalog)
    assert not (tmp_path / "was-here").exists()


def test_files_that_are_not_there_are_said(catalog, tmp_path):
    with pytest.raises(FeatureBankError, match=r"contains no <product>_support\.pt"):
        import_mvrec_features(tmp_path, tmp_path / "bank", catalog)
    save(tmp_path)
    (tmp_path / "p_query.pt").unlink()
    with pytest.raises(FeatureBankError, match=r"p_query\.pt: is missing"):
        import_mvrec_features(tmp_path, tmp_path / "bank", catalog)


def test_the_released_features_fit_the_annotations(transistor_bank):
    assert transistor_bank.manifest.shape == (43, 27, 3, 768)
    assert transistor_bank.catalog.products == ["transistor"]


def test_features_saved_with_their_gradient_are_read(catalog, tmp_path):
    saved = {part: entries(labels) for part, labels in LABELS.items()}
    for part in saved.values():
        for entry in part:
            entry["mvrec"].requires_grad_()
    save(tmp_path, **saved)
    assert import_mvrec_features(tmp_path, tmp_path / "bank", catalog).manifest.libraries == {}


def test_another_view_scheme_is_named(catalog, tmp_path):
    save(tmp_path, **{part: entries(labels, views=3) for part, labels in LABELS.items()})
    bank = import_mvrec_features(tmp_path, tmp_path / "bank", catalog, views="ms")
    assert (bank.manifest.views.scheme, bank.manifest.shape[1]) == ("ms", 3)


def test_released_features_have_no_text_and_say_so(catalog, tmp_path):
    save(tmp_path)
    bank = import_mvrec_features(tmp_path, tmp_path / "bank", catalog)
    assert not bank.has_text
    expected = (
        r"bank: has no text features of the categories \(AlphaCLIP ViT-L/14: no text tower was available\); encode"
    )
    with pytest.raises(FeatureBankError, match=expected) as caught:
        bank.text_features("p", ["dent"])
    assert "\n" not in str(caught.value)
