"""How large reports are, and how long they take to write.

    python benchmarks/report_size.py

First one of 2,000 query instances with their pictures: forty drawn pictures of 512 px with sixty made-up boxes each,
six categories, features that are noise, three seeds; the thumbnails are what counts. Then one of fifteen products at
three K with eight classifiers, of those same features, without pictures: the figures and the answers are what counts.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import flawshot
from flawshot.bank.features import write_bank
from flawshot.bank.records import ViewRecord
from flawshot.base.records import EncoderRecord
from flawshot.base.store.files import write_json
from flawshot.synthetic.scenes import draw_scene, invent_product

PICTURES, EACH, CATEGORIES, SIDE = 40, 60, 6, 512
PRODUCTS, SHOTS, CLASSIFIERS = 15, (1, 3, 5), 8


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
            family="noise", name="noise", weights="none", weights_hash=None, precision="float16", tokens=("all",)
        )
        views = ViewRecord(scheme="none", sizes=("1x",), border="zero")
        bank = write_bank(folder / "bank", catalog, noise, record, views)
        episodes = flawshot.sample_episodes(catalog, catalog.products[0], 5, seeds=range(3))
        results = flawshot.evaluate(bank, [episodes], ["prototype"])
        # WebP files begin with RIFF, which reads so in base64.
        page, told = written(results, folder, folder / "part")
        print(f"{results.runs[0].n_query} query instances, {page.count('UklGR')} pictures: {told}")
        wide = many(results)
        page, told = written(wide, folder, None)
        pairs = f"{page.count('data-panel=')} of {PRODUCTS * len(SHOTS)}"
        print(f"{PRODUCTS} products at {len(SHOTS)} K, {len(wide.runs)} runs, {pairs} pairs drawn: {told}")


def many(results: flawshot.Results) -> flawshot.Results:
    """The results' one product at one K as many, and its first classifier as several."""
    (answers,) = results.answers
    first, *others = results.runs
    names = [f"classifier {number}" for number in range(CLASSIFIERS)]
    given, sure = answers.predicted[first.classifier], answers.probability[first.classifier]
    runs, several = [], []
    for product in (f"product {number}" for number in range(PRODUCTS)):
        for shots in SHOTS:
            place = {"product": product, "shots": shots}
            runs += [first.model_copy(update=place | {"classifier": name}) for name in names]
            runs += [each.model_copy(update=place) for each in others]
            own = {"predicted": dict.fromkeys(names, given), "probability": dict.fromkeys(names, sure)}
            several.append(answers.model_copy(update=place | own))
    return results.model_copy(update={"runs": tuple(runs), "answers": tuple(several)})


def written(results: flawshot.Results, folder: Path, data: Path | None) -> tuple[str, str]:
    """The page, and its size and the seconds that writing it took, in words."""
    start = time.perf_counter()
    flawshot.write_report(results, folder / "report.html", data=data, overwrite=True)
    seconds = time.perf_counter() - start
    page = (folder / "report.html").read_text(encoding="utf-8")
    return page, f"{len(page.encode()) / 1e6:.1f} MB, written in {seconds:.0f} s"


if __name__ == "__main__":
    main()
