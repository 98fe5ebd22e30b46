"""Names that would do harm if they were anything but text, and results in which every name is one."""

from __future__ import annotations

import json

import numpy as np

import flawshot
from flawshot.labelme.labelme_file import parse_labelme
from helpers import box_shape, labelme_document

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(2)</script>",
    "$\\frac{a}$ & </svg> {{ 7*7 }} &lt;",
    "=cmd|' /C calc'!A0",
    "right \u202eto\u2066 left \u0007",
    "划痕 Ω עברית",
    "long" * 60,
]
PRODUCTS = ["<b>bolt", '"onload=alert(3) x="']


def hostile_results(folder):
    """Results on two products, eight categories and three, of two classifiers at two Ks; ``folder`` is for the bank."""
    annotations = []
    for product, labels, images in ((PRODUCTS[0], HOSTILE, 4), (PRODUCTS[1], HOSTILE[:3], 8)):
        for number, label in enumerate(labels):
            shapes = [box_shape(label), box_shape(label, at=(50, 50))]
            for image in range(images):
                document = labelme_document(shapes, imagePath=f"{image}x{number}.png")
                file, problems = parse_labelme(json.dumps(document).encode(), "a.json")
                assert not problems
                annotations.append((f"{product}/train/{image}x{number}.json", file))
    catalog = flawshot.Catalog.from_annotations(annotations, layout="{product}/**")
    rng = np.random.default_rng(7)
    means = {label: rng.normal(size=(3, 12)) for label in HOSTILE}
    features = np.stack([means[label] + 2.5 * rng.normal(size=(3, 12)) for label in catalog.column("category")])
    record = flawshot.EncoderRecord(
        family="elsewhere",
        name="made up",
        weights="none",
        weights_hash=None,
        precision="float16",
        tokens=("cls",),
    )
    views = flawshot.ViewRecord(scheme="none", sizes=("256px",), border="zero")
    bank = flawshot.write_bank(folder, catalog, features[:, :, None].astype(np.float16), record, views)
    sets = [flawshot.sample_episodes(catalog, product, shots) for product in PRODUCTS for shots in (1, 3)]
    return flawshot.evaluate(bank, sets, ["prototype", "knn"])
