"""What a data set's check finds: one made-up file for each kind of finding, and sound files without any."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from flawshot import Catalog, FlawshotError
from flawshot.inspect.checks import check_data
from flawshot.inspect.checks.labels import similar_labels
from flawshot.inspect.checks.polygons import crossing_edges
from helpers import box_shape, labelme_document

WIDTH, HEIGHT = 120, 100


def pixels(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))


def encoded(image, suffix="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=suffix, **options)
    return buffer.getvalue()


def polygon(*points, label="scratch"):
    return box_shape(label, points=[list(point) for point in points])


def sideways(image):
    """The image laid on its side, with the EXIF orientation that puts it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), "jpeg", exif=exif.tobytes(), quality=95)


def embedding(image):
    return {"imageData": base64.b64encode(encoded(image)).decode()}


@pytest.fixture
def check(tmp_path):
    """Findings of one file beside six sound ones, each with its image: (kind, file, shape, message)."""

    def run(shapes, image=None, name="p/x.png", changes=None, **options):
        root = tmp_path / "data"
        (root / "p").mkdir(parents=True)
        for n in range(6):
            (root / f"p/{n}.json").write_text(json.dumps(labelme_document([box_shape()], imagePath=f"{n}.png")))
            (root / f"p/{n}.png").write_bytes(encoded(pixels(n)))
        document = labelme_document(shapes, imagePath=name.rpartition("/")[2]) | (changes or {})
        (root / "p/x.json").write_text(json.dumps(document))
        data = encoded(pixels(99)) if image is None else image
        if data:
            (root / name).write_bytes(data)
        catalog = Catalog.from_folder(root)
        found = [*catalog.problems, *check_data(catalog, **options)]
        for problem in found:
            assert str(problem).isprintable()
        return [(p.kind, p.severity, p.file, p.shape, p.message) for p in found]

    return run


