"""Images that are missing or damaged: said where they begin to matter, with the command that puts it right."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from commands import refuse, succeed
from helpers import box_shape, labelme_document


@pytest.fixture
def data(tmp_path):
    """Ten images of two categories, one of which is missing and one damaged."""
    root = tmp_path / "data"
    root.mkdir()
    for number in range(10):
        shape = box_shape("dent" if number % 2 else "scratch", at=(10 + number, 20))
        document = labelme_document([shape], imagePath=f"{number}.png")
        (root / f"{number}.json").write_text(json.dumps(document), encoding="utf-8")
        if number != 3:
            Image.effect_noise((120, 100), 40).save(root / f"{number}.png")
    (root / "6.png").write_bytes((root / "6.png").read_bytes()[:200])
    return root


def test_each_step_says_what_is_left_out_and_how_to_go_on(data, tmp_path):
    bank, episodes = tmp_path / "bank", tmp_path / "episodes"
    sampled = succeed("sample", data, "--out", episodes, "--shots", 1, "--seeds", 2)
    assert "1 instance lacks its image; flawshot encode will leave it out" in sampled.stderr
    encoded = succeed("encode", data, "--out", bank, "--views", "none")
    assert "2 left out" in encoded.stdout
    assert f"flawshot sample {bank} --out DIR" in encoded.stderr
    told = refuse("evaluate", bank, episodes, "--classifiers", "prototype")
    assert f"2 instances were left out when {bank} was encoded, so sample from it: flawshot sample {bank}" in told
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{", encoding="utf-8")
    assert "left out when" not in refuse("evaluate", bank, damaged, "--classifiers", "prototype")
    fitting = tmp_path / "fitting"
    succeed("sample", bank, "--out", fitting, "--shots", 1, "--seeds", 2)
    evaluated = succeed("evaluate", bank, fitting, "--classifiers", "prototype")
    assert "Accuracy" in evaluated.stdout


def test_where_nothing_is_left_out_nothing_is_said(data, tmp_path):
    for number in (3, 6):
        Image.effect_noise((120, 100), 40).save(data / f"{number}.png")
    assert "missing" not in succeed("sample", data, "--out", tmp_path / "episodes", "--shots", 1, "--seeds", 1).stderr
    assert "flawshot sample" not in succeed("encode", data, "--out", tmp_path / "bank", "--views", "none").stderr
    succeed("evaluate", tmp_path / "bank", tmp_path / "episodes", "--classifiers", "prototype")


def test_commands_on_instances_take_a_banks_folder(data, tmp_path):
    succeed("encode", data, "--out", tmp_path / "bank", "--views", "none")
    assert "8" in succeed("stats", tmp_path / "bank").stdout
    assert "4 of 8 instances" in succeed("query", tmp_path / "bank", "category = 'scratch'").output
    assert "--layout applies to folders only" in refuse("stats", tmp_path / "bank", "--layout", "**")


def test_short_supports_are_named_when_they_are_drawn(data, tmp_path):
    said = succeed("sample", data, "--out", tmp_path / "episodes", "--shots", "1,9", "--seeds", 2, "--allow-short")
    assert "9 shots: fewer support instances of dent 4, scratch 4" in said.stderr
    assert "1 shot: fewer" not in said.stderr
