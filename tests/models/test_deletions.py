"""Which found regions a person deleted, and which were only drawn anew."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import flawshot
from flawshot.formats.components import component_shape
from flawshot.labelme.shapes import Region, Shape
from flawshot.models.deletions import deleted_found
from flawshot.models.predicting_images import predict_images
from flawshot.regions.found import FoundOnImage, FoundRegion

SIDE = 96
# What was found: a polygon that fills half of its box, and a rectangle.
CORNER = Shape(0, "", "polygon", np.array([[10.0, 10], [40, 10], [10, 40]]))
OTHER = Shape(0, "", "rectangle", np.array([[60.0, 60], [80, 80]]))


def predicted(model, place, *shapes):
    """Predictions of an image on which these were found."""
    (place / "new").mkdir()
    Image.new("RGB", (SIDE, SIDE), (99, 120, 80)).save(place / "new/a.png")
    found = FoundOnImage(tuple(FoundRegion(shape, 1.0) for shape in shapes))
    predict_images(model, place / "new", ["a.png"], lambda _: [found], place / "out", request="")
    return place


@pytest.fixture
def here(model, tmp_path):
    return predicted(model, tmp_path, CORNER, OTHER)


def drawn(shape_type, *points):
    return {"label": "dent", "points": points, "shape_type": shape_type, "flags": {}, "group_id": None}


def edited(here, change, problems=None):
    """What is deleted once the shapes of the file are others."""
    path = here / "out/a.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["shapes"] = change(document["shapes"])
    path.write_text(json.dumps(document), encoding="utf-8")
    return deleted_found(here / "out", here / "new", [] if problems is None else problems)


def test_what_is_taught_is_the_outline_and_not_its_box(here):
    (told,) = edited(here, lambda shapes: shapes[1:])
    found = flawshot.rasterize(CORNER, SIDE, SIDE)
    assert told.region.box == found.box
    assert np.array_equal(told.region.pixels, found.pixels)
    assert told.region.area < 0.6 * told.region.pixels.size


def test_the_record_keeps_outlines_and_labelmes_files_do_not_repeat_them(here):
    record = [json.loads(line) for line in (here / "out/predictions.jsonl").read_text().splitlines()][1]
    assert [answer["outline"]["shape_type"] for answer in record["answers"]] == ["polygon", "rectangle"]
    shapes = json.loads((here / "out/a.json").read_text())["shapes"]
    assert all("outline" not in shape["flawshot"] for shape in shapes)


def test_a_region_with_a_hole_is_kept_as_it_is(model, tmp_path):
    ring = np.ones((30, 30), dtype=bool)
    ring[10:20, 10:20] = False
    shape = component_shape(0, "", Region(5, 5, ring))
    (told,) = edited(predicted(model, tmp_path, shape), lambda _: [])
    assert np.array_equal(told.region.pixels, ring)


@pytest.mark.parametrize(
    "instead",
    [
        pytest.param(drawn("polygon", [12, 11], [38, 11], [11, 41]), id="nearly the same"),
        pytest.param(drawn("rectangle", [5, 5], [55, 55]), id="much larger"),
        pytest.param(drawn("rectangle", [12, 12], [16, 16]), id="a small part of it"),
        pytest.param(drawn("rectangle", [0, 15], [15, 25]), id="half of it outside"),
        pytest.param(drawn("circle", [20, 20], [24, 20]), id="of another type"),
        pytest.param(drawn("rectangle", [12, 12], [16, 16]) | {"label": ""}, id="without a label"),
    ],
)
def test_a_region_drawn_anew_was_not_deleted(here, instead):
    assert edited(here, lambda shapes: [instead, shapes[1]]) == []


def test_a_region_drawn_elsewhere_leaves_it_deleted(here):
    (told,) = edited(here, lambda shapes: [drawn("rectangle", [42, 42], [50, 50]), shapes[1]])
    assert told.region.area == flawshot.rasterize(CORNER, SIDE, SIDE).area


def test_pixels_of_a_region_beside_it_are_not_taught(here):
    beside = drawn("rectangle", [38, 0], [90, 30])
    (told,) = edited(here, lambda shapes: [beside, shapes[1]])
    full = told.region.full_mask(SIDE, SIDE)
    assert not full[:30, 38:].any()
    assert 0 < flawshot.rasterize(CORNER, SIDE, SIDE).area - told.region.area < 10


def test_a_second_region_of_one_flaw_can_be_deleted(model, tmp_path):
    """Detectors often put several boxes on one flaw."""
    again = Shape(0, "", "rectangle", np.array([[62.0, 62], [83, 84]]))
    assert edited(predicted(model, tmp_path, OTHER, again), lambda shapes: shapes[:1]) == []


@pytest.mark.parametrize("outline", [None, {"shape_type": "nonsense", "points": [[1.0, 2.0]], "mask": None}])
def test_without_a_usable_outline_the_box_stands_in(here, outline):
    path = here / "out/predictions.jsonl"
    header, line = path.read_text(encoding="utf-8").splitlines()
    record = json.loads(line)
    record["answers"][0]["outline"] = outline
    path.write_text(f"{header}\n{json.dumps(record)}\n", encoding="utf-8")
    (told,) = edited(here, lambda shapes: shapes[1:])
    assert told.region.box == flawshot.rasterize(CORNER, SIDE, SIDE).box
    assert told.region.pixels.all()


def lose(shape, *keys):
    return {key: value for key, value in shape.items() if key not in {"flawshot", *keys}}


@pytest.mark.parametrize(
    ("keys", "flags"),
    [
        pytest.param((), {}, id="only flawshot's own key"),
        pytest.param(("description", "flags"), {"found": True}, id="the description, too"),
        pytest.param(("flags",), {}, id="the flags, too"),
    ],
)
def test_a_program_that_drops_ids_deletes_nothing(here, keys, flags):
    """Of two regions one was confirmed, and the other is gone, by whatever that program did."""
    problems = []
    assert edited(here, lambda shapes: [lose(shapes[0], *keys) | {"flags": flags}], problems) == []
    (problem,) = problems
    assert problem.kind == "lost-ids"
    assert problem.file == str(here / "out/a.json")


def test_regions_that_lost_all_but_their_place_are_still_there(here):
    problems = []
    plain = [drawn("polygon", *CORNER.points.tolist()), drawn("rectangle", *OTHER.points.tolist())]
    assert edited(here, lambda _: plain, problems) == []
    assert [told.region.box for told in edited(here, lambda _: plain[:1], problems)] == [(60, 60, 81, 81)]
    assert problems == []


def test_one_region_that_kept_its_id_shows_that_ids_are_kept(here):
    problems = []
    (told,) = edited(here, lambda shapes: [shapes[1]], problems)
    assert (told.region.box, problems) == ((10, 10, 41, 41), [])


def test_all_regions_deleted_and_another_drawn(here):
    """Labelme offers a drawn shape the flags of predictions, unticked."""
    flags = dict.fromkeys(("predicted", "unsure", "unknown", "found"), False)
    problems = []
    told = edited(here, lambda _: [drawn("rectangle", [45, 45], [55, 55]) | {"flags": flags}], problems)
    assert (len(told), problems) == (2, [])
