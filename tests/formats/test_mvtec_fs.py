"""MVTec-FS's tables become Labelme files."""

from __future__ import annotations

import csv
import json

import pytest
from PIL import Image

from flawshot import Catalog, FlawshotError, import_mvtec_fs, read_labelme, read_mvtec_fs

HEADER = "imageName,imageData,imageHeight,imageWidth,img_id,part,id,img_rel_path,x1,x2,y1,y2,label,rank,points"


def row(
    path="training/combined/000.png", label="scratch", points="[[1, 1], [9, 1], [9, 9.5]]", height="40", width="50.0"
):
    name = path.rpartition("/")[2]
    return f'{name},,{height},{width},1,nut,1,{path},,,,,{label},-1,"{points}"'


@pytest.fixture
def source(tmp_path):
    def make(train=None):
        folder = tmp_path / "src" / "CONFIG" / "nut_config1"
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("train", train or [row()]), ("valid", [row("testing/bent/001.png", "bent")])):
            (folder / f"{name}.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
        return tmp_path / "src"

    return make


def test_rows_of_an_image_become_its_shapes_in_order_with_the_rows_labels(source, tmp_path):
    rows = [
        row(label="scratch"),
        row(label="bent", points="[[5, 5], [7, 5], [7, 8]]"),
        row("training/bent/002.png", "bent"),
    ]
    found = import_mvtec_fs(source(rows), tmp_path / "out")
    assert (found.files, found.images, found.instances) == (3, 0, 4)
    assert (found.products, found.categories) == (("nut",), ("bent", "scratch"))
    file = read_labelme(tmp_path / "out/nut/training/combined/000.json")
    assert [shape.label for shape in file.shapes] == ["scratch", "bent"]
    assert file.shapes[0].points.tolist() == [[1, 1], [9, 1], [9, 9.5]]
    assert (file.image_path, file.image_height, file.image_width) == ("000.png", 40, 50)
    assert (tmp_path / "out/nut/testing/bent/001.json").is_file()


def test_images_are_copied_beside_their_files_where_the_source_has_them(source, tmp_path):
    src = source()
    image = src / "image/nut/training/combined/000.png"
    image.parent.mkdir(parents=True)
    Image.new("L", (50, 40)).save(image)
    found = import_mvtec_fs(src, tmp_path / "out")
    assert (found.files, found.images, found.problems) == (2, 1, ())
    (missing,) = found.missing
    assert str(missing) == ("nut/testing/bent/001.json: the image 001.png was not found; say where it is with images")
    assert (tmp_path / "out/nut/training/combined/000.png").read_bytes() == image.read_bytes()
    kinds = [problem.file for problem in Catalog.open(tmp_path / "out").problems]
    assert kinds == ["nut/testing/bent/001.json"]


def test_links_out_of_the_source_are_not_followed(source, tmp_path):
    src = source()
    Image.new("L", (50, 40)).save(tmp_path / "secret.png")
    image = src / "image/nut/training/combined/000.png"
    image.parent.mkdir(parents=True)
    image.symlink_to(tmp_path / "secret.png")
    found = import_mvtec_fs(src, tmp_path / "out")
    assert (found.files, found.images) == (2, 0)
    assert [(problem.file, problem.kind) for problem in found.problems] == [(str(image), "link")]
    assert not list((tmp_path / "out").rglob("*.png"))
    table = src / "CONFIG/nut_config1/valid.csv"
    table.rename(tmp_path / "valid.csv")
    table.symlink_to(tmp_path / "valid.csv")
    with pytest.raises(FlawshotError, match=r"valid\.csv: is a link to outside the folder"):
        import_mvtec_fs(src, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_second_import_changes_nothing_and_a_corrected_file_is_never_replaced(source, tmp_path):
    src, out = source(), tmp_path / "out"
    import_mvtec_fs(src, out)
    import_mvtec_fs(src, out)
    path = out / "nut/training/combined/000.json"
    document = json.loads(path.read_text())
    document["shapes"][0]["label"] = "corrected"
    path.write_text(json.dumps(document))
    with pytest.raises(FlawshotError, match="exists with different content"):
        import_mvtec_fs(src, out)
    assert read_labelme(path).shapes[0].label == "corrected"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(points="__import__('os').system('touch /tmp/flawshot-was-here')")], "row 2: points is not a list"),
        ([row(), row(points="[[1, 1], [2, 2]]")], "row 3: a polygon has at least 3 points"),
        ([row(points="")], "row 2: points"),
        ([row("../../etc/000.png")], "must be training"),
        ([row("training/../../x/000.png")], "must be training"),
        ([row("elsewhere/x/000.png")], "must be training"),
        ([row(height="tall")], "row 2: imageHeight must be a number"),
        ([row(width="nan")], "row 2: imageWidth must be a number"),
        (["just,two"], "cannot be read as an MVTec-FS table"),
        ([row("testing/x/000.png")], "must be training"),
        ([row(), row(height="41")], "row 3: imageHeight and imageWidth are not those"),
        ([row(label="")], "row 2: label is empty"),
        ([row(), row("training/combined/000.jpg")], "row 3: .* would be the same file"),
    ],
)
def test_a_bad_row_is_one_line_with_its_number_and_is_never_run(source, rows, message):
    with pytest.raises(FlawshotError, match=message) as caught:
        list(read_mvtec_fs(source(rows)))
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_mvtec_fs_is_refused(tmp_path):
    with pytest.raises(FlawshotError, match="is not MVTec-FS"):
        list(read_mvtec_fs(tmp_path))


