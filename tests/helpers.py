"""Made-up Labelme files, and where real data lies."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("FLAWSHOT_SHARED", REPOSITORY.parent / "shared" / "data"))


def rewrite_sealed(path, change):
    """Change one of flawshot's own JSON files as another flawshot would, sealed as ``docs/formats.md`` says.

    Args:
        path: The file.
        change: Changes its object.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    if document.pop("seal", None) is not None:
        text = json.dumps(document, ensure_ascii=True, sort_keys=True)
        document["seal"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(document), encoding="utf-8")


def leave_package(site, name, modules, points):
    """Leave a package in a folder as pip does: its modules, and what its distribution says of itself.

    Args:
        site: The folder; made if it is not there.
        name: The distribution's name.
        modules: Source by path in the folder.
        points: Text of its ``entry_points.txt``.
    """
    about = site / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    for place, source in modules.items():
        (site / place).parent.mkdir(exist_ok=True)
        (site / place).write_text(source, encoding="utf-8")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(points, encoding="utf-8")


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
