"""``flawshot export imagefolder``, loaded by Hugging Face's datasets and by torchvision."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import flawshot
from commands import refuse, succeed
from export_data import ODD, hard_data, shape, write
from flawshot.base.names import folder_name
from flawshot.formats.imagefolder_export import export_imagefolder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return hard_data(tmp_path_factory.mktemp("hard") / "data")


@pytest.fixture(scope="module")
def out(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "crops"
    done = succeed("export", "imagefolder", data, out)
    assert done.stdout == f"{out}: 8 crops of 9 instances; 4 categories\n"
    assert 'warning: test: has no a/b: "é" <&>, so ImageFolder numbers its classes differently' in done.stderr
    return out


@pytest.fixture(scope="module")
def unsplit(tmp_path_factory):
    """Exported drawn data without splits, and the data."""
    folder = tmp_path_factory.mktemp("unsplit")
    flawshot.draw_data_set(folder / "parts", categories=3, images=9, side=96, good=2, workers=1, seed=4)
    export_imagefolder(flawshot.Catalog.open(folder / "parts"), folder / "crops")
    return folder


def loaded(folder, tmp_path):
    datasets = pytest.importorskip("datasets")
    return datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path))


def crops(data):
    """The pixels of each instance's box, by its id, cut from the image as numpy cuts."""
    made = {}
    for instance in flawshot.Catalog.open(data):
        if instance.category and "embedded" not in instance.image:
            x0, y0, x1, y1 = instance.box
            with Image.open(data / instance.image) as image:
                made[instance.id] = np.asarray(image.convert("RGB"))[y0:y1, x0:x1]
    return made


def test_hugging_face_datasets_loads_it_as_it_is(data, out, tmp_path):
    read = loaded(out, tmp_path)
    assert {name: len(part) for name, part in read.items()} == {"train": 7, "test": 1}
    rows = [row for part in read.values() for row in part]
    known, wanted = {i.id: i for i in flawshot.Catalog.open(data)}, crops(data)
    assert len({row["instance"] for row in rows}) == 8
    for row in rows:
        instance = known[row["instance"]]
        assert row["label"] == instance.category
        assert (row["product"], row["source"], row["area"]) == (instance.product, instance.image, instance.area)
        assert tuple(row["box"]) == instance.box
        if row["instance"] in wanted:
            assert np.array_equal(np.asarray(row["image"]), wanted[row["instance"]])


def test_torchvision_loads_it_as_it_is(data, out):
    folder = pytest.importorskip("torchvision.datasets").ImageFolder
    train, test = folder(out / "train"), folder(out / "test")
    assert train.classes == sorted([folder_name(ODD), "dent", "scratch"])
    assert test.classes == ["hole"]
    assert len(train) == 7
    rows = {row["file_name"]: row for row in map(json.loads, (out / "train/metadata.jsonl").read_text().splitlines())}
    for (path, number), (image, again) in zip(train.samples, train, strict=True):
        name = path.removeprefix(f"{out / 'train'}/")
        assert number == again
        assert train.classes[number] == folder_name(rows.pop(name)["label"])
        assert min(image.size) > 0
    assert not rows


def test_data_without_splits(unsplit, tmp_path):
    read = loaded(unsplit / "crops", tmp_path)
    folder = pytest.importorskip("torchvision.datasets").ImageFolder(unsplit / "crops")
    catalog = flawshot.Catalog.open(unsplit / "parts")
    assert list(read) == ["train"]  # its name for data without splits
    assert len(read["train"]) == len(folder) == len(catalog)
    assert set(read["train"].features) == {
        "image", "label", "product", "source", "instance", "box", "crop", "area",
    }  # fmt: skip
    assert folder.classes == sorted(set(catalog.column("category")))
    wanted = crops(unsplit / "parts")
    assert all(np.array_equal(np.asarray(row["image"]), wanted[row["instance"]]) for row in read["train"])


def test_our_own_import_takes_it_for_whole_images(unsplit):
    made = flawshot.import_folders(unsplit / "crops", unsplit / "back")
    assert made.categories == tuple(sorted(set(flawshot.Catalog.open(unsplit / "parts").column("category"))))


def test_a_margin_stays_inside_the_image(tmp_path):
    write(tmp_path / "d", "a.json", [shape("dent", "rectangle", [[2, 30], [11, 39]])])
    succeed("export", "imagefolder", tmp_path / "d", tmp_path / "out", "--margin", "0.5")
    row = json.loads((tmp_path / "out/metadata.jsonl").read_text())
    assert (row["box"], row["crop"]) == ([2, 30, 12, 40], [0, 25, 17, 45])
    with Image.open(tmp_path / "out" / row["file_name"]) as crop, Image.open(tmp_path / "d/a.png") as image:
        assert np.array_equal(np.asarray(crop), np.asarray(image)[25:45, 0:17])
    assert refuse("export", "imagefolder", tmp_path / "d", tmp_path / "o", "--margin", "101") == (
        "--margin 101.0: must be 0 to 100"
    )


def test_a_category_called_like_a_split_is_none(tmp_path):
    for number, label in enumerate(["train", "test mark", "dent"]):
        write(tmp_path / "d", f"eval-{number}.json", [shape(label, "rectangle", [[2, 30], [11, 39]])])
    export_imagefolder(flawshot.Catalog.open(tmp_path / "d"), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {"%74rain", "%74est mark", "dent"}
    read = loaded(tmp_path / "out", tmp_path / "cache")
    assert {name: sorted(part["label"]) for name, part in read.items()} == {"train": ["dent", "test mark", "train"]}
