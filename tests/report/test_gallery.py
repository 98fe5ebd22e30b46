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
from flawshot.report import gallery
from flawshot.report.gallery import SIDE, make_gallery, thumbnails
from helpers import box_shape, labelme_document


@pytest.fixture
def pictured(write_annotations, bank_of):
    places = [(label, number) for label in ("dent", "stain") for number in range(6)]
    files = {f"p/{label}{number}.json": [box_shape(label, at=(30, 30))] for label, number in places}
    root = write_annotations(files)
    for name in files:
        pixels = np.random.default_rng(0).integers(90, 160, (100, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save((root / name).with_suffix(".png"))
    catalog = Catalog.open(root, layout="{product}/**")
    return evaluate(bank_of(catalog, spread=3.0), [sample_episodes(catalog, "p", 1)], ["prototype"]), root


def test_an_instance_has_one_small_picture_outlined(pictured):
    results, root = pictured
    pictures = thumbnails(results, Catalog.open(root, layout="{product}/**"))
    assert set(pictures) == set(results.answers[0].ids)
    for encoded in pictures.values():
        picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
        assert (picture.format, picture.size) == ("WEBP", (SIDE, SIDE))
        assert len(encoded) < 15e6 / 2000
        red, _, blue = np.moveaxis(np.asarray(picture.convert("RGB"), dtype=int), 2, 0)
        assert (red - blue > 90).any()  # the outline; the image is gray


def test_older_results_make_a_page_that_says_what_they_lack(pictured, tmp_path):
    old = pictured[0].model_dump(mode="json", exclude={"answers": True, "runs": {"__all__": {"reliability"}}})
    (tmp_path / "old.json").write_text(json.dumps(old | {"version": 1}))
    write_report(Results.load(tmp_path / "old.json"), tmp_path / "old.html")
    assert (tmp_path / "old.html").read_text().count("Not recorded in this results file") == 2


def test_results_without_losses_make_a_page_with_dashes_for_them(pictured, tmp_path):
    old = pictured[0].model_dump(mode="json", exclude={"runs": {"__all__": {"brier", "log_loss"}}})
    (tmp_path / "old.json").write_text(json.dumps(old | {"version": 3}))
    write_report(Results.load(tmp_path / "old.json"), tmp_path / "old.html")
    page = (tmp_path / "old.html").read_text()
    assert '<b class="brier">–</b>' in page
    assert '<b class="log-loss">–</b>' in page
    assert '<b class="ece">–</b>' not in page


def test_pictures_are_of_the_same_instances_only(pictured, write_annotations, tmp_path):
    results, root = pictured
    other = write_annotations({"p/dent0.json": [box_shape("stain", at=(30, 30))]}, root=tmp_path / "other")
    Image.open(root / "p/dent0.png").save(other / "p/dent0.png")
    # It has the id of an instance that was asked, but another category.
    assert thumbnails(results, other) == {}


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (0, None),
        (3, "instances have a picture here; ids are shown for the others"),
        (12, "No images were available: ids are shown instead"),
    ],
    ids=["all there", "some gone", "all gone"],
)
def test_the_page_says_whether_it_has_pictures(pictured, tmp_path, gone, said):
    results, root = pictured
    for number, picture in enumerate(sorted(root.rglob("*.png"))):
        if number < gone:
            picture.unlink()
    made = make_gallery(results, root, "prototype")
    assert sum(picture is not None for picture in made.pictures) == len(made.instances) - gone
    write_report(results, tmp_path / "r.html", data=root)
    text = (tmp_path / "r.html").read_text()
    sayings = ("have a picture here", "No images were available")
    assert [saying in text for saying in sayings] == [said is not None and saying in said for saying in sayings]


def test_an_unreadable_picture_is_no_reason_to_stop(pictured, tmp_path):
    results, root = pictured
    (root / "p/dent0.png").write_bytes(b"no picture")
    assert set(results.answers[0].ids) - set(thumbnails(results, root)) == {"p/dent0.json#0"}


