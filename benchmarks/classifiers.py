"""How fast the trained, the training-free, and the reader are, each against the plain way, timed in one run.

    python benchmarks/classifiers.py [--seeds 5] [--shots 5] [--device cpu]

Zip-Adapter-F, default and matched-prototype on the AlphaCLIP features that MVREC released (folder ``mvrec`` of
FLAWSHOT_SHARED, by default ``../shared/data``; random numbers of the same shape where they are not at hand); trained
classifiers with the seeds' episodes trained together against one after another; and Labelme files a second against
labelme's own reader. Ratios count, not seconds: both sides are timed in turns on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageFilter

import flawshot
from flawshot.classifiers.base import Evidence, Support
from flawshot.classifiers.zip_adapter_f import _product
from plain_zip_adapter_f import fit_and_predict

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
TRAINING_FREE = ("whitened-ridge", "matched-prototype")


class Task:
    """One episode's support and query features and labels."""

    def __init__(self, support: np.ndarray, labels: np.ndarray, query: np.ndarray, truth: np.ndarray) -> None:
        self.support, self.labels, self.query, self.truth = support, labels, query, truth


def tasks(shots: int, seeds: int) -> tuple[str, list[Task]]:
    """The episodes, and a word on where they are from."""
    if not (SHARED / "mvrec").is_dir():
        rng = np.random.default_rng(0)
        made = []
        for _ in range(seeds):
            means = rng.normal(size=(4, 1, 768))
            labels, truth = np.repeat(np.arange(4), shots), rng.integers(4, size=21)
            draw = [(means[y] + 2 * rng.normal(size=(len(y), 27, 768))).astype(np.float32) for y in (labels, truth)]
            made.append(Task(draw[0], labels, draw[1], truth))
        return "random numbers in the shape of transistor's features", made
    catalog = flawshot.Catalog.from_annotations(flawshot.read_mvtec_fs(SHARED / "mvtec-fs"))
    with tempfile.TemporaryDirectory() as folder:
        bank = flawshot.import_mvrec_features(SHARED / "mvrec", Path(folder) / "bank", catalog)
        numbers = {name: n for n, name in enumerate(sorted(set(bank.catalog.column("category"))))}
        category = dict(zip(bank.catalog.column("id"), bank.catalog.column("category"), strict=True))
        made = []
        episodes = flawshot.sample_episodes(bank.catalog, "transistor", shots, seeds=range(seeds), protocol="mvrec")
        for episode in episodes.episodes:
            labels, truth = (np.array([numbers[category[i]] for i in ids]) for ids in (episode.support, episode.query))
            made.append(Task(bank.features(episode.support), labels, bank.features(episode.query), truth))
    return "released AlphaCLIP ViT-L/14 features of transistor, protocol mvrec", made


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Median seconds of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def trained(shots: int, seeds: int) -> None:
    """Zip-Adapter-F and the training-free against the plain loop."""
    source, made = tasks(shots, seeds)
    print(f"{source}; {shots} shots, {seeds} seeds, {torch.get_num_threads()} threads")
    plain_seconds, our_seconds, plain_shares, our_shares = [], [], [], []
    free_seconds: dict[str, list[float]] = {name: [] for name in TRAINING_FREE}
    free_shares: dict[str, list[float]] = {name: [] for name in TRAINING_FREE}
    for name in TRAINING_FREE:  # first calls load what later ones have
        flawshot.make_classifier(name).fit(made[0].support, made[0].labels).predict(made[0].query)
    for task in made:
        x, y, q = torch.from_numpy(task.support), torch.from_numpy(task.labels), torch.from_numpy(task.query)
        start = time.perf_counter()
        plain = fit_and_predict(x, y, q, 4).numpy().argmax(axis=1)
        plain_seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        ours = flawshot.make_classifier("zip-adapter-f").fit(task.support, task.labels).predict(task.query)
        our_seconds.append(time.perf_counter() - start)

        plain_shares.append(float((plain == task.truth).mean()))
        our_shares.append(float((ours == task.truth).mean()))
        for name in TRAINING_FREE:

            def free(task: Task = task, name: str = name) -> np.ndarray:
                return flawshot.make_classifier(name).fit(task.support, task.labels).predict(task.query)

            free_seconds[name].append(seconds(free, repeats=20))
            free_shares[name].append(float((free() == task.truth).mean()))
    print(f"  plain autograd loop   {sum(plain_seconds):8.2f} s   accuracies {rounded(plain_shares)}")
    print(f"  zip-adapter-f         {sum(our_seconds):8.2f} s   accuracies {rounded(our_shares)}")
    for name in TRAINING_FREE:
        print(f"  {name:20}  {sum(free_seconds[name]):8.4f} s   accuracies {rounded(free_shares[name])}")
    print(f"  zip-adapter-f takes {sum(our_seconds) / sum(plain_seconds):.2f} of the plain loop's time")
    for name in TRAINING_FREE:
        print(f"  {name}'s fit and predict are {sum(plain_seconds) / sum(free_seconds[name]):.0f} times faster")
    limits(made[0], sum(our_seconds) / seeds)


