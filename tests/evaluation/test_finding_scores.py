"""Scores of heat maps, against anomalib and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import precision_recall_curve, roc_auc_score

from flawshot import FlawshotError
from flawshot.evaluation.finding_scores import (
    MOST_POINTS,
    auroc,
    bin_heats,
    f1_max,
    image_histograms,
    pixel_scores,
    pro,
    sketch,
    summarize_heat,
)


def drawn_maps(seed, images=9, side=48):
    """Heat maps with ties, and discs as flaws; some of them touch."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    heats, truths = [], []
    for number in range(images):
        truth = np.zeros((side, side), dtype=bool)
        for y, x, r in rng.integers((4, 4, 2), (side - 4, side - 4, 7), (number % 3 + (number > 5), 3)).tolist():
            truth |= (rows - y) ** 2 + (columns - x) ** 2 <= r * r
        heat = rng.random((side, side)) + 0.1 * rng.random() + 0.7 * truth * rng.random()
        heats.append(np.round(heat, 3).astype(np.float32))
        truths.append(truth)
    return heats, truths


def summaries(heats, truths, most=MOST_POINTS):
    return [summarize_heat(heat, truth, most) for heat, truth in zip(heats, truths, strict=True)]


# What anomalib 2.7.0 gives for drawn_maps(seed): AUPRO, AUROC and F1Max over pixels, AUROC and F1Max of the mean heat.
ANOMALIB = {
    0: (0.3410561680793762, 0.666003942489624, 0.35057467222213745, 0.4285714328289032, 0.875),
    1: (0.3561762273311615, 0.7214028239250183, 0.35885167121887207, 0.2857142984867096, 0.875),
    2: (0.40867379307746887, 0.6579652428627014, 0.28429752588272095, 0.2857142984867096, 0.875),
}


@pytest.mark.parametrize("seed", ANOMALIB)
def test_scores_are_those_of_anomalib(seed):
    heats, truths = drawn_maps(seed)
    made = pixel_scores(summaries(heats, truths, most=heats[0].size))
    images = [heat.astype(np.float64).mean() for heat in heats]
    sums = [each.sum(axis=0) for each in image_histograms(images, np.array([truth.any() for truth in truths]))]
    given = (made.pro, made.auroc, made.f1_max, float(auroc(*sums)), float(f1_max(*sums)))
    assert given == pytest.approx(ANOMALIB[seed], abs=2e-6)


# The same for maps over the masks of magnetic tiles: thin cracks, and small holes.
TILES = {
    "MT_Blowhole": ((196, 112), 0.5039107203483582, 0.8058080077171326, 0.5327313542366028),
    "MT_Crack": ((196, 119), 0.42950522899627686, 0.7419329881668091, 0.4642307758331299),
}


@pytest.mark.parametrize("category", TILES)
def test_scores_on_the_masks_of_magnetic_tiles_are_those_of_anomalib(category, magnetic_tile):
    (height, width), *expected = TILES[category]
    rng = np.random.default_rng(0)
    made = []
    for path in sorted((magnetic_tile / category / "Imgs").glob("*.png"))[:20]:
        with Image.open(path) as image:
            mask = np.asarray(image.convert("L"))[:196, :192] > 127
        noise = rng.random(mask.shape).astype(np.float32)
        heat = np.round(noise + 0.5 * mask * rng.random(), 3).astype(np.float32)
        made.append(summarize_heat(heat[:height, :width], mask[:height, :width], height * width))
    scores = pixel_scores(made)
    assert (scores.pro, scores.auroc, scores.f1_max) == pytest.approx(expected, abs=3e-6)


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    truth = rng.random(5000) < 0.1
    scores = np.round(rng.random(5000) + 0.3 * truth, 2)
    sums = [each.sum(axis=0) for each in image_histograms(scores, truth)]
    precision, recall, _ = precision_recall_curve(truth, scores)
    best = np.nanmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert float(auroc(*sums)) == pytest.approx(roc_auc_score(truth, scores))
    assert float(f1_max(*sums)) == pytest.approx(best)


