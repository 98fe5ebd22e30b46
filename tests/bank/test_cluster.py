"""A Ray cluster gives the same bytes as one machine, whatever dies on the way.

Nodes are those of ``ray.cluster_utils``: processes of this machine, each with one CPU of Ray's.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import flawshot
from flawshot import FeatureBank, FlawshotError
from flawshot.bank import actor_pool, blocks, cluster
from flawshot.bank.builder import encode_catalog
from flawshot.bank.cluster import RayCluster
from flawshot.base import ray_connection
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.regions.views import make_scheme

pytest.importorskip("ray", reason="Ray is not installed")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
SCHEME = make_scheme("centre3", ("1.5x", "2x", "3x"))
# Two instances per block, so that there are many blocks.
BATCH = 6


class Light:
    """An encoder that loads at once, and whose features tell with which others a crop was encoded, and where."""

    side, dim, device = 16, 4, torch.device("cpu")
    record = flawshot.EncoderRecord(
        family="light", name="light", weights="none", weights_hash="0" * 64, precision="float32", tokens=("mean",)
    )

    def encode(self, images, masks):
        time.sleep(0.1)  # so that a process can be killed while it encodes
        flat = images.reshape(len(images), -1).float()
        place = torch.arange(len(images)).float()
        together = (flat.mean() + masks.float().mean()).expand(len(images))
        return torch.stack([flat.mean(dim=1), flat.std(dim=1), place, together], dim=1)[:, None]


def light(device):
    return Light()


@pytest.fixture(scope="module", autouse=True)
def by_value():
    """Sends this module's own classes to other processes, which cannot import it."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def encoder():
    return Light()


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Images with one or two instances each, of which one cannot be decoded and one is missing."""
    place = tmp_path_factory.mktemp("drawn") / "parts"
    flawshot.draw_data_set(place, categories=3, images=40, side=64, surface="wood", workers=1, seed=5)
    images = sorted(place.rglob("*.png"))
    images[7].write_bytes(images[7].read_bytes()[:200])
    images[20].unlink()
    return place


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)


@pytest.fixture(scope="module")
def plain(parts, encoder, tmp_path_factory):
    """The bank that this machine alone makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CALLS_PER_BLOCK", 1)
        out = tmp_path_factory.mktemp("plain") / "bank"
        return encode_catalog(flawshot.Catalog.open(parts), encoder, SCHEME, out, batch_size=BATCH)


class Nodes:
    """A head that computes nothing, and nodes with one CPU each."""

    def __init__(self):
        from ray.cluster_utils import Cluster

        self._own = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.address = self._own.address
        self._nodes = []

    def have(self, count):
        while len(self._nodes) < count:
            self._nodes.append(self._own.add_node(num_cpus=1))
        while len(self._nodes) > count:
            self.lose()
        return self

    def lose(self):
        """End a node as if its machine had failed."""
        self._own.remove_node(self._nodes.pop(), allow_graceful=False)

    def workers(self):
        """The processes of actors: children of the nodes' own processes, named by Ray."""
        parents = {each.process.pid for node in self._nodes for each in node.all_processes["raylet"]}
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in parents and (place / "cmdline").read_bytes().startswith(b"ray::BlockWorker"):
                    found.append(int(place.name))
            except OSError:  # it has just ended
                continue
        return found

    def close(self):
        self._own.shutdown()


@pytest.fixture(scope="module")
def nodes():
    own = Nodes()
    yield own
    own.close()


def encode(parts, encoder, out, on, **options):
    return encode_catalog(flawshot.Catalog.open(parts), encoder, SCHEME, out, batch_size=BATCH, on=on, **options)


def contents(bank):
    return {path.name: path.read_bytes() for path in bank.path.iterdir()}


def check_same(report, plain):
    assert report.left_out == plain.left_out
    assert contents(report.bank) == contents(plain.bank)
    assert not list(report.bank.path.parent.glob(".*"))


def test_the_data_has_many_blocks_and_images_that_cannot_be_used(plain):
    assert len(plain.bank.catalog) > 40
    assert len(plain.left_out) == 2
    assert ["is missing" in entry.reason for entry in plain.left_out].count(True) == 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_nodes_give_the_bytes_of_one_machine(parts, encoder, plain, nodes, tmp_path, count):
    seen = []
    with RayCluster(nodes.have(count).address, make=light) as on:
        report = encode(parts, encoder, tmp_path / "bank", on, progress=lambda *told: seen.append(told))
    check_same(report, plain)
    assert sum(on.done.values()) == len(plain.bank.catalog)
    assert on.remarks[0].startswith("encoded by node: ")
    total = 3 * len(flawshot.Catalog.open(parts))
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)


@pytest.mark.slow
def test_a_node_that_dies_loses_nothing(parts, encoder, plain, nodes, tmp_path):
    nodes.have(2)
    lost = []

    def lose(done, _):
        if len(nodes.workers()) == 2 and not lost:
            lost.append(done)
            nodes.lose()

    with RayCluster(nodes.address, make=light) as on:
        report = encode(parts, encoder, tmp_path / "bank", on, progress=lose)
    assert lost
    check_same(report, plain)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are not told by this system")
