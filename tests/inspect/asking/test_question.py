"""Questions in words: what they mean, checked against plain Python, and what they refuse; covers all of ``asking``."""

from __future__ import annotations

import json
import unicodedata
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flawshot import Catalog, FlawshotError, ask_catalog, read_question
from flawshot.formats.detailed import ninth
from flawshot.inspect.asking.names import Vocabulary
from flawshot.inspect.asking.question import ask_rows
from flawshot.inspect.query import Condition
from helpers import box_shape, labelme_document


def box(label, x, y, width, height, **changes):
    return box_shape(label, points=[[x, y], [x + width, y], [x + width, y + height], [x, y + height]], **changes)


def rectangle(label, x, y, width, height):
    return box(label, x, y, width, height) | {"points": [[x, y], [x + width, y + height]], "shape_type": "rectangle"}


# Images are 120 px wide and 100 px high.
ANNOTATIONS = {
    "bolt/train/a.json": [
        box("scratch", 2, 2, 90, 4),
        box("scratch", 50, 45, 10, 8),
        box("scratch", 0, 60, 6, 30),
        box("scratch", 80, 80, 20, 15),
        box("dent", 100, 80, 15, 15),
    ],
    "bolt/test/b.json": [box("bent_lead", 5, 5, 20, 20), box("dent", 40, 3, 30, 20), rectangle("dent", 55, 48, 8, 8)],
    "nut/train/c.json": [box("scratch", 90, 5, 25, 70), box("cut", 10, 40, 12, 12), box("cut lead", 100, 40, 5, 30)],
    "nut/test/d.json": [rectangle("dent", 50, 85, 30, 10), box("BrokenEdge", 30, 30, 60, 40)],
    "nut/test/e.json": [box("dent", 4, 4, 10, 10), box("dent", 20, 20, 10, 10)],
    "hex_screw/f.json": [box("划痕", 10, 70, 40, 20), box("dent", 0, 0, 119, 99), box("cut", 90, 2, 9, 9)],
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    root = tmp_path_factory.mktemp("asked")
    for name, shapes in ANNOTATIONS.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(labelme_document(shapes, imagePath=f"{place.stem}.png")), encoding="utf-8")
    return Catalog.open(root)


def width(row):
    return row["x1"] - row["x0"]


def height(row):
    return row["y1"] - row["y0"]


def share(row):
    return Fraction(100 * row["area"], row["image_width"] * row["image_height"])


def where(row):
    """The ninth as the detailed annotations have it."""
    return ninth((row["x0"], row["y0"], row["x1"], row["y1"]), row["image_width"], row["image_height"])


def distance(row):
    return min(row["x0"], row["y0"], row["image_width"] - row["x1"], row["image_height"] - row["y1"])


def near_edge(row):
    return distance(row) < Fraction(min(row["image_width"], row["image_height"]), 20)


def any_row(_):
    return True


def is_(*categories):
    return lambda row: row["category"] in categories


NEAR = "20 * least(x0, y0, image_width - x1, image_height - y1) < least(image_width, image_height)"
LEFT, RIGHT = "3 * (x0 + x1) < 2 * image_width", "3 * (x0 + x1) >= 4 * image_width"
TOP, BOTTOM = "3 * (y0 + y1) < 2 * image_height", "3 * (y0 + y1) >= 4 * image_height"
CENTER = (
    "3 * (y0 + y1) >= 2 * image_height and 3 * (y0 + y1) < 4 * image_height and "
    "3 * (x0 + x1) >= 2 * image_width and 3 * (x0 + x1) < 4 * image_width"
)
SHARE = "100.0 * area / (image_width::double * image_height)"

