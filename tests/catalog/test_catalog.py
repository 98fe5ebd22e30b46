"""Catalogs: joined instances, found images, problems, Parquet."""

from __future__ import annotations

import json
import os
import random
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from flawshot import AnnotationError, Catalog, FlawshotError, count_instances, measure_sizes, query_catalog
from flawshot.formats.detailed import detailed_document
from helpers import box_shape, labelme_document


def kinds(catalog):
    return [
        (problem.kind, problem.file, problem.shape) for problem in catalog.problems if problem.kind != "missing-image"
    ]


def test_an_instance_knows_its_id_box_area_and_category(write_annotations):
    catalog = Catalog.open(write_annotations({"bolt/test/dent/0.json": [box_shape("dent", at=(20, 30), size=8)]}))
    (instance,) = catalog
    assert instance.id == "bolt/test/dent/0.json#0"
    assert (instance.product, instance.split, instance.category) == ("bolt", "test", "dent")
    assert instance.box == (20, 30, 29, 39)  # the polygon's border pixels are part of it
    assert instance.area == 81
    assert instance.image == "bolt/test/dent/0.png"
    assert instance.shape_type == "polygon"
    np.testing.assert_array_equal(instance.region().pixels, np.ones((9, 9), bool))
    assert catalog[0].id == catalog[-1].id == instance.id
    with pytest.raises(IndexError):
        catalog[1]


def test_shapes_of_one_group_and_label_are_one_instance_named_by_the_first(write_annotations):
    shapes = [
        box_shape("dent", at=(0, 0)),
        box_shape("scratch", at=(10, 10), group_id=4),
        box_shape("scratch", at=(60, 10), group_id=5),
        box_shape("scratch", at=(30, 40), group_id=4, shape_type="rectangle", points=[[30, 40], [35, 44]]),
    ]
    catalog = Catalog.open(write_annotations({"a.json": shapes}))
    assert catalog.column("id") == ["a.json#0", "a.json#1", "a.json#2"]
    joined = catalog[1]
    assert [shape.index for shape in joined.shapes] == [1, 3]
    assert joined.box == (10, 10, 36, 45)
    assert joined.area == 81 + 6 * 5
    assert joined.shape_type == "mixed"


def test_a_group_with_several_labels_is_not_joined_and_said(write_annotations):
    shapes = [
        box_shape("dent", group_id=1),
        box_shape("scratch", at=(40, 40), group_id=1),
        box_shape("dent", group_id=1),
    ]
    catalog = Catalog.open(write_annotations({"a.json": shapes}))
    assert catalog.column("category") == ["dent", "scratch", "dent"]
    assert kinds(catalog) == [("mixed-group", "a.json", 0)]
    assert "several labels (dent, scratch)" in next(str(p) for p in catalog.problems if p.kind == "mixed-group")


def test_what_cannot_be_used_is_collected_and_the_rest_is_read(write_annotations):
    root = write_annotations({
        "p/a.json": [box_shape(), box_shape(points=[])],
        "p/b.json": [box_shape(at=(500, 500))],
        "p/c.json": [box_shape(at=(115, 5)), box_shape("")],
    })  # fmt: skip
    (root / "p/d.json").write_text("{")
    (root / ".hidden").mkdir()
    (root / ".hidden/e.json").write_text("{")
    catalog = Catalog.open(root)
    assert catalog.column("id") == ["p/a.json#0", "p/c.json#0", "p/c.json#1"]
    assert sorted(kinds(catalog)) == [
        ("no-label", "p/c.json", 1),
        ("no-pixels", "p/b.json", 0),
        ("not-json", "p/d.json", None),
        ("points", "p/a.json", 1),
        ("points-outside", "p/c.json", 0),
    ]
    assert catalog[1].box == (115, 5, 120, 14)  # cut at the image's right edge


