"""How near ``flawshot encode`` comes to the bare encoder, how fast crops are cut, and that memory stays flat.

    python benchmarks/encode.py [--model ViT-B-32] [--device auto] [--instances 40]

Random weights, for timing only. Ratios count, not seconds: both sides are timed in one run on the same machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image, ImageDraw, ImageFilter

import flawshot
from flawshot.bank.builder import encode_catalog
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.regions.crop_rows import crop_rows
from flawshot.regions.crops import crop_views
from flawshot.regions.views import extent_of, make_scheme

SIDE = 1000
PER_IMAGE = 3


def write_data(folder: Path, instances: int, distinct: int = 6) -> None:
    """Images of 1000 px with three instances each; a few distinct pictures, linked under many names."""
    rng = np.random.default_rng(0)
    for number in range(distinct):
        noise = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
        noise.filter(ImageFilter.GaussianBlur(2)).save(folder / f"picture{number}.png")
    for number in range(-(-instances // PER_IMAGE)):
        name = f"{number:05}"
        (folder / f"{name}.png").hardlink_to(folder / f"picture{number % distinct}.png")
        shapes = []
        for each in range(PER_IMAGE):
            angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
            center, radius = rng.uniform(100, SIDE - 100, 2), rng.uniform(20, 90)
            points = (center + radius * np.stack([np.cos(angles), np.sin(angles)], 1)).tolist()
            shapes.append({"label": "ab"[each % 2], "shape_type": "polygon", "points": points})
        document = {"imagePath": f"{name}.png", "imageHeight": SIDE, "imageWidth": SIDE, "shapes": shapes}
        (folder / f"{name}.json").write_text(json.dumps(document))


def random_weights(model: str, folder: Path) -> Path:
    """A file with a model's random weights."""
    torch.manual_seed(0)
    path = folder / f"{model}.pt"
    torch.save(open_clip.create_model(model).state_dict(), path)
    return path


def plain_crops(catalog: flawshot.Catalog, rows: range, side: int) -> int:
    """The plain way: open the image, and draw the mask, for every view of every instance."""
    scheme, done = make_scheme("mso"), 0
    for row in rows:
        instance = catalog[row]
        (shape,) = instance.shapes
        middle = (shape.points.min(axis=0) + shape.points.max(axis=0)) // 2
        for view in scheme.views:
            size = view.size.pixels(instance.box)
            left = int(middle[0]) + view.column * size // 3 - size // 2
            top = int(middle[1]) + view.row * size // 3 - size // 2
            box = (left, top, left + size, top + size)
            image = Image.open(catalog.root / instance.image).convert("RGB")
            mask = Image.new("L", image.size)
            ImageDraw.Draw(mask).polygon([tuple(point) for point in shape.points.tolist()], fill=255, outline=255)
            for picture in (image, mask):
                np.asarray(picture.crop(box).resize((side, side), Image.Resampling.BICUBIC))
            done += 1
    return done


def cropping(catalog: flawshot.Catalog, side: int) -> None:
    """Crops a second without any encoder."""
    rows = range(len(catalog))
    few = range(min(6, len(catalog)))
    start = time.perf_counter()
    plain = plain_crops(catalog, few, side) / (time.perf_counter() - start)
    for workers in (1, torch.get_num_threads()):
        start = time.perf_counter()
        done = sum(
            len(crops.images) for c in crop_rows(catalog, rows, make_scheme("mso"), side, workers) for crops in c.crops
        )
        ours = done / (time.perf_counter() - start)
        print(
            f"crops (mso, {SIDE} px, {PER_IMAGE} instances an image, {side} px out): plain {plain:.0f} a second, "
            f"flawshot {ours:.0f} with {workers} thread(s): {ours / plain:.1f} times"
        )


def encoding(catalog: flawshot.Catalog, encoder: OpenClipEncoder, batch: int, folder: Path) -> None:
    """``flawshot encode`` against the bare encoder, in turns."""
    scheme = make_scheme("mso")
    crops = crop_views(
        Image.open(catalog.root / catalog[0].image).convert("RGB"),
        catalog[0].region(),
        scheme,
        encoder.side,
        extent=extent_of(catalog[0]),
    )
    images = torch.from_numpy(np.resize(crops.images, (batch, *crops.images.shape[1:])))
    masks = torch.from_numpy(np.resize(crops.masks, (batch, *crops.masks.shape[1:])))
    encoder.encode(images, masks)
    rounds = max(2, len(catalog) * 27 // batch // 2)
    bare_seconds = bare_crops = 0.0

    def bare() -> None:
        nonlocal bare_seconds, bare_crops
        start = time.perf_counter()
        for _ in range(rounds):
            encoder.encode(images, masks).to("cpu")
        bare_seconds += time.perf_counter() - start
        bare_crops += rounds * batch

    bare()
    start = time.perf_counter()
    report = encode_catalog(catalog, encoder, scheme, folder / f"bank-{batch}", batch_size=batch)
    ours = report.encoded * 27 / (time.perf_counter() - start)
    bare()
    rate = bare_crops / bare_seconds
    print(
        f"encode ({encoder.record.name}, {encoder.device}, {encoder.record.precision}, batches of {batch}, "
        f"{torch.get_num_threads()} threads): bare {rate:.1f} crops a second, flawshot {ours:.1f}: "
        f"{ours / rate:.2f} of it"
    )


CHILD = """
import sys, torch
from flawshot import Catalog
from flawshot.bank.builder import encode_catalog
from flawshot.base.records import EncoderRecord
from flawshot.regions.views import make_scheme
class Mean:
    side, dim, device = 224, 768, torch.device("cpu")
    record = EncoderRecord(
        family="mean", name="mean", weights="none", weights_hash=None, precision="float32", tokens=("mean",)
    )
    def encode(self, images, masks):
        return images.float().mean(dim=(1, 2, 3))[:, None, None].expand(-1, 1, 768)
encode_catalog(Catalog.open(sys.argv[1]), Mean(), make_scheme("mso"), sys.argv[2])
# The kernel's own peak of this process; getrusage would count the one that started it, too.
print(int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024)
"""


def memory(folder: Path) -> None:
    """Peak memory of encoding 200 and 2000 instances, the encoder taken out."""
    if not Path("/proc/self/status").is_file():
        print("peak memory: is not told by this system")
        return
    peaks = []
    for count in (200, 2000):
        data = folder / f"data{count}"
        data.mkdir()
        write_data(data, count)
        command = [sys.executable, "-c", CHILD, str(data), str(folder / f"out{count}")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        peaks.append(float(done.stdout))
    few, many = peaks
    print(f"peak memory: {few:.0f} MiB with 200 instances, {many:.0f} MiB with 2000: {many / few:.2f} times")


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--instances", type=int, default=42)
    parser.add_argument("--batch", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir()
        write_data(data, options.instances)
        catalog = flawshot.Catalog.open(data)
        cropping(catalog, 224)
        encoder = OpenClipEncoder(options.model, str(random_weights(options.model, folder)), device=options.device)
        encoding(catalog, encoder, options.batch or (256 if encoder.device.type == "cuda" else 32), folder)
        memory(folder)


if __name__ == "__main__":
    main()