# A question, its condition, and the same in Python.
QUESTIONS = [
    ("all defects", "true", any_row),
    ("show me everything, please", "true", any_row),
    ("scratches", "category = 'scratch'", is_("scratch")),
    ("SCRATCH", "category = 'scratch'", is_("scratch")),
    ("find all dents", "category = 'dent'", is_("dent")),
    ("bent leads", "category = 'bent_lead'", is_("bent_lead")),
    ("Bent-Lead", "category = 'bent_lead'", is_("bent_lead")),
    ("BentLead", "category = 'bent_lead'", is_("bent_lead")),
    ("broken edges", "category = 'BrokenEdge'", is_("BrokenEdge")),
    ("cut leads", "category = 'cut lead'", is_("cut lead")),
    ("cuts", "category = 'cut'", is_("cut")),
    ("cut and cut lead", "category in ('cut', 'cut lead')", is_("cut", "cut lead")),
    ("划痕", "category = '划痕'", is_("划痕")),
    ('"划痕"', "category = '划痕'", is_("划痕")),
    ("scratches and dents", "category in ('scratch', 'dent')", is_("scratch", "dent")),
    ("scratches, dents or cuts", "category in ('scratch', 'dent', 'cut')", is_("scratch", "dent", "cut")),
    ("not scratches", "not (category = 'scratch')", lambda row: row["category"] != "scratch"),
    (
        "defects except scratches and dents",
        "not (category in ('scratch', 'dent'))",
        lambda row: row["category"] not in {"scratch", "dent"},
    ),
    (
        "neither scratches nor dents",
        "not (category = 'scratch') and not (category = 'dent')",
        lambda row: row["category"] not in {"scratch", "dent"},
    ),
    ("what defects are there in bolts?", "product = 'bolt'", lambda row: row["product"] == "bolt"),
    (
        "bolt scratches",
        "product = 'bolt' and category = 'scratch'",
        lambda r: (r["product"], r["category"]) == ("bolt", "scratch"),
    ),
    (
        "dents on hex screws",
        "category = 'dent' and product = 'hex_screw'",
        lambda r: (r["product"], r["category"]) == ("hex_screw", "dent"),
    ),
    (
        "dents in nuts or bolts",
        "category = 'dent' and product in ('nut', 'bolt')",
        lambda r: r["category"] == "dent" and r["product"] in {"nut", "bolt"},
    ),
    (
        "dents outside bolts",
        "category = 'dent' and not (product = 'bolt')",
        lambda r: r["category"] == "dent" and r["product"] != "bolt",
    ),
    ("defects larger than 500 pixels", "area > 500", lambda r: r["area"] > 500),
    ("defects larger than 1,000 px", "area > 1000", lambda r: r["area"] > 1000),
    ("defects of more than 500 px²", "area > 500", lambda r: r["area"] > 500),
    ("smaller than or equal to 121 pixels", "area <= 121", lambda r: r["area"] <= 121),
    ("at least 651 px", "area >= 651", lambda r: r["area"] >= 651),
    ("no larger than 121 px", "not (area > 121)", lambda r: r["area"] <= 121),
    ("121 pixels or less", "area <= 121", lambda r: r["area"] <= 121),
    ("between 100 and 500 pixels", "area >= 100 and area <= 500", lambda r: 100 <= r["area"] <= 500),
    ("exactly 121 px", "area = 121", lambda r: r["area"] == 121),
    ("area >= 651", "area >= 651", lambda r: r["area"] >= 651),
    ("defects with an area of at least 5 % of the image", f"{SHARE} >= 5", lambda r: share(r) >= 5),
    ("larger than 2.5 percent", f"{SHARE} > 2.5", lambda r: share(r) > Fraction(5, 2)),
    ("wider than 40 pixels", "width > 40", lambda r: width(r) > 40),
    ("at least 50 px wide", "width >= 50", lambda r: width(r) >= 50),
    ("height below 10 px", "height < 10", lambda r: height(r) < 10),
    (
        "taller than 50 % of the image",
        "100.0 * height / image_height::double > 50",
        lambda r: 2 * height(r) > r["image_height"],
    ),
    ("longer than 60 px", "greatest(width, height) > 60", lambda r: max(width(r), height(r)) > 60),
    ("thinner than 8 px", "least(width, height) < 8", lambda r: min(width(r), height(r)) < 8),
    ("in the top left", f"{TOP} and {LEFT}", lambda r: where(r) == "upper left"),
    (
        "lower-right scratches",
        f"({BOTTOM} and {RIGHT}) and category = 'scratch'",
        lambda r: where(r) == "lower right" and r["category"] == "scratch",
    ),
    ("in the center of the image", CENTER, lambda r: where(r) == "center"),
    (
        "dents in the middle",
        f"category = 'dent' and ({CENTER})",
        lambda r: where(r) == "center" and r["category"] == "dent",
    ),
    ("on the left", LEFT, lambda r: where(r).endswith("left")),
    ("in the bottom third", BOTTOM, lambda r: where(r).startswith("lower")),
    ("in the right half", "x0 + x1 >= image_width", lambda r: r["x0"] + r["x1"] >= r["image_width"]),
    ("near the edge", NEAR, near_edge),
    ("close to the border of the image", NEAR, near_edge),
    ("edge defects", NEAR, near_edge),
    ("away from the edge", NEAR.replace("<", ">="), lambda r: not near_edge(r)),
    ("not near the edge", f"not ({NEAR})", lambda r: not near_edge(r)),
    ("near the left edge", "20 * x0 < least(image_width, image_height)", lambda r: r["x0"] < 5),
    ("touching the right edge", "(image_width - x1) = 0", lambda r: r["x1"] == r["image_width"]),
    ("within 3 px of the edge", "least(x0, y0, image_width - x1, image_height - y1) <= 3", lambda r: distance(r) <= 3),
    (
        "in a corner",
        f"({TOP} or {BOTTOM}) and ({LEFT} or {RIGHT})",
        lambda r: where(r) in {"upper left", "upper right", "lower left", "lower right"},
    ),
    ("in the upper right corner", f"{TOP} and {RIGHT}", lambda r: where(r) == "upper right"),
    (
        "top left or bottom right",
        f"({TOP} and {LEFT}) or ({BOTTOM} and {RIGHT})",
        lambda r: where(r) in {"upper left", "lower right"},
    ),
    (
        "in the top left and bottom right",
        f"({TOP} and {LEFT}) or ({BOTTOM} and {RIGHT})",
        lambda r: where(r) in {"upper left", "lower right"},
    ),
    ("everything but dents", "not (category = 'dent')", lambda r: r["category"] != "dent"),
    (
        "all defects but scratches and dents",
        "not (category in ('scratch', 'dent'))",
        lambda r: r["category"] not in {"scratch", "dent"},
    ),
    (
        "all scratches but not near the edge",
        f"category = 'scratch' and not ({NEAR})",
        lambda r: r["category"] == "scratch" and not near_edge(r),
    ),
    (
        "dents more than 20 pixels from the edge",
        "category = 'dent' and least(x0, y0, image_width - x1, image_height - y1) > 20",
        lambda r: r["category"] == "dent" and distance(r) > 20,
    ),
    ("20 px or more away from the left edge", "x0 >= 20", lambda r: r["x0"] >= 20),
    ("closer than 5 px to the top edge", "y0 < 5", lambda r: r["y0"] < 5),
    ("farther than 20 px from the left edge", "x0 > 20", lambda r: r["x0"] > 20),
    ("larger than .5 %", f"{SHARE} > 0.5", lambda r: share(r) > Fraction(1, 2)),
    (
        "near the left or right edge",
        "20 * least(x0, (image_width - x1)) < least(image_width, image_height)",
        lambda r: min(r["x0"], r["image_width"] - r["x1"]) < 5,
    ),
    (
        "not near the left or top edge",
        "not (20 * least(x0, y0) < least(image_width, image_height))",
        lambda r: min(r["x0"], r["y0"]) >= 5,
    ),
    (
        "far from the left and right edges",
        "20 * least(x0, (image_width - x1)) >= least(image_width, image_height)",
        lambda r: min(r["x0"], r["image_width"] - r["x1"]) >= 5,
    ),
    (
        "in the top or left half",
        "(y0 + y1 < image_height) or (x0 + x1 < image_width)",
        lambda r: r["y0"] + r["y1"] < r["image_height"] or r["x0"] + r["x1"] < r["image_width"],
    ),
    (
        "in the upper left or right corner",
        f"({TOP} and {LEFT}) or ({TOP} and {RIGHT})",
        lambda r: where(r) in {"upper left", "upper right"},
    ),
    (
        "dents in the top or bottom left corner",
        f"category = 'dent' and (({TOP} and {LEFT}) or ({BOTTOM} and {LEFT}))",
        lambda r: r["category"] == "dent" and where(r) in {"upper left", "lower left"},
    ),
    ("defects of type dent", "category = 'dent'", is_("dent")),
    ("either scratches & dents", "category in ('scratch', 'dent')", is_("scratch", "dent")),
    ("defects inside bolts!", "product = 'bolt'", lambda r: r["product"] == "bolt"),
    ("rectangles", "shape_type = 'rectangle'", lambda r: r["shape_type"] == "rectangle"),
    (
        "elongated polygons",
        "greatest(width, height) >= 3 * least(width, height) and shape_type = 'polygon'",
        lambda r: r["shape_type"] == "polygon" and max(width(r), height(r)) >= 3 * min(width(r), height(r)),
    ),
    ("in the test set", "coalesce(split, '') = 'test'", lambda r: r["split"] == "test"),
    ("not in the test set", "not (coalesce(split, '') = 'test')", lambda r: r["split"] != "test"),
    (
        "dents in training images",
        "category = 'dent' and coalesce(split, '') = 'train'",
        lambda r: (r["category"], r["split"]) == ("dent", "train"),
    ),
    ('defects in image "b.png"', "image = 'bolt/test/b.png'", lambda r: r["image"] == "bolt/test/b.png"),
    (
        "defects larger than 500 pixels in bolts, near the edge",
        f"area > 500 and product = 'bolt' and {NEAR}",
        lambda r: r["area"] > 500 and r["product"] == "bolt" and near_edge(r),
    ),
    (
        "scratches or dents larger than 80 px but not near the edge",
        f"category in ('scratch', 'dent') and area > 80 and not ({NEAR})",
        lambda r: r["category"] in {"scratch", "dent"} and r["area"] > 80 and not near_edge(r),
    ),
    (
        "scratches in bolts and dents in nuts",
        "(category = 'scratch' and product = 'bolt') or (category = 'dent' and product = 'nut')",
        lambda r: (r["category"], r["product"]) in {("scratch", "bolt"), ("dent", "nut")},
    ),
    (
        "dents larger than 500 px or near the edge",
        f"category = 'dent' and (area > 500 or {NEAR})",
        lambda r: r["category"] == "dent" and (r["area"] > 500 or near_edge(r)),
    ),
    (
        "cuts in nuts or defects larger than 2000 px",
        "(category = 'cut' and product = 'nut') or area > 2000",
        lambda r: (r["category"], r["product"]) == ("cut", "nut") or r["area"] > 2000,
    ),
]


