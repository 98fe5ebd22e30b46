"""MPDD's detailed annotations become Labelme files, and a catalog becomes such annotations."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import shared
from flawshot import Catalog, FlawshotError, read_labelme
from flawshot.formats.detailed import detailed_document, ninth, write_detailed
from flawshot.formats.detailed_records import read_detailed, salvage_detailed
from flawshot.formats.mpdd import contradictions, import_mpdd
from helpers import box_shape
from labelme_itself import draw_mask, open_file


def box(row=10, col=20, height=5, width=7):
    return {"min_row": row, "min_col": col, "max_row": row + height, "max_col": col + width}


def record(product="tubes", anomaly="rust", image="000.png", boxes=None, **changes):
    boxes = [box()] if boxes is None else boxes
    made = {
        "class": product,
        "anomaly": anomaly,
        "image": image,
        "num_anomalies": len(boxes),
        "size_anomalies": 9,
        "coordinates": boxes,
        "description": f"Anomaly of type '{anomaly}'.",
    }
    return made | changes


@pytest.fixture
def source(tmp_path):
    def make(*records, text=None):
        folder = tmp_path / "src"
        folder.mkdir(exist_ok=True)
        classes = {}
        for entry in records:
            classes.setdefault(entry["class"], []).append(entry)
        (folder / "mpdd_detailed_annotations.json").write_text(json.dumps(classes, indent=4) if text is None else text)
        return folder

    return make


def lost_lines(found):
    """First and last line of the only place where records were lost."""
    (problem,) = (problem for problem in found.problems if problem.kind == "lost")
    assert problem.message == "the records that begin here are damaged and lost"
    return map(int, re.search(r": lines (\d+) to (\d+)$", problem.file).groups())


def image_at(path, size=(64, 48), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def test_a_box_becomes_a_rectangle_of_its_pixels_with_the_records_description(source, tmp_path):
    out = tmp_path / "out"
    src = source(record(boxes=[box(10, 20, 5, 7), box(0, 0, 1, 1)]))
    found = import_mpdd(src, out)
    assert found.counts == {"records": 1, "boxes": 2, "lost": 0}
    assert (found.files, found.instances, found.images) == (1, 2, 0)
    file = read_labelme(out / "tubes/rust/000.json")
    assert [(shape.label, shape.shape_type) for shape in file.shapes] == [("rust", "rectangle")] * 2
    assert {shape.description for shape in file.shapes} == {"Anomaly of type 'rust'."}
    assert (file.image_path, file.image_height, file.image_width) == ("000.png", None, None)
    for shape, (x0, y0, x1, y1) in zip(file.shapes, [(20, 10, 27, 15), (0, 0, 1, 1)], strict=True):
        mask = draw_mask((48, 64), shape.points.tolist(), "rectangle")
        expected = np.zeros((48, 64), dtype=bool)
        expected[y0:y1, x0:x1] = True
        assert np.array_equal(mask, expected)


@pytest.mark.parametrize("layout", ["tubes/test/rust/000.png", "tubes/rust/000.png"])
def test_an_image_gives_size_and_split_and_is_copied(source, tmp_path, layout):
    src, out = source(record()), tmp_path / "out"
    image_at(src / layout)
    assert import_mpdd(src, out).images == 1
    file = out / Path(layout).with_suffix(".json")
    assert read_labelme(file).image_width == 64
    assert file.with_suffix(".png").read_bytes() == (src / layout).read_bytes()
    (instance,) = Catalog.open(out)
    assert instance.box == (20, 10, 27, 15)
    assert instance.split == ("test" if "test" in layout else None)
    assert import_mpdd(src / "mpdd_detailed_annotations.json", tmp_path / "b", images=src / "tubes").images == 1


def test_a_damaged_file_is_one_line_with_line_and_column_and_the_remedy(source, tmp_path):
    text = json.dumps({"a": [record()]}, indent=1).replace('"size_anomalies"', "…")
    with pytest.raises(FlawshotError, match=r"line 8, column 4: is damaged .*add salvage=True") as caught:
        import_mpdd(source(text=text), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_bytes_that_are_no_text_are_named_by_line_and_no_record_holds_them(tmp_path):
    path = tmp_path / "a.json"
    good, bad = (json.dumps(record(image=name)).encode() for name in ("a.png", "b\0.png"))
    path.write_bytes(b'{"t": [' + good + b",\n" + bad.replace(b"b\\u0000", b"b\xff") + b"]}")
    with pytest.raises(FlawshotError, match=r"line 2, column \d+: is damaged \(not UTF-8\)"):
        read_detailed(path)
    found = salvage_detailed(path)
    assert [entry.image for entry in found.records] == ["a.png"]
    assert found.lost == [(2, 2)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"description": "\ud800"}, "description"),
        ({"anomaly": "a\udfff"}, "anomaly"),
        ({"image": "\ud800.png"}, "image"),
        ({"product": "\ud800"}, "[key]"),
    ],
)
def test_half_a_surrogate_pair_is_one_line_and_nothing_is_written(source, tmp_path, changes, field):
    src = source(record(image="1.png"), record(**changes))
    with pytest.raises(FlawshotError, match=r"contains half a surrogate pair, .*add salvage=True") as caught:
        import_mpdd(src, tmp_path / "out")
    assert f"{field}: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    found = import_mpdd(src, tmp_path / "out", salvage=True)
    assert (found.counts["records"], found.counts["lost"], found.files) == (1, 1, 1)


@pytest.mark.parametrize("layout", ["tubes/train/000.png", "tubes/test/train/000.png", "tubes/000.png"])
def test_a_category_with_a_splits_name_is_read_back_as_what_it_is(source, tmp_path, layout):
    src = source(record(anomaly="train"))
    image_at(src / layout)
    assert import_mpdd(src, tmp_path / "out").files == 1
    (instance,) = Catalog.open(tmp_path / "out", layout="{product}/{split}/**")
    split = "test" if layout == "tubes/test/train/000.png" else None
    assert (instance.product, instance.split, instance.category) == ("tubes", split, "train")


def test_a_class_with_a_splits_name_is_left_out_and_said(source, tmp_path):
    found = import_mpdd(source(record(), record(product="Test")), tmp_path / "out")
    assert [str(problem).partition(";")[0] for problem in found.problems] == [
        "mpdd_detailed_annotations.json: record 2: class: 'Test' is a split's name"
    ]


def test_links_out_of_the_folder_are_not_followed(source, tmp_path):
    src, far = source(record()), tmp_path / "far"
    image_at(far / "000.png")
    (src / "tubes/rust").mkdir(parents=True)
    (src / "tubes/rust/000.png").symlink_to(far / "000.png")
    found = import_mpdd(src, tmp_path / "out")
    assert (found.images, [problem.kind for problem in found.problems]) == (0, ["link"])
    (far / "a.json").symlink_to(src / "mpdd_detailed_annotations.json")
    with pytest.raises(FlawshotError, match="contains none"):
        import_mpdd(far, tmp_path / "other")


def test_progress_tells_the_records_done(source, tmp_path):
    told = []
    import_mpdd(source(record(), record(image="1.png")), tmp_path / "out", progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]


def test_salvage_keeps_whole_records_and_names_the_lost_place(source, tmp_path):
    lines = json.dumps({"tubes": [record(image=f"{n}.png") for n in range(3)]}, indent=1).split("\n")
    start = next(number for number, line in enumerate(lines) if "1.png" in line)
    del lines[start + 1 : start + 4]
    found = import_mpdd(source(text="\n".join(lines)), tmp_path / "out", salvage=True)
    assert found.counts["records"] == 2
    first, last = lost_lines(found)
    assert first <= start + 1 <= last
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.json")) == ["0.json", "2.json"]


def test_salvage_of_a_whole_file_loses_nothing(source):
    src = source(record(), record(image="1.png"), record("plate"))
    found = salvage_detailed(src / "mpdd_detailed_annotations.json")
    assert (len(found.records), found.lost) == (3, [])


RECORDS = [record(image=f"{n}.png", boxes=[box(n, n)] * (n % 3), description='a {"class": b') for n in range(6)]
TEXT = json.dumps({"a": RECORDS[:3], "b": [], "c": RECORDS[3:]}, indent=2)


@given(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)))
def test_cut_anywhere_salvage_keeps_what_is_whole_and_nothing_else(tmp_path_factory, a, b):
    start, end = sorted((a, b))
    path = tmp_path_factory.getbasetemp() / "cut.json"
    decoder, spans, at = json.JSONDecoder(), [], 0
    for entry in RECORDS:
        at = TEXT.index('{\n      "class"', at)
        spans.append((at, decoder.raw_decode(TEXT, at)[1], entry["image"]))
        at = spans[-1][1]
    for text, whole in (
        (TEXT[:start], [name for _, stop, name in spans if stop <= start]),
        (TEXT[:start] + TEXT[end:], [name for begin, stop, name in spans if stop <= start or begin >= end]),
    ):
        path.write_text(text)
        try:
            found = salvage_detailed(path)
        except FlawshotError as error:
            assert "\n" not in str(error)
            assert not whole
            continue
        names = [entry.image for entry in found.records]
        assert [name for name in names if name in whole] == whole
        # Two halves may happen to make one record that nobody can tell from a whole one.
        assert len(names) <= len(whole) + (text != TEXT[:start])
        try:
            read_detailed(path)
        except FlawshotError:
            assert found.lost
        else:
            assert not found.lost


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_anomalies": "1"}, r"tubes\.0\.num_anomalies"),
        ({"num_anomalies": -1}, r"num_anomalies"),
        ({"image": None}, r"tubes\.0\.image"),
        ({"coordinates": [{"min_row": 1}]}, r"coordinates\.0\.min_col"),
        ({"coordinates": [box(height=0)]}, r"coordinates\.0: .*max_row 10 must be greater than min_row 10"),
        ({"coordinates": [box(row=10**9)]}, r"coordinates\.0\.min_row"),
        ({"coordinates": {}}, r"coordinates"),
        ({"split": "test"}, r"tubes\.0\.split"),
        ({"size_anomalies": float("nan")}, r"size_anomalies"),
    ],
)
def test_a_record_of_something_else_is_one_line_that_names_the_field(source, tmp_path, changes, message):
    src = source(record(**changes), record(image="b.png"))
    with pytest.raises(FlawshotError, match=message) as caught:
        import_mpdd(src, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert import_mpdd(src, tmp_path / "out", salvage=True).counts["records"] == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{}", '{"a": 1}', "[" * 100_000, '{"class":' * 5000, '{"a": [], "a": []}', "1" * 5000]
)
def test_foreign_files_are_one_line(source, tmp_path, text):
    for salvage in (False, True):
        with pytest.raises(FlawshotError) as caught:
            import_mpdd(source(text=text), tmp_path / "out", salvage=salvage)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../../x.png", "/etc/x.png", "C:\\x.png", "..\\x.png", "a\0.png", ".x.png", "x" * 300]
)
def test_names_that_leave_the_folder_are_problems_and_reach_nothing(source, tmp_path, name):
    src = source(record(image=name), record(product="../x"), record(product="a/b"), record(image="good.png"))
    found = import_mpdd(src, tmp_path / "deep/er/out")
    assert [problem.kind for problem in found.problems] == ["file-name"] * 3
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json"))
    assert written == ["deep/er/out/tubes/rust/good.json", "src/mpdd_detailed_annotations.json"]


def test_an_image_that_is_a_link_out_of_the_folder_is_not_copied(source, tmp_path):
    src = source(record())
    image_at(tmp_path / "secret.png")
    (src / "tubes/rust").mkdir(parents=True)
    (src / "tubes/rust/000.png").symlink_to(tmp_path / "secret.png")
    assert import_mpdd(src, tmp_path / "out").images == 0
    assert not (tmp_path / "out/tubes/rust/000.png").exists()


def test_half_a_record_that_runs_into_whole_ones_takes_none_of_them_along(source, tmp_path):
    text = json.dumps({"tubes": [record(), record(image="1.png")], "plate": [record("plate")]})
    at = text.index('], "description"', text.index("1.png"))
    found = import_mpdd(source(text=text[:at] + text[text.index('], "plate"') :]), tmp_path / "out", salvage=True)
    assert (found.counts["records"], found.counts["lost"]) == (2, 1)


def test_a_category_may_be_called_anything_and_stays_a_label(source, tmp_path):
    import_mpdd(source(record(anomaly="../a/b")), tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.json")
    assert path.relative_to(tmp_path / "out").as_posix() == "tubes/%2E.%2Fa%2Fb/000.json"
    assert read_labelme(path).shapes[0].label == "../a/b"


def test_two_records_of_one_image_and_category_are_not_written_over_each_other(source, tmp_path):
    found = import_mpdd(source(record(), record(boxes=[box(1, 1)])), tmp_path / "out")
    (problem,) = found.problems
    assert (problem.kind, problem.severity) == ("same-name", "error")
    assert read_labelme(tmp_path / "out/tubes/rust/000.json").shapes[0].points[0].tolist() == [20, 10]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"num_anomalies": 3}, ["num_anomalies says 3, but there is 1"]),
        ({"boxes": [], "num_anomalies": 1}, ["num_anomalies says 1, but there are 0"]),
        ({"size_anomalies": 35}, []),
        ({"size_anomalies": 36}, ["size_anomalies says 36 px, but the boxes cover only 35 px"]),
    ],
)
def test_counts_that_contradict_the_boxes_are_kept_and_found(source, tmp_path, changes, words):
    found = import_mpdd(source(record(**changes)), tmp_path / "out")
    path = tmp_path / "out/tubes/rust/000.json"
    problems = contradictions("a.json", read_labelme(path))
    assert [problem.kind for problem in problems] == ["counts"] * len(words)
    assert all(word in problem.message for word, problem in zip(words, problems, strict=True))
    assert [problem.message for problem in found.problems] == [problem.message for problem in problems]


def test_labelme_opens_the_files_and_keeps_the_counts(source, tmp_path):
    src = source(record(num_anomalies=3))
    image_at(src / "tubes/test/rust/000.png")
    import_mpdd(src, tmp_path / "out")
    file = open_file(tmp_path / "out/tubes/test/rust/000.json")
    ours = read_labelme(tmp_path / "out/tubes/test/rust/000.json")
    (shape,) = file.shapes
    assert (shape["label"], shape["description"]) == ("rust", "Anomaly of type 'rust'.")
    assert np.array_equal(shape["points"], ours.shapes[0].points)
    assert file.other_data["num_anomalies"] == 3


def test_the_published_file(tmp_path):
    path = shared("mpdd/mpdd_detailed_annotations.json")
    with pytest.raises(FlawshotError, match="line 271, column 1"):
        import_mpdd(path.parent, tmp_path / "out")
    found = import_mpdd(path.parent, tmp_path / "out", salvage=True)
    assert (found.counts["records"], found.counts["boxes"], found.files, found.instances) == (212, 413, 212, 413)
    first, last = lost_lines(found)
    assert first <= 271 <= last
    assert len(found.problems) == 1
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[first - 2].strip() == "}," and lines[last].strip() == "{"  # noqa: PT018 - what stands around it


def test_a_catalog_exported_and_imported_has_the_same_boxes(write_annotations, tmp_path):
    shapes = [
        box_shape("dent", at=(5, 5)),
        box_shape("dent", at=(60, 40), size=11),
        box_shape("hole / deep", at=(90, 80)),
    ]
    root = write_annotations(
        {
            "bolt/train/x/0.json": shapes,
            "bolt/test/x/0.json": [box_shape("dent", at=(1, 2))],
            "bolt/test/y/1.json": [box_shape("dent"), box_shape("")],
            "nut/hole/2.json": [box_shape("hole")],
            "nut/0.json": [box_shape("dent", group_id=1), box_shape("dent", at=(70, 70), group_id=1)],
        }
    )
    for path in root.rglob("*.json"):
        image_at(path.with_suffix(".png"), (120, 100))
    before = Catalog.open(root)
    assert write_detailed(before, tmp_path / "src/a.json") == 7
    found = import_mpdd(tmp_path / "src", tmp_path / "out", images=root)
    assert not [problem for problem in found.problems if problem.severity == "error"]
    after = Catalog.open(tmp_path / "out")

    def boxes(catalog):
        names = ("product", "split", "category", "x0", "y0", "x1", "y1")
        return sorted(map(str, zip(*(catalog.column(name) for name in names), strict=True)))

    assert boxes(after) == boxes(before)
    written = json.loads((tmp_path / "src/a.json").read_text())
    assert [entry["image"] for entry in written["nut"]] == ["0.png", "2.png"]
    assert [entry["image"] for entry in written["bolt"]][-1] == "train/x/0.png"
    assert write_detailed(after, tmp_path / "b.json") == 7


def test_the_description_says_what_where_how_large_and_how_many(catalog_of):
    document = detailed_document(catalog_of([("bolt/0", ["dent", "dent", "hole"])]))
    first, second = document["bolt"]
    assert list(first) == list(record())
    assert (first["num_anomalies"], first["size_anomalies"], first["image"]) == (2, 162, "0.png")
    assert first["coordinates"][1] == {"min_row": 0, "min_col": 9, "max_row": 9, "max_col": 18}
    assert first["description"] == (
        "2 anomalies of type 'dent' on bolt: all upper left; together 162 px, 1.35 % of the image of 120 x 100 px; "
        "the largest 81 px."
    )
    assert second["description"] == (
        "1 anomaly of type 'hole' on bolt: upper left; 81 px, 0.675 % of the image of 120 x 100 px."
    )


def test_every_ninth_has_its_name():
    names = [ninth((x, y, x + 10, y + 10), 90, 60) for y in (0, 25, 50) for x in (0, 40, 80)]
    assert names == [
        *("upper left", "upper center", "upper right"),
        *("center left", "center", "center right"),
        *("lower left", "lower center", "lower right"),
    ]
    assert ninth((0, 0, 90, 60), 90, 60) == "center"
    assert ninth((89, 59, 90, 60), 90, 60) == "lower right"
