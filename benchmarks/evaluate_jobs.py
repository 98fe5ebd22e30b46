"""How long an evaluation takes in one process and in several, timed in one run.

    python benchmarks/evaluate_jobs.py [--jobs 2] [--episodes 600] [--classifiers a,b,…]

Random tasks of 5 ways, 1 shot and 15 queries per category from one product, scored with every training-free classifier
that needs no text, on random features of a usual size: 20 categories of 30 instances each, 15 views, 768 numbers. The
processes have started, and every classifier has been fitted, before the clock runs, and the results must be the same
but for the seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import flawshot
from flawshot.base.parallel import cores
from flawshot.labelme.labelme_file import parse_labelme

if TYPE_CHECKING:
    from flawshot import EpisodeSet, FeatureBank, Results

TRAINING_FREE = (
    "default,whitened-ridge,default-transductive,matched-prototype,zip-adapter,prototype,knn,linear-probe,gda,proker,"
    "soft-kmeans,transclip,default-outline,outline"
)
CATEGORIES, INSTANCES, VIEWS, DIM = 20, 30, 15, 768


def random_bank(folder: Path) -> FeatureBank:
    """A bank of one product, whose categories have means that are hard to tell apart."""
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(CATEGORIES * INSTANCES):
        category, stem = number % CATEGORIES, f"part/{number:04}"
        corner, size = rng.uniform(5, 40, 2), rng.uniform(8, 50, 2)
        shape = {
            "label": f"flaw{category:02}",
            "points": (corner + size * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])).tolist(),
            "group_id": None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        document = {"version": "5.5.0", "flags": {}, "shapes": [shape], "imagePath": f"{number:04}.png"}
        document |= {"imageData": None, "imageHeight": 100, "imageWidth": 100}
        file, _ = parse_labelme(json.dumps(document).encode(), stem)
        annotations.append((f"{stem}.json", file))
    catalog = flawshot.Catalog.from_annotations(annotations, root_name="parts", layout="{product}/**")
    means = rng.normal(size=(CATEGORIES, 1, 1, DIM))
    labels = [int(name[4:]) for name in catalog.column("category")]
    noise = rng.normal(size=(len(labels), 1, 1, DIM)) + rng.normal(size=(len(labels), VIEWS, 1, DIM))
    encoder = flawshot.EncoderRecord(
        family="elsewhere",
        name="random numbers",
        weights="none",
        weights_hash=None,
        precision="float16",
        tokens=("cls",),
    )
    views = flawshot.ViewRecord(scheme="none", sizes=("256px",), border="zero")
    features = (0.5 * means[labels] + noise).astype(np.float16)
    return flawshot.write_bank(folder / "bank", catalog, features, encoder, views)


def timed(bank: FeatureBank, tasks: EpisodeSet, names: list[str], jobs: int) -> tuple[float, Results]:
    """Seconds of an evaluation, and its results."""
    start = time.perf_counter()
    results = flawshot.evaluate(bank, [tasks], names, jobs=jobs)
    return time.perf_counter() - start, results


def without_times(results: Results) -> str:
    """The results as text, but for the seconds."""
    document = results.model_dump(mode="json")
    for run in document["runs"]:
        for episode in run["episodes"]:
            del episode["fit_seconds"], episode["predict_seconds"]
    return json.dumps(document)


def main() -> None:
    """Print the seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--classifiers", default=TRAINING_FREE)
    options = parser.parse_args()
    names = options.classifiers.split(",")
    with tempfile.TemporaryDirectory() as folder:
        bank = random_bank(Path(folder))
        shape = {"ways": 5, "queries": 15, "seed": 0}
        tasks = flawshot.sample_tasks(bank.catalog, "part", 1, episodes=options.episodes, **shape)
        few = flawshot.sample_tasks(bank.catalog, "part", 1, episodes=8 * options.jobs, **shape)
        print(
            f"{options.episodes} random tasks (5 ways, 1 shot, 15 queries per category) x {len(names)} classifiers; "
            f"features [{len(bank.catalog)}, {VIEWS}, {DIM}], {cores()} cores"
        )
        seconds, texts = [], []
        for jobs in (1, options.jobs):
            timed(bank, few, names, jobs)
            taken, results = timed(bank, tasks, names, jobs)
            seconds.append(taken)
            texts.append(without_times(results))
            print(f"  jobs {jobs}: {taken:8.1f} s")
    print(f"  {options.jobs} processes are {seconds[0] / seconds[1]:.2f} times as fast as one")
    print(f"  results {'are the same but for the seconds' if texts[0] == texts[1] else 'DIFFER'}")


if __name__ == "__main__":
    main()
