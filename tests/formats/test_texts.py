"""Text of other programs' annotations: encodings that nobody states, names and labels in several Unicode forms."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flawshot import Catalog, FlawshotError, read_labelme
from flawshot.base.delimited import decodings
from flawshot.formats.coco import import_coco
from flawshot.formats.masks import import_masks
from flawshot.formats.mpdd import import_mpdd
from flawshot.formats.mvtec_fs import import_mvtec_fs
from flawshot.formats.texts import NamedText, decoded, likeliest, name_key, plain_text
from flawshot.formats.voc import import_voc
from flawshot.inspect.checks.labels import similar_labels

WIDTH, HEIGHT = 40, 30
UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
# Encoding, label, name of the image.
LOCAL = [
    ("gbk", "划痕", "图像1.png"),
    ("gb18030", "褶皱", "M3螺栓.png"),
    ("cp932", "キズ", "画像1.png"),
    ("cp932", "打痕", "表面2.png"),
    ("cp1252", "Kratzer groß", "Größe.png"),
    ("cp1252", "éraflure", "pièce 3.png"),
    ("cp949", "스크래치", "이미지.png"),
    ("big5", "刮痕", "圖像.png"),
    ("cp1251", "царапина", "снимок.png"),
]
COMPOSED = "B\u00fcrste \u00e9.png"
PARTED = unicodedata.normalize("NFD", COMPOSED)


def draw(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (WIDTH, HEIGHT), 90).save(path, "PNG")


def coco(home, label, named, encoding, disk):
    document = {
        "images": [{"id": 1, "file_name": named, "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 7, 8]}],
        "categories": [{"id": 1, "name": label}],
    }
    home.mkdir(parents=True, exist_ok=True)
    (home / "result.json").write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    draw(home / disk)
    found = import_coco(home, home.parent / "out")
    return found.problems, found.missing


VOC = (
    "{start}<annotation><filename>{named}</filename><size><width>40</width><height>30</height></size>"
    "<object><name>{label}</name><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    "</annotation>"
)


def voc(home, label, named, encoding, disk, start=""):
    (home / "Annotations").mkdir(parents=True, exist_ok=True)
    text = VOC.format(start=start, named=named, label=label)
    (home / "Annotations/own.xml").write_bytes(text.encode(encoding))
    draw(home / "JPEGImages" / disk)
    found = import_voc(home, home.parent / "out")
    return found.problems, found.missing


def mvtec_fs(home, label, named, encoding, disk):
    config = home / "CONFIG/bolt_config1"
    config.mkdir(parents=True, exist_ok=True)
    header = "img_rel_path,imageHeight,imageWidth,label,points\n"
    row = f'training/a/{named},{HEIGHT},{WIDTH},{label},"[[1,1],[9,1],[9,9]]"\n'
    (config / "train.csv").write_bytes((header + row).encode(encoding))
    (config / "valid.csv").write_bytes(header.encode(encoding))
    draw(home / "bolt/training/a" / disk)
    found = import_mvtec_fs(home, home.parent / "out")
    return found.problems, found.missing


def mpdd(home, label, named, encoding, disk):
    home.mkdir(parents=True, exist_ok=True)
    box = {"min_row": 1, "min_col": 1, "max_row": 9, "max_col": 9}
    record = {
        "class": "bolt",
        "anomaly": label,
        "image": named,
        "num_anomalies": 1,
        "size_anomalies": 9,
        "coordinates": [box],
        "description": "",
    }
    (home / "a.json").write_bytes(json.dumps({"bolt": [record]}, ensure_ascii=False).encode(encoding))
    draw(home / "bolt/test/dent" / disk)
    found = import_mpdd(home, home.parent / "out")
    return found.problems, found.missing


IMPORTERS = [coco, voc, mvtec_fs, mpdd]


def imported(home):
    """The only file that an import wrote; its image must lie beside it."""
    (path,) = (home.parent / "out").rglob("*.json")
    file = read_labelme(path)
    assert path.with_name(file.image_path).is_file()
    (shape,) = file.shapes
    return shape.label, file.image_path


@pytest.mark.parametrize("encoding", UNICODE)
@pytest.mark.parametrize("importer", IMPORTERS)
def test_all_encodings_of_unicode_are_read_and_nothing_is_told(tmp_path, importer, encoding):
    told = importer(tmp_path / "src", "Kratzer ü", "bild_ü.png", encoding, "bild_ü.png")
    assert told == ((), ())
    assert imported(tmp_path / "src") == ("Kratzer ü", "bild_ü.png")


@pytest.mark.parametrize(("encoding", "label", "image"), LOCAL)
@pytest.mark.parametrize("importer", [coco, voc, mvtec_fs])
def test_the_encoding_is_the_one_in_which_the_images_are_there_and_that_is_told(
    tmp_path, importer, encoding, label, image
):
    (problem,), missing = importer(tmp_path / "src", label, image, encoding, image)
    assert (problem.kind, problem.severity, missing) == ("encoding", "warning", ())
    assert "is not UTF-8 and was read as " in problem.message
    assert imported(tmp_path / "src") == (label, image)


@pytest.mark.parametrize(
    ("encoding", "label"),
    [(encoding, label) for encoding, label, _ in LOCAL if encoding != "cp949"]
    + [
        ("gbk", "凹陷"),
        ("gbk", "脏污"),
        ("cp932", "へこみ"),
        ("cp932", "汚れ"),
        ("cp1252", "Krötzer"),
        ("big5", "裂縫"),
    ],
)
@pytest.mark.parametrize("importer", [coco, voc, mvtec_fs])
def test_where_no_name_tells_the_most_usual_characters_do(tmp_path, importer, encoding, label):
    (problem,), _ = importer(tmp_path / "src", label, "0.png", encoding, "0.png")
    assert problem.kind == "encoding"
    assert imported(tmp_path / "src")[0] == label


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "cp932"])
def test_damage_to_detailed_annotations_does_not_pass_for_an_encoding(tmp_path, encoding):
    label = {"gbk": "划痕", "cp1252": "groß", "cp932": "キズ"}[encoding]
    with pytest.raises(FlawshotError, match=r"line 1, column \d+: is damaged \(not UTF-8\); save it again as UTF-8"):
        mpdd(tmp_path / "src", label, "0.png", encoding, "0.png")


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_refused(data):
    problems = []
    try:
        text = decoded(data, set, "a.json", problems)
    except FlawshotError:
        return
    text.encode()
    assert len(problems) <= 1


@pytest.mark.parametrize("importer", IMPORTERS)
@pytest.mark.parametrize(("named", "disk"), [(COMPOSED, PARTED), (PARTED, COMPOSED)])
def test_images_are_found_whatever_form_their_names_have(tmp_path, importer, named, disk):
    told = importer(tmp_path / "src", "dent", named, "utf-8", disk)
    assert told == ((), ())
    assert imported(tmp_path / "src") == ("dent", disk)


@pytest.mark.parametrize("importer", IMPORTERS)
@pytest.mark.parametrize(
    ("named", "disk"),
    [
        ("p0.png ", "p0.png"),
        ("\ufeffp0.png", "p0.png"),
        ("p\u00a00.png", "p 0.png"),
        ("p 0.png", "p\u202f0.png"),
        ("\u753b\u50cf\u30001.png", "\u753b\u50cf\u30001.png"),
        ("bild%20%C3%BC.png", "bild \u00fc.png"),
        ("P0.PNG", "p0.png"),
    ],
)
def test_odd_blanks_and_escapes_do_not_hide_an_image(tmp_path, importer, named, disk):
    told = importer(tmp_path / "src", "dent", named, "utf-8", disk)
    assert told == ((), ())
    assert imported(tmp_path / "src") == ("dent", disk)


def test_of_names_that_differ_in_blanks_alone_each_has_its_own_image(tmp_path):
    home = tmp_path / "src"
    names = ["a b.png", "a  b.png"]
    document = {
        "images": [
            {"id": n, "file_name": f"/x/{name}", "width": WIDTH, "height": HEIGHT} for n, name in enumerate(names)
        ],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [5, 5, 7, 8]} for n in range(len(names))],
        "categories": [{"id": 1, "name": "dent"}],
    }
    for number, name in enumerate(names):
        draw(home / "deep/er" / name)
        Image.new("L", (WIDTH, HEIGHT), number).save(home / "deep/er" / name)
    (home / "result.json").write_text(json.dumps(document), encoding="utf-8")
    found = import_coco(home, tmp_path / "out")
    assert (found.files, found.images, found.problems) == (2, 2, ())
    for name in names:
        (copied,) = (tmp_path / "out").rglob(name)
        assert copied.read_bytes() == (home / "deep/er" / name).read_bytes()


@pytest.mark.parametrize("importer", IMPORTERS)
@pytest.mark.parametrize(
    "label", ["  B\u00fcrste", "Bu\u0308rste\u00a0", "\ufeffB\u00fcrste\u200b ", "\u3000Bu\u0308rste"]
)
def test_labels_come_in_one_form_without_blanks_around(tmp_path, importer, label):
    importer(tmp_path / "src", label, "0.png", "utf-8", "0.png")
    assert imported(tmp_path / "src")[0] == "B\u00fcrste"


@pytest.mark.parametrize("turned", ["category", "mask"])
def test_masks_belong_to_their_images_whatever_form_their_names_have(tmp_path, turned):
    home = tmp_path / "bolt"
    category, name = "B\u00fcrste", "\u00e9"
    parted = {each: unicodedata.normalize("NFD", each) for each in (category, name)}
    draw(home / "test" / category / f"{name}.png")
    folder = parted[category] if turned == "category" else category
    mask = home / "ground_truth" / folder / f"{parted[name]}_mask.png"
    mask.parent.mkdir(parents=True)
    image = Image.new("L", (WIDTH, HEIGHT))
    image.paste(255, (3, 3, 9, 9))
    image.save(mask)
    found = import_masks(home, tmp_path / "out", layout="mvtec-ad")
    assert (found.categories, found.problems) == ((category,), ())


def test_a_labelme_files_image_is_found_in_the_other_form(tmp_path):
    shape = {"label": "dent", "shape_type": "rectangle", "points": [[2, 2], [9, 9]]}
    for number, (named, disk) in enumerate([(COMPOSED, PARTED), (PARTED, COMPOSED)]):
        draw(tmp_path / f"p/{number}/{disk}")
        document = {"imagePath": named, "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": [shape]}
        (tmp_path / f"p/{number}/a.json").write_text(json.dumps(document), encoding="utf-8")
    catalog = Catalog.open(tmp_path)
    assert catalog.problems == ()
    assert sorted(instance.image for instance in catalog) == [f"p/0/{PARTED}", f"p/1/{COMPOSED}"]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("B\u00fcrste", "Bu\u0308rste", "only in what cannot be seen"),
        ("dent", "dent\u200b", "only in what cannot be seen"),
        ("\u30ac\u30b9", "\u30ab\u3099\u30b9", "only in what cannot be seen"),
        ("A1", "\uff21\uff11", "width"),
        ("d\u00e9nt a", "D\u00c9NT_A", "case"),
    ],
)
def test_two_forms_of_one_label_are_told(tmp_path, one, other, said):
    draw(tmp_path / "p/a.png")
    shapes = [{"label": label, "shape_type": "rectangle", "points": [[2, 2], [9, 9]]} for label in (one, other)]
    document = {"imagePath": "a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes}
    (tmp_path / "p/a.json").write_text(json.dumps(document), encoding="utf-8")
    (problem,) = similar_labels(Catalog.open(tmp_path))
    assert said in problem.message
    if "seen" in said:
        assert ascii(other) in problem.message


@pytest.mark.parametrize(
    ("stated", "encoding", "label"),
    [
        ("gb2312", "gb2312", "划痕"),
        ("GBK", "gbk", "镕"),
        ("Shift_JIS", "cp932", "キズ①"),
        ("x-sjis", "cp932", "傷"),
        ("EUC-JP", "euc_jp", "へこみ"),
        ("EUC-KR", "euc_kr", "긁힘"),
        ("Big5", "big5", "刮痕"),
        ("windows-1252", "cp1252", "groß"),
        ("iso-8859-1", "latin-1", "é"),
        ("UTF-16", "utf-16", "ü"),
    ],
)
def test_the_encoding_that_xml_states_is_used_and_nothing_is_told(tmp_path, stated, encoding, label):
    start = f'<?xml version="1.0" encoding="{stated}"?>\n'
    assert voc(tmp_path / "src", label, "0.png", encoding, "0.png", start) == ((), ())
    assert imported(tmp_path / "src")[0] == label


@pytest.mark.parametrize(
    ("stated", "encoding", "label"), [("utf-8", "gbk", "划痕"), ("UTF-8", "cp1252", "groß"), ("utf-16", "utf-8", "ü")]
)
def test_where_xml_states_another_encoding_than_it_has_that_is_told(tmp_path, stated, encoding, label):
    start = f'<?xml version="1.0" encoding="{stated}"?>'
    (problem,), _ = voc(tmp_path / "src", label, "0.png", encoding, "0.png", start)
    assert problem.kind == "encoding"
    assert imported(tmp_path / "src")[0] == label


@pytest.mark.parametrize(
    ("written", "label", "told"),
    [
        ("a &amp; b &#252; &lt;x&gt;", "a & b ü <x>", 0),
        ("Gr&ouml;&szlig;e", "Größe", 1),
        ("a & b", "a & b", 1),
        ("a &nosuch; b", "a &nosuch; b", 1),
        ("a&LT;b", "a&LT;b", 1),
        ("&eacute;raflure & Co &amp; x", "éraflure & Co & x", 1),
    ],
)
def test_entities_of_html_and_bare_ampersands_are_read(tmp_path, written, label, told):
    problems, _ = voc(tmp_path / "src", written, "0.png", "utf-8", "0.png")
    assert [problem.kind for problem in problems] == ["entity"] * told
    assert imported(tmp_path / "src")[0] == label


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk"])
@pytest.mark.parametrize(
    ("stem", "line"),
    [
        ("图像1", "图像1"),
        ("a b", "a b"),
        ("a", "a  -1"),
        ("a b", "a b 1"),
        ("0", "JPEGImages/0.JPG"),
        ("0", "D:\\set\\0.png"),
        ("a 1", "a 1"),
        ("é", "e\u0301  "),
    ],
)
def test_lists_of_splits_are_read_in_any_encoding_with_blanks_and_paths(tmp_path, encoding, stem, line):
    if encoding == "gbk":
        try:
            line.encode("gbk")
        except UnicodeEncodeError:
            line = unicodedata.normalize("NFC", line)
    home = tmp_path / "src"
    voc(home, "dent", "", "utf-8", f"{stem}.png")
    (home / "Annotations/own.xml").rename(home / f"Annotations/{stem}.xml")
    (home / "ImageSets/Main").mkdir(parents=True)
    (home / "ImageSets/Main/train.txt").write_bytes(f"other\r\n{line}\r\n".encode(encoding))
    import_voc(home, tmp_path / "second")
    written = [path.relative_to(tmp_path / "second").as_posix() for path in (tmp_path / "second").rglob("*.json")]
    assert written == [f"src/train/{stem}.json"]


def test_the_names_that_are_there_decide_against_the_usual_characters():
    data = "스크래치 이미지.png".encode("cp949")
    readings = [NamedText(*reading) for reading in decodings(data)]
    assert readings[likeliest(readings, ())].encoding == "gb18030"
    data = '"스크래치" "이미지.png"'.encode("cp949")
    readings = [NamedText(*reading) for reading in decodings(data)]
    assert readings[likeliest(readings, {name_key("이미지.png")})].encoding == "cp949"


@given(st.text())
def test_plain_text_is_plain_already(text):
    assert plain_text(plain_text(text)) == plain_text(text)
