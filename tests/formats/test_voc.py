"""Pascal VOC's boxes become Labelme files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from flawshot import Catalog, FlawshotError, read_labelme
from flawshot.formats.voc import import_voc
from labelme_itself import open_file


def voc(*objects, filename="000.jpg", size="<width>40</width><height>30</height><depth>3</depth>"):
    return (
        f"<annotation><folder>x</folder><filename>{filename}</filename><path>/home/me/000.jpg</path>"
        f"<size>{size}</size>{''.join(objects)}</annotation>"
    )


def element(box=(1, 2, 3, 4), name="scratch", more=""):
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


@pytest.fixture
def source(tmp_path):
    def make(files):
        for place, text in files.items():
            path = tmp_path / "src" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "src"

    return make


def test_boxes_count_from_one_and_include_their_last_pixel(source, tmp_path):
    src = source(
        {"a.xml": voc(element((1, 1, 40, 30)), element((5, 6, 5, 6), "dent"), element(("5.0", "6", "7.0", "9")))}
    )
    found = import_voc(src, tmp_path / "out")
    assert (found.files, found.instances, found.problems, found.products) == (1, 3, (), ("src",))
    boxes = [(instance.category, instance.box) for instance in Catalog.open(tmp_path / "out")]
    assert boxes == [("scratch", (0, 0, 40, 30)), ("dent", (4, 5, 5, 6)), ("scratch", (4, 5, 7, 9))]


def test_labelme_opens_what_is_written(source, tmp_path):
    src = source({"0.xml": voc(element((2, 3, 4, 5)), filename="0.png")})
    Image.new("L", (40, 30)).save(src / "0.png")
    import_voc(src, tmp_path / "out")
    file = open_file(tmp_path / "out/src/0.json")
    assert np.array_equal(file.shapes[0]["points"], [[1, 2], [3.75, 4.75]])


def test_truncated_difficult_and_occluded_become_flags(source, tmp_path):
    more = "<truncated>1</truncated><difficult>0</difficult><occluded>1</occluded><pose>Left</pose>"
    import_voc(
        source({"a.xml": voc(element(more=more), element(more="<difficult>Unspecified</difficult>"))}), tmp_path / "out"
    )
    first, second = read_labelme(tmp_path / "out/src/a.json").shapes
    assert first.flags == {"truncated": True, "difficult": False, "occluded": True}
    assert second.flags == {}


@pytest.mark.parametrize(
    ("place", "image", "written"),
    [
        ("Annotations/000.xml", "JPEGImages/000.jpg", "src/000.json"),
        ("train/000.xml", "train/000.jpg", "src/train/000.json"),
        ("bolt/test/Annotations/000.xml", "bolt/test/images/000.jpg", "bolt/test/000.json"),
        ("bolt/valid/deep/000.xml", "bolt/valid/deep/000.jpg", "bolt/valid/deep/000.json"),
    ],
)
def test_product_and_split_come_from_the_folders(source, tmp_path, place, image, written):
    src = source({place: voc(element(), size="")})
    (src / image).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 30)).save(src / image)
    found = import_voc(src, tmp_path / "out")
    assert (found.images, found.problems) == (1, ())
    file = read_labelme(tmp_path / "out" / written)
    assert (file.image_width, file.image_height) == (40, 30)
    assert (tmp_path / "out" / written).with_suffix(".jpg").is_file()


def test_the_lists_of_voc_say_the_split_where_no_folder_does(source, tmp_path):
    files = {f"Annotations/{name}.xml": voc(element(), filename=f"{name}.jpg") for name in "abcd"}
    lists = {
        "ImageSets/Main/train.txt": "a\n",
        "ImageSets/Main/val.txt": "b\n",
        "ImageSets/Main/trainval.txt": "a\nb\nd\n",
    }
    import_voc(source(files | lists | {"ImageSets/Main/test.txt": "c"}), tmp_path / "out")
    written = sorted(path.relative_to(tmp_path / "out/src").as_posix() for path in tmp_path.glob("out/**/*.json"))
    assert written == ["d.json", "test/c.json", "train/a.json", "val/b.json"]


@pytest.mark.parametrize("box", [(3, 1, 1, 1), (1, 3, 1, 1), ("", 1, 2, 3), ("nan", 1, 2, 3), ("1e9", 1, "2e9", 3)])
def test_a_box_that_is_none_is_left_out_and_said(source, tmp_path, box):
    found = import_voc(source({"a.xml": voc(element(box), element())}), tmp_path / "out")
    assert (len(found.problems), found.instances) == (1, 1)


def test_a_box_that_begins_at_zero_is_cut_and_said(source, tmp_path):
    found = import_voc(source({"a.xml": voc(element((0, 0, 3, 4)))}), tmp_path / "out")
    assert [(problem.kind, problem.severity) for problem in found.problems] == [("bndbox", "warning")]
    assert [instance.box for instance in Catalog.open(tmp_path / "out")] == [(0, 0, 3, 4)]


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
THEFT = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "text",
    [
        BOMB + voc(element(name="&b;")),
        THEFT + voc(element(name="&a;")),
        '<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/x.dtd">' + voc(element()),
        "",
        "<annotation>",
        "<html/>",
        b"\xff\xfe\x00",
        '<?xml version="1.0" encoding="no-such"?><annotation',
        voc(element(), filename=".x.jpg"),
    ],
)
def test_hostile_and_foreign_files_are_said_in_one_line_and_the_rest_is_read(source, tmp_path, text):
    src = source({"bad.xml": text, "good.xml": voc(element())})
    found = import_voc(src, tmp_path / "deep/er/out")
    (problem,) = found.problems
    assert (problem.file, problem.kind) == ("bad.xml", "not-voc")
    assert "\n" not in str(problem)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")] == ["deep/er/out/src/good.json"]
    (src / "good.xml").unlink()
    with pytest.raises(FlawshotError, match=r"the first problem: bad\.xml"):
        import_voc(src, tmp_path / "other")


def test_an_image_that_is_called_as_annotations_are_is_not_copied(source, tmp_path):
    src = source({"a.xml": voc(element(), filename="a.json"), "a.json": "{}"})
    found = import_voc(src, tmp_path / "out")
    assert (found.images, [problem.kind for problem in found.problems]) == (0, ["file-name"])
    assert len(read_labelme(tmp_path / "out/src/a.json").shapes) == 1


def test_links_out_of_the_folder_are_not_followed(source, tmp_path):
    src = source({"Annotations/a.xml": voc(element()), "ImageSets/Main/val.txt": "b"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.xml").write_text(voc(element()))
    (outside / "train.txt").write_text("a")
    (src / "far").symlink_to(outside)
    (src / "Annotations/x.xml").symlink_to(outside / "x.xml")
    (src / "ImageSets/Main/train.txt").symlink_to(outside / "train.txt")
    found = import_voc(src, tmp_path / "out")
    assert [(problem.kind, problem.file.rpartition("/")[2]) for problem in found.problems] == [
        ("link", "x.xml"),
        ("link", "far"),
        ("link", "train.txt"),
    ]
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")] == ["out/src/a.json"]


def test_a_folder_that_is_a_splits_is_no_product(source, tmp_path):
    src = source({"train/a.xml": voc(element())})
    with pytest.raises(FlawshotError, match="product: 'train' is a split's name; name the folder above it"):
        import_voc(src / "train", tmp_path / "out")


def test_progress_tells_the_files_done(source, tmp_path):
    told = []
    src = source({"a.xml": voc(element()), "b.xml": "damaged"})
    import_voc(src, tmp_path / "out", progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]


def test_a_folder_without_any_is_one_line(tmp_path):
    with pytest.raises(FlawshotError, match="contains no usable annotation"):
        import_voc(tmp_path, tmp_path / "out")
    with pytest.raises(FlawshotError, match=r"nothing\.xml: contains no .* cannot be read"):
        import_voc(tmp_path / "nothing.xml", tmp_path / "out")


@pytest.mark.parametrize("name", ["../../x.jpg", "..\\x.jpg", "{outside}/x.jpg"])
def test_paths_that_lead_out_of_the_folder_reach_nothing_there(source, tmp_path, name):
    Image.new("L", (40, 30)).save(tmp_path / "x.jpg")
    src = source({"a.xml": voc(element(), filename=name.format(outside=tmp_path))})
    found = import_voc(src, tmp_path / "out")
    assert (found.images, [problem.kind for problem in found.missing]) == (0, ["missing-image"])
    assert read_labelme(tmp_path / "out/src/a.json").image_path == "x.jpg"


@pytest.mark.parametrize(
    ("filename", "image"),
    [
        ("a.jpg", "a.jpg"),
        ("a.jpg", "a.png"),
        ("a", "a.jpg"),
        ("a.JPG", "a.jpg"),
        ("a.jpg", "A.JPEG"),
        ("", "a.bmp"),
        ("old name.jpg", "a.jpg"),
        ("/home/me/a.jpg", "a.jpg"),
        ("other.tif", "a.TIF"),
        ("caf\u00e9.jpg", "cafe\u0301.jpg"),
    ],
)
@pytest.mark.parametrize("folder", ["JPEGImages", "images", "pictures/line 3"])
def test_the_image_called_as_the_annotation_or_as_it_says_is_found(source, tmp_path, filename, image, folder):
    src = source({"Annotations/a.xml": voc(element(), filename=filename)})
    (src / folder).mkdir(parents=True)
    Image.new("L", (40, 30)).save(src / folder / image)
    found = import_voc(src, tmp_path / "out")
    assert (found.images, found.missing) == (1, ())
    written = tmp_path / "out/src/a.json"
    assert read_labelme(written).image_path == image
    assert written.with_name(image).is_file()


def test_where_all_name_one_image_each_gets_its_own(source, tmp_path):
    src = source({f"Annotations/p{n}.xml": voc(element(), filename="p0.jpg") for n in range(3)})
    (src / "JPEGImages").mkdir()
    for n in range(2):
        Image.new("L", (40, 30)).save(src / f"JPEGImages/p{n}.jpg")
    found = import_voc(src, tmp_path / "out")
    paths = [read_labelme(tmp_path / f"out/src/p{n}.json").image_path for n in range(3)]
    assert paths == ["p0.jpg", "p1.jpg", "p0.jpg"]
    assert [(problem.file, problem.kind) for problem in found.problems] == [("Annotations/p1.xml", "renamed-image")]


def test_a_mask_called_as_the_image_is_not_taken_for_it(source, tmp_path):
    src = source({"Annotations/a.xml": voc(element(), filename="a.jpg")})
    (src / "SegmentationClass").mkdir()
    Image.new("L", (40, 30)).save(src / "SegmentationClass/a.png")
    found = import_voc(src, tmp_path / "out")
    assert (found.images, len(found.missing)) == (0, 1)


@pytest.mark.parametrize(
    ("side", "orientation", "kind", "line"),
    [
        pytest.param(
            (40, 30), 6, "image-size", "has 30 x 40 px, not 40 x 30 as stated; its EXIF orientation", id="raw"
        ),
        pytest.param((30, 40), 8, None, "", id="annotated upright"),
        pytest.param((40, 30), 3, "orientation", "its EXIF orientation rotates or mirrors it", id="a half turn"),
        pytest.param((40, 30), 2, "orientation", "its EXIF orientation rotates or mirrors it", id="mirrored"),
        pytest.param((20, 15), 1, "image-size", "has 20 x 15 px, not 40 x 30 as stated; the annotation", id="smaller"),
        pytest.param((40, 30), 1, None, "", id="as stated"),
    ],
)
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_an_image_that_lies_or_measures_otherwise_is_told(source, tmp_path, side, orientation, kind, line, suffix):
    src = source({"a.xml": voc(element(), filename=f"a.{suffix}")})
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("L", side).save(src / f"a.{suffix}", exif=exif)
    found = import_voc(src, tmp_path / "out")
    assert [problem.kind for problem in found.problems] == ([kind] if kind else [])
    assert all(line in str(problem) and problem.severity == "warning" for problem in found.problems)
    assert (tmp_path / f"out/src/a.{suffix}").read_bytes() == (src / f"a.{suffix}").read_bytes()


def test_an_image_that_cannot_be_read_is_told_and_copied(source, tmp_path):
    src = source({"a.xml": voc(element()), "000.jpg": b"%!PS-Adobe-3.0 EPSF-3.0"})
    (problem,) = import_voc(src, tmp_path / "out").problems
    assert problem.kind == "unreadable-image"
    assert "000.jpg: the image cannot be decoded (its format is not one of PNG" in str(problem)


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "shift_jis", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("stated", [True, False])
def test_text_in_other_encodings_is_read_and_told(source, tmp_path, encoding, stated):
    label = "傷" if encoding == "shift_jis" else "划痕"
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>' if stated else ""
    src = source({"a.xml": (head + voc(element(name=label))).encode(encoding)})
    found = import_voc(src, tmp_path / "out")
    (shape,) = read_labelme(tmp_path / "out/src/a.json").shapes
    if stated or encoding != "shift_jis":  # undeclared, Japanese is Chinese to whoever does not know
        assert shape.label == label
    assert {problem.kind for problem in found.problems} <= {"encoding"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk"])
def test_lists_of_a_split_are_read_in_other_encodings(source, tmp_path, encoding):
    src = source({"Annotations/部品.xml": voc(element()), "ImageSets/Main/val.txt": "部品\n".encode(encoding)})
    import_voc(src, tmp_path / "out")
    assert (tmp_path / "out/src/val/部品.json").is_file()
