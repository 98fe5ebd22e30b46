"""What a Ray cluster gains and costs: rates on one and two nodes against a plain run, start-up, the driver's memory.

    python benchmarks/ray_encode.py [--model ViT-B-32] [--instances 240] [--turns 2] [--memory 2000,20000]

Random weights, for timing only. Nodes are those of ``ray.cluster_utils``: processes of this machine with one CPU of
Ray's each, so it needs two cores that nothing else uses. The plain run is this process with one thread of torch's and
one that decodes; an actor has the same. Each rate is the median over turns, in each of which all sides encode the same
catalog into a new bank, warm: everything has its encoder and has encoded before. Banks are compared to the byte. Fewer
than some hundred instances cannot be divided evenly, since a block of this data has 12.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import flawshot
from encode import machine, random_weights, write_data
from flawshot.bank.cluster import RayCluster
from flawshot.bank.machines import ThisMachine
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.regions.views import make_scheme

if TYPE_CHECKING:
    from flawshot.bank.machines import Machines
    from flawshot.encoders.base import Encoder

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

# A driver with an encoder that costs nothing; its own peak of memory is printed.
CHILD = """
import sys, torch
from flawshot import Catalog
from flawshot.bank.builder import encode_catalog
from flawshot.bank.cluster import RayCluster
from flawshot.base.records import EncoderRecord
from flawshot.regions.views import make_scheme
class Mean:
    side, dim, device = 224, 768, torch.device("cpu")
    record = EncoderRecord(
        family="mean", name="mean", weights="none", weights_hash=None, precision="float32", tokens=("mean",)
    )
    def encode(self, images, masks):
        return images[:, 0, 0, 0].float()[:, None, None].expand(-1, 1, 768)
with RayCluster("local", make=lambda device: Mean()) as on:
    encode_catalog(Catalog.open(sys.argv[1]), Mean(), make_scheme("ms"), sys.argv[2], on=on)
print(int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024)
"""


def seconds(catalog: flawshot.Catalog, encoder: Encoder, out: Path, on: Machines) -> float:
    """Seconds to encode a catalog into a new bank."""
    start = time.perf_counter()
    flawshot.encode_catalog(catalog, encoder, make_scheme("mso"), out, workers=1, on=on)
    return time.perf_counter() - start


def same(one: Path, other: Path) -> bool:
    """Whether two banks have the same files."""
    names = sorted(path.name for path in one.iterdir())
    return names == sorted(path.name for path in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def rates(catalog: flawshot.Catalog, encoder: Encoder, weights: Path, folder: Path, turns: int) -> None:
    """Crops per second: plain, on one node, and on two."""
    few = flawshot.Catalog(catalog.table.slice(0, 24), catalog.root)  # two blocks
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    torch.set_num_threads(1)
    crops = len(catalog) * len(make_scheme("mso").views)
    taken: dict[str, list[float]] = {"plain": [], "one node": [], "two nodes": []}
    equal = []
    seconds(few, encoder, folder / "warm", ThisMachine())
    for turn in range(turns):
        taken["plain"].append(seconds(catalog, encoder, folder / f"plain{turn}", ThisMachine()))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            for count, name in enumerate(("one node", "two nodes"), 1):
                cluster.add_node(num_cpus=1)
                with RayCluster(cluster.address, pretrained=weights) as on:
                    seconds(few, encoder, folder / f"cold{count}{turn}", on)
                    out = folder / f"ray{count}{turn}"
                    taken[name].append(seconds(catalog, encoder, out, on))
                equal.append(same(folder / f"plain{turn}", out))
        finally:
            cluster.shutdown()
    medians = {name: statistics.median(each) for name, each in taken.items()}
    for name, median in medians.items():
        print(f"{name}: {crops / median:.1f} crops/s ({crops} crops, {', '.join(f'{s:.1f}' for s in taken[name])} s)")
    print(f"two nodes against one: {medians['one node'] / medians['two nodes']:.2f} times the rate")
    print(f"Ray on one node against the plain run: {100 * (medians['one node'] / medians['plain'] - 1):+.1f} % time")
    print(f"banks equal to the byte: {sum(equal)} of {len(equal)}")


def start_up(catalog: flawshot.Catalog, encoder: Encoder, weights: Path, folder: Path) -> None:
    """Seconds until Ray runs on this machine, and until an actor has encoded the first block."""
    first = []
    start = time.perf_counter()
    with RayCluster("local", actors=1, pretrained=weights) as on:
        running = time.perf_counter() - start
        flawshot.encode_catalog(
            catalog,
            encoder,
            make_scheme("none"),
            folder / "start",
            on=on,
            progress=lambda *_: first.append(time.perf_counter() - start),
        )
    print(f"start-up: Ray runs after {running:.1f} s, the first block is encoded after {first[0]:.1f} s")


def memory(folder: Path, counts: list[int]) -> None:
    """The driver's peak memory for numbers of instances, the encoder taken out."""
    if not Path("/proc/self/status").is_file():
        print("peak memory: is not told by this system")
        return
    peaks = []
    for count in counts:
        write_data(folder / f"data{count}", count, kind="JPEG")
        command = [sys.executable, "-c", CHILD, str(folder / f"data{count}"), str(folder / f"out{count}")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        peaks.append(float(done.stdout))
    told = ", ".join(f"{peak:.0f} MiB with {count} instances" for peak, count in zip(peaks, counts, strict=True))
    print(f"the driver's peak memory: {told}: {peaks[-1] / peaks[0]:.2f} times")


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--instances", type=int, default=240)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--memory", default="2000,20000", help="numbers of instances; empty for none")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder / "data", options.instances, kind="JPEG")
        catalog = flawshot.Catalog.open(folder / "data")
        weights = random_weights(options.model, folder)
        encoder = OpenClipEncoder(options.model, str(weights), device="cpu")
        start_up(catalog, encoder, weights, folder)
        rates(catalog, encoder, weights, folder, options.turns)
        if options.memory:
            memory(folder, [int(count) for count in options.memory.split(",")])


if __name__ == "__main__":
    main()
