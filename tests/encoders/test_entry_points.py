"""Encoders of other people's packages, found by their entry points: every command takes them."""

from __future__ import annotations

import json
import re
import sys

import pytest
import torch

import flawshot
from commands import refuse, succeed
from flawshot import FlawshotError, make_encoder
from flawshot.encoders import ENCODERS, encoder_families, rebuild_encoder
from helpers import leave_package

MEANS = '''
import hashlib

import torch

from flawshot import BaseEncoder, EncoderRecord


class MeanEncoder(BaseEncoder):
    """The mean color of a crop, of side N for the model means/N."""

    family = "means"  # as it is registered
    takes = {"region": ("crop", "masked")}  # options besides model, device and precision; the first is the default
    views = ("centre3", ("1x", "2x", "3x"))  # where a user names none

    def __init__(self, side, region):
        self.side, self.dim, self.device = side, 3, torch.device("cpu")
        self.record = EncoderRecord(
            family=self.family,
            name=f"means/{side}",  # for people
            weights="none",
            weights_hash=hashlib.sha256(b"no weights").hexdigest(),
            options={"side": side, "region": region},  # all that shapes the features
            precision="float32",
            tokens=("mean",),
        )

    @classmethod
    def accepts(cls, options):
        name, _, side = options.model.partition("/")
        return name == "means" and side.isdigit()

    @classmethod
    def from_options(cls, options):
        return cls(int(options.model.partition("/")[2]), options.region)

    @classmethod
    def from_record(cls, record, *, pretrained=None, device="auto", precision="auto"):
        return cls(record.options["side"], record.options["region"])

    def encode(self, images, masks):  # uint8 [crops, side, side, 3] and [crops, side, side]
        values = images.float() / 255
        if self.record.options["region"] == "masked":
            values = values * (masks[..., None] > 0)
        return values.mean(dim=(1, 2))[:, None]  # float32 [crops, tokens, dim]
'''
BROKEN = """
from flawshot import BaseEncoder


class NotOne:
    pass


class Misnamed(BaseEncoder):
    family = "another"
"""
POINTS = """[flawshot.encoders]
means = tiny_encoders:MeanEncoder
gone = tiny_broken:Gone
not-one = tiny_broken:NotOne
misnamed = tiny_broken:Misnamed
open_clip = tiny_broken:NotOne
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as pip leaves it: modules, and what its distribution says of itself."""
    site = tmp_path / "site"
    leave_package(site, "tiny-encoders", {"tiny_encoders.py": MEANS, "tiny_broken.py": BROKEN}, POINTS)
    monkeypatch.syspath_prepend(site)
    yield
    for name in ("tiny_encoders", "tiny_broken"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=8, side=96, surface="wood", workers=1, seed=3)
    return place


def test_its_families_follow_flawshots_own(installed):
    assert encoder_families() == [*ENCODERS, "gone", "means", "misnamed", "not-one"]
    assert type(make_encoder("means/8")).__name__ == "MeanEncoder"


