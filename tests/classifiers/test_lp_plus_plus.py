"""LP++, against autograd, torch's own optimizer, and the curvature that its step sizes are to bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.nn import functional

from flawshot import make_classifier
from flawshot.classifiers.lp_plus_plus import step_sizes
from text_task import mean_views, unit


def tensors(task):
    x = torch.from_numpy(mean_views(task.support))
    return x, x @ torch.from_numpy(unit(task.text)).T, torch.from_numpy(task.labels)


def by_torch(task, steps):
    """Weights and multipliers after torch's steps."""
    x, cosines, labels = tensors(task)
    members = [[each for each, label in zip(x, labels, strict=True) if label == category] for category in range(3)]
    weights = torch.stack([sum(each) for each in members]).requires_grad_()
    own = [torch.stack([row[n] for row, y in zip(cosines, labels, strict=True) if y == n]).mean() for n in range(3)]
    multipliers = torch.full((3,), 250 * float(sum(own)) / 3, dtype=torch.float64, requires_grad=True)
    largest = float(torch.linalg.svdvals(x)[0]) ** 2
    optimizer = torch.optim.SGD([weights], lr=4 * len(x) / largest, momentum=0.9)
    rate = min(len(x) / (4 * float(column @ column)) for column in cosines.T)
    for step in range(1, steps + 1):
        weights.grad = multipliers.grad = None
        functional.cross_entropy(x @ weights.T + multipliers * cosines, labels).backward()
        optimizer.step()
        if step % 10 == 0:
            multipliers.data -= rate * multipliers.grad
    return weights.detach().numpy(), multipliers.detach().numpy()


@pytest.mark.parametrize("steps", [0, 1, 10, 300])
def test_it_takes_torchs_steps(text_task, steps):
    found = make_classifier("lp-plus-plus", steps=steps).fit(text_task.support, text_task.labels, text=text_task.text)
    weights, multipliers = by_torch(text_task, steps)
    np.testing.assert_allclose(found.weights_, weights, atol=1e-5)
    np.testing.assert_allclose(found.multipliers_, multipliers, atol=1e-4)
    queries = mean_views(text_task.query)
    want = softmax(queries @ weights.T + multipliers * (queries @ unit(text_task.text).T), axis=1)
    np.testing.assert_allclose(found.predict_proba(text_task.query), want, atol=1e-5)


def test_steps_are_as_long_as_the_curvature_allows(text_task):
    """No Hessian of one category's part, at any point, is greater than the inverse of the step size."""
    x, cosines, labels = tensors(text_task)
    sizes = step_sizes(x.numpy(), cosines.numpy())
    rng = np.random.default_rng(0)
    for scale in (0.0, 1.0, 30.0):
        weights = torch.from_numpy(scale * rng.normal(size=(3, 12)))
        multipliers = torch.from_numpy(scale * rng.normal(size=3))

        def loss(weights, multipliers):
            return functional.cross_entropy(x @ weights.T + multipliers * cosines, labels)

        (of_weights, _), (_, of_multipliers) = torch.autograd.functional.hessian(loss, (weights, multipliers))
        for category in range(3):
            block = of_weights[category, :, category]
            assert float(torch.linalg.eigvalsh(block)[-1]) * sizes.weights <= 1 + 1e-9
            assert float(of_multipliers[category, category]) * sizes.multipliers <= 1 / 16 + 1e-9
        whole = of_weights.reshape(36, 36)
        assert float(torch.linalg.eigvalsh(whole)[-1]) * sizes.weights <= 2 + 1e-9


def test_more_instances_than_features_give_the_same_eigenvalue():
    x = np.random.default_rng(0).normal(size=(9, 4))
    largest = np.linalg.svd(x, compute_uv=False)[0] ** 2
    for each in (x, x.T):
        np.testing.assert_allclose(step_sizes(each, np.ones((len(each), 2))).weights, 4 * len(each) / largest)