@pytest.mark.parametrize(
    "content",
    [b"{", json.dumps(labelme_document([box_shape(points=[])])).encode(), json.dumps(labelme_document([])).encode()],
    ids=["not JSON", "bad shape", "missing image"],
)
def test_strict_stops_at_the_first_error(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(AnnotationError, match=r"^a\.json: "):
        Catalog.from_folder(tmp_path, strict=True)
    Catalog.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("image_path", "at", "found"),
    [
        ("x.png", "data/p/x.png", "p/x.png"),
        ("..\\images\\x.png", "data/images/x.png", "images/x.png"),  # a folder beside, written on Windows
        ("C:\\me\\x.png", "data/p/x.png", "p/x.png"),  # another machine's path: the file beside
        ("/home/me/x.png", "data/p/x.png", "p/x.png"),
        ("gone/x.png", "data/p/x.png", "p/x.png"),  # a folder that is no more
        ("../../x.png", "x.png", None),  # out of the data root: not followed
        ("../../../../etc/passwd", None, None),
    ],
)
def test_an_image_is_found_within_the_data_root_and_nowhere_else(tmp_path, image_path, at, found):
    root = tmp_path / "data"
    (root / "p").mkdir(parents=True)
    if at is not None:
        (tmp_path / at).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (120, 100)).save(tmp_path / at)
    (root / "p/a.json").write_text(json.dumps(labelme_document([box_shape()], imagePath=image_path)))
    catalog = Catalog.open(root)
    missing = [str(problem) for problem in catalog.problems if problem.kind == "missing-image"]
    if found is None:
        assert len(missing) == 1
        assert "outside the data folder" in missing[0]
        assert catalog[0].image.startswith("p/")
    else:
        assert (catalog[0].image, missing) == (found, [])


def test_without_any_size_a_file_is_left_out(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(labelme_document([box_shape()], imageHeight=None)))
    (tmp_path / "b.json").write_text(json.dumps(labelme_document([box_shape()])))
    catalog = Catalog.open(tmp_path)
    assert catalog.column("id") == ["b.json#0"]
    assert ("image-size", "a.json", None) in kinds(catalog)


def test_parquet_holds_everything(write_annotations, tmp_path):
    shapes = [box_shape("划痕", flags={"sure": True}, description="long"), box_shape("dent", group_id=3)]
    catalog = Catalog.open(write_annotations({"p/test/a.json": shapes}))
    path = tmp_path / "out" / "catalog.parquet"
    catalog.save(path)
    loaded = Catalog.open(path)
    assert loaded.table.equals(catalog.table)
    assert (loaded[0].category, loaded[0].flags, loaded[0].description) == ("划痕", {"sure": True}, "long")
    np.testing.assert_array_equal(loaded[1].region().pixels, catalog[1].region().pixels)
    assert loaded.content_hash == catalog.content_hash


def test_a_foreign_or_damaged_parquet_file_is_one_line(tmp_path, write_annotations):
    catalog = Catalog.open(write_annotations({"a.json": [box_shape()]}))
    broken, foreign, newer, short = (tmp_path / f"{name}.parquet" for name in ("broken", "foreign", "newer", "short"))
    broken.write_bytes(b"PAR1 no")
    parquet.write_table(pa.table({"a": [1]}), foreign)
    metadata = {"flawshot": json.dumps({"format": "flawshot-catalog", "version": 99})}
    parquet.write_table(catalog.table.replace_schema_metadata(metadata), newer)
    parquet.write_table(catalog.table.drop_columns(["area"]), short)
    for path, message in [
        (broken, "cannot be read as a catalog"),
        (foreign, "is not a flawshot catalog"),
        (newer, "version: 99 is not supported"),
        (short, "area: does not match the catalog's schema"),
        (tmp_path / "none.parquet", "cannot be read"),
    ]:
        with pytest.raises(FlawshotError, match=message) as caught:
            Catalog.open(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_empty_folder_and_a_wrong_name_are_refused(tmp_path):
    for path, message in [
        (tmp_path, "contains no usable defect instance"),
        (tmp_path / "nowhere", "is neither a folder"),
    ]:
        with pytest.raises(FlawshotError, match=message):
            Catalog.open(path)


def test_the_fingerprint_depends_on_ids_and_categories_only(catalog_of):
    images = [("p/a", ["dent"]), ("p/b", ["scratch"]), ("q/c", ["dent"])]
    before = catalog_of(images)
    moved = Catalog(before.table.set_column(5, before.table.schema.field(5), pa.array([7] * 3, pa.int32())))
    assert moved.fingerprint("p") == before.fingerprint("p")
    assert catalog_of([("p/a", ["dent"]), ("p/b", ["scratch"])]).fingerprint("p") == before.fingerprint("p")
    assert catalog_of([("p/a", ["dent"]), ("p/b", ["dent"])]).fingerprint("p") != before.fingerprint("p")
    with pytest.raises(FlawshotError, match="product='r'"):
        before.select(["r"])


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else False, reason="root reads every file")
def test_an_unreadable_file_is_a_problem(write_annotations):
    root = write_annotations({"a.json": [box_shape()], "b.json": [box_shape()]})
    (root / "b.json").chmod(0)
    assert ("unreadable", "b.json", None) in kinds(Catalog.open(root))


