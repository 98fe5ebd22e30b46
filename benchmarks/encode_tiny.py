"""How many crops a second the embedded encoder does: bare, and end to end from drawn images on disk.

python benchmarks/encode_tiny.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch

import flawshot
from drawn import draw_products
from flawshot.bank.encoding import encode_rows
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.regions.views import make_scheme

BATCH, ROUNDS = 32, 40


def main() -> None:
    """Print both rates, their ratio, and the time of a core that a crop takes from file to feature."""
    encoder = TinyEncoder(device="cpu")
    images = torch.randint(0, 256, (BATCH, encoder.side, encoder.side, 3), dtype=torch.uint8)
    masks = torch.zeros(BATCH, encoder.side, encoder.side, dtype=torch.uint8)
    encoder.encode(images, masks)
    start = time.perf_counter()
    for _ in range(ROUNDS):
        encoder.encode(images, masks)
    bare = BATCH * ROUNDS / (time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as name:
        draw_products(Path(name), products=2, per_category=20)
        catalog = flawshot.Catalog.open(Path(name), layout="{product}/**")
        scheme = make_scheme(*TINY_VIEWS)
        start, used = time.perf_counter(), time.process_time()
        rows = sum(1 for _ in encode_rows(catalog, range(len(catalog)), encoder, scheme))
        crops = rows * len(scheme.views)
        whole = crops / (time.perf_counter() - start)
        each = (time.process_time() - used) / crops
    rates = f"bare {bare:.0f} crops/s; end to end {whole:.0f} crops/s ({whole / bare:.2f})"
    print(f"{torch.get_num_threads()} threads: {rates}, {1000 * each:.2f} ms of a core a crop")


if __name__ == "__main__":
    main()
