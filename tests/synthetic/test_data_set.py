"""Drawn data sets: the same everywhere, annotated exactly, read back, never half there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawshot import Catalog, FlawshotError, check_data, draw_data_set, read_labelme
from flawshot.synthetic import data_set
from flawshot.synthetic.plans import plan_products
from flawshot.synthetic.scenes import draw_scene
from labelme_itself import open_file

SMALL = {"categories": 3, "images": 12, "side": 96, "products": 2, "seed": 5}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A small data set of two products, and what the call gave."""
    out = tmp_path_factory.mktemp("drawn") / "set"
    return out, draw_data_set(out, workers=1, **SMALL)


def pixels(folder):
    return {path.relative_to(folder): np.asarray(Image.open(path)) for path in sorted(folder.rglob("*.png"))}


def annotations(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.json"))}


def test_another_process_draws_the_same_with_any_number_of_workers(drawn, tmp_path):
    out, _ = drawn
    code = (
        "import flawshot; flawshot.draw_data_set('again', workers=2, "
        f"{', '.join(f'{name}={value}' for name, value in SMALL.items())})"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    ours, theirs = pixels(out), pixels(tmp_path / "again")
    assert list(ours) == list(theirs)
    for name, image in ours.items():
        assert np.array_equal(image, theirs[name]), name
    assert annotations(out) == annotations(tmp_path / "again")


def test_another_seed_draws_another_data_set(drawn, tmp_path):
    out, _ = drawn
    draw_data_set(tmp_path / "other", workers=1, **(SMALL | {"seed": 6}))
    assert not set(annotations(out).values()) & set(annotations(tmp_path / "other").values())


def test_good_pictures_show_the_surface_without_a_flaw_and_change_no_other(drawn, tmp_path):
    out, _ = drawn
    products = draw_data_set(tmp_path / "more", workers=1, good=2, **SMALL)
    assert [each.good for each in products] == [2, 2]
    assert annotations(tmp_path / "more") == annotations(out)
    for each, plan in zip(
        products, plan_products(**{name: SMALL[name] for name in SMALL if name != "side"}), strict=True
    ):
        good = pixels(tmp_path / "more" / each.name / "good")
        assert len(good) == 2
        for number, image in enumerate(good.values(), start=SMALL["images"]):
            assert np.array_equal(image, draw_scene(plan.product, [], SMALL["side"], number).image)
    with pytest.raises(FlawshotError, match="good"):
        draw_data_set(tmp_path / "none", workers=1, **(SMALL | {"good": -1}))


def test_what_was_drawn_is_what_is_read(drawn):
    out, products = drawn
    catalog = Catalog.open(out)
    assert not catalog.problems
    assert not check_data(catalog, shots=[1])
    assert catalog.products == sorted(product.name for product in products)
    assert set(catalog.column("split")) == {None}
    for product in products:
        own = catalog.select([product.name])
        assert Counter(own.column("category")) == product.instances
        assert len(set(own.column("image"))) == product.images == 12
        assert len(product.instances) == 3


@pytest.mark.parametrize("flaws", [None, ["dust"], ["ring"], ["chip", "scratch"]], ids=str)
def test_masks_are_those_that_were_drawn(tmp_path, flaws):
    """Dust has many parts, rings may have holes, chips need an edge."""
    arguments = {"categories": 2, "images": 6, "seed": 1, "flaws": flaws}
    draw_data_set(tmp_path / "set", side=128, workers=1, **arguments)
    catalog = Catalog.open(tmp_path / "set")
    (plan,) = plan_products(**arguments)
    read = iter(catalog)
    for number, own in enumerate(plan.images):
        scene = draw_scene(plan.product, [(plan.categories[label], seed) for label, seed in own], 128, number)
        image = Image.open(tmp_path / "set" / plan.name / f"{number:03}.png")
        assert np.array_equal(np.asarray(image), scene.image)
        for (label, _), mask in zip(own, scene.masks, strict=True):
            instance = next(read)
            assert instance.category == label
            assert np.array_equal(instance.region().full_mask(128, 128), mask)
    assert next(read, None) is None


def test_labelme_opens_every_file(drawn):
    out, _ = drawn
    for path in sorted(out.rglob("*.json")):
        opened, ours = open_file(path), read_labelme(path)
        assert opened.image_data
        assert [shape["label"] for shape in opened.shapes] == [shape.label for shape in ours.shapes]


def test_what_is_there_stays_and_a_failed_call_leaves_nothing(tmp_path, monkeypatch):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    with pytest.raises(FlawshotError, match="taken: exists; name another folder"):
        draw_data_set(taken)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FlawshotError, match="file: exists; name another folder"):
        draw_data_set(tmp_path / "file")
    with pytest.raises(FlawshotError, match="cannot be"):
        draw_data_set(tmp_path / "file" / "below", workers=1, categories=1, images=1, side=64)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(data_set, "write_labelme", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw_data_set(tmp_path / "new", workers=1, categories=1, images=2, side=64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("side", [63, 2049])
def test_a_side_out_of_bounds_is_refused(tmp_path, side):
    with pytest.raises(FlawshotError, match=f"side={side}: must be 64 to 2048 px"):
        draw_data_set(tmp_path / "new", side=side)
    assert not list(Path(tmp_path).iterdir())


def test_an_empty_folder_is_filled_and_progress_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    seen = []
    draw_data_set(
        tmp_path / "empty", categories=2, images=3, side=64, workers=1, progress=lambda *told: seen.append(told)
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len(pixels(tmp_path / "empty")) == 3
