"""DeepPCB's boxes become Labelme files."""

from __future__ import annotations

import pytest

from flawshot import Catalog, FlawshotError, import_deep_pcb

LINES = "".join(f"{10 * kind - 9} 2 {10 * kind - 3} 9 {kind}\n" for kind in (1, 2, 3, 4))
GROUP = "PCBData/group00041"


def source(make_source, files=(), images=()):
    texts = {
        f"{GROUP}/00041_not/00041000.txt": LINES,
        f"{GROUP}/00041_not/00041001.txt": "1,12,9,20,5\n20,12,30,20,6\n",
        "PCBData/trainval.txt": "group00041/00041/00041000.jpg group00041/00041_not/00041000.txt\n",
        "PCBData/test.txt": "group00041/00041/00041001.jpg group00041/00041_not/00041001.txt\n",
    }
    pictures = [f"{GROUP}/00041/0004100{n}_{kind}.jpg" for n in (0, 1) for kind in ("test", "temp")]
    return make_source(texts | dict(files), [*pictures, *images])


def written(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*"))


def test_boxes_types_and_splits(make_source, tmp_path):
    found = import_deep_pcb(source(make_source), tmp_path / "out")
    assert (found.files, found.images, found.problems, found.products) == (2, 2, (), ("pcb",))
    assert found.categories == ("copper", "mousebite", "open", "pin-hole", "short", "spur")
    made = [(instance.category, instance.box, instance.split) for instance in Catalog.open(tmp_path / "out")]
    assert made[:3] == [
        ("copper", (1, 12, 9, 20), "test"),
        ("pin-hole", (20, 12, 30, 20), "test"),
        ("open", (1, 2, 7, 9), "train"),
    ]
    assert written(tmp_path / "out")[0] == "pcb/test/group00041/00041001_test.jpg"


def test_templates_are_images_without_a_flaw(make_source, tmp_path):
    found = import_deep_pcb(source(make_source), tmp_path / "out", templates=True, product="board")
    assert (found.counts, found.images) == ({"good": 2}, 2)
    assert (tmp_path / "out/board/train/good/group00041/00041000_temp.jpg").is_file()
    assert found.summary.endswith("; 2 templates without a flaw, in the folder good")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 2 9 9 7", "its type '7' is not known; it must be one of 1 open, 2 short"),
        ("1 2 9 9 0", "its type '0' is not known"),
        ("1 2 9 9 x", "its type 'x' is not known"),
        ("1 2 9 9", "must be x1 y1 x2 y2 type"),
        ("nan 2 9 9 1", "x1: 'nan' is not a finite number"),
        ("9 2 1 9 1", "covers no area"),
        ("90 2 99 9 1", "lies outside the image"),
        ("1 2 7 9 1", "repeats"),
    ],
)
def test_a_line_that_is_none_is_left_out_and_said(make_source, tmp_path, line, said):
    files = {f"{GROUP}/00041_not/00041000.txt": f"{LINES}{line}\n"}
    found = import_deep_pcb(source(make_source, files), tmp_path / "out")
    (problem,) = found.problems
    assert str(problem).startswith(f"{GROUP}/00041_not/00041000.txt: line 5: ")
    assert said in str(problem)
    assert found.instances == 6


def test_images_without_boxes_and_boxes_without_images_are_said(make_source, tmp_path):
    files = {f"{GROUP}/00041_not/00041009.txt": LINES, f"{GROUP}/00041_not/00041007.txt": b"\xff\xfe"}
    images = [f"{GROUP}/00041/00041008_test.jpg", f"{GROUP}/00041/00041007_test.jpg"]
    found = import_deep_pcb(source(make_source, files, images), tmp_path / "out")
    assert [(problem.kind, problem.file.rpartition("/")[2]) for problem in found.problems] == [
        ("unreadable", "00041007.txt"),
        ("not-deep-pcb", "00041008_test.jpg"),
        ("missing-image", "00041009.txt"),
    ]
    assert found.files == 2


def test_what_is_none_is_one_line(make_source, tmp_path):
    with pytest.raises(FlawshotError, match="contains no usable image of DeepPCB with its boxes"):
        import_deep_pcb(make_source({"a.txt": ""}), tmp_path / "out")
    with pytest.raises(FlawshotError, match="is not a folder"):
        import_deep_pcb(tmp_path / "nothing", tmp_path / "out")
