"""``flawshot export coco``, read by pycocotools and by our own importer."""

from __future__ import annotations

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import flawshot
from commands import refuse, succeed
from export_data import ODD, hard_data, shape, write
from flawshot.formats.coco_export import export_coco


def opened(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def places(catalog):
    """What must survive a round trip, by the image's path and the box."""
    return sorted(
        (i.image, i.product, i.split, i.category, i.box, i.area, i.image_width, i.image_height)
        for i in catalog
        if i.category
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return hard_data(tmp_path_factory.mktemp("hard") / "data")


@pytest.fixture(params=[False, True], ids=["polygons", "masks"])
def written(data, tmp_path, request):
    made = export_coco(flawshot.Catalog.open(data), tmp_path / "coco", masks=request.param)
    return made, tmp_path / "coco"


def test_pycocotools_decodes_exactly_our_masks(data, written):
    made, out = written
    catalog = flawshot.Catalog.open(data)
    left = {(i.image, i.category, i.box): i for i in catalog if i.category}
    ids = []
    for path in sorted((out / "annotations").iterdir()):
        coco = opened(path)
        assert [(each["id"], each["name"]) for each in coco.loadCats(coco.getCatIds())] == [
            (1, ODD), (2, "dent"), (3, "hole"), (4, "scratch"),
        ]  # fmt: skip
        for number in coco.getAnnIds():
            annotation = coco.loadAnns(number)[0]
            image = coco.loadImgs(annotation["image_id"])[0]
            x, y, width, height = annotation["bbox"]
            label = coco.loadCats(annotation["category_id"])[0]["name"]
            instance = left.pop((image["file_name"], label, (x, y, x + width, y + height)))
            mask = instance.region().full_mask(instance.image_height, instance.image_width)
            assert np.array_equal(coco.annToMask(annotation) != 0, mask)
            assert annotation["area"] == mask.sum()
            assert annotation["iscrowd"] == 0
            ids.append(number)
    assert not left
    assert len(ids) == len(set(ids)) == made.written == 8


def test_each_split_has_its_file_and_ids_do_not_repeat(written):
    _, out = written
    documents = {path.name: json.loads(path.read_text()) for path in (out / "annotations").iterdir()}
    assert {name: [image["file_name"] for image in document["images"]] for name, document in documents.items()} == {
        "instances.json": [
            "nut/embedded.png", "nut/good/a.png", "nut/images/a.png", "nut/images/b.JPG", "nut/images/none.png",
        ],
        "instances_test.json": ["bolt/test/dent/0.png"],
        "instances_train.json": ["bolt/train/dent/0.png", "bolt/train/lines/a.png"],
    }  # fmt: skip
    images = [image for document in documents.values() for image in document["images"]]
    assert sorted(image["id"] for image in images) == list(range(1, 9))
    for image in images:
        with Image.open(out / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    annotated = {annotation["image_id"] for each in documents.values() for annotation in each["annotations"]}
    good = {image["file_name"] for image in images if image["id"] not in annotated}
    assert good == {"nut/good/a.png", "nut/images/none.png"}


def test_holes_are_run_lengths_and_parts_are_polygons(data, tmp_path):
    export_coco(flawshot.Catalog.open(data), tmp_path / "coco")
    found = {}
    for path in (tmp_path / "coco/annotations").iterdir():
        document = json.loads(path.read_text())
        names = {each["id"]: each["name"] for each in document["categories"]}
        found |= {names[each["category_id"]]: each["segmentation"] for each in document["annotations"]}
    assert set(found["hole"]) == {"size", "counts"}
    assert len(found[ODD]) == 2


def test_what_cannot_be_used_is_said_and_no_image_of_it_passes_for_a_good_one(written):
    made, out = written
    assert [(problem.kind, problem.severity) for problem in made.problems] == [
        ("unannotated", "warning"), ("no-label", "error"),
    ]  # fmt: skip
    there = {path.name for path in (out / "images").rglob("*.png")}
    assert not there & {"nobody.png", "unusable.png", "unnamed.png"}


def test_our_own_import_gives_the_same_data(data, written):
    made, out = written
    back = out.parent / "back"
    flawshot.import_coco(out, back)
    before, after = flawshot.Catalog.open(data), flawshot.Catalog.open(back)
    assert places(after) == places(before)
    flags = {i.category: i.flags for i in after if i.box == (5, 6, 31, 32)}
    assert flags == {"dent": {"difficult": True}}
    for instance in before:
        if instance.category and not instance.image.startswith("nut/embedded"):
            assert (back / instance.image).read_bytes() == (data / instance.image).read_bytes()
    assert json.loads((back / "nut/good/a.json").read_text())["shapes"] == []
    assert made.summary == "8 images, 4 categories"


def test_two_annotations_of_one_image_are_one_image(tmp_path):
    write(tmp_path / "d", "a.json", [shape("dent", "rectangle", [[1, 1], [5, 5]])])
    write(tmp_path / "d", "b.json", [shape("chip", "rectangle", [[9, 9], [15, 15]])], image="a.png")
    export_coco(flawshot.Catalog.open(tmp_path / "d"), tmp_path / "out")
    document = json.loads((tmp_path / "out/annotations/instances.json").read_text())
    assert [image["file_name"] for image in document["images"]] == ["a.png"]
    assert [each["image_id"] for each in document["annotations"]] == [1, 1]


def test_the_command_and_its_options(data, tmp_path):
    out = tmp_path / "coco"
    done = succeed("export", "coco", data, out, "--no-images", "--product", "bolt", "--problems", tmp_path / "p.txt")
    assert done.stdout == f"{out}: 5 annotations of 5 instances; 3 images, 3 categories\n"
    assert not (out / "images").exists()
    assert (tmp_path / "p.txt").read_text() == ""
    assert "exists; name another folder" in refuse("export", "coco", data, out)
    succeed("export", "coco", data, out, "--overwrite", "--link")
    linked = out / "images/bolt/test/dent/0.png"
    assert linked.samefile(data / "bolt/test/dent/0.png")


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predicted")
    flawshot.draw_data_set(folder / "parts", categories=3, images=9, side=96, workers=1, seed=4)
    succeed("fit", folder / "parts", "--out", folder / "model", "--classifier", "prototype")
    succeed("predict", folder / "model", folder / "parts", "--out", folder / "named")
    return folder


def test_predictions_become_results_that_pycocotools_scores(predicted, tmp_path):
    done = succeed("export", "coco", predicted / "named", tmp_path / "coco")
    assert not done.stderr
    truth = opened(tmp_path / "coco/annotations/instances.json")
    results = json.loads((tmp_path / "coco/results.json").read_text())
    rows = flawshot.models.prediction_folder.read_predictions(predicted / "named")[1]
    answers = [answer for row in rows for answer in row.answers]
    assert len(results) == len(answers) > 9
    names = {each["id"]: each["name"] for each in truth.dataset["categories"]}
    assert [(names[each["category_id"]], each["score"]) for each in results] == [
        (answer.predicted, answer.probability) for answer in answers
    ]
    assert [names[each["category_id"]] for each in truth.dataset["annotations"]] == [answer.was for answer in answers]
    with contextlib.redirect_stdout(io.StringIO()):
        found = truth.loadRes(str(tmp_path / "coco/results.json"))
        scored = COCOeval(truth, found, "segm")
        scored.params.useCats = 0  # regions are the annotated ones, whatever they are called
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    assert scored.stats[0] == pytest.approx(1)
    image = truth.loadImgs(1)[0]
    original = predicted / "parts" / image["file_name"]
    assert (tmp_path / "coco/images" / image["file_name"]).read_bytes() == original.read_bytes()


def test_corrections_in_predictions_are_truth(predicted, tmp_path):
    shutil.copytree(predicted / "named", predicted / "corrected", dirs_exist_ok=True)
    paths = sorted((predicted / "corrected").rglob("*.json"))
    for number, path in enumerate(paths):
        document = json.loads(path.read_text())
        for own in document["shapes"]:
            own["flawshot"]["was"] = ""  # as if nobody had labeled it before
            if number == 0:
                own["label"] = "corrected"
            elif number == 1:
                own["flags"]["predicted"] = False
        document["flags"]["all_confirmed"] = number == 2
        path.write_text(json.dumps(document))
    succeed("export", "coco", predicted / "corrected", tmp_path / "coco")
    truth = json.loads((tmp_path / "coco/annotations/instances.json").read_text())
    results = json.loads((tmp_path / "coco/results.json").read_text())
    names = {each["id"]: each["name"] for each in truth["categories"]}
    known = {}
    for each in truth["annotations"]:
        known.setdefault(each["image_id"], set()).add(names[each["category_id"]])
    assert set(known) == {1, 2, 3}
    assert known[1] == {"corrected"}
    said = {number: {names[each["category_id"]] for each in results if each["image_id"] == number} for number in (2, 3)}
    assert {number: known[number] for number in (2, 3)} == said
    assert {each["image_id"] for each in results} == {image["id"] for image in truth["images"]}
