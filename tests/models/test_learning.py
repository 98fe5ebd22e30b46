"""Learning: what a person named becomes further examples, and nothing is forgotten."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest

import flawshot
from flawshot import FlawshotError
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.models import fitting
from flawshot.models.corrections import how_said, read_corrections
from flawshot.models.fitting import fit_model
from flawshot.models.review_folder import ReviewFolder, listed
from helpers import box_shape, labelme_document


@pytest.fixture(scope="module")
def base(parts, bank, tmp_path_factory):
    """A model of the first images, and what it says of all of them."""
    place = tmp_path_factory.mktemp("base")
    shutil.copytree(parts, place / "parts")
    rows = [row for row, image in enumerate(bank.catalog.column("image")) if image < "wood/012"]
    few = flawshot.Catalog(bank.catalog.table.take(rows), bank.catalog.root)
    flawshot.write_bank(place / "few", few, bank.rows(rows), bank.manifest.encoder, bank.manifest.views)
    fit_model(flawshot.FeatureBank.open(place / "few"), place / "model", source="few")
    model = flawshot.load_model(place / "model", device="cpu")
    flawshot.predict_catalog(model, flawshot.Catalog.open(place / "parts"), place / "named")
    return place


@pytest.fixture
def here(base, tmp_path):
    """A copy of all that: parts, model, named."""
    return shutil.copytree(base, tmp_path / "here")


def change(path, edit):
    """Change a file's shapes as an editor does."""
    document = json.loads(path.read_text(encoding="utf-8"))
    edit(document)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")


def relabel(label, index=0):
    def edit(document):
        document["shapes"][index]["label"] = label

    return edit


def confirm(document):
    document["shapes"][0]["flags"]["predicted"] = False


def learn(here, **options):
    return flawshot.learn_corrections(flawshot.load_model(here / "model", device="cpu"), here / "named", **options)


def examples(model):
    """Id, category and features of each example."""
    catalog = model.support.catalog
    return {
        identifier: (category, model.support.rows([row]).tobytes())
        for row, (identifier, category) in enumerate(zip(catalog.column("id"), catalog.column("category"), strict=True))
    }


def other_than(here, name, index=0):
    """A category that was not predicted of a file's shape."""
    label = json.loads((here / "named/wood" / name).read_text(encoding="utf-8"))["shapes"][index]["label"]
    return next(each for each in flawshot.load_model(here / "model").categories if each != label)


SAID = {"flawshot": {"predicted": "dent"}}


@pytest.mark.parametrize(
    ("shape", "flags", "how"),
    [
        ({"label": "dent", "flags": {"predicted": True}, **SAID}, {}, "not looked at"),
        ({"label": "chip", "flags": {"predicted": True}, **SAID}, {}, "corrected"),  # what Labelme leaves of a flag
        ({"label": "chip", "flags": {}, **SAID}, {}, "corrected"),
        ({"label": "dent", "flags": {"predicted": False}, **SAID}, {}, "confirmed"),
        ({"label": "dent", "flags": {}, **SAID}, {}, "not looked at"),  # flags that a program lost
        ({"label": "dent", "flags": {"predicted": True}, **SAID}, {"all_confirmed": True}, "confirmed"),
        ({"label": "dent", "flags": {"predicted": True}, **SAID}, {"all_confirmed": False}, "not looked at"),
        ({"label": "dent", "flags": {"predicted": True}}, {}, "not looked at"),  # a prediction of another tool
        ({"label": "dent", "flags": {"predicted": False}}, {}, "drawn"),  # Labelme adds the flag, unticked
        ({"label": "dent", "flags": {}}, {}, "drawn"),
        ({"label": " ", "flags": {"predicted": False}, **SAID}, {}, "unnamed"),
        ({"label": "dent", "flags": {"predicted": True}, "flawshot": "dent"}, {}, "not looked at"),  # foreign
        ({"label": "dent", "flags": {"predicted": True}, "flawshot": {"predicted": 3}}, {}, "not looked at"),
    ],
)
def test_what_counts_as_a_persons_word(shape, flags, how):
    document = labelme_document([box_shape(**shape)], flags=flags)
    file, _ = parse_labelme(json.dumps(document).encode(), "a.json")
    assert how_said(file.shapes[0], file) == how
    assert how_said(file.shapes[0], file, accept_all=True) == ("accepted" if how == "not looked at" else how)


