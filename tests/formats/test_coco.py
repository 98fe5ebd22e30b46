"""COCO's annotations become Labelme files: polygons, run lengths, boxes."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from flawshot import Catalog, FlawshotError, read_labelme
from flawshot.formats.coco import import_coco
from flawshot.formats.run_lengths import decode_runs

WIDTH, HEIGHT = 40, 30


def ring():
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[4:20, 6:30] = 1
    mask[8:12, 10:14] = 0
    return mask


def packed(mask):
    runs = coco_mask.encode(np.asfortranarray(mask))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode("ascii")}


def unpacked(mask):
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges.tolist(), flat.size]).tolist()
    return {"size": list(mask.shape), "counts": runs if not flat[0] else [0, *runs]}


def annotation(number=1, **changes):
    return {"id": number, "image_id": 1, "category_id": 7, "iscrowd": 0, "bbox": [5, 6, 7, 8]} | changes


def coco(annotations, images=None, changes=None):
    images = images or [{"id": 1, "file_name": "000.jpg", "width": WIDTH, "height": HEIGHT}]
    categories = [{"id": 7, "name": "scratch"}, {"id": 9, "name": "dent / deep"}]
    return {"images": images, "annotations": annotations, "categories": categories} | (changes or {})


@pytest.fixture
def source(tmp_path):
    def make(document, place="bolts/annotations.json"):
        path = tmp_path / "src" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return make


def shapes_of(path, out):
    import_coco(path, out)
    (file,) = out.rglob("*.json")
    return read_labelme(file).shapes


POLYGON = [5, 5, 30.5, 5, 30.5, 20.25, 5, 20]


@pytest.mark.parametrize("form", [packed, unpacked])
def test_run_lengths_become_the_mask_that_pycocotools_reads(source, tmp_path, form):
    path = source(coco([annotation(segmentation=form(ring()), iscrowd=1)]))
    (shape,) = shapes_of(path, tmp_path / "out")
    assert (shape.shape_type, shape.label, shape.flags) == ("mask", "scratch", {"crowd": True})
    reference = COCO(str(path))
    (instance,) = Catalog.open(tmp_path / "out")
    expected = reference.annToMask(reference.anns[1])
    assert np.array_equal(instance.region().full_mask(HEIGHT, WIDTH), expected.astype(bool))


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1)))
def test_any_mask_is_read_from_both_forms(mask):
    for form in (packed, unpacked):
        assert np.array_equal(decode_runs(form(mask)), mask.astype(bool))


def test_long_runs_are_read():
    generator = random.Random(3)
    counts = [generator.randrange(40_000) for _ in range(99)]
    counts.append(1000 * 5000 - sum(counts) % (1000 * 5000))
    size = [1000, sum(counts) // 1000]
    runs = coco_mask.frPyObjects({"size": size, "counts": counts}, *size)
    text = {"size": size, "counts": runs["counts"].decode()}
    assert np.array_equal(decode_runs(text), coco_mask.decode(runs).astype(bool))


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [4, 5], "counts": "5"},  # pycocotools shows memory here
        {"size": [4, 5], "counts": "PPPP"},
        {"size": [4, 5], "counts": "é"},
        {"size": [4, 5], "counts": "o"},
        {"size": [4, 5], "counts": [3, 4]},
        {"size": [4, 5], "counts": [30]},
        {"size": [4, 5], "counts": [-1, 21]},
        {"size": [4, 5], "counts": [10.0, 10]},
        {"size": [4, 5], "counts": None},
        {"size": [10**6, 10**6], "counts": [10**12]},
        {"size": [0, 5], "counts": []},
        {"size": "x", "counts": []},
        {"size": [30, 41], "counts": [1230]},
        {"size": [30, 40], "counts": [1200]},
        "polygon",
        3,
    ],
)
def test_what_is_no_segmentation_is_left_out_and_said(source, tmp_path, segmentation):
    path = source(coco([annotation(1, segmentation=segmentation), annotation(2, segmentation=[POLYGON])]))
    found = import_coco(path, tmp_path / "out")
    assert len(found.problems) == 1
    assert "\n" not in str(found.problems[0])
    assert found.instances == 1


DEGENERATE = [
    [1, 2, 3, 4],
    [1, 2, 3, 4, 5],
    ["a"] * 6,
    [float("nan")] * 6,
    [],
    [[1, 2], [3, 4]],
    3,
    {"size": [4, 5], "counts": [3]},
]


@pytest.mark.parametrize("part", DEGENERATE)
def test_of_several_polygons_the_usable_ones_are_kept_and_the_others_named(source, tmp_path, part):
    path = source(coco([annotation(7, segmentation=[POLYGON, part])]))
    found = import_coco(path, tmp_path / "out")
    (problem,) = found.problems
    assert (problem.kind, problem.file) == ("polygon", "annotations.json: annotation 7")
    assert problem.message.startswith("part 1 of its segmentation is skipped: ")
    (shape,) = read_labelme(tmp_path / "out/bolts/000.json").shapes
    assert (found.instances, shape.shape_type) == (1, "polygon")
    assert shape.points.ravel().tolist() == POLYGON


@pytest.mark.parametrize("part", DEGENERATE)
def test_without_a_usable_polygon_the_box_is_taken_and_that_is_said(source, tmp_path, part):
    path = source(coco([annotation(7, segmentation=[part, part])]))
    found = import_coco(path, tmp_path / "out")
    (problem,) = found.problems
    assert "no part of its segmentation can be used, so its bbox is used" in problem.message
    (shape,) = read_labelme(tmp_path / "out/bolts/000.json").shapes
    assert shape.shape_type == "rectangle"


@pytest.mark.parametrize("box", [None, [1, 2, 0, 4], [1, 2], "box"])
def test_without_polygon_and_box_nothing_is_left(source, tmp_path, box):
    path = source(coco([annotation(7, segmentation=[[1, 2]], bbox=box)]))
    found = import_coco(path, tmp_path / "out")
    (problem,) = found.problems
    assert problem.message.endswith("it is left out")
    assert (found.instances, found.useless) == (0, ("annotations.json",))


@pytest.mark.parametrize(
    "segmentation",
    [
        [POLYGON],
        POLYGON,  # VIA
        [list(pair) for pair in zip(POLYGON[::2], POLYGON[1::2], strict=True)],
        [[list(pair) for pair in zip(POLYGON[::2], POLYGON[1::2], strict=True)]],
    ],
)
def test_polygons_are_read_however_their_points_are_nested(source, tmp_path, segmentation):
    found = import_coco(source(coco([annotation(segmentation=segmentation)])), tmp_path / "out")
    (shape,) = read_labelme(tmp_path / "out/bolts/000.json").shapes
    assert (found.problems, shape.points.ravel().tolist()) == ((), POLYGON)


@pytest.mark.parametrize("empty", [None, [], {}, ""])
def test_without_a_segmentation_the_box_is_the_shape(source, tmp_path, empty):
    found = import_coco(source(coco([annotation(segmentation=empty)])), tmp_path / "out")
    (shape,) = read_labelme(tmp_path / "out/bolts/000.json").shapes
    assert (found.problems, shape.shape_type) == ((), "rectangle")


@pytest.mark.parametrize(
    ("image", "category", "annotated", "named"),
    [
        (1, 7, "1", "7"),
        (1.0, 7.0, 1, 7),
        ("1", "7", 1, 7),
        ("a-1", "c", "a-1", "c"),
        (1, 7, 1.0, "7"),
        (-1, 0, "-1", "0"),
    ],
)
def test_ids_are_the_same_whatever_type_they_are_written_in(source, tmp_path, image, category, annotated, named):
    document = coco(
        [annotation(image_id=annotated, category_id=named, segmentation=[POLYGON])],
        [{"id": image, "file_name": "000.jpg", "width": WIDTH, "height": HEIGHT}],
        {"categories": [{"id": category, "name": "scratch"}]},
    )
    found = import_coco(source(document), tmp_path / "out")
    assert (found.problems, found.instances) == ((), 1)


def test_an_id_and_its_text_are_two_where_both_are_there(source, tmp_path):
    images = [
        {"id": number, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT}
        for number, name in ((1, "number"), ("1", "text"))
    ]
    annotations = [annotation(1, image_id=1, segmentation=[POLYGON]), annotation(2, image_id="1", segmentation=[])]
    found = import_coco(source(coco(annotations, images)), tmp_path / "out")
    assert (found.problems, found.instances) == ((), 2)
    kinds = {
        name: read_labelme(tmp_path / f"out/bolts/{name}.json").shapes[0].shape_type for name in ("number", "text")
    }
    assert kinds == {"number": "polygon", "text": "rectangle"}


@pytest.mark.parametrize("bad", [True, None, 1.5, [1], {}])
def test_what_is_no_id_is_named(source, tmp_path, bad):
    found = import_coco(source(coco([annotation(image_id=bad), annotation(2)])), tmp_path / "out")
    assert [problem.kind for problem in found.problems] == ["image-id"]


def test_lists_may_be_objects_by_id(source, tmp_path):
    """As LIVECell writes its annotations."""
    document = coco([annotation(3, segmentation=[POLYGON])])
    document["annotations"] = {"3": document["annotations"][0]}
    document["images"] = {str(image.pop("id")): image for image in document["images"]}
    found = import_coco(source(document), tmp_path / "out")
    assert (found.problems, found.instances) == ((), 1)


@pytest.mark.parametrize("field", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [3, "x", None, {"1": "dent"}])
def test_another_type_of_list_is_refused_in_a_line_that_says_what_differs(source, tmp_path, field, value):
    with pytest.raises(FlawshotError, match=rf"{field} must be a list, or an object of objects by id"):
        import_coco(source(coco([annotation()], changes={field: value})), tmp_path / "out")


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_packed_text_is_read_or_refused(text):
    try:
        mask = decode_runs({"size": [6, 7], "counts": text})
    except FlawshotError:
        return
    expected = coco_mask.decode({"size": [6, 7], "counts": text.encode()})
    assert np.array_equal(mask, expected.astype(bool))


def test_the_polygons_of_one_annotation_are_one_instance(source, tmp_path):
    second = [1, 22, 9, 22, 9, 28]
    path = source(coco([annotation(1), annotation(2, segmentation=[POLYGON, second], category_id=9)]))
    box, first, other = shapes_of(path, tmp_path / "out")
    assert box.group_id is None
    assert first.group_id == other.group_id is not None
    assert first.points.tolist() == [[5, 5], [30.5, 5], [30.5, 20.25], [5, 20]]
    assert first.label == "dent / deep"
    _, instance = Catalog.open(tmp_path / "out")
    reference = COCO(str(path))
    expected = reference.annToMask(reference.anns[2]).astype(bool)
    drawn = instance.region().full_mask(HEIGHT, WIDTH)
    border = np.zeros_like(expected)  # COCO leaves out some border pixels that Labelme draws
    border[1:-1, 1:-1] = sum(
        expected[1 + y : HEIGHT - 1 + y, 1 + x : WIDTH - 1 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)
    )
    border[:, 0] = border[0] = border[-1] = True
    assert not (expected & ~drawn).any()
    assert not (drawn & ~border).any()


def test_a_box_alone_becomes_a_rectangle_of_its_pixels(source, tmp_path):
    path = source(coco([annotation(), annotation(2, bbox=[0, 0, 1, 1], segmentation=[])]))
    shapes = shapes_of(path, tmp_path / "out")
    assert [shape.shape_type for shape in shapes] == ["rectangle"] * 2
    boxes = [instance.box for instance in Catalog.open(tmp_path / "out")]
    assert boxes == [(5, 6, 12, 14), (0, 0, 1, 1)]


@pytest.mark.parametrize(
    "box",
    [
        None,
        [],
        [1, 2, 0, 4],
        [1, 2, 3, -4],
        ["1", 2, 3, 4],
        [float("inf"), 1, 2, 3],
        [1e9, 1, 2, 3],
        [10**400, 0, 1, 1],
    ],
)
def test_a_box_that_covers_nothing_is_left_out_and_said(source, tmp_path, box):
    found = import_coco(source(coco([annotation(bbox=box), annotation(2)])), tmp_path / "out")
    assert (len(found.problems), found.instances) == (1, 1)


def test_true_or_false_attributes_become_flags(source, tmp_path):
    attributes = {"occluded": True, "rotation": 0.0, "old": False, "difficult": "no"}
    (shape,) = shapes_of(source(coco([annotation(attributes=attributes, truncated=0, iscrowd=[])])), tmp_path / "out")
    assert shape.flags == {"occluded": True, "old": False, "truncated": False}


@pytest.mark.parametrize(
    ("place", "image", "written"),
    [
        ("annotations/instances_val2017.json", "val2017/000.jpg", "src/val/000.json"),
        ("train/_annotations.coco.json", "train/000.jpg", "src/train/000.json"),
        ("bolt/test/_annotations.coco.json", "bolt/test/000.jpg", "bolt/test/000.json"),
        ("bolt_train.json", "images/000.jpg", "bolt/train/000.json"),
        ("bolt/annotations/instances_default.json", "bolt/images/000.jpg", "bolt/000.json"),
        ("annotations.json", "000.jpg", "src/000.json"),
    ],
)
def test_product_and_split_come_from_folder_or_file(source, tmp_path, place, image, written):
    source(coco([annotation()]), place)
    picture = tmp_path / "src" / image
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (WIDTH, HEIGHT)).save(picture)
    found = import_coco(tmp_path / "src", tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json")] == [written]
    assert (found.images, found.problems) == (1, ())
    (instance,) = Catalog.open(tmp_path / "out", layout="{product}/{split}/**")
    assert instance.category == "scratch"


def test_images_without_annotations_or_sizes(source, tmp_path):
    images = [{"id": n, "file_name": f"train/{n}.png"} for n in (1, 2)]
    path = source(coco([annotation()], images))
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "two.png")
    (tmp_path / "pictures/train").mkdir(parents=True)
    (tmp_path / "two.png").rename(tmp_path / "pictures/train/2.png")
    found = import_coco(path, tmp_path / "out", images=tmp_path / "pictures")
    assert (found.files, found.instances, found.images) == (2, 1, 1)
    first, second = (read_labelme(tmp_path / f"out/bolts/train/{n}.json") for n in (1, 2))
    assert (first.image_width, second.image_width, second.shapes) == (None, WIDTH, ())


@pytest.mark.parametrize("name", ["", "a\0.jpg", ".x.jpg", None, 3, "..", "/", "D:\\"])
def test_what_no_file_can_be_called_is_a_problem(source, tmp_path, name):
    images = [
        {"id": 1, "file_name": "good.jpg", "width": WIDTH, "height": HEIGHT},
        {"id": 2, "file_name": name, "width": WIDTH, "height": HEIGHT},
    ]
    path = source(coco([annotation()], images))
    found = import_coco(path, tmp_path / "deep/er/out")
    written = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.json")}
    assert written == {"deep/er/out/bolts/good.json", "src/bolts/annotations.json"}
    assert len(found.problems) == 1


OUTSIDE = ["../../x.jpg", "{outside}/x.jpg", "a\\..\\..\\..\\x.jpg", "..\\..\\x.jpg"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_that_lead_out_of_the_folder_reach_nothing_there(source, tmp_path, name):
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "x.jpg")
    images = [{"id": 1, "file_name": name.format(outside=tmp_path), "width": WIDTH, "height": HEIGHT}]
    path = source(coco([annotation()], images))
    found = import_coco(path, tmp_path / "deep/er/out")
    assert (found.images, [problem.kind for problem in found.missing]) == (0, ["missing-image"])
    assert read_labelme(tmp_path / "deep/er/out/bolts/x.json").image_path == "x.jpg"


PATHS = [
    "/home/user/data/{}",
    "D:\\line3\\{}",
    "..\\..\\label-studio\\media\\upload\\4\\{}",
    "/data/local-files/?d=line3%2F{}",
    "https://host.example/data/upload/1/{}?token=1",
    "s3://bucket/line 3/{}",
    "images\\1/{}",
    "{}",
    "//server/share/{}",
]


@pytest.mark.parametrize("place", ["images", "data", "some/where/below", ""])
@pytest.mark.parametrize("named", PATHS)
def test_images_are_found_by_their_names_below_the_folder_that_the_user_named(source, tmp_path, named, place):
    names = ["0.jpg", "1.jpg"]
    images = [
        {"id": number, "file_name": named.format(name), "width": WIDTH, "height": HEIGHT}
        for number, name in enumerate(names)
    ]
    home = source(coco([annotation(image_id=0), annotation(2, image_id=1)], images)).parent
    (home / place).mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("L", (WIDTH, HEIGHT)).save(home / place / name)
    found = import_coco(home, tmp_path / "out")
    assert (found.files, found.instances, found.images, found.problems, found.missing) == (2, 2, 2, (), ())
    for path in (tmp_path / "out").rglob("*.json"):
        assert (path.with_name(read_labelme(path).image_path)).is_file()


def test_names_are_told_apart_by_their_folders(source, tmp_path):
    images = [
        {"id": number, "file_name": f"/mnt/x/{folder}/0.jpg", "width": WIDTH, "height": HEIGHT}
        for number, folder in enumerate("ab")
    ]
    home = source(coco([annotation(image_id=0), annotation(2, image_id=1)], images)).parent
    for shade, folder in enumerate("abc"):
        (home / "deep" / folder).mkdir(parents=True)
        Image.new("L", (WIDTH, HEIGHT), 50 * shade).save(home / "deep" / folder / "0.png")
    found = import_coco(home, tmp_path / "out")
    assert found.images == 2
    for folder in "ab":
        copied = tmp_path / f"out/bolts/{folder}/0.png"
        assert copied.read_bytes() == (home / "deep" / folder / "0.png").read_bytes()


def test_of_several_images_none_is_guessed(source, tmp_path):
    home = source(coco([annotation()])).parent
    for folder in "ab":
        (home / folder).mkdir()
        Image.new("L", (WIDTH, HEIGHT)).save(home / folder / "000.jpg")
    found = import_coco(home, tmp_path / "out")
    assert found.images == 0
    (problem,) = found.problems
    assert problem.kind == "ambiguous-image"
    assert "may be a/000.jpg, b/000.jpg; name the right folder with images" in problem.message
    assert import_coco(home, tmp_path / "other", images=home / "b").images == 1


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"annotations": [annotation(image_id=5), annotation(2)]}, "image-id"),
        ({"annotations": [annotation(image_id=[]), annotation(2)]}, "image-id"),
        ({"annotations": [3, annotation(2)]}, "image-id"),
        ({"annotations": [annotation(category_id=5), annotation(2)]}, "annotation"),
        ({"annotations": [annotation(category_id={}), annotation(2)]}, "annotation"),
        ({"categories": [{"id": 7, "name": "a"}, {"id": 8, "name": None}]}, "category"),
        (
            {"images": [{"id": 1, "file_name": "0.jpg", "width": 40, "height": 30}, {"id": 1, "file_name": "1.jpg"}]},
            "image",
        ),
        (
            {"images": [{"id": 1, "file_name": "0.jpg"}, {"id": 2, "file_name": "1.jpg", "width": "a", "height": 1}]},
            "image",
        ),
        ({"images": [{"id": 1, "file_name": "0.jpg"}, {"id": 2, "file_name": "0.png"}]}, "same-name"),
    ],
)
def test_what_does_not_fit_together_is_said_and_the_rest_is_read(source, tmp_path, changes, kind):
    found = import_coco(source(coco([annotation()], changes=changes)), tmp_path / "out")
    assert [problem.kind for problem in found.problems] == [kind]
    assert found.instances == 1


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["a.png", "a.json/x.png"], "a.json"),
        (["a.json/x.png", "a.png"], "a.json"),
        (["A.png", "a.JSON/below/x.png"], "a.JSON"),
        (["a.png", "a.png/x.png"], "a.png"),
        (["a.png/x.png", "a.png"], "a.png"),
    ],
)
def test_what_would_be_a_file_and_a_folder_is_said_and_the_rest_is_read(source, tmp_path, names, place):
    entries = [{"id": n, "file_name": name, "width": 9, "height": 9} for n, name in enumerate([*names, "b.png"])]
    src = source(coco([], images=entries)).parent
    for number in (0, 1):  # the source cannot hold both in one folder: each has a home of its own
        image = src / ("images", "")[number] / names[number]
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9)).save(image)
    found = import_coco(src, tmp_path / "out")
    (problem,) = found.problems
    assert (problem.kind, found.files) == ("same-name", 2)
    assert f"/{place} would be a file and, for " in problem.message
    assert len(list((tmp_path / "out").rglob("b.json"))) == 1


def test_links_out_of_the_folder_are_not_followed(source, tmp_path):
    path = source(coco([annotation()]))
    src = path.parents[1]
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.json").write_text(json.dumps(coco([annotation()])))
    (src / "far").symlink_to(outside)
    (src / "x.json").symlink_to(outside / "x.json")
    (src / "near.json").symlink_to(path)
    Image.new("L", (WIDTH, HEIGHT)).save(outside / "000.jpg")
    (src / "000.jpg").symlink_to(outside / "000.jpg")
    found = import_coco(src, tmp_path / "out")
    links = [("far", "link"), ("x.json", "link"), (str(src / "000.jpg"), "link")]
    assert [(problem.file, problem.kind) for problem in found.problems] == links
    assert found.images == 0
    assert found.products == ("bolts", "near")
    assert import_coco(src / "x.json", tmp_path / "named").files == 1  # the user said so


def test_what_was_written_below_the_source_is_not_read(source, tmp_path):
    path = source(coco([annotation()]))
    for _ in range(2):
        found = import_coco(path.parents[1], path.parents[1] / "labelme")
        assert (found.files, found.problems) == (1, ())


def test_two_categories_of_one_id_are_refused(source, tmp_path):
    same = [{"id": 7, "name": "dent"}, {"id": 7, "name": "dent"}]
    path = source(coco([annotation()], changes={"categories": same}))
    assert import_coco(path, tmp_path / "same").instances == 1
    path = source(coco([annotation()], changes={"categories": [*same, {"id": 7, "name": "scratch"}]}))
    with pytest.raises(FlawshotError, match="categories: id 7 is both 'dent' and 'scratch'; give each its own id"):
        import_coco(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_splits_is_no_product(source, tmp_path):
    path = source(coco([annotation()]), "test/annotations.json")
    with pytest.raises(FlawshotError, match="product: 'test' is a split's name; name the folder above it"):
        import_coco(path, tmp_path / "out")
    import_coco(path.parents[1], tmp_path / "out")
    (instance,) = Catalog.open(tmp_path / "out")
    assert (instance.product, instance.split) == ("src", "test")


def test_progress_tells_the_images_done(source, tmp_path):
    images = [{"id": n, "file_name": f"{n}.png"} for n in (1, 2)]
    source(coco([], images))
    source(coco([], images), "nuts/annotations.json")
    told = []
    import_coco(tmp_path / "src", tmp_path / "out", progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "{", '{"images": []}', "[" * 100_000, "\xff", '{"images": 3, "annotations": []}']
)
def test_a_file_that_is_not_coco_is_one_line(source, tmp_path, text):
    path = source(text)
    for place in (path, path.parent):
        with pytest.raises(FlawshotError) as caught:
            import_coco(place, tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert str(path.parent) in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_text_in_other_encodings_is_read(source, tmp_path, encoding):
    path = source(coco([annotation()], changes={"categories": [{"id": 7, "name": "划痕"}]}))
    path.write_bytes(json.dumps(json.loads(path.read_text()), ensure_ascii=False).encode(encoding))
    import_coco(path, tmp_path / "out")
    assert [shape.label for shape in read_labelme(tmp_path / "out/bolts/000.json").shapes] == ["划痕"]
