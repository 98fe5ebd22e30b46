"""Predicting bare images: what a finder finds is named, written and counted, and an interrupted call goes on."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import flawshot
from flawshot import FlawshotError, read_labelme
from flawshot.base.arguments import argument
from flawshot.base.errors import Problem
from flawshot.labelme.shapes import Shape
from flawshot.models import predicting_images
from flawshot.models.corrections import read_corrections
from flawshot.models.deletions import deleted_found
from flawshot.models.predicting_images import annotation_names, predict_images
from flawshot.models.prediction_folder import read_predictions
from flawshot.models.review_folder import ReviewFolder, listed
from flawshot.regions.found import FoundOnImage, FoundRegion


@pytest.fixture(scope="module")
def truth(parts):
    """The drawn parts' regions as those of a finder, by image; the first image's are not found."""
    found = {}
    for number, path in enumerate(sorted(parts.rglob("*.json"))):
        file = read_labelme(path)
        image = (path.parent / file.image_path).relative_to(parts).as_posix()
        shapes = file.shapes if number else ()
        regions = tuple(FoundRegion(shape, 0.9 - 0.1 * index) for index, shape in enumerate(shapes))
        found[image] = FoundOnImage(regions, 0.25 + 0.5 * bool(number))
    return found


@pytest.fixture
def bare(parts, tmp_path):
    """The drawn parts' images alone."""
    return shutil.copytree(parts, tmp_path / "bare", ignore=shutil.ignore_patterns("*.json"))


def finder(found, asked=None):
    def find(images):
        if asked is not None:
            asked.append(list(images))
        return (found[image] for image in images)

    return find


def predict(model, bare, out, found, **options):
    return predict_images(model, bare, sorted(found), finder(found), out, request="truth", **options)


def rows_of(out):
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_found_gets_what_the_same_annotated_regions_get(model, parts, bare, truth, tmp_path):
    report = predict(model, bare, tmp_path / "out", truth)
    flawshot.predict_catalog(model, flawshot.Catalog.open(parts), tmp_path / "drawn")
    rows, drawn = rows_of(tmp_path / "out"), rows_of(tmp_path / "drawn")
    first = min(truth)
    assert [row["image"] for row in rows if not row["id"]] == [first]
    assert (report.images, report.without, report.left_out) == (len(truth), 1, ())
    assert report.regions == sum(len(each.regions) for each in truth.values())
    # A finder knows no groups: regions of a single shape are the same.
    expected = {(row["image"], row["x0"], row["y0"], row["x1"], row["y1"]): row for row in drawn}
    same = 0
    for row in rows:
        other = expected.get(tuple(row[name] for name in ("image", "x0", "y0", "x1", "y1")))
        if other is not None:
            assert row["predicted"] == other["predicted"]
            assert float(row["probability"]) == pytest.approx(float(other["probability"]), abs=2e-3)
            same += 1
    assert same > 10


def test_the_files_and_the_table_say_who_found_it(model, bare, truth, tmp_path):
    predict(model, bare, tmp_path / "out", truth)
    rows = rows_of(tmp_path / "out")
    by_id = {row["id"]: row for row in rows}
    for image, found in truth.items():
        path = tmp_path / "out" / f"{image.rpartition('.')[0]}.json"
        file = read_labelme(path)
        assert (path.parent / file.image_path).resolve() == (bare / image).resolve()
        assert len(file.shapes) == len(found.regions)
        for shape, region in zip(file.shapes, found.regions, strict=True):
            said = shape.other["flawshot"]
            row = by_id[said["id"]]
            assert shape.flags == {
                "predicted": True,
                "unsure": row["unsure"] == "true",
                "unknown": row["unknown"] == "true",
                "found": True,
            }
            assert (said["found"], said["score"], row["found"]) == (True, pytest.approx(region.score), "true")
            assert float(row["score"]) == pytest.approx(region.score)
            assert float(row["image_score"]) == found.score
            assert shape.label == row["predicted"]
            assert np.array_equal(shape.points, region.shape.points)
    empty = rows[0]
    assert {name for name, value in empty.items() if value} == {"image", "image_score"}


