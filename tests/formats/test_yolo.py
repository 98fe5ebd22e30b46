"""YOLO's boxes, polygons and oriented boxes become Labelme files; this covers ``yolo_names``, too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flawshot import Catalog, FlawshotError, import_yolo, read_labelme

BOX = "0 0.5 0.5 0.5 0.4\n"
NAMES = "names: [scratch, dent]\n"


def kinds(found):
    return [problem.kind for problem in found.problems]


def boxes(root):
    return [(instance.category, instance.box) for instance in Catalog.open(root)]


def written(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.json"))


def test_boxes_polygons_and_oriented_boxes(make_source, tmp_path):
    lines = [
        "0 0.5 0.5 0.5 0.4",
        "1 0.1 0.1 0.5 0.1 0.5 0.6",
        "1 0.25 0.2 0.5 0.4 0.25 0.6 0 0.4",
        "1 0.1 0.1 0.1 0.1 0.9",
    ]
    src = make_source({"data.yaml": NAMES, "labels/a.txt": "\n".join(lines)}, ["images/a.png"])
    found = import_yolo(src, tmp_path / "out")
    assert (found.files, found.instances, found.images, found.problems) == (1, 4, 1, ())
    shapes = read_labelme(tmp_path / "out/src/a.json").shapes
    assert [shape.shape_type for shape in shapes] == ["rectangle", "polygon", "polygon", "rectangle"]
    assert np.allclose(shapes[1].points, [[4, 3], [20, 3], [20, 18]])
    assert np.allclose(shapes[2].points, [[10, 6], [20, 12], [10, 18], [0, 12]])
    assert shapes[3].other == {"score": 0.9}
    assert boxes(tmp_path / "out")[0] == ("scratch", (10, 9, 30, 21))


sides = st.integers(1, 5000)


@given(st.data())
def test_boxes_of_whole_pixels_come_back_exactly_from_shares_of_six_digits(data):
    from flawshot.formats.plain_shapes import fitted
    from flawshot.formats.yolo import _shapes
    from flawshot.labelme.labelme_file import parse_labelme_document
    from flawshot.labelme.shapes import rasterize

    width, height = data.draw(sides), data.draw(sides)
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, min(width, x0 + 50))), data.draw(st.integers(y0 + 1, min(height, y0 + 50)))
    # As ultralytics' converters write them.
    line = f"{(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} {(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}"
    problems = []
    (made,) = _shapes(tuple(map(float, line.split())), (height, width))
    shape = fitted(made, (height, width), "a", problems) | {"label": ""}
    file, _ = parse_labelme_document({"imagePath": "a.png", "shapes": [shape]}, "a")
    assert rasterize(file.shapes[0], height, width).box == (x0, y0, x1, y1)
    assert problems == []


@pytest.mark.parametrize(
    ("label", "image", "made"),
    [
        ("labels/train/a.txt", "images/train/a.jpg", "src/train/a.json"),
        ("train/labels/a.txt", "train/images/a.jpg", "src/train/a.json"),
        ("valid/labels/a.txt", "valid/images/a.png", "src/valid/a.json"),
        ("bolt/labels/val/a.txt", "bolt/images/val/a.jpg", "bolt/val/a.json"),
        ("a.txt", "a.jpg", "src/a.json"),
        ("bolt/a.txt", "bolt/a.jpg", "bolt/a.json"),
        ("labels/a.txt", "pictures/a.jpg", "pictures/a.json"),
    ],
)
def test_images_and_labels_lie_side_by_side_in_any_of_the_usual_ways(make_source, tmp_path, label, image, made):
    src = make_source({"data.yaml": NAMES, label: BOX}, [image])
    found = import_yolo(src, tmp_path / "out")
    assert (found.images, found.problems, written(tmp_path / "out")) == (1, (), [made])


@pytest.mark.parametrize(
    "text",
    [
        "names: [no, 007]",
        "names:\n  0: no\n  1: 007\n",
        'names: {"0": "no", "1": "007"}',
        "nc: 2\nnames:\n- no\n- 007\nroboflow: {url: x}",
    ],
)
def test_names_are_texts_whatever_yaml_thinks_of_them(make_source, tmp_path, text):
    src = make_source({"data.yaml": text, "labels/a.txt": BOX + "1 0.2 0.2 0.1 0.1\n"}, ["images/a.png"])
    assert import_yolo(src, tmp_path / "out").categories == ("007", "no")


@pytest.mark.parametrize("place", ["classes.txt", "labels/classes.txt", "obj.names", "labels/predefined_classes.txt"])
def test_names_come_from_a_list_too(make_source, tmp_path, place):
    src = make_source({place: "scratch\ndent\n\n", "labels/a.txt": BOX}, ["images/a.png"])
    found = import_yolo(src, tmp_path / "out")
    assert (found.categories, found.problems) == (("scratch",), ())


def test_the_nearest_names_count_and_those_that_are_named_before_all(make_source, tmp_path):
    files = {f"{part}/data.yaml": f"names: [{part}]" for part in ("bolt", "nut")}
    files |= {f"{part}/labels/a.txt": BOX for part in ("bolt", "nut")}
    src = make_source(files, ["bolt/images/a.png", "nut/images/a.png"])
    assert import_yolo(src, tmp_path / "out").categories == ("bolt", "nut")
    (tmp_path / "own.txt").write_text("mine")
    assert import_yolo(src, tmp_path / "out2", names=tmp_path / "own.txt").categories == ("mine",)


def test_without_names_the_numbers_are_the_categories_and_that_is_said(make_source, tmp_path):
    src = make_source({"labels/a.txt": BOX.replace("0 ", "12 ", 1)}, ["images/a.png"])
    found = import_yolo(src, tmp_path / "out")
    assert (found.categories, kinds(found)) == (("12",), ["class-names"])
    assert "called by their number; name the file with names" in str(found.problems[0])


def test_empty_and_missing_label_files_are_images_without_a_flaw(make_source, tmp_path):
    src = make_source(
        {"data.yaml": NAMES, "labels/a.txt": BOX, "labels/b.txt": "\n \n"}, [f"images/{name}.png" for name in "abc"]
    )
    found = import_yolo(src, tmp_path / "out")
    assert (found.files, found.instances, found.counts, found.problems) == (3, 1, {"good": 2}, ())
    assert found.summary.endswith("; 2 images without a flaw")
    assert [len(read_labelme(tmp_path / f"out/src/{name}.json").shapes) for name in "abc"] == [1, 0, 0]


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("train: images/a\nval: images/b", {}),
        ("path: .\ntrain: [images/a]\nval: images/b", {}),
        ("path: /content/data/src\ntrain: ../images/a\nval: ../images/b", {}),
        ("train: /content/src/images/a\nval: C:\\x\\images\\b", {}),
        (
            "train: train.txt\nval: lists/val.txt",
            {"train.txt": "./images/a/0.png\n", "lists/val.txt": "/x/images/b/1.png"},
        ),
    ],
)
def test_splits_are_folders_or_lists_of_images(make_source, tmp_path, text, listed):
    files = {"data.yaml": f"{NAMES}{text}\n", "labels/a/0.txt": BOX, "labels/b/1.txt": BOX}
    src = make_source(files | listed, ["images/a/0.png", "images/b/1.png"])
    found = import_yolo(src / "data.yaml", tmp_path / "out", product="bolt")
    assert (written(tmp_path / "out"), found.problems) == (["bolt/train/a/0.json", "bolt/val/b/1.json"], ())


def test_images_in_two_splits_or_in_none_are_said(make_source, tmp_path):
    lists = {"train.txt": "images/0.png\nimages/1.png\nimages/gone.png", "val.txt": "images/1.png"}
    files = {"data.yaml": f"{NAMES}train: train.txt\nval: val.txt\ntest: nowhere", "labels/0.txt": BOX}
    found = import_yolo(make_source(files | lists, [f"images/{n}.png" for n in range(3)]), tmp_path / "out")
    assert written(tmp_path / "out") == ["src/2.json", "src/train/0.json", "src/train/1.json"]
    lost = "is neither a folder nor a list of images inside the folder; its images get no split from it"
    texts = sorted(map(str, found.problems))
    assert texts == [
        "data.yaml: 1 image, images/2.png, is in none of its splits",
        f"data.yaml: test: 'nowhere' {lost}",
        "images/1.png: is in train and in val; it is taken as train",
        "train.txt: 1 of its images, 'images/gone.png', is not in the folder",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2 0.5 0.5 0.5 0.4", "class 2 is not among the 2 names in data.yaml"),
        ("-1 0.5 0.5 0.5 0.4", "class must be a whole number from 0, not -1"),
        ("0.5 0.5 0.5 0.5 0.4", "class must be a whole number from 0, not 0.5"),
        ("dent 0.5 0.5 0.5 0.4", "class: 'dent' is not a finite number"),
        ("0 nan 0.5 0.5 0.4", "a share: 'nan' is not a finite number"),
        ("0 inf 0.5 0.5 0.4", "a share: 'inf' is not a finite number"),
        ("0 0.5 0.5 -0.5 0.4", "must be shares of the image's size, not px"),
        ("0 12 12 5 5", "must be shares of the image's size, not px"),
        ("0 0.5 0.5 0 0.4", "covers no area"),
        ("0 0.5 0.5", "must be class cx cy width height"),
        ("0", "must be class cx cy width height"),
    ],
)
def test_a_line_that_is_none_is_left_out_and_said(make_source, tmp_path, line, said):
    src = make_source({"data.yaml": NAMES, "labels/a.txt": f"{BOX}{line}\n"}, ["images/a.png"])
    found = import_yolo(src, tmp_path / "out")
    (problem,) = found.problems
    assert str(problem).startswith("labels/a.txt: line 2: ")
    assert said in str(problem)
    assert str(problem).endswith("; it is left out")
    assert found.instances == 1


def test_an_image_of_which_no_line_can_be_used_is_not_one_without_a_flaw(make_source, tmp_path):
    src = make_source(
        {"data.yaml": NAMES, "labels/a.txt": "9 0.5 0.5 0.5 0.4", "labels/b.txt": BOX, "labels/c.txt": b"\xff\xfe\x00"},
        ["images/a.png", "images/b.png", "images/c.png"],
    )
    found = import_yolo(src, tmp_path / "out")
    assert (written(tmp_path / "out"), found.counts) == (["src/b.json"], {"good": 0})
    assert kinds(found) == ["yolo-line", "no-region", "not-yolo"]


def test_boxes_beyond_the_image_are_clipped_and_those_outside_and_repeated_ones_left_out(make_source, tmp_path):
    lines = ["0 0.9 0.5 0.5 0.4", "0 1.0 0.5 0.0000001 0.4", "0 0.9 0.5 0.5 0.4", "1 0.9 0.5 0.5 0.4"]
    src = make_source({"data.yaml": NAMES, "labels/a.txt": "\n".join(lines)}, ["images/a.png"])
    found = import_yolo(src, tmp_path / "out")
    assert boxes(tmp_path / "out") == [("scratch", (26, 9, 40, 21)), ("dent", (26, 9, 40, 21))]
    assert sorted(kinds(found)) == ["annotation", "beyond-image", "beyond-image", "beyond-image", "duplicate"]


def test_keypoints_are_left_out_and_said(make_source, tmp_path):
    src = make_source(
        {"data.yaml": f"{NAMES}kpt_shape: [2, 3]\n", "labels/a.txt": f"{BOX.strip()} 0.1 0.1 2 0.3 0.3 0\n"},
        ["images/a.png"],
    )
    found = import_yolo(src, tmp_path / "out")
    assert (boxes(tmp_path / "out"), kinds(found)) == ([("scratch", (10, 9, 30, 21))], ["keypoints"])


def test_images_elsewhere_are_found_and_those_that_are_lost_said(make_source, tmp_path):
    src = make_source({"data.yaml": NAMES, "labels/train/a.txt": BOX, "labels/train/b.txt": BOX, "notes.txt": "hello"})
    elsewhere = make_source(images=["deep/train/a.png", "deep/train/good.png"], name="elsewhere")
    found = import_yolo(src, tmp_path / "out", images=elsewhere / "deep")
    assert written(tmp_path / "out") == ["src/train/a.json", "src/train/good.json"]
    (problem,) = found.problems
    assert str(problem).startswith(
        "labels/train/b.txt: the image b.jpg was not found, and its shapes depend on its size"
    )


def test_pictures_that_are_no_part_of_the_data_are_left_out_and_counted(make_source, tmp_path):
    src = make_source({"data.yaml": NAMES, "labels/a.txt": BOX}, ["images/a.png", "plots/results.png"])
    found = import_yolo(src, tmp_path / "out")
    assert (found.files, kinds(found)) == (1, ["stray-image"])


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]\n" for last, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{BOMB}names: *j", "names must be a list of names"),
        ("names: !!python/object/apply:os.system ['touch hacked']", None),
        ("names: [" + "[" * 100_000, "is not YAML"),
        ("names: 7", "names must be a list of names"),
        ("names: {a: b}", "names must be a list of names"),
        ("names: [a\n  b: c", "is not YAML"),
        (f"{BOMB}names: [a]\ntrain: *j", "train must be a folder"),
    ],
)
def test_hostile_and_damaged_sheets_are_one_line(make_source, tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    src = make_source({"data.yaml": text, "labels/a.txt": BOX}, ["images/a.png"])
    found = import_yolo(src, tmp_path / "out")
    assert not (tmp_path / "hacked").exists()
    if said:
        first = str(found.problems[0])
        assert first.startswith("data.yaml: ")
        assert said in first
        assert "\n" not in first
        assert len(first) < 500


@pytest.mark.parametrize("entry", ["../outside/images", "/etc", "{outside}/images", "lists.txt"])
def test_splits_reach_nothing_outside_the_folder(make_source, tmp_path, entry):
    make_source({"labels/x.txt": BOX}, ["images/x.png"], name="outside")
    text = entry.format(outside=tmp_path / "outside")
    files = {"data.yaml": f"{NAMES}train: {text}", "labels/a.txt": BOX, "lists.txt": "../../outside/images/x.png"}
    found = import_yolo(make_source(files, ["images/a.png"]), tmp_path / "out")
    (place,) = written(tmp_path / "out")
    assert place.endswith("/a.json")
    assert found.images == 1


@pytest.mark.parametrize("name", ["nothing", "a.txt"])
def test_what_is_no_data_set_is_one_line(make_source, tmp_path, name):
    src = make_source({"a.txt": "hello"}, ["images/b.png"])
    with pytest.raises(FlawshotError, match=r"is neither a folder nor a data\.yaml"):
        import_yolo(src / name, tmp_path / "out")
    with pytest.raises(FlawshotError, match="contains no label file of YOLO"):
        import_yolo(src, tmp_path / "out")


def test_an_image_that_cannot_be_read_is_said(make_source, tmp_path):
    src = make_source(
        {"data.yaml": NAMES, "labels/a.txt": BOX, "labels/b.txt": BOX, "images/b.png": "none"}, ["images/a.png"]
    )
    found = import_yolo(src, tmp_path / "out")
    assert (found.files, kinds(found)) == (1, ["missing-image"])
    assert "the image b.png cannot be read" in str(found.problems[0])


def test_supervision_reads_the_same_boxes(make_source, tmp_path):
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    text = "0 0.5 0.5 0.5 0.4\n1 0.25 0.5 0.25 0.2\n"
    src = make_source({"data.yaml": NAMES, "labels/a.txt": text})
    (src / "images").mkdir()
    Image.new("RGB", (40, 30)).save(src / "images/a.png")
    import_yolo(src, tmp_path / "out")
    theirs = supervision.DetectionDataset.from_yolo(str(src / "images"), str(src / "labels"), str(src / "data.yaml"))
    ((_, _, detections),) = list(theirs)
    own = [
        (theirs.classes[number], tuple(box)) for number, box in zip(detections.class_id, detections.xyxy, strict=True)
    ]
    assert [(name, tuple(map(round, box))) for name, box in own] == boxes(tmp_path / "out")


def test_a_split_alone_has_the_name_of_the_folder_above(make_source, tmp_path):
    src = make_source({"train/labels/a.txt": BOX, "train/classes.txt": "scratch"}, ["train/images/a.png"])
    import_yolo(src / "train", tmp_path / "out")
    assert written(tmp_path / "out") == ["src/train/a.json"]


def test_darknets_layout(make_source, tmp_path):
    files = {"obj.names": "scratch\ndent", "obj.data": "classes = 2", "train.txt": "data/obj_train_data/a.png"}
    src = make_source(files | {"obj_train_data/a.txt": BOX}, ["obj_train_data/a.png", "obj_train_data/good.png"])
    found = import_yolo(src, tmp_path / "out", product="bolt")
    assert (found.files, found.problems, found.counts) == (2, (), {"good": 1})
