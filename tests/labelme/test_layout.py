"""Product and split from the path."""

from __future__ import annotations

import pytest

from flawshot import FlawshotError
from flawshot.labelme.layout import Layout, recognize_layout


@pytest.mark.parametrize(
    ("pattern", "path", "place"),
    [
        ("{product}/{split}/**", "bolt/train/x/a.json", ("bolt", "train")),
        ("{product}/{split}/**", "bolt/Testing/a.json", ("bolt", "test")),  # any case, any of the names
        ("{product}/{split}/**", "bolt/valid/a.json", ("bolt", "val")),
        ("{product}/{split}/**", "bolt/dent/a.json", ("bolt", None)),  # no split folder
        ("{product}/{split}/**", "bolt/a.json", ("bolt", None)),
        ("{product}/{split}/**", "a.json", ("root", None)),  # beside the products' folders
        ("{split}/**", "test/dent/a.json", ("root", "test")),
        ("{split}/**", "dent/a.json", ("root", None)),
        ("**", "dent/a.json", ("root", None)),
        ("{split}/{product}/**", "train/bolt/a.json", ("bolt", "train")),
        ("*/{product}/**", "line1/bolt/a.json", ("bolt", None)),
        ("annotations/{product}/**", "annotations/bolt/a.json", ("bolt", None)),
        ("annotations/{product}/**", "other/bolt/a.json", None),  # does not fit
        ("{product}", "bolt/a.json", ("bolt", None)),
        ("{product}", "bolt/deeper/a.json", None),  # too deep without **
    ],
)
def test_a_pattern_places_a_file(pattern, path, place):
    assert Layout(pattern, "root").place(path) == place


@pytest.mark.parametrize("pattern", ["", "{category}/**", "**/x", "a//b", "{product}/{product}", "x*/**", "/{product}"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(FlawshotError, match="layout="):
        Layout(pattern, "root")


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (["a.json", "b.json"], "**"),  # a flat folder is one product without split
        (["train/a.json", "test/b.json"], "{split}/**"),  # the root is the product
        (["Training/x/a.json"], "{split}/**"),
        (["bolt/train/a.json", "nut/test/b.json"], "{product}/{split}/**"),
        (["bolt/dent/a.json"], "{product}/{split}/**"),
        (["train/a.json", "test/b.json", "extra/c.json"], "{split}/**"),  # both parts tell that it is a split
        (["bolt/a.json", "nut/a.json", "test/c.json"], "{product}/{split}/**"),  # one of them alone does not
    ],
)
def test_the_layout_is_recognized(paths, pattern):
    assert recognize_layout(paths, "root").pattern == pattern