def test_an_annotated_region_stays_and_the_same_found_one_is_dropped(model, parts, truth, tmp_path):
    place = shutil.copytree(parts, tmp_path / "data")
    image = sorted(truth)[1]
    annotation = f"{image.rpartition('.')[0]}.json"
    (own, *_) = read_labelme(place / annotation).shapes
    low, high = own.points.min(axis=0), own.points.max(axis=0)
    far = (0, 0) if low.min() > 12 else (80, 80)
    corners = np.array([far, np.add(far, 10)], dtype=np.float64)
    found = FoundOnImage(
        (
            FoundRegion(Shape(0, "x", "rectangle", np.array([low, high])), 0.9),
            FoundRegion(Shape(0, "x", "rectangle", corners), 0.8),
        )
    )
    report = predict_images(
        model, place, [image], finder({image: found}), tmp_path / "out", request="", annotations={image: annotation}
    )
    before, after = read_labelme(place / annotation), read_labelme(tmp_path / "out" / annotation)
    assert len(after.shapes) == len(before.shapes) + 1
    for one, other in zip(before.shapes, after.shapes, strict=False):
        assert np.array_equal(one.points, other.points)
        assert "found" not in other.flags
        assert other.other["flawshot"]["was"] == one.label
    assert after.shapes[-1].flags["found"] is True
    assert np.array_equal(after.shapes[-1].points, corners)
    assert report.regions == len({row["id"] for row in rows_of(tmp_path / "out")})


def test_found_regions_that_repeat_annotated_ones_are_dropped_even_if_drawn_otherwise(model, bare, tmp_path):
    """Counted as the evaluation counts: what would find an annotated flaw is that flaw."""

    def rectangle(*corners):
        return Shape(0, "x", "rectangle", np.array(corners, dtype=np.float64).reshape(2, 2))

    image = min(path.relative_to(bare).as_posix() for path in bare.rglob("*.png"))
    annotation = f"{image.rpartition('.')[0]}.json"
    drawn = flawshot.LabelmeFile(image.rpartition("/")[2], (rectangle(30, 30, 49, 49),))
    flawshot.write_labelme(drawn, bare / annotation)
    shifted, around, far = rectangle(44, 30, 63, 49), rectangle(20, 20, 95, 95), rectangle(60, 60, 80, 80)
    found = FoundOnImage(tuple(FoundRegion(each, 1.0) for each in (shifted, around, far)))
    predict_images(
        model, bare, [image], finder({image: found}), tmp_path / "out", request="", annotations={image: annotation}
    )
    after = read_labelme(tmp_path / "out" / annotation).shapes
    assert [shape.points.tolist() for shape in after] == [drawn.shapes[0].points.tolist(), far.points.tolist()]


def test_an_interrupted_call_goes_on_where_it_was(model, bare, truth, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting_images, "IMAGES_AT_ONCE", 4)
    predict(model, bare, tmp_path / "whole", truth)
    whole = files_of(tmp_path / "whole")

    def stops(images):
        if sorted(truth).index(images[0]) >= 12:
            raise KeyboardInterrupt
        return (truth[image] for image in images)

    with pytest.raises(KeyboardInterrupt):
        predict_images(model, bare, sorted(truth), stops, tmp_path / "out", request="truth")
    assert not (tmp_path / "out").exists()
    asked = []
    report = predict_images(model, bare, sorted(truth), finder(truth, asked), tmp_path / "out", request="truth")
    assert report.kept == 12
    assert asked[0][0] == sorted(truth)[12]
    assert files_of(tmp_path / "out") == whole
    # Another finder's regions are not mixed in.
    with pytest.raises(KeyboardInterrupt):
        predict_images(model, bare, sorted(truth), stops, tmp_path / "other", request="truth")
    asked = []
    report = predict_images(model, bare, sorted(truth), finder(truth, asked), tmp_path / "other", request="another")
    assert (report.kept, asked[0][0]) == (0, min(truth))