@pytest.mark.parametrize(("text", "condition", "holds"), QUESTIONS, ids=[each[0] for each in QUESTIONS])
def test_questions_mean_what_they_say(catalog, text, condition, holds):
    asked = read_question(text, catalog)
    assert not asked.unknown
    assert asked.condition == condition
    found = ask_catalog(catalog, text)
    rows = catalog.table.drop(["geometry"]).to_pylist()
    assert found.column("id") == [row["id"] for row in rows if holds(row)]
    assert len(found)


# A question about images, and which images it means; then which of their instances are listed.
ON_IMAGES = [
    ("images with more than 3 scratches", lambda n: n("scratch") > 3, is_("scratch")),
    ("images with 2 dents", lambda n: n("dent") == 2, is_("dent")),
    ("images with at least two dents", lambda n: n("dent") >= 2, is_("dent")),
    ("pictures with several dents", lambda n: n("dent") >= 2, is_("dent")),
    ("images without scratches", lambda n: not n("scratch"), any_row),
    ("images with no dents", lambda n: not n("dent"), any_row),
    ("images with scratches and dents", lambda n: n("scratch") and n("dent"), is_("scratch", "dent")),
    ("images with scratches or cuts", lambda n: n("scratch") + n("cut") > 0, is_("scratch", "cut")),
    ("images with scratches but no dents", lambda n: n("scratch") and not n("dent"), is_("scratch")),
    ("images with no more than 1 dent", lambda n: n("dent") <= 1, any_row),
    ("more than 3 scratches per image", lambda n: n("scratch") > 3, is_("scratch")),
    ("images with between 2 and 3 dents", lambda n: 2 <= n("dent") <= 3, is_("dent")),
    ("images without dents and 划痕", lambda n: not n("dent") and not n("划痕"), any_row),
    ("images without dents, 划痕 and bent leads", lambda n: not n("dent") and not n("bent_lead"), any_row),
    ("images with neither dents nor 划痕", lambda n: not n("dent") and not n("划痕"), any_row),
    ("images without scratches, and with dents", lambda n: not n("scratch") and n("dent"), is_("dent")),
    ("images with cuts and no dents and bent leads", lambda n: n("cut") and not n("dent"), is_("cut")),
    ("dents on images with scratches", lambda n: n("scratch"), is_("dent")),
]


