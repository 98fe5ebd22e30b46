"""``flawshot check``, run as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from commands import shell
from flawshot import Catalog, groups_from_csv
from helpers import box_shape
from textures import photograph, texture


def run(*arguments):
    return shell("check", *arguments)


@pytest.fixture
def sound(write_annotations):
    """Six images of a category, nothing wrong with them."""
    rng = np.random.default_rng(3)
    root = write_annotations({f"bolt/{n}.json": [box_shape()] for n in range(6)})
    for n in range(6):
        Image.fromarray(rng.integers(0, 255, (100, 120), np.uint8)).save(root / f"bolt/{n}.png")
    return root


def test_sound_annotations_have_no_findings_and_status_0(sound):
    for options in ([], ["--fast"], ["--shots", "1,3,5"]):
        done = run(sound, *options)
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            "0 findings in the annotations of 6 instances\n",
            "",
        )
    assert json.loads(run(sound, "--json", "-").stdout) == []


def test_a_file_without_shapes_is_a_file(write_annotations):
    """What nobody has drawn in yet is no finding but that its image is missing; a folder of nothing is a mistake."""
    root = write_annotations({"bolt/0.json": []})
    Image.new("L", (120, 100)).save(root / "bolt/0.png")
    done = run(root)
    assert (done.returncode, done.stdout) == (0, "0 findings in the annotations of 0 instances\n")
    (root / "bolt/0.png").write_bytes(b"junk")
    done = run(root)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "unreadable-image (1)")
    (root / "bolt/0.json").unlink()
    done = run(root)
    assert (done.returncode, done.stderr) == (2, f"flawshot: {root}: contains no Labelme file\n")


def test_findings_are_grouped_counted_and_status_1(sound, tmp_path):
    (sound / "bolt/1.png").write_bytes((sound / "bolt/0.png").read_bytes())
    (sound / "bolt/2.png").write_bytes((sound / "bolt/2.png").read_bytes()[:5000])
    done = run(sound, "--shots", "3,6,9", "--json", tmp_path / "f.json")
    assert done.returncode == 1
    remedy = "annotate more, or lower --shots"
    assert done.stdout.splitlines() == [
        "same-image (1)",
        "  warning: bolt/1.json: imagePath: bolt/1.png equals bolt/0.png byte by byte; keep one of them",
        "small-category (1)",
        f"  warning: bolt: category 'scratch' has 6 instances, too few for 6, 9 shots and a query; {remedy}",
        "unreadable-image (1)",
        *[line for line in done.stdout.splitlines() if "  error: bolt/2.json: imagePath: bolt/2.png" in line],
        "3 findings in the annotations of 6 instances",
    ]
    findings = json.loads((tmp_path / "f.json").read_text())
    assert [(f["kind"], f["file"], f["severity"], f["shape"]) for f in findings] == [
        ("same-image", "bolt/1.json", "warning", None),
        ("small-category", "bolt", "warning", None),
        ("unreadable-image", "bolt/2.json", "error", None),
    ]
    assert "unreadable-image" not in run(sound, "--fast").stdout  # its header is whole


def test_a_product_is_checked_alone(sound, write_annotations):
    write_annotations({"nut/a.json": [box_shape("dent")]})
    assert run(sound).returncode == 1
    assert run(sound, "--product", "bolt").returncode == 0


def test_same_sample_writes_a_table_that_group_takes_and_sheets(write_annotations, tmp_path):
    names = ["p/\u5212\u75d5 [red].json", 'p/a,"b".json', "p/=cmd('x').json", "p/\x1b[31m\n.json", "p/%2e%2e.json"]
    names += [f"p/{'long' * 50}.json", "p/; rm -rf .json", *(f"p/other{n}.json" for n in range(5)), "p/gone.json"]
    root = write_annotations({name: [box_shape()] for name in names})
    rng = np.random.default_rng(0)
    size = (110, 130)
    same = texture(1, size)
    for name in names[:-1]:
        picture = texture(int(name[-6]) + 2, size) if "other" in name else photograph(same, rng)
        Image.fromarray(picture).save((root / name).with_suffix(".png"))
    done = run(root, "--same-sample", "--out", tmp_path / "out", "--json", tmp_path / "g.json")
    assert done.returncode == 0, done.stderr
    assert "13 images, 7 groups; 1 with several images (7 in all, the largest 7)" in done.stdout
    assert "a group of its own: p/gone.png: the image is missing" in done.stderr
    images = Catalog.open(root).column("image")
    groups = groups_from_csv(tmp_path / "out/groups.csv", images)
    assert len(set(groups.values())) == 7
    assert len({groups[image] for image in images if "other" not in image and "gone" not in image}) == 1
    (sheet,) = (tmp_path / "out/evidence").iterdir()
    assert sheet.name == f"{max(groups.values(), key=list(groups.values()).count)}.png"
    with Image.open(sheet) as opened:
        assert opened.width > opened.height / 2
        assert len(opened.getcolors(1 << 24)) > 50
    assert {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()} == {"groups.csv", sheet.name}
    found = json.loads((tmp_path / "g.json").read_text())
    assert {key for group in found for key in group} == {"group", "product", "images", "correlations"}
    assert sorted(image for group in found for image in group["images"]) == sorted(images)
    assert run(root, "--same-sample", "--out", tmp_path / "out").returncode == 0  # the same again
    (tmp_path / "out/groups.csv").write_text("image,group\n")
    refused = run(root, "--same-sample", "--out", tmp_path / "out")
    assert refused.returncode == 2
    assert "groups.csv: exists with different content" in refused.stderr
    assert (tmp_path / "out/groups.csv").read_text() == "image,group\n"
