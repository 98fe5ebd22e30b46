"""Which images show a flaw by the annotations in a folder, whatever product they are of and however they are read."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from flawshot.labelme.annotated_images import annotated_images, without_annotated
from helpers import box_shape


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)
    return path.resolve()


def labelme(path, image, shapes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"imagePath": image, "shapes": shapes, "flags": {}, "version": "5"}))


CASES = {
    "one with a shape": ("0.json", [box_shape("dent")], "0.png", True),
    "a shape without a label": ("0.json", [box_shape("")], "0.png", True),
    "only an unusable shape": ("0.json", [{"label": "dent", "points": "?"}], "0.png", True),
    "another name": ("a.json", [box_shape("dent")], "0.png", True),
    "the image is gone from its path": ("0.json", [box_shape("dent")], "elsewhere.jpg", True),
    "named like predictions": ("0.png.json", [box_shape("dent")], "elsewhere.jpg", True),
    "no shape": ("0.json", [], "0.png", False),
    "another image's": ("a.json", [box_shape("dent")], "1.png", False),
}


@pytest.mark.parametrize("case", CASES)
def test_an_image_with_a_shape_shows_a_flaw(tmp_path, case):
    name, shapes, image, expected = CASES[case]
    path = picture(tmp_path / "0.png")
    labelme(tmp_path / name, image, shapes)
    assert (annotated_images(tmp_path).get(path) == "") is expected


@pytest.mark.parametrize("content", [b"", b"{", b'{"shapes": [', b"\xff\xfe\xff"])
def test_an_image_whose_annotation_cannot_be_read_may_show_one(tmp_path, content):
    (tmp_path / "sub").mkdir()
    path = picture(tmp_path / "sub/0.png")
    picture(tmp_path / "sub/1.png")
    (tmp_path / "sub/0.json").write_bytes(content)
    assert list(annotated_images(tmp_path)) == [path]
    assert "sub/0.json" in annotated_images(tmp_path)[path]
    flawless = without_annotated(tmp_path, ["sub/0.png", "sub/1.png"], None)
    assert flawless.names == ["sub/1.png"]
    (problem,) = flawless.problems
    assert problem.file == "sub/0.png"
    assert "its annotation cannot be read, so that it may show a flaw: sub/0.json" in problem.message


def test_other_json_says_nothing_of_an_image(tmp_path):
    picture(tmp_path / "0.png")
    (tmp_path / "0.json").write_text('{"exposure": 12}')
    assert annotated_images(tmp_path) == {}


def test_files_elsewhere_in_the_data_annotate_images_in_the_folder(tmp_path):
    for name in ("good/0.png", "good/1.png"):
        picture(tmp_path / name)
    labelme(tmp_path / "notes/a.json", "../good/0.png", [box_shape("dent")])
    assert without_annotated(tmp_path / "good", ["0.png", "1.png"], tmp_path).names == ["1.png"]
    again = without_annotated(tmp_path / "good", ["0.png", "1.png"], None, [tmp_path / "good/1.png"])
    assert again.names == ["0.png"]
    assert [(each.severity, each.message) for each in again.problems] == [("warning", "1 image has annotated flaws")]
