"""Intervals of finding against a plain statement; ``test_finding_runs.py`` has the scores and the special cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gamma, norm, t

import plain_intervals as plain
from flawshot.evaluation.finding_scores import summarize_heat
from flawshot.evaluation.finding_tallies import FindingTally, estimate_finding, resample_finding

IMAGES, UNITS = 36, 18


def tally(seed):
    """Image scores and counts of one episode; two images each of 18 groups."""
    rng = np.random.default_rng(seed)
    flawed = np.arange(IMAGES) % 4 < 3
    instances = flawed * rng.integers(1, 4, IMAGES)
    found = rng.binomial(instances, 0.7)
    counts = {
        "found": (found.astype(float), instances.astype(float)),
        "mean_iou": (found * rng.uniform(0.5, 0.7, IMAGES), found.astype(float)),
        "false_regions_per_image": (rng.poisson(0.4, IMAGES).astype(float), np.ones(IMAGES)),
    }
    heat = summarize_heat(rng.random((4, 4)).astype(np.float32), np.eye(4, dtype=bool))
    return FindingTally(np.arange(IMAGES) // 2, flawed, rng.normal(size=IMAGES), [heat] * IMAGES, counts)


@pytest.fixture(params=[1, 3], ids=["one episode", "three episodes"])
def tallies(request):
    return [tally(seed) for seed in range(request.param)]


def plainly(tallies, name):
    """The score of each episode, and its mean in draws of units."""
    rng = np.random.default_rng(3)
    picked = rng.integers(0, UNITS, (20_000, UNITS))
    times = np.stack([(picked == number).sum(axis=1) for number in range(UNITS)], axis=1)
    scores, values = [], []
    for own in tallies:
        part, whole = (each.reshape(UNITS, 2).sum(axis=1) for each in own.counts[name])
        scores.append(part.sum() / whole.sum())
        values.append((times @ part) / (times @ whole))
    return scores, np.mean(values, axis=0)


def near(bounds):
    return pytest.approx(bounds, abs=0.03 * (bounds[1] - bounds[0]))


def test_shares_and_counts_have_the_plain_intervals(tallies):
    made = estimate_finding(tallies, [own.measured() for own in tallies], resample_finding(tallies, UNITS, "key"))
    for name in ("found", "mean_iou"):
        scores, values = plainly(tallies, name)
        # Overlaps are no shares of items: their number has no limit.
        limit = made[name].n if name == "found" else 1e9
        error, freedom = plain.spread(scores, values, UNITS)
        assert made[name].mean == pytest.approx(np.mean(scores))
        assert made[name].ci95 == near(plain.score_test(np.mean(scores), error**2, freedom, limit))
    scores, values = plainly(tallies, "false_regions_per_image")
    error, freedom = plain.spread(scores, values, UNITS)
    mean, wide = np.mean(scores), (error * t.ppf(0.975, freedom) / norm.ppf(0.975)) ** 2
    events = mean**2 / wide
    bounds = (gamma.ppf(0.025, events) * mean / events, gamma.ppf(0.975, events + 1) * mean / events)
    assert made["false_regions_per_image"].ci95 == near(bounds)
