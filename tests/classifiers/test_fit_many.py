"""Several support sets fitted together give what each gives alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flawshot import CLASSIFIERS, make_classifier
from flawshot.classifiers.base import Evidence, Support
from flawshot.classifiers.trained import TrainedClassifier

VIEWS, DIM = 4, 24
TRAINED = ["zip-adapter-f", "tip-adapter-f", "clip-adapter", "clap"]


@pytest.fixture(scope="module")
def episodes():
    """Support sets of two shapes in turn, of other categories each, and queries."""
    rng = np.random.default_rng(3)
    made = []
    for number, (categories, shots) in enumerate([(3, 2), (2, 3), (3, 2), (2, 3), (3, 2)]):
        means = rng.normal(size=(categories, 1, DIM)) + 2 * rng.normal(size=DIM)
        labels = rng.permutation(np.repeat(np.arange(categories), shots))
        names = np.array([f"{number}-{category}" for category in range(categories)])
        support = means[labels] + rng.normal(size=(len(labels), VIEWS, DIM))
        query = means[rng.integers(categories, size=9)] + rng.normal(size=(9, VIEWS, DIM))
        text = means[:, 0] + rng.normal(size=(categories, DIM))
        evidence = Evidence(support, text, outlines=support[:, 0])
        made.append((Support(evidence, names[labels]), Evidence(query, outlines=query[:, 0])))
    return made


@pytest.fixture
def all_together(monkeypatch):
    """On a CPU some are trained one by one, being faster so; here they are trained as on a GPU."""
    monkeypatch.setattr(TrainedClassifier, "together_on_cpu", True)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_together_is_as_alone(episodes, name, all_together):
    together = make_classifier(name).fit_many([support for support, _ in episodes])
    assert len(together) == len(episodes)
    for fitted, (support, query) in zip(together, episodes, strict=True):
        alone = make_classifier(name).fit_support(support)
        np.testing.assert_array_equal(fitted.classes_, np.unique(support.labels))
        np.testing.assert_allclose(fitted.predict_evidence(query), alone.predict_evidence(query), atol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_episodes_trained_together_are_not_alike(episodes, name, all_together):
    """Else a mixing of episodes would go unseen."""
    first, _, third, *_ = make_classifier(name).fit_many([support for support, _ in episodes])
    learnt = {"zip-adapter-f": "weight_", "tip-adapter-f": "keys_", "clip-adapter": "up_", "clap": "prototypes_"}[name]
    assert np.abs(getattr(first, learnt) - getattr(third, learnt)).max() > 1e-3


def test_no_support_sets_give_no_classifiers():
    assert make_classifier("prototype").fit_many([]) == []
    assert make_classifier("clip-adapter").fit_many([]) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("name", TRAINED)
def test_a_gpu_gives_the_same_numbers(episodes, name):
    supports = [support for support, _ in episodes]
    on_gpu, on_cpu = (make_classifier(name, device=device).fit_many(supports) for device in ("cuda", "cpu"))
    for ours, theirs, (_, query) in zip(on_gpu, on_cpu, episodes, strict=True):
        np.testing.assert_allclose(ours.predict_evidence(query), theirs.predict_evidence(query), atol=1e-4)
