"""``flawshot export voc``, read by torchvision, by a plain reader, and by our own importer."""

from __future__ import annotations

import numpy as np
import pytest
from defusedxml import ElementTree
from PIL import Image

import flawshot
from commands import succeed
from export_data import ODD, hard_data, shape, write
from flawshot import FlawshotError
from flawshot.formats.voc_export import export_voc


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return hard_data(tmp_path_factory.mktemp("hard") / "data")


@pytest.fixture(scope="module")
def out(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "voc"
    done = succeed("export", "voc", data, out)
    assert done.stdout == f"{out}: 8 objects of 9 instances; 8 images, 2 products\n"
    return out


def boxes(root):
    """Name, and pixels of the box, of each object of each file, by the VOC convention as its authors state it."""
    made = {}
    for path in sorted(root.glob("Annotations/*.xml")):
        tree = ElementTree.parse(path).getroot()
        with Image.open(root / "JPEGImages" / tree.findtext("filename")) as opened:
            image = opened.copy()
        assert image.size == (int(tree.findtext("size/width")), int(tree.findtext("size/height")))
        assert len(image.getbands()) == int(tree.findtext("size/depth"))
        made[path.stem] = []
        for each in tree.iter("object"):
            x0, y0, x1, y1 = (int(each.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
            assert 1 <= x0 <= x1 <= image.width
            assert 1 <= y0 <= y1 <= image.height
            mask = np.zeros((image.height, image.width), dtype=bool)
            mask[y0 - 1 : y1, x0 - 1 : x1] = True  # from 1, including the last
            made[path.stem].append((each.findtext("name"), mask))
    return made


def test_boxes_are_those_of_the_masks(data, out):
    found = boxes(out / "bolt") | boxes(out / "nut")
    assert {name: [label for label, _ in objects] for name, objects in found.items()} == {
        "dent__0": ["hole"],
        "dent__0_2": ["dent", "scratch"],
        "lines__a": ["scratch", "dent"],
        "embedded": ["dent"],
        "good__a": [],
        "images__a": [ODD],
        "images__b": ["dent"],
        "images__none": [],
    }
    catalog = flawshot.Catalog.open(data)
    wanted = [i for i in catalog if i.image == "bolt/train/dent/0.png"]
    for instance, (label, mask) in zip(wanted, found["dent__0_2"], strict=True):
        x0, y0, x1, y1 = instance.box
        assert label == instance.category
        assert mask[y0:y1, x0:x1].all()
        assert mask.sum() == (x1 - x0) * (y1 - y0)


def test_lists_name_the_images_of_each_split(out):
    lists = {path.relative_to(out).as_posix(): path.read_text().split() for path in out.rglob("*.txt")}
    assert lists == {
        "bolt/ImageSets/Main/test.txt": ["dent__0"],
        "bolt/ImageSets/Main/train.txt": ["dent__0_2", "lines__a"],
        "bolt/ImageSets/Main/trainval.txt": ["dent__0_2", "lines__a"],
        "nut/ImageSets/Main/trainval.txt": ["embedded", "good__a", "images__a", "images__b", "images__none"],
    }


def test_our_own_import_gives_the_same_boxes_labels_and_images(data, out, tmp_path):
    flawshot.import_voc(out, tmp_path / "back")
    before, after = (flawshot.Catalog.open(folder) for folder in (data, tmp_path / "back"))

    def known(catalog):
        return sorted((i.product, i.split or "", i.category, i.box, i.image_width) for i in catalog if i.category)

    assert known(after) == known(before)
    assert {i.flags["difficult"] for i in after if i.box == (5, 6, 31, 32)} == {True}
    same = tmp_path / "back/bolt/train/dent__0_2.png"
    assert same.read_bytes() == (data / "bolt/train/dent/0.png").read_bytes()
    assert (tmp_path / "back/nut/good__a.json").is_file()


def test_torchvision_reads_jpeg_data(tmp_path):
    detection = pytest.importorskip("torchvision.datasets").VOCDetection
    for number in range(3):
        box = shape("dent", "rectangle", [[number, 2], [9, 11]])
        write(tmp_path / "bolt/train", f"{number}.json", [box], image=f"{number}.jpg", seed=number)
    export_voc(flawshot.Catalog.open(tmp_path / "bolt"), tmp_path / "VOCdevkit")
    (tmp_path / "VOCdevkit/bolt").rename(tmp_path / "VOCdevkit/VOC2012")
    read = detection(str(tmp_path), year="2012", image_set="train", download=False)
    assert len(read) == 3
    for number, (image, target) in enumerate(read):
        assert image.size == (80, 60)
        (found,) = target["annotation"]["object"]
        assert found["name"] == "dent"
        assert found["bndbox"] == {"xmin": str(number + 1), "ymin": "3", "xmax": "10", "ymax": "12"}


def test_a_label_that_xml_cannot_have_is_one_line(tmp_path):
    write(tmp_path / "d", "a.json", [shape("de\x07nt", "rectangle", [[1, 1], [5, 5]])])
    with pytest.raises(FlawshotError, match=r"a.json#0: the label 'de\\\\x07nt' has a character that XML"):
        export_voc(flawshot.Catalog.open(tmp_path / "d"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
