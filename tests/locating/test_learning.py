"""A locator that is taught an image agrees with one that was fitted to it, too; what is no flaw stops being hot."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

import flawshot
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.labelme.images import read_image
from flawshot.labelme.shapes import rasterize
from flawshot.locating.examples import LabeledImage
from flawshot.locating.fitting import fit_locator
from flawshot.locating.heat import LEARNED, good_bank, heat_model, most_vectors
from flawshot.locating.learning import MOST_CELLS, NamedRegion, teach_locator, without_alarm
from flawshot.locating.locator_file import read_locator, write_locator
from flawshot.locating.record import LocatorRecord

SIDE = 160


@pytest.fixture(scope="module", autouse=True)
def _small():
    """To save time, images are searched at 256 px, not at 512."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flawshot.locating.dense.LONG_SIDE", 256)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Drawn images, each with its flaws, by image; and good images."""
    root = tmp_path_factory.mktemp("drawn")
    flawshot.draw_data_set(
        root / "set", categories=2, images=8, good=6, side=SIDE, surface="brushed metal", workers=1, seed=11
    )
    (home,) = (root / "set").iterdir()
    flaws = {}
    for instance in flawshot.Catalog.open(home):
        flaws.setdefault(home / instance.image, []).append((instance.category, instance.region()))
    return flaws, sorted((home / "good").iterdir())


@pytest.fixture(scope="module")
def fitted(drawn):
    """A locator fitted to all but the last image with flaws, and one fitted to all."""
    flaws, good = drawn
    labeled = [LabeledImage(path, tuple(own)) for path, own in flaws.items()]
    encoder = TinyEncoder(device="cpu")
    return [fit_locator(encoder, part, good, alarms=0.2).locator for part in (labeled[:-1], labeled)]


def test_a_named_region_moves_its_category_as_a_fit_would(drawn, fitted):
    flaws, _ = drawn
    path, own = list(flaws.items())[-1]
    few, every = fitted
    taught = teach_locator(few, read_image(path, path.name), [NamedRegion(*each) for each in own], [])
    assert taught.categories == every.categories
    assert taught.heat_model.counts.tolist() == every.heat_model.counts.tolist()
    # The scales of the maps come from good cells, of which the fit saw those of one image more.
    scale = np.concatenate(
        [
            np.full(width, each)
            for width, each in zip(_widths(few), every.heat_model.bank.scales / few.heat_model.bank.scales, strict=True)
        ]
    )
    assert taught.heat_model.flaw_means == pytest.approx(every.heat_model.flaw_means * scale, abs=2e-3)
    assert few.heat_model.counts.sum() == taught.heat_model.counts.sum() - len(own)


def _widths(locator):
    maps = locator.encoder.maps(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    return [each.shape[1] for each in maps[-len(locator.heat_model.bank.scales) :]]


def _counts(locator):
    return dict(zip(locator.categories, locator.heat_model.counts.tolist(), strict=True))


def test_a_corrected_region_leaves_its_earlier_category(drawn, fitted):
    flaws, _ = drawn
    path, own = next(iter(flaws.items()))
    _, every = fitted
    (category, region), *_ = own
    other = next(each for each in every.categories if each != category)
    taught = teach_locator(every, read_image(path, path.name), [NamedRegion(other, region, category)], [])
    before, after = (
        dict(zip(each.categories, each.heat_model.counts.tolist(), strict=True)) for each in (every, taught)
    )
    assert after == before | {category: before[category] - 1, other: before[other] + 1}
    back = teach_locator(taught, read_image(path, path.name), [NamedRegion(category, region, other)], [])
    assert back.heat_model.flaw_means == pytest.approx(every.heat_model.flaw_means, abs=1e-4)


def test_a_region_that_is_no_flaw_is_not_found_again_and_flaws_are(drawn, fitted):
    flaws, _ = drawn
    _, every = fitted
    (path, ((_, region), *_)), *others = flaws.items()
    image = read_image(path, path.name)
    taught = teach_locator(every, image, [], [region])
    inside = region.full_mask(SIDE, SIDE)
    before, after = (float(each.heat(image).pixels()[inside].mean()) for each in (every, taught))
    assert after < 0.5 * before
    assert len(taught.heat_model.not_flaws) == 1
    kept = [_found(taught, *each) for each in others if _found(every, *each)]
    assert np.mean(kept) >= 0.5


def _found(locator, path, own):
    image = read_image(path, path.name)
    masks = [rasterize(each.shape, SIDE, SIDE).full_mask(SIDE, SIDE) for each in locator.find(image).regions]
    return all(any((mask & region.full_mask(SIDE, SIDE)).any() for mask in masks) for _, region in own)


def test_a_locator_is_read_as_it_was_written(fitted, tmp_path):
    _, every = fitted
    write_locator(tmp_path / "file", every)
    record = LocatorRecord.model_construct(
        categories=every.categories, threshold=every.threshold, sharpness=every.sharpness
    )
    again = read_locator(tmp_path / "file", record, every.encoder)
    assert set(again.heat_model.bank.units) == {""}
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    (one, first), (other, second) = (each.inspect(Image.fromarray(image)) for each in (every, again))
    assert np.array_equal(one.cells, other.cells)
    assert np.array_equal(one.evidence, other.evidence)
    assert [each.shape.points.tolist() for each in first.regions] == [
        each.shape.points.tolist() for each in second.regions
    ]


def test_what_was_learned_is_still_known_after_reading(fitted, drawn, tmp_path):
    path, ((_, region), *_) = next(iter(drawn[0].items()))
    taught = teach_locator(fitted[1], read_image(path, path.name), [], [region])
    write_locator(tmp_path / "file", taught)
    record = LocatorRecord.model_construct(
        categories=taught.categories, threshold=taught.threshold, sharpness=taught.sharpness
    )
    again = read_locator(tmp_path / "file", record, taught.encoder).heat_model.bank
    assert again.units == taught.heat_model.bank.units
    assert 0 < again.units.count(LEARNED) <= MOST_CELLS


DIM = 6


@pytest.fixture
def small(example_of, monkeypatch):
    """A model whose bank is full."""
    monkeypatch.setattr("flawshot.locating.heat.MOST_VECTORS", 60)
    rng = np.random.default_rng(0)
    examples = [example_of(rng.normal(size=(80, DIM)), unit=str(number)) for number in range(3)]
    model = heat_model(examples, good_bank(examples))
    assert len(model.bank.vectors) == most_vectors(DIM) == 60
    return model


def test_a_bank_that_learns_stays_as_small_as_promised(small):
    rng = np.random.default_rng(1)
    model, told = small, []
    for number in range(12):
        told.append((rng.normal(size=(3, DIM)) + 20 + 5 * number).astype(np.float32))
        model = without_alarm(model, told[-1])
        assert len(model.bank.vectors) == len(model.bank.units) <= 60
    # Up to half of it, whatever was learned is kept as it is.
    assert model.bank.units.count(LEARNED) == 30
    early = small
    for cells in told[:10]:
        early = without_alarm(early, cells)
    kept = {row.tobytes() for row in early.bank.vectors}
    assert all(row.tobytes() in kept for cells in told[:10] for row in cells)
    # Later on, cells are near what was learned rather than the same.
    for cells in told:
        apart = np.linalg.norm(cells[:, None] - model.bank.vectors[None], axis=2).min(axis=1)
        assert apart.max() < 5


def test_good_cells_that_are_dropped_are_near_others(small):
    """Two of the same are one too many; a cell that is alone stays."""
    good = small.bank.vectors
    twice = np.concatenate([good[:30], good[:30] + np.float32(1e-4)])
    model = without_alarm(
        heat_model_with(small, twice), (np.arange(16 * DIM).reshape(16, DIM) + 100).astype(np.float32)
    )
    left = model.bank.vectors[: model.bank.units.index(LEARNED)]
    assert len(left) == 44
    apart = np.linalg.norm(good[:30, None] - left[None], axis=2).min(axis=1)
    assert apart.max() < 1e-2


def heat_model_with(model, vectors):
    return dataclasses.replace(model, bank=model.bank._replace(vectors=vectors, units=()))


def test_regions_that_are_no_flaws_do_not_add_up_in_memory_but_in_effect(small):
    """The directions depend on the sum of outer products alone, which dim vectors say as well as a hundred."""
    rng = np.random.default_rng(2)
    means = rng.normal(size=(100, DIM)).astype(np.float32) + np.arange(DIM, dtype=np.float32)
    model = small
    for number, mean in enumerate(means, start=1):
        model = without_alarm(model, mean[None])
        assert len(model.not_flaws) == min(number, DIM)
    away, all_away = model.not_flaws - model.good_mean, means - model.good_mean
    assert away.T @ away == pytest.approx(all_away.T @ all_away, rel=1e-3, abs=1e-2)


def test_arrays_that_do_not_fit_are_refused(fitted, tmp_path):
    _, every = fitted
    path = tmp_path / "file"
    write_locator(path, every)
    record = LocatorRecord.model_construct(categories=("one",), threshold=1.0, sharpness=1.0)
    with pytest.raises(flawshot.FlawshotError, match=r"file: is not a locator's file .*; fit the model again"):
        read_locator(path, record, every.encoder)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(flawshot.FlawshotError, match="file: is not a locator's file"):
        read_locator(path, record, every.encoder)
