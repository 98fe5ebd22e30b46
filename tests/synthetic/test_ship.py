"""Trained weights become packaged ones, with a record that is theirs."""

import json
import shutil

import pytest

from flawshot.base.errors import FlawshotError
from flawshot.encoders import flawshot_tiny
from flawshot.encoders.base import hash_weights
from flawshot.encoders.flawshot_tiny import FOLDER, TINY, TinyEncoder
from flawshot.encoders.weights import read_weights
from flawshot.synthetic import ship as ship_module
from flawshot.synthetic.ship import ship


@pytest.fixture
def trained(tmp_path):
    """A training's folder."""
    out = tmp_path / "out"
    out.mkdir()
    weights = out / f"{TINY}.safetensors"
    shutil.copy(FOLDER / f"{TINY}.safetensors", weights)
    record = {"recipe": {"seed": 7, "rate": 0.5}, "weights_hash": hash_weights(read_weights(weights)), "held_out": []}
    (out / "training.json").write_text(json.dumps(record), encoding="utf-8")
    return out


def test_what_is_shipped_is_what_the_encoder_takes(trained, tmp_path, monkeypatch):
    record = ship(trained, "abc", tmp_path / "package")
    assert (record.commit, record.recipe) == ("abc", {"seed": 7, "rate": 0.5})
    monkeypatch.setattr(flawshot_tiny, "FOLDER", tmp_path / "package")
    shutil.copy(FOLDER / f"{TINY}.json", tmp_path / "package")
    assert TinyEncoder(device="cpu").dim == 520


def test_other_weights_than_the_trained_are_refused(trained, tmp_path):
    path = trained / "training.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "weights_hash": "0" * 64}), encoding="utf-8")
    with pytest.raises(FlawshotError, match=r"safetensors: does not match training\.json"):
        ship(trained, "abc", tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_too_many_bytes_are_refused(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(ship_module, "LARGEST", 1000)
    with pytest.raises(FlawshotError, match="at most 1000 are shipped"):
        ship(trained, "abc", tmp_path / "package")
    assert not (tmp_path / "package").exists()