def test_every_command_takes_it(installed, parts, tmp_path):
    model, bank = tmp_path / "model", tmp_path / "bank"
    done = succeed("encode", parts, "--out", bank, "--model", "means/8", "--device", "cpu")
    assert "1 token x 3; " in done.output
    assert "no text features of the categories: means/8 has no text tower" in done.output
    assert re.search(r"; 0 encoded, \d+ kept", succeed("encode", parts, "--out", bank, "--model", "means/8").output)
    manifest = json.loads((bank / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["views"]["scheme"], manifest["views"]["sizes"]) == ("centre3", ["1x", "2x", "3x"])
    assert manifest["encoder"]["family"] == "means"
    said = refuse("encode", parts, "--out", bank, "--model", "means/8", "--region", "masked")
    assert "manifest.json: encoder.options.region: is 'crop', not 'masked'; " in said
    said = refuse("encode", parts, "--out", bank, "--model", "means/9")
    assert "manifest.json: encoder.options.side: is 8, not 9; " in said

    succeed("fit", bank, "--out", model, "--classifier", "prototype", "--device", "cpu")
    loaded = flawshot.load_model(model)
    assert (type(loaded.encoder).__name__, loaded.encoder.record.options["side"]) == ("MeanEncoder", 8)
    succeed("predict", model, parts, "--out", tmp_path / "named", "--device", "cpu")
    succeed("fit", parts, "--out", tmp_path / "again", "--model", "means/8", "--classifier", "prototype")
    assert flawshot.load_model(tmp_path / "again").record.encoder == loaded.record.encoder


def test_what_it_does_not_take_is_one_line(installed, parts, tmp_path):
    out = tmp_path / "bank"
    for options, said in {
        ("--layer", "trunk"): "--layer trunk: is not supported by means/8; omit it, or choose another --model",
        ("--region", "alpha"): "--region alpha: means/8 takes crop or masked",
        ("--pretrained", "x"): "--pretrained x: is not supported by means/8; omit it, or choose another --model",
    }.items():
        assert refuse("encode", parts, "--out", out, "--model", "means/8", *options) == said


def test_what_cannot_be_loaded_disturbs_nobody_but_who_needs_it(installed):
    assert make_encoder("flawshot-tiny", device="cpu").record.family == "flawshot-tiny"
    with pytest.raises(FlawshotError) as raised:
        make_encoder("theirs/x")
    said = str(raised.value)
    assert said.startswith(
        "model='theirs/x': is not a model of flawshot-tiny, alpha_clip, open_clip, timm, gone, means, misnamed, "
    )
    assert "encoder 'gone': tiny_broken:Gone cannot be loaded (module 'tiny_broken' has no attribute 'Gone')" in said
    assert "encoder 'not-one': tiny_broken:NotOne is not a subclass of flawshot.BaseEncoder" in said
    assert "encoder 'misnamed': tiny_broken:Misnamed.family: must be 'misnamed', as it is registered" in said


def test_a_model_of_it_says_what_is_missing_once_it_is_gone(installed, parts, tmp_path, monkeypatch):
    bank = flawshot.encode_catalog(
        flawshot.Catalog.open(parts), make_encoder("means/8"), flawshot.make_scheme("none"), tmp_path / "bank"
    ).bank
    model = flawshot.fit_model(bank, tmp_path / "model", classifier="prototype")
    monkeypatch.syspath_prepend(tmp_path / "nowhere")
    monkeypatch.setattr(sys, "path", [each for each in sys.path if not each.endswith("site")])
    assert len(flawshot.load_model(model.path).predict_features(bank)) == len(bank.catalog)
    with pytest.raises(FlawshotError, match=r"model\.json: encoder\.family: 'means' is unknown; install the pack"):
        flawshot.load_model(model.path).predict([], [])


def test_a_record_without_its_options_is_one_line(installed):
    record = make_encoder("means/8").record
    assert rebuild_encoder(record, "m.json").record == record
    with pytest.raises(FlawshotError, match=r"^m\.json: encoder\.options: do not fit .* 'means' \(KeyError: 'side'\)$"):
        rebuild_encoder(record.model_copy(update={"options": {"region": "crop"}}), "m.json")
    with pytest.raises(
        FlawshotError, match=r"^m\.json: encoder\.options\.gamma: is 2\.2, but the available means/8 has None"
    ):
        rebuild_encoder(record.model_copy(update={"options": record.options | {"gamma": 2.2}}), "m.json")


def test_it_may_be_asked_from_several_threads(installed):
    encoder = make_encoder("means/8", device="cpu")
    images = torch.full((2, 8, 8, 3), 51, dtype=torch.uint8)
    assert torch.allclose(encoder.encode(images, images[..., 0]), torch.full((2, 1, 3), 0.2))
