"""CVAT's XML for images becomes Labelme files."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flawshot import Catalog, FlawshotError, import_cvat, read_labelme
from flawshot.formats import cvat

BOX = '<box label="dent" source="manual" occluded="0" xtl="3.00" ytl="4.00" xbr="9.00" ybr="10.00" z_order="0"/>'


def image(*shapes, name="a.png", size='width="40" height="30"', more=""):
    return f'<image id="0" name="{name}" {size} {more}>{"".join(shapes)}</image>'


def document(*images):
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta/>'
    return f"{head}{''.join(images)}</annotations>"


def written_mask(mask, left, top):
    """A mask as CVAT writes it: runs of 0 and 1 in turn, beginning with 0, along the rows of its box."""
    values = [0, *mask.flatten().astype(int).tolist()]
    runs = [0]
    for before, value in itertools.pairwise(values):
        runs = [*runs[:-1], runs[-1] + 1] if value == before else [*runs, 1]
    height, width = mask.shape
    rle = ", ".join(map(str, runs))
    return f'<mask label="m" rle="{rle}" left="{left}" top="{top}" width="{width}" height="{height}"/>'


def instances(root):
    return [(each.category, each.box, each.area, each.shape_type) for each in Catalog.open(root)]


@pytest.mark.parametrize(
    ("shape", "made"),
    [
        (BOX, ("dent", (3, 4, 9, 10), 36, "rectangle")),
        # About its center (15, 12): a quarter turn swaps its sides.
        ('<box label="d" xtl="10" ytl="10" xbr="20" ybr="14" rotation="90.0"/>',
         ("d", (13, 7, 17, 17), 40, "rectangle")),
        ('<box label="d" xtl="10" ytl="10" xbr="20" ybr="14" rotation="180"/>',
         ("d", (10, 10, 20, 14), 40, "rectangle")),
        # 5 and 2 px from the center, turned by 45 degrees, end 4.95 px from it.
        ('<box label="d" xtl="10" ytl="10" xbr="20" ybr="14" rotation="45"/>', ("d", (10, 7, 20, 17), 40, "polygon")),
        ('<polygon label="p" points="1,1;9,1;9,8;1,8"/>', ("p", (1, 1, 10, 9), 72, "polygon")),
        ('<polyline label="p" points="1.0,1.0;9.5,1.0"/>', ("p", (1, 0, 11, 7), 70, "linestrip")),
        ('<points label="p" points="20,10"/>', ("p", (15, 5, 26, 16), 97, "points")),
        ('<ellipse label="e" cx="20" cy="15" rx="10" ry="5"/>', ("e", (10, 10, 31, 21), 177, "polygon")),
        ('<ellipse label="e" cx="20" cy="15" rx="10" ry="5" rotation="90"/>', ("e", (15, 5, 26, 26), 177, "polygon")),
        ('<mask label="m" rle="1, 2, 1, 2" left="30" top="20" width="3" height="2"/>',
         ("m", (31, 20, 33, 22), 4, "mask")),
    ],
)  # fmt: skip
def test_each_shape(make_source, tmp_path, shape, made):
    found = import_cvat(make_source({"annotations.xml": document(image(shape))}, ["images/a.png"]), tmp_path / "out")
    assert (found.images, found.problems) == (1, ())
    ((category, box, area, kind),) = instances(tmp_path / "out")
    assert (category, kind) == (made[0], made[3])
    assert np.abs(np.subtract(box, made[1])).max() <= (kind in {"polygon", "linestrip"})
    assert abs(area - made[2]) <= (0 if kind in {"rectangle", "mask"} else 0.15 * made[2])


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))), st.integers(0, 20), st.integers(0, 20))
def test_masks_come_back_exactly(mask, left, top):
    element = cvat.ElementTree.fromstring(written_mask(mask, left, top))
    region = cvat._mask(element)
    whole = np.zeros((40, 40), dtype=bool)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    assert np.array_equal(region.full_mask(40, 40), whole)


def test_attributes_groups_tags_and_subsets(make_source, tmp_path):
    attributes = '<attribute name="deep">true</attribute><attribute name="note">see below</attribute>'
    grouped = [
        f'<polygon label="crack" occluded="1" group_id="7" points="{points}">{attributes}</polygon>'
        for points in ("1,1;5,1;5,5", "11,11;15,11;15,15")
    ]
    first = image(*grouped, '<tag label="reject"/>', more='subset="Validation"')
    text = document(first, image(name="b.png", more='subset="default"'))
    found = import_cvat(make_source({"annotations.xml": text}, ["a.png", "b.png"]), tmp_path / "out")
    assert (found.instances, found.problems) == (1, ())
    file = read_labelme(tmp_path / "out/src/val/a.json")
    assert file.flags == {"reject": True}
    assert [(shape.group_id, shape.flags, shape.description) for shape in file.shapes] == [
        (7, {"occluded": True, "deep": True}, "note: see below")
    ] * 2
    assert not read_labelme(tmp_path / "out/src/b.json").shapes


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ('<box label="d" xtl="nan" ytl="1" xbr="2" ybr="3"/>', "xtl: 'nan' is not a finite number"),
        ('<box label="d" ytl="1" xbr="2" ybr="3"/>', "xtl: None is not a finite number"),
        ('<box label="d" xtl="9" ytl="1" xbr="2" ybr="3"/>', "covers no area"),
        ('<box label="d" xtl="1" ytl="1" xbr="2" ybr="3" rotation="inf"/>', "rotation: 'inf' is not a finite number"),
        ('<box label="d" xtl="90" ytl="1" xbr="99" ybr="3"/>', "lies outside the image"),
        ('<polygon label="d" points="1,1;2,2"/>', "a polygon needs at least 3 points, not 2"),
        ('<polygon label="d" points="1,1;2;3,3"/>', "points must be x,y;x,y;…"),
        ('<polygon label="d"/>', "a polygon needs at least 3 points, not 0"),
        ('<ellipse label="d" cx="1" cy="1" rx="0" ry="3"/>', "covers no area"),
        ('<cuboid label="d"/>', "a cuboid is not a region of pixels"),
        ('<skeleton label="d"><points label="x" points="1,1"/></skeleton>', "a skeleton is not a region of pixels"),
        ('<mask label="m" rle="1, 2" left="30" top="20" width="3" height="2"/>', "counts fill 3 px of the 6 px"),
        ('<mask label="m" rle="1, -2" left="30" top="20" width="3" height="2"/>', "rle must be run lengths"),
        (f'<mask label="m" rle="{"9" * 5000}" left="30" top="20" width="3" height="2"/>', "rle must be run lengths"),
        ('<mask label="m" rle="6" left="30" top="20" width="3" height="2"/>', "its mask covers no pixel"),
        ('<mask label="m" rle="6" left="30" top="20" width="199999" height="199999"/>', "more than the limit"),
        ('<mask label="m" rle="6" left="0.5" top="20" width="3" height="2"/>', "must be whole numbers of px"),
        (BOX, "repeats annotations.xml: image a.png: box 1"),
    ],
)
def test_a_shape_that_is_none_is_left_out_and_said(make_source, tmp_path, shape, said):
    src = make_source({"annotations.xml": document(image(BOX, shape))}, ["a.png"])
    found = import_cvat(src, tmp_path / "out")
    (problem,) = found.problems
    assert str(problem).startswith("annotations.xml: image a.png: ")
    assert said in str(problem)
    assert str(problem).endswith("; it is left out")
    assert found.instances == 1


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
THEFT = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB + "<annotations>&b;</annotations>", "is not plain XML"),
        (THEFT + "<annotations>&a;</annotations>", "is not plain XML"),
        ("", "is not plain XML"),
        ("<annotations>", "is not plain XML"),
        ("<annotation/>", "its root element is 'annotation', not annotations"),
        ("<annotations/>", "it has no image"),
        ('<annotations><track id="0"/></annotations>', 'for video; export the task as "CVAT for images 1.1"'),
        (b'<?xml version="1.0" encoding="no-such"?><annotations/>', "is not plain XML"),
    ],
)
def test_hostile_and_foreign_files_are_one_line_and_the_rest_is_read(make_source, tmp_path, text, said):
    src = make_source({"bad.xml": text, "good.xml": document(image(BOX))}, ["a.png"])
    found = import_cvat(src, tmp_path / "out")
    (problem,) = found.problems
    assert (problem.file, problem.kind) == ("bad.xml", "not-cvat")
    assert said in str(problem)
    with pytest.raises(FlawshotError, match=r"bad\.xml: ") as told:
        import_cvat(src / "bad.xml", tmp_path / "other")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("size", ["", 'width="-1" height="x"', 'width="1e9" height="3"'])
def test_where_the_size_is_none_the_images_own_is_used(make_source, tmp_path, size):
    src = make_source({"annotations.xml": document(image(BOX, size=size))}, ["a.png"])
    found = import_cvat(src, tmp_path / "out")
    file = read_labelme(tmp_path / "out/src/a.json")
    assert (file.image_width, file.image_height) == (40, 30)
    assert [problem.kind for problem in found.problems] == (["image-size"] if size else [])


def test_images_are_found_by_path_and_none_outside(make_source, tmp_path):
    make_source(images=["x.png"], name="outside")
    names = ["train/a.png", "../outside/x.png"]
    text = document(*(image(BOX, name=name) for name in names))
    found = import_cvat(make_source({"annotations.xml": text}, ["images/train/a.png"]), tmp_path / "out")
    assert (found.images, [each.image for each in found.missing]) == (1, ["x.png"])
    assert (tmp_path / "out/src/train/a.json").is_file()