def test_odd_entries_of_a_folder_are_problems_and_the_rest_is_read(write_annotations, tmp_path):
    root = write_annotations({"p/a.json": [box_shape()]})
    os.mkfifo(root / "p/pipe.json")
    (root / os.fsdecode(b"p/\xff\xfe.json")).write_text("{}")
    long = labelme_document([box_shape()], imagePath="x" * 5000)
    (root / "p/long.json").write_text(json.dumps(long))
    elsewhere = write_annotations({"b.json": [box_shape("dent")]}, root=tmp_path / "disk2")
    (root / "q").symlink_to(elsewhere)
    (root / "p/loop").symlink_to(root)
    catalog = Catalog.open(root)
    assert catalog.column("id") == ["p/a.json#0", "p/long.json#0", "q/b.json#0"]
    assert min(kinds(catalog)) == ("file-name", "p/\\udcff\\udcfe.json", None)
    assert ("unreadable", "p/pipe.json", None) in kinds(catalog)
    with pytest.raises(FlawshotError, match="is not a folder"):
        Catalog.from_folder(tmp_path / "nowhere")


def test_what_is_embedded_must_be_an_image_to_stand_for_a_missing_one(tmp_path):
    for name, data in (("a", "@@@"), ("b", "aGVsbG8=")):
        (tmp_path / f"{name}.json").write_text(json.dumps(labelme_document([box_shape()], imageData=data)))
    catalog = Catalog.open(tmp_path)
    assert [(p.kind, "and a.png is missing" in str(p)) for p in catalog.problems] == [("missing-image", True)] * 2
    assert ["is not base64" in str(p) for p in catalog.problems] == [True, False]


