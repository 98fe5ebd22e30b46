"""The VGG Image Annotator's JSON becomes Labelme files; this covers ``via_regions``, too."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from flawshot import Catalog, FlawshotError, import_via, read_labelme

RECT = {"name": "rect", "x": 3, "y": 4, "width": 5, "height": 6}


def region(shape=RECT, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def entry(*regions, filename="a.png", **more):
    return {"filename": filename, "size": 12, "regions": list(regions), "file_attributes": {}} | more


def project(entries, attributes=None):
    images = {f"{each['filename']}{each['size']}": each for each in entries}
    defined = {"region": attributes or {}, "file": {}}
    return {"_via_settings": {"ui": {}}, "_via_img_metadata": images, "_via_attributes": defined}


def version_1(entries):
    made = {}
    for each in entries:
        numbered = {str(number): region for number, region in enumerate(each["regions"])}
        made[each["filename"]] = each | {"regions": numbered, "fileref": "", "base64_img_data": ""}
    return made


ALL = [
    entry(
        region(defect="dent"),
        region({"name": "circle", "cx": 20, "cy": 15, "r": 5}, defect="hole"),
        region({"name": "ellipse", "cx": 20, "cy": 15, "rx": 8, "ry": 4}, defect="hole"),
        region({"name": "polygon", "all_points_x": [1, 9, 9, 1], "all_points_y": [1, 1, 8, 1]}, defect="dent"),
        region({"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 8]}, defect="crack"),
        region({"name": "point", "cx": 5, "cy": 6}, defect="pore"),
    ),
    entry(filename="b.png"),
]


@pytest.mark.parametrize(
    "document",
    [project(ALL), project(ALL)["_via_img_metadata"], version_1(ALL)],
    ids=["project", "exported", "version 1"],
)
def test_all_versions_and_shapes(make_source, tmp_path, document):
    found = import_via(make_source({"p.json": document}, ["a.png", "b.png"]), tmp_path / "out")
    assert (found.files, found.instances, found.images, found.problems) == (2, 6, 2, ())
    shapes = read_labelme(tmp_path / "out/src/a.json").shapes
    types = ["rectangle", "circle", "polygon", "polygon", "linestrip", "point"]
    assert [shape.shape_type for shape in shapes] == types
    assert np.array_equal(shapes[1].points, [[20, 15], [25, 15]])
    assert np.array_equal(shapes[3].points, [[1, 1], [9, 1], [9, 8]])  # its last point repeats the first
    catalog = Catalog.open(tmp_path / "out")
    assert (catalog[0].category, catalog[0].box) == ("dent", (3, 4, 8, 10))
    assert len(read_labelme(tmp_path / "out/src/b.json").shapes) == 0


def test_an_ellipse_is_turned_by_theta_and_as_large_as_it_is(make_source, tmp_path):
    shape = {"name": "ellipse", "cx": 200, "cy": 150, "rx": 80, "ry": 40, "theta": math.pi / 2}
    src = make_source({"p.json": project([entry(region(shape, defect="hole"))])}, ["a.png"], size=(400, 300))
    import_via(src, tmp_path / "out")
    (instance,) = Catalog.open(tmp_path / "out")
    assert np.abs(np.subtract(instance.box, (160, 70, 241, 231))).max() <= 1
    assert abs(instance.area - math.pi * 80 * 40) < 300  # an outline of 390 px is half outside


def test_texts_of_options_and_other_attributes(make_source, tmp_path):
    told = {"defect": "1", "sure": True, "kinds": {"a": True, "b": False}, "note": "x", "depth": 3}
    attributes = {"defect": {"type": "dropdown", "options": {"1": "dent", "2": "hole"}}}
    import_via(make_source({"p.json": project([entry(region(**told))], attributes)}, ["a.png"]), tmp_path / "out")
    (shape,) = read_labelme(tmp_path / "out/src/a.json").shapes
    assert (shape.label, shape.flags) == ("dent", {"sure": True})
    assert shape.description == "kinds: a; note: x; depth: 3"


@pytest.mark.parametrize(
    ("attributes", "label", "made"),
    [
        ({"anything": "x"}, None, "x"),
        ({"quality": "good", "Class": "x"}, None, "x"),
        ({"one": "x", "two": "y"}, "two", "y"),
        ({"one": {"x": True, "y": False}}, None, "x"),
        ({}, None, ""),
    ],
)
def test_the_category_is_guessed_or_named(make_source, tmp_path, attributes, label, made):
    src = make_source({"p.json": project([entry(region(**attributes))])}, ["a.png"])
    import_via(src, tmp_path / "out", label=label)
    assert [shape.label for shape in read_labelme(tmp_path / "out/src/a.json").shapes] == [made]


def test_an_ambiguous_category_is_one_line(make_source, tmp_path):
    src = make_source({"p.json": project([entry(region(one="x", two="y"))])}, ["a.png"])
    with pytest.raises(FlawshotError, match=r"p\.json: regions have the attributes one, two; say which one .* label"):
        import_via(src / "p.json", tmp_path / "out")
    with pytest.raises(FlawshotError, match="'three': no region has this attribute, only one, two"):
        import_via(src / "p.json", tmp_path / "out", label="three")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (region({"name": "rect", "x": 3, "y": 4, "width": -5, "height": 6}, defect="a"), "covers no area"),
        (region({"name": "rect", "x": "3", "y": 4, "width": 5}, defect="a"), "height: None is not a finite number"),
        (region({"name": "rect", "x": [], "y": 4, "width": 5, "height": 6}, defect="a"), "x: a list is not a finite"),
        (
            region({"name": "rect", "x": 10**400, "y": 4, "width": 5, "height": 6}, defect="a"),
            "x: a huge number is not",
        ),
        (region({"name": "circle", "cx": 1, "cy": 1, "r": 0}, defect="a"), "covers no area"),
        (region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, defect="a"), "at least 3 points"),
        (region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, defect="a"), "of the same length"),
        (region({"name": "star"}, defect="a"), "its shape 'star' is not known"),
        (region({"name": 7}, defect="a"), "its shape 'no text' is not known"),
        (region(None, defect="a"), "has no shape_attributes"),
        (region(defect={"a": True, "b": True}), "its defect has several values: a, b"),
        (region({"name": "rect", "x": 90, "y": 4, "width": 5, "height": 6}, defect="a"), "lies outside the image"),
        (7, "has no shape_attributes"),
        (region(defect="dent"), "repeats p.json: image a.png: region 0"),
    ],
)
def test_a_region_that_is_none_is_left_out_and_said(make_source, tmp_path, broken, said):
    src = make_source({"p.json": project([entry(region(defect="dent"), broken)])}, ["a.png"])
    found = import_via(src, tmp_path / "out")
    (problem,) = found.problems
    assert str(problem).startswith("p.json: image a.png: region 1: ")
    assert said in str(problem)
    assert str(problem).endswith("; it is left out")
    assert found.instances == 1


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "must be an object with one entry per image"),
        ({}, "it has no images"),
        ({"a": {"filename": 7, "regions": []}}, "'a' must have a filename and regions"),
        ({"shapes": [], "imagePath": "a.png"}, "'shapes' must have a filename and regions"),
        ({"project": {}, "metadata": {}}, "is a project of VIA 3; export it as COCO"),
        ("{", "JSON"),
    ],
)
def test_other_files_are_one_line(make_source, tmp_path, document, said):
    src = make_source({"p.json": document})
    with pytest.raises(FlawshotError, match=said) as told:
        import_via(src / "p.json", tmp_path / "out")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["../../x.png", "..\\x.png", "/etc/passwd", "https://x.example/a/b.png?c=1"])
def test_paths_that_lead_out_of_the_folder_reach_nothing_there(make_source, tmp_path, name):
    src = make_source({"p.json": json.dumps(project([entry(region(defect="dent"), filename=name)]))})
    make_source(images=["x.png"], name=".")
    found = import_via(src, tmp_path / "deep/out")
    assert (found.images, len(found.missing)) == (0, 1)
    assert [path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*.json") if path.parent != src] == [
        ("deep", "out", "src")
    ]


def test_one_image_twice_is_said(make_source, tmp_path):
    document = {"a": entry(region(defect="dent")), "b": entry(region(defect="hole"))}
    found = import_via(make_source({"p.json": document}, ["a.png"]), tmp_path / "out")
    assert (found.files, [problem.kind for problem in found.problems]) == (1, ["same-name"])