@pytest.mark.parametrize(("text", "image_holds", "listed"), ON_IMAGES, ids=[each[0] for each in ON_IMAGES])
def test_counts_are_counts_of_an_images_instances(catalog, text, image_holds, listed):
    asked = read_question(text, catalog)
    assert not asked.unknown, asked.unknown
    rows = catalog.table.drop(["geometry"]).to_pylist()

    def fits(image):
        return image_holds(lambda label: sum(row["image"] == image and row["category"] == label for row in rows))

    expected = [row["id"] for row in rows if listed(row) and fits(row["image"])]
    assert ask_catalog(catalog, text).column("id") == expected
    assert expected


def test_products_with_counts_and_sizes_of_what_is_counted(catalog):
    assert ask_catalog(catalog, "bolts with more than 3 scratches").column("category") == ["scratch"] * 4
    assert len(ask_catalog(catalog, "nuts with more than 3 scratches")) == 0
    asked = ask_catalog(catalog, "images of bolts with at least 2 scratches larger than 300 px")
    assert asked.column("area") == [area for area in asked.column("area") if area > 300]
    assert len(asked) == 2
    asked = ask_catalog(catalog, "images with defects of an area over 500 px")
    assert asked.column("area") == [area for area in asked.column("area") if area > 500]


def test_the_largest_come_first(catalog):
    areas = sorted(catalog.column("area"), reverse=True)
    assert ask_catalog(catalog, "the 3 largest defects").column("area") == areas[:3]
    assert ask_catalog(catalog, "top 3 largest defects").column("area") == areas[:3]
    assert ask_catalog(catalog, "top 3 defects").column("area") == areas[:3]
    assert ask_catalog(catalog, "the largest 3").column("area") == areas[:3]
    assert ask_catalog(catalog, "smallest defects").column("area") == areas[::-1]
    assert ask_catalog(catalog, "largest defects", limit=2).column("area") == areas[:2]
    boxes = ask_catalog(catalog, "the two widest dents")
    widths = [x1 - x0 for x0, x1 in zip(boxes.column("x0"), boxes.column("x1"), strict=True)]
    assert widths == [120, 31]


