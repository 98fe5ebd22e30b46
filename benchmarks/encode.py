"""How near ``flawshot encode`` comes to the bare encoder, how fast crops are cut, and that memory stays flat.

    python benchmarks/encode.py [--model ViT-B-32] [--device auto] [--instances 12]
    python benchmarks/encode.py --gpu

Each line is one precision, eager or compiled. Random weights, for timing only. Ratios count, not seconds: both sides
are timed in turns, in one run on the same machine. ``--gpu`` measures ViT-L/14 at 224 px with 27 views, also as a share
of what the GPU achieves in one large matrix product of the same precision.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import open_clip
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch.utils.flop_counter import FlopCounterMode

import flawshot
from flawshot.bank.encoding import crops_per_call, encode_rows
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.regions.crop_rows import crop_rows
from flawshot.regions.crops import crop_views
from flawshot.regions.device_crops import device_crop_views
from flawshot.regions.views import extent_of, make_scheme

if TYPE_CHECKING:
    from collections.abc import Callable

    from flawshot.bank.encoding import CropsOn
    from flawshot.encoders.base import Encoder
    from flawshot.regions.views import ViewScheme

SIDE = 1000
PER_IMAGE = 3
TURNS = 2
GPU_MODEL = "ViT-L-14"


def machine() -> str:
    """The processor, its cores for this process, torch, and the GPU if there is one."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), model)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {torch.get_num_threads()} threads{load}, torch {torch.__version__}, {gpu}"


def write_data(
    folder: Path, instances: int, *, kind: str = "PNG", side: int = SIDE, per_image: int = PER_IMAGE, distinct: int = 6
) -> None:
    """Images with some instances each; a few distinct pictures, linked under many names."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    suffix, options = {"PNG": ("png", {}), "JPEG": ("jpg", {"quality": 90})}[kind]
    for number in range(distinct):
        noise = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
        noise.filter(ImageFilter.GaussianBlur(2)).save(folder / f"picture{number}.{suffix}", **options)
    for number in range(-(-instances // per_image)):
        name = f"{number:05}"
        (folder / f"{name}.{suffix}").hardlink_to(folder / f"picture{number % distinct}.{suffix}")
        shapes = []
        for each in range(per_image):
            angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
            center, radius = rng.uniform(100, side - 100, 2), rng.uniform(20, 90)
            points = (center + radius * np.stack([np.cos(angles), np.sin(angles)], 1)).tolist()
            shapes.append({"label": "ab"[each % 2], "shape_type": "polygon", "points": points})
        document = {"imagePath": f"{name}.{suffix}", "imageHeight": side, "imageWidth": side, "shapes": shapes}
        (folder / f"{name}.json").write_text(json.dumps(document))


@dataclass
class Rates:
    """Crops, seconds and seconds of all cores: of the bare encoder, and from files to features."""

    bare: np.ndarray
    whole: np.ndarray

    @property
    def share(self) -> float:
        """The rate from files to features, as a share of the bare encoder's."""
        return float(self.whole[0] / self.whole[1] * self.bare[1] / self.bare[0])

    def __str__(self) -> str:
        """One line."""
        (bare, bare_cores), (whole, whole_cores) = (
            (crops / seconds, 1000 * cores / crops) for crops, seconds, cores in (self.bare, self.whole)
        )
        return (
            f"bare {bare:.1f} ({bare_cores:.2f} ms), end to end {whole:.1f} ({whole_cores:.2f} ms): "
            f"{self.share:.2f} of the rate"
        )


def timed(work: Callable[[], int]) -> np.ndarray:
    """Crops, seconds, seconds of all cores."""
    start, used = time.perf_counter(), time.process_time()
    crops = work()
    return np.array([crops, time.perf_counter() - start, time.process_time() - used])


def bare(encoder: Encoder, size: int, crops: int) -> int:
    """The encoder alone: on the CPU, each thread with batches of its own; on a GPU, with crops already there."""
    threads = torch.get_num_threads() if encoder.device.type == "cpu" else 1
    images = torch.randint(0, 256, (size, encoder.side, encoder.side, 3), dtype=torch.uint8, device=encoder.device)
    masks = images[..., 0].contiguous()

    def run(rounds: int) -> None:
        for _ in range(rounds):
            encoder.encode(images, masks)

    rounds = -(-crops // (size * threads))
    if encoder.device.type != "cpu":
        run(rounds)
        if encoder.device.type == "cuda":
            torch.cuda.synchronize()
        return rounds * size
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(run, [rounds] * threads))
    torch.set_num_threads(threads)
    return rounds * size * threads


