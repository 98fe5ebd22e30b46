"""A bank in one call: the one that ``flawshot encode`` makes without options."""

from __future__ import annotations

import numpy as np
import pytest

import flawshot
from commands import succeed
from flawshot import FlawshotError
from flawshot.bank.default_encoding import scheme_for
from flawshot.encoders.flawshot_tiny import TINY_VIEWS


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=8, side=96, surface="wood", workers=1, seed=3)
    return place


def test_the_bank_is_that_of_the_command(drawn, tmp_path):
    steps = []
    made = flawshot.encode(drawn, tmp_path / "made", progress=lambda done, total: steps.append((done, total)))
    succeed("encode", drawn, "--out", tmp_path / "commanded")
    commanded = flawshot.FeatureBank.open(tmp_path / "commanded")
    assert made.manifest.encoder == commanded.manifest.encoder
    assert made.manifest.views == commanded.manifest.views
    assert made.manifest.views.sizes == TINY_VIEWS[1]
    every = range(len(made.catalog))
    np.testing.assert_array_equal(made.rows(every), commanded.rows(every))
    assert steps[-1][0] == steps[-1][1] == 3 * len(made.catalog)


def test_a_catalog_is_encoded_and_a_second_call_keeps_what_is_there(drawn, tmp_path):
    catalog = flawshot.Catalog.open(drawn)
    bank = flawshot.encode(catalog, tmp_path / "bank")
    before = (bank.path / "manifest.json").stat().st_mtime_ns
    again = flawshot.encode(catalog, tmp_path / "bank")
    assert (again.path / "manifest.json").stat().st_mtime_ns == before


def test_what_cannot_be_encoded_is_said(drawn, tmp_path):
    with pytest.raises(FlawshotError, match=r"^model='flawshot-tinny': is not a model of .*; similar: flawshot-tiny"):
        flawshot.encode(drawn, tmp_path / "bank", model="flawshot-tinny")
    with pytest.raises(FlawshotError, match=r"is neither a folder of Labelme files nor"):
        flawshot.encode(tmp_path / "none", tmp_path / "bank")


@pytest.mark.parametrize(
    ("model", "views", "sizes", "expected"),
    [
        ("flawshot-tiny", None, None, ("centre3", ("1.5x", "2x", "3x"))),
        ("flawshot-tiny", "mso", None, ("mso", ("1.5x", "2x", "3x"))),
        ("flawshot-tiny", None, ["256"], ("centre3", ("256px",))),
        ("ViT-B-32", None, None, ("mso", ("256px", "384px", "512px"))),
        ("ViT-B-32", "centre3", None, ("centre3", ("256px", "384px", "512px"))),
    ],
)
def test_views_suit_the_encoder_unless_others_are_named(model, views, sizes, expected):
    scheme = scheme_for(model, views, sizes)
    assert (scheme.name, tuple(map(str, scheme.sizes))) == expected
