"""``flawshot import`` and ``flawshot export detailed``, as a user runs them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from commands import shell as run
from conftest import shared
from helpers import box_shape


def test_mpdd_without_salvage_is_one_line_with_line_271_and_with_it_all_whole_records(tmp_path):
    source = shared("mpdd")
    refused = run("import", "mpdd", source, tmp_path / "out")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert "line 271, column 1" in line
    assert "--salvage" in line
    done = run("import", "mpdd", source, tmp_path / "out", "--salvage")
    assert done.returncode == 0, done.stderr
    assert "212 intact records with 413 boxes, 1 damaged place\n" in done.stdout
    assert f"error: {source}: lines 261 to 352: the records that begin here are damaged" in done.stderr


def test_detailed_annotations_are_written_and_come_back(write_annotations, tmp_path):
    root = write_annotations({"bolt/0.json": [box_shape("dent"), box_shape("hole")]})
    done = run("export", "detailed", root, tmp_path / "a.json")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'a.json'}: 2 records of 2 instances\n")
    assert list(json.loads((tmp_path / "a.json").read_text())) == ["bolt"]
    again = run("import", "mpdd", tmp_path / "a.json", tmp_path / "out")
    assert again.returncode == 0
    assert "2 Labelme files with 2 instances, 0 images; products: bolt" in again.stdout
    (tmp_path / "a.json").write_text("{}")
    assert run("export", "detailed", root, tmp_path / "a.json").returncode == 2


def test_what_is_lost_in_a_damaged_file_is_among_the_problems(tmp_path):
    record = {"class": "p", "anomaly": "a", "image": "a.png", "description": "", "coordinates": []}
    records = [json.dumps(record | {"num_anomalies": 0, "size_anomalies": 0}), '{"class": "p", …', "", "]}"]
    (tmp_path / "a.json").write_text('{"p": [\n' + ",\n".join(records))
    done = run("import", "mpdd", tmp_path, tmp_path / "out", "--salvage", "--problems", tmp_path / "all.txt")
    assert done.returncode == 0
    written = (tmp_path / "all.txt").read_text()
    assert written.startswith(f"error: {tmp_path}: lines 3 to 5: the records that begin here are damaged")
    lost, missing = written.splitlines()
    assert missing.startswith("warning: a.json: record 1: the image a.png was not found")
    said = [
        lost,
        "1 image is not found, a.png; name their folder with --images DIR",
        f"{tmp_path / 'all.txt'}: all 2 problems",
    ]
    assert done.stderr.splitlines() == said


@pytest.mark.parametrize("name", ["coco", "voc", "mpdd", "yolo", "csv", "rle", "via", "cvat", "label-studio"])
def test_a_source_that_is_not_there_is_one_line(tmp_path, name):
    done = run("import", name, tmp_path / "nothing", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    done = run("import", name, tmp_path, tmp_path / "out", "--images", tmp_path / "nothing")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_problems_beyond_three_of_a_kind_are_in_the_file_that_is_named(tmp_path):
    for number in range(6):
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / f"src/{number}.xml").write_text("<annotation/>" if number == 0 else "damaged")
    done = run("import", "voc", tmp_path / "src", tmp_path / "out")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    assert lines[-2] == "error: and 2 more of this kind (not-voc); --problems FILE writes all"
    again = run("import", "voc", tmp_path / "src", tmp_path / "out", "--problems", tmp_path / "all.txt")
    assert f"{tmp_path / 'all.txt'}: all 6 problems" in again.stderr
    written = (tmp_path / "all.txt").read_text().splitlines()
    assert written.pop().startswith("warning: 0.xml: the image 0.jpg was not found")
    assert [line.partition(": is")[0] for line in written] == [f"error: {number}.xml" for number in range(1, 6)]
    assert written[:3] == lines[:3]


FORMATS = [
    "coco",
    "voc",
    "mpdd",
    "masks",
    "mvtec-fs",
    "folders",
    "yolo",
    "csv",
    "rle",
    "via",
    "cvat",
    "label-studio",
    "deep-pcb",
]
TABLE = """img_rel_path,imageHeight,imageWidth,label,points
{split}/dent/a.png,9,9,dent,"[[1, 1], [5, 1], [5, 5]]"
"""


def small_source(name, root):
    """A source of a format with one image or more."""
    made = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}
    record = {"class": "p", "anomaly": "a", "image": "a.png", "description": "", "coordinates": []}
    texts = {
        "coco": {"bolt.json": json.dumps(made)},
        "voc": {"a.xml": "<annotation/>"},
        "mpdd": {"a.json": json.dumps({"p": [record | {"num_anomalies": 0, "size_anomalies": 0}]})},
        "masks": {"note.txt": ""},
        "folders": {"note.txt": ""},
        "yolo": {"dent/a.txt": "0 0.5 0.5 0.5 0.5\n", "classes.txt": "dent"},
        "csv": {"boxes.csv": "image,label,x,y,w,h\na.jpg,dent,1,1,4,4\n"},
        "rle": {"train.csv": "ImageId,ClassId,EncodedPixels\na.jpg,1,1 3\n"},
        "via": {"via.json": json.dumps({"a": {"filename": "a.jpg", "size": 1, "regions": [], "file_attributes": {}}})},
        "cvat": {"annotations.xml": '<annotations><image name="a.jpg"/></annotations>'},
        "label-studio": {
            "a.json": json.dumps([{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"id": 1, "result": []}]}])
        },
        "deep-pcb": {"dent_not/1.txt": "1 1 4 4 1\n"},
        "mvtec-fs": {
            f"CONFIG/nut_config1/{table}.csv": TABLE.format(split=split)
            for table, split in (("train", "training"), ("valid", "testing"))
        },
    }
    (root / "dent").mkdir(parents=True)
    # A PNG of one color beside an image is its mask.
    for suffix in ("jpg", "png") if name in {"masks", "coco", "voc", "mpdd", "mvtec-fs"} else ("jpg",):
        Image.new("L", (9, 9), 255).save(root / f"dent/a.{suffix}")
    if name == "deep-pcb":
        Image.new("L", (9, 9), 255).save(root / "dent/1_test.jpg")
    for place, text in texts[name].items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    return root


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_imported_is_said_even_where_the_problems_cannot_be_written(tmp_path, name):
    src = small_source(name, tmp_path / "src")
    told = run("import", name, src, tmp_path / "out")
    assert (told.returncode, told.stdout.count(f"{tmp_path / 'out'}: ")) == (0, 1)
    (tmp_path / "file").write_text("")
    done = run("import", name, src, tmp_path / "out", "--problems", tmp_path / "file/all.txt")
    assert (done.returncode, done.stdout) == (2, told.stdout)
    assert done.stderr.splitlines()[-1].startswith(f"flawshot: {tmp_path / 'file/all.txt'}: cannot be written")


@pytest.mark.parametrize("name", FORMATS)
def test_a_progress_bar_is_shown_on_a_terminal_and_none_in_a_pipe(tmp_path, name):
    pty = pytest.importorskip("pty", reason="terminals are Unix's")
    small_source(name, tmp_path / "src")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "flawshot", "import", name, tmp_path / "src", tmp_path / "out"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, check=False, timeout=120)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert done.returncode == 0, shown
    assert "━".encode() in shown
    assert "━" not in run("import", name, tmp_path / "src", tmp_path / "out").stderr


def test_an_import_that_is_interrupted_says_so(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation/>")
    program = (
        "import flawshot.formats.voc as voc, flawshot.cli as cli\n"
        "def stop(*given, **named): raise KeyboardInterrupt\n"
        "voc.image_size = stop\n"
        "cli.main()"
    )
    command = [sys.executable, "-c", program, "import", "voc", tmp_path, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "flawshot: interrupted")


def test_problems_are_said_on_standard_error_and_the_rest_is_imported(tmp_path):
    categories = [{"id": 1, "name": "dent"}]
    images = [
        {"id": n, "file_name": name, "width": 9, "height": 9} for n, name in enumerate(["a.png", "../\x1b[31m.png"])
    ]
    annotations = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "bolt.json").write_text(json.dumps(document))
    done = run("import", "coco", tmp_path / "bolt.json", tmp_path / "out")
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path / 'out'}: 1 Labelme file with 1 instance, 0 images; products: bolt\n"
    assert "is not a valid file name" in done.stderr
    assert "1 image is not found, a.png; name their folder with --images DIR" in done.stderr
    assert "\x1b" not in done.stderr


def coco_of(annotations, name="a.png"):
    images = [{"id": 1, "file_name": name, "width": 40, "height": 30}]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "dent"}]}


BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}


@pytest.mark.parametrize("broken", [{"category_id": 2}, {"image_id": 9}, {"bbox": [1, 1, 0, 0]}])
def test_a_file_of_which_nothing_can_be_used_is_exit_status_1(tmp_path, broken):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/bolt.json").write_text(json.dumps(coco_of([BOX | broken])))
    done = run("import", "coco", tmp_path / "src", tmp_path / "out")
    assert done.returncode == 1
    assert "bolt.json: none of its annotations are usable" in done.stderr.splitlines()
    (tmp_path / "src/good.json").write_text(json.dumps(coco_of([BOX], "b.png")))
    done = run("import", "coco", tmp_path / "src", tmp_path / "out2")
    assert (done.returncode, "2 Labelme files with 1 instance" in done.stdout) == (1, True)


def test_a_file_of_images_without_any_annotation_is_a_success(tmp_path):
    (tmp_path / "bolt.json").write_text(json.dumps(coco_of([])))
    assert run("import", "coco", tmp_path / "bolt.json", tmp_path / "out").returncode == 0


def test_each_image_that_is_not_found_is_in_the_file_of_problems(tmp_path):
    boxes = (
        "<object><name>dent</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>"
    )
    size = "<size><width>40</width><height>30</height></size>"
    (tmp_path / "src").mkdir()
    for number in range(5):
        (tmp_path / f"src/p{number}.xml").write_text(f"<annotation>{size}{boxes}</annotation>")
    listed = tmp_path / "problems.txt"
    done = run("import", "voc", tmp_path / "src", tmp_path / "out", "--problems", listed)
    assert done.returncode == 0
    assert "5 images are not found, such as p0.jpg; name their folder with --images DIR" in done.stderr
    lines = listed.read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["warning"] * 5
    assert lines[4] == "warning: p4.xml: the image p4.jpg was not found; say where it is with --images"
    Image.new("L", (40, 30)).save(tmp_path / "P4.PNG")
    done = run("import", "voc", tmp_path / "src", tmp_path / "out2", "--images", tmp_path)
    assert "4 images are not found" in done.stderr


def test_options_of_new_formats_are_words_of_the_command_line(tmp_path):
    (tmp_path / "boxes.csv").write_text("foto,art,x,y,w,h\na.png,dent,1,2,8,6\n")
    refused = run("import", "csv", tmp_path / "boxes.csv", tmp_path / "out")
    assert refused.returncode == 2
    assert "say which is which with --columns 'image=NAME,label=NAME,…'" in refused.stderr
    done = run("import", "csv", tmp_path / "boxes.csv", tmp_path / "out", "--columns", "image=foto,label=art")
    assert done.returncode == 0
    assert "1 Labelme file with 1 instance, 0 images" in done.stdout
    (tmp_path / "yolo").mkdir()
    (tmp_path / "yolo/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    Image.new("L", (9, 9)).save(tmp_path / "yolo/a.png")
    done = run("import", "yolo", tmp_path / "yolo", tmp_path / "out", "--product", "bolt")
    assert done.returncode == 0
    assert "its categories are called by their number; name the file with --names" in done.stderr
    (tmp_path / "via.json").write_text(json.dumps({"a": VIA_ENTRY}))
    refused = run("import", "via", tmp_path / "via.json", tmp_path / "out")
    assert refused.stderr.strip().endswith("say which one is the category with --label")


SHAPE = {"name": "rect", "x": 1, "y": 1, "width": 3, "height": 3}
VIA_ENTRY = {
    "filename": "v.png",
    "size": 1,
    "file_attributes": {},
    "regions": [{"shape_attributes": SHAPE, "region_attributes": {"one": "a", "two": "b"}}],
}
