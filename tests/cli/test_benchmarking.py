"""``flawshot bench``, as a user runs it."""

from __future__ import annotations

import json

import pytest

import flawshot
from commands import refuse, succeed
from flawshot.encoders.network import NetworkEncoder

RUNTIMES = ["torch", "torch compiled", "onnxruntime", "OpenVINO"]


@pytest.fixture(autouse=True)
def _not_compiled(monkeypatch):
    """torch.compile takes a minute, and has tests of its own."""
    monkeypatch.setattr(NetworkEncoder, "compile", lambda *_, **__: "compiled in 1 s")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=12, side=96, surface="wood", workers=1, seed=5)
    return place


def test_an_encoder_by_name(parts, tmp_path):
    result = succeed("bench", "flawshot-tiny", "--data", parts, "--rounds", 1, "--json", tmp_path / "rows.json")
    assert "flawshot-tiny, 3 views of 96 px" in result.output
    assert all(f"  {name} " in result.output for name in RUNTIMES)
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["runtime"] for row in rows] == RUNTIMES
    assert rows[0]["latency"] > 0


def test_a_model(parts, tmp_path):
    succeed("fit", parts, "--out", tmp_path / "model")
    rows = json.loads(succeed("bench", tmp_path / "model", "--data", parts, "--rounds", 1, "--json", "-").stdout)
    assert rows[0]["rate"] > 0
    said = refuse("bench", tmp_path / "model", "--layer", "projection")
    assert said == f"--layer: is for an encoder, and {tmp_path / 'model'} is a model; omit it"


def test_an_unknown_encoder_is_one_line(parts):
    assert refuse("bench", "flawshot-tinny", "--data", parts).startswith(
        "--model flawshot-tinny: is not a model of flawshot-tiny, alpha_clip, open_clip, timm; similar: flawshot-tiny"
    )
    assert "is neither a folder of Labelme files nor" in refuse("bench", "flawshot-tiny", "--data", parts / "none")
