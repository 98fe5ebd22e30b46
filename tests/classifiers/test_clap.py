"""CLAP, against plain autograd of one episode, and against another optimizer of its objective."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from flawshot import make_classifier
from text_task import mean_views, unit


def samples(task):
    """All views of the support set one by one, and their labels."""
    views = unit([view for instance in task.support for view in instance])
    return views, np.repeat(task.labels, task.support.shape[1])


def multipliers(task):
    """Mean zero-shot probability of the right category, category by category."""
    views, labels = samples(task)
    shares = softmax(100 * views @ unit(task.text).T, axis=1)
    return np.array([np.mean([share[c] for share, y in zip(shares, labels, strict=True) if y == c]) for c in range(3)])


def objective(prototypes, task, first):
    views, labels = samples(task)
    logarithms = log_softmax(100 * views @ unit(prototypes).T, axis=1)
    penalties = multipliers(task) * ((prototypes - first) ** 2).sum(axis=1)
    return -np.mean([row[y] for row, y in zip(logarithms, labels, strict=True)]) + penalties.mean()


def plain_training(task, steps, learning_rate, length):
    views, labels = (torch.from_numpy(each) for each in samples(task))
    first, weights = torch.from_numpy(length * unit(task.text)), torch.from_numpy(multipliers(task))
    prototypes = first.clone().requires_grad_()
    optimizer = torch.optim.SGD([prototypes], momentum=0.9)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        logits = 100 * torch.cosine_similarity(views[:, None], prototypes[None], dim=-1)
        penalty = (weights * ((prototypes - first) ** 2).sum(dim=1)).mean()
        (torch.nn.functional.cross_entropy(logits, labels) + penalty).backward()
        optimizer.step()
    return prototypes.detach().numpy()


@pytest.mark.parametrize("parameters", [{}, {"steps": 20, "learning_rate": 0.02, "text_length": 3.0}])
def test_it_takes_plain_autograds_steps(text_task, parameters):
    given = {"steps": 300, "learning_rate": 0.1, "text_length": 10.0} | parameters
    found = make_classifier("clap", **parameters).fit(text_task.support, text_task.labels, text=text_task.text)
    want = plain_training(text_task, given["steps"], given["learning_rate"], given["text_length"])
    np.testing.assert_allclose(found.prototypes_, want, atol=1e-3)
    assert np.abs(given["text_length"] * unit(text_task.text) - want).max() > 0.1  # training moves them
    shares = softmax(100 * mean_views(text_task.query) @ unit(want).T, axis=1)
    np.testing.assert_allclose(found.predict_proba(text_task.query), shares, atol=5e-3)


def test_its_steps_end_at_another_optimizers_minimum(text_task):
    first = 10 * unit(text_task.text)
    least = minimize(lambda flat: objective(flat.reshape(3, 12), text_task, first), first.ravel(), method="L-BFGS-B")
    found = make_classifier("clap", steps=3000).fit(text_task.support, text_task.labels, text=text_task.text)
    reached = objective(found.prototypes_.astype(np.float64), text_task, first)
    np.testing.assert_allclose(reached, least.fun, rtol=1e-3)
    np.testing.assert_allclose(found.prototypes_, least.x.reshape(3, 12), atol=0.02)


def test_without_a_step_it_is_zero_shot(text_task):
    support, labels, query, text = text_task
    found = make_classifier("clap", steps=0).fit(support, labels, text=text)
    by_text = make_classifier("zero-shot").fit(support, labels, text=text)
    np.testing.assert_allclose(found.predict_proba(query), by_text.predict_proba(query), atol=1e-5)
