"""The gallery: pictures of what was asked, where images are at hand; nothing of it in older results."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from flawshot import Results, evaluate, sample_episodes, write_report
from flawshot.catalog import Catalog
from flawshot.report.gallery import SIDE, thumbnails
from helpers import box_shape


@pytest.fixture
def pictured(write_annotations, bank_of):
    places = [(label, number) for label in ("dent", "stain") for number in range(6)]
    files = {f"p/{label}{number}.json": [box_shape(label, at=(30, 30))] for label, number in places}
    root = write_annotations(files)
    for name in files:
        pixels = np.random.default_rng(0).integers(90, 160, (100, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save((root / name).with_suffix(".png"))
    catalog = Catalog.open(root, layout="{product}/**")
    return evaluate(bank_of(catalog), [sample_episodes(catalog, "p", 1)], ["prototype"]), root


def test_an_instance_has_one_small_picture_outlined(pictured):
    results, root = pictured
    pictures = thumbnails(results, Catalog.open(root, layout="{product}/**"))
    assert set(pictures) == set(results.answers[0].ids)
    for encoded in pictures.values():
        picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
        assert (picture.format, picture.size) == ("WEBP", (SIDE, SIDE))
        assert len(encoded) < 15e6 / 2000
        red, _, blue = np.moveaxis(np.asarray(picture.convert("RGB"), dtype=int), 2, 0)
        assert (red - blue > 90).any()  # the outline; the image is grey


def test_older_results_make_a_page_that_says_what_they_lack(pictured, tmp_path):
    old = pictured[0].model_dump(mode="json", exclude={"answers": True, "runs": {"__all__": {"reliability"}}})
    (tmp_path / "old.json").write_text(json.dumps(old | {"version": 1}))
    write_report(Results.load(tmp_path / "old.json"), tmp_path / "old.html")
    assert (tmp_path / "old.html").read_text().count("Not recorded in this results file") == 2
