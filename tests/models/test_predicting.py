"""Predicting a data set: Labelme files, a table, nothing of the data changed, and gone on with where it was killed."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import flawshot
from flawshot import FlawshotError, read_labelme
from flawshot.bank import blocks
from flawshot.models.predicted_files import described
from flawshot.models.prediction_folder import FileRecord, RegionPrediction, read_predictions
from labelme_itself import open_file


@pytest.fixture
def data(parts, tmp_path):
    """A copy of the drawn parts, under another name; one label each is what a user may have left there."""
    place = shutil.copytree(parts, tmp_path / "new")
    for number, path in enumerate(sorted(place.rglob("*.json"))):
        document = json.loads(path.read_text(encoding="utf-8"))
        document["imagePath"] = f"renamed-{document['imagePath']}"
        (path.parent / document["imagePath"].removeprefix("renamed-")).rename(path.parent / document["imagePath"])
        for shape in document["shapes"]:
            shape["label"] = ["", "?", "defect", shape["label"]][number % 4]
        path.write_text(json.dumps(document), encoding="utf-8")
    return place


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(out):
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def predict(model, data, out, **options):
    return flawshot.predict_catalog(model, flawshot.Catalog.open(data), out, **options)


def test_every_region_is_named_and_nothing_of_the_data_changes(model, bank, data, tmp_path):
    before = files_of(data)
    report = predict(model, data, tmp_path / "out")
    assert files_of(data) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    catalog, told = flawshot.Catalog.open(data), model.predict_features(bank)
    assert report.regions == len(catalog) == sum(report.predicted.values())
    rows = rows_of(tmp_path / "out")
    assert [row["id"] for row in rows] == catalog.column("id")
    for row, said, instance in zip(rows, told, catalog, strict=True):
        # The images are those that the bank was made of.
        assert row["predicted"] == said.label
        assert float(row["probability"]) == pytest.approx(said.probability, abs=1e-3)
        assert row["runner_up"] == said.runner_up
        assert row["set"].split("|") == list(said.categories)
        assert (row["unsure"], row["unknown"]) == (str(said.unsure).lower(), str(said.unknown).lower())
        assert row["image"] == instance.image
        assert tuple(int(row[name]) for name in ("x0", "y0", "x1", "y1")) == instance.box
        assert row["true"] == (instance.category if instance.category in model.categories else "")


def test_the_files_say_what_was_predicted_and_keep_all_else(model, data, tmp_path):
    first = min(data.rglob("*.json"))
    document = json.loads(first.read_text(encoding="utf-8"))
    document |= {"flags": {"night": True}, "camera": "left", "version": "5.0.1"}
    shape = document["shapes"][0]
    shape |= {"label": "?", "description": "seen by\nAnna", "flags": {"checked": True}, "score": 3}
    first.write_text(json.dumps(document), encoding="utf-8")
    predict(model, data, tmp_path / "out")
    rows = {row["id"]: row for row in rows_of(tmp_path / "out")}
    for path in sorted(data.rglob("*.json")):
        name = path.relative_to(data).as_posix()
        old, new = read_labelme(path), read_labelme(tmp_path / "out" / name)
        assert (tmp_path / "out" / name).parent.joinpath(new.image_path).resolve() == path.parent / old.image_path
        assert new.image_base64 is None
        for index, (before, after) in enumerate(zip(old.shapes, new.shapes, strict=True)):
            row = rows.get(f"{name}#{index}")
            assert np.array_equal(before.points, after.points)
            assert after.flags["predicted"] is True
            if row is not None:  # the first shape of its instance
                assert after.label == row["predicted"] == after.other["flawshot"]["predicted"]
                assert after.flags["unsure"] is (row["unsure"] == "true")
                assert after.flags["unknown"] is (row["unknown"] == "true")
                said = after.other["flawshot"]
                assert float(row["probability"]) == pytest.approx(said["probability"], abs=1e-4)
                assert f"{row['predicted']} {said['probability']:.1%}" in after.description
                assert f"then {row['runner_up']} " in after.description
                assert after.other["flawshot"]["was"] == before.label
    written = read_labelme(tmp_path / "out" / first.relative_to(data))
    assert written.flags == {"night": True}
    assert written.other == {"camera": "left"}
    assert written.version == "5.0.1"
    assert written.shapes[0].description.startswith("seen by\nAnna\nflawshot: ")
    assert written.shapes[0].description.endswith("; was ?")
    assert written.shapes[0].flags["checked"] is True
    assert written.shapes[0].other["score"] == 3


def test_labelme_opens_what_was_written(model, data, tmp_path):
    predict(model, data, tmp_path / "out")
    for path in sorted((tmp_path / "out").rglob("*.json")):
        opened, ours = open_file(path), read_labelme(path)
        assert opened.shapes
        assert [shape["label"] for shape in opened.shapes] == [shape.label for shape in ours.shapes]
        assert all(shape["other_data"]["flawshot"] for shape in opened.shapes)


def test_an_embedded_image_stays_embedded(model, data, tmp_path):
    import base64

    path = min(data.rglob("*.json"))
    document = json.loads(path.read_text(encoding="utf-8"))
    image = path.parent / document["imagePath"]
    document["imageData"] = base64.b64encode(image.read_bytes()).decode()
    path.write_text(json.dumps(document), encoding="utf-8")
    image.unlink()
    predict(model, data, tmp_path / "out")
    written = read_labelme(tmp_path / "out" / path.relative_to(data))
    assert (written.image_base64, written.image_path) == (document["imageData"], document["imagePath"])


def test_only_labels_that_are_categories_count_as_named(model, data, tmp_path):
    report = predict(model, data, tmp_path / "out")
    labels = flawshot.Catalog.open(data).column("category")
    named = [label for label in labels if label in model.categories]
    assert 0 < len(named) < len(labels)
    assert report.accuracy.asked == len(named)
    right = sum(row["true"] == row["predicted"] for row in rows_of(tmp_path / "out") if row["true"])
    assert report.accuracy.mean == pytest.approx(right / len(named))


def test_the_models_own_examples_do_not_tell_its_accuracy(model, parts, tmp_path):
    report = predict(model, parts, tmp_path / "out")
    assert report.examples == report.regions
    assert report.accuracy is None


def test_a_label_does_not_change_what_is_predicted(model, data, tmp_path):
    predict(model, data, tmp_path / "out")
    for path in data.rglob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            shape["label"] = "other"
        path.write_text(json.dumps(document), encoding="utf-8")
    predict(model, data, tmp_path / "again")
    kept = ("predicted", "probability", "set", "unsure", "unknown")
    first, second = ([[row[k] for k in kept] for row in rows_of(tmp_path / o)] for o in ("out", "again"))
    assert first == second


class KilledError(Exception):
    """What ends a run from outside."""


@pytest.mark.parametrize("damage", ["none", "torn line", "a file is gone"])
def test_a_killed_run_goes_on_where_it_was(model, data, tmp_path, monkeypatch, damage):
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)
    whole = predict(model, data, tmp_path / "whole", batch_size=6)

    def kill(done, total):
        if done > total / 2:
            raise KilledError

    with pytest.raises(KilledError):
        predict(model, data, tmp_path / "out", batch_size=6, progress=kill)
    assert not (tmp_path / "out").exists()
    unfinished = tmp_path / ".out.unfinished"
    lines = (unfinished / "predictions.jsonl").read_bytes().splitlines(keepends=True)
    expected = len(lines) - 1
    assert 1 < expected < 23
    if damage == "torn line":
        (unfinished / "predictions.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
        expected -= 1
    elif damage == "a file is gone":
        (unfinished / json.loads(lines[5])["annotation"]).unlink()
        expected = 4
    seen = []
    report = predict(model, data, tmp_path / "out", batch_size=6, progress=lambda *counts: seen.append(counts[1]))
    assert report.kept == expected
    assert seen[0] < 3 * whole.regions
    assert report._replace(kept=0, out=whole.out) == whole
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "out")
    assert not unfinished.exists()


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_predictions(model, data, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)
    broken = sorted(data.rglob("*.png"))[3]
    broken.write_bytes(broken.read_bytes()[:100])
    whole = predict(model, data, tmp_path / "whole", batch_size=6)
    with flawshot.RayCluster("local", actors=1) as on:
        report = predict(model, data, tmp_path / "out", batch_size=6, on=on)
        assert on.done.total() == report.regions
    assert report._replace(out=whole.out) == whole
    assert len(report.left_out) == 1
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "out")


def test_an_unfinished_run_of_another_request_is_not_mixed_in(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)

    def kill(done, total):
        if done > total / 2:
            raise KilledError

    with pytest.raises(KilledError):
        predict(model, data, tmp_path / "out", batch_size=6, progress=kill)
    path = min(data.rglob("*.png"))
    Image.new("RGB", (96, 96)).save(path)
    assert predict(model, data, tmp_path / "out", batch_size=6).kept == 0


def test_what_an_unfinished_run_of_other_data_left_does_not_come_along(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)

    def kill(done, total):
        if done > total / 2:
            raise KilledError

    with pytest.raises(KilledError):
        predict(model, data, tmp_path / "out", batch_size=6, progress=kill)
    for path in sorted(data.rglob("*.json"))[:3]:
        path.unlink()
    report = predict(model, data, tmp_path / "out", batch_size=6)
    assert report.kept == 0
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json")}
    assert written == {path.relative_to(data).as_posix() for path in data.rglob("*.json")}


def test_a_folder_in_the_way_that_is_no_unfinished_one_is_left_alone(model, data, tmp_path):
    (tmp_path / ".out.unfinished").mkdir()
    (tmp_path / ".out.unfinished" / "notes.txt").write_text("mine")
    with pytest.raises(FlawshotError, match="is not an unfinished folder of predictions; move it away"):
        predict(model, data, tmp_path / "out")
    assert (tmp_path / ".out.unfinished" / "notes.txt").read_text() == "mine"


def test_an_image_that_cannot_be_read_is_left_out_and_said(model, data, tmp_path):
    broken, *_ = sorted(data.rglob("*.png"))
    broken.write_bytes(b"no image")
    report = predict(model, data, tmp_path / "out")
    (entry,) = report.left_out
    assert entry.image == broken.relative_to(data).as_posix()
    assert "the image cannot be decoded" in entry.reason
    assert report.regions == len(flawshot.Catalog.open(data)) - len(entry.instances)
    assert not any(row["id"] in entry.instances for row in rows_of(tmp_path / "out"))
    header, lines = read_predictions(tmp_path / "out")
    assert (tmp_path / "out" / header.data).resolve() == data
    assert [line.left_out for line in lines if line.left_out] == [entry]
    with pytest.raises(FlawshotError, match=r"cannot be decoded.*without strict=True its regions are left out"):
        predict(model, data, tmp_path / "strict", strict=True)
    for path in data.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(FlawshotError, match=r"none of the regions could be predicted; .*cannot be decoded"):
        predict(model, data, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / ".none.unfinished").exists()


def test_corrected_predictions_are_never_replaced(model, data, tmp_path):
    out = tmp_path / "out"
    predict(model, data, out)
    with pytest.raises(FlawshotError, match="out: exists; name another folder"):
        predict(model, data, out)
    predict(model, data, out, overwrite=True)
    path = min(out.rglob("*.json"))
    path.write_text(path.read_text(encoding="utf-8").replace("wood", "wood "), encoding="utf-8")
    document = json.loads(path.read_text(encoding="utf-8"))
    document["shapes"][0]["label"] = "corrected"
    path.write_text(json.dumps(document), encoding="utf-8")
    before = files_of(out)
    with pytest.raises(FlawshotError, match=f"{path.name}: was changed since it was predicted"):
        predict(model, data, out, overwrite=True)
    assert files_of(out) == before


def test_a_foreign_folder_is_never_replaced(model, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(FlawshotError, match="is not a folder of predictions"):
        predict(model, data, out, overwrite=True)
    shutil.rmtree(out)
    predict(model, data, out)
    (out / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(FlawshotError, match=r"letter.txt: is not part of the predictions"):
        predict(model, data, out, overwrite=True)


@pytest.mark.parametrize("inside", ["out", "a/b"])
def test_predictions_may_not_lie_in_the_data(model, data, inside):
    with pytest.raises(FlawshotError, match="must not be inside each other"):
        predict(model, data, data / inside)
    with pytest.raises(FlawshotError, match="exists; name another folder"):
        predict(model, data, data.parent)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: line.replace(b'"annotation":"', b'"annotation":"../../'), "points outside the folder"),
        (lambda line: line[: len(line) // 2] + b"\n", "Invalid JSON"),
        (lambda line: line.replace(b'"unsure"', b'"insure"'), "unsure: Field required"),
    ],
)
def test_a_damaged_record_is_refused_with_its_line(model, data, tmp_path, change, said):
    predict(model, data, tmp_path / "out")
    place = tmp_path / "out" / "predictions.jsonl"
    lines = place.read_bytes().splitlines(keepends=True)
    lines[2] = change(lines[2])
    place.write_bytes(b"".join(lines))
    with pytest.raises(FlawshotError, match=f"predictions.jsonl: line 3: .*{said}"):
        list(read_predictions(tmp_path / "out")[1])


ANSWER = RegionPrediction(
    id="a.json#0",
    image="a.png",
    box=(0, 0, 1, 1),
    was="?",
    true=None,
    example=False,
    predicted="=cmd()",
    probability=0.934,
    runner_up="dent",
    runner_up_probability=0.051,
    categories=("=cmd()", "dent"),
    unsure=True,
    unknown=False,
)


def test_what_a_person_wrote_stays_and_our_line_is_not_piled_up():
    said = described("seen by Anna\nflawshot: old 12.0 %, then b 1.0 %\nand Bert", ANSWER)
    assert said == "seen by Anna\nand Bert\nflawshot: =cmd() 93.4%, then dent 5.1%; may be =cmd(), dent; was ?"
    assert described(said, ANSWER) == said


def test_no_cell_of_the_table_is_a_formula(tmp_path):
    from flawshot.models.predicted_files import write_table

    write_table(tmp_path / "predictions.csv", [FileRecord(annotation="a.json", file_hash=None, answers=(ANSWER,))])
    (row,) = rows_of(tmp_path)
    assert row["predicted"] == "'=cmd()"
    assert row["set"] == "'=cmd()|dent"
    assert (row["probability"], row["unsure"]) == ("0.9340", "true")
