"""Tables with one row per box become Labelme files; this covers ``column_names`` and ``table_rows``, too."""

from __future__ import annotations

import pytest

from flawshot import Catalog, FlawshotError, import_csv, read_labelme
from flawshot.formats.column_names import named_columns


def kinds(found):
    return [problem.kind for problem in found.problems]


def boxes(root):
    return [(instance.category, instance.box) for instance in Catalog.open(root)]


def written(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.json"))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        pytest.param("filename,width,height,class,xmin,ymin,xmax,ymax", "a.png,40,30,dent,1,2,9,8", id="tensorflow"),
        pytest.param("image,label,x,y,width,height", "a.png,dent,1,2,8,6", id="corner and size"),
        pytest.param("Image Name;Class Name;X;Y;W;H", "a.png;dent;1;2;8;6", id="capitals, blanks and semicolons"),
        pytest.param("path\ttype\tleft\ttop\tright\tbottom", "a.png\tdent\t1\t2\t9\t8", id="tabs"),
        pytest.param("frame,xmin,xmax,ymin,ymax,class_id", "a.png,1,9,2,8,dent", id="class_id alone"),
        pytest.param("file,category,x0,y0,x1,y1", "a.png,dent,1,2,9,8", id="from zero"),
        pytest.param("file,category,x1,y1,x2,y2", "a.png,dent,1,2,9,8", id="from one"),
        pytest.param("image_id,width,height,bbox,label", 'a,40,30,"[1.0, 2.0, 8.0, 6.0]",dent', id="one column"),
        pytest.param("image,label,bbox_x,bbox_y,bbox_width,bbox_height", "a.png,dent,1,2,8,6", id="bbox"),
        pytest.param("label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height",
                     "dent,1,2,8,6,a.png,40,30", id="makesense"),
        pytest.param("sep=;\nfile;label;left;top;width;height", "a.png;dent;1;2;8;6", id="excel"),
    ],
)  # fmt: skip
def test_usual_columns_are_recognized(make_source, tmp_path, header, row):
    found = import_csv(make_source({"boxes.csv": f"{header}\n{row}\n"}, ["a.png"]), tmp_path / "out")
    assert (boxes(tmp_path / "out"), found.problems, found.images) == ([("dent", (1, 2, 9, 8))], (), 1)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ("image=foto,label=art", "foto,art,xmin,ymin,xmax,ymax\na.png,dent,1,2,9,8\n"),
        ("image=Foto, xmin=l,ymin=o,width=b,height=h,x=l,y=o", "Foto,label,l,o,b,h\na.png,dent,1,2,8,6\n"),
        ("image,xmin,ymin,xmax,ymax,label", "a.png,1,2,9,8,dent\n"),
    ],
)
def test_other_columns_are_named(make_source, tmp_path, columns, text):
    import_csv(make_source({"b.csv": text}, ["a.png"]), tmp_path / "out", columns=columns)
    assert boxes(tmp_path / "out") == [("dent", (1, 2, 9, 8))]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("imag=a", "'imag' is not known; the fields are image, label, xmin"),
        ("image=", "must be FIELD=COLUMN"),
        ("image,,label", "must be FIELD=COLUMN"),
    ],
)
def test_columns_that_are_none_are_one_line(columns, said):
    with pytest.raises(FlawshotError, match=said):
        named_columns(columns)


def test_a_table_without_the_columns_names_those_that_it_has(make_source, tmp_path):
    src = make_source({"b.csv": "foto,xmin\na.png,1\n"})
    with pytest.raises(FlawshotError, match=r"b\.csv: has the columns foto, xmin .*columns='image=NAME,label=NAME,…'"):
        import_csv(src / "b.csv", tmp_path / "out")
    with pytest.raises(FlawshotError, match=r"b\.csv: has the columns foto, xmin"):
        import_csv(src / "b.csv", tmp_path / "out", columns="image=picture")


