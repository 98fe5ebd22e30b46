"""Drawn parts, their bank and a model of them: what models are tested on."""

from __future__ import annotations

import pytest

import flawshot
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.models.fitting import fit_model


@pytest.fixture(scope="session")
def tiny():
    return TinyEncoder(device="cpu", precision="float32")


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """Drawn images of one product, three categories; never written to."""
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=3, images=24, side=96, surface="wood", workers=1, seed=3)
    return place


@pytest.fixture(scope="session")
def bank(parts, tiny, tmp_path_factory):
    """The drawn parts' features."""
    catalog = flawshot.Catalog.open(parts)
    out = tmp_path_factory.mktemp("bank") / "bank"
    return flawshot.encode_catalog(catalog, tiny, flawshot.make_scheme(*TINY_VIEWS), out).bank


@pytest.fixture(scope="session")
def model(bank, tmp_path_factory):
    """A model of all of them; never written to."""
    made = fit_model(bank, tmp_path_factory.mktemp("model") / "model", source="parts")
    return flawshot.load_model(made.path, device="cpu")
