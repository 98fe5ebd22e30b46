"""Magnetic tiles: real photographs and masks, fitted on five a category, others predicted, opened by Labelme."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter, defaultdict

import pytest

import flawshot
from flawshot.encoders.flawshot_tiny import TINY_VIEWS
from flawshot.models.fitting import fit_model
from flawshot.models.prediction_folder import read_predictions
from helpers import SHARED
from labelme_itself import open_file

SHOTS, ASKED = 5, 3


@pytest.fixture(scope="module")
def tiles():
    place = SHARED / "magnetic-tile"
    if not place.exists():
        if os.environ.get("FLAWSHOT_REQUIRE_SHARED"):
            pytest.fail(f"real data is required, but {place} is not there")
        pytest.skip(f"real data not at hand: {place} (set FLAWSHOT_SHARED)")
    return place


@pytest.fixture(scope="module")
def halves(tiles, tmp_path_factory):
    """Labelme files of five tiles a category to fit on, and trees of masks of three others to predict."""
    work = tmp_path_factory.mktemp("tiles")
    with (tiles / "groups.csv").open(encoding="utf-8") as opened:
        group = {row["image"].rpartition("/")[2]: row["group"] for row in csv.DictReader(opened)}
    chosen: dict[str, dict[str, str]] = defaultdict(dict)  # category -> tile -> image
    for path in sorted(tiles.glob("*/Imgs/*.jpg")):
        own = chosen[path.parts[-3]]
        if group[path.name] not in {tile for each in chosen.values() for tile in each}:
            own[group[path.name]] = path
    for category, images in chosen.items():
        for number, image in enumerate(list(images.values())[: SHOTS + ASKED]):
            half = work / ("known" if number < SHOTS else "new") / "tiles" / category / "Imgs"
            half.mkdir(parents=True, exist_ok=True)
            for file in (image, image.with_suffix(".png")):
                shutil.copy(file, half / file.name)
    flawshot.import_masks(work / "known/tiles", work / "labelme", min_area=30)
    return work


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # labelme's
def test_five_a_category_name_the_others(halves, tiny, tmp_path):
    from flawshot.cli.mask_groups import MaskGroup

    catalog = flawshot.Catalog.open(halves / "labelme")
    bank = flawshot.encode_catalog(catalog, tiny, flawshot.make_scheme(*TINY_VIEWS), tmp_path / "bank").bank
    model = fit_model(bank, tmp_path / "model")
    assert set(model.categories) == {"MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven"}

    model = flawshot.load_model(model.path, device="cpu")
    before = {path: path.read_bytes() for path in (halves / "new").rglob("*") if path.is_file()}
    new = MaskGroup(min_area=30).catalog(halves / "new/tiles", tmp_path / "out", None, None)
    report = flawshot.predict_catalog(model, new, tmp_path / "out")
    assert {path: path.read_bytes() for path in (halves / "new").rglob("*") if path.is_file()} == before
    assert report.regions == len(new) >= 10
    assert report.examples == 0
    assert report.accuracy.asked == len(new)  # the folders' names are the model's categories
    most = max(Counter(new.column("category")).values()) / len(new)
    assert report.accuracy.mean > most  # better than always the same answer

    _, lines = read_predictions(tmp_path / "out")
    answers = [answer for line in lines for answer in line.answers]
    assert report.accuracy.mean == pytest.approx(sum(a.predicted == a.true for a in answers) / len(answers))
    again = flawshot.Catalog.open(tmp_path / "out")
    assert Counter(again.column("category")) == Counter(answer.predicted for answer in answers)
    open_with_labelme(tmp_path / "out")


def open_with_labelme(out):
    for path in sorted(out.rglob("*.json")):
        opened = open_file(path)
        assert {shape["flags"]["predicted"] for shape in opened.shapes} == {True}