CASES = {
    "sound": ([box_shape(), box_shape(at=(50, 50))], {}, None),
    "no shape at all": ([], {}, None),
    "an image on its side by EXIF": ([box_shape()], {"image": sideways(pixels(99)), "name": "p/x.jpg"}, None),
    "a polygon on one line": ([polygon((1, 1), (9, 9), (5, 5))], {}, ("zero-area", 0, "polygon encloses no area")),
    "a polygon there and back": (
        [polygon((1, 1), (9, 9), (20, 9), (9, 9))],
        {},
        ("zero-area", 0, "make it a line or a point"),
    ),
    "a flat rectangle": (
        [box_shape(shape_type="rectangle", points=[[5, 5], [5, 30]])],
        {},
        ("zero-area", 0, "rectangle encloses no area"),
    ),
    "a circle of no radius": (
        [box_shape(shape_type="circle", points=[[5, 5], [5, 5]])],
        {},
        ("no-pixels", 0, "covers no pixel"),
    ),
    "a line has no area to lose": ([box_shape(shape_type="line", points=[[5, 5], [5, 30]])], {}, None),
    "an eight": (
        [box_shape(at=(60, 60)), polygon((0, 0), (40, 40), (40, 0), (0, 40))],
        {},
        ("self-intersection", 1, "its edges from points 0 and 2"),
    ),
    "the same square twice": (
        [box_shape(), box_shape(at=(40, 40)), box_shape()],
        {},
        ("duplicate-shape", 2, "covers the pixels of shape 0, with the same label (IoU 1.00)"),
    ),
    "nearly the same square twice": (
        [box_shape(size=60), box_shape(size=61)],
        {},
        ("duplicate-shape", 1, "(IoU 0.97)"),
    ),
    "a square in a square": ([box_shape(size=60), box_shape(size=50)], {}, None),
    "points outside": ([box_shape(at=(115, 5))], {}, ("points-outside", 0, "points outside the image of 120 x 100")),
    "a group of two labels": (
        [box_shape(group_id=1), box_shape("Scratches", at=(40, 40), group_id=1)],
        {"shots": (0,)},
        ("mixed-group", 0, "several labels (Scratches, scratch)"),
    ),
    "an image that is none": ([box_shape()], {"image": b"no image"}, ("unreadable-image", None, "p/x.png")),
    "half an image": (
        [box_shape()],
        {"image": encoded(pixels(99))[:9000]},
        ("unreadable-image", None, "cannot be decoded"),
    ),
    "half an image, its header read": ([box_shape()], {"image": encoded(pixels(99))[:9000], "fast": True}, None),
    "no image read by its header": (
        [box_shape()],
        {"image": b"no image", "fast": True},
        ("unreadable-image", None, "cannot be decoded"),
    ),
    "no image at all": ([box_shape()], {"image": b""}, ("missing-image", None, "x.png is missing")),
    "an image of a file without shapes": ([], {"image": b"no"}, ("unreadable-image", None, "replace the image")),
    "another size": (
        [box_shape()],
        {"image": encoded(Image.new("L", (100, 120)))},
        ("size-mismatch", None, "imageWidth, imageHeight: 120 x 100 px, but p/x.png has 100 x 120 after"),
    ),
    "another size, its header read": (
        [box_shape()],
        {"image": encoded(Image.new("L", (100, 120))), "fast": True},
        ("size-mismatch", None, "annotate the image as it is"),
    ),
    "the size before EXIF": (
        [box_shape()],
        {
            "image": sideways(pixels(99)),
            "name": "p/x.jpg",
            "changes": {"imageWidth": HEIGHT, "imageHeight": WIDTH},
            "fast": True,
        },
        ("size-mismatch", None, "has 120 x 100 after its EXIF orientation"),
    ),
    "an embedded image that is another image's copy": (
        [box_shape()],
        {"image": b"", "changes": {"imageData": base64.b64encode(encoded(pixels(3))).decode()}},
        ("same-image", None, "imageData of p/x.json equals p/3.png byte by byte"),
    ),
    "an embedded image that is larger than the file": (
        [box_shape()],
        {"image": encoded(pixels(99).resize((60, 50))), "changes": embedding(pixels(99)), "fast": True},
        ("embedded-image", None, "imageData has 120 x 100 px, but p/x.png has 60 x 50"),
    ),
    "an embedded image of other pixels": (
        [box_shape()],
        {"image": encoded(pixels(98)), "changes": embedding(pixels(99))},
        ("embedded-image", None, "imageData differs from p/x.png"),
    ),
    "an embedded image beside a damaged file": (
        [box_shape()],
        {"image": encoded(pixels(99))[:400], "changes": embedding(pixels(99))},
        ("embedded-image", None, "the embedded image is used"),
    ),
    "what is embedded is no image": (
        [box_shape()],
        {"image": encoded(pixels(99)), "changes": {"imageData": "aGVsbG8="}},
        ("embedded-image", None, "p/x.png is used instead"),
    ),
    "the same image twice": (
        [box_shape()],
        {"image": encoded(pixels(3)), "fast": True},
        ("same-image", None, "p/x.png equals p/3.png byte by byte; keep one"),
    ),
    "the same pixels twice": (
        [box_shape()],
        {"image": encoded(pixels(3), "bmp"), "name": "p/x.bmp"},
        ("same-image", None, "p/x.bmp equals p/3.png pixel by pixel"),
    ),
    "counts that came with the annotations and contradict them": (
        [box_shape(shape_type="rectangle", points=[[5, 5], [9, 9]])],
        {"changes": {"num_anomalies": 2, "size_anomalies": 9}},
        ("counts", None, "num_anomalies"),
    ),
    "one image annotated twice": (
        [box_shape()],
        {"image": b"", "changes": {"imagePath": "3.png"}},
        ("same-image", None, "p/3.png is also annotated by p/3.json"),
    ),
}


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(encoded(pixels(99)), id="byte by byte"),
        pytest.param(encoded(pixels(99), compress_level=1), id="packed otherwise"),
        pytest.param(b"", id="no file"),
    ],
)
def test_an_embedded_image_that_is_the_file_is_no_finding(check, beside):
    assert check([box_shape()], image=beside, changes=embedding(pixels(99))) == []


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_finding(check, case):
    shapes, options, expected = CASES[case]
    found = check(shapes, **options)
    if expected is None:
        assert found == []
        return
    ((kind, _, file, shape, message),) = found
    assert (kind, file, shape) == (expected[0], "p/x.json", expected[1])
    assert expected[2] in message


