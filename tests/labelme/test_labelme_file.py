"""Labelme files, read as labelme reads them, and refused in one line."""

from __future__ import annotations

import base64
import io
import json
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import flawshot
from flawshot import AnnotationError, FlawshotError, read_labelme, write_labelme
from flawshot.labelme.embedded import image_size
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.labelme.shapes import rasterize
from helpers import box_shape, labelme_document
from labelme_itself import MAJOR, open_file, require_labelme


@pytest.fixture(scope="module")
def labelme_opens():
    require_labelme()
    return open_file


def png_bytes(pixels=None, mode="L", size=(120, 100)):
    image = Image.new(mode, size) if pixels is None else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def mask_shape(pixels, at=(3, 4)):
    (x, y), (height, width) = at, pixels.shape
    return box_shape(
        points=[[x, y], [x + width - 1, y + height - 1]],
        shape_type="mask",
        mask=base64.b64encode(png_bytes(pixels)).decode(),
    )


def parse(document):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_labelme(data, "a.json")


numbers = st.one_of(
    st.integers(-50, 200), st.floats(-50, 200, allow_nan=False).map(lambda value: 0.0 if value == 0 else value)
)
point = st.tuples(numbers, numbers).map(list)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def shapes(draw):
    shape_type = draw(
        st.sampled_from(
            ["polygon", "rectangle", "oriented_rectangle", "circle", "line", "linestrip", "point", "points", "mask"]
        )
    )
    exact = {"rectangle": 2, "oriented_rectangle": 4, "circle": 2, "line": 2, "point": 1}
    if shape_type == "mask":
        height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
        cells = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
        pixels = np.array(cells).reshape(height, width).astype(np.uint8) * 255
        shape = mask_shape(pixels, at=(draw(st.integers(-3, 130)), draw(st.integers(-3, 110))))
    else:
        least = exact.get(shape_type, 3)
        shape = box_shape(
            points=draw(st.lists(point, min_size=least, max_size=exact.get(shape_type, 9))), shape_type=shape_type
        )
    return (
        shape
        | {
            "label": draw(texts),
            "group_id": draw(st.none() | st.integers(-5, 5)),
            "description": draw(st.none() | texts),
            "flags": draw(st.none() | st.dictionaries(texts, st.booleans(), max_size=3)),
        }
        | draw(st.dictionaries(st.sampled_from(["line_color", "score"]), st.none() | st.integers(), max_size=2))
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(shapes(), max_size=5),
    st.dictionaries(texts, st.booleans(), max_size=2),
    st.sampled_from(["a.png", ".\\a.png", "./a.png"]),
    st.booleans(),
)
def test_reads_what_labelme_reads(labelme_opens, tmp_path, made, flags, image_path, embedded):
    (tmp_path / "a.png").write_bytes(png_bytes())
    document = labelme_document(made, flags=flags, imagePath=image_path, lineColor=[0, 255, 0])
    if embedded:
        document["imageData"] = base64.b64encode(png_bytes()).decode()
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    theirs, ours = labelme_opens(path), read_labelme(path)

    assert ours.image_path == theirs.image_path
    assert ours.flags == theirs.flags
    assert ours.other == theirs.other_data
    assert ours.image_data == (theirs.image_data if embedded else None)
    assert len(ours.shapes) == len(theirs.shapes)
    for mine, its in zip(ours.shapes, theirs.shapes, strict=True):
        assert mine.label == its["label"]
        assert mine.points.tolist() == its["points"]
        for key in ("shape_type", "flags", "description", "group_id"):
            assert getattr(mine, key) == its[key], key
        assert mine.other == its["other_data"]
        if its["mask"] is None:
            assert mine.mask_png is None
        else:
            from flawshot.labelme.shapes import decode_mask

            np.testing.assert_array_equal(decode_mask(mine), its["mask"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(shapes(), max_size=4))
def test_labelme_opens_what_we_write(labelme_opens, tmp_path, made):
    (tmp_path / "a.png").write_bytes(png_bytes())
    file, problems = parse(labelme_document(made))
    assert not problems
    path = tmp_path / "out.json"
    write_labelme(file, path, overwrite=True)
    theirs = labelme_opens(path)
    assert [shape["label"] for shape in theirs.shapes] == [shape["label"] for shape in made]
    assert [shape["points"] for shape in theirs.shapes] == [shape["points"] for shape in made]
    again = read_labelme(path)
    assert [shape.mask_png for shape in again.shapes] == [shape.mask_png for shape in file.shapes]


def test_what_labelme_7_writes_is_kept_and_is_no_problem(labelme_opens, tmp_path):
    """It adds ``locked`` to shapes, where it is set."""
    (tmp_path / "a.png").write_bytes(png_bytes())
    document = labelme_document([box_shape("dent", locked=True), box_shape("scratch")], version="7.9.1")
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    file, problems = parse(document)
    assert not problems
    assert [shape.other for shape in file.shapes] == [{"locked": True}, {}]
    write_labelme(file, tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text(encoding="utf-8")) == document
    catalog = flawshot.Catalog.open(tmp_path)
    assert not catalog.problems
    assert "locked" not in " ".join(problem.message for problem in flawshot.check_data(catalog, shots=[1]))
    (_, first), _ = flawshot.labelme_files(catalog)
    assert [shape.other for shape in first.shapes] == [{"locked": True}, {}]
    theirs = labelme_opens(tmp_path / "b.json").shapes[0]
    assert theirs["locked"] is True if MAJOR >= 7 else theirs["other_data"] == {"locked": True}


@pytest.mark.parametrize(
    ("change", "shape_type"),
    [
        pytest.param(lambda s: s.pop("shape_type"), "polygon", id="labelme 3 has no shape_type"),
        pytest.param(lambda s: s.update(shape_type=None), "polygon", id="null shape_type"),
        pytest.param(lambda s: s.pop("flags"), "polygon", id="labelme 4.0 has no flags"),
        pytest.param(lambda s: s.pop("group_id"), "polygon", id="labelme 3 has no group_id"),
        pytest.param(lambda s: s.pop("description"), "polygon", id="labelme 4 has no description"),
        pytest.param(lambda s: s.update(line_color=None, fill_color=None), "polygon", id="labelme 3 colors"),
    ],
)
def test_older_files_are_read(change, shape_type):
    shape = box_shape()
    change(shape)
    file, problems = parse(labelme_document([shape]))
    assert not problems
    assert file.shapes[0].shape_type == shape_type
    assert (file.shapes[0].flags, file.shapes[0].group_id, file.shapes[0].description) == ({}, None, "")


@pytest.mark.parametrize("document", [{"imageData": None}, {}], ids=["null", "absent"])
def test_image_data_may_be_null_or_absent(document):
    made = labelme_document([box_shape()])
    del made["imageData"]
    file, _ = parse(made | document)
    assert file.image_data is None


@pytest.mark.parametrize(
    ("given_path", "read"),
    [
        ("a.png", "a.png"),
        ("..\\images\\a.png", "../images/a.png"),  # written on Windows
        ("sub/folder/a.png", "sub/folder/a.png"),
        ("C:\\Users\\me\\a.png", "C:/Users/me/a.png"),  # another machine's
    ],
)
def test_image_path_gets_forward_slashes(given_path, read):
    file, _ = parse(labelme_document([], imagePath=given_path))
    assert file.image_path == read


def test_a_byte_order_mark_is_passed_over():
    file, problems = parse(b"\xef\xbb\xbf" + json.dumps(labelme_document([box_shape("划痕")])).encode())
    assert file.shapes[0].label == "划痕"
    assert not problems


def test_gbk_is_read_with_a_warning_that_names_the_file(tmp_path):
    path = tmp_path / "old.json"
    path.write_bytes(json.dumps(labelme_document([box_shape("划痕")]), ensure_ascii=False).encode("gbk"))
    with pytest.warns(UserWarning, match=r"old\.json: is not UTF-8 and was read as GBK"):
        file = read_labelme(path)
    assert file.shapes[0].label == "划痕"


def test_utf8_is_read_without_any_warning(tmp_path):
    path = tmp_path / "new.json"
    path.write_text(json.dumps(labelme_document([box_shape("划痕")]), ensure_ascii=False), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_labelme(path)


BOX = [[10, 10], [40, 10], [40, 30], [10, 30]]
SLANTED = [[10, 20], [25, 5], [40, 20], [25, 35]]


@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("noise", [0, 0.004])
def test_a_rectangle_of_four_corners_is_its_box_wherever_it_begins(turned, backwards, noise):
    """As X-AnyLabeling writes it."""
    points = [[x + noise * (n % 2), y - noise * (n // 2)] for n, (x, y) in enumerate(BOX)]
    points = points[turned:] + points[:turned]
    shape = box_shape(points=points[::-1] if backwards else points, shape_type="rectangle")
    file, problems = parse(labelme_document([shape]))
    assert not problems
    (read,) = file.shapes
    assert (read.shape_type, read.points.shape) == ("rectangle", (2, 2))
    np.testing.assert_allclose(read.points, [[10, 10], [40, 30]], atol=0.01)
    whole, _ = parse(labelme_document([box_shape(points=[[10, 10], [40, 30]], shape_type="rectangle")]))
    if not noise:
        ours, theirs = (rasterize(each, 100, 120) for each in (read, whole.shapes[0]))
        assert (ours.box, ours.area) == (theirs.box, theirs.area)


@pytest.mark.parametrize(
    ("shape_type", "points"),
    [
        ("rectangle", SLANTED),
        ("rectangle", [[10, 10], [40, 11], [40, 30], [10, 29]]),
        ("rectangle", [BOX[0], BOX[2], BOX[1], BOX[3]]),
        ("rotation", SLANTED),
        ("rotation", BOX),
        ("quadrilateral", [[50, 10], [80, 12], [78, 30], [49, 29]]),
    ],
)
def test_other_shapes_of_four_corners_are_their_polygon(shape_type, points):
    extra = {"direction": 0.78, "score": None, "difficult": False, "attributes": {}, "kie_linking": []}
    file, problems = parse(labelme_document([box_shape(points=points, shape_type=shape_type, flags=None, **extra)]))
    assert not problems
    (read,) = file.shapes
    assert (read.shape_type, read.points.tolist(), read.other) == ("polygon", points, extra)


@pytest.mark.parametrize("end", [BOX[0], [float(value) for value in BOX[0]]])
def test_a_rectangle_may_be_closed(end):
    file, problems = parse(labelme_document([box_shape(points=[*BOX, end], shape_type="rectangle")]))
    assert (problems, file.shapes[0].points.tolist()) == ([], [[10, 10], [40, 30]])


@pytest.mark.parametrize("shape_type", ["rotation", "quadrilateral"])
def test_other_shapes_of_four_corners_may_be_closed_too(shape_type):
    file, problems = parse(labelme_document([box_shape(points=[*SLANTED, SLANTED[0]], shape_type=shape_type)]))
    assert (problems, file.shapes[0].points.tolist()) == ([], SLANTED)


@pytest.mark.parametrize(
    ("shape_type", "count"),
    [("rotation", 3), ("quadrilateral", 5), ("rectangle", 3), ("rectangle", 5), ("rectangle", 6)],
)
def test_shapes_of_another_number_of_corners_are_named(shape_type, count):
    points = [[n, n * n] for n in range(count)]
    _, (problem,) = parse(labelme_document([box_shape(points=points, shape_type=shape_type)]))
    assert (problem.kind, problem.shape) == ("point-count", 0)


@pytest.mark.parametrize("odd", ["x" * 100_000, ["y"] * 1000, True, None, [1], {"a": 1}, "1.5"])
@pytest.mark.parametrize("place", [0, 500])
def test_what_is_no_number_never_reaches_numpy(odd, place):
    """One long text among many points took its length times their number of memory."""
    points = [[n, n] for n in range(1000)]
    points[place] = [0, odd]
    _, (problem,) = parse(labelme_document([box_shape(points=points)]))
    assert problem.message == "points must be a list of [x, y] pairs of numbers"


@pytest.mark.parametrize("odd", [10**400, -(10**400), 1e300, float("nan"), float("-inf")])
def test_numbers_without_bounds_are_named_in_short(odd):
    _, (problem,) = parse(labelme_document([box_shape(points=[[0, 0], [1, 1], [odd, 2]])]))
    assert problem.kind == "points"
    assert problem.message.startswith("point 2 ")
    assert len(problem.message) < 100


BAD_FILES = [
    pytest.param(b"{", "is not JSON: .* at line 1, column 2", id="not JSON"),
    pytest.param(b"", "is not JSON", id="empty"),
    pytest.param(b"[1, 2]", "is not a Labelme file", id="another JSON"),
    pytest.param(b'{"shapes": []}', "is not a Labelme file", id="no imagePath"),
    pytest.param(b"\xff\xfe\x00", "neither UTF-8 nor GBK", id="binary"),
    pytest.param(b"[" * 100_000, "cannot be read as JSON", id="nested too deep"),
    pytest.param(json.dumps(labelme_document({})).encode(), "shapes must be a list", id="shapes no list"),
    pytest.param(json.dumps(labelme_document([], imagePath=3)).encode(), "imagePath", id="imagePath no text"),
    pytest.param(json.dumps(labelme_document([], imageHeight=-5)).encode(), "imageHeight", id="negative height"),
    pytest.param(json.dumps(labelme_document([], imageWidth="9")).encode(), "imageWidth", id="width as text"),
    pytest.param(
        json.dumps(labelme_document([], imageWidth=90_000, imageHeight=90_000)).encode(), "more than", id="huge image"
    ),
    pytest.param(json.dumps(labelme_document([box_shape("\ud800")])).encode(), "surrogate", id="half a surrogate pair"),
]


@pytest.mark.parametrize(("data", "message"), BAD_FILES)
def test_a_bad_file_gives_one_line_that_names_it(tmp_path, data, message):
    path = tmp_path / "bad.json"
    path.write_bytes(data)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_labelme(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


BAD_SHAPES = [
    pytest.param(box_shape(points=[[0, 0], [1, 1]]), "polygon has at least 3 points, not 2", id="two-point polygon"),
    pytest.param(box_shape(shape_type="circle"), "circle has 2 points, not 4", id="too many for a circle"),
    pytest.param(box_shape(shape_type="line", points=[[1, 1]]), "line has 2 points, not 1", id="one-point line"),
    pytest.param(box_shape(shape_type="linestrip", points=[[1, 1]]), "at least 2", id="one-point linestrip"),
    pytest.param(box_shape(points=[]), "points must be", id="no points"),
    pytest.param(box_shape(points=[[0, 0], [1, float("nan")], [2, 2]]), "point 1 is not finite", id="NaN"),
    pytest.param(box_shape(points=[[0, 0], [1, 2], [2, float("inf")]]), "point 2 is not finite", id="infinity"),
    pytest.param(box_shape(points=[[0, 0], [1, 2], [2, 1e9]]), "outside any possible image", id="out of this world"),
    pytest.param(box_shape(points=[[0, 0], [1, 2], [2]]), "pairs of numbers", id="ragged"),
    pytest.param(box_shape(points=[[0, 0], [1, 2], ["a", "b"]]), "pairs of numbers", id="texts"),
    pytest.param(box_shape(points=[[0, 0, 0]] * 3), "pairs of numbers", id="three coordinates"),
    pytest.param(box_shape(points="evil"), "points must be", id="points no list"),
    pytest.param(box_shape(shape_type="blob"), "shape_type 'blob' is not known", id="unknown type"),
    pytest.param(box_shape(label=7), "label must be text", id="label no text"),
    pytest.param({"points": [[0, 0]] * 3}, "label is missing", id="no label"),
    pytest.param(box_shape(group_id="g"), "group_id must be", id="group as text"),
    pytest.param(box_shape(group_id=2**70), "group_id must be", id="huge group"),
    pytest.param(box_shape(flags={"a": "yes"}), "flags must be", id="flags no booleans"),
    pytest.param(box_shape(description=5), "description must be", id="description no text"),
    pytest.param(box_shape(shape_type="mask", points=[[0, 0], [1, 1]]), "needs a mask", id="mask absent"),
    pytest.param(box_shape(shape_type="mask", points=[[0, 0], [1, 1]], mask="%%"), "base64", id="mask no base64"),
    pytest.param(
        box_shape(shape_type="mask", points=[[0, 0], [1, 1]], mask=base64.b64encode(b"no png").decode()),
        "cannot be decoded",
        id="mask no PNG",
    ),
    pytest.param(
        box_shape(shape_type="mask", points=[[0, 0], [1, 1]], mask=base64.b64encode(png_bytes(mode="RGB")).decode()),
        "more than one channel",
        id="color mask",
    ),
    pytest.param("shape", "is not an object", id="no object"),
]


@pytest.mark.parametrize(("shape", "message"), BAD_SHAPES)
def test_a_bad_shape_gives_one_line_that_names_file_and_shape(tmp_path, shape, message):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(labelme_document([box_shape(), shape])), encoding="utf-8")
    with pytest.raises(AnnotationError, match=message) as caught:
        read_labelme(path)
    assert str(caught.value).startswith(f"{path}: shape 1: ")
    assert "\n" not in str(caught.value)


def test_the_other_shapes_of_a_file_with_a_bad_one_keep_their_index():
    file, problems = parse(labelme_document([box_shape(), box_shape(points=[]), box_shape("dent")]))
    assert [(shape.index, shape.label) for shape in file.shapes] == [(0, "scratch"), (2, "dent")]
    assert [problem.shape for problem in problems] == [1]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["shapes", "imagePath", "label", "points", "mask", "flags"]), inner, max_size=4),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_the_bytes_only_our_own_error_comes_out(data):
    try:
        parse_labelme(data, "x.json")
    except AnnotationError as error:
        assert "\n" not in str(error)


def test_writing_never_replaces_another_file(tmp_path):
    file, _ = parse(labelme_document([box_shape()]))
    path = tmp_path / "a.json"
    write_labelme(file, path)
    before = path.read_bytes()
    write_labelme(file, path)  # the same content is no harm
    other, _ = parse(labelme_document([box_shape("dent")]))
    with pytest.raises(FlawshotError, match="exists with different content"):
        write_labelme(other, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_of_an_image_that_lies_on_its_side_is_that_of_the_upright_one(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    file, _ = parse(labelme_document([], imageHeight=None, imageWidth=None))
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(Image.open(path))
    assert image_size(file, path) == (upright.height, upright.width)


def test_the_size_comes_from_the_embedded_image_where_the_file_does_not_say():
    data = base64.b64encode(png_bytes(size=(7, 5))).decode()
    file, _ = parse(labelme_document([], imageHeight=None, imageWidth=None, imageData=data))
    assert image_size(file, None) == (5, 7)


def test_base64_may_have_its_lines_broken():
    data = base64.encodebytes(png_bytes()).decode()
    file, problems = parse(labelme_document([mask_shape(np.full((90, 90), 255, np.uint8))], imageData=data))
    assert not problems
    assert file.image_data == png_bytes()
    shape = mask_shape(np.full((90, 90), 255, np.uint8))
    shape["mask"] = base64.encodebytes(base64.b64decode(shape["mask"])).decode()
    assert not parse(labelme_document([shape]))[1]


def test_what_json_has_no_form_for_is_one_line_when_written(tmp_path):
    file, _ = parse(labelme_document([box_shape(score=float("nan"))]))
    with pytest.raises(FlawshotError, match=r"out\.json: cannot be written as JSON"):
        write_labelme(file, tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []
