"""Made-up Labelme files."""

from __future__ import annotations


def labelme_document(shapes, **changes):
    """A Labelme file's object with these shapes."""
    document = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 100,
        "imageWidth": 120,
    }
    return document | changes


def box_shape(label="scratch", at=(10, 10), size=8, **changes):
    """A square polygon."""
    x, y = at
    shape = {
        "label": label,
        "points": [[x, y], [x + size, y], [x + size, y + size], [x, y + size]],
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
    return shape | changes