def test_problems_are_one_line_that_a_terminal_only_shows(tmp_path):
    shape = box_shape(shape_type="\x1b[31m" + "y" * 100_000)
    document = labelme_document([shape, box_shape()], imagePath="x\nerror: b.json: fake\n.png")
    (tmp_path / "a.json").write_text(json.dumps(document))
    lines = [str(problem) for problem in Catalog.open(tmp_path).problems]
    assert len(lines) == 2
    for line in lines:
        assert line.isprintable()
        assert len(line) <= 500


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("split", "holdout", "split: 'holdout'"),
        ("flags", "{", "flags: '{'"),
        ("image", "../../etc/passwd", "image: .* points outside the data folder"),
        ("annotation", "/etc/passwd", "annotation: .* points outside"),
        ("image", "", "image: contains an empty"),
        ("annotation", "a\0b", "annotation: contains an empty or invalid path"),
        ("area", 0, "'a.json#0' do not fit the image"),
        ("area", 82, "'a.json#0' do not fit the image"),  # more than its box holds
        ("image_width", 0, "do not fit the image"),
        ("image_height", 15, "do not fit the image"),  # the box ends below
        ("x1", -(2**31), "do not fit the image"),
    ],
)
def test_a_parquet_catalog_of_hostile_values_is_refused(write_annotations, tmp_path, column, value, message):
    catalog = Catalog.open(write_annotations({"a.json": [box_shape()]}))
    number = catalog.table.column_names.index(column)
    field = catalog.table.schema.field(number)
    table = catalog.table.set_column(number, field, pa.array([value], field.type))
    parquet.write_table(table, tmp_path / "c.parquet")
    with pytest.raises(FlawshotError, match=message):
        Catalog.load(tmp_path / "c.parquet")
    parquet.write_table(pa.concat_tables([catalog.table] * 2), tmp_path / "d.parquet")
    with pytest.raises(FlawshotError, match="id: contains an instance twice"):
        Catalog.load(tmp_path / "d.parquet")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"shape_type": "blob"}, id="a type that Labelme has not"),
        pytest.param({"shape_type": "circle"}, id="too many points"),
        pytest.param({"shape_type": "mask"}, id="a mask without its mask"),
        pytest.param({"points": []}, id="no points"),
        pytest.param({"points": None}, id="null for points"),
        pytest.param({"points": [[1.0, 1.0], None, [3.0, 9.0]]}, id="null for a point"),
        pytest.param({"points": [[1.0, 1.0], [2.0, float("nan")], [3.0, 9.0]]}, id="a coordinate that is no number"),
        pytest.param({"points": [[1.0, 1.0], [2.0, 1e300], [3.0, 9.0]]}, id="further out than any image"),
        pytest.param({"index": None}, id="no index"),
        pytest.param(None, id="no shape at all"),
    ],
)
def test_a_parquet_catalog_of_shapes_that_are_none_is_refused(write_annotations, tmp_path, change):
    catalog = Catalog.open(write_annotations({"a.json": [box_shape()]}))
    number = catalog.table.column_names.index("geometry")
    (shapes,) = catalog.column("geometry")
    made = [] if change is None else [shapes[0] | change]
    field = catalog.table.schema.field(number)
    parquet.write_table(catalog.table.set_column(number, field, pa.array([made], field.type)), tmp_path / "c.parquet")
    with pytest.raises(FlawshotError, match="geometry: contains an invalid shape"):
        Catalog.load(tmp_path / "c.parquet")
    assert len(Catalog.load(tmp_path / "c.parquet", geometry=False)) == 1  # which does not read it


def test_a_mask_that_cannot_be_decoded_is_one_line_when_it_is_drawn(write_annotations, tmp_path):
    catalog = Catalog.open(write_annotations({"a.json": [box_shape()]}))
    number = catalog.table.column_names.index("geometry")
    shape = {"index": 0, "shape_type": "mask", "points": [[1.0, 1.0], [5.0, 5.0]], "mask_png": b"\x89PNG broken"}
    field = catalog.table.schema.field(number)
    parquet.write_table(
        catalog.table.set_column(number, field, pa.array([[shape]], field.type)), tmp_path / "c.parquet"
    )
    with pytest.raises(FlawshotError, match=r"a\.json#0: geometry: the mask cannot be decoded"):
        Catalog.load(tmp_path / "c.parquet")[0].region()