def test_what_was_named_is_learned_and_nothing_is_forgotten(here):
    before = flawshot.load_model(here / "model")
    old, old_hash = examples(before), before.hash
    label = other_than(here, "015.json")
    change(here / "named/wood/015.json", relabel(label))
    change(here / "named/wood/016.json", confirm)
    change(here / "named/wood/017.json", lambda document: document["shapes"].append(box_shape("chip", at=(40, 40))))
    report = learn(here)
    assert {how: report.named[how] for how in ("corrected", "confirmed", "drawn")} == {
        "corrected": 1,
        "confirmed": 1,
        "drawn": 1,
    }
    assert (report.added, report.replaced, report.known, report.foreign) == (3, (), 0, False)
    assert sum(report.after.values()) == sum(report.before.values()) + 3
    assert report.after["chip"] == 1

    made = flawshot.load_model(here / "model", device="cpu")
    new = examples(made)
    assert {each: new[each] for each in old} == old
    assert [category for category, _ in list(new.values())[len(old) :]].count(label) >= 1
    first, second = made.record.history
    assert first == before.record.history[0]
    assert (second.how, second.added, second.replaced, second.previous) == ("learn", 3, 0, old_hash)
    assert second.source == str(here / "named")
    assert second.accuracy == made.record.accuracy
    assert second.accuracy is not None
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []
    # What was drawn by hand is in the picture that it was drawn in.
    (drawn,) = (each for each in made.support.catalog if each.category == "chip")
    assert (drawn.image, drawn.box[:2]) == ("wood/017.png", (40, 40))


def test_what_is_said_of_the_examples_is_what_leaving_one_out_says(here):
    change(here / "named/wood/015.json", relabel(other_than(here, "015.json")))
    before = flawshot.load_model(here / "model")
    report = learn(here)
    count, right, now = report.earlier
    accuracy = before.record.accuracy
    assert count == accuracy.asked  # the categories are the same, and so is what can be asked
    assert right == round(accuracy.mean * accuracy.asked)
    assert now <= report.model.record.accuracy.mean * report.model.record.accuracy.asked + 1e-6
    assert abs(now - right) <= len(report.changed) <= count


def test_learning_again_doubles_nothing(here):
    change(here / "named/wood/015.json", relabel("chip"))
    change(here / "named/wood/016.json", confirm)
    learn(here)
    record = (here / "model/model.json").read_bytes()
    again = learn(here)
    assert (again.added, again.known) == (0, 2)
    assert (here / "model/model.json").read_bytes() == record

    change(here / "named/wood/015.json", relabel("crack"))
    third = learn(here)
    assert (third.added, third.known, len(third.replaced)) == (1, 1, 1)
    assert third.replaced[0][1:] == ("chip", "crack")
    assert sum(third.before.values()) == sum(third.after.values())
    assert "chip" not in third.after
    steps = flawshot.load_model(here / "model").record.history
    assert [(step.added, step.replaced) for step in steps[1:]] == [(2, 0), (1, 1)]


def test_an_outline_that_was_moved_takes_the_old_ones_place(here):
    change(here / "named/wood/016.json", confirm)
    learn(here)

    def move(document):
        shape = document["shapes"][0]
        shape["points"] = [[x + 6, y] for x, y in shape["points"]]

    change(here / "named/wood/016.json", move)
    report = learn(here)
    assert (report.added, len(report.replaced)) == (1, 1)


def test_an_example_that_is_corrected_is_replaced(here):
    change(here / "named/wood/003.json", relabel("chip"))
    report = learn(here)
    assert [(each.id, each.after) for each in report.replaced] == [("wood/003.json#0", "chip")]
    model = flawshot.load_model(here / "model")
    assert model.record.instances == sum(report.before.values())
    assert "wood/003.json#0" not in model.support.catalog.row_of


def test_another_picture_of_the_same_name_and_box_is_another_example(here):
    """In many data sets each folder counts its images from 000, and regions may be whole images."""
    whole = {"label": "chip", "points": [[0, 0], [95, 95]], "shape_type": "rectangle", "flags": {}}
    for name in ("013", "014"):
        change(here / f"named/wood/{name}.json", lambda document: document["shapes"].append(whole | {"mask": None}))
    assert learn(here).added == 2
    shutil.copy(here / "parts/wood/013.png", here / "kept.png")
    shutil.copy(here / "parts/wood/014.png", here / "parts/wood/013.png")
    (here / "named/wood/014.json").unlink()
    # The same name and box, but no longer the same predictions.
    path = here / "named/predictions.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    header = json.loads(lines[0]) | {"request": "another"}
    path.write_text("".join([json.dumps(header) + "\n", *lines[1:]]), encoding="utf-8")
    shutil.copy(here / "parts/wood/020.png", here / "parts/wood/013.png")
    report = learn(here)
    assert (report.added, report.replaced) == (1, ())
    assert any("014.json: cannot be read" in str(problem) for problem in report.problems)


