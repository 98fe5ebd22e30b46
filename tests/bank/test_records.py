"""View schemes are what they crop, whatever they are called."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

import flawshot
from flawshot.bank.records import ViewRecord, difference, scheme_of
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.models.fitting import fit_model
from flawshot.models.predicting import predict_catalog
from flawshot.regions.views import SCHEMES, Size, View, ViewScheme, make_scheme

BOX = Size(1.5, relative=True)
MINE = ViewScheme("mine", (BOX,), "shift", (View(BOX), View(BOX, column=1, angle=90, flip="vertical")))
OTHERS = {
    "views.views.1.column": replace(MINE, views=(MINE.views[0], replace(MINE.views[1], column=-1))),
    "views.views.1.row": replace(MINE, views=(MINE.views[0], replace(MINE.views[1], row=1))),
    "views.views.1.angle": replace(MINE, views=(MINE.views[0], replace(MINE.views[1], angle=180))),
    "views.views.1.flip": replace(MINE, views=(MINE.views[0], replace(MINE.views[1], flip="none"))),
    "views.views.0.size": replace(MINE, views=(View(Size(2, relative=True)), MINE.views[1])),
    "views.views": replace(MINE, views=MINE.views[:1]),
    "views.views.0": replace(MINE, views=MINE.views[::-1]),
    "views.border": replace(MINE, border="zero"),
}


@pytest.fixture(scope="module")
def tiny():
    return TinyEncoder(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Drawn images."""
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=6, side=96, surface="wood", workers=1, seed=3)
    return place


@pytest.fixture(scope="module")
def mine(parts, tiny, tmp_path_factory):
    """A bank of a scheme that is none of ours."""
    return flawshot.encode_catalog(flawshot.Catalog.open(parts), tiny, MINE, tmp_path_factory.mktemp("m") / "bank").bank


@pytest.mark.parametrize("field", OTHERS)
def test_a_bank_is_not_reused_for_another_scheme_of_the_same_name(mine, parts, tiny, tmp_path, field):
    shutil.copytree(mine.path, tmp_path / "bank")
    with pytest.raises(flawshot.FeatureBankError, match=rf"manifest\.json: {field}.*overwrite=True"):
        flawshot.encode_catalog(flawshot.Catalog.open(parts), tiny, OTHERS[field], tmp_path / "bank")
    again = flawshot.encode_catalog(flawshot.Catalog.open(parts), tiny, MINE, tmp_path / "bank")
    assert (again.encoded, again.kept) == (0, len(mine.catalog))


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_comes_back_from_its_record(name):
    scheme = make_scheme(name, border="reflect")
    record = ViewRecord.model_validate_json(ViewRecord.of(scheme).model_dump_json())
    assert scheme_of(record, "", "").views == scheme.views
    assert difference(scheme_of(record, "", ""), scheme) is None
    assert scheme_of(record.model_copy(update={"views": ()}), "", "") == scheme


def test_names_of_the_same_views_are_the_same():
    assert difference(make_scheme("ms"), make_scheme("centre3")) is None
    near = make_scheme("none", ["1.2345678x"]), make_scheme("none", ["1.2345679x"])
    assert difference(*near)[0] == "sizes"


@pytest.mark.parametrize("views", [(), (View(BOX, flip="sideways"),), (View(BOX, column=0.5),)])
def test_a_scheme_that_cannot_be_recorded_is_one_line(views):
    with pytest.raises(flawshot.FlawshotError, match="the scheme 'mine'"):
        ViewRecord.of(replace(MINE, views=views))


def test_a_scheme_of_ones_own_is_encoded_fitted_predicted_and_compared(mine, parts, tiny, tmp_path):
    model = fit_model(mine, tmp_path / "model", classifier="prototype")
    assert model.scheme == MINE
    catalog = flawshot.Catalog.open(parts)
    report = predict_catalog(model, catalog, tmp_path / "out")
    assert report.regions == len(mine.catalog)
    model.predict_features(mine)
    other = flawshot.encode_catalog(catalog, tiny, OTHERS["views.views.1.angle"], tmp_path / "other").bank
    with pytest.raises(flawshot.FlawshotError, match=r"views\.views\.1\.angle: is 180, but 90"):
        model.predict_features(other)
