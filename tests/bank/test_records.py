"""View schemes are what they crop, whatever they are called; banks and models of flawshot 0.1 still open."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import flawshot
from flawshot.bank.records import ViewRecord, difference, scheme_of
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
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
    """The drawn images that the banks of version 1 are of."""
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=2, images=6, side=96, surface="wood", workers=1, seed=3)
    return place


@pytest.fixture(scope="module")
def mine(parts, tiny, tmp_path_factory):
    """A bank of a scheme that is none of ours."""
    return flawshot.encode_catalog(flawshot.Catalog.open(parts), tiny, MINE, tmp_path_factory.mktemp("m") / "bank").bank


@pytest.fixture
def old(pytestconfig, tmp_path):
    """A copy of what flawshot 0.1 wrote."""
    return shutil.copytree(pytestconfig.rootpath / "tests/data/version-1", tmp_path / "old")


@pytest.mark.parametrize("field", OTHERS)
def test_a_bank_is_not_reused_for_another_scheme_of_the_same_name(mine, parts, tiny, tmp_path, field):
    shutil.copytree(mine.path, tmp_path / "bank")
    with pytest.raises(flawshot.FeatureBankError, match=rf"manifest\.json: {field}.*--overwrite"):
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


def test_banks_of_version_1_open_and_evaluate(old):
    for name in ("bank", "mine"):
        bank = flawshot.FeatureBank.open(old / name)
        assert bank.manifest.version == 1
        episodes = flawshot.sample_episodes(bank.catalog, bank.catalog.products[0], 1, allow_short=True)
        assert flawshot.evaluate(bank, [episodes], ["prototype"]).runs


def test_a_bank_of_version_1_is_reused_if_its_views_are_known(old, parts, tiny):
    catalog = flawshot.Catalog.open(parts)
    for image in json.loads((old / "bank/images.json").read_text()):  # as if they had not been drawn again
        status = (parts / image).stat()
        stamps = json.loads((old / "bank/images.json").read_text()) | {image: [status.st_size, status.st_mtime_ns]}
        (old / "bank/images.json").write_text(json.dumps(stamps))
    own = json.loads((old / "bank/manifest.json").read_text())
    own["encoder"] = tiny.record.model_dump(mode="json")  # whose weights may have changed since
    (old / "bank/manifest.json").write_text(json.dumps(own))
    scheme = make_scheme("none", TINY_VIEWS[1], "shift")
    report = flawshot.encode_catalog(catalog, tiny, scheme, old / "bank")
    assert (report.encoded, report.kept) == (0, len(catalog))
    with pytest.raises(flawshot.FeatureBankError, match=r"views\.sizes"):
        flawshot.encode_catalog(catalog, tiny, make_scheme("none", ["2x"], "shift"), old / "bank")


def test_views_of_which_only_a_name_is_known_are_not_reused(old, parts, tiny):
    own = json.loads((old / "mine/manifest.json").read_text())
    own["encoder"] = tiny.record.model_dump(mode="json")
    (old / "mine/manifest.json").write_text(json.dumps(own))
    with pytest.raises(flawshot.FlawshotError, match=r"views: lists no views, and its scheme 'mine'.*--overwrite"):
        flawshot.encode_catalog(flawshot.Catalog.open(parts), tiny, MINE, old / "mine")
    report = flawshot.encode_catalog(flawshot.Catalog.open(parts), tiny, MINE, old / "mine", overwrite=True)
    assert report.bank.manifest.views == ViewRecord.of(MINE)


def test_a_model_of_version_1_predicts(old):
    model, bank = flawshot.load_model(old / "model", device="cpu"), flawshot.FeatureBank.open(old / "bank")
    predictions = model.predict_features(bank)
    assert [each.label for each in predictions] == bank.catalog.column("category")
    assert model.scheme == make_scheme("none", TINY_VIEWS[1], "shift")
    moved = fit_model(bank, old / "new", classifier="prototype")
    assert moved.record.version == 2
    assert moved.record.views == ViewRecord.of(model.scheme)
    np.testing.assert_array_equal(moved.support.rows(range(3)), model.support.rows(range(3)))