@pytest.mark.parametrize("most", [64, 256, MOST_POINTS])
def test_few_points_for_an_image_are_within_the_stated_error(most):
    heats, truths = drawn_maps(5, images=4, side=200)
    exact = pixel_scores(summaries(heats, truths, most=heats[0].size))
    made = pixel_scores(summaries(heats, truths, most))
    assert abs(made.auroc - exact.auroc) <= 1 / most
    assert abs(made.f1_max - exact.f1_max) <= 4 / most
    assert abs(made.pro - exact.pro) <= (1 / 0.3 + 1) / (2 * most)
    assert made != exact


def test_an_image_leaves_few_numbers_however_large_it_is():
    rng = np.random.default_rng(0)
    heat = rng.random((1000, 900), dtype=np.float32)
    truth = heat > 0.5
    assert all(points.scores.size <= MOST_POINTS for points in summarize_heat(heat, truth))
    assert sum(points.weights.sum() for points in summarize_heat(heat, truth)[:2]) == heat.size


@pytest.mark.parametrize(
    "shift",
    [
        0.0,
        1e4,  # a small range far from 0, as of distances, takes no more points
    ],
)
def test_scores_do_not_depend_on_the_scale(shift):
    heats, truths = drawn_maps(1)
    moved = [(heat.astype(np.float64) * 64 + shift).astype(np.float32) for heat in heats]
    assert pixel_scores(summaries(moved, truths)).pro == pytest.approx(
        pixel_scores(summaries(heats, truths)).pro, abs=2e-3
    )


def test_the_bootstraps_short_histograms_give_nearly_the_same_scores():
    heats, truths = drawn_maps(7, images=12, side=96)
    exact = pixel_scores(summaries(heats, truths))
    good, flawed, covered = (each.sum(axis=0) for each in bin_heats(summaries(heats, truths)))
    assert float(auroc(good, flawed)) == pytest.approx(exact.auroc, abs=2e-3)
    assert float(f1_max(good, flawed)) == pytest.approx(exact.f1_max, abs=1e-2)
    assert float(pro(good, covered)) == pytest.approx(exact.pro, abs=5e-3)


def test_regions_count_the_same_whatever_their_size():
    truth = np.zeros((20, 20), dtype=bool)
    truth[2:12, 2:12], truth[18, 18] = True, True
    heat = np.where(truth, 1.0, 0.0).astype(np.float32)
    heat[18, 18] = -1.0
    # Half of the regions is found without a false pixel, the other only with all of them.
    assert pixel_scores([summarize_heat(heat, truth)]).pro == pytest.approx(0.5 + 0.0)
    truth[12, 12] = True  # touches the large one at a corner
    assert summarize_heat(heat, truth).covered.weights.sum() == pytest.approx(2)


@pytest.mark.parametrize("flawed", [True, False])
def test_nothing_is_measured_without_both_kinds(flawed):
    heat = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    assert np.isnan(pixel_scores([summarize_heat(heat, np.full((8, 8), flawed))])).all()


def test_points_of_equal_weight():
    weights = np.array([1.0, 1.0, 2.0, 4.0])
    made = sketch(np.array([4, 3, 2, 1], dtype=np.float32), weights, most=2)
    assert made.scores.tolist() == [1.0, 2.0]
    assert made.weights.tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    ("heat", "message"),
    [
        (np.zeros((4, 5), dtype=np.float32), r"heat map: is \[4, 5\], but its image is \[4, 4\]"),
        (np.full((4, 4), np.nan, dtype=np.float32), "heat map: has values that are not finite"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(heat, message):
    with pytest.raises(FlawshotError, match=message):
        summarize_heat(heat, np.zeros((4, 4), dtype=bool))