def test_all_are_learned_where_all_are_accepted(here):
    report = learn(here, accept_all=True)
    regions = len(flawshot.Catalog.open(here / "parts"))
    assert report.named == {"accepted": regions}
    assert report.added + report.known == regions
    # Examples whose prediction is their own label are known; whatever was learned is said in full.
    assert sum(report.after.values()) == regions


def test_a_new_model_beside_leaves_the_old_one(here):
    before = (here / "model/model.json").read_bytes()
    change(here / "named/wood/016.json", confirm)
    report = learn(here, out=here / "new")
    assert (here / "model/model.json").read_bytes() == before
    assert report.model.path == here / "new"
    assert report.model.record.history[1].previous == hashlib.sha256(before).hexdigest()
    with pytest.raises(FlawshotError, match="new: exists; name another folder"):
        learn(here, out=here / "new")


def test_the_old_model_is_there_until_the_new_one_is_whole(here, monkeypatch):
    before = {path: path.read_bytes() for path in (here / "model").rglob("*") if path.is_file()}
    change(here / "named/wood/016.json", confirm)

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "write_record", fail)
        with pytest.raises(KeyboardInterrupt):
            learn(here)
    assert {path: path.read_bytes() for path in (here / "model").rglob("*") if path.is_file()} == before
    assert learn(here).added == 1


def test_a_model_of_one_category_is_refused_and_the_old_one_stays(here):
    record = (here / "model/model.json").read_bytes()
    for path in sorted((here / "named/wood").glob("*.json")):

        def all_chip(document):
            for shape in document["shapes"]:
                shape["label"] = "chip"

        change(path, all_chip)
    with pytest.raises(FlawshotError, match="only the label chip would remain; a model needs two categories or more"):
        learn(here)
    assert (here / "model/model.json").read_bytes() == record


def test_what_an_interrupted_review_left_is_learned(here):
    folder = ReviewFolder(here / "named")
    folder.fill(listed(here / "named", []), here / "parts", ["chip"], [])
    change(min(folder.place.glob("*wood_016.json")), relabel("chip"))
    with pytest.raises(FlawshotError, match="another flawshot process is working there"):
        learn(here)
    folder._lock.close()  # killed
    assert learn(here).after["chip"] == 1
    assert not folder.place.exists()


def test_what_a_killed_review_had_carried_but_not_noted_is_no_conflict(here, monkeypatch):
    folder = ReviewFolder(here / "named")
    folder.fill(listed(here / "named", []), here / "parts", ["chip"], [])
    change(min(folder.place.glob("*wood_016.json")), relabel("chip"))
    monkeypatch.setattr(ReviewFolder, "_save", lambda _: None)
    folder.carry_back()
    folder._lock.close()  # killed
    monkeypatch.undo()
    assert learn(here).after["chip"] == 1
    assert not folder.place.exists()


def test_a_model_that_learned_something_else_meanwhile_is_not_written_over(here):
    change(here / "named/wood/016.json", confirm)
    stale = flawshot.load_model(here / "model", device="cpu")
    learn(here)
    record = (here / "model/model.json").read_bytes()
    with pytest.raises(FlawshotError, match="model: was replaced since it was read; run the command again"):
        flawshot.learn_corrections(stale, here / "named")
    assert (here / "model/model.json").read_bytes() == record


@pytest.mark.parametrize(
    "left", [".model.learned", ".model.bank", "..model.learned.unfinished", "..model.bank.unfinished"]
)
def test_a_hidden_bank_that_was_half_removed_is_no_obstacle(here, left):
    """As version 0.1 left it when it was killed."""
    (here / left).mkdir()
    (here / left / "features-00000.safetensors").write_bytes(b"half")
    change(here / "named/wood/016.json", confirm)
    learn(here)
    assert not [path.name for path in here.iterdir() if path.name.startswith(".")]


def test_where_nobody_named_anything_it_is_said(here):
    with pytest.raises(FlawshotError, match=r"nobody has named a region \(\d+ are still as predicted\)"):
        learn(here)
    change(here / "named/wood/016.json", lambda document: document["shapes"][0].update(description="hm"))
    with pytest.raises(FlawshotError, match="nobody has named a region"):
        learn(here)


def test_data_that_was_moved_is_asked_for(here):
    change(here / "named/wood/016.json", confirm)
    (here / "parts").rename(here / "moved")
    with pytest.raises(FlawshotError, match=r"parts: the images of .* are not there; name their folder with data"):
        learn(here)
    assert learn(here, data=here / "moved").added == 1