def rates(
    catalog: flawshot.Catalog,
    encoder: Encoder,
    scheme: ViewScheme,
    *,
    batch: int = 0,
    crops_on: CropsOn | None = None,
) -> Rates:
    """Both rates, in turns."""
    rows, views = range(len(catalog)), len(scheme.views)
    size = crops_per_call(encoder.device, batch)

    def whole(count: int) -> int:
        parts = encode_rows(catalog, rows[:count], encoder, scheme, batch_size=batch, crops_on=crops_on)
        return views * sum(len(part.rows) for part in parts)

    bare(encoder, size, size)
    whole(1 + size // views)
    found = Rates(np.zeros(3), np.zeros(3))
    for _ in range(TURNS):
        found.bare += timed(lambda: bare(encoder, size, len(rows) * views))
        found.whole += timed(lambda: whole(len(rows)))
    return found


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


def cropping(catalog: flawshot.Catalog, side: int, device: torch.device) -> None:
    """Crops a second without any encoder: the plain way, Pillow's, and torch's on the device."""
    rows = range(len(catalog))
    few = range(min(6, len(catalog)))
    scheme = make_scheme("mso")
    start = time.perf_counter()
    plain = plain_crops(catalog, few, side) / (time.perf_counter() - start)
    for workers in (1, torch.get_num_threads()):
        start = time.perf_counter()
        done = sum(len(crops.images) for c in crop_rows(catalog, rows, scheme, side, workers) for crops in c.crops)
        ours = done / (time.perf_counter() - start)
        print(
            f"crops (mso, {SIDE} px, {PER_IMAGE} instances per image, {side} px out): plain {plain:.0f} a second, "
            f"flawshot {ours:.0f} with {workers} thread(s): {ours / plain:.1f} times"
        )
    instance = catalog[0]
    image, region, extent = Image.open(catalog.root / instance.image), instance.region(), extent_of(instance)
    pixels = torch.from_numpy(np.array(image)).to(device)
    found = device_crop_views(pixels, region, scheme, side, extent=extent)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        apart = device_crop_views(pixels, region, scheme, side, extent=extent).images.cpu()
        seconds.append(time.perf_counter() - start)
    expected = torch.from_numpy(crop_views(image, region, scheme, side, extent=extent).images)
    apart = (found.images.cpu().int() - expected.int()).abs()
    print(
        f"crops by torch on {device.type}, image already there: {len(expected) / min(seconds):.0f} a second; "
        f"they differ from Pillow's by {apart.max():.0f} gray levels at most"
    )


def encoding(catalog: flawshot.Catalog, model: str, device: str, batch: int, folder: Path) -> None:
    """End to end against the bare encoder, for each precision, eager and compiled."""
    weights, scheme = random_weights(model, folder), make_scheme("mso")
    on_gpu = device.startswith("cuda")
    for precision in ("float32", "bfloat16", "float16") if on_gpu else ("float32", "bfloat16"):
        encoder = OpenClipEncoder(model, str(weights), device=device, precision=precision)
        for kind in ("eager", "compiled"):
            if kind == "compiled":
                print(f"{precision}: {encoder.compile(crops_per_call(encoder.device, batch))}")
            for crops_on in ("device", "cpu") if on_gpu else ("cpu",):
                found = rates(catalog, encoder, scheme, batch=batch, crops_on=crops_on)
                line = f"{model}, {device}, {precision}, {kind}, crops on the {crops_on}: {found}"
                print(f"{line}{share_of_peak(encoder, found, precision) if on_gpu else ''}", flush=True)


def share_of_peak(encoder: OpenClipEncoder, found: Rates, precision: str) -> str:
    """Operations a second from files to features, as a share of those in one large matrix product."""
    images = torch.zeros(8, encoder.side, encoder.side, 3, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        encoder.encode(images, images[..., 0])
    each = counter.get_total_flops() / len(images)
    factor = torch.randn(8192, 8192, device=encoder.device, dtype=getattr(torch, precision))
    for _ in range(3):
        factor @ factor
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        factor @ factor
    torch.cuda.synchronize()
    peak = 20 * 2 * len(factor) ** 3 / (time.perf_counter() - start)
    reached = each * found.whole[0] / found.whole[1]
    return (
        f"; {each / 1e9:.0f} GFLOP per crop, {reached / 1e12:.0f} TFLOP/s end to end: {reached / peak:.2f} of the "
        f"{peak / 1e12:.0f} TFLOP/s of a product of 8192 x 8192 matrices"
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
    parser.add_argument("--instances", type=int, default=12)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help=f"{GPU_MODEL} on the first CUDA GPU, 240 instances")
    options = parser.parse_args()
    print(machine())
    if options.gpu and not torch.cuda.is_available():
        print("--gpu: this machine has no CUDA GPU; nothing was measured")
        return
    device = "cuda" if options.gpu or (options.device == "auto" and torch.cuda.is_available()) else options.device
    device = "cpu" if device == "auto" else device
    model, instances = (GPU_MODEL, 240) if options.gpu else (options.model, options.instances)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder / "data", instances, kind="JPEG" if options.gpu else "PNG")
        catalog = flawshot.Catalog.open(folder / "data")
        cropping(catalog, 224, torch.device(device))
        encoding(catalog, model, device, options.batch, folder)
        if not options.gpu:
            memory(folder)


if __name__ == "__main__":
    main()
