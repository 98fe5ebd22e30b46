"""Tables of run lengths, such as Severstal's, become Labelme files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from flawshot import Catalog, FlawshotError, import_rle
from flawshot.formats.rle_table import kaggle_region


def encode(mask):
    """Kaggle's own function, as its competitions' pages publish it."""
    pixels = np.concatenate([[0], mask.flatten(order="F"), [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(map(str, runs))


def kinds(found):
    return [problem.kind for problem in found.problems]


def boxes(root):
    return [(instance.category, instance.box, instance.area) for instance in Catalog.open(root)]


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_masks_come_back_from_kaggles_run_lengths_and_are_those_of_coco(mask):
    height, width = mask.shape
    assert np.array_equal(kaggle_region(encode(mask), height, width).full_mask(height, width), mask)
    assert np.array_equal(kaggle_region(encode(mask.T), height, width, by_rows=True).full_mask(height, width), mask)
    assert coco_mask.area(coco_mask.encode(np.asfortranarray(mask))) == kaggle_region(encode(mask), height, width).area


SEVERSTAL = "ImageId,ClassId,EncodedPixels\na.jpg,1,1 3 31 3 100 2\na.jpg,3,400 5\nb.jpg,4,\n"
OLD = "ImageId_ClassId,EncodedPixels\na.jpg_1,1 3 31 3 100 2\na.jpg_2,\na.jpg_3,400 5\nb.jpg_1,\nb.jpg_2,\n"


@pytest.mark.parametrize("text", [SEVERSTAL, OLD])
def test_both_forms_of_severstals_table(make_source, tmp_path, text):
    src = make_source({"train.csv": text}, ["train_images/a.jpg", "train_images/b.jpg"])
    found = import_rle(src, tmp_path / "out", product="steel")
    assert (found.files, found.images, found.problems) == (2, 2, ())
    assert boxes(tmp_path / "out") == [("1", (0, 0, 2, 3), 6), ("1", (3, 9, 4, 11), 2), ("3", (13, 9, 14, 14), 5)]
    assert (tmp_path / "out/steel/train/b.json").is_file()


def test_a_row_can_be_one_instance_and_small_ones_be_left_out(make_source, tmp_path):
    src = make_source({"train.csv": SEVERSTAL}, ["a.jpg", "b.jpg"])
    import_rle(src, tmp_path / "whole", whole_rows=True)
    assert [area for *_, area in boxes(tmp_path / "whole")] == [8, 5]
    found = import_rle(src, tmp_path / "large", min_area=5)
    assert ([area for *_, area in boxes(tmp_path / "large")], kinds(found)) == ([6, 5], ["small-region"])
    assert "1 region has fewer px than min_area=5" in str(found.problems[0])


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ("1", "must be pairs of whole numbers"),
        ("1 2 3", "must be pairs of whole numbers"),
        ("1 -2", "must be pairs of whole numbers"),
        ("1.5 2", "must be pairs of whole numbers"),
        ("1 " + "9" * 5000, "must be pairs of whole numbers"),
        ("0 2", "must begin at 1 or later"),
        ("5 0", "must begin at 1 or later and have at least 1 px"),
        ("5 5 7 2", "its run 7 2 overlaps another one"),
        ("1190 99", "its runs end at pixel 1288, but its image of 40 x 30 px has 1200"),
        ("1 999999999999", "its runs end at pixel 999999999999, but"),
    ],
)
def test_runs_that_are_none_are_left_out_and_said(make_source, tmp_path, runs, said):
    src = make_source({"t.csv": f"ImageId,ClassId,EncodedPixels\na.png,1,{runs}\nb.png,1,1 1\n"}, ["a.png", "b.png"])
    found = import_rle(src, tmp_path / "out")
    first, second = map(str, found.problems)
    assert first.startswith("t.csv: line 2: ")
    assert said in first
    assert second == "t.csv: image a.png: none of its regions can be used; the image is left out"
    assert found.files == 1


@pytest.mark.parametrize("nothing", ["-1", "nan", "None", ""])
def test_images_without_a_flaw_are_those_whose_rows_say_nothing(make_source, tmp_path, nothing):
    src = make_source({"t.csv": f"image,label,rle\na.png,x,{nothing}\n"}, ["a.png"])
    found = import_rle(src, tmp_path / "out")
    assert (found.files, found.instances, found.problems) == (1, 0, ())


def test_a_table_without_classes_needs_a_label(make_source, tmp_path):
    src = make_source({"t.csv": "ImageId,EncodedPixels\na.png,1 2\n"}, ["a.png"])
    with pytest.raises(FlawshotError, match="has no column with the class; name the category with label"):
        import_rle(src / "t.csv", tmp_path / "out")
    assert import_rle(src, tmp_path / "out", label="ship").categories == ("ship",)


def test_an_image_that_is_lost_and_names_that_are_none_are_said(make_source, tmp_path):
    text = "ImageId_ClassId,EncodedPixels\na.png_1,1 2\nlost.png_1,1 2\nodd,1 2\n"
    found = import_rle(make_source({"t.csv": text}, ["a.png"]), tmp_path / "out")
    assert (found.files, kinds(found)) == (1, ["image", "missing-image"])


def test_a_table_of_something_else_is_one_line(make_source, tmp_path):
    src = make_source({"t.csv": "a,b\n1,2\n"})
    with pytest.raises(FlawshotError, match="needs columns for the image, the class and the runs"):
        import_rle(src / "t.csv", tmp_path / "out")
    with pytest.raises(FlawshotError, match="min_area=0: must be at least 1"):
        import_rle(src, tmp_path / "out", min_area=0)
