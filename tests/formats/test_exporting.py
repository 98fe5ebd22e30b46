"""What all exports of data sets share: their folder, images, and which images are good."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import flawshot
from export_data import SIDE, picture, png, shape, write
from flawshot import FlawshotError
from flawshot.formats.export_images import export_images
from flawshot.formats.exporting import RECORD, export_folder, write_image

BOX = shape("dent", "rectangle", [[1, 1], [5, 5]])


def listed(data, **options):
    problems = []
    catalog = flawshot.Catalog.open(data)
    made = {image.path: len(image.regions) for image in export_images(catalog, problems, **options)}
    return made, [(problem.kind, problem.file) for problem in problems]


def fill(out, **options):
    with export_folder(out, "coco", data=None, **options) as folder:
        (folder / "a").mkdir()
        (folder / "a/b.txt").write_text("new")


def test_a_folder_is_whole_or_not_there(tmp_path):
    def fail():
        with export_folder(tmp_path / "out", "coco", data=None, overwrite=False) as folder:
            (folder / "a").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(FlawshotError, match="out: cannot be written"):
        fail()
    assert not list(tmp_path.iterdir())


def test_only_an_export_is_replaced_and_only_if_asked_for(tmp_path):
    out = tmp_path / "out"
    fill(out, overwrite=False)
    with pytest.raises(FlawshotError, match="exists; name another folder, move it away, or add overwrite=True"):
        fill(out, overwrite=False)
    fill(out, overwrite=True)
    assert sorted(path.name for path in out.rglob("*")) == [RECORD, "a", "b.txt"]
    (out / "a/train.cache").write_text("left by Ultralytics")
    fill(out, overwrite=True)
    assert not (out / "a/train.cache").exists()
    (out / "a/mine.txt").write_text("x")
    with pytest.raises(FlawshotError, match=r"mine\.txt: is not part of the export; move it away"):
        fill(out, overwrite=True)
    assert (out / "a/mine.txt").read_text() == "x"
    (out / RECORD).unlink()
    with pytest.raises(FlawshotError, match="was not written by an export; move it away"):
        fill(out, overwrite=True)
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "empty", overwrite=False)


def test_an_export_is_not_put_into_the_data(tmp_path):
    with (
        pytest.raises(FlawshotError, match=r"coco: is in the data folder .*; name a folder elsewhere"),
        export_folder(tmp_path / "coco", "coco", data=tmp_path, overwrite=False),
    ):
        pass


def rotated(path, orientation=6, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture(1).save(path, exif=exif, **options)


def test_a_turned_image_becomes_upright(tmp_path):
    rotated(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert write_image(tmp_path / "a.jpg", tmp_path / "b.jpg", link=True)
    with Image.open(tmp_path / "b.jpg") as made, Image.open(tmp_path / "a.jpg") as own:
        assert made.format == "JPEG"
        assert made.size == (own.height, own.width)
        assert made.getexif().get(0x0112, 1) == 1
        turned = np.rot90(np.asarray(own), -1).astype(int)
        assert np.abs(np.asarray(made).astype(int) - turned).mean() < 12


def test_a_turned_png_keeps_its_pixels(tmp_path):
    rotated(tmp_path / "a.png", orientation=3)
    assert write_image(tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as made:
        assert np.array_equal(np.asarray(made), np.asarray(picture(1))[::-1, ::-1])
        assert made.getexif().get(0x0112, 1) == 1


def test_images_are_copied_linked_or_converted(tmp_path):
    picture(1).save(tmp_path / "a.png")
    assert not write_image(tmp_path / "a.png", tmp_path / "new/b.png")
    assert (tmp_path / "new/b.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    write_image(tmp_path / "a.png", tmp_path / "c.png", link=True)
    assert (tmp_path / "c.png").samefile(tmp_path / "a.png")
    write_image(tmp_path / "a.png", tmp_path / "d.bmp", link=True)
    with Image.open(tmp_path / "d.bmp") as made:
        assert made.format == "BMP"
        assert np.array_equal(np.asarray(made), np.asarray(picture(1)))
    buffer = io.BytesIO()
    picture(2).save(buffer, format="PNG")
    write_image(buffer.getvalue(), tmp_path / "e.png")
    assert (tmp_path / "e.png").read_bytes() == buffer.getvalue()


def test_images_of_more_than_8_bits_are_the_same_files(tmp_path):
    deep = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80) * 13
    Image.fromarray(deep).save(tmp_path / "a.png")
    write_image(tmp_path / "a.png", tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_which_images_are_good(tmp_path):
    data = tmp_path / "d"
    write(data, "p/a.json", [BOX])
    write(data, "p/empty.json", [])
    write(data, "p/damaged.json", [shape("dent", "polygon", [[1, 1]])])
    (data / "p/not.json").write_text("{")
    picture(1).save(data / "p/not.png")  # may show a flaw
    (data / "p/Good/deep").mkdir(parents=True)
    picture(1).save(data / "p/Good/deep/x.png")
    picture(1).save(data / "p/bare.png")
    write(data, "q/b.json", [BOX])
    made, problems = listed(data)
    assert made == {"p/a.png": 1, "p/empty.png": 0, "p/Good/deep/x.png": 0, "q/b.png": 1}
    assert problems == [("unannotated", str(data))]
    catalog = flawshot.Catalog.open(data).select(["q"])
    assert [image.path for image in export_images(catalog, [])] == ["q/b.png"]


def test_a_further_folder_of_good_images(tmp_path):
    data = tmp_path / "d"
    write(data, "a.json", [BOX])
    (tmp_path / "fine/in").mkdir(parents=True)
    picture(1).save(tmp_path / "fine/in/a.png")
    write(tmp_path / "fine", "flawed.json", [BOX])
    made, problems = listed(data, good=tmp_path / "fine")
    assert made == {"a.png": 1, "good/in/a.png": 0}
    assert [kind for kind, _ in problems] == ["annotated"]
    with pytest.raises(FlawshotError, match=r"good='.*gone': is not a folder"):
        listed(data, good=tmp_path / "gone")


def test_earlier_exports_in_the_data_are_no_images_of_it(tmp_path):
    data = tmp_path / "d"
    write(data, "a.json", [BOX])
    with export_folder(tmp_path / "out", "yolo", data=None, overwrite=False) as folder:
        (folder / "good").mkdir()
        picture(1).save(folder / "good/a.png")
    (tmp_path / "out").rename(data / "out")
    assert listed(data) == ({"a.png": 1}, [])


def test_images_that_cannot_be_used_are_said(tmp_path):
    data = tmp_path / "d"
    for name in ("gone", "small", "damaged"):
        write(data, f"{name}.json", [BOX])
    write(data, "fine.json", [BOX])
    (data / "gone.png").unlink()
    Image.new("L", (7, 8)).save(data / "small.png")
    (data / "damaged.png").write_bytes(b"no image")
    made, problems = listed(data)
    assert made == {"fine.png": 1}
    assert problems == [("image", "damaged.png"), ("image", "gone.png"), ("image-size", "small.png")]


def test_embedded_images_of_one_name_are_apart(tmp_path):
    data = tmp_path / "d"
    for seed in (1, 2):
        write(data, f"{seed}.json", [BOX], image="", imageData=png(np.asarray(picture(seed))))
        document = json.loads((data / f"{seed}.json").read_text())
        (data / f"{seed}.json").write_text(json.dumps(document | {"imagePath": "img.png"}))
    images = list(export_images(flawshot.Catalog.open(data), []))
    assert [image.path for image in images] == ["1.png", "2.png"]
    for seed, image in enumerate(images, start=1):
        with Image.open(io.BytesIO(image.source)) as opened:
            assert opened.size == SIDE[::-1]
            assert np.array_equal(np.asarray(opened), np.asarray(picture(seed)))


def test_a_catalog_without_its_folder_is_one_line(tmp_path):
    write(tmp_path / "d", "a.json", [BOX])
    catalog = flawshot.Catalog(flawshot.Catalog.open(tmp_path / "d").table)
    with pytest.raises(FlawshotError, match="the catalog has no data folder"):
        list(export_images(catalog, []))


def test_a_saved_catalog_has_its_images_beside_it(tmp_path):
    write(tmp_path / "d", "a.json", [BOX])
    flawshot.Catalog.open(tmp_path / "d").save(tmp_path / "d/catalog.parquet")
    made, problems = listed(Path(tmp_path / "d/catalog.parquet"))
    assert (made, problems) == ({"a.png": 1}, [])
