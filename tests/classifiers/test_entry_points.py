"""Classifiers of other people's packages, found by their entry points."""

from __future__ import annotations

import sys

import pytest

import flawshot
from flawshot import FlawshotError, make_classifier
from flawshot.classifiers import CLASSIFIERS, classifier_name, classifier_names
from helpers import leave_package

MODULE = """
import numpy as np
from flawshot.classifiers.base import FewShotClassifier


class FirstCategory(FewShotClassifier):
    inputs = frozenset({"features", "outlines"})

    def __init__(self, share=0.9):
        self.share = share

    def _fit(self, support, labels):
        assert support.outlines.shape[0] == len(labels)

    def _probabilities(self, query):
        assert query.outlines.shape[0] == len(query.features)
        others = (1 - self.share) / max(1, len(self.classes_) - 1)
        made = np.full((len(query.features), len(self.classes_)), others, dtype=np.float32)
        made[:, 0] = self.share
        return made


NUMBER = 3


class Misspelled(FirstCategory):
    inputs = frozenset({"features", "outline"})
"""
POINTS = """[flawshot.classifiers]
first-category = tiny_classifiers:FirstCategory
default = tiny_classifiers:FirstCategory
gone = tiny_classifiers:Gone
number = tiny_classifiers:NUMBER
misspelled = tiny_classifiers:Misspelled
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as pip leaves it: a module, and what its distribution says of itself."""
    site = tmp_path / "site"
    leave_package(site, "tiny-classifiers", {"tiny_classifiers.py": MODULE}, POINTS)
    monkeypatch.syspath_prepend(site)
    yield
    sys.modules.pop("tiny_classifiers", None)


def test_an_installed_package_brings_classifiers(installed, catalog_of, bank_of):
    assert classifier_names() == ["default", *CLASSIFIERS, "first-category", "gone", "misspelled", "number"]
    made = make_classifier("first-category", share=0.8)
    assert (type(made).__name__, made.share, classifier_name(made)) == ("FirstCategory", 0.8, "first-category")
    catalog = catalog_of([(f"{label}{n}", [label]) for label in ("dent", "scratch") for n in range(4)])
    results = flawshot.evaluate(bank_of(catalog), [flawshot.sample_episodes(catalog, "part", 1)], ["first-category"])
    run = next(run for run in results.runs if run.classifier == "first-category")
    assert run.accuracy.mean == pytest.approx(0.5)


def test_flawshots_own_names_come_first(installed):
    assert type(make_classifier("default")).__name__ == "EvidenceRidge"


def test_what_cannot_be_loaded_is_one_line(installed):
    with pytest.raises(FlawshotError, match=r"classifier 'gone': tiny_classifiers:Gone cannot be loaded"):
        make_classifier("gone")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("number", "classifier 'number': is not a subclass of flawshot.FewShotClassifier"),
        ("misspelled", "classifier 'misspelled': inputs: must be some of features, outlines, text"),
    ],
)
def test_what_is_no_classifier_is_one_line(installed, name, said):
    with pytest.raises(FlawshotError, match=said):
        make_classifier(name)


def test_without_the_package_its_names_are_not_known():
    with pytest.raises(FlawshotError, match="'first-category': is not known; there are default, "):
        make_classifier("first-category")
