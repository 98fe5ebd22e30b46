"""Intervals stated once more, plainly, by numpy's random numbers and scipy's distributions and root finding."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
from scipy import stats
from scipy.optimize import brentq

DRAWS = 20_000


def drawn(unit, seed, value):
    """The mean over seeds of the mean of ``value`` in draws of units with replacement, ``[draws, columns]``.

    Args:
        unit: The unit of each answer, ``[answers]``.
        seed: Its seed, likewise.
        value: One or more columns, ``[answers, columns]``, such as the rights of several classifiers.
    """
    units, seeds = np.unique(unit), np.unique(seed)
    rng = np.random.default_rng(11)
    picked = rng.integers(0, len(units), (DRAWS, len(units)))
    times = np.stack([(picked == number).sum(axis=1) for number in range(len(units))], axis=1)
    shares = []
    for s in seeds:
        own = [(unit == one) & (seed == s) for one in units]
        sums, sizes = np.array([value[rows].sum(axis=0) for rows in own]), np.array([rows.sum() for rows in own])
        with np.errstate(invalid="ignore"):
            shares.append((times @ sums) / (times @ sizes)[:, None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a draw without any
        return np.nanmean(shares, axis=0)


def spread(per_seed, values, units):
    """The standard error and its degrees of freedom: the seeds' and the units' variance, by Welch and Satterthwaite."""
    seeds = len(per_seed)
    variances, freedoms = [np.nanvar(values) * units / (units - 1)], [units - 1]
    if seeds > 1:
        variances.append(stats.sem(per_seed) ** 2)
        freedoms.append(seeds - 1)
    total = sum(variances)
    return total**0.5, total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))


def share(per_seed, values, units, queries):
    """The interval of a share's mean over seeds."""
    error, freedom = spread(per_seed, values, units)
    return score_test(np.mean(per_seed), error**2, freedom, stats.gmean([queries, units]))


def score_test(mean, variance, freedom, independent):
    """The shares that a score test at 5 % does not reject, with no more than two answers an independent query."""
    items, quantile = min(mean * (1 - mean) / variance, 2 * independent), stats.t.ppf(0.975, freedom)

    def rejected(p):
        return (p - mean) ** 2 * items - quantile**2 * p * (1 - p)

    return brentq(rejected, 0, mean), brentq(rejected, mean, 1)


def loss(mean, error, freedom, worst):
    """The interval of a loss: that of a share of the worst, for however many answers its variance stands for."""
    return tuple(worst * bound for bound in score_test(mean / worst, (error / worst) ** 2, freedom, np.inf))


def difference(per_seed, values, units, answers):
    """Student's interval, with the variance of one more answer."""
    error, freedom = spread(per_seed, values, units)
    return student(np.mean(per_seed), (error**2 + answers**-2) ** 0.5, freedom)


def student(mean, error, freedom):
    """Student's interval."""
    return stats.t.interval(0.95, freedom, mean, error)


def calibration_error(confidence, right):
    """The expected calibration error of ten bins, one by one."""
    gaps = 0.0
    for number in range(10):
        own = (confidence > number / 10) & (confidence <= (number + 1) / 10)
        gaps += abs((right[own] - confidence[own]).sum())
    return gaps / len(right)


def corrected_error(confidence, right, unit):
    """The calibration error whose squared bins are sums over pairs of different units."""
    total = 0.0
    for number in range(10):
        own = (confidence > number / 10) & (confidence <= (number + 1) / 10)
        gaps = [(right - confidence)[own & (unit == one)].sum() for one in np.unique(unit[own])]
        pairs = sum(a * b for a, b in itertools.permutations(gaps, 2))
        total += math.sqrt(max(0.0, pairs) * len(gaps) / (len(gaps) - 1)) if len(gaps) > 1 else 0.0
    return total / len(right)


def error(confidence, right, unit, seed, answers):
    """Student's interval of the mean calibration error.

    Its lower end is that of the corrected error, its upper end has the variance of one more answer.
    """
    seeds = np.unique(seed)
    per_seed = [calibration_error(confidence[seed == s], right[seed == s]) for s in seeds]
    units, rng, values = np.unique(unit), np.random.default_rng(12), []
    rows = {(one, s): np.flatnonzero((unit == one) & (seed == s)) for one in units for s in seeds}
    for _ in range(2000):
        picked = rng.choice(units, len(units))
        again = [np.concatenate([rows[one, s] for one in picked]) for s in seeds]
        values.append(np.mean([calibration_error(confidence[own], right[own]) for own in again if len(own)]))
    values, mean = np.array(values), np.mean(per_seed)
    deviation, freedom = spread(per_seed, values, len(units))
    corrected = np.mean([corrected_error(confidence[seed == s], right[seed == s], unit[seed == s]) for s in seeds])
    low, _ = student(corrected, deviation, freedom)
    _, high = student(mean, math.hypot(deviation, 1 / answers), freedom)
    return max(0, low), high