def test_a_parquet_catalog_damaged_anywhere_is_refused_or_read(write_annotations, tmp_path):
    """One byte of the file is another: never anything but a catalog, or one line that says why not."""
    labels = ("dent", "Kratzer", "擦痕")
    catalog = Catalog.open(write_annotations({f"p{n}/{n}.json": [box_shape(labels[n % 3])] for n in range(9)}))
    catalog.save(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    rng, damaged, refused = random.Random(0), tmp_path / "damaged.parquet", 0
    for _ in range(400):
        data = bytearray(whole)
        data[rng.randrange(len(data))] = rng.randrange(256)
        damaged.write_bytes(data)
        try:
            read = Catalog.load(damaged)
            assert [len(instance.region().pixels.shape) for instance in read] == [2] * 9
            (
                count_instances(read),
                measure_sizes(read),
                query_catalog(read, "area > 1 and category <> ''"),
                detailed_document(read),
            )
        except FlawshotError as error:
            refused += 1
            assert "damaged.parquet" in str(error) or "geometry" in str(error)
    assert refused > 50


@pytest.mark.parametrize("name", ["a:b.json", "back\\slash.json", "fol\\der/a.json"])
def test_a_name_that_is_a_path_elsewhere_is_left_out_and_told(write_annotations, tmp_path, name):
    """Otherwise the catalog would be written, and not be read again."""
    catalog = Catalog.open(write_annotations({name: [box_shape()], "other.json": [box_shape()]}))
    assert catalog.column("annotation") == ["other.json"]
    assert kinds(catalog) == [("file-name", name, None)]
    catalog.save(tmp_path / "catalog.parquet")
    assert Catalog.load(tmp_path / "catalog.parquet").column("annotation") == ["other.json"]


def test_an_image_on_a_drive_is_looked_for_by_its_name_alone(write_annotations, tmp_path):
    root = write_annotations({"a.json": [box_shape()]})
    (root / "a.json").write_text(json.dumps(labelme_document([box_shape()], imagePath="c:pic.png")))
    Image.new("L", (120, 100)).save(root / "pic.png")
    catalog = Catalog.open(root)
    assert (catalog.column("image"), catalog.problems) == (["pic.png"], ())
    catalog.save(tmp_path / "catalog.parquet")
    assert len(Catalog.load(tmp_path / "catalog.parquet")) == 1


def test_many_files_make_one_table(write_annotations, monkeypatch):
    monkeypatch.setattr("flawshot.catalog.builder.ROWS_AT_ONCE", 3)
    root = write_annotations({f"{n:02}.json": [box_shape(), box_shape("dent")] for n in range(7)})
    catalog = Catalog.open(root)
    assert catalog.column("id") == [f"{n:02}.json#{k}" for n in range(7) for k in (0, 1)]


def test_many_workers_make_the_table_that_one_makes(write_annotations, monkeypatch):
    monkeypatch.setattr("flawshot.catalog.builder.FILES_AT_ONCE", 5)
    root = write_annotations({f"p{n % 3}/{n:02}.json": [box_shape(), box_shape(points=[])] for n in range(33)})
    (root / "p1/x.json").write_text("{")
    seen = []
    several = Catalog.from_folder(root, workers=2, progress=lambda done, total: seen.append((done, total)))
    alone = Catalog.from_folder(root, workers=1)
    assert several.table.equals(alone.table)
    assert several.problems == alone.problems
    assert len(several) == 33
    assert seen[-1] == (34, 34)
    with pytest.raises(AnnotationError) as first:
        Catalog.from_folder(root, workers=2, strict=True)
    with pytest.raises(AnnotationError) as expected:
        Catalog.from_folder(root, workers=1, strict=True)
    assert str(first.value) == str(expected.value)


def test_a_catalog_read_without_geometry_is_the_same_but_for_it(write_annotations, tmp_path):
    catalog = Catalog.open(write_annotations({"p/a.json": [box_shape(), box_shape("dent")]}))
    catalog.save(tmp_path / "c.parquet")
    light = Catalog.open(tmp_path / "c.parquet", geometry=False)
    assert light.table.equals(catalog.table.drop_columns(["geometry"]))
    assert light.fingerprint("p") == catalog.fingerprint("p")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_image_is_found_however_unicode_spells_its_name(tmp_path, form):
    other = "NFD" if form == "NFC" else "NFC"
    document = labelme_document([box_shape()], imagePath=unicodedata.normalize(form, "größe é.png"))
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    name = unicodedata.normalize(other, "größe é.png")
    Image.new("L", (120, 100)).save(tmp_path / name)
    catalog = Catalog.open(tmp_path)
    assert (catalog.problems, catalog.column("image")) == ((), [name])
