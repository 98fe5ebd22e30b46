"""Label Studio's JSON becomes Labelme files; this covers ``label_studio_regions``, too."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from brush_encoder import encode
from flawshot import Catalog, FlawshotError, import_label_studio, read_labelme

WIDTH, HEIGHT = 40, 30


def result(name="r", kind="rectangle", label="dent", **value):
    labels = {} if label is None else {f"{kind}labels": [label]}
    return {
        "id": name, "type": f"{kind}labels", "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0,
        "from_name": "label", "to_name": "image", "value": value | labels,
    }  # fmt: skip


BOX = {"x": 10, "y": 10, "width": 25, "height": 20, "rotation": 0}


def task(*results, image="/data/upload/1/0a1b2c3d-a.png", number=1, **more):
    return {"id": number, "data": {"image": image}, "annotations": [{"id": 5, "result": list(results)}]} | more


def instances(root):
    return [(each.category, each.box, each.shape_type) for each in Catalog.open(root)]


@pytest.mark.parametrize(
    ("region", "made"),
    [
        (result(**BOX), ("dent", (4, 3, 14, 9), "rectangle")),
        # A quarter turn about the first corner, (20, 15).
        (result(x=50, y=50, width=25, height=20, rotation=90), ("dent", (14, 15, 20, 25), "rectangle")),
        (result(x=50, y=50, width=25, height=20, rotation=45), ("dent", (15, 15, 28, 27), "polygon")),
        (result(kind="polygon", points=[[10, 10], [50, 10], [50, 60]]), ("dent", (4, 3, 21, 19), "polygon")),
        (result(kind="ellipse", x=50, y=50, radiusX=20, radiusY=20), ("dent", (12, 9, 29, 22), "polygon")),
        (result(kind="keypoint", x=50, y=50, width=1), ("dent", (15, 10, 26, 21), "point")),
    ],
)
def test_each_shape(make_source, tmp_path, region, made):
    found = import_label_studio(make_source({"e.json": [task(region)]}, ["a.png"]), tmp_path / "out")
    assert (found.images, found.problems) == (1, ())
    assert instances(tmp_path / "out") == [made]
    assert (tmp_path / "out/src/a.json").is_file()


def test_a_turned_box_has_the_corners_of_label_studios_own_converter(make_source, tmp_path):
    utils = pytest.importorskip("label_studio_sdk.converter.utils", reason="label-studio-sdk is not installed")
    value = {"x": 50.0, "y": 40.0, "width": 25.0, "height": 20.0, "rotation": 30.0}
    import_label_studio(make_source({"e.json": [task(result(**value))]}, ["a.png"]), tmp_path / "out")
    (shape,) = read_labelme(tmp_path / "out/src/a.json").shapes
    theirs = utils.convert_annotation_to_yolo_obb(
        value | {"original_width": 40, "original_height": 30}, normalize=False
    )
    assert np.allclose(shape.points, theirs)


def test_brushes_keep_exactly_their_pixels(make_source, tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[5:9, 7:20] = True
    mask[6, 8] = False
    region = result(kind="brush", format="rle", rle=encode(mask))
    import_label_studio(make_source({"e.json": [task(region)]}, ["a.png"]), tmp_path / "out")
    (instance,) = Catalog.open(tmp_path / "out")
    assert (instance.box, instance.area, instance.shape_type) == ((7, 5, 20, 9), 51, "mask")


def test_results_of_one_id_are_one_region(make_source, tmp_path):
    common = {"id": "r", "original_width": WIDTH, "original_height": HEIGHT}
    results = [
        common | {"type": "rectangle", "value": BOX},
        common | {"type": "labels", "value": BOX | {"labels": ["hole"]}},
        common | {"type": "choices", "value": BOX | {"choices": ["deep"]}},
        common | {"type": "textarea", "value": BOX | {"text": ["near the edge"]}},
        {"id": "c", "type": "choices", "value": {"choices": ["reject"]}},
    ]
    found = import_label_studio(make_source({"e.json": [task(*results)]}, ["a.png"]), tmp_path / "out")
    file = read_labelme(tmp_path / "out/src/a.json")
    assert (found.problems, file.flags) == ((), {"reject": True})
    assert [(shape.label, shape.description) for shape in file.shapes] == [("hole", "deep; near the edge")]


@pytest.mark.parametrize(
    ("annotations", "label", "said"),
    [
        ([{"id": 1, "updated_at": "2024-02-01"}, {"id": 2, "updated_at": "2024-01-01"}], "1", "left out: 2"),
        ([{"id": 1}, {"id": 2}, {"id": 3}], "3", "annotation 3 is used; left out: 1, 2"),
        ([{"id": 1, "ground_truth": True, "completed_by": {"email": "a@b.c"}}, {"id": 2, "completed_by": 7}], "1",
         "annotation 1 by a@b.c is used; left out: 2 by 7"),
        ([{"id": 1}, {"id": 2, "was_cancelled": True}], "1", "1 skipped annotations are left out"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["annotations", "completions"])
def test_of_several_annotations_one_is_taken_and_the_rest_named(make_source, tmp_path, annotations, label, said, key):
    made = [each | {"result": [result(label=str(each["id"]), **BOX)]} for each in annotations]
    document = [{"id": 1, "data": {"image": "a.png"}, key: made}]
    found = import_label_studio(make_source({"e.json": document}, ["a.png"]), tmp_path / "out")
    (problem,) = found.problems
    assert (found.categories, problem.severity) == ((label,), "warning")
    assert said in str(problem)


def test_images_without_a_flaw_and_tasks_without_an_annotation(make_source, tmp_path):
    document = [task(image="a.png"), task(image="b.png", annotations=[], number=2)]
    found = import_label_studio(make_source({"e.json": document}, ["a.png", "b.png"]), tmp_path / "out")
    assert (found.files, found.instances) == (1, 0)
    assert [str(problem) for problem in found.problems] == ["e.json: task 2: has no annotation; it is left out"]


def test_json_min(make_source, tmp_path):
    value = BOX | {"rectanglelabels": ["dent"], "original_width": WIDTH, "original_height": HEIGHT}
    document = [
        {"id": 1, "image": "/data/upload/1/0a1b2c3d-a.png", "label": [value], "annotator": 1, "annotation_id": 5},
        {"id": 2, "image": "/data/upload/1/0a1b2c3d-b.png", "annotator": 1, "annotation_id": 6},
    ]
    found = import_label_studio(make_source({"e.json": document}, ["a.png", "b.png"]), tmp_path / "out")
    assert (found.files, found.problems) == (2, ())
    assert instances(tmp_path / "out") == [("dent", (4, 3, 14, 9), "rectangle")]


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/3/0a1b2c3d-a.png",
        "/data/local-files/?d=line%201/a.png",
        "http://localhost:8080/data/local-files/?d=x/a.png",
        "https://host.example/bucket/a.png?X-Amz-Signature=1",
        "s3://bucket/folder/a.png",
        "file:///home/me/a.png",
        "C:\\line\\a.png",
        "a.png",
    ],
)
def test_images_are_found_by_all_kinds_of_addresses(make_source, tmp_path, image):
    src = make_source({"e.json": [task(result(**BOX), image=image)]}, ["pictures/a.png"])
    found = import_label_studio(src, tmp_path / "out")
    assert (found.images, found.problems, found.missing) == (1, (), ())
    assert (tmp_path / "out/src/a.json").is_file()


@pytest.mark.parametrize("image", ["../../x.png", "/data/local-files/?d=../../x.png", "/etc/x.png", "{outside}/x.png"])
def test_paths_that_lead_out_of_the_folder_reach_nothing_there(make_source, tmp_path, image):
    outside = make_source(images=["x.png"], name="outside")
    src = make_source({"e.json": [task(result(**BOX), image=image.format(outside=outside))]})
    found = import_label_studio(src, tmp_path / "out")
    assert (found.images, len(found.missing)) == (0, 1)
    assert [path.parent.parent.name for path in (tmp_path / "out").rglob("*.json")] == ["out"]


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (result("q", x=float("nan"), y=1, width=2, height=3), "x: nan is not a finite number"),
        (result("q", x="a", y=1, width=2, height=3), "x: 'a' is not a finite number"),
        (result("q", x=1, y=1, width=-2, height=3), "covers no area"),
        (result("q", x=1, y=1, width=None, height=3), "width: None is not a finite number"),
        (result("q", x=1, y=1, width=9, height=9, rotation="x"), "rotation: 'x' is not a finite number"),
        (result("q", x=100, y=1, width=9, height=9), "lies outside the image"),
        (result("q", kind="polygon", points=[[1, 1], [2, 2]]), "a polygon needs at least 3 points"),
        (result("q", kind="polygon", points=[[1, 1], [2], [3, 3]]), "points must be pairs"),
        (result("q", kind="ellipse", x=1, y=1, radiusX=0, radiusY=1), "covers no area"),
        (result("q", kind="brush", format="rle", rle=[1, 2]), "its rle ends before its last pixel"),
        (result("q", kind="bitmask", imageDataURL="data:"), "its type 'bitmasklabels' is not known"),
        ({"id": "q", "type": "relation", "from_id": "r"}, "result 1 (relation) is neither a region nor a choice"),
        (7, "result 1 is neither a region nor a choice"),
        ({"id": "q", "type": "pairwise", "value": {"selected": "left"}}, "a pairwise is not a region of pixels"),
        (result("q", **BOX), "repeats e.json: task 1: region r"),
    ],
)
def test_a_region_that_is_none_is_left_out_and_said(make_source, tmp_path, region, said):
    src = make_source({"e.json": [task(result(**BOX), region)]}, ["a.png"])
    found = import_label_studio(src, tmp_path / "out")
    (problem,) = found.problems
    assert str(problem).startswith("e.json: task 1: ")
    assert said in str(problem)
    assert found.instances == 1


def test_regions_beyond_the_image_with_several_labels_or_none_or_turned_are_said(make_source, tmp_path):
    results = [
        result("a", x=90, y=10, width=25, height=20),
        result("b", x=10, y=10, width=5, height=5),
        result("c", label=None, x=30, y=10, width=5, height=5),
        result("d", x=50, y=10, width=5, height=5) | {"image_rotation": 90},
    ]
    results[1]["value"]["rectanglelabels"] = ["dent", "hole"]
    found = import_label_studio(make_source({"e.json": [task(*results)]}, ["a.png"]), tmp_path / "out")
    assert sorted(problem.kind for problem in found.problems) == ["beyond-image", "label", "label", "orientation"]
    assert found.instances == 4
    assert "has several labels; 'dent' is used, and hole left out" in " ".join(map(str, found.problems))


@pytest.mark.parametrize("text", ["{", "7", "[]", "[7]", '[{"a": 1}]', '{"shapes": [], "imagePath": "a.png"}'])
def test_other_files_are_one_line(make_source, tmp_path, text):
    src = make_source({"e.json": text})
    with pytest.raises(FlawshotError, match=r"e\.json: ") as told:
        import_label_studio(src / "e.json", tmp_path / "out")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"id": 1, "data": {"text": "x"}, "annotations": []}, "data names no image"),
        ({"id": 1, "data": {"image": "a.png"}}, "has no annotation"),
        ({"id": 1, "data": {"image": "a.png"}, "annotations": 7}, "annotations must be a list"),
        ({"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": 7}]}, "result must be a list"),
    ],
)
def test_a_task_that_is_none_is_left_out_and_said(make_source, tmp_path, broken, said):
    document = [broken, task(result(**BOX), number=2)]
    found = import_label_studio(make_source({"e.json": document}, ["a.png"]), tmp_path / "out")
    (problem,) = found.problems
    assert str(problem).startswith("e.json: task 1: ")
    assert said in str(problem)


def test_the_image_that_is_named_by_a_field(make_source, tmp_path):
    document = [task(result(**BOX)) | {"data": {"left": "b.png", "right": "a.png"}}]
    src = make_source({"e.json": document}, ["a.png", "b.png"])
    import_label_studio(src, tmp_path / "out", image_key="right")
    assert read_labelme(tmp_path / "out/src/a.json").image_path == "a.png"


def test_without_a_size_the_images_own_is_used(make_source, tmp_path):
    region = {key: value for key, value in result(**BOX).items() if not key.startswith("original")}
    src = make_source({"e.json": [task(region)]})
    Image.new("L", (WIDTH, HEIGHT)).save(src / "a.png")
    import_label_studio(src, tmp_path / "out")
    assert instances(tmp_path / "out") == [("dent", (4, 3, 14, 9), "rectangle")]
