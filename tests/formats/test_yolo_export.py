"""``flawshot export yolo``, read by supervision, by YAML's own parser and by a plain reader of its rules."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import binary_fill_holes

import flawshot
from commands import succeed
from export_data import ODD, hard_data, picture, shape, write
from flawshot.formats.yolo_export import export_yolo

LABELS = [ODD, "dent", "hole", "scratch"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return hard_data(tmp_path_factory.mktemp("hard") / "data")


@pytest.fixture(scope="module")
def boxes(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "yolo"
    done = succeed("export", "yolo", data, out)
    assert done.stdout == f"{out}: 8 lines of 9 instances; 8 images, 4 categories\n"
    assert "data.yaml: the data has no val split, so val in data.yaml is test" in done.stderr
    return out


@pytest.fixture(scope="module")
def segments(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "yolo"
    return export_yolo(flawshot.Catalog.open(data), out, segments=True), out


def described(out):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))


def lines(out):
    """The numbers of each line, by the image that Ultralytics finds them for."""
    made = {}
    for image in sorted((out / "images").rglob("*.*")):
        before, _, behind = str(image).rpartition("/images/")  # as its img2label_paths
        label = f"{before}/labels/{behind}".rpartition(".")[0] + ".txt"
        made[image.relative_to(out / "images").as_posix()] = [
            (int(line.split()[0]), np.array(line.split()[1:], dtype=float))
            for line in Path(label).read_text(encoding="utf-8").splitlines()
        ]
    return made


def instances(data):
    made = {}
    for instance in flawshot.Catalog.open(data):
        made.setdefault(instance.image, []).append(instance)
    return made


NAMES = {
    "test/bolt__dent__0.png": "bolt/test/dent/0.png",
    "train/bolt__dent__0_2.png": "bolt/train/dent/0.png",
    "train/bolt__lines__a.png": "bolt/train/lines/a.png",
    "train/nut__embedded.png": "nut/embedded.png",
    "train/nut__images__a.png": "nut/images/a.png",
    "train/nut__images__b.JPG": "nut/images/b.JPG",
}
GOOD = {"train/nut__good__a.png", "train/nut__images__none.png"}


def test_categories_are_recorded_in_order(boxes):
    assert described(boxes) == {
        "train": "images/train",
        "val": "images/test",
        "test": "images/test",
        "nc": 4,
        "names": dict(enumerate(LABELS)),
    }


def test_boxes_are_those_of_the_masks(data, boxes):
    found, known = lines(boxes), instances(data)
    assert set(found) == {*NAMES, *GOOD}
    assert all(found[name] == [] for name in GOOD)
    for name, path in NAMES.items():
        for instance, (number, (x, y, width, height)) in zip(known[path], found[name], strict=True):
            assert LABELS[number] == instance.category
            corners = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2]) * (80, 60, 80, 60)
            assert corners == pytest.approx(instance.box, abs=1e-5)


def test_images_are_the_same_files(data, boxes):
    for name, path in NAMES.items():
        if path != "nut/embedded.png":
            assert (boxes / "images" / name).read_bytes() == (data / path).read_bytes()


def filled(points):
    canvas = Image.new("1", (80, 60))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in points.tolist()], outline=1, fill=1)
    return np.asarray(canvas)


def test_segments_draw_the_masks_with_holes_covered_and_parts_joined(data, segments):
    made, out = segments
    found, known = lines(out), instances(data)
    for name, path in NAMES.items():
        for instance, (number, shares) in zip(known[path], found[name], strict=True):
            assert LABELS[number] == instance.category
            points = shares.reshape(-1, 2) * (80, 60)
            drawn, mask = filled(points.astype(np.int32)), instance.region().full_mask(60, 80)  # as Ultralytics
            assert np.array_equal(filled(np.round(points)), drawn)  # as supervision
            if instance.category == "hole":
                mask = binary_fill_holes(mask)
            if instance.category == ODD:
                assert not (mask & ~drawn).any()
                assert (drawn & ~mask).sum() < 60
            else:
                assert np.array_equal(drawn, mask)
    said = {problem.kind: str(problem) for problem in made.problems}
    assert said["holes"] == ("bolt/test/dent/0.json#0: has holes, which a segment cannot express; they are covered")
    assert said["parts"] == "nut/images/a.json#0: has 2 parts, which its segment joins by lines"


def test_supervision_reads_boxes_and_segments(data, boxes, segments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        supervision = pytest.importorskip("supervision")
    known = instances(data)
    for out, masks in ((boxes, False), (segments[1], True)):
        read = supervision.DetectionDataset.from_yolo(
            str(out / "images/train"), str(out / "labels/train"), str(out / "data.yaml"), force_masks=masks
        )
        assert read.classes == LABELS
        by_name = {path.rpartition("/")[2]: found for path, _, found in read}
        assert {f"train/{name}" for name in by_name} == {name for name in {*NAMES, *GOOD} if name.startswith("train")}
        for name, path in NAMES.items():
            if not name.startswith("train"):
                continue
            found = by_name[name.partition("/")[2]]
            assert [LABELS[number] for number in found.class_id] == [i.category for i in known[path]]
            if masks:
                for instance, mask in zip(known[path], found.mask, strict=True):
                    own = instance.region().full_mask(60, 80)
                    both, either = (mask & own).sum(), (mask | own).sum()
                    assert both / either > (0.85 if instance.category == ODD else 0.99)
            else:
                assert np.array(found.xyxy) == pytest.approx(np.array([i.box for i in known[path]]), abs=0.01)
        assert all(len(by_name[name.partition("/")[2]]) == 0 for name in GOOD)


def test_ultralytics_reads_boxes_and_segments(data, boxes, segments, tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    utils = pytest.importorskip("ultralytics.data.utils")
    from ultralytics.data.dataset import YOLODataset

    known = instances(data)
    for out, task in ((boxes, "detect"), (segments[1], "segment")):
        described = utils.check_det_dataset(str(out / "data.yaml"), autodownload=False)
        assert described["names"] == dict(enumerate(LABELS))
        read = YOLODataset(img_path=described["train"], data=described, task=task, imgsz=80, augment=False)
        by_name = {f"train/{Path(each['im_file']).name}": each for each in read.labels}
        assert set(by_name) == {name for name in {*NAMES, *GOOD} if name.startswith("train")}
        for name, found in by_name.items():
            own = known[NAMES[name]] if name in NAMES else []
            assert [LABELS[int(number)] for number in found["cls"][:, 0]] == [i.category for i in own]
            for row, instance in enumerate(own):
                x, y, width, height = found["bboxes"][row] * (80, 60, 80, 60)
                box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
                assert box == pytest.approx(instance.box, abs=1e-3 if task == "detect" else 0.6)
                if task == "segment" and instance.category != ODD:
                    points = (found["segments"][row] * (80, 60)).reshape(-1)
                    drawn = utils.polygon2mask((60, 80), [points]) != 0
                    assert np.array_equal(drawn, instance.region().full_mask(60, 80))


def test_names_that_would_share_a_text_file_are_told_apart(tmp_path):
    box = shape("dent", "rectangle", [[1, 1], [5, 5]])
    write(tmp_path / "d", "a.json", [box], image="a.png")
    write(tmp_path / "d", "b.json", [box], image="a.jpg")
    write(tmp_path / "d", "c.json", [box], image="A.bmp")
    export_yolo(flawshot.Catalog.open(tmp_path / "d"), tmp_path / "out")
    found = {path.name for path in (tmp_path / "out/images/train").iterdir()}
    assert found == {"A.bmp", "a_2.jpg", "a_3.png"}
    assert {path.name for path in (tmp_path / "out/labels/train").iterdir()} == {"A.txt", "a_2.txt", "a_3.txt"}


def test_what_ultralytics_cannot_read_becomes_png(tmp_path):
    write(tmp_path / "d", "a.json", [shape("dent", "rectangle", [[1, 1], [5, 5]])], image="a.pgm", seed=3)
    picture(3, "L").save(tmp_path / "d/a.pgm")
    made = export_yolo(flawshot.Catalog.open(tmp_path / "d"), tmp_path / "out")
    with Image.open(tmp_path / "out/images/train/a.png") as opened:
        assert np.array_equal(np.asarray(opened), np.asarray(picture(3, "L")))
    assert [problem.kind for problem in made.problems] == ["no-val"]


def test_a_val_split_is_used(tmp_path):
    for split in ("train", "val", "testing"):
        write(tmp_path / "d" / split, "a.json", [shape("dent", "rectangle", [[1, 1], [5, 5]])])
    made = export_yolo(flawshot.Catalog.open(tmp_path / "d"), tmp_path / "out")
    text = (tmp_path / "out/data.yaml").read_text()
    assert text == 'train: images/train\nval: images/val\ntest: images/test\nnc: 1\nnames:\n  0: "dent"\n'
    assert not made.problems


def test_the_split_of_an_image_that_several_keys_name_is_that_of_its_folder(tmp_path):
    """Ultralytics needs a ``val``, so that of data without one names another split's folder."""
    for splits in (["train"], ["test"], ["train", "test"], ["train", "val", "test"], ["val"]):
        name = "-".join(splits)
        root = tmp_path / name / "data"
        for number, split in enumerate(splits):
            write(root, f"bolt/{split}/{number}.json", [shape("dent", "rectangle", [[2, 2], [9 + number, 9]])])
        export_yolo(flawshot.Catalog.open(root), tmp_path / name / "yolo")
        back = flawshot.import_yolo(tmp_path / name / "yolo", tmp_path / name / "back", product="bolt")
        found = flawshot.Catalog.open(tmp_path / name / "back")
        assert sorted(instance.split for instance in found) == sorted(splits)
        told = [str(problem) for problem in back.problems]
        assert len(told) == (not {"train", "val"} <= set(splits)), told
        assert all("data.yaml: 1 image is in" in line and f"taken as {splits[-1]}" in line for line in told)
