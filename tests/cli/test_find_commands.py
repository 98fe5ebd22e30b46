"""``flawshot fit --find``, ``predict --find`` and ``learn``, as a user runs them."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import flawshot
from commands import refuse, run, succeed
from flawshot.base.wording import counted
from flawshot.models.findings import inspect_image

SIDE = 224
# The first images are annotated, the others bare.
ANNOTATED, BARE = 10, 16


@pytest.fixture(scope="module", autouse=True)
def _small():
    """To save time, images are searched at their own size, not at 512 px."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flawshot.locating.dense.LONG_SIDE", SIDE)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Annotated images, good ones, bare ones with and without flaws, a model with a locator, and what it found."""
    root = tmp_path_factory.mktemp("find")
    flawshot.draw_data_set(
        root / "drawn", categories=2, images=BARE, good=14, side=SIDE, surface="brushed metal", workers=1, seed=3
    )
    home = root / "drawn" / "brushed-metal"
    for folder in ("parts", "good", "new"):
        (root / folder).mkdir()
    for number in range(BARE):
        for suffix in ("png", "json") if number < ANNOTATED else ("png",):
            shutil.copy(home / f"{number:03}.{suffix}", root / ("parts" if number < ANNOTATED else "new"))
    for number in range(14):
        target = root / "good" / f"{number:03}.png" if number < 8 else root / "new" / f"good-{number:03}.png"
        shutil.copy(home / "good" / f"{number:03}.png", target)
    said = succeed(
        "fit", root / "parts", "--out", root / "model", "--find", "--good", root / "good", "--alarms", "0.12",
        "--device", "cpu",
    )  # fmt: skip
    (root / "fit.txt").write_text(said.stdout, encoding="utf-8")
    said = succeed(
        "predict", root / "model", root / "new", "--out", root / "named", "--find", "--heatmaps", root / "heat",
        "--device", "cpu",
    )  # fmt: skip
    (root / "predict.txt").write_text(said.stdout, encoding="utf-8")
    return root


@pytest.fixture
def here(place, tmp_path):
    """A copy of all that."""
    return shutil.copytree(place, tmp_path / "here")


def table(out):
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def truth(place):
    """The flaws of the bare images, by image."""
    by_image = {}
    for instance in flawshot.Catalog.open(place / "drawn"):
        by_image.setdefault(instance.image.rpartition("/")[2], []).append(instance)
    return by_image


def test_fit_prints_what_to_expect(place):
    said = (place / "fit.txt").read_text(encoding="utf-8")
    for text in (
        "Locator: fitted to 10 labeled and 8 good images; flawshot-tiny, 2 categories",
        "instances found and named right",
        "false regions per image",
        "good images alarmed",
        "image AUROC",
        "PRO to 30 % false positives",
        "Threshold: from 8 good images that were held out; about 11% of good images will be alarmed",
    ):
        assert text in said, said
    record = flawshot.load_model(place / "model").record.locator
    assert record.expected["found"].n == sum(
        len(each) for name, each in truth(place).items() if int(name[:3]) < ANNOTATED
    )
    assert record.expected["good_images_alarmed"].n == 8
    assert record.promised == pytest.approx(1 / 9)


def test_flaws_are_found_and_good_images_are_listed_without_one(place):
    rows, flaws = table(place / "named"), truth(place)
    hit = 0
    for name, instances in flaws.items():
        found = [row for row in rows if row["image"] == name and row["id"]]
        for instance in instances:
            x0, y0, x1, y1 = instance.box
            hit += any(
                int(row["x0"]) < x1 and int(row["x1"]) > x0 and int(row["y0"]) < y1 and int(row["y1"]) > y0
                for row in found
            )
    wanted = sum(len(each) for name, each in flaws.items() if int(name[:3]) >= ANNOTATED)
    assert hit >= 0.7 * wanted
    quiet = [row for row in rows if not row["id"]]
    assert {row["image"] for row in rows} == {path.name for path in (place / "new").iterdir()}
    assert sum(row["image"].startswith("good") for row in quiet) >= 4
    assert all(float(row["image_score"]) for row in rows)
    assert all(row["found"] == "true" and float(row["score"]) > 0 for row in rows if row["id"])
    assert f"{len(rows) and len({row['image'] for row in quiet})} without a region" in (
        place / "predict.txt"
    ).read_text(encoding="utf-8")


def test_files_are_labelmes_and_pictures_are_written(place):
    shapes = 0
    for path in sorted((place / "named").glob("*.json")):
        file = flawshot.read_labelme(path)
        for shape in file.shapes:
            shapes += 1
            # A region around another one is a mask: polygons have no holes.
            assert shape.shape_type in {"polygon", "mask"}
            assert shape.flags["found"] is True
            assert shape.flags["predicted"] is True
            assert flawshot.rasterize(shape, SIDE, SIDE).area > 0
    assert shapes == sum(bool(row["id"]) for row in table(place / "named"))
    pictures = sorted(path.name for path in (place / "heat").iterdir())
    assert pictures == sorted(f"{path.name}.png" for path in (place / "new").iterdir())
    with Image.open(place / "heat" / pictures[0]) as opened:
        assert opened.size == (SIDE, SIDE)


def test_python_finds_the_same(place):
    model = flawshot.load_model(place / "model", device="cpu")
    names = sorted(path.name for path in (place / "new").iterdir())
    made = model.find([place / "new" / name for name in names])
    rows = table(place / "named")
    for name, each in zip(names, made, strict=True):
        own = [row for row in rows if row["image"] == name and row["id"]]
        assert [row["predicted"] for row in own] == each.predictions.labels
        assert len(each.masks) == len(each.regions) == len(own)
        assert each.masks.shape[1:] == each.heat.pixels().shape == (SIDE, SIDE)
        for row, mask in zip(own, each.masks, strict=True):
            rows_, columns = np.nonzero(mask)
            assert [int(row[key]) for key in ("x0", "y0", "x1", "y1")] == [
                columns.min(), rows_.min(), columns.max() + 1, rows_.max() + 1,
            ]  # fmt: skip
    with Image.open(place / "new" / names[0]) as opened:
        array = np.asarray(opened.convert("RGB"))
    assert model.find([array])[0].score == made[0].score


def test_annotated_regions_stay_and_found_ones_are_added(here):
    shutil.copy(here / "drawn" / "brushed-metal" / "012.json", here / "new" / "012.json")
    succeed("predict", here / "model", here / "new", "--out", here / "again", "--find", "--device", "cpu")
    before = flawshot.read_labelme(here / "new" / "012.json").shapes
    after = flawshot.read_labelme(here / "again" / "012.json").shapes
    for old, new in zip(before, after, strict=False):
        assert np.array_equal(old.points, new.points)
        assert "found" not in new.flags
    assert all(shape.flags["found"] for shape in after[len(before) :])
    assert len(table(here / "again")) >= len(before)


def test_without_good_images_the_backgrounds_stand_in(here):
    said = succeed("fit", here / "parts", "--out", here / "alone", "--find", "--device", "cpu").stdout
    assert "the highest peak on the backgrounds of 10 images; about 9% of good images will be alarmed" in said
    assert "more than the 5% asked for; 19 good images would do" in said
    assert "No good image was given; with --good FOLDER the threshold is more reliable" in said
    assert "image AUROC" not in said


def delete_found(here, image):
    path = here / "named" / image
    document = json.loads(path.read_text(encoding="utf-8"))
    gone = len(document["shapes"])
    document["shapes"] = []
    path.write_text(json.dumps(document), encoding="utf-8")
    return gone


def test_a_deleted_region_teaches_the_locator_even_if_nothing_else_was_said(here):
    image = next(row["image"] for row in table(here / "named") if row["id"])
    gone = delete_found(here, image.replace(".png", ".json"))
    said = succeed("learn", here / "model", here / "named", "--out", here / "taught", "--device", "cpu").stdout
    assert f"{counted(gone, 'found region was', 'found regions were')} deleted" in said
    old, new = (flawshot.load_model(here / name, device="cpu") for name in ("model", "taught"))
    assert len(new.record.locator.not_flaws) == gone
    assert new.record.history[-1].added == 0
    (before,), (after,) = (model.find([here / "new" / image]) for model in (old, new))
    assert max((each.score for each in after.regions), default=0.0) < before.regions[0].score
    again = succeed("learn", here / "taught", here / "named", "--device", "cpu").stdout
    assert "unchanged" in again


def test_a_region_drawn_anew_is_still_found(here):
    """It is the same flaw with a better outline, and no false alarm."""
    row = next(row for row in table(here / "named") if row["id"])
    path = here / "named" / row["image"].replace(".png", ".json")
    document = json.loads(path.read_text(encoding="utf-8"))
    (index,) = [n for n, shape in enumerate(document["shapes"]) if shape["flawshot"]["id"] == row["id"]]
    box = [[int(row["x0"]), int(row["y0"])], [int(row["x1"]) - 1, int(row["y1"]) - 1]]
    document["shapes"][index] = {"label": row["predicted"], "points": box, "shape_type": "rectangle", "flags": {}}
    path.write_text(json.dumps(document), encoding="utf-8")
    said = succeed("learn", here / "model", here / "named", "--out", here / "taught", "--device", "cpu").stdout
    assert "1 drawn" in said
    assert "deleted" not in said
    old, new = (flawshot.load_model(here / name, device="cpu") for name in ("model", "taught"))
    assert new.record.locator.not_flaws == ()
    (before,), (after,) = (model.find([here / "new" / row["image"]]) for model in (old, new))
    assert after.regions[0].score > 0.8 * before.regions[0].score


def test_ids_that_another_program_dropped_are_said_and_nothing_is_deleted(here):
    row = next(row for row in table(here / "named") if row["id"])
    path = here / "named" / row["image"].replace(".png", ".json")
    document = json.loads(path.read_text(encoding="utf-8"))
    for shape in document["shapes"]:
        del shape["flawshot"]
        shape["flags"] = {"predicted": False}
    path.write_text(json.dumps(document), encoding="utf-8")
    said = succeed("learn", here / "model", here / "named", "--out", here / "taught", "--device", "cpu")
    assert "another program has dropped the ids of the regions" in said.stderr
    assert f"{len(document['shapes'])} drawn" in said.stdout
    assert "deleted" not in said.stdout


def test_confirmed_and_new_categories_reach_the_locator(here):
    images = dict.fromkeys(row["image"] for row in table(here / "named") if row["id"])
    first, second = [image.replace(".png", ".json") for image in images][:2]
    for name, label in ((first, None), (second, "novelty")):
        path = here / "named" / name
        document = json.loads(path.read_text(encoding="utf-8"))
        document["shapes"][0]["flags"]["predicted"] = False
        if label:
            document["shapes"][0]["label"] = label
        path.write_text(json.dumps(document), encoding="utf-8")
    succeed("learn", here / "model", here / "named", "--out", here / "taught", "--device", "cpu")
    old, new = (flawshot.load_model(here / name, device="cpu") for name in ("model", "taught"))
    assert set(new.locator.categories) == {*old.locator.categories, "novelty"}
    counts = dict(zip(new.locator.categories, new.locator.heat_model.counts.tolist(), strict=True))
    assert counts["novelty"] == 1
    assert sum(counts.values()) == int(old.locator.heat_model.counts.sum()) + 2
    (found,) = new.find([here / "new" / second.replace(".json", ".png")])
    assert found.predictions.categories == new.categories


def test_a_model_without_a_locator_says_how_to_get_one(here):
    succeed("fit", here / "parts", "--out", here / "plain", "--device", "cpu")
    said = refuse("predict", here / "plain", here / "new", "--out", here / "out", "--find")
    assert "plain: has no locator; fit the model again with --find" in said
    assert not (here / "out").exists()


@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_a_damaged_locator_is_refused(here, damage):
    path = here / "model" / "locator.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flipped" else data[:1000])
    said = refuse("predict", here / "model", here / "new", "--out", here / "out", "--find")
    assert "locator.safetensors" in said
    assert "fit the model again" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--good", "good"), "--good: needs --find"),
        (("--alarms", "0.1"), "--alarms: needs --find"),
        (("--find-encoder", "flawshot-tiny"), "--find-encoder: needs --find"),
        (("--find", "--find-pretrained", "x"), "--find-pretrained: needs --find-encoder"),
        (("--find", "--alarms", "1"), "--alarms 1: must be a share above 0 and below 1"),
        (("--find", "--good", "nowhere"), "nowhere: is not a folder of images"),
        (("--find", "--find-encoder", "nonsense"), "nonsense"),
    ],
)
def test_mistakes_of_fit_are_named(here, monkeypatch, options, message):
    monkeypatch.chdir(here)
    assert message in refuse("fit", "parts", "--out", "other", "--device", "cpu", *options)
    assert not (here / "other").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--heatmaps", "heat"), "--heatmaps: needs --find"),
        (("--find-pretrained", "w.pt"), "--find-pretrained: needs --find"),
        (("--find", "--boxes", "b.json"), "--find and --boxes: regions come from one of them"),
        (("--find", "--threshold", "3"), "--threshold: is for masks and maps, not for --find"),
        (("--find", "--heatmaps", "out/heat"), "--heatmaps out/heat: predictions and heat maps must not be inside"),
        (("--find", "--heatmaps", "new"), "--heatmaps new: DATA and heat maps must not be inside each other"),
        (("--find", "--heatmaps", "new/heat"), "--heatmaps new/heat: DATA and heat maps must not be inside each other"),
        (("--find", "--heatmaps", "."), "--heatmaps .: DATA and heat maps must not be inside each other"),
        (("--find", "--heatmaps", "link"), "--heatmaps link: DATA and heat maps must not be inside each other"),
    ],
)
def test_mistakes_of_predict_are_named(here, monkeypatch, options, message):
    monkeypatch.chdir(here)
    (here / "link").symlink_to(here / "new")
    before = sorted(here.rglob("*"))
    assert message in refuse("predict", "model", "new", "--out", "out", *options)
    assert sorted(here.rglob("*")) == before


def test_a_call_that_goes_on_draws_what_an_earlier_one_did_not(here, monkeypatch):
    monkeypatch.chdir(here)
    monkeypatch.setattr("flawshot.models.predicting_images.IMAGES_AT_ONCE", 4)
    seen = []

    def stops(locator, categories, image):
        if len(seen) == 7:
            raise KeyboardInterrupt
        seen.append(image)
        return inspect_image(locator, categories, image)

    options = ("predict", "model", "new", "--out", "out", "--find", "--device", "cpu")
    with monkeypatch.context() as patch:
        patch.setattr("flawshot.models.finding.inspect_image", stops)
        assert run(*options).exit_code
    # The first of the four that were done has a picture by another locator, which is drawn again, the second by ours.
    first, second, *_ = sorted(path.name for path in (here / "new").iterdir())
    (here / "heat-2").mkdir()
    Image.new("RGB", (SIDE, SIDE)).save(here / "heat-2" / f"{first}.png")
    shutil.copy(here / "heat" / f"{second}.png", here / "heat-2")
    kept = (here / "heat-2" / f"{second}.png").stat().st_ino
    said = succeed(*options, "--heatmaps", "heat-2").stdout
    assert "; 4 files kept from an earlier run" in said
    pictures = {path.name: path.read_bytes() for path in (here / "heat").iterdir()}
    assert {path.name: path.read_bytes() for path in (here / "heat-2").iterdir()} == pictures
    assert (here / "heat-2" / f"{second}.png").stat().st_ino == kept
    assert (here / "out/predictions.csv").read_bytes() == (here / "named/predictions.csv").read_bytes()


def test_good_images_that_are_annotated_are_not_good(here):
    shutil.copytree(here / "good", here / "parts" / "good")
    said = succeed(
        "fit", here / "parts", "--out", here / "other", "--find", "--good", here / "parts", "--device", "cpu"
    )
    assert "10 images have annotated flaws" in said.stderr
    assert "fitted to 10 labeled and 8 good images" in said.stdout


def test_suggest_from_what_the_locator_finds(here):
    said = succeed(
        "suggest", here / "model", here / "new", "--out", here / "next", "--count", 3, "--find", "--device", "cpu"
    )
    with (here / "next/suggestions.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len({row["image"] for row in rows}) == 3
    assert "3 regions suggested of " in said.stdout
    # The regions, their names and their probabilities are those of a prediction of all images.
    every = {row["id"]: row for row in table(here / "named")}
    for row in rows:
        assert row["predicted"] == every[row["id"]]["predicted"]
        assert float(row["probability"]) == pytest.approx(float(every[row["id"]]["probability"]), abs=1e-3)
        assert [row[name] for name in ("x0", "y0", "x1", "y1")] == [
            every[row["id"]][n] for n in ("x0", "y0", "x1", "y1")
        ]