def test_how_many_counts(catalog):
    asked = read_question("how many dents are there in nuts?", catalog)
    assert asked.counting
    assert len(ask_rows(catalog, asked)) == 3


NOT_UNDERSTOOD = [
    ("shiny scratches", ["shiny"], []),
    ("not shiny scratches", ["not shiny"], []),
    ("scraches", ["scraches"], ["scratch"]),
    ("dents larger then 500 px", ["larger", "then", "500", "px"], None),
    ("defects of 3 mm", ["3", "mm"], None),
    ("defects wider than 3 mm", ["mm"], None),
    ("about 500 pixels", ["about", "500", "pixels"], None),
    ("3 scratches", ["3"], None),
    ("images with only scratches", ["only"], None),
    ("more than 5000", ["more than 5000"], None),
    ('"scratchy"', ["scratchy"], ["scratch"]),
    ('defects in image "nowhere.png"', ["nowhere.png"], None),
    ("scratches not", ["not"], None),
    ("largest and smallest dents", ["smallest"], None),
    ("larger than 999999999999999999999 px", None, None),
    ("dents larger than average", None, None),
    ("the largest dent per image", ["per image"], None),
    ("dents or", ["or"], None),
    ("images with dents or without scratches", ["or"], None),
    ("images with 2 dents or more than 3 scratches", ["or"], None),
    ("dents of the same product", ["same", "product"], None),
    ("dents next to scratches", ["next"], None),
    ("dents of 100 px", ["100", "px"], None),
    ("large dents", ["large"], ["larger", "largest"]),
    ("scratches with dents", ["with dents"], []),
    ("all but the largest", ["but largest"], None),
    ("except the largest dents", ["except largest"], None),
    ("all scratches but those near the edge", ["but"], None),
    ("all images but those with dents", ["but"], None),
    ("not all scratches", ["not all"], None),
    ("not only scratches but also dents", ["not only"], None),
    ("dents more than 5 % from the edge", ["more than 5 % from the edge"], None),
    ("dents larger than 20 px from the edge", ["larger than 20 px from the edge"], None),
    ("dents more than 20 px from the center", ["more than 20 px from"], None),
    ("dents more than 20 from the edge", ["more than 20 from the edge"], None),
    ("dents more than 20 px away from cuts", ["more than 20 px away from"], None),
    ("dents from the left edge", ["from"], None),
    ("more than 20 pixels to the left", ["more than 20 pixels to"], None),
    ("less than 10 px of the image", ["less than 10 px of"], None),
    ("images where all defects are scratches", ["all"], None),
    ("area != 500 pixels", ["area", "!=", "500", "pixels"], None),
    ("!scratches", ["!"], None),
    ("dents larger than -5 pixels", ["larger", "than", "-", "5", "pixels"], None),
    ("dents larger than - 5 px", ["larger", "than", "-", "5", "px"], None),
    ("area>−5 px", ["area", ">", "−", "5", "px"], None),
    ("dents ~500", ["~", "500"], None),
    ("dents 🔥", ["🔥"], None),
    ("dents+", ["+"], None),
    ("(scratches or dents) in bolts", ["(", ")"], None),
    ("scratches/dents", ["/"], None),
    ('dents "', ['"'], None),
    ("near the top and bottom edges", ["near the top and bottom edges"], None),
    ("touching the left edge or the right edge", ["touching the left edge or the"], None),
    ("away from the edge and corners", ["away from the edge and corners"], None),
    ("within 3 px of the left edge or the top edge", ["within 3 px of the left edge or the"], None),
    ("in the top or bottom left", ["in the top or bottom left"], None),
    ("in the top and left half", ["in the top and left half"], None),
    ("in the upper left or lower corner", ["in the upper left or lower corner"], None),
    ("not near the edge or in the corner", ["or in the corner"], None),
    ("not smaller than 50 px or larger than 500 px", ["or larger than 500 px"], None),
    ("without scratches or near the edge", ["or near the edge"], None),
    ("not near the edge or dents", ["or dents"], None),
    ("all defects except scratches larger than 500 px", ["except scratches larger than 500 px"], None),
    ("excluding scratches in bolts", ["excluding scratches bolts"], None),
    ("except bolt scratches", ["except bolt scratches"], None),
    ("not bolt scratches", ["not bolt scratches"], None),
    ("images without scratches but dents", ["but dents"], None),
    ("images with 2 scratches and dents", ["and dents"], None),
    ("bolts without scratches", ["without scratches"], None),
    ("images without scratches in bolts", ["bolts"], None),
    ("defects in bolts and scratches in nuts", ["nuts"], None),
    ("bolts scratches and nuts dents", ["nuts"], None),
    ("test scratches and train dents", ["train"], None),
    ("scratches in bolts dents in nuts", ["dents"], None),
    ("how many categories are there", ["categories"], None),
    ("how many products have scratches", ["products"], None),
    ("how many images are there", ["images"], None),
    ("how many test images are there", ["images"], None),
    ("how many images without scratches", ["images"], None),
    ("products without scratches", ["products"], None),
    ("the largest defect of each category", ["each", "category"], None),
    ("the largest defect in every image", ["in every image"], None),
    ("images wider than 1000 px", ["wider than 1000 px"], None),
    ("scratches in images smaller than 500 px", ["smaller than 500 px"], None),
    ("images with an area over 500 px", ["area over 500 px"], None),
    ("the largest images", ["images"], None),
    ("scratches over 500 near the edge", ["over 500"], None),
    ("images with more than 3 near the edge", ["more than 3"], None),
    ("dents to the right of scratches", ["right of"], None),
    ("left of the dents", ["left of"], None),
    ("near the edge of bolts", ["near the edge of"], None),
    ("top 5 % dents", ["5", "%"], None),
]


