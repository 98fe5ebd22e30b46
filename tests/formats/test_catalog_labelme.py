"""Labelme to catalog to Labelme: the same file but for key order."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from flawshot import Catalog, labelme_files
from flawshot.labelme.labelme_file import labelme_document as document_of
from helpers import box_shape, labelme_document


def mask_shape():
    buffer = io.BytesIO()
    Image.fromarray(np.eye(5, dtype=np.uint8) * 255).save(buffer, format="PNG")
    mask = base64.b64encode(buffer.getvalue()).decode()
    return box_shape("hole", shape_type="mask", points=[[3, 4], [7, 8]], mask=mask)


SHAPES = [
    box_shape("划痕", flags={"sure": True}, description="long"),
    box_shape("dent", group_id=3, at=(1.25, 0.1)),
    mask_shape(),
    box_shape("dent", group_id=3, at=(40, 40)),
    box_shape("scratch", shape_type="circle", points=[[50, 50], [55.5, 50]]),
    box_shape("mixed", group_id=5),
    box_shape("other", group_id=5),
    box_shape(""),
]


def written(catalog):
    return {path: document_of(file) for path, file in labelme_files(catalog)}


@pytest.mark.parametrize("image", ["a.png", "../images/a.png"])
def test_what_a_catalog_holds_comes_back_without_the_files(tmp_path, image):
    root = tmp_path / "data"
    (root / "p/test").mkdir(parents=True)
    (root / "p/images").mkdir(parents=True)
    Image.new("L", (120, 100)).save(root / "p/test" / image)
    document = labelme_document(SHAPES, imagePath=image, version="6.0.0")
    (root / "p/test/a.json").write_text(json.dumps(document))
    Catalog.open(root).save(tmp_path / "moved/c.parquet")
    assert written(Catalog.open(tmp_path / "moved/c.parquet")) == {"p/test/a.json": document}


def test_what_only_the_file_knows_is_carried_where_it_is_at_hand(tmp_path):
    shapes = [*SHAPES, box_shape("dent", group_id=3, at=(60, 60), description="third", flags={"sure": False})]
    shapes[0] = shapes[0] | {"score": 0.5}
    document = labelme_document(
        shapes,
        imagePath="gone/a.png",
        imageData="aGVsbG8=",
        flags={"checked": True},
        lineColor=[1, 2, 3],
        imageHeight=100,
    )
    (tmp_path / "a.json").write_text(json.dumps(document))
    catalog = Catalog.open(tmp_path)
    assert written(catalog) == {"a.json": document}
    (tmp_path / "a.json").unlink()
    left = written(catalog)["a.json"]
    assert (left["imageData"], left["flags"], "lineColor" in left) == (None, {}, False)
    assert [shape["points"] for shape in left["shapes"]] == [shape["points"] for shape in shapes]


def test_what_was_not_selected_is_left_out(write_annotations):
    root = write_annotations({"p/a.json": [box_shape("dent")], "q/b.json": [box_shape(), box_shape(points=[])]})
    assert list(written(Catalog.open(root).select(["q"]))) == ["q/b.json"]
    assert len(written(Catalog.open(root))["q/b.json"]["shapes"]) == 1