def together(shots: int, seeds: int, device: str) -> None:
    """Trained classifiers, the seeds' episodes together against one after another."""
    _, made = tasks(shots, seeds)
    rng = np.random.default_rng(0)
    text = rng.normal(size=(len(np.unique(made[0].labels)), made[0].support.shape[2])).astype(np.float32)
    supports = [Support(Evidence(task.support, text), task.labels) for task in made]
    print(f"{seeds} episodes of {shots} shots trained together on {device}, against one after another (random text)")
    for name in ("zip-adapter-f", "tip-adapter-f", "clip-adapter", "clap"):
        estimator = flawshot.make_classifier(name, device=device)
        type(estimator).together_on_cpu = True  # here both ways are wanted, whichever the class would take
        estimator.fit_many(supports[:1])
        times = [seconds(lambda e=estimator: e.fit_many(supports))]
        times.append(seconds(lambda e=estimator: [e.fit_many([support]) for support in supports]))
        print(
            f"  {name:14} together {times[0]:6.2f} s, apart {times[1]:6.2f} s: {times[1] / times[0]:.2f} times as fast"
        )


def limits(task: Task, per_seed: float) -> None:
    """What of a fit is the two matrix products of each step, which no rewriting saves."""
    support, views, dim = task.support.shape
    columns = torch.randn(1, dim, support * views + support)
    rows, weight, errors = columns.mT.contiguous(), torch.randn(1, dim, dim), torch.randn_like(columns)
    with torch.no_grad():
        ours = seconds(lambda: (_product(weight, columns), _product(errors, rows)), repeats=100)
        plain = seconds(lambda: (weight @ columns, errors @ rows), repeats=100)
    rate = 4 * columns.numel() * dim / 1e9
    print(
        f"  its limit: the two float32 products of each step, [{dim}, {dim}] x [{dim}, {rows.shape[1]}] and back, take "
        f"{500 * ours:.2f} s of {per_seed:.2f} s a seed ({rate / ours:.0f} GFLOP/s; through torch's @ "
        f"{500 * plain:.2f} s, {rate / plain:.0f} GFLOP/s)"
    )


def rounded(shares: list[float]) -> str:
    """Accuracies, four digits each."""
    return " ".join(f"{share:.4f}" for share in shares)


def write_files(folder: Path, count: int, suffix: str) -> list[Path]:
    """Labelme files beside images of 1024 px, three polygons each."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, size=(1024, 1024, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(3))
    image.save(folder / f"image{suffix}")
    paths = []
    for number in range(count):
        name = f"{number:04}{suffix}"
        (folder / name).symlink_to(f"image{suffix}")
        angles = np.linspace(0, 2 * np.pi, 80, endpoint=False)
        shapes = [
            {
                "label": "scratch",
                "points": (rng.uniform(200, 800, 2) + 90 * np.stack([np.cos(angles), np.sin(angles)], 1)).tolist(),
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for _ in range(3)
        ]
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": name, "imageData": None}
        path = folder / f"{number:04}.json"
        path.write_text(json.dumps(document | {"imageHeight": 1024, "imageWidth": 1024}, indent=2))
        paths.append(path)
    return paths


def reading() -> None:
    """Labelme files a second."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        import labelme._label_file as theirs_of  # noqa: PLC0415
    except ImportError as error:
        print(f"labelme cannot be imported here ({error}): its reader is not timed")
        return
    from loguru import logger  # noqa: PLC0415 - labelme writes a line a file through it

    logger.disable("labelme")
    # labelme 7 has a function in place of the class.
    read = getattr(theirs_of, "LabelFile", None) or (lambda path: theirs_of.read_label_file(filename=path))
    print("Labelme files beside images of 1024 x 1024 px, imageData null, three polygons of 80 points each")
    for suffix in (".png", ".jpg"):
        with tempfile.TemporaryDirectory() as folder:
            paths = write_files(Path(folder), 100, suffix)
            for path in paths[:5]:
                read(str(path))
                flawshot.read_labelme(path)
            theirs, ours = [], []
            for path in paths:
                theirs.append(seconds(lambda path=path: read(str(path))))
                ours.append(seconds(lambda path=path: flawshot.read_labelme(path)))
        rates = [len(paths) / sum(times) for times in (theirs, ours)]
        print(
            f"  {suffix}: labelme {rates[0]:.0f} a second, flawshot.read_labelme {rates[1]:.0f}: "
            f"{rates[1] / rates[0]:.0f} times"
        )


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    trained(options.shots, options.seeds)
    together(options.shots, options.seeds, options.device)
    reading()


if __name__ == "__main__":
    main()
