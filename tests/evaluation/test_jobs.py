"""Evaluation in several processes: the same results to the last bit, the same errors, and nothing stays behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from commands import succeed
from flawshot import (
    FeatureBank,
    FlawshotError,
    evaluate,
    make_classifier,
    sample_episodes,
    sample_tasks,
    write_episodes,
)
from flawshot.base import parallel
from flawshot.classifiers import CLASSIFIERS
from flawshot.cli.wording import option_words
from flawshot.evaluation import runs
from helpers import leave_package

IMAGES = [(f"{p}/{c}{n}", [c] * (1 + n % 2)) for p in "pq" for c in ("dent", "scratch", "stain") for n in range(6)]
NAMES = [
    "default", *(n for n in CLASSIFIERS if n != "evidence-ridge" and "text" not in make_classifier(n).inputs)
]  # fmt: skip
FEW = ["prototype", "knn"]


@pytest.fixture
def bank(catalog_of, bank_of):
    return bank_of(catalog_of(IMAGES, layout="{product}/**"), spread=1.5)


def without_times(results):
    document = results if isinstance(results, dict) else results.model_dump(mode="json")
    for run in document["runs"]:
        for episode in run["episodes"]:
            del episode["fit_seconds"], episode["predict_seconds"]
    for name in ("command", "started", "seconds"):
        document["provenance"].pop(name, None)
    return json.dumps(document)


def disjoint(bank, seeds=5):
    return [sample_episodes(bank.catalog, product, 2, seeds=range(seeds)) for product in "pq"]


def random_tasks(bank):
    return [sample_tasks(bank.catalog, p, 1, ways=2, queries=2, episodes=9, seed=0) for p in "pq"]


@pytest.mark.parametrize("sets", [pytest.param(lambda bank: disjoint(bank, 2), id="disjoint"), random_tasks])
def test_results_are_the_same_in_two_processes(bank, sets):
    """All classifiers that need no text, also one that is trained."""
    assert {"zip-adapter-f", "outline", "transclip"} < set(NAMES)
    names = NAMES if sets is not random_tasks else [name for name in NAMES if name != "zip-adapter-f"]
    plain, spread = (without_times(evaluate(bank, sets(bank), names, jobs=jobs)) for jobs in (1, 2))
    assert spread == plain


def test_results_are_the_same_however_the_work_is_shared(bank, monkeypatch, tmp_path):
    """More processes than episodes; one per core; and a bank given by its name in a folder where no process started."""
    plain = without_times(evaluate(bank, random_tasks(bank), FEW))
    monkeypatch.setattr(runs, "ANSWERS_TO_PART", 1)
    assert without_times(evaluate(bank, random_tasks(bank), FEW, jobs=3)) == plain
    monkeypatch.setattr(parallel.WhenLong.__init__, "__defaults__", (0.0,))  # any work is long
    assert without_times(evaluate(bank, random_tasks(bank), FEW, jobs=0)) == plain
    monkeypatch.chdir(tmp_path)
    assert without_times(evaluate(FeatureBank.open(bank.path.name), random_tasks(bank), FEW, jobs=2)) == plain


def test_an_estimator_of_a_script_goes_along(bank):
    """Its class is nowhere to be imported from, as in a notebook."""

    class Contrary(type(make_classifier("prototype"))):
        def predict_proba(self, X):
            return np.roll(super().predict_proba(X), 1, axis=1)

    sets = [sample_episodes(bank.catalog, "p", 2)]
    mine = {"contrary": Contrary(), "knn": make_classifier("knn")}
    assert without_times(evaluate(bank, sets, mine, jobs=2)) == without_times(evaluate(bank, sets, mine))


def test_an_estimator_that_cannot_be_sent_stays_here_or_is_refused(bank):
    class Locked(type(make_classifier("prototype"))):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    sets, mine = [sample_episodes(bank.catalog, "p", 2)], {"locked": Locked()}
    plain = without_times(evaluate(bank, sets, mine))
    assert without_times(evaluate(bank, sets, mine, jobs=0)) == plain
    with pytest.raises(FlawshotError) as caught:
        evaluate(bank, sets, mine, jobs=2)
    said = str(caught.value)
    assert said.startswith("classifier 'locked': cannot be sent to other processes (cannot pickle")
    assert said.endswith("; use jobs=1")
    assert caught.value.worded(option_words).endswith("; use --jobs 1")


def test_an_error_is_the_same_line_in_any_number_of_processes(bank):
    class Broken(type(make_classifier("prototype"))):
        def predict_proba(self, X):
            return super().predict_proba(X) * (np.nan if len(X) > 6 else 1)

    sets = [sample_episodes(bank.catalog, product, 2) for product in "pq"]
    said = []
    for jobs in (1, 2, 0):
        with pytest.raises(FlawshotError) as caught:
            evaluate(bank, sets, {"knn": make_classifier("knn"), "broken": Broken()}, jobs=jobs)
        said.append(str(caught.value))
    assert set(said) == {"Broken(): gives probabilities that are not finite"}
    with pytest.raises(FlawshotError, match="jobs=-1: must be at least 0"):
        evaluate(bank, sets, FEW, jobs=-1)


def test_a_bank_that_was_replaced_is_not_mixed_with_the_new_one(bank_of, bank, monkeypatch):
    other = bank_of(bank.catalog, spread=2.0, name="other")
    sets = [sample_episodes(bank.catalog, "p", 2)]
    monkeypatch.chdir(bank.path.parent)
    old = FeatureBank.open(bank.path.name)
    bank.path.rename("away")
    other.path.rename(bank.path)
    said = []
    for jobs in (1, 2):
        with pytest.raises(FlawshotError) as caught:
            evaluate(old, sets, FEW, jobs=jobs)
        said.append(str(caught.value))
    assert set(said) == {"bank: was replaced while it was read; run the command again"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_estimators_compute_with_one_thread(bank, jobs):
    """Else their last bits depend on the number of cores, and of processes."""

    class Counting(type(make_classifier("prototype"))):
        def predict_proba(self, X):
            import torch
            from threadpoolctl import threadpool_info

            from flawshot import FlawshotError

            threads = {each["num_threads"] for each in threadpool_info()} | {torch.get_num_threads()}
            if threads != {1}:
                raise FlawshotError(f"computes with {threads} threads")
            return super().predict_proba(X)

    evaluate(bank, [sample_episodes(bank.catalog, "p", 2)], {"counting": Counting()}, jobs=jobs)


def test_progress_counts_the_episodes_of_all_processes(bank):
    sets = [sample_episodes(bank.catalog, product, 2) for product in "pq"]
    for jobs in (1, 2):
        seen = []
        evaluate(bank, sets, FEW, jobs=jobs, progress=lambda *told, seen=seen: seen.append(told))
        assert seen == [(number, 30) for number in range(1, 31)]  # 2 products, 5 seeds, 2 classifiers and outline


def test_many_sets_are_evaluated_some_at_a_time(bank, monkeypatch):
    sets = [sample_episodes(bank.catalog, product, shots) for product in "pq" for shots in (1, 2)]
    together = without_times(evaluate(bank, sets, FEW))
    monkeypatch.setattr(runs, "ANSWERS_AT_ONCE", 1)
    assert without_times(evaluate(bank, sets, FEW)) == together


def test_the_command_writes_the_same_file(bank, tmp_path):
    for product in "pq":
        write_episodes(sample_episodes(bank.catalog, product, 2), tmp_path / "episodes")
    files = []
    for jobs in (1, 2):
        file = tmp_path / f"{jobs}.json"
        options = ("--classifiers", "prototype,knn,linear-probe", "--jobs", jobs, "--json", file)
        succeed("evaluate", bank.path, tmp_path / "episodes", *options)
        files.append(without_times(json.loads(file.read_bytes())))
    assert files[0] == files[1]


def test_an_installed_packages_classifier_is_loaded_in_every_process(bank, tmp_path):
    source = "from flawshot.classifiers.prototype import CosinePrototype\n\n\nclass Mine(CosinePrototype):\n    pass\n"
    points = "[flawshot.classifiers]\nmine = tiny_jobs:Mine\n"
    leave_package(tmp_path / "site", "tiny-jobs", {"tiny_jobs.py": source}, points)
    for product in "pq":
        write_episodes(sample_episodes(bank.catalog, product, 2), tmp_path / "episodes")
    path = os.pathsep.join([str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "flawshot", "evaluate", bank.path, tmp_path / "episodes"]
    options = ["--classifiers", "mine,prototype", "--jobs", "2", "--json", "-"]
    done = subprocess.run(
        [*command, *options], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    mine, other = (json.loads(done.stdout)["runs"][number]["accuracy"] for number in (0, 1))
    assert mine == other
