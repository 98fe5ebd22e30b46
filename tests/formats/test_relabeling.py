"""Labels renamed, merged and dropped in a copy of a folder."""

from __future__ import annotations

import base64
import copy
import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from flawshot import Catalog, FlawshotError, new_labels, read_labelme, relabel_document, relabel_folder
from helpers import box_shape, labelme_document
from labelme_itself import open_file

# On a busy machine, drawing a document may take more than a second.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LABELS = st.sampled_from(["scratch", "dent", "", "Scratch", "beule ü", "a,b=c"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SHAPES = st.lists(
    st.builds(lambda other, label: other | {"label": label}, st.dictionaries(st.text(max_size=5), JSON), LABELS) | JSON,
    max_size=6,
)
DOCUMENTS = st.builds(
    lambda other, shapes: other | {"shapes": shapes}, st.dictionaries(st.text(max_size=5), JSON), SHAPES
)


def labels_of(document):
    return [shape["label"] for shape in document["shapes"] if isinstance(shape, dict) and "label" in shape]


@PATIENT
@given(DOCUMENTS, st.lists(LABELS))
def test_the_identity_changes_nothing(document, labels):
    before = copy.deepcopy(document)
    made, counts = relabel_document(document, {label: label for label in labels})
    assert made == before == document
    assert not counts


@PATIENT
@given(DOCUMENTS, st.dictionaries(LABELS, st.none() | LABELS))
def test_only_labels_change_and_every_change_is_counted(document, labels):
    before = copy.deepcopy(document)
    made, counts = relabel_document(document, labels)
    assert document == before
    assert {key: made[key] for key in made if key != "shapes"} == {
        key: before[key] for key in before if key != "shapes"
    }
    kept = [
        shape
        for shape in before["shapes"]
        if not (isinstance(shape, dict) and isinstance(shape.get("label"), str))
        or labels.get(shape["label"], shape["label"]) is not None
    ]
    assert len(kept) == len(made["shapes"])
    for old, new in zip(kept, made["shapes"], strict=True):
        if old != new:
            assert old | {"label": None} == new | {"label": None}
            assert labels[old["label"]] == new["label"]
    assert counts.total() == len(before["shapes"]) - len(kept) + sum(
        a != b for a, b in zip(kept, made["shapes"], strict=True)
    )


@PATIENT
@given(DOCUMENTS)
def test_a_new_name_and_back_is_the_same_document(document):
    made, _ = relabel_document(document, {"scratch": "a new name"})
    assert relabel_document(made, {"a new name": "scratch"})[0] == document