def test_every_published_row_arrives(mvtec_fs, mvtec_fs_catalog):
    """Against the tables read by Python's own csv module: label, box and product of every row, in order."""
    csv.field_size_limit(10**7)
    expected = []
    for path in sorted(mvtec_fs.glob("CONFIG/*/*.csv")):
        with path.open(newline="") as opened:
            expected += [
                (f"{row['part']}/{row['img_rel_path'][:-4]}.json", row["label"], float(row["x1"]), float(row["y2"]))
                for row in csv.DictReader(opened)
            ]
    got = []
    for instance in mvtec_fs_catalog:
        (shape,) = instance.shapes
        got.append(
            (instance.annotation, instance.category, float(shape.points[:, 0].min()), float(shape.points[:, 1].max()))
        )
    assert sorted(got) == sorted(expected)
    assert not mvtec_fs_catalog.problems


def test_the_written_files_make_the_same_catalog_as_the_tables(mvtec_fs, mvtec_fs_catalog, tmp_path):
    import_mvtec_fs(mvtec_fs, tmp_path / "fs")
    catalog = Catalog.from_folder(tmp_path / "fs")
    assert catalog.table.equals(mvtec_fs_catalog.table)
    assert {problem.kind for problem in catalog.problems} == {"missing-image"}


def test_a_folder_without_a_products_name_writes_nothing_anywhere(source, tmp_path):
    src = source()
    (src / "CONFIG/nut_config1").rename(src / "CONFIG/_config1")
    with pytest.raises(FlawshotError, match="names no product"):
        import_mvtec_fs(src, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_of_another_size_is_told(source, tmp_path):
    src = source()
    image = src / "image/nut/training/combined/000.png"
    image.parent.mkdir(parents=True)
    Image.new("L", (50, 41)).save(image)
    (problem,) = import_mvtec_fs(src, tmp_path / "out").problems
    assert (problem.kind, problem.severity) == ("image-size", "warning")
    assert "has 50 x 41 px, not 50 x 40 as stated" in problem.message


def test_tables_without_rows_are_refused(source, tmp_path):
    src = source()
    for table in (src / "CONFIG/nut_config1").iterdir():
        table.write_text(f"{HEADER}\n", encoding="utf-8")
    with pytest.raises(FlawshotError, match="contains no usable annotation"):
        import_mvtec_fs(src, tmp_path / "out")
