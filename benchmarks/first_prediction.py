"""The first prediction of a new process, with and without warming up, and a region of 200 px once it is warm.

On one core and one thread, with a model of drawn flaws and flawshot-tiny:

    python benchmarks/first_prediction.py [MODEL]

Every process is started anew, three times; the medians are printed. A process that serves many requests pays for
loading once, at the time that it chooses with ``model.warm_up()``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 3
STEPS = {
    "import numpy": "import numpy as np",
    "import flawshot, load the model": "import flawshot; model = flawshot.load_model({model!r}, device='cpu')",
    "import torch": "import torch",
    "load the encoder": "model.encoder",
    "first region": "model.predict(image, boxes=box)",
    "next region": "model.predict(image, boxes=box)",
}
TIMED = """
import json, time
times = {{}}
def done(name):
    global wall, cpu
    times[name] = (time.perf_counter() - wall, time.process_time() - cpu)
    wall, cpu = time.perf_counter(), time.process_time()
wall, cpu = time.perf_counter(), 0.0
{steps}
region = []
for _ in range(50):
    start = time.perf_counter()
    model.predict(image, boxes=box)
    region.append(time.perf_counter() - start)
print(json.dumps([times, sorted(region)[25]]))
"""
# A region whose longer side is 200 px.
GIVEN = "image = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), dtype=np.uint8); box = (300, 400, 500, 520)"


def main() -> None:
    """Time the steps, and print them."""
    with tempfile.TemporaryDirectory() as folder:
        model = sys.argv[1] if len(sys.argv) > 1 else _drawn_model(Path(folder))
        for name, first in (("without warming up", []), ("after model.warm_up()", ["warm up"])):
            _show(name, [_timed(model, first) for _ in range(ROUNDS)])


def _drawn_model(folder: Path) -> str:
    import flawshot  # noqa: PLC0415 - the timed processes start without it

    flawshot.draw_data_set(folder / "parts", categories=3, images=24, side=256)
    bank = flawshot.encode(folder / "parts", folder / "bank")
    return str(flawshot.fit_model(bank, folder / "model").path)


def _timed(model: str, first: list[str]) -> tuple[dict[str, list[float]], float]:
    lines = []
    for name, step in STEPS.items():
        if name == "first region":
            lines += ["model.warm_up(); done('warm up')"] * len(first)
        lines.append(f"{step.format(model=model)}; done({name!r})")
        if name == "import numpy":
            lines.append(GIVEN)
    # One thread of one core.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    core = {min(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else None
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", TIMED.format(steps="\n".join(lines))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, core),
    )
    times, region = json.loads(done.stdout.splitlines()[-1])
    return times, region


def _show(name: str, rounds: list[tuple[dict[str, list[float]], float]]) -> None:
    print(f"\n{name:<36}{'wall, s':>10}{'CPU, s':>10}")
    totals = [0.0, 0.0]
    for step in rounds[0][0]:
        wall, cpu = (statistics.median(times[step][kind] for times, _ in rounds) for kind in (0, 1))
        print(f"  {step:<34}{wall:>10.2f}{cpu:>10.2f}")
        if step != "next region":
            totals = [totals[0] + wall, totals[1] + cpu]
    print(f"  {'until the first answer':<34}{totals[0]:>10.2f}{totals[1]:>10.2f}")
    print(f"  a region of 200 px, warm: {1000 * statistics.median(region for _, region in rounds):.1f} ms")


if __name__ == "__main__":
    main()
