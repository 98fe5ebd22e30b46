"""Boxes of detectors: every format says the same, and what cannot be used is named."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flawshot import FlawshotError
from flawshot.formats.found_boxes import FoundBoxes
from flawshot.formats.scored_shapes import ImageIndex
from flawshot.labelme.shapes import rasterize

WIDTH, HEIGHT = 80, 60
BOXES = [(10, 20, 30, 40, 0.75), (0, 0, 80, 60, 0.5)]


@pytest.fixture
def root(tmp_path):
    place = tmp_path / "images"
    (place / "line").mkdir(parents=True)
    for name in ("line/000007.png", "b.jpg", "c.png"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(place / name)
    return place


def results(image_id="line/000007.png"):
    return [
        {"image_id": image_id, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": score}
        for x0, y0, x1, y1, score in BOXES
    ]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def yolo(*, confidence=True):
    lines = []
    for x0, y0, x1, y1, score in BOXES:
        shares = [(x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT]
        lines.append(" ".join(map(str, [3, *shares, *([score] if confidence else [])])))
    return "\n".join(lines)


def table(separator=","):
    rows = [("image", "x0", "y0", "x1", "y1", "score"), *(("line/000007.png", *box) for box in BOXES)]
    return "\n".join(separator.join(map(str, row)) for row in rows)


COCO = {"images": [{"id": 5, "file_name": "line/000007.png"}], "annotations": results(5)}


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        pytest.param("r.json", results(), {}, id="results by path"),
        pytest.param("r.json", results("000007"), {}, id="results by name without suffix"),
        pytest.param("r.json", results("/home/x/data/line/000007.png"), {}, id="results by another machine's path"),
        pytest.param("r.json", results("line\\000007.png"), {}, id="results by Windows' path"),
        pytest.param("r.json", COCO, {}, id="a COCO file"),
        pytest.param("r.json", results(5), {"coco": COCO}, id="results with a COCO file"),
        pytest.param("r.json", results("5"), {"coco": COCO}, id="ids as text"),
        pytest.param("labels/line/000007.txt", yolo(), {}, id="YOLO's text files"),
        pytest.param("labels/000007.txt", yolo(), {}, id="YOLO's text files in one folder"),
        pytest.param("r.csv", table(), {}, id="a table"),
        pytest.param("r.txt", table("\t"), {}, id="a table with tabs"),
    ],
)
def test_every_format_gives_the_same_boxes(root, tmp_path, name, content, options):
    path = write(tmp_path / name, content)
    if "coco" in options:
        options = {"coco": write(tmp_path / "coco.json", options["coco"])}
    reader = FoundBoxes(root, tmp_path / "labels" if name.startswith("labels") else path, **options)
    found = reader.read("line/000007.png")
    assert [each.score for each in found.shapes] == [0.75, 0.5]
    assert [rasterize(each.shape, HEIGHT, WIDTH).box for each in found.shapes] == [box[:4] for box in BOXES]
    assert reader.images == ("b.jpg", "c.png", "line/000007.png")
    assert [(problem.file, problem.kind) for problem in reader.problems] == [("b.jpg", "no-box"), ("c.png", "no-box")]
    assert reader.read("b.jpg") == ((), None, "", ())


@pytest.mark.parametrize(("given", "remarks"), [(7, 1), ("7", 0), ("000007", 0)])
def test_a_number_is_an_image_s_number_and_that_is_said(root, tmp_path, given, remarks):
    """Results alone do not say whether a number is that of a file or an id in a COCO file, which may start at 1."""
    if given == "7":
        shutil.copy(root / "c.png", root / "7.png")
    reader = FoundBoxes(root, write(tmp_path / "r.json", results(given)))
    (image,) = [image for image in reader.images if reader.read(image).shapes]
    assert image == ("7.png" if given == "7" else "line/000007.png")
    said = [problem.marked for problem in reader.problems if problem.kind == "image-id"]
    assert len(said) == remarks
    for line in said:
        assert "image_id 7, like all numbers, is taken as the number in an image's name, here line/000007.png" in line
        assert "name it with" in line


def test_an_image_is_not_taken_for_two_of_different_folders(root, tmp_path):
    entries = [*results("day/000007.png"), *results("night/000007.png")[:1], *results("c.png")]
    reader = FoundBoxes(root, write(tmp_path / "r.json", entries))
    (said,) = [problem.message for problem in reader.problems if problem.kind == "missing-image"]
    assert "'night/000007.png' may be line/000007.png, but so may 'day/000007.png'; name the path" in said
    assert "1 region is left out" in said
    assert len(reader.read("line/000007.png").shapes) == len(reader.read("c.png").shapes) == 2


def test_masks_of_results_are_those_of_pycocotools(root, tmp_path):
    mask = pytest.importorskip("pycocotools.mask")
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    pixels[5:20, 7:30] = 1
    pixels[10:12, 9:11] = 0
    packed = mask.encode(np.asfortranarray(pixels))
    packed["counts"] = packed["counts"].decode()
    polygons = [[5, 5, 15, 5, 15, 15], [40, 40, 50, 40, 50, 50]]
    entries = [
        {"image_id": "b.jpg", "segmentation": packed, "score": 0.9},
        {"image_id": "b.jpg", "segmentation": polygons, "score": 0.8},
    ]
    found = FoundBoxes(root, write(tmp_path / "r.json", entries)).read("b.jpg")
    assert np.array_equal(rasterize(found.shapes[0].shape, HEIGHT, WIDTH).full_mask(HEIGHT, WIDTH), pixels)
    both = rasterize(found.shapes[1].shape, HEIGHT, WIDTH)
    assert both.box == (5, 5, 51, 51)


def test_segments_of_yolo_are_polygons(root, tmp_path):
    write(tmp_path / "labels/b.txt", "0 0.1 0.1 0.5 0.1 0.5 0.5 0.9\n0 0.1 0.1 0.5 0.1 0.5 0.5")
    found = FoundBoxes(root, tmp_path / "labels").read("b.jpg")
    assert [(each.shape.shape_type, each.score) for each in found.shapes] == [("polygon", 0.9), ("polygon", None)]
    assert found.shapes[0].shape.points.tolist() == [[8, 6], [40, 6], [40, 30]]


def test_confident_boxes_only(root, tmp_path):
    reader = FoundBoxes(root, write(tmp_path / "r.csv", table()), min_score=0.6)
    assert [each.score for each in reader.read("line/000007.png").shapes] == [0.75]
    assert reader.skipped == {"with a score under 0.6": 1}
    assert reader.request != FoundBoxes(root, tmp_path / "r.csv").request


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("r.csv", "image,x0,y0,x1,y1\nz.png,0,0,5,5", "there is no image 'z.png'", id="image missing"),
        pytest.param("r.csv", "image,x0,y0,x1,y1\nc.png,0,0,nan,5", "x1: 'nan' is not a finite number", id="nan"),
        pytest.param("r.csv", "image,x0,y0,x1,y1,score\nc.png,0,0,5,5,inf", "score: 'inf' is not", id="infinite"),
        pytest.param("r.csv", "image,x0,y0,x1,y1\nc.png,0,0,,5", "x1: '' is not", id="empty cell"),
        pytest.param("r.json", [{"image_id": "c", "bbox": [0, 0, 1, 1], "score": "x"}], "score: x is not", id="score"),
        pytest.param(
            "r.json", [{"image_id": "c", "bbox": [0, 0, 1, 1], "score": 10**400}], "is not a finite", id="beyond floats"
        ),
        pytest.param("r.json", [7], "entry 0: is not an object", id="no object"),
        pytest.param("r.json", [{"bbox": [0, 0, 1, 1]}], "image_id 'None' is not the id", id="no image"),
    ],
)
def test_what_is_never_a_region_is_named(root, tmp_path, name, content, message):
    with pytest.raises(FlawshotError, match="contains no region on one of the 3 images") as error:
        FoundBoxes(root, write(tmp_path / name, content))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        pytest.param([90, 0, 10, 10], "covers no pixel of the image of 80 x 60 px", id="outside"),
        pytest.param([5, 5, 0, 10], "neither a segmentation nor a bbox", id="without width"),
        pytest.param([5, 5, 10], "neither a segmentation nor a bbox", id="three numbers"),
        pytest.param([1e9, 0, 1, 1], "", id="far outside"),
    ],
)
def test_a_region_off_its_image_is_left_out_and_named(root, tmp_path, box, message):
    entries = [*results(), {"image_id": "c.png", "bbox": box}]
    reader = FoundBoxes(root, write(tmp_path / "r.json", entries))
    said = reader.read("c.png")
    assert said.shapes == ()
    (problem,) = said.problems
    # Its detector says that there is a flaw, so it is no image without one.
    assert said.reason.startswith("c.png: regions on it were refused, and none is left; r.json: entry 2: ")
    assert problem.file == "r.json: entry 2"
    assert problem.message.startswith("c.png: ")
    assert message in problem.message
    assert problem.message.endswith("; it is left out")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("r.xml", "", "must be a COCO .json file, a table", id="another format"),
        pytest.param("r.json", "{}", "annotations must be a list", id="no COCO file"),
        pytest.param("r.json", "[", "r.json", id="no JSON"),
        pytest.param("r.csv", "a,b\n1,2", "needs image and x0", id="other columns"),
    ],
)
def test_a_file_that_is_none_of_the_formats_is_refused(root, tmp_path, name, content, message):
    with pytest.raises(FlawshotError, match=message):
        FoundBoxes(root, write(tmp_path / name, content))


def test_px_are_not_shares(root, tmp_path):
    write(tmp_path / "labels/b.txt", yolo() + "\n0 10 10 5 5")
    reader = FoundBoxes(root, tmp_path / "labels")
    assert "must be shares of the image's size, not px" in str(reader.problems)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("0 0.5 0.5 0.2 0.1 0.9 1", "may be a box with confidence and track id, or a", id="first"),
        pytest.param("0 0.5 0.5 0.2 0.1 0.9 17", "seems to end in a track id", id="a box"),
        pytest.param("0 0.1 0.1 0.5 0.1 0.5 0.5 0.9 17", "seems to end in a track id", id="a polygon"),
    ],
)
def test_track_ids_are_named_not_taken_as_points(root, tmp_path, line, message):
    write(tmp_path / "labels/b.txt", yolo() + f"\n{line}\n0 0.1 0.1 0.5 0.1 0.5 1.0")
    reader = FoundBoxes(root, tmp_path / "labels")
    (problem,) = (each for each in reader.problems if each.kind == "region")
    assert problem.file == "b.txt: line 3"
    assert message in problem.message
    assert [each.shape.shape_type for each in reader.read("b.jpg").shapes] == ["rectangle", "rectangle", "polygon"]


def test_a_track_id_of_1_is_no_share_if_others_are_none(root, tmp_path):
    """A polygon of four points, confidence and track id: as many values as one of five points."""
    four = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5"
    write(tmp_path / "labels/b.txt", f"{four} 0.9 1")
    assert FoundBoxes(root, tmp_path / "labels").read("b.jpg").shapes[0].shape.points.shape == (5, 2)
    write(tmp_path / "labels/c.txt", f"{four} 0.9 2\n{four} 0.9\n{four}")
    reader = FoundBoxes(root, tmp_path / "labels")
    assert "seems to end in a track id" in reader.read("b.jpg").reason
    assert [each.score for each in reader.read("c.png").shapes] == [0.9, None]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("r.json", [], id="results"),
        pytest.param("r.json", {"images": [], "annotations": []}, id="a COCO file"),
        pytest.param("r.csv", "image,x0,y0,x1,y1\n", id="a table"),
        pytest.param("labels/b.txt", "\n", id="an empty text file"),
        pytest.param("labels/z.txt", "", id="an empty text file of another image"),
        pytest.param("labels", None, id="no text file"),
    ],
)
def test_a_detector_may_find_nothing(root, tmp_path, name, content):
    place = tmp_path / name
    if content is None:
        place.mkdir()
    else:
        write(place, content)
    reader = FoundBoxes(root, tmp_path / "labels" if name.startswith("labels") else place)
    assert all(reader.read(image) == ((), None, "", ()) for image in reader.images)
    assert [problem.kind for problem in reader.problems] == ["no-box"] * 3


def test_a_folder_of_other_files_is_no_detectors(root):
    with pytest.raises(FlawshotError, match=r"contains no \.txt file, but others; name the folder of YOLO's"):
        FoundBoxes(root, root)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        pytest.param("r.csv", f"{table()}\nb.jpg,0,0,nan,5,1", "r.csv: line 4: x1: 'nan' is not a finite", id="table"),
        pytest.param(
            "r.json",
            [*results(), {"image_id": "b.jpg", "bbox": [0, 0, 1, 1], "score": "x"}],
            "r.json: entry 2: score: x is not a finite number",
            id="results",
        ),
        pytest.param("labels/b.txt", "0 1 2", "b.txt: line 1: must be class cx cy", id="YOLO"),
        pytest.param("labels/b.txt", b"\xff\xfe\xfa", "b.txt: 'utf-8' codec can't decode", id="no text"),
    ],
)
def test_an_image_whose_regions_are_all_refused_is_left_out(root, tmp_path, name, content, reason):
    write(tmp_path / "labels/line/000007.txt", yolo())
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        write(tmp_path / name, content)
    reader = FoundBoxes(root, tmp_path / "labels" if name.startswith("labels") else tmp_path / name)
    assert f"b.jpg: regions on it were refused, and none is left; {reason}" in reader.read("b.jpg").reason
    assert [(problem.file, problem.kind) for problem in reader.problems if problem.kind == "no-box"] == [
        ("c.png", "no-box")
    ]
    assert not reader.read("c.png").reason
    assert len(reader.read("line/000007.png").shapes) == 2


def test_regions_that_two_images_may_have_leave_out_both(root, tmp_path):
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "b.png")
    entries = [*results(), *results("b")]
    reader = FoundBoxes(root, write(tmp_path / "r.json", entries))
    for image in ("b.jpg", "b.png"):
        assert "'b' is the name of several images; name the path" in reader.read(image).reason
    assert "'b' is the name of several images; name the path; 2 regions are left out" in str(reader.problems)


def test_too_many_boxes_are_noise(root, tmp_path):
    reader = FoundBoxes(root, write(tmp_path / "r.json", results()), max_instances=1)
    assert "has 2 instances, more than 1" in reader.read("line/000007.png").reason


def test_a_name_of_several_images_names_none():
    index = ImageIndex(["a/x.png", "b/x.png", "y.jpg", "y.png"])
    assert index.find("a/x") == "a/x.png"
    assert index.find("b/x.png") == "b/x.png"
    assert index.find("Y.JPG") == "y.jpg"
    for text in ("x.png", "y"):
        with pytest.raises(FlawshotError, match="is the name of several images"):
            index.find(text)


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-200, 200) | st.none() | st.text(max_size=3)


@settings(max_examples=60, deadline=None)
@given(boxes=st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), min_size=1, max_size=5))
def test_any_numbers_give_regions_inside_the_image_or_a_line(tmp_path_factory, boxes):
    place = tmp_path_factory.mktemp("any")
    (place / "images").mkdir()
    Image.new("L", (WIDTH, HEIGHT)).save(place / "images/a.png")
    entries = [{"image_id": "a", "bbox": list(box[:4]), "score": box[4]} for box in boxes]
    try:
        reader = FoundBoxes(place / "images", write(place / "r.json", entries))
        found = reader.read("a.png")
    except FlawshotError as error:
        assert "\n" not in str(error)
        return
    wrong = sum(problem.kind == "region" for problem in (*reader.problems, *found.problems))
    assert len(found.shapes) + wrong == len(boxes)
    assert bool(found.reason) is not bool(found.shapes)
    for each in found.shapes:
        x0, y0, x1, y1 = rasterize(each.shape, HEIGHT, WIDTH).box
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        assert each.score is None or math.isfinite(each.score)