def test_groups_keep_samples_together(here):
    change(here / "named/wood/016.json", confirm)
    report = learn(here, groups=lambda catalog: dict.fromkeys(catalog.column("image"), "night"))
    assert report.model.record.groups == {"wood/016.png": "night"}
    assert report.ungrouped == 0


def test_a_file_that_is_damaged_is_said_and_the_rest_learned(here):
    change(here / "named/wood/016.json", confirm)
    (here / "named/wood/015.json").write_text("{", encoding="utf-8")
    report = learn(here)
    assert report.added == 1
    assert any("015.json" in problem.file and problem.kind == "not-json" for problem in report.problems)


def test_shapes_of_one_region_are_corrected_together(here):
    def group(document):
        shape = document["shapes"][0]
        shape["group_id"] = 5
        document["shapes"].insert(1, json.loads(json.dumps(shape)))
        document["shapes"][1]["label"] = "chip"

    change(here / "named/wood/016.json", group)
    catalog = read_corrections(here / "named", "wood").catalog
    assert catalog.column("category") == ["chip"]
    assert [len(each.shapes) for each in catalog] == [2]


def test_a_copied_shape_is_a_region_of_its_own(here):
    def copy(document):
        shape = json.loads(json.dumps(document["shapes"][0]))
        points = np.array(shape["points"])
        shape["points"] = (points - points.min(axis=0)).tolist()
        shape["label"] = "chip"
        document["shapes"] += [shape, json.loads(json.dumps(shape))]

    change(here / "named/wood/016.json", copy)
    catalog = read_corrections(here / "named", "wood").catalog
    assert catalog.column("category") == ["chip"]  # one and the same outline twice is one
    assert int(catalog.column("id")[0].rpartition("#")[2]) >= 1_000_000


@pytest.mark.parametrize("image", ["../../secret.png", "/etc/passwd", "", "C:/x.png"])
def test_a_record_that_leads_out_of_the_data_is_refused(here, image):
    change(here / "named/wood/016.json", confirm)
    path = here / "named/predictions.jsonl"
    text = path.read_text(encoding="utf-8").replace('"image":"wood/016.png"', f'"image":"{image}"')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FlawshotError, match=r"wood/016.json: image: .* is outside the data folder"):
        learn(here)


def review_of(here):
    """A review that was filled with all predictions."""
    folder = ReviewFolder(here / "named")
    folder.fill(listed(here / "named", []), here / "parts", ["a", "b"], [])
    return folder


def test_what_was_saved_beside_the_copies_is_kept(here):
    """``Save As`` under a name of one's own is nobody's to throw away, at the end or by the next review."""
    folder = review_of(here)
    mine = folder.place / "mine.json"
    mine.write_text("{}")
    copies = sorted(folder.place.glob("0*.json"))
    shutil.copyfile(copies[0], folder.place / "00001-again.json")
    folder.carry_back(last=True)
    assert {path.name for path in folder.strange()} == {"mine.json", "00001-again.json"}
    folder.close()
    assert mine.read_text() == "{}"
    again = ReviewFolder(here / "named")
    with pytest.raises(FlawshotError, match=r"00001-again\.json: is not a copy of a prediction; move it away"):
        again.fill(listed(here / "named", []), here / "parts", ["a"], [])
    again.close()


def test_a_review_with_nothing_strange_leaves_no_folder(here):
    folder = review_of(here)
    folder.carry_back(last=True)
    assert folder.strange() == []
    folder.close()
    assert not folder.place.exists()


@pytest.mark.parametrize("shapes", [[1], [{}], [{"label": 3, "points": []}], [{"label": "a", "points": "x"}]])
def test_a_copy_that_is_no_labelme_file_does_not_replace_the_prediction(here, shapes):
    folder = review_of(here)
    copy = min(folder.place.glob("0*.json"))
    before = {path: path.read_bytes() for path in (here / "named").rglob("*.json")}
    change(copy, lambda document: document.update(shapes=shapes))
    with pytest.raises(FlawshotError, match="is not a Labelme file"):
        folder.carry_back(last=True)
    folder.close()
    assert copy.exists()
    assert {path: path.read_bytes() for path in before} == before


def test_a_new_fit_does_not_take_the_place_of_what_was_learned(here, bank):
    change(here / "named/wood" / "016.json", relabel(other_than(here, "016.json")))
    learn(here)
    with pytest.raises(FlawshotError, match="has learned corrections, which a new fit would forget"):
        fit_model(bank, here / "model", overwrite=True)
    assert len(flawshot.load_model(here / "model").record.history) == 2


def test_a_name_too_long_for_what_lies_beside_it_is_refused(tmp_path, bank):
    with pytest.raises(FlawshotError, match="its name is too long"):
        fit_model(bank, tmp_path / ("a" * 250))
