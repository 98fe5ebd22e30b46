"""Zip-Adapter-F the straightforward way: one full-batch autograd step after another.

The peer that ``benchmarks/classifiers.py`` measures against, and the statement of the method that the tests hold ours
against. Written from MVREC's description (AAAI 2025, arXiv 2412.16897), after the settings of its released code.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional


def fit_and_predict(
    support: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, categories: int, steps: int = 500
) -> torch.Tensor:
    """Probabilities of the query instances.

    Args:
        support: float32 ``[support, views, dim]``.
        labels: int64 ``[support]``.
        query: float32 ``[queries, views, dim]``.
        categories: How many categories there are.
        steps: Full-batch steps.

    Returns:
        float32 ``[queries, categories]``.
    """
    _, views, dim = support.shape
    weight = torch.zeros(dim, dim, requires_grad=True)
    bias = torch.zeros(dim, requires_grad=True)
    keys = support.mean(dim=1).clone().requires_grad_()
    membership = functional.one_hot(labels, categories).float()

    def adapt(x: torch.Tensor) -> torch.Tensor:
        return functional.silu(functional.linear(x, weight, bias)) + x

    def logits(x: torch.Tensor) -> torch.Tensor:
        cosines = functional.normalize(adapt(x), dim=-1) @ functional.normalize(adapt(keys), dim=-1).T
        return torch.exp(-(1 - cosines)) @ membership / 0.11

    inputs, targets = support.reshape(-1, dim), labels.repeat_interleave(views)
    optimizer = torch.optim.AdamW([weight, bias, keys], lr=1e-4, eps=1e-6)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=1e-5)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(logits(inputs), targets).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        shares = logits(query.reshape(-1, dim)).softmax(dim=-1).view(len(query), views, categories)
        entropy = -(shares * shares.clamp_min(1e-38).log()).sum(dim=-1)
        certainty = 1 - entropy / math.log(categories)
        return (shares * (certainty / certainty.sum(dim=1, keepdim=True))[..., None]).sum(dim=1)
