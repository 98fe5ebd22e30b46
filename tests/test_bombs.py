"""Small files that would take all memory, or minutes: refused in a line, or read within a limit on memory."""

from __future__ import annotations

import base64
import io
import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from flawshot import FlawshotError
from flawshot.formats.run_lengths import decode_runs
from helpers import box_shape, labelme_document

SIDE = 16_384
WHOLE = [[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]]
GIGABYTE = 2**30
READ = """
import sys
from flawshot import Catalog
catalog = Catalog.from_folder(sys.argv[1])
print(len(catalog), [problem.kind for problem in catalog.problems])
"""


def limited(command, gigabytes):
    """Run a command that may not take more address space."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (gigabytes * GIGABYTE, gigabytes * GIGABYTE))

    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit, timeout=300)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip()


def read(folder, shapes, gigabytes=4):
    folder.mkdir()
    document = labelme_document(shapes, imageHeight=SIDE, imageWidth=SIDE)
    (folder / "a.json").write_text(json.dumps(document), encoding="utf-8")
    return limited([sys.executable, "-c", READ, str(folder)], gigabytes)


@pytest.mark.parametrize("group", [None, 1], ids=["apart", "in a group"])
def test_whole_images_are_drawn_one_by_one(tmp_path, group):
    shapes = [box_shape(points=WHOLE, group_id=group) for _ in range(6)]
    assert read(tmp_path / "data", shapes) == f"{1 if group else 6} ['missing-image']"


def test_a_text_among_points_takes_no_more_than_its_length(tmp_path):
    points = [[n, n] for n in range(20_000)] + [[0, "x" * 100_000]]
    assert read(tmp_path / "data", [box_shape(points=points), box_shape()]) == "1 ['points', 'missing-image']"


@pytest.mark.parametrize("shape_type", ["linestrip", "polygon"])
def test_an_outline_longer_than_any_is_named(tmp_path, shape_type):
    points = np.random.default_rng(0).uniform(0, SIDE, (20_000, 2)).tolist()
    found = read(tmp_path / "data", [box_shape(points=points, shape_type=shape_type), box_shape()])
    assert found == "1 ['shape-length', 'missing-image']"


@pytest.mark.parametrize(
    "shapes",
    [[box_shape(points=WHOLE)] * 17, [box_shape("a", size=1)] * 100_001],
    ids=["covered too often", "too many"],
)
def test_more_shapes_than_an_image_has_are_named(tmp_path, shapes):
    assert read(tmp_path / "data", shapes) == "0 ['missing-image', 'too-many-shapes']"


def test_masks_of_whole_images_are_counted_before_they_are_decoded(tmp_path):
    buffer = io.BytesIO()
    Image.new("1", (SIDE, SIDE)).save(buffer, format="PNG")
    mask = base64.b64encode(buffer.getvalue()).decode()
    shape = box_shape(points=[[0, 0], [SIDE - 1, SIDE - 1]], shape_type="mask", mask=mask)
    folder = tmp_path / "data"
    folder.mkdir()
    document = labelme_document([shape] * 400, imageHeight=SIDE, imageWidth=SIDE)
    (folder / "a.json").write_text(json.dumps(document), encoding="utf-8")
    assert limited([sys.executable, "-c", READ, str(folder)], 4) == "0 ['too-many-shapes']"


def test_a_group_of_very_many_shapes_is_joined_at_once(tmp_path):
    shapes = [box_shape(at=(n, n), size=2, group_id=1) for n in range(5_000)]
    assert read(tmp_path / "data", shapes) == "1 ['missing-image']"


def test_many_scattered_points_are_no_outline(tmp_path):
    points = np.random.default_rng(0).uniform(0, SIDE, (3_000, 2)).tolist()
    assert read(tmp_path / "data", [box_shape(points=points, shape_type="points")]) == "1 ['missing-image']"


@pytest.mark.parametrize("size", [[10**3000, 10**3000], [2, 10**4000], [10**12, 1]])
def test_run_lengths_of_numbers_without_end_are_one_short_line(size):
    with pytest.raises(FlawshotError) as caught:
        decode_runs({"size": size, "counts": [10**4000, 10**4000]})
    assert len(str(caught.value)) < 300


def test_run_lengths_take_their_own_columns_only(tmp_path):
    counts = [5 * SIDE + 7, 100, SIDE * SIDE - 5 * SIDE - 107]
    annotations = [
        {"id": n, "image_id": 1, "category_id": 1, "segmentation": {"size": [SIDE, SIDE], "counts": counts}}
        for n in range(50)
    ]
    images = [{"id": 1, "file_name": "a.png", "width": SIDE, "height": SIDE}]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "dent"}]}
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    command = [sys.executable, "-m", "flawshot", "import", "coco", tmp_path / "a.json", tmp_path / "out"]
    assert "1 Labelme file with 50 instances" in limited(list(map(str, command)), 3)


@pytest.mark.parametrize("kind", ["specks", "noise", "values"])
def test_masks_of_noise_are_refused_or_read_within_the_limit(tmp_path, kind):
    (tmp_path / "src/dent").mkdir(parents=True)
    if kind == "specks":
        mask = np.zeros((2048, 2048), dtype=np.uint8)
        mask[::2, ::2] = 255
    elif kind == "noise":
        mask = (np.random.default_rng(0).random((1024, 1024)) < 0.5).astype(np.uint8) * 255
    else:
        mask = np.arange(65_536 * 2, dtype=np.uint32).reshape(256, 512).astype(np.uint16)
    for name, pixels in (("a.png", mask), ("good.png", np.full((8, 8), 255, dtype=np.uint8))):
        Image.fromarray(pixels).save(tmp_path / "src/dent" / name)
        Image.new("L", pixels.shape[::-1]).save(tmp_path / "src/dent" / name.replace("png", "jpg"))
    command = [
        sys.executable,
        "-m",
        "flawshot",
        "import",
        "masks",
        tmp_path / "src",
        tmp_path / "out",
        "--workers",
        "1",
    ]
    if kind == "values":
        command.append("--instance-values")
    done = limited(list(map(str, command)), 4)
    assert (" 1 image" in done) is (kind != "noise")
