"""How fast JPEG and PNG files are decoded: Pillow, simplejpeg, PyTurboJPEG and torchvision, on one core.

    python -m pip install simplejpeg PyTurboJPEG torchvision
    python benchmarks/decoders.py

Each row is a kind of file, each entry a decoder with its rate relative to Pillow's, and the greatest and the mean
difference from Pillow's pixels in gray levels. ``image`` is what flawshot needs, a Pillow image; ``array`` stops
before. ``half`` decodes to half the size, which reads fewer coefficients and changes the pixels; its difference is that
of the crops: whole images resized to 224 px.
"""

from __future__ import annotations

import io
import platform
import time
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
import torch
from PIL import Image, features
from scipy.ndimage import gaussian_filter
from torchvision.io import ImageReadMode, decode_image

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 1.0
OUT = 224


def picture(side: int) -> Image.Image:
    """A surface with grain, as of a camera: some noise, more of it blurred."""
    rng = np.random.default_rng(side)
    fine, coarse = (rng.normal(size=(side, side, 3)) for _ in range(2))
    levels = 128 + 4 * fine + 300 * gaussian_filter(coarse, (6, 6, 0))
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def stored(image: Image.Image, kind: str) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, "PNG")
    else:
        progressive, quality, sampling = kind.endswith("p"), int(kind[4:6]), 0 if "444" in kind else 2
        image.save(buffer, "JPEG", quality=quality, subsampling=sampling, progressive=progressive)
    return buffer.getvalue()


def pillow(data: bytes) -> Image.Image:
    """What flawshot does without any other decoder."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def pillow_half(data: bytes) -> Image.Image:
    """Decoded to half the size."""
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (image.width // 2, image.height // 2))
    image.load()
    return image


def turbo(data: bytes) -> np.ndarray:
    """PyTurboJPEG, which finds the system's libjpeg-turbo."""
    from turbojpeg import TJPF_RGB, TurboJPEG  # noqa: PLC0415 - fails without the system's library

    return TurboJPEG().decode(data, pixel_format=TJPF_RGB)


def torchvision(data: bytes) -> np.ndarray:
    """Planes, as torchvision gives them, in Pillow's order."""
    given = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return decode_image(given, ImageReadMode.RGB).permute(1, 2, 0).contiguous().numpy()


JPEG_DECODERS: dict[str, Callable[[bytes], Image.Image | np.ndarray]] = {
    "simplejpeg array": simplejpeg.decode_jpeg,
    "simplejpeg image": lambda data: Image.fromarray(simplejpeg.decode_jpeg(data)),
    "turbojpeg array": turbo,
    "torchvision array": torchvision,
    "pillow half": pillow_half,
    "simplejpeg half": lambda data: Image.fromarray(
        simplejpeg.decode_jpeg(data, min_factor=2, min_height=simplejpeg.decode_jpeg_header(data)[0] // 2)
    ),
}


def measured(decoders: dict[str, Callable[[bytes], object]], data: bytes) -> dict[str, float]:
    """Core seconds of each decoder, the fastest of many runs in turns."""
    best = dict.fromkeys(decoders, float("inf"))
    end = time.perf_counter() + SECONDS * len(decoders)
    while time.perf_counter() < end:
        for name, decode in decoders.items():
            start = time.thread_time()
            decode(data)
            best[name] = min(best[name], time.thread_time() - start)
    return best


def differences(found: Image.Image | np.ndarray, expected: Image.Image) -> tuple[int, float]:
    """Greatest and mean difference, in gray levels."""
    image = found if isinstance(found, Image.Image) else Image.fromarray(found)
    if image.size != expected.size:
        image, expected = (each.resize((OUT, OUT), Image.Resampling.BICUBIC) for each in (image, expected))
    apart = np.abs(np.asarray(image).astype(int) - np.asarray(expected))
    return int(apart.max()), float(apart.mean())


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(
        f"{platform.processor() or platform.machine()}, Pillow {Image.__version__} with libjpeg-turbo "
        f"{features.version('libjpeg_turbo')} and zlib-ng {features.version('zlib_ng')}, "
        f"simplejpeg {simplejpeg.__version__}"
    )
    for side in (512, 1024, 2048):
        for kind in ("JPEG95-444", "JPEG90-420", "JPEG75-420", "JPEG90-420p", "PNG"):
            data = stored(picture(side), kind)
            decoders = {"pillow": pillow, "torchvision array": torchvision} if kind == "PNG" else {"pillow": pillow}
            for name, decode in JPEG_DECODERS.items() if kind != "PNG" else ():
                try:
                    decode(data)
                except (ImportError, RuntimeError, OSError) as error:
                    if side == 512 and kind.startswith("JPEG95"):
                        print(f"{name}: cannot be used ({str(error).splitlines()[0][:90]})")
                else:
                    decoders[name] = decode
            seconds = measured(decoders, data)
            cells = [f"{side} px {kind}: pillow {1000 * seconds['pillow']:.2f} ms"]
            for name, decode in decoders.items():
                if name != "pillow":
                    most, mean = differences(decode(data), pillow(data))
                    same = "same pixels" if not most else f"up to {most}, mean {mean:.2f}"
                    cells.append(f"{name} x{seconds['pillow'] / seconds[name]:.2f} ({same})")
            print("; ".join(cells), flush=True)


if __name__ == "__main__":
    main()
