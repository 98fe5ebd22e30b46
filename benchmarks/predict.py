"""Whether ``flawshot predict`` keeps up with ``flawshot encode``, and that its memory stays flat.

    python benchmarks/predict.py [--regions 5000] [--few 500] [--rounds 3]

Both sides run the same regions with the embedded encoder on the CPU, in turns, each in a process of its own; ratios
count, not seconds. The pictures are 200 drawn ones of 256 px, linked under many names; their regions are drawn and not
named, as what is to be predicted is.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import flawshot
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.models.fitting import fit_model
from flawshot.regions.views import make_scheme

IMAGES, SIDE, CATEGORIES, SHOTS = 200, 256, 6, 5


class Took(NamedTuple):
    """What one process took: wall and CPU seconds without loading, and its greatest memory in MiB."""

    wall: float
    cpu: float
    peak: float


def write_data(drawn: Path, out: Path, regions: int) -> int:
    """Regions without a name, and linked images, under new names until there are enough; how many there are."""
    found = copy = 0
    while found < regions:
        folder = out / f"{copy:04}"
        folder.mkdir(parents=True)
        for path in sorted(drawn.rglob("*.json")):
            if found >= regions:
                break
            document = json.loads(path.read_bytes())
            for shape in document["shapes"]:
                shape["label"] = "?"
            (folder / path.name).write_text(json.dumps(document), encoding="utf-8")
            (folder / f"{path.stem}.png").hardlink_to(path.with_suffix(".png"))
            groups = [shape["group_id"] for shape in document["shapes"]]
            found += groups.count(None) + len(set(groups) - {None})
        copy += 1
    return found


def fit(drawn: Path, work: Path) -> Path:
    """A model of a few examples a category."""
    few, counts = work / "few" / drawn.name, Counter[str]()
    few.mkdir(parents=True)
    for instance in flawshot.Catalog.open(drawn):
        if counts[instance.category] < SHOTS:
            counts[instance.category] += 1
            for name in (instance.annotation, instance.image):
                shutil.copy(drawn / name, few / Path(name).name)
    encoder, scheme = TinyEncoder(device="cpu"), make_scheme(*TINY_VIEWS)
    bank = flawshot.encode_catalog(flawshot.Catalog.open(few), encoder, scheme, work / "few-bank").bank
    return fit_model(bank, work / "model").path


def child(side: str, data: Path, model: Path, out: Path) -> None:
    """Run one side and print what it took."""
    loaded = flawshot.load_model(model, device="cpu")
    catalog, encoder = flawshot.Catalog.open(data, layout="**"), loaded.encoder
    start, cpu = time.perf_counter(), time.process_time()
    if side == "predict":
        flawshot.predict_catalog(loaded, catalog, out)
    else:
        flawshot.encode_catalog(catalog, encoder, loaded.scheme, out)
    took = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps([*took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def run(side: str, data: Path, model: Path, out: Path) -> Took:
    """One side in a process of its own."""
    command = [sys.executable, __file__, "--child", side, str(data), str(model), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - itself
    shutil.rmtree(out)
    return Took(*json.loads(done.stdout))


def main() -> None:
    """Print peak memory at few and at many regions, and the ratio of rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regions", type=int, default=5000)
    parser.add_argument("--few", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=4)
    options = parser.parse_args()
    if options.child:
        side, *places = options.child
        child(side, *map(Path, places))
        return
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        flawshot.draw_data_set(work / "drawn", categories=CATEGORIES, images=IMAGES, side=SIDE, seed=1)
        (drawn,) = (work / "drawn").iterdir()
        few = write_data(drawn, work / "some", options.few)
        many = write_data(drawn, work / "all", options.regions)
        model = fit(drawn, work)
        peak = run("predict", work / "some", model, work / "out").peak
        print(f"predict, {few} regions: peak memory {peak:.0f} MiB", flush=True)
        encoded, predicted = [], []
        for number in range(options.rounds):
            for side, into in [("encode", encoded), ("predict", predicted)][:: 1 if number % 2 else -1]:
                into.append(run(side, work / "all", model, work / "out"))
        print(f"predict, {many} regions: peak memory {max(took.peak for took in predicted):.0f} MiB")
        for clock in ("wall", "cpu"):
            ours, theirs = (sum(getattr(took, clock) for took in side) for side in (predicted, encoded))
            rates = [f"{many * options.rounds / seconds:.0f}" for seconds in (ours, theirs)]
            print(f"regions a second ({clock} clock): predict {rates[0]}, encode {rates[1]}: {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