@pytest.mark.parametrize(("text", "words", "near"), NOT_UNDERSTOOD, ids=[each[0] for each in NOT_UNDERSTOOD])
def test_what_is_not_understood_is_said_and_not_guessed(catalog, text, words, near):
    asked = read_question(text, catalog)
    assert asked.unknown
    if words is not None:
        assert [each.said for each in asked.unknown] == words
    if near is not None:
        assert [each for unknown in asked.unknown for each in unknown.near][: len(near)] == near
    with pytest.raises(FlawshotError, match="not understood") as caught:
        ask_catalog(catalog, text)
    for each in asked.unknown:
        assert f'"{each.said}"' in str(caught.value)


def test_unknown_words_can_be_ignored_but_a_question_of_nothing_else_cannot(catalog):
    assert ask_catalog(catalog, "shiny scratches", anyway=True).column("category") == ["scratch"] * 5
    # The negation belongs to the word that is ignored.
    assert ask_catalog(catalog, "not shiny scratches", anyway=True).column("category") == ["scratch"] * 5
    for text in ("hello", "the of", "; --", "???"):
        with pytest.raises(FlawshotError):
            ask_catalog(catalog, text, anyway=True)
    for text in ("", "  ", "x" * 1001, "a\0b", "a\ud800"):
        with pytest.raises(FlawshotError, match="question"):
            read_question(text, catalog)