def test_rows_without_a_box_are_images_without_a_flaw_and_unused_columns_are_said(make_source, tmp_path):
    text = "image,label,x,y,w,h,who,score\na.png,dent,1,2,8,6,me,0.5\nb.png,,,,,,me,\n"
    found = import_csv(make_source({"b.csv": text}, ["a.png", "b.png"]), tmp_path / "out")
    assert [str(problem) for problem in found.problems] == ["b.csv: the columns who are not used"]
    files = [read_labelme(tmp_path / f"out/src/{name}.json") for name in "ab"]
    assert [len(file.shapes) for file in files] == [1, 0]
    assert files[0].shapes[0].other == {"score": 0.5}


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        ("a.png,dent,nan,2,9,8", "annotation", "line 3: xmin: 'nan' is not a finite number"),
        ("a.png,dent,1,2,1e999,8", "annotation", "line 3: xmax: '1e999' is not a finite number"),
        ("a.png,dent,1,,9,8", "annotation", "line 3: ymin: '' is not a finite number"),
        ("a.png,dent,9,2,1,8", "annotation", r"line 3: covers no area: its corners are [9, 2] and [1, 8]"),
        ("a.png,dent,1,2,1,8", "annotation", "line 3: covers no area"),
        ("a.png,dent,50,2,60,8", "outside", "line 3: lies outside the image of 40 x 30 px"),
        ("a.png,dent,-9,2,-1,8", "outside", "line 3: lies outside the image of 40 x 30 px"),
        ("a.png,dent,1,2,9,8", "duplicate", "line 3: repeats b.csv: line 2"),
        (",dent,1,2,9,8", "image", "line 3: column image names no image"),
    ],
)
def test_a_row_that_is_none_is_left_out_and_said(make_source, tmp_path, row, kind, said):
    text = f"image,label,xmin,ymin,xmax,ymax\na.png,dent,1,2,9,8\n{row}\n"
    found = import_csv(make_source({"b.csv": text}, ["a.png"]), tmp_path / "out")
    (problem,) = found.problems
    assert (problem.kind, found.instances) == (kind, 1)
    assert said in str(problem)
    assert str(problem).endswith("; it is left out")


def test_what_reaches_beyond_the_image_is_clipped_and_said(make_source, tmp_path):
    text = "image,label,xmin,ymin,xmax,ymax\na.png,dent,-3,2,90,8\na.png,dent,0,0,40.2,30\n"
    found = import_csv(make_source({"b.csv": text}, ["a.png"]), tmp_path / "out")
    assert boxes(tmp_path / "out") == [("dent", (0, 2, 40, 8)), ("dent", (0, 0, 40, 30))]
    assert [str(problem) for problem in found.problems] == [
        "b.csv: line 2: reaches beyond the image of 40 x 30 px and is clipped"
    ]


def test_shares_are_refused_unless_they_are_said_to_be(make_source, tmp_path):
    src = make_source({"b.csv": "ImageID,XMin,XMax,YMin,YMax,LabelName\na,0.1,0.5,0.2,0.6,dent\n"}, ["a.png"])
    with pytest.raises(
        FlawshotError, match="seem to be shares of the image's size, and not px; if so, add shares=True"
    ):
        import_csv(src / "b.csv", tmp_path / "out")
    import_csv(src, tmp_path / "out", shares=True)
    assert boxes(tmp_path / "out") == [("dent", (4, 6, 20, 18))]


def test_split_and_product_come_from_columns_names_and_folders(make_source, tmp_path):
    head = "image,label,x,y,w,h"
    files = {
        "test_labels.csv": f"{head}\na.png,dent,1,2,8,6\n",
        "bolt/val/b.csv": f"{head}\nb.png,dent,1,2,8,6\n",
        "c.csv": f"{head},split,product\nc.png,dent,1,2,8,6,validation,nut\nd.png,dent,1,2,8,6,odd,nut\n",
    }
    found = import_csv(make_source(files, [f"{name}.png" for name in "abcd"]), tmp_path / "out")
    assert written(tmp_path / "out") == ["bolt/val/b.json", "nut/d.json", "nut/val/c.json", "src/test/a.json"]
    assert [str(problem) for problem in found.problems] == [
        "c.csv: line 3: its split 'odd' is none of train, test and val; it gets none"
    ]
    import_csv(tmp_path / "src/test_labels.csv", tmp_path / "out2", product="gear")
    assert written(tmp_path / "out2") == ["gear/test/a.json"]