@pytest.fixture
def data(tmp_path):
    """Two products, shapes with fields that nobody knows, and an image that is embedded."""
    root = tmp_path / "data"
    for name in ("bolt/train/0", "bolt/train/1", "nut/2"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (120, 100)).save(root / f"{name}.png")
    locked = box_shape("scratch", locked=True, flags={"sure": True}, score=0.5, group_id=3)
    embedded = base64.b64encode((root / "nut/2.png").read_bytes()).decode()
    documents = {
        "bolt/train/0": labelme_document([locked, box_shape("dent")], imagePath="0.png", checked_by="Anna"),
        "bolt/train/1": labelme_document([box_shape("smudge")], imagePath="1.png", flags={"blurred": True}),
        "nut/2": labelme_document([box_shape("bulge"), box_shape("ok")], imagePath="2.png", imageData=embedded),
    }
    for name, document in documents.items():
        (root / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return root


def read(root, name):
    return json.loads((root / f"{name}.json").read_text(encoding="utf-8"))


def test_a_folder_is_copied_with_new_labels_and_nothing_else_is_changed(data, tmp_path):
    out = tmp_path / "new"
    made = relabel_folder(
        data, out, rename={"scratch": "scrape"}, merge={"dent": "bump", "bulge": "bump"}, drop=["smudge"]
    )
    assert made.changed == {("bulge", "bump"): 1, ("dent", "bump"): 1, ("scratch", "scrape"): 1, ("smudge", None): 1}
    assert (made.files, made.changed_files, made.emptied, made.shapes, made.images) == (3, 3, 1, 4, 3)
    assert not made.problems
    there, here = read(data, "bolt/train/0"), read(out, "bolt/train/0")
    assert [shape["label"] for shape in here["shapes"]] == ["scrape", "bump"]
    for old, new in zip(there["shapes"], here["shapes"], strict=True):
        assert list(old) == list(new)
        assert {key: new[key] for key in new if key != "label"} == {key: old[key] for key in old if key != "label"}
    assert list(there) == list(here)
    assert read(out, "bolt/train/1") == read(data, "bolt/train/1") | {"shapes": []}
    assert read(out, "nut/2")["imageData"] == read(data, "nut/2")["imageData"]
    for path in data.rglob("*.png"):
        assert (out / path.relative_to(data)).read_bytes() == path.read_bytes()
    assert Counter(Catalog.open(out).column("category")) == {"scrape": 1, "bump": 2, "ok": 1}


def test_labelme_opens_the_copies(data, tmp_path):
    relabel_folder(data, tmp_path / "new", merge={"dent": "scratch"})
    for path in sorted((tmp_path / "new").rglob("*.json")):
        opened, ours = open_file(path), read_labelme(path)
        assert [shape["label"] for shape in opened.shapes] == [shape.label for shape in ours.shapes]
        assert opened.flags == ours.flags
    first = open_file(tmp_path / "new/bolt/train/0.json")
    assert first.other_data == {"checked_by": "Anna"}
    assert first.shapes[0]["other_data"]["score"] == 0.5


def test_files_without_a_changed_label_keep_their_bytes(data, tmp_path):
    relabel_folder(data, tmp_path / "new", drop=["smudge"])
    for name in ("bolt/train/0.json", "nut/2.json"):
        assert (tmp_path / "new" / name).read_bytes() == (data / name).read_bytes()


def test_images_elsewhere_are_copied_beside_and_named(data, tmp_path):
    images = tmp_path / "images/all"
    images.mkdir(parents=True)
    for path in (data / "bolt").rglob("*.png"):
        path.rename(images / path.name)
    document = read(data, "bolt/train/0") | {"imagePath": "C:\\shots\\0.png"}
    (data / "bolt/train/0.json").write_text(json.dumps(document), encoding="utf-8")
    made = relabel_folder(data, tmp_path / "lost", rename={"scratch": "scrape"})
    assert sorted(problem.file for problem in made.problems) == ["bolt/train/0.json", "bolt/train/1.json"]
    made = relabel_folder(data, tmp_path / "new", rename={"scratch": "scrape"}, images=tmp_path / "images")
    assert not made.problems
    assert read(tmp_path / "new", "bolt/train/0")["imagePath"] == "0.png"
    assert not Catalog.open(tmp_path / "new").problems
    assert read(tmp_path / "lost", "bolt/train/0")["imagePath"] == document["imagePath"]


def test_what_is_no_labelme_file_is_a_problem_and_what_cannot_be_used_stays(data, tmp_path):
    (data / "notes.json").write_text('{"a": 1}', encoding="utf-8")
    document = labelme_document([{"label": "scratch", "points": "?"}, 3], imagePath="0.png")
    (data / "bolt/train/3.json").write_text(json.dumps(document), encoding="utf-8")
    made = relabel_folder(data, tmp_path / "new", rename={"scratch": "scrape"})
    assert [(problem.file, problem.kind) for problem in made.problems] == [("notes.json", "not-labelme")]
    assert read(tmp_path / "new", "bolt/train/3")["shapes"] == [{"label": "scrape", "points": "?"}, 3]
    assert made.changed == {("scratch", "scrape"): 2}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rename": {"scrach": "x"}}, r"no shape has the label 'scrach'; the nearest is 'scratch' \(1\)"),
        ({"drop": ["dnt", "zzz"]}, r"label 'dnt'; the nearest is 'dent' \(1\); no shape has the label 'zzz'; the near"),
        ({"rename": {"scratch": "dent"}}, r"'scratch'.*: 'dent' is a label already \(1\); use"),
        ({"rename": {"scratch": "x", "dent": "x"}}, "another label becomes 'x', too; use"),
        ({"rename": {"scratch": "x"}, "drop": ["scratch"]}, "'scratch'.*: the label is given twice"),
        ({"rename": {"scratch": " "}}, "the new label is empty"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(data, tmp_path, changes, said):
    with pytest.raises(FlawshotError, match=said):
        relabel_folder(data, tmp_path / "new", **changes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_two_labels_can_be_exchanged(data, tmp_path):
    made = relabel_folder(data, tmp_path / "new", rename={"scratch": "dent", "dent": "scratch"})
    assert made.changed == {("scratch", "dent"): 1, ("dent", "scratch"): 1}


def test_a_folder_that_is_there_stays(data, tmp_path):
    for out, said in (
        (data / "new", "must not be inside"),
        (tmp_path, "nor contain it"),
        (tmp_path / "full", "exists"),
    ):
        (tmp_path / "full").mkdir(exist_ok=True)
        (tmp_path / "full/mine.txt").write_text("mine")
        with pytest.raises(FlawshotError, match=said):
            relabel_folder(data, out, drop=["smudge"])
    with pytest.raises(FlawshotError, match="is not a folder of Labelme files"):
        relabel_folder(data / "none", tmp_path / "new", drop=["smudge"])
    assert new_labels() == {}