def test_what_cannot_be_used_is_left_out_with_its_reason(model, bare, truth, tmp_path):
    images = sorted(truth)
    (bare / images[1]).write_bytes(b"not an image")
    given = truth | {images[2]: FoundOnImage((), None, f"{images[2]}: has no map")}
    report = predict(model, bare, tmp_path / "out", given)
    assert [entry.image for entry in report.left_out] == images[1:3]
    assert "its format is not one of" in report.left_out[0].reason
    assert report.left_out[1].reason == f"{images[2]}: has no map"
    # In the table, they are not images without a flaw.
    rows = {row["image"]: row for row in rows_of(tmp_path / "out")}
    assert rows[images[0]]["left_out"] == ""
    for entry in report.left_out:
        told = {name: value for name, value in rows[entry.image].items() if value}
        assert told == {"image": entry.image, "left_out": entry.reason} | (
            {"image_score": f"{given[entry.image].score:g}"} if given[entry.image].score else {}
        )
    for image in images[1:3]:
        assert not (tmp_path / "out" / f"{image.rpartition('.')[0]}.json").exists()
    with pytest.raises(FlawshotError, match="has no map"):
        predict(model, bare, tmp_path / "strict", {images[2]: given[images[2]]}, strict=True)
    with pytest.raises(FlawshotError, match=r"none of the images could be used; .*has no map"):
        predict(model, bare, tmp_path / "none", {images[2]: given[images[2]]})
    assert sorted(path.name for path in tmp_path.iterdir() if "none" in path.name) == []


def test_an_image_none_of_whose_regions_can_be_used_is_left_out(model, bare, truth, tmp_path):
    image, other, *_ = sorted(truth)
    outside = FoundRegion(Shape(0, "", "rectangle", np.array([[900.0, 900.0], [950.0, 950.0]])), 0.5)
    given = {image: FoundOnImage((outside,)), other: FoundOnImage((outside, *truth[other].regions))}
    report = predict(model, bare, tmp_path / "out", given)
    assert [entry.image for entry in report.left_out] == [image]
    assert report.without == 0
    assert "1 region found on it cannot be used; " in report.left_out[0].reason
    assert len(report.problems) == 2


def test_what_was_left_out_is_listed_also_by_a_call_that_goes_on(model, bare, truth, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting_images, "IMAGES_AT_ONCE", 4)
    known = [Problem("boxes.json", "missing-image", "there is no image z")]
    wrong = {
        image: each._replace(problems=(Problem(f"entry of {image}", "region", "covers no pixel", "warning"),))
        for image, each in truth.items()
    }

    def stops(images):
        if sorted(truth).index(images[0]) >= 8:
            raise KeyboardInterrupt
        return (wrong[image] for image in images)

    with pytest.raises(KeyboardInterrupt):
        predict_images(model, bare, sorted(truth), stops, tmp_path / "out", request="truth")
    report = predict(model, bare, tmp_path / "out", wrong, problems=known)
    assert report.kept == 8
    assert [problem.file for problem in report.problems] == [f"entry of {image}" for image in sorted(truth)]
    lines = (tmp_path / "out/problems.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [
        "error: boxes.json: there is no image z",
        *(f"warning: entry of {image}: covers no pixel" for image in sorted(truth)),
    ]
    predict(model, bare, tmp_path / "out", truth, overwrite=True)
    assert not (tmp_path / "out/problems.txt").exists()


def test_a_reason_is_stored_in_words(model, bare, truth, tmp_path):
    images = sorted(truth)[:2]
    reason = FoundOnImage((), None, f"{images[0]}: too large; raise the limit with {argument('max_pixels', 9)}")
    predict(model, bare, tmp_path / "out", {images[0]: reason, images[1]: truth[images[1]]})
    first = next(read_predictions(tmp_path / "out")[1])
    assert first.left_out.reason == f"{images[0]}: too large; raise the limit with max_pixels=9"


def test_images_without_a_flaw_are_no_mistake(model, bare, truth, tmp_path):
    nothing = {image: FoundOnImage(()) for image in truth}
    report = predict(model, bare, tmp_path / "out", nothing)
    assert (report.regions, report.images, report.without) == (0, len(truth), len(truth))
    assert [row["image"] for row in rows_of(tmp_path / "out")] == sorted(truth)


@pytest.mark.parametrize(
    ("images", "annotations", "names"),
    [
        pytest.param(["a/b.jpg"], {}, ["a/b.json"], id="its own name"),
        pytest.param(["b.jpg", "b.png"], {}, ["b.jpg.json", "b.png.json"], id="two of one name"),
        pytest.param(["B.jpg", "b.png"], {}, ["B.jpg.json", "b.png.json"], id="one name where case does not count"),
        pytest.param(["b.jpg", "b.png"], {"b.png": "b.json"}, ["b.jpg.json", "b.json"], id="one is annotated"),
        pytest.param(["c.jpg"], {}, ["c.jpg.json"], id="a file of the data has the name"),
        pytest.param(["c.jpg"], {"c.jpg": "x.json"}, ["x.json"], id="annotated under another name"),
    ],
)
def test_every_image_has_a_file_of_its_own(tmp_path, images, annotations, names):
    (tmp_path / "c.json").write_text("{}")
    assert list(annotation_names(tmp_path, images, annotations).values()) == names


