"""A model asked of images and masks, and of features; what it refuses; that it loads torch only when it must."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import flawshot
from flawshot import FlawshotError
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from helpers import rewrite_sealed


@pytest.fixture(scope="module")
def regions(parts):
    """Every region of the drawn parts, as a user of Python has them: path and mask."""
    catalog = flawshot.Catalog.open(parts)
    return [(parts / each.image, each.region().full_mask(each.image_height, each.image_width)) for each in catalog]


def test_images_with_masks_are_answered_as_the_bank_of_the_same_regions(model, bank, regions):
    images, masks = zip(*regions, strict=True)
    told, known = model.predict(images, masks), model.predict_features(bank)
    assert len(told) == len(regions)
    assert told.labels == known.labels
    np.testing.assert_allclose(told.probabilities, known.probabilities, atol=2e-3)
    np.testing.assert_allclose(told.novelty, known.novelty, rtol=0.02)


@pytest.mark.parametrize("kind", ["str", "image", "array", "gray array"])
@pytest.mark.parametrize("batch_size", [1, 100])
def test_an_image_may_be_given_in_any_form(model, regions, kind, batch_size):
    images, masks = zip(*regions[:5], strict=True)
    opened = [Image.open(path).convert("L").convert("RGB") for path in images]
    arrays = [np.asarray(image) for image in opened]
    expected = model.predict(arrays, masks)
    given = {
        "str": [str(path) for path in images],
        "image": opened,
        "array": arrays,
        "gray array": [array[:, :, 0] for array in arrays],
    }[kind]
    if kind == "str":
        expected = model.predict(images, masks)
    told = model.predict(given, masks, batch_size=batch_size)
    np.testing.assert_allclose(told.probabilities, expected.probabilities, atol=1e-4)


def test_what_is_said_of_a_region_fits_together(model, bank):
    predictions = model.predict_features(bank)
    assert predictions.probabilities.dtype == np.float32
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-5)
    for number, (label, said) in enumerate(zip(predictions.labels, predictions, strict=True)):
        assert said == predictions[number]
        assert said.label == label == said.categories[0]
        assert said.probability >= said.runner_up_probability
        assert said.runner_up != said.label
        assert set(said.categories) <= set(model.categories)


def test_one_region_is_answered_alone_as_among_others(model, bank):
    ids = bank.catalog.column("id")
    together, alone = model.predict_features(bank), model.predict_features(bank, ids[4:5])
    np.testing.assert_allclose(alone.probabilities[0], together.probabilities[4], atol=1e-5)


def test_nothing_asked_is_nothing_said(model):
    predictions = model.predict([], [])
    assert list(predictions) == []
    assert predictions.sets.shape == (0, 3)


def bad_regions(regions):
    path, mask = regions[0]
    return {
        "fewer masks": ([path, path], [mask], "images, masks: 2 images, but 1 mask"),
        "an empty mask": ([path], [np.zeros_like(mask)], r"masks\[0\]: has no pixel"),
        "a mask of another size": ([path], [mask[1:]], r"masks\[0\]: must be bool \[96, 96\]"),
        "a mask of numbers": (
            [path],
            [mask.astype(int)],
            r"masks\[0\]: must be bool \[96, 96\], like its image, or uint8 with 0 and 255, not int",
        ),
        "a missing image": (["nowhere.png"], [mask], r"nowhere.png: the image cannot be decoded"),
        "floats": ([np.zeros((96, 96))], [mask], r"images\[0\]: must be a path, a PIL image, or uint8"),
        "four channels": ([np.zeros((96, 96, 4), np.uint8)], [mask], r"images\[0\]: must be a path"),
    }


@pytest.mark.parametrize("case", list(bad_regions([(None, np.zeros((1, 1)))])))
def test_what_cannot_be_used_is_named(model, regions, case):
    images, masks, said = bad_regions(regions)[case]
    with pytest.raises(FlawshotError, match=said):
        model.predict(images, masks)


def test_features_of_another_encoder_or_of_other_views_are_refused(model, bank, parts, tmp_path):
    catalog = flawshot.Catalog.open(parts)
    cases = {
        "options.region": (TinyEncoder(device="cpu", region="crop"), TINY_VIEWS),
        "sizes": (TinyEncoder(device="cpu"), ("centre3", ("1x", "2x", "3x"))),
    }
    deep = tmp_path / ("long" * 60)  # a path that is longer than the whole line may be
    remedy = "encode the images as those of the model were"
    said = {
        "options.region": f"/manifest.json: encoder.options.region: is 'crop', but 'alpha' in model; {remedy}",
        "sizes": f"/manifest.json: views.sizes: is ('1x', '2x', '3x'), but ('1.5x', '2x', '3x') in model; {remedy}",
    }
    for field, (encoder, views) in cases.items():
        other = flawshot.encode_catalog(catalog, encoder, flawshot.make_scheme(*views), deep / field / deep.name).bank
        with pytest.raises(FlawshotError) as raised:
            model.predict_features(other)
        assert str(raised.value).endswith(said[field])
    dim = bank.manifest.shape[3]
    with pytest.raises(FlawshotError, match=rf"takes finite features \[regions, 3 views, {dim}\], not \[2, 1, {dim}\]"):
        model.judge(np.zeros((2, 1, dim), dtype=np.float32))


def rewrite(model, to, change):
    """The model with another encoder in both of its files, as another flawshot would have made it."""
    copy = shutil.copytree(model.path, to)
    manifest = copy / "support" / "manifest.json"
    rewrite_sealed(manifest, lambda document: document["encoder"].update(change))
    hashed = hashlib.sha256(manifest.read_bytes()).hexdigest()
    rewrite_sealed(
        copy / "model.json",
        lambda document: (document["encoder"].update(change), document["files"].update({"manifest.json": hashed})),
    )
    return copy


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"weights_hash": "0" * 64},
            r"encoder.weights_hash: is '000000000000…', but the available flawshot-tiny has '\w{12}…'; name",
        ),
        ({"weights_hash": None}, r"made the features outside flawshot, and its weights are not known"),
        ({"family": "elsewhere"}, r"made the features outside flawshot, and its weights are not known"),
        ({"family": "what CLIP"}, r"model.json: encoder.family: 'what CLIP' is unknown; install the package"),
        ({"options": {"region": "alpha", "layer": "trunk"}}, r"encoder.options.interpolation: is None, but the"),
        (
            {"family": "open_clip", "options": {"model": "ViT-B-32"}, "weights": "mine.safetensors"},
            r"encoder.weights: came from the file mine.safetensors; say where it is with pretrained",
        ),
        (
            {"family": "alpha_clip", "options": {"model": "ViT-B-16"}, "weights": "mine.pth"},
            r"encoder.weights: came from the file mine.pth; say where it is with pretrained",
        ),
    ],
)
def test_an_encoder_that_is_not_at_hand_is_refused_in_one_line(model, bank, regions, tmp_path, change, said):
    copy = flawshot.load_model(rewrite(model, tmp_path / "copy", change), device="cpu")
    path, mask = regions[0]
    with pytest.raises(FlawshotError, match=said) as raised:
        copy.predict([path], [mask])
    assert "\n" not in str(raised.value)
    assert len(copy.judge(bank.features(bank.catalog.column("id")))) == len(bank.catalog)  # features need no encoder


def test_weights_of_a_model_that_brings_its_own_are_not_given(model, regions):
    path, mask = regions[0]
    with pytest.raises(FlawshotError, match=r"pretrained='x\.pt': flawshot-tiny has its own weights"):
        flawshot.load_model(model.path, pretrained="x.pt").predict([path], [mask])


def test_features_are_judged_without_torch(model, bank):
    code = (
        "import sys, flawshot\n"
        f"model, bank = flawshot.load_model({str(model.path)!r}), flawshot.FeatureBank.open({str(bank.path)!r})\n"
        "print(len(model.predict_features(bank)), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(bank.catalog)), "False"]


def test_a_prediction_after_warming_up_imports_nothing(model):
    code = (
        "import sys, numpy as np, flawshot\n"
        f"model = flawshot.load_model({str(model.path)!r}, device='cpu')\n"
        "model.warm_up()\n"
        "before = set(sys.modules)\n"
        "image = np.zeros((64, 80, 3), np.uint8)\n"
        "said = model.predict(image, boxes=(10, 10, 30, 20))\n"
        "print(len(said), sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "[]"]


def test_warming_up_changes_no_prediction(model, bank):
    fresh = flawshot.load_model(model.path, device="cpu")
    before = fresh.predict_features(bank)
    fresh.warm_up()
    assert (fresh.predict_features(bank).probabilities == before.probabilities).all()
