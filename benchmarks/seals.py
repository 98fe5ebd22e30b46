"""What proving a bank costs: opening it with and without reading every file, and a catalog's hashes.

python benchmarks/seals.py --megabytes 512
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

import flawshot
from flawshot.catalog.table import hash_column

BANK = Path(__file__).resolve().parents[1] / "tests/data/version-1/bank"


def main() -> None:
    """Write a bank of random features, open it both ways, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    wanted = parser.parse_args().megabytes
    old = flawshot.FeatureBank.open(BANK)
    rows = wanted  # of a megabyte each
    table = pa.concat_tables([old.catalog.table] * (rows // len(old.catalog) + 1)).slice(0, rows).combine_chunks()
    ids = pa.array([f"{number}" for number in range(rows)])
    catalog = flawshot.Catalog(table.set_column(0, table.schema.field("id"), ids))
    with tempfile.TemporaryDirectory() as folder:
        features = np.random.default_rng(7).normal(size=(rows, 512, 1, 1024)).astype(np.float16)
        path = flawshot.write_bank(f"{folder}/bank", catalog, features, old.manifest.encoder, old.manifest.views).path
        for verify in (False, True, False, True):
            started = time.perf_counter()
            flawshot.FeatureBank.open(path, verify=verify)
            seconds = time.perf_counter() - started
            print(
                f"open, verify={verify}: {seconds:.3f} s, {wanted / seconds:.0f} MB/s"
                if verify
                else f"open: {seconds:.3f} s"
            )
    large = pa.concat_tables([old.catalog.table] * (100_000 // len(old.catalog)))
    started = time.perf_counter()
    for name in large.column_names:
        hash_column(large.column(name))
    print(f"hashes of a catalog of {large.num_rows} instances: {time.perf_counter() - started:.3f} s")


if __name__ == "__main__":
    main()