def test_two_images_that_would_still_share_a_file_are_refused(tmp_path):
    with pytest.raises(FlawshotError, match=r"b\.png: would have the same file of predictions x\.json as a\.png"):
        annotation_names(tmp_path, ["a.png", "b.png"], {"a.png": "x.json", "b.png": "x.json"})


@pytest.fixture
def reviewed(model, bare, truth, tmp_path):
    predict(model, bare, tmp_path / "out", truth)
    return tmp_path / "out"


def change(path, edit):
    document = json.loads(path.read_text(encoding="utf-8"))
    edit(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def test_a_person_confirms_deletes_and_draws(reviewed, bare, truth):
    records = [record for record in read_predictions(reviewed)[1] if len(record.answers) > 0]
    confirmed, deleted = records[0], records[1]

    def confirm(document):
        document["shapes"][0]["flags"]["predicted"] = False

    change(reviewed / confirmed.annotation, confirm)
    change(reviewed / deleted.annotation, lambda document: document["shapes"].pop(0))
    empty = f"{min(truth).rpartition('.')[0]}.json"
    drawn = {"label": "dent", "points": [[5, 5], [20, 20]], "shape_type": "rectangle", "flags": {}, "group_id": None}
    change(reviewed / empty, lambda document: document["shapes"].append(drawn))
    corrections = read_corrections(reviewed, "parts")
    assert corrections.named["confirmed"] == corrections.named["drawn"] == 1
    images = set(corrections.catalog.column("image"))
    assert images == {min(truth), confirmed.answers[0].image}
    gone = deleted.answers[0]
    (told,) = deleted_found(reviewed, bare, [])
    assert (told.image, told.id) == (gone.image, gone.id)
    shape = truth[gone.image].regions[0].shape
    found = flawshot.rasterize(shape, 96, 96)
    assert told.region.box == found.box == gone.box
    assert np.array_equal(told.region.pixels, found.pixels)


def test_a_file_that_cannot_be_read_deleted_nothing(reviewed, bare):
    record = next(record for record in read_predictions(reviewed)[1] if record.answers)
    change(reviewed / record.annotation, lambda document: document["shapes"][0].update(points="?"))
    assert deleted_found(reviewed, bare, []) == []
    (reviewed / record.annotation).unlink()
    assert deleted_found(reviewed, bare, []) == []


def test_review_shows_found_regions_and_then_images_without_one(reviewed, bare, truth):
    problems = []
    files = listed(reviewed, problems)
    assert problems == []
    assert files[-1].annotation == f"{min(truth).rpartition('.')[0]}.json"
    folder = ReviewFolder(reviewed)
    assert folder.fill(files, bare, ["dent"], problems) == len(truth)
    flags = json.loads((folder.place / "shape-flags.json").read_text(encoding="utf-8"))
    assert flags[".*"] == ["predicted", "unsure", "unknown", "found"]
    folder.carry_back(last=True)
    folder.close()


def test_among_images_without_a_region_the_highest_score_comes_first(model, bare, truth, tmp_path):
    images = sorted(truth)[:3]
    predict(
        model,
        bare,
        tmp_path / "out",
        {image: FoundOnImage((), score) for image, score in zip(images, (1, 3, 2), strict=True)},
    )
    order = [each.answered.image for each in listed(tmp_path / "out", [])]
    assert order == [images[1], images[2], images[0]]


def test_found_regions_become_examples(model, reviewed, tmp_path):
    report = flawshot.learn_corrections(model, reviewed, tmp_path / "new", accept_all=True)
    assert report.added + report.known == report.named["accepted"] > 10


def test_a_palette_and_sixteen_bits_are_images_too(model, tmp_path):
    (tmp_path / "bare").mkdir()
    Image.new("P", (64, 64)).save(tmp_path / "bare/a.png")
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(tmp_path / "bare/b.png")
    whole = FoundOnImage((FoundRegion(Shape(0, "", "rectangle", np.array([[0.0, 0.0], [63.0, 63.0]]))),))
    report = predict(model, tmp_path / "bare", tmp_path / "out", {"a.png": whole, "b.png": whole})
    assert (report.regions, report.left_out) == (2, ())
    assert [row["score"] for row in rows_of(tmp_path / "out")] == ["", ""]
