"""Classify regions of images with a model that flawshot exported; needs numpy, Pillow and onnxruntime, nothing else.

Needs Python 3.10 and Pillow 9.1, or newer.

    python line_side.py FOLDER DATA… [--json] [--max-pixels N] [--batch N]

FOLDER contains model.onnx and model.json. DATA are Labelme files, or folders of them; labels do not influence the
predictions. Each region gets one line of CSV, with the columns of flawshot's predictions.csv, or one JSON object. What
cannot be used is reported on standard error, one line each, and then the exit status is 2.

In a program of your own:

    model = LineSide("FOLDER")
    prediction = model.predict(image, mask)  # a path, a PIL image or uint8 [height, width, 3]; bool [height, width]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime
from line_side_regions import (
    MAX_PIXELS,
    Mistake,
    Region,
    one_line,
    read_data,
    read_image,
    trimmed,
    upright_rgb,
)
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from line_side_regions import Found
    from numpy.typing import NDArray

FLOOR, LARGEST = 32, 9_000  # least and greatest side of a crop of relative size, px
COLUMNS = (
    "id", "image", "x0", "y0", "x1", "y1", "true", "predicted", "probability", "runner_up", "runner_up_probability",
    "set", "unsure", "unknown",
)  # fmt: skip


class Prediction(NamedTuple):
    """What the model says of a region.

    ``categories`` are those that cannot be excluded, most probable first; ``unsure``: a person should look;
    ``unknown``: unlike every category that the model knows; ``novelty``: how unlike; ``probabilities`` by category.
    """

    label: str
    probability: float
    runner_up: str
    runner_up_probability: float
    categories: tuple[str, ...]
    unsure: bool
    unknown: bool
    novelty: float
    probabilities: dict[str, float]


class LineSide:
    """A model, loaded from its folder; ``providers`` and ``options`` are onnxruntime's."""

    def __init__(
        self, folder: str | Path, *, providers: Iterable[str] = ("CPUExecutionProvider",), options: Any = None
    ) -> None:
        folder = Path(folder)
        self.about = read_about(folder)
        self.categories: list[str] = self.about["categories"]
        self.side: int = self.about["side"]
        self.views: list[dict[str, Any]] = self.about["views"]
        self.calibration: dict[str, Any] = self.about["calibration"]
        self.filter = Image.Resampling[self.about["interpolation"].upper()]
        try:
            graph = str(folder / "model.onnx")
            self.session = onnxruntime.InferenceSession(graph, options, providers=list(providers))
        except Exception as error:  # onnxruntime raises many kinds
            raise Mistake(f"{graph}: onnxruntime {onnxruntime.__version__} says {one_line(error)}") from error
        if self.session.get_inputs()[0].shape[1:] != [len(self.views), self.side, self.side, 3]:
            raise Mistake(f"{folder / 'model.json'}: views and side are not those of model.onnx; copy the folder again")

    def predict(self, image: Any, mask: NDArray[np.bool_]) -> Prediction:
        """Predict one region.

        Args:
            image: A path, a PIL image, or uint8 ``[height, width]`` or ``[height, width, 3]``.
            mask: Its pixels in the upright image, bool ``[height, width]``.
        """
        if isinstance(image, np.ndarray):
            upright = Image.fromarray(image).convert("RGB")
        else:
            upright = upright_rgb(image) if isinstance(image, Image.Image) else read_image(Path(image), str(image))
        pixels = np.asarray(mask, dtype=bool)
        region = trimmed(pixels, 0, 0) if pixels.shape == (upright.height, upright.width) else None
        if region is None:
            raise Mistake(f"the mask must be of the image's size {(upright.height, upright.width)}, and not empty")
        return self.predict_crops(*(part[None] for part in self.crop(upright, region)))[0]

    def predict_crops(self, images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> list[Prediction]:
        """Predict regions from their crops, uint8 ``[regions, views, side, side, 3]`` and ``[…, side, side]``."""
        shares, novelty = self.session.run(["probabilities", "novelty"], {"images": images, "masks": masks})
        return [self._judged(*pair) for pair in zip(shares, novelty, strict=True)]

    def _judged(self, shares: NDArray[np.float32], novelty: np.float32) -> Prediction:
        known, order = self.calibration, np.argsort(-shares, kind="stable")
        first, second = int(order[0]), int(order[1])
        enough = shares.astype(np.float64) >= np.array(known["least"])
        unsure = shares[first] < known["coverage"] if known["promised"] is None else enough.sum() != 1
        limit = math.inf if known["novelty_limit"] is None else known["novelty_limit"]
        return Prediction(
            self.categories[first],
            float(shares[first]),
            self.categories[second],
            float(shares[second]),
            tuple(self.categories[number] for number in order if enough[number] or number == first),
            bool(unsure),
            bool(novelty > limit),
            float(novelty),
            dict(zip(self.categories, map(float, shares), strict=True)),
        )

    def crop(self, image: Image.Image, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A region's views, uint8 ``[views, side, side, 3]``, and its mask in them, uint8 ``[views, side, side]``."""
        (x0, y0, x1, y1), (left, top, right, bottom) = region.box, region.extent
        images = np.empty((len(self.views), self.side, self.side, 3), dtype=np.uint8)
        masks = np.empty((len(self.views), self.side, self.side), dtype=np.uint8)
        for number, view in enumerate(self.views):
            size = int(view["size"])
            if view["relative"]:
                size = min(LARGEST, max(FLOOR, round(view["size"] * max(x1 - x0, y1 - y0))))
            x = int((left + right) // 2) + view["column"] * size // 3 - size // 2
            y = int((top + bottom) // 2) + view["row"] * size // 3 - size // 2
            pixels, mask = self._cut(image, region, x, y, size)
            images[number], masks[number] = (turned(part, view["angle"], view["flip"]) for part in (pixels, mask))
        return images, masks

    def _cut(
        self, image: Image.Image, region: Region, x: int, y: int, size: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        width, height, border = image.width, image.height, self.about["border"]
        if border == "shift":
            x, y = inside(x, size, width), inside(y, size, height)
        if border == "reflect" and (x < 0 or y < 0 or x + size > width or y + size > height):
            columns, rows = mirrored(x, size, width), mirrored(y, size, height)
            corner = int(columns.min()), int(rows.min())
            extent = int(columns.max()) + 1 - corner[0], int(rows.max()) + 1 - corner[1]
            places = ((rows - corner[1])[:, None], columns - corner[0])
            pixels = Image.fromarray(np.asarray(window(image, *corner, *extent))[places])
            mask = Image.fromarray(np.asarray(drawn(region, *corner, *extent))[places])
        else:
            pixels, mask = window(image, x, y, size, size), drawn(region, x, y, size, size)
        return self._resized(pixels), self._resized(mask)

    def _resized(self, crop: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(crop if crop.width == self.side else crop.resize((self.side, self.side), self.filter))


def read_about(folder: Path) -> dict[str, Any]:
    """The folder's description, checked; it names the other files, which are compared with their hashes."""
    place = folder / "model.json"
    try:
        about: dict[str, Any] = json.loads(place.read_bytes())
        known = (about["format"], about["version"]) == ("flawshot-line-side", 1)
        # The programs may be changed.
        differ = [name for name in about["files"] if not name.endswith(".py")] if known else []
        differ = [name for name in differ if sha256(folder / Path(name).name) != about["files"][name]]
        fits = not known or (
            2 <= len(about["categories"]) == len(about["calibration"]["least"])
            and {"coverage", "promised", "novelty_limit"} <= set(about["calibration"])
            and all({"size", "relative", "column", "row", "angle", "flip"} <= set(view) for view in about["views"])
            and about["interpolation"].upper() in Image.Resampling.__members__
            and {"side", "border"} <= set(about)
        )
    except (OSError, KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise Mistake(f"{folder}: is not a folder of flawshot export onnx ({one_line(error)})") from error
    if not known:
        raise Mistake(f"{place}: is not a model of version 1; get a line_side.py of its time")
    if differ or not fits:
        broken = folder / differ[0] if differ else place
        raise Mistake(f"{broken}: is damaged or of another model; copy the folder again")
    return about


def sha256(path: Path) -> str:
    """The hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while part := opened.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def window(image: Image.Image, x: int, y: int, width: int, height: int) -> Image.Image:
    """A window of an image, black outside it."""
    out = Image.new(image.mode, (width, height))
    out.paste(image, (-x, -y))
    return out


def drawn(region: Region, x: int, y: int, width: int, height: int) -> Image.Image:
    """A region in a window of its image: 255 inside, 0 outside."""
    out = Image.new("L", (width, height))
    out.paste(Image.fromarray(region.pixels.astype(np.uint8) * 255), (region.box[0] - x, region.box[1] - y))
    return out


def inside(start: int, size: int, length: int) -> int:
    """The nearest start at which a crop is inside; centered if it is larger than the image."""
    return min(max(start, 0), length - size) if size <= length else (length - size) // 2


def mirrored(start: int, size: int, length: int) -> NDArray[np.intp]:
    """Indices from ``start``, mirrored at the first and last px as often as necessary."""
    period = max(1, 2 * (length - 1))
    places = np.arange(start, start + size) % period
    return np.where(places < length, places, period - places)


def turned(crop: NDArray[np.uint8], angle: int, flip: str) -> NDArray[np.uint8]:
    """A crop, rotated counter-clockwise and then mirrored."""
    crop = np.rot90(crop, angle // 90)
    if flip in {"vertical", "transverse"}:
        crop = crop[::-1]
    if flip in {"horizontal", "transverse"}:
        crop = crop[:, ::-1]
    return crop.swapaxes(0, 1) if flip in {"transpose", "transverse"} else crop


def row(found: Found, said: Prediction, categories: list[str]) -> list[str]:
    """A region's line of the table; an apostrophe precedes text that would be a formula in a spreadsheet."""
    true = found.label if found.label in categories else ""
    shares = [f"{round(share, 6):.4f}" for share in (said.probability, said.runner_up_probability)]
    cells = [found.id, found.image_name, *map(str, found.region.box), true, said.label, shares[0], said.runner_up]
    cells += [shares[1], "|".join(said.categories), str(said.unsure).lower(), str(said.unknown).lower()]
    return [f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else cell for cell in cells]


class Output:
    """Predicts regions several at a time, and prints them."""

    def __init__(self, model: LineSide, at_once: int, *, as_json: bool) -> None:
        self._model, self._at_once, self._as_json = model, at_once, as_json
        self._waiting: list[Found] = []
        self._table = csv.writer(sys.stdout, lineterminator="\n")
        if not as_json:
            self._table.writerow(COLUMNS)

    def add(self, found: Found) -> None:
        """Take a region; it is printed once there are enough."""
        self._waiting.append(found)
        if len(self._waiting) >= self._at_once:
            self.flush()

    def flush(self) -> None:
        """Print what is waiting."""
        if not self._waiting:
            return
        crops = [self._model.crop(found.image, found.region) for found in self._waiting]
        images, masks = (np.stack(part) for part in zip(*crops, strict=True))
        for found, said in zip(self._waiting, self._model.predict_crops(images, masks), strict=True):
            if self._as_json:
                place = {"id": found.id, "image": found.image_name, "box": found.region.box}
                print(json.dumps(place | said._asdict(), ensure_ascii=False))
            else:
                self._table.writerow(row(found, said, self._model.categories))
        self._waiting = []


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number above 0")
    return int(text)


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="what flawshot export onnx wrote")
    parser.add_argument("data", metavar="DATA", type=Path, nargs="+", help="Labelme files, or folders of them")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of CSV")
    parser.add_argument("--max-pixels", type=positive, default=MAX_PIXELS, metavar="N", help="refuse larger images")
    parser.add_argument("--batch", type=positive, default=8, metavar="N", help="regions at once")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's, of images that are refused or usable anyway
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    reports: list[str] = []

    def report(text: str) -> None:
        reports.append(text)
        print(f"line_side.py: {one_line(text)}", file=sys.stderr)

    try:
        output = Output(LineSide(options.folder), options.batch, as_json=options.json)
        for data in options.data:
            for found in read_data(data, options.max_pixels, report):
                output.add(found)
        output.flush()
        sys.stdout.flush()
    except Mistake as error:
        report(str(error))
    except BrokenPipeError:  # the reader of a pipe closed it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 2 if reports else 0


if __name__ == "__main__":
    sys.exit(main())