@pytest.mark.parametrize(
    ("label", "how"),
    [
        ("Scratch", "only by case"),
        ("scratch ", "only by case, spaces"),
        ("scr-at_ch", "hyphens"),
        ("scrach", "by one letter"),
        ("scratchs", "by one letter"),
        ("scretch", "by one letter"),
        ("scratch2", None),  # digits number categories
        ("stretch", None),
        ("dent", None),
        ("划痕", None),
    ],
)
def test_labels_that_are_probably_one(catalog_of, label, how):
    catalog = catalog_of([("p/a", ["scratch"] * 3), ("p/b", [label]), ("q/c", ["SCRATCH"])])
    found = similar_labels(catalog)
    if how is None:
        assert found == []
    else:
        (problem,) = found
        assert (problem.kind, problem.file, problem.shape, problem.severity) == (
            "similar-labels",
            "p/b.json",
            0,
            "warning",
        )
        assert how in problem.message
        assert f"label {label!r} (1 instance of p) and 'scratch' (3) differ" in problem.message


@pytest.mark.parametrize("pair", [("NG_03", "NG_04"), ("NG_3", "NG_03"), ("cut", "cup"), ("pit", "pits")])
def test_labels_that_are_two(catalog_of, pair):
    assert similar_labels(catalog_of([("p/a", list(pair))])) == []


def test_categories_too_small_for_the_shots(write_annotations):
    root = write_annotations({f"p/{n}.json": [box_shape(), box_shape("dent", at=(40, 40))] for n in range(4)})
    write_annotations({"p/more.json": [box_shape("dent")] * 3})
    catalog = Catalog.from_folder(root)

    def small(*shots):
        return [p.message for p in check_data(catalog, shots=shots) if p.kind == "small-category"]

    assert small(1, 3) == []
    assert small(5, 4, 3) == [
        "category 'scratch' has 4 instances, too few for 4, 5 shots and a query; annotate more, or lower shots"
    ]
    assert len(small(7)) == 2
    with pytest.raises(FlawshotError, match="no data folder"):
        check_data(Catalog(catalog.table))


def test_other_products_files_are_left_alone_and_progress_is_told(write_annotations):
    root = write_annotations({f"p/{n}.json": [polygon((1, 1), (2, 2), (3, 3))] for n in range(20)})
    told = []
    catalog = Catalog.from_folder(root)
    elsewhere = frozenset(["p/3.json"])
    found = check_data(catalog, elsewhere=elsewhere, progress=lambda *done: told.append(done))
    assert told == [(n, 19) for n in range(1, 20)]
    assert len([p for p in found if p.kind == "zero-area"]) == 19


def crosses_plainly(points):
    """Whether two edges cross, one pair after the other, in whole numbers."""

    def side(a, b, c):
        return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    edges = [(points[n], points[(n + 1) % len(points)]) for n in range(len(points))]
    return [
        (i, j)
        for i, (a, b) in enumerate(edges)
        for j, (c, d) in enumerate(edges)
        if i < j and side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
    ]


@pytest.mark.parametrize("at_once", [4, 2**18])
def test_crossings_are_those_of_the_plain_test(monkeypatch, at_once):
    monkeypatch.setattr("flawshot.inspect.checks.polygons.PAIRS_AT_ONCE", at_once)
    rng = np.random.default_rng(5)
    kinds = set()
    for _ in range(300):
        points = rng.integers(0, 8, (int(rng.integers(3, 9)), 2))
        expected = min(crosses_plainly(points.tolist()), default=None)
        assert crossing_edges(points.astype(float)) == expected
        assert (crossing_edges(points / 3 + 1000.1) is None) == (expected is None)  # and in fractions
        kinds.add(expected is None)
    assert kinds == {True, False}


def test_an_outline_of_many_points_is_checked_quickly():
    angle = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    circle = 5000 + 4000 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert crossing_edges(circle) is None
    circle[[100, 102]] = circle[[102, 100]]
    assert crossing_edges(circle) is not None


@pytest.mark.parametrize(("one", "other"), [("caf\u00e9", "cafe\u0301"), ("ＡＢ", "AB"), ("ﬁlm", "film")])
def test_one_label_in_two_unicode_forms_is_told(catalog_of, one, other):
    (problem,) = similar_labels(catalog_of([("p/a", [one, one]), ("p/b", [other])]))
    assert "differ only " in problem.message