NAMES = Vocabulary.from_names(
    ["capsule", "in", "Dent", "pcb", "left"],
    [
        "dent",
        "Dent",
        "capsule",
        "in",
        "all",
        "select",
        "1",
        "x'; drop",
        "hole in center",
        "edge",
        'a"b',
        "???",
        "cut",
        "cut lead",
        "PCBTrack",
        "leaf",
        "A+",
        "🔥",
        '5" hole',
        "e\u0301t\u00e9",
    ],
    ["x/e\u0301.png"],
)


@pytest.mark.parametrize(
    ("text", "condition", "note"),
    [
        ("capsule", "category = 'capsule'", "is a product and a category; here it is the category"),
        ("defects in capsules", "product = 'capsule'", "is a product and a category; here it is the product"),
        ("defects in capsule with capsule", "product = 'capsule' and category = 'capsule'", "here it is the product"),
        ('"in"', "category = 'in'", "is a product and a category"),
        ('defects in "in"', "product = 'in'", "is a product and a category"),
        ("all capsule", "category = 'capsule'", '"all" is a word of the language here; for the category of this name'),
        ('"all"', "category = 'all'", None),
        ("select", "category = 'select'", None),
        ("1", "category = '1'", None),
        ("x'; drop", "category = 'x''; drop'", None),
        ('"x\'; drop"', "category = 'x''; drop'", None),
        ("hole in center", "category = 'hole in center'", None),
        ("holes in center", None, None),
        ("edge", "category = 'edge'", "is the name in the data here"),
        ('a"b', "category = 'a\"b'", None),
        ('"???"', "category = '???'", None),
        ("cut lead", "category = 'cut lead'", None),
        ("PCB tracks", "category = 'PCBTrack'", None),
        ("defects on PCBs", "product = 'pcb'", None),
        ("leaves", "category = 'leaf'", None),
        ('"Dent"', "category = 'Dent'", "is a product and a category"),
        ("dent", "category in ('dent', 'Dent')", "fits several names, and all are meant: dent, Dent"),
        ("A+", "category = 'A+'", None),
        ("🔥", "category = '🔥'", None),
        ('"5"" hole"', "category = '5\" hole'", None),
        ("'5\" hole'", "category = '5\" hole'", None),
        ('"5" hole"', None, None),
        ('"\u00e9t\u00e9"', "category = 'e\u0301t\u00e9'", None),
        ('"e\u0301te\u0301"', "category = 'e\u0301t\u00e9'", None),
        ('image "\u00e9.png"', "image = 'x/e\u0301.png'", None),
        ("defects in left", "product = 'left'", "is the name in the data here"),
        ("defects near left", None, None),
        ("defects in the left of the image", LEFT, None),
        ("cut, not cut lead", "category = 'cut' and not (category = 'cut lead')", None),
    ],
)
def test_names_that_are_hard(text, condition, note):
    asked = read_question(text, NAMES)
    if condition is None:
        assert asked.unknown
        return
    assert not asked.unknown
    assert asked.condition == condition
    Condition.parse(asked.condition)
    if note is None:
        assert not any("name" in each for each in asked.notes)
    else:
        assert any(note in each for each in asked.notes), asked.notes