def test_features_alone_make_a_page_with_ids(pictured, visit):
    results, _ = pictured
    page = visit(results)
    assert page.locator("#gallery img").count() == 0
    assert page.locator(".absent").first.text_content() in results.answers[0].ids
    assert "No images were available" in page.locator("#gallery .note").text_content()


def test_few_enough_answers_are_listed_and_the_rest_counted(pictured, monkeypatch):
    results, _ = pictured
    total = len(results.answers[0].query)
    whole = make_gallery(results, None, "prototype")
    assert (len(whole.sets[0]["query"]), whole.left_out) == (total, 0)
    monkeypatch.setattr(gallery, "MOST_ANSWERS", 3 * total // 3)  # of three classifiers, majority among them
    made = make_gallery(results, None, "prototype")
    (answers,) = made.sets
    assert total / 5 <= len(answers["query"]) <= total / 3 + 1
    assert made.left_out == total - len(answers["query"])
    assert set(answers["seed"]) == set(results.answers[0].seed)
    for column in ("seed", "nearest", "query"):
        assert len(answers[column]) == len(answers["query"])
    assert [len(column) for column in (*answers["predicted"], *answers["permille"])] == [len(answers["query"])] * 3 * 2


def test_left_out_answers_are_said(pictured, tmp_path):
    results, _ = pictured
    more = results.model_copy(update={"answers": (results.answers[0].model_copy(update={"left_out": 123}),)})
    write_report(more, tmp_path / "r.html")
    assert "123 further answers count in the results, but are not listed here" in (tmp_path / "r.html").read_text()


def test_wrong_answers_have_their_pictures_first(pictured, monkeypatch):
    results, root = pictured
    (answers,) = results.answers
    given = answers.predicted["prototype"]
    wrong = [answers.ids[n] for n, category in zip(answers.query, given, strict=True) if answers.true[n] != category]
    assert wrong
    monkeypatch.setattr(gallery, "MOST_PICTURES", 1)
    made = make_gallery(results, root, "prototype")
    assert [name for name, one in zip(made.instances, made.pictures, strict=True) if one] == wrong[:1]
    monkeypatch.setattr(gallery, "MOST_PICTURES", 5000)
    monkeypatch.setattr(gallery, "MOST_PICTURE_BYTES", 3000)
    made = make_gallery(results, root, "prototype")
    assert 0 < sum(len(one or "") for one in made.pictures) <= 3000
    assert made.pictured < made.asked


def test_a_page_of_2000_instances_stays_under_15_megabytes(pictured, tmp_path):
    """Noise at its own scale: no picture takes more room."""
    places = [(x, y) for x in range(0, 320, 64) for y in range(0, 256, 64)]
    root = tmp_path / "noise"
    root.mkdir()
    for number in range(100):
        pixels = np.random.default_rng(number).integers(0, 256, (256, 320, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number}.png", compress_level=1)
        shapes = [box_shape("dent", at=at, size=64) for at in places]
        document = labelme_document(shapes, imagePath=f"{number}.png", imageHeight=256, imageWidth=320)
        (root / f"{number}.json").write_text(json.dumps(document))
    catalog = Catalog.open(root)
    ids = catalog.column("id")
    assert len(ids) == 2000
    answers = (
        pictured[0]
        .answers[0]
        .model_copy(
            update={
                "ids": tuple(ids),
                "true": (0,) * 2000,
                "seed": (0,) * 2000,
                "query": tuple(range(2000)),
                "predicted": dict.fromkeys("abcdefghij", (0,) * 2000),
                "probability": dict.fromkeys("abcdefghij", (0.9876,) * 2000),
                "nearest": ((1997, 1998, 1999),) * 2000,
            }
        )
    )
    write_report(pictured[0].model_copy(update={"answers": (answers,)}), tmp_path / "r.html", data=catalog)
    page = tmp_path / "r.html"
    assert 5e6 < page.stat().st_size < 15e6
    # What WebP files begin with, in base64.
    assert page.read_text().count("UklGR") > 1000
