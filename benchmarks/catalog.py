"""The catalog at scale: files read a second and peak memory, and how long questions to a large catalog take.

    python benchmarks/catalog.py [--files 10000,100000] [--workers 1,2]

Labelme files of one made-up instance each are written to a temporary folder, without images, and read by one worker
and by several, each in an interpreter of its own; then ``count``, ``measure`` and ``query`` are timed from the Parquet
catalog, and the commands as a user runs them, beside the interpreter's own start (``flawshot --version``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

READ = """
import resource, sys, time
from flawshot import Catalog
start = time.perf_counter()
catalog = Catalog.from_folder(sys.argv[1], workers=int(sys.argv[2]))
seconds = time.perf_counter() - start
peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
catalog.save(sys.argv[3], overwrite=True)
import joblib.externals.loky
joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
peaks[1] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(len(catalog), seconds, *peaks)
"""
ASK = """
import sys, time, resource
start = time.perf_counter()
from flawshot import Catalog, count_instances, measure_sizes, query_catalog
imported = time.perf_counter()
catalog = Catalog.open(sys.argv[1], geometry=False)
opened = time.perf_counter()
count_instances(catalog), measure_sizes(catalog)
counted = time.perf_counter()
hits = query_catalog(catalog, "category like 'scratch%' and width > 3*height")
asked = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(imported - start, opened - imported, counted - opened, asked - counted, len(hits), peak)
"""
WHERE = "area > 5000 and product = 'product3' and category like 'scratch%'"


def write_files(root: Path, files: int) -> None:
    """Made-up annotations: 20 products, 4 categories, polygons of 4 to 40 points."""
    rng = random.Random(0)
    for number in range(files):
        product, category = number % 20, ("scratch", "dent", "stain", "crack")[rng.randrange(4)]
        folder = root / f"product{product}" / ("train", "test")[rng.randrange(2)]
        if number < 200:
            folder.mkdir(parents=True, exist_ok=True)
        x, y, reach = rng.uniform(100, 900), rng.uniform(100, 900), rng.uniform(5, 95)
        points = [[x + reach * rng.uniform(-1, 1), y + reach * rng.uniform(-1, 1)] for _ in range(rng.randrange(4, 40))]
        shape = {"label": category, "points": points, "group_id": None, "shape_type": "polygon", "flags": {}}
        document = {
            "version": "5.5.0", "flags": {}, "shapes": [shape], "imagePath": f"{number:06}.png", "imageData": None,
            "imageHeight": 1000, "imageWidth": 1000,
        }  # fmt: skip
        (folder / f"{number:06}.json").write_text(json.dumps(document), encoding="utf-8")


def python(*arguments: object) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def seconds_of(*arguments: object, times: int = 5) -> float:
    """How long a command takes, the median of several runs."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        python("-m", "flawshot", *arguments)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default="10000,100000")
    parser.add_argument("--workers", default=f"1,{os.cpu_count()}")
    options = parser.parse_args()
    for files in map(int, options.files.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            root, catalog = Path(folder) / "data", Path(folder) / "catalog.parquet"
            write_files(root, files)
            for workers in map(int, options.workers.split(",")):
                found, seconds, peak, of_a_worker = map(float, python("-c", READ, root, workers, catalog).split())
                print(
                    f"{files} files, {workers} workers: {files / seconds:.0f} files a second, {found:.0f} instances, "
                    f"peak {peak:.0f} MiB, of a worker {of_a_worker:.0f} MiB",
                    flush=True,
                )
            imported, opened, counted, asked, hits, peak = map(float, python("-c", ASK, catalog).split())
            size = catalog.stat().st_size / 2**20
            print(
                f"from Parquet ({size:.1f} MiB): import {imported:.2f} s, open {opened:.2f} s, "
                f"stats {counted:.2f} s, query {asked:.2f} s ({hits:.0f} hits), peak {peak:.0f} MiB",
                flush=True,
            )
            start = seconds_of("--version")
            for name, arguments in (("stats", ()), ("query", (WHERE,))):
                spent = seconds_of(name, catalog, *arguments)
                print(f"flawshot {name}: {spent:.2f} s, {spent - start:.2f} s beyond flawshot --version", flush=True)


if __name__ == "__main__":
    main()