WORDS = st.sampled_from(
    """
    scratch dents cut lead bolt not no without or and , but images with more than 3 5,000 px % larger smaller at least
    between near the edge top left corner half in of "in" '; -- " ' ( ) ??? 划痕 within touching away from 5 largest per
    image only how many several neither nor elongated polygon test set or more exactly size width of drop table
    """.split()  # noqa: SIM905
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.lists(WORDS, min_size=1, max_size=14).map(" ".join), st.text(max_size=60)))
def test_any_text_is_read_or_refused_and_is_always_one_harmless_condition(text):
    names = Vocabulary.from_names(["bolt"], ["scratch", "dent", "cut", "cut lead", "划痕", "o'; select 1; --"])
    try:
        asked = read_question(text, names)
    except FlawshotError:
        return
    assert read_question(text, names) == asked
    for sql in (asked.condition, *(each.counted.sql for each in asked.images)):
        Condition.parse(sql)  # refuses all that is not one condition on the catalog's columns
    assert asked.explained()
    for each in asked.unknown:
        assert all(word in unicodedata.normalize("NFC", text) for word in each.said.split())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=30).filter(lambda label: "\0" not in label and label.strip()))
def test_any_label_in_quotes_is_that_label(label):
    names = Vocabulary.from_names([], [label, "other"])
    if any(quote in label for quote in "\"'`“”‘’«»„"):
        return
    if any("\ud800" <= letter <= "\udfff" for letter in label) or not label[0].strip() or not label[-1].strip():
        return
    asked = read_question(f'"{label}"', names)
    assert asked.condition == "category = '" + label.replace("'", "''") + "'"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(WORDS, min_size=1, max_size=10).map(" ".join))
def test_any_question_can_be_run(catalog, text):
    asked = read_question(text, catalog)
    rows = ask_rows(catalog, asked, limit=5)
    assert len(set(rows)) == len(rows) <= 5


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("scratches and dents", '"and" means either, because an instance has one category'),
        ("scratches, dents", None),
        ("scratch dents", '"scratch" beside "dents" means either'),
        ("scratches without dents", '"on images without dents" is about the other instances'),
        ("scratches in bolts and dents in nuts", "each alternative has only the conditions listed below it"),
        ("top left and bottom right", '"top left" and "bottom right" exclude each other, so either is meant'),
        ("images without dents", "images without any annotation are not in the data, and not listed"),
    ],
)
def test_what_could_have_been_meant_differently_is_noted(catalog, text, note):
    notes = read_question(text, catalog).notes
    assert bool(notes) == bool(note)
    assert all(note in each for each in notes)


def test_what_was_understood_is_explained_in_the_words_of_the_question(catalog):
    text = "which images of BOLTS have more than 3 scratches, but no 'bent_lead'?"
    assert read_question(text, catalog).explained() == [
        'understood: product is bolt ("BOLTS")',
        "understood: on images with more than 3 instances with:",
        'understood:   category is scratch ("scratches")',
        "understood: on images with exactly 0 instances with:",
        'understood:   category is bent_lead ("bent_lead")',
        "condition: product = 'bolt' and category = 'scratch'",
        "on images with more than 3 of: category = 'scratch'",
        "on images with exactly 0 of: category = 'bent_lead'",
        "note: images without any annotation are not in the data, and not listed",
    ]
    assert read_question("all defects", catalog).explained() == ["understood: all instances", "condition: true"]


REAL = [
    ("scratches on metal nuts", lambda r: (r["category"], r["product"]) == ("scratch", "metal_nut")),
    ("bent wires or cable swaps in cables", lambda r: r["category"] in {"bent_wire", "cable_swap"}),
    ("cut inner insulation larger than 1 %", lambda r: r["category"] == "cut_inner_insulation" and share(r) > 1),
    ("cut lead", is_("cut_lead")),
    (
        "thread tops and thread sides on screws, not near the edge",
        lambda r: r["category"] in {"thread_top", "thread_side"} and not near_edge(r),
    ),
    (
        "all defects in leather except holes and cuts",
        lambda r: r["category"] not in {"hole", "cut"} and r["product"] == "leather",
    ),
    ("defects bigger than 2% in the lower left corner", lambda r: share(r) > 2 and where(r) == "lower left"),
]


@pytest.mark.parametrize(("text", "holds"), REAL, ids=[each[0] for each in REAL])
def test_real_names(mvtec_fs_catalog, text, holds):
    rows = mvtec_fs_catalog.table.drop(["geometry"]).to_pylist()
    expected = [row["id"] for row in rows if holds(row)]
    assert expected
    assert ask_catalog(mvtec_fs_catalog, text).column("id") == expected
