"""Heat and evidence, stated again with scipy and scikit-learn; corrections, few examples, none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.covariance import shrunk_covariance

from flawshot.base.errors import FlawshotError
from flawshot.locating.heat import SHRINKAGE, good_bank, heat_model

DIM = 6


def cells(seed, count, mean=0.0):
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, DIM)) @ (np.eye(DIM) + np.triu(np.full((DIM, DIM), 0.4), 1)) + 2
    return (mixed + np.asarray(mean)).astype(np.float16)


def pulled(axis, by=3.0):
    return by * np.eye(DIM)[axis]


@pytest.fixture
def two_categories(example_of):
    """Two images with a flaw of each category, and a good one; each flaw has 40 cells."""
    return [
        example_of(cells(1, 90), [("dent", cells(2, 40, pulled(0))), ("scratch", cells(3, 40, pulled(1)))], "a"),
        example_of(cells(4, 70), [("dent", cells(5, 40, pulled(0))), ("scratch", cells(6, 40, pulled(1)))], "b"),
        example_of(cells(7, 120), unit="c"),
    ]


def fitted(examples):
    bank = good_bank(examples)
    return bank, heat_model(examples, bank)


def groups(examples, bank):
    """Scaled good cells, and those of each category, as arrays."""
    good = np.concatenate([bank.scaled([level[each.good] for level in each.levels]) for each in examples])
    flaws = {}
    for each in examples:
        for flaw in each.flaws:
            flaws.setdefault(flaw.category, []).append(bank.scaled([level[flaw.cells] for level in each.levels]))
    return good, {category: np.concatenate(flaws[category]) for category in sorted(flaws)}


def test_means_and_covariances_are_those_of_the_cells(two_categories):
    bank, model = fitted(two_categories)
    good, flaws = groups(two_categories, bank)
    assert model.categories == ("dent", "scratch")
    assert model.counts.tolist() == [2, 2]
    np.testing.assert_allclose(model.good_mean, good.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(model.good_cov, np.cov(good.T, ddof=0), atol=1e-4)
    np.testing.assert_allclose(model.flaw_means, [own.mean(axis=0) for own in flaws.values()], atol=1e-5)


def test_evidence_is_the_cosine_to_each_category_after_whitening(two_categories):
    bank, model = fitted(two_categories)
    good, flaws = groups(two_categories, bank)
    whitening = np.linalg.inv(sqrtm(shrunk_covariance(np.cov(good.T, ddof=0), SHRINKAGE)).real)
    means = np.stack([own.mean(axis=0) for own in flaws.values()])
    asked = bank.scaled([cells(9, 50, pulled(0, 1.5))])
    cosines = 1 - cdist((asked - good.mean(axis=0)) @ whitening, (means - good.mean(axis=0)) @ whitening, "cosine")
    np.testing.assert_allclose(model.evidence(asked), cosines, atol=2e-3)


def test_evidence_does_not_depend_on_how_strong_a_flaw_is(two_categories):
    bank, model = fitted(two_categories)
    strong = bank.scaled([cells(9, 50, pulled(0))])
    weak = model.good_mean + (strong - model.good_mean) / 3
    np.testing.assert_allclose(model.evidence(weak.astype(np.float32)), model.evidence(strong), atol=1e-4)
    assert model.heat(strong).mean() > model.heat(weak.astype(np.float32)).mean()


def test_heat_is_stated_independently(two_categories):
    """Projections in standard deviations of good cells, and distances weighted by 1 / sqrt(instances)."""
    bank, model = fitted(two_categories)
    good, flaws = groups(two_categories, bank)
    within = shrunk_covariance(np.cov(good.T, ddof=0), SHRINKAGE)
    asked = bank.scaled([cells(9, 50, pulled(1, 1.5))])
    like = []
    for own in flaws.values():
        direction = np.linalg.inv(within) @ (own.mean(axis=0) - good.mean(axis=0))
        like.append((asked - good.mean(axis=0)) @ direction / np.std(good @ direction))
    far = (cdist(asked, bank.vectors).min(axis=1) - bank.mean) / bank.std
    np.testing.assert_allclose(model.heat(asked), np.maximum(*like) + far / np.sqrt(2), atol=5e-3, rtol=5e-3)


def test_without_labeled_flaws_heat_is_distance_in_standard_deviations(example_of):
    examples = [example_of(cells(seed, 60), unit=str(seed)) for seed in range(4)]
    bank, model = fitted(examples)
    assert model.categories == ()
    # Each good cell's distance to the nearest one of another unit: all of them are in the bank.
    scaled = [bank.scaled(each.levels) for each in examples]
    apart = np.concatenate([
        cdist(scaled[n], np.concatenate(scaled[:n] + scaled[n + 1 :])).min(axis=1) for n in range(4)
    ])  # fmt: skip
    assert bank.mean == pytest.approx(apart.mean(), rel=1e-3)
    assert bank.std == pytest.approx(apart.std(), rel=1e-3)
    asked = bank.scaled([cells(9, 20, pulled(0))])
    expected = (cdist(asked, np.concatenate(scaled)).min(axis=1) - apart.mean()) / apart.std()
    np.testing.assert_allclose(model.heat(asked), expected, atol=1e-2)
    assert model.evidence(asked).shape == (20, 0)


def test_flaws_are_hotter_than_good_cells_and_speak_for_their_category(two_categories):
    bank, model = fitted(two_categories)
    good, dent, scratch = (
        bank.scaled([cells(seed, 200, mean)]) for seed, mean in ((20, 0), (21, pulled(0)), (22, pulled(1)))
    )
    assert np.median(model.heat(dent)) > np.quantile(model.heat(good), 0.95)
    assert np.median(model.heat(scratch)) > np.quantile(model.heat(good), 0.95)
    assert (model.evidence(dent).argmax(axis=1) == 0).mean() > 0.9
    assert (model.evidence(scratch).argmax(axis=1) == 1).mean() > 0.9
    assert np.abs(model.evidence(good).mean()) < 0.2


def test_what_a_person_says_is_no_flaw_becomes_colder_and_flaws_hardly_do(two_categories):
    """Stains pull along an axis of their own, and a little along that of dents."""
    bank, model = fitted(two_categories)
    off = pulled(4, 4) + pulled(0, 1.5)
    stain = bank.scaled([cells(30, 40, off)])
    told = replace(model, not_flaws=stain.mean(axis=0, keepdims=True))
    again, flaw = bank.scaled([cells(31, 200, off)]), bank.scaled([cells(32, 200, pulled(0))])
    far = (cdist(again, bank.vectors).min(axis=1) - bank.mean) / bank.std / np.sqrt(2)
    before, after = np.mean(model.heat(again) - far), np.mean(told.heat(again) - far)
    assert before > 1
    assert after < 0.5 * before
    assert np.mean(told.heat(flaw)) > 0.75 * np.mean(model.heat(flaw))


def test_a_bank_without_a_unit_and_without_all(example_of):
    examples = [example_of(cells(seed, 10), unit=unit) for seed, unit in enumerate("abb")]
    bank = good_bank(examples)
    assert sorted(bank.units) == ["a"] * 10 + ["b"] * 20
    rest = bank.without({"b"})
    assert rest.units == ("a",) * 10
    own = bank.scaled(examples[0].levels)
    np.testing.assert_array_equal(np.sort(rest.vectors, axis=0), np.sort(own, axis=0))
    assert rest.mean == bank.mean
    assert bank.without({"a", "b"}) is bank
    assert bank.without({"elsewhere"}).units == bank.units
    assert bank._replace(units=()).without({"a"}).vectors is bank.vectors


def test_maps_count_the_same_whatever_their_size(example_of):
    example = example_of(cells(1, 30), unit="a")
    level = example.levels[0]
    loud = replace(example, levels=(level, (100 * level.astype(np.float32)).astype(np.float16)))
    bank = good_bank([loud])
    scaled = bank.scaled(loud.levels)
    np.testing.assert_allclose(np.sqrt((scaled[:, :DIM] ** 2).mean()), 1, rtol=1e-3)
    np.testing.assert_allclose(scaled[:, DIM:], scaled[:, :DIM], rtol=1e-2, atol=1e-3)


def test_no_good_cell_is_refused_in_one_line(example_of):
    covered = example_of(np.zeros((0, DIM)), [("dent", cells(2, 4))])
    with pytest.raises(FlawshotError, match="give images without flaws") as caught:
        good_bank([covered])
    assert "\n" not in str(caught.value)


def test_one_instance_of_one_cell(example_of):
    examples = [example_of(cells(1, 30), [("dent", cells(2, 1, pulled(0)))]), example_of(cells(3, 30), unit="b")]
    bank, model = fitted(examples)
    heat = model.heat(bank.scaled([np.concatenate([cells(5, 60), cells(6, 60, pulled(0))])]))
    assert np.isfinite(heat).all()
    assert heat[60:].mean() > heat[:60].mean() + 1


@pytest.mark.parametrize("categories", [(), ("dent",)])
def test_a_single_good_cell(example_of, categories):
    """Nothing varies, so no direction is known; still every cell has a finite heat, and evidence."""
    examples = [example_of(cells(1, 1), [(category, cells(2, 1, pulled(0))) for category in categories])]
    bank, model = fitted(examples)
    asked = bank.scaled([np.concatenate([cells(1, 1), cells(2, 1, pulled(0)), cells(3, 5)])])
    heat = model.heat(asked)
    assert np.isfinite(heat).all()
    assert heat[1] > heat[0]
    assert np.isfinite(model.evidence(asked)).all()


def test_cells_that_are_all_the_same(example_of):
    """As on a blank image."""
    bank, model = fitted([example_of(np.full((50, DIM), 3.0)), example_of(np.full((50, DIM), 3.0), unit="b")])
    heat = model.heat(bank.scaled([np.full((4, DIM), 3.0, np.float16)]))
    assert np.isfinite(heat).all()
    assert len(set(heat.tolist())) == 1
    assert model.evidence(bank.scaled([cells(1, 4)])).shape == (4, 0)


def test_large_banks_are_cut_and_the_same_each_time(example_of, monkeypatch):
    monkeypatch.setattr("flawshot.locating.heat.MOST_CELLS", 200)
    monkeypatch.setattr("flawshot.locating.heat.MOST_VECTORS", 30)
    examples = [example_of(cells(seed, 150), unit=str(seed)) for seed in range(3)]
    first, second = good_bank(examples), good_bank(examples)
    assert first.vectors.shape == (30, DIM)
    assert set(first.units) == {"0", "1", "2"}
    assert first.vectors.tobytes() == second.vectors.tobytes()
    every = np.concatenate([first.scaled(each.levels) for each in examples])
    assert cdist(first.vectors, every).min(axis=1).max() < 1e-5