def test_a_process_killed_ten_times_loses_nothing(parts, encoder, plain, nodes, tmp_path):
    nodes.have(1)
    killed = []

    def kill(*_):
        if len(killed) < 10:
            for process in set(nodes.workers()) - set(killed):
                os.kill(process, signal.SIGKILL)
                killed.append(process)

    with RayCluster(nodes.address, make=light) as on:
        report = encode(parts, encoder, tmp_path / "bank", on, progress=kill)
    assert len(set(killed)) == 10
    assert on.failures.total() >= 10
    check_same(report, plain)


DRIVER = """
import sys, time
from flawshot.bank import blocks, unfinished
from flawshot.base.store import unfinished as folder
from flawshot.cli import main
blocks.CALLS_PER_BLOCK = 1
folder.CHECKPOINT_SECONDS = 0
store = unfinished.UnfinishedBank.store
pause, *given = sys.argv[1:]
def slowly(*features):
    time.sleep(float(pause))
    store(*features)
unfinished.UnfinishedBank.store = slowly
sys.argv = ["flawshot", *given]
main()
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_resumes_and_the_bytes_are_the_same(parts, nodes, tmp_path):
    plain = encode(parts, TinyEncoder(device="cpu"), tmp_path / "plain", None)
    out = tmp_path / "bank"
    state = tmp_path / ".bank.unfinished" / "state.json"
    options = ["encode", parts, "--out", out, "--batch-size", BATCH, "--device", "cpu"]
    on_ray = ["--ray", nodes.have(1).address]

    def start(pause, *more):
        command = [sys.executable, "-c", DRIVER, pause, *options, *more]
        return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    process = start(0.3, *on_ray)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if state.is_file() and json.loads(state.read_text())["stored"] >= 10:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    stored = json.loads(state.read_text())["stored"]
    assert 10 <= stored < len(plain.bank.catalog), errors
    assert not out.exists()
    shutil.copytree(state.parent, tmp_path / "here" / state.parent.name)

    process = start(0, *on_ray)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"{stored} kept" in output
    assert "encoded by node: " in errors
    assert len([line for line in errors.splitlines() if line.startswith("left out: ")]) == 2
    assert contents(FeatureBank.open(out)) == contents(plain.bank)

    # What a cluster began, one machine can finish.
    report = encode(parts, TinyEncoder(device="cpu"), tmp_path / "here" / "bank", None)
    assert report.kept == stored
    assert contents(report.bank) == contents(plain.bank)


@pytest.mark.slow
def test_a_block_that_kills_every_process_is_named(parts, encoder, nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "MOST_FAILURES", 2)

    def deadly(device):
        made = Light()
        made.encode = lambda *_: os._exit(9)
        return made

    first = flawshot.Catalog.open(parts)[0].image
    message = rf"^{first}: the block of \d+ instances .* has failed on 2 actors.*batch_size"
    with (
        RayCluster(nodes.have(1).address, make=deadly) as on,
        pytest.raises(FlawshotError, match=message),
    ):
        encode(parts, encoder, tmp_path / "bank", on)
    assert not (tmp_path / "bank").exists()


@pytest.mark.slow
def test_what_a_node_lacks_is_one_line_with_its_name(parts, encoder, nodes, tmp_path):
    address = nodes.have(1).address

    def other(device):
        made = Light()
        made.record = made.record.model_copy(update={"weights_hash": "1" * 64})
        return made

    with (
        RayCluster(address, make=other) as on,
        pytest.raises(FlawshotError, match=r"^node .*/\w{6}: encoder\.weights_hash: is '111111111111…', but must be"),
    ):
        encode(parts, encoder, tmp_path / "bank", on)

    def gone(device):
        shutil.move(parts, parts.with_name("gone"))  # seen from here, but not from there
        return Light()

    with (
        RayCluster(address, make=gone) as on,
        pytest.raises(FlawshotError, match=rf"^{parts}: is not visible on node .*/\w{{6}}; make the data available"),
    ):
        encode(parts, encoder, tmp_path / "bank", on)
    shutil.move(parts.with_name("gone"), parts)

    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"")
    with RayCluster(address, pretrained=weights) as on:
        weights.unlink()
        with pytest.raises(FlawshotError, match=r"^pretrained='.*weights\.safetensors': is not visible on node"):
            encode(parts, encoder, tmp_path / "bank", on)
    assert not (tmp_path / "bank").exists()


@pytest.mark.slow
def test_without_room_for_an_actor_it_is_said_what_is_missing(parts, encoder, nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(actor_pool, "START_SECONDS", 1)
    address = nodes.have(1).address
    for actors, message in (
        (0, r"no node .* has 64 CPUs for an actor"),
        (1, r"has had room for an actor with 64 CPUS"),
    ):
        with (
            RayCluster(address, actors=actors, cpus_per_actor=64) as on,
            pytest.raises(FlawshotError, match=message),
        ):
            encode(parts, encoder, tmp_path / "bank", on)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"actors": -1}, "actors=-1: must be at least 0"),
        ({"gpus_per_actor": 1.5}, r"gpus_per_actor=1\.5: must be 0 to 1, or a whole number"),
        ({"address": "127.0.0.1:9"}, r"address='127\.0\.0\.1:9': cannot be connected to"),
    ],
)
def test_arguments(options, message):
    with pytest.raises(FlawshotError, match=message):
        RayCluster(**options)


def test_without_ray_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setattr(ray_connection.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FlawshotError, match=r'install it with pip install "flawshot\[ray\]"'):
        RayCluster()
