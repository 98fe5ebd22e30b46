"""How large a report of 2,000 query instances with their pictures is.

    python benchmarks/report_size.py

Forty drawn pictures of 512 px with sixty made-up boxes each, six categories, features that are noise, three seeds: the
thumbnails are what counts.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import flawshot
from flawshot.features import EncoderRecord, ViewRecord, write_bank
from flawshot.files import write_json
from flawshot.synthetic.scenes import draw_scene, invent_product

PICTURES, EACH, CATEGORIES, SIDE = 40, 60, 6, 512


def draw(folder: Path) -> None:
    """Write the pictures with their Labelme files."""
    rng = random.Random(0)
    folder.mkdir()
    for number in range(PICTURES):
        Image.fromarray(draw_scene(invent_product(rng), [], SIDE, number).image).save(folder / f"{number}.png")
        shapes = []
        for place in range(EACH):
            x, y, side = rng.randrange(SIDE - 60), rng.randrange(SIDE - 60), rng.randint(15, 60)
            corners = [[x, y], [x + side, y + side]]
            label = f"flaw {(number * EACH + place) % CATEGORIES}"
            shapes.append({"label": label, "points": corners, "shape_type": "rectangle", "group_id": None, "flags": {}})
        document = {"version": "6.0.0", "flags": {}, "shapes": shapes, "imagePath": f"{number}.png", "imageData": None}
        write_json(folder / f"{number}.json", document | {"imageHeight": SIDE, "imageWidth": SIDE})


def main() -> None:
    """Print the size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "part")
        catalog = flawshot.Catalog.open(folder / "part")
        noise = np.random.default_rng(0).normal(size=(len(catalog), 1, 1, 64)).astype(np.float16)
        record = EncoderRecord(
            name="noise", weights="none", weights_hash=None, preprocessing="none", precision="float16", tokens=("all",)
        )
        views = ViewRecord(scheme="none", sizes=("1x",), border="zero")
        bank = write_bank(folder / "bank", catalog, noise, record, views)
        episodes = flawshot.sample_episodes(catalog, catalog.products[0], 5, seeds=range(3))
        results = flawshot.evaluate(bank, [episodes], ["prototype"])
        start = time.perf_counter()
        flawshot.write_report(results, folder / "report.html", data=folder / "part")
        seconds = time.perf_counter() - start
        page = (folder / "report.html").read_text(encoding="utf-8")
        # WebP files begin with RIFF, which reads so in base64.
        pictures, size = page.count("UklGR"), len(page.encode()) / 1e6
        print(
            f"{results.runs[0].n_query} query instances, {pictures} pictures: {size:.1f} MB, written in {seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
