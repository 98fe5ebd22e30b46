"""Units of work on a Ray cluster: the same results as in one process, whatever dies on the way.

The two nodes are processes of this machine, each with one CPU of Ray's.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from commands import refuse
from flawshot import FeatureBankError, FlawshotError, RayTasks, evaluate, make_classifier, sample_episodes, sample_tasks

pytest.importorskip("ray", reason="Ray is not installed")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
IMAGES = [(f"{p}/{c}{n}", [c] * (1 + n % 2)) for p in "pq" for c in ("dent", "scratch", "stain") for n in range(6)]


@pytest.fixture(scope="module")
def on():
    """Two nodes."""
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))  # nodes cannot import this module
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    with RayTasks(cluster.address) as made:
        yield made
    cluster.shutdown()


def without_times(results):
    document = results.model_dump(mode="json")
    for run in document["runs"]:
        for episode in run["episodes"]:
            del episode["fit_seconds"], episode["predict_seconds"]
    return json.dumps(document)


def slow_square(number):
    time.sleep(0.3)
    return number**2


def killed_once(folder, number):
    marker = Path(folder) / str(number)
    if number == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def failing(number):
    if number % 2:
        raise FlawshotError(f"no {number}")
    return number


def without_bank():
    raise FeatureBankError("bank: no such folder")


def test_all_nodes_work_and_results_are_in_order(on):
    assert on.workers == 2
    assert list(on.in_order(slow_square, [(n,) for n in range(12)])) == [n**2 for n in range(12)]
    assert len(on.done) == 2
    assert sum(on.done.values()) == 12


def test_a_task_whose_process_is_killed_is_done_again(on, tmp_path):
    assert list(on.in_order(killed_once, [(str(tmp_path), n) for n in range(6)])) == list(range(6))
    assert (tmp_path / "3").exists()


def test_the_first_error_is_raised_and_of_a_bank_also_where(on):
    with pytest.raises(FlawshotError, match=r"^no 1$"):
        list(on.in_order(failing, [(n,) for n in range(8)]))
    with pytest.raises(
        FlawshotError, match=r"^bank: no such folder \(on node .*/.*; every node needs it at this path\)$"
    ):
        list(on.in_order(without_bank, [()]))


@pytest.mark.slow
def test_evaluation_gives_the_same_results(on, catalog_of, bank_of):
    bank = bank_of(catalog_of(IMAGES, layout="{product}/**"), spread=1.5)
    sets = [sample_episodes(bank.catalog, product, 2, seeds=range(3)) for product in "pq"]
    names = ["default", "prototype", "linear-probe", "transclip"]
    assert without_times(evaluate(bank, sets, names, on=on)) == without_times(evaluate(bank, sets, names))
    tasks = [sample_tasks(bank.catalog, "p", 1, ways=2, queries=2, episodes=9, seed=0)]
    assert without_times(evaluate(bank, tasks, names, on=on)) == without_times(evaluate(bank, tasks, names))


def test_classifiers_on_a_gpu_are_refused(on, catalog_of, bank_of):
    bank = bank_of(catalog_of(IMAGES, layout="{product}/**"))
    sets = [sample_episodes(bank.catalog, "p", 2, seeds=range(2))]
    with pytest.raises(FlawshotError, match="CPUs"):
        evaluate(bank, sets, {"mine": make_classifier("zip-adapter-f", device="cuda")}, on=on)


def test_processes_of_this_machine_and_a_cluster_do_not_go_together(catalog_of, bank_of, tmp_path):
    bank = bank_of(catalog_of(IMAGES, layout="{product}/**"))
    assert "--jobs 2" in refuse("evaluate", str(bank.path), str(tmp_path), "--jobs", "2", "--ray", "local")
