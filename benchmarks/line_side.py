"""What an exported model saves: latency per region, size, and the time from start to first answer, beside torch.

    python benchmarks/line_side.py [--rounds 5] [--threads 1]

Both sides answer the same regions on the CPU in turns, and medians are compared; ratios count, not seconds. The first
model is flawshot-tiny with its default views, the second ViT-B-32 with random weights and one view, for its size alone.
A first answer takes a process from its start to the prediction of one annotated image: the exported program, and a
program that imports flawshot, loads the model and predicts.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import open_clip
import torch
from safetensors.torch import save_file

import flawshot
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.models.fitting import fit_model
from flawshot.models.line_side.exporting import export_onnx
from flawshot.models.line_side.graph import INPUTS, OUTPUTS, model_graph
from flawshot.regions.views import ViewScheme, make_scheme

if TYPE_CHECKING:
    from collections.abc import Callable

    from flawshot.encoders.base import BaseEncoder

CATEGORIES, IMAGES, SIDE = 4, 24, 128
FIRST_ANSWER = """
import sys
import flawshot
model = flawshot.load_model(sys.argv[1], device="cpu", pretrained=sys.argv[3] or None)
instance = next(iter(flawshot.Catalog.open(sys.argv[2])))
mask = instance.region().full_mask(instance.image_height, instance.image_width)
print(model.predict([f"{sys.argv[2]}/{instance.image}"], [mask])[0].label)
"""


def took(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each call, in turns; the first round does not count."""
    times = [[took(call) for call in calls] for _ in range(rounds + 1)][1:]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def process(*arguments: object) -> Callable[[], object]:
    """A call that runs Python."""
    command = [sys.executable, *map(str, arguments)]
    return lambda: subprocess.run(command, check=True, capture_output=True)  # noqa: S603


def compare(  # noqa: PLR0917
    name: str, encoder: BaseEncoder, scheme: ViewScheme, drawn: Path, work: Path, weights: str, rounds: int
) -> None:
    """Print one model's line for each precision."""
    catalog = flawshot.Catalog.open(drawn)
    bank = flawshot.encode_catalog(catalog, encoder, scheme, work / "bank").bank
    fit_model(bank, work / "model", source=str(drawn))
    pretrained = weights or None
    one = work / "one"
    one.mkdir()
    first = min(drawn.rglob("*.json"))
    for path in (first, first.with_suffix(".png")):
        (one / path.name).write_bytes(path.read_bytes())
    model = flawshot.load_model(work / "model", device="cpu", pretrained=pretrained)
    graph = model_graph(model)
    shape = (1, len(scheme.views), encoder.side, encoder.side)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    masks = np.full(shape, 255, dtype=np.uint8)

    def by_torch() -> object:
        with torch.inference_mode():
            return graph(torch.from_numpy(images), torch.from_numpy(masks))

    for precision in ("float32", "float16", "int8"):
        out = work / precision
        try:
            report = export_onnx(
                work / "model", out, data=drawn, pretrained=pretrained, precision=precision, tolerance=0.5
            )
        except flawshot.FlawshotError as error:
            print(f"{name}, {precision}: {error}")
            continue
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(out / "model.onnx"), options, providers=["CPUExecutionProvider"])
        given = dict(zip(INPUTS, (images, masks), strict=True))
        latency = in_turns([by_torch, lambda s=session, g=given: s.run(list(OUTPUTS), g)], 4 * rounds)
        start = in_turns(
            [
                process("-c", FIRST_ANSWER, work / "model", one, weights),
                process(out / "line_side.py", out, one / first.name),
            ],
            rounds,
        )
        print(
            f"{name}, {precision}: one region of {len(scheme.views)} views {1e3 * latency[0]:.1f} ms by torch, "
            f"{1e3 * latency[1]:.1f} ms by onnxruntime ({latency[0] / latency[1]:.1f} times as fast); folder "
            f"{report.size / 1e6:.1f} MB; first answer {start[0]:.2f} s by flawshot, {start[1]:.2f} s by line_side.py "
            f"({start[0] / start[1]:.1f} times as fast); largest probability difference "
            f"{report.record.verification.largest_probability_difference:.1e}",
            flush=True,
        )


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="of torch and onnxruntime; 0: torch's own number")
    options = parser.parse_args()
    rounds = options.rounds
    if options.threads:
        torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__} on {torch.get_num_threads()} threads, medians of {rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        drawn = work / "parts"
        flawshot.draw_data_set(drawn, categories=CATEGORIES, images=IMAGES, side=SIDE, surface="wood", seed=3)
        (work / "tiny").mkdir()
        tiny = TinyEncoder(device="cpu")
        compare("flawshot-tiny", tiny, make_scheme(*TINY_VIEWS), drawn, work / "tiny", "", rounds)
        torch.manual_seed(0)
        weights = work / "ViT-B-32.safetensors"
        save_file(open_clip.create_model("ViT-B-32").state_dict(), weights)
        (work / "vit").mkdir()
        vit = OpenClipEncoder("ViT-B-32", str(weights), activation="gelu", device="cpu")
        compare("ViT-B-32", vit, make_scheme("centre3", ["2x"]), drawn, work / "vit", str(weights), rounds)


if __name__ == "__main__":
    main()
