"""How many crops a second the embedded encoder does: bare, and end to end from images on disk.

    python benchmarks/encode_tiny.py

The table shows what decoding costs: the format, the image's side, and the number of instances that share an image. The
last row is a data set of drawn products, with one instance per PNG file of 384 px.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

import flawshot
from drawn import draw_products
from encode import machine, rates, write_data
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.regions.views import make_scheme

CROPS = 720
KINDS = (("PNG", 512, 1), ("PNG", 512, 4), ("JPEG", 512, 1), ("JPEG", 512, 4), ("JPEG", 1200, 1), ("JPEG", 1200, 8))


def main() -> None:
    """Print rates, their ratios, and the time of a core that a crop takes."""
    print(machine())
    encoder, scheme = TinyEncoder(device="cpu"), make_scheme(*TINY_VIEWS)
    print(f"flawshot-tiny, {torch.get_num_threads()} threads; crops/s, and core time per crop:")
    with tempfile.TemporaryDirectory() as name:
        for kind, side, per_image in KINDS:
            data = Path(name, f"{kind}-{side}-{per_image}")
            write_data(data, CROPS // len(scheme.views), kind=kind, side=side, per_image=per_image)
            found = rates(flawshot.Catalog.open(data), encoder, scheme)
            print(f"{kind} {side} px, {per_image} instance(s) per image: {found}", flush=True)
        draw_products(Path(name, "products"), products=2, per_category=20)
        products = flawshot.Catalog.open(Path(name, "products"), layout="{product}/**")
        print(f"drawn products: {rates(products, encoder, scheme)}")


if __name__ == "__main__":
    main()