VIA = """filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes
a.png,12,"{}",2,0,"{""name"":""rect"",""x"":1,""y"":2,""width"":8,""height"":6}","{""defect"":""dent""}"
a.png,12,"{}",2,1,"{""name"":""rect"",""x"":","{}"
b.png,12,"{}",0,0,"{}","{}"
"""


def test_tables_of_the_vgg_image_annotator_are_read(make_source, tmp_path):
    found = import_csv(make_source({"via.csv": VIA}, ["a.png", "b.png"]), tmp_path / "out")
    assert boxes(tmp_path / "out") == [("dent", (1, 2, 9, 8))]
    assert [str(problem) for problem in found.problems] == [
        "via.csv: line 3: its attributes are not JSON; it is left out"
    ]
    assert len(written(tmp_path / "out")) == 2


@pytest.mark.parametrize("name", ["../../x.png", "..\\x.png", "{outside}/x.png", "/etc/passwd"])
def test_paths_that_lead_out_of_the_folder_reach_nothing_there(make_source, tmp_path, name):
    make_source(images=["x.png"], name="outside")
    text = f"image,label,x,y,w,h\n{name.format(outside=tmp_path / 'outside')},dent,1,2,8,6\n"
    found = import_csv(make_source({"b.csv": text}), tmp_path / "out")
    assert (found.images, len(found.missing)) == (0, 1)
    assert all(place.startswith("src/") for place in written(tmp_path / "out"))


def test_the_encoding_is_that_of_the_images_and_is_said(make_source, tmp_path):
    text = "image,label,x,y,w,h\n划痕.png,凹陷,1,2,8,6\n".encode("gbk")
    found = import_csv(make_source({"b.csv": text}, ["划痕.png"]), tmp_path / "out")
    assert (found.categories, kinds(found)) == (("凹陷",), ["encoding"])


def test_images_of_one_name_and_sizes_that_differ_are_said(make_source, tmp_path):
    text = "image,label,x,y,w,h,image_width,image_height\na.png,dent,1,2,8,6,40,30\na.png,dent,2,2,8,6,50,30\n"
    found = import_csv(make_source({"b.csv": text}, ["a.png"]), tmp_path / "out")
    assert [str(problem) for problem in found.problems] == [
        "b.csv: line 3: states another size of its image than b.csv: line 2; that one is used"
    ]


def test_a_file_in_the_folder_of_a_split_has_the_name_of_the_folder_above(make_source, tmp_path):
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,30,dent,1,2,9,8\n"
    src = make_source({"train/_annotations.csv": text}, ["train/a.png"])
    import_csv(src / "train/_annotations.csv", tmp_path / "out")
    import_csv(src, tmp_path / "out2")
    assert written(tmp_path / "out") == written(tmp_path / "out2") == ["src/train/a.json"]


def test_names_of_classes_count_before_their_numbers_and_run_lengths_are_another_format(make_source, tmp_path):
    src = make_source({"b.csv": "image,class,class_name,x,y,w,h\na.png,3,dent,1,2,8,6\n"}, ["a.png"])
    assert import_csv(src, tmp_path / "out").categories == ("dent",)
    src = make_source({"b.csv": "ImageId,ClassId,EncodedPixels\na.png,1,1 3\n"})
    with pytest.raises(FlawshotError, match="is a table of run lengths; read it with flawshot import rle"):
        import_csv(src / "b.csv", tmp_path / "out")


def test_tables_of_version_1_of_the_vgg_image_annotator(make_source, tmp_path):
    import_csv(make_source({"via.csv": f"#{VIA}"}, ["a.png", "b.png"]), tmp_path / "out")
    assert boxes(tmp_path / "out") == [("dent", (1, 2, 9, 8))]
