"""Outlines: scores inside and around flaws, and colors that tell both apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from flawshot.locating.examples import EdgeExample
from flawshot.locating.outlining import CERTAIN, NOISE, SHRINKAGE, color_ratio, outline_model

DIM = 5


def edge(category, seed, apart, inside=60, around=90):
    rng = np.random.default_rng(seed)
    mix = np.eye(DIM) + np.triu(np.full((DIM, DIM), 0.3), 1)
    own = rng.normal(size=(inside, DIM)) @ mix + np.asarray(apart)
    return EdgeExample(category, own.astype(np.float16), (rng.normal(size=(around, DIM)) @ mix).astype(np.float16))


def score(model, category, cells):
    weights, offsets = model.directions
    column = model.categories.index(category)
    return cells.astype(np.float32) @ weights[:, column] - offsets[column]


def test_the_score_is_one_half_inside_and_around_on_average():
    """Every instance counts the same, however large it is."""
    edges = [edge("dent", seed, [3, 1, 0, 0, 0], inside=20 * seed) for seed in (1, 2, 3)]
    model = outline_model(edges)
    assert np.mean([score(model, "dent", each.inside).mean() for each in edges]) == pytest.approx(0.5, abs=1e-3)
    assert np.mean([score(model, "dent", each.around).mean() for each in edges]) == pytest.approx(-0.5, abs=1e-3)


def test_with_several_categories_it_is_so_over_all_of_them():
    edges = [edge("dent", 1, [3, 0, 0, 0, 0]), edge("dent", 2, [3, 0, 0, 0, 0]), edge("stain", 3, [1, 2, 0, 0, 0])]
    model = outline_model(edges)
    assert model.categories == ("dent", "stain")
    assert model.directions[0].shape == (DIM, 2)
    assert np.mean([score(model, each.category, each.inside).mean() for each in edges]) == pytest.approx(0.5, abs=1e-3)
    assert np.mean([score(model, each.category, each.around).mean() for each in edges]) == pytest.approx(-0.5, abs=1e-3)
    for each in edges:
        assert score(model, each.category, each.inside).mean() > 0.2
        assert score(model, each.category, each.around).mean() < -0.2


def test_the_direction_is_that_of_a_discriminant_analysis():
    """Of one category, its own direction and that of all are the same; shrinkage drops what is beside the diagonal."""
    one = edge("dent", 4, [2, 0, 1, 0, 0])
    model = outline_model([one])
    centered = [each.astype(np.float64) - each.astype(np.float64).mean(axis=0) for each in (one.inside, one.around)]
    pooled = sum(each.T @ each / len(each) for each in centered) / 2

    class Diagonal:
        """A covariance estimator for scikit-learn."""

        def fit(self, X):
            cov = np.cov(X.T, ddof=0)
            self.covariance_ = (1 - SHRINKAGE) * cov + SHRINKAGE * np.diag(np.diag(cov))
            return self

    np.testing.assert_allclose(model.cov, pooled, atol=1e-3)
    analysis = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Diagonal(), priors=[0.5, 0.5])
    analysis.fit(np.concatenate([one.around, one.inside]).astype(np.float64), np.repeat([0, 1], [90, 60]))
    asked = np.concatenate([one.inside, one.around]).astype(np.float64)
    said = analysis.decision_function(asked)
    # The same up to scale: the decision is 0 in the middle, and so is the score.
    middle = said[:60].mean() - said[60:].mean()
    np.testing.assert_allclose(score(model, "dent", asked), said / middle, atol=5e-3)


def test_instances_without_one_side_are_left_out():
    none = np.zeros((0, DIM), np.float16)
    full = edge("dent", 1, [2, 0, 0, 0, 0])
    assert outline_model([]) is None
    assert outline_model([EdgeExample("dent", full.inside, none), EdgeExample("dent", none, full.around)]) is None
    model = outline_model([EdgeExample("stain", full.inside, none), full])
    assert model.categories == ("dent",)


@pytest.mark.parametrize("count", [1, 40])
def test_sides_that_do_not_differ_give_no_evidence(count):
    same = np.full((count, DIM), 2.0, np.float16)
    model = outline_model([EdgeExample("dent", same, same)])
    weights, offsets = model.directions
    assert np.isfinite(weights).all()
    assert np.isfinite(offsets).all()
    np.testing.assert_allclose(score(model, "dent", same), 0, atol=1e-6)


def spotted(rng, color=(160, 120, 120)):
    pixels = rng.normal(120, 4, (60, 80, 3))
    truth = np.zeros((60, 80), bool)
    truth[20:40, 30:55] = True
    pixels[truth] = rng.normal(color, 4, (truth.sum(), 3))
    support = np.zeros_like(truth)
    support[10:50, 18:68] = True
    return pixels.clip(0, 255).astype(np.uint8), truth, support


def test_colors_tell_a_spot_from_its_surroundings_from_a_first_outline_that_is_too_small():
    pixels, truth, support = spotted(np.random.default_rng(0))
    first = np.zeros_like(truth)
    first[24:36, 34:50] = True
    ratio = color_ratio(pixels, first, support)
    assert ratio.dtype == np.float32
    made = (ratio > 0) & support
    assert (made & truth).sum() / (made | truth).sum() > 0.9
    assert (ratio[25:35, 35:50] > 0).all()  # inside
    assert (ratio[12:16, 20:26] < 0).all()  # around
    assert np.abs(ratio).max() <= CERTAIN
    assert (ratio[~support] == 0).all()


def test_the_ratio_is_that_of_scipys_normal_densities():
    pixels, truth, support = spotted(np.random.default_rng(1), color=(124, 122, 120))
    ratio = color_ratio(pixels, truth, support)
    colors = pixels.astype(float)
    around = support.copy()
    around[18:42, 28:57] = False  # two pixels are left between, but corners
    # A diamond of two pixels is what binary_dilation adds.
    for row, column in ((18, 28), (18, 29), (19, 28), (18, 56), (18, 55), (19, 56)):
        around[row, column] = around[59 - row, column] = True
    densities = [
        multivariate_normal(colors[own].mean(axis=0), np.cov(colors[own].T) + NOISE * np.eye(3)).logpdf(colors)
        for own in (truth, around)
    ]
    plain = np.clip(densities[0] - densities[1], -CERTAIN, CERTAIN)
    # Smoothed over neighbors; far from the borders of the support the averages of both agree.
    box = np.s_[20:40, 30:55]
    assert ratio[box].mean() == pytest.approx(plain[box].mean(), abs=0.1)
    assert np.std(ratio[box]) < np.std(plain[box])
    assert np.corrcoef(ratio[box].ravel(), plain[box].ravel())[0, 1] > 0.3


@pytest.mark.parametrize(
    ("inside", "support", "said"),
    [
        (np.s_[10:11, 10:15], np.s_[0:30, 0:30], False),  # 5 px inside
        (np.s_[10:12, 10:13], np.s_[0:30, 0:30], True),  # 6 px
        (np.s_[0:20, 0:20], np.s_[0:20, 0:20], False),  # nothing around
        (np.s_[0:20, 0:20], np.s_[0:20, 0:22], False),  # only pixels next to the outline
    ],
)
def test_too_few_pixels_say_nothing(inside, support, said):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    masks = np.zeros((2, 30, 30), bool)
    masks[0][inside] = masks[1][support] = True
    assert (color_ratio(pixels, *masks) is not None) == said


def test_one_color_on_both_sides():
    _, truth, support = spotted(np.random.default_rng(0))
    ratio = color_ratio(np.full((60, 80, 3), 77, np.uint8), truth, support)
    np.testing.assert_allclose(ratio, 0, atol=1e-6)
