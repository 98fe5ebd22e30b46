"""``flawshot export fiftyone``, against its documented layout, and read by FiftyOne's importer if it is installed."""

from __future__ import annotations

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

import flawshot
from commands import refuse, succeed
from export_data import hard_data


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fiftyone")
    flawshot.draw_data_set(folder / "parts", categories=3, images=9, side=96, good=2, workers=1, seed=4)
    succeed("encode", folder / "parts", "--out", folder / "bank")
    succeed("fit", folder / "bank", "--out", folder / "model", "--classifier", "prototype")
    succeed("predict", folder / "model", folder / "parts", "--out", folder / "named")
    done = succeed(
        "export", "fiftyone", folder / "parts", folder / "out", "--bank", folder / "bank", "--model", folder / "model"
    )
    instances = len(flawshot.Catalog.open(folder / "parts"))
    assert done.stdout == f"{folder / 'out'}: {2 * instances} detections of {instances} instances; 11 images\n"
    assert not done.stderr
    succeed("export", "fiftyone", folder / "named", folder / "stored")
    return folder


def samples(out):
    return json.loads((out / "samples.json").read_text())["samples"]


def array(stored):
    """An array as fiftyone.core.utils.serialize_numpy_array stores it."""
    return np.load(io.BytesIO(zlib.decompress(base64.b64decode(stored["$binary"]["base64"]))), allow_pickle=False)


def full_mask(detection, width, height):
    x, y, w, h = np.array(detection["bounding_box"]) * (width, height, width, height)
    mask = array(detection["mask"])
    assert mask.shape == (round(h), round(w))
    full = np.zeros((height, width), dtype=bool)
    full[round(y) : round(y + h), round(x) : round(x + w)] = mask
    return full


def test_boxes_and_masks_are_exact(tmp_path):
    data = hard_data(tmp_path / "data")
    succeed("export", "fiftyone", data, tmp_path / "out")
    known = {i.id: i for i in flawshot.Catalog.open(data) if i.category}
    for sample in samples(tmp_path / "out"):
        with Image.open(tmp_path / "out" / sample["filepath"]) as image:
            assert image.size == (sample["metadata"]["width"], sample["metadata"]["height"])
        assert "predictions" not in sample
        for detection in sample["ground_truth"]["detections"]:
            instance = known.pop(detection["region"])
            assert detection["label"] == instance.category
            assert sample["tags"] == ([instance.split] if instance.split else [])
            assert sample["product"] == instance.product
            mask = instance.region().full_mask(60, 80)
            assert np.array_equal(full_mask(detection, 80, 60), mask)
    assert not known
    empty = {each["filepath"] for each in samples(tmp_path / "out") if not each["ground_truth"]["detections"]}
    assert empty == {"data/nut/good/a.png", "data/nut/images/none.png"}


def test_embeddings_and_all_probabilities_are_those_of_the_model(work):
    bank = flawshot.FeatureBank.open(work / "bank")
    model = flawshot.load_model(work / "model", device="cpu")
    ids = bank.catalog.column("id")
    wanted = model.predict_features(bank)
    metadata = json.loads((work / "out/metadata.json").read_text())
    assert "version" not in metadata  # by which FiftyOne knows this layout
    assert metadata["info"]["categories"] == list(model.categories)
    seen = 0
    for sample in samples(work / "out"):
        for truth, said in zip(
            sample["ground_truth"]["detections"], sample.get("predictions", {}).get("detections", []), strict=True
        ):
            row = ids.index(truth["region"])
            assert said["region"] == truth["region"]
            assert said["label"] == wanted.labels[row]
            assert said["probabilities"] == pytest.approx(wanted.probabilities[row].tolist(), abs=1e-6)
            assert said["confidence"] == pytest.approx(max(said["probabilities"]), abs=1e-6)
            mean = bank.features([truth["region"]])[0].mean(axis=0)
            assert truth["embedding"] == said["embedding"]
            assert truth["embedding"] == pytest.approx((mean / np.linalg.norm(mean)).tolist(), abs=1e-6)
            seen += 1
    assert seen == len(ids)


def test_stored_predictions_are_beside_the_truth(work):
    before = {each.id: each for row in flawshot.models.prediction_folder.read_predictions(work / "named")[1] for each in row.answers}  # fmt: skip  # noqa: E501
    made = [said for sample in samples(work / "stored") for said in sample["predictions"]["detections"]]
    truth = {
        each["region"]: each["label"] for s in samples(work / "stored") for each in s["ground_truth"]["detections"]
    }
    assert {said["region"] for said in made} == set(before)
    for said in made:
        answer = before[said["region"]]
        assert (said["label"], said["confidence"]) == (answer.predicted, answer.probability)
        assert (said["runner_up"], said["unsure"], said["unknown"]) == (answer.runner_up, answer.unsure, answer.unknown)
        assert truth[said["region"]] == answer.was


def test_a_region_that_changed_has_no_embedding(work, tmp_path):
    data = hard_data(tmp_path / "data")
    done = succeed("export", "fiftyone", data, tmp_path / "out", "--bank", work / "bank")
    assert "8 regions are not in the bank, or with another box, and without embedding" in done.stderr
    assert refuse("export", "fiftyone", data, tmp_path / "new", "--model", work / "model") == (
        "--model: needs features to predict; give --bank, too"
    )


def test_fiftyone_reads_it(work):
    """FiftyOne's own importer, without its database."""
    utils = pytest.importorskip("fiftyone.utils.data")
    importer = utils.FiftyOneDatasetImporter(str(work / "out"))
    assert importer._is_legacy_format_data()
    importer = importer._to_legacy_importer()
    importer.setup()
    read = list(importer)
    assert importer.get_dataset_info()["labels"]
    for sample, own in zip(read, samples(work / "out"), strict=True):
        assert sample.filepath == str(work / "out" / own["filepath"])
        for field in ("ground_truth", "predictions"):
            if field not in own:
                continue
            for detection, stored in zip(sample[field].detections, own[field]["detections"], strict=True):
                assert detection.label == stored["label"]
                assert list(detection.bounding_box) == stored["bounding_box"]
                assert np.array_equal(detection.mask, array(stored["mask"]))
                assert list(detection["embedding"]) == stored["embedding"]
