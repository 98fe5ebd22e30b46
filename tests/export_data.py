"""A small data set with everything that makes exports hard."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
from PIL import Image

from helpers import labelme_document

SIDE = (60, 80)  # height, width
ODD = 'a/b: "é" <&>'


def png(pixels) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def shape(label, kind, points, **more):
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}, **more}


def picture(seed, mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIDE, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def write(root, name, shapes, *, image=None, seed=0, **changes):
    """An annotation and its image, which is beside it and named like it unless ``image`` says otherwise."""
    place = root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    image = f"{place.stem}.png" if image is None else image
    if image:
        picture(seed).save(place.with_name(image))
    document = labelme_document(shapes, imagePath=image, imageHeight=SIDE[0], imageWidth=SIDE[1], **changes)
    place.write_text(json.dumps(document), encoding="utf-8")


def ring():
    pixels = np.zeros((20, 24), dtype=np.uint8)
    pixels[2:18, 3:21] = 255
    pixels[6:10, 8:15] = 0
    return shape("hole", "mask", [[10, 20], [33, 39]], mask=png(pixels))


def hard_data(root):
    """Two products; splits, groups, all kinds of shapes, good images, and some that cannot be used."""
    polygon = shape("dent", "polygon", [[5.2, 6.7], [30.1, 8], [22.5, 31.4], [9, 25]], flags={"difficult": True})
    circle = shape("scratch", "circle", [[60, 40], [66, 44]])
    write(root, "bolt/train/dent/0.json", [polygon, circle], seed=1)
    write(root, "bolt/test/dent/0.json", [ring()], seed=2)
    line = shape("scratch", "line", [[3, 50], [70, 12]])
    point = shape("dent", "point", [[40.5, 30.5]])
    write(root, "bolt/train/lines/a.json", [line, point], seed=3)
    parts = [
        shape(ODD, "rectangle", [[2, 2], [9, 9]], group_id=1),
        shape(ODD, "rectangle", [[30, 40], [50, 55]], group_id=1),
    ]
    write(root, "nut/images/a.json", parts, seed=4)
    strip = shape("dent", "linestrip", [[1, 1], [20, 30], [60, 20]])
    write(root, "nut/images/b.json", [strip], image="b.JPG", seed=5)
    write(root, "nut/images/none.json", [], seed=6)
    (root / "nut/good").mkdir()
    picture(7).save(root / "nut/good/a.png")
    picture(8).save(root / "nut/images/nobody.png")
    write(root, "nut/images/unusable.json", [shape("dent", "polygon", [[1, 1]])], seed=9)
    write(root, "nut/images/unnamed.json", [shape("", "rectangle", [[1, 1], [5, 5]])], seed=10)
    corner = shape("dent", "rectangle", [[0, 0], [200, 200]])
    write(root, "nut/embedded.json", [corner], image="", imageData=png(np.asarray(picture(11))))
    return root
