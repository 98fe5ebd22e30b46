"""The program beside an exported model: it crops and says what flawshot does, without torch and flawshot."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import flawshot
from flawshot.labelme.images import read_image
from flawshot.models.line_side.record import LineSideView
from flawshot.models.predicting import predict_catalog
from flawshot.regions.crops import INTERPOLATIONS, crop_views
from flawshot.regions.views import BORDERS, extent_of, make_scheme
from helpers import labelme_document

# Runs a program in which these cannot be imported, and says which packages it loaded.
BARE = """
import json, runpy, sys
BLOCKED = {"torch", "torchvision", "flawshot", "scipy", "sklearn", "pydantic", "pyarrow", "labelme", "open_clip",
           "timm", "onnx", "onnxscript", "pandas", "defusedxml", "safetensors", "typer", "rich"}
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not on this computer")
sys.meta_path.insert(0, Blocked())
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    loaded = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    assert not BLOCKED & loaded, BLOCKED & loaded
"""


def run_bare(folder, *arguments):
    """Run a folder's program where only numpy, Pillow and onnxruntime can be imported."""
    # The script's folder comes first on the path, as when it is run directly.
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{BARE}"]
    return subprocess.run(
        [*command, str(folder / "line_side.py"), str(folder), *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """Drawn parts as a line-side program gets them: more than 50 regions, without labels or with any."""
    place = tmp_path_factory.mktemp("drawn") / "line"
    flawshot.draw_data_set(place, categories=3, images=48, side=96, surface="wood", workers=1, seed=3)
    for number, path in enumerate(sorted(place.rglob("*.json"))):
        document = json.loads(path.read_bytes())
        for shape in document["shapes"]:
            shape["label"] = ("?", shape["label"], "=formula")[number % 3]
        path.write_text(json.dumps(document), encoding="utf-8")
    return place


def test_fifty_regions_get_what_flawshot_predict_says_where_torch_and_flawshot_cannot_be_imported(
    model, exported, line, tmp_path
):
    report = predict_catalog(model, flawshot.Catalog.open(line), tmp_path / "out")
    assert report.regions >= 50
    ended = run_bare(exported.out, line)
    assert (ended.stderr, ended.returncode) == ("", 0)
    found = list(csv.DictReader(io.StringIO(ended.stdout)))
    with (tmp_path / "out/predictions.csv").open(encoding="utf-8", newline="") as opened:
        expected = list(csv.DictReader(opened))
    assert list(found[0]) == list(expected[0])
    assert len(found) == len(expected) == report.regions
    numbers = ("probability", "runner_up_probability")
    for one, other in zip(found, expected, strict=True):
        for name in numbers:
            assert float(one.pop(name)) == pytest.approx(float(other.pop(name)), abs=1e-3)
        assert one == other


def test_json_says_the_same_and_more(exported, line):
    path = next(iter(sorted(line.rglob("*.json"))))
    ended = run_bare(exported.out, path, "--json")
    said = [json.loads(line) for line in ended.stdout.splitlines()]
    assert said
    assert said[0]["id"] == f"{path.name}#0"
    assert sum(said[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert said[0]["label"] == max(said[0]["probabilities"], key=said[0]["probabilities"].get)


def test_a_pipe_that_is_closed_early_is_no_error(exported, line):
    command = [sys.executable, str(exported.out / "line_side.py"), str(exported.out), str(line), "--batch", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ended:
        assert ended.stdout.readline().startswith(b"id,image")
        ended.stdout.close()
        assert ended.stderr.read() == b""
    assert ended.returncode in {0, 1}  # 0 if all fitted into the pipe


def test_a_program_may_ask_about_an_image_and_a_mask(model, exported, parts, programs):
    line_side, _ = programs
    asked = line_side.LineSide(exported.out)
    instance = flawshot.Catalog.open(parts)[0]
    path, mask = parts / instance.image, instance.region().full_mask(instance.image_height, instance.image_width)
    expected = model.predict([path], [mask])[0]
    for image in (path, str(path), Image.open(path), np.asarray(Image.open(path).convert("RGB"))):
        said = asked.predict(image, mask)
        assert said.label == expected.label
        assert said.categories == expected.categories
        assert said.probability == pytest.approx(expected.probability, abs=1e-3)
    for wrong in (mask[1:], np.zeros_like(mask)):
        with pytest.raises(line_side.Mistake, match="the mask must be of the image's size"):
            asked.predict(path, wrong)


# Crops and masks, pixel for pixel.


def cropper(line_side, scheme, side, interpolation):
    """The program's cropping for any views, without a model."""
    made = object.__new__(line_side.LineSide)
    made.side, made.filter = side, Image.Resampling[interpolation.upper()]
    made.views = [view.model_dump() for view in LineSideView.all_of(scheme)]
    made.about = {"border": scheme.border}
    return made


def mask_text(rng, height, width):
    pixels = np.zeros((height, width), dtype=bool)
    for _ in range(height * width // 2):
        pixels[rng.randrange(height), rng.randrange(width)] = True
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return base64.b64encode(out.getvalue()).decode()


def drawn_shapes(rng, width, height):
    """One shape of each type at random places, some of them partly outside the image, two of them in a group."""

    def point():
        return [rng.uniform(-0.15, 1.1) * width, rng.uniform(-0.15, 1.1) * height]

    counts = {"polygon": 5, "rectangle": 2, "oriented_rectangle": 4, "circle": 2, "line": 2, "linestrip": 4}
    counts |= {"point": 1, "points": 3, "mask": 2, "quadrilateral": 4, "rotation": 4}
    shapes = []
    for kind, count in counts.items():
        points = [point() for _ in range(count)]
        mask = None
        if kind == "mask":
            left, top = rng.randrange(-5, width), rng.randrange(-5, height)
            points, mask = [[left, top], [left + 8, top + 6]], mask_text(rng, 7, 9)
        shapes.append({"label": rng.choice("ab"), "points": points, "shape_type": kind, "mask": mask, "flags": {}})
    (x0, y0), (x1, y1) = point(), point()
    corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    four = (corners, [*corners, corners[0]], [point() for _ in range(4)])  # as X-AnyLabeling writes them
    shapes += [{"label": "a", "points": points, "shape_type": "rectangle"} for points in four]
    shapes.append({"label": "a", "points": [point() for _ in range(3)], "shape_type": None})  # of labelme 3
    groups = rng.sample(range(len(shapes)), 6)
    for number, place in enumerate(groups):
        shapes[place]["group_id"] = number // 2
    return shapes


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("seed", range(6))
def test_every_shape_is_drawn_and_cropped_as_by_flawshot(programs, tmp_path, seed, border):
    line_side, regions = programs
    rng = random.Random(f"{seed} {border}")
    width, height = rng.choice([(61, 40), (33, 90), (150, 150)])
    name, sizes = rng.choice(
        [
            ("mso", ["16px", "40px", "64px"]),
            ("mso_bbox", ["1x", "2x"]),
            ("mr", ["48px"]),
            ("mf", ["48px"]),
            ("cross15", ["300px"]),
            ("centre3", ["1.5x", "9x"]),
        ]
    )
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    document = labelme_document(drawn_shapes(rng, width, height), imageWidth=width, imageHeight=height)
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    catalog = flawshot.Catalog.open(tmp_path)
    reports = []
    found = list(regions.read_regions(tmp_path, "a.json", 2**28, reports.append))
    assert [each.id for each in found] == catalog.column("id")
    assert len(found) >= 8
    assert len(reports) == sum(problem.kind == "no-pixels" for problem in catalog.problems)
    scheme, interpolation, side = make_scheme(name, sizes, border), rng.choice(INTERPOLATIONS), rng.choice([32, 64])
    made = cropper(line_side, scheme, side, interpolation)
    image = read_image(tmp_path / "a.png", "a.png")
    for own, each in zip(catalog, found, strict=True):
        assert each.region.box == own.box
        assert each.region.extent == pytest.approx(extent_of(own))
        np.testing.assert_array_equal(each.region.pixels, own.region().pixels, err_msg=own.shape_type)
        expected = crop_views(image, own.region(), scheme, side, extent=extent_of(own), interpolation=interpolation)
        images, masks = made.crop(each.image, each.region)
        np.testing.assert_array_equal(images, expected.images)
        np.testing.assert_array_equal(masks, expected.masks)


def image_files():
    """Images as files' bytes: everything that labelme shows in its own way."""
    rng = np.random.default_rng(1)
    color = Image.fromarray(rng.integers(0, 256, (20, 31, 3), dtype=np.uint8))
    deep = rng.integers(100, 40_000, (20, 31), dtype=np.uint16)
    floats = rng.normal(size=(20, 31)).astype(np.float32)
    floats[0, 0] = np.nan

    def saved(image, kind, **options):
        out = io.BytesIO()
        image.save(out, format=kind, **options)
        return out.getvalue()

    made = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        made[f"JPEG, EXIF orientation {orientation}"] = saved(color, "JPEG", exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 77
    made["JPEG, EXIF orientation that does not exist"] = saved(color, "JPEG", exif=exif)
    made["PNG, 16 bits"] = saved(Image.fromarray(deep), "PNG")
    made["PNG, 16 bits, all the same"] = saved(Image.fromarray(np.full_like(deep, 9)), "PNG")
    made["TIFF, floats"] = saved(Image.fromarray(floats), "TIFF")
    made["PNG, gray"] = saved(color.convert("L"), "PNG")
    made["PNG, 1 bit"] = saved(color.convert("1"), "PNG")
    made["PNG, gray and alpha"] = saved(color.convert("LA"), "PNG")
    made["PNG, alpha"] = saved(color.convert("RGBA"), "PNG")
    made["PNG, palette with transparency"] = saved(color.quantize(8), "PNG", transparency=b"\x00\x80")
    made["GIF"] = saved(color.quantize(8), "GIF")
    made["BMP"] = saved(color, "BMP")
    made["WebP"] = saved(color, "WEBP", lossless=True)
    made["PPM"] = saved(color, "PPM")
    made["JPEG, CMYK"] = saved(color.convert("CMYK"), "JPEG")
    return made


IMAGES = image_files()


@pytest.mark.parametrize("embedded", [False, True], ids=["file", "embedded"])
@pytest.mark.parametrize("kind", list(IMAGES))
def test_every_image_is_seen_as_by_flawshot(programs, tmp_path, kind, embedded):
    _, regions = programs
    shapes = [{"label": "a", "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}]
    document = {"imagePath": "a.img", "shapes": shapes, "imageData": None}
    if embedded:
        document["imageData"] = base64.b64encode(IMAGES[kind]).decode()
    else:
        (tmp_path / "a.img").write_bytes(IMAGES[kind])
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    (found,) = regions.read_regions(tmp_path, "a.json", 2**28, pytest.fail)
    np.testing.assert_array_equal(np.asarray(found.image), np.asarray(read_image(IMAGES[kind], "a")))
    assert found.image_name == flawshot.Catalog.open(tmp_path)[0].image


# What cannot be used.


def png(width, height, mode="L"):
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, format="PNG")
    return out.getvalue()


def bomb():
    """A PNG whose header promises far more pixels than it has."""
    data = png(8, 8)
    header = (70_000).to_bytes(4, "big") * 2
    chunk = b"IHDR" + header + data[24:29]
    import zlib

    return data[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data[33:]


SQUARE = {"label": "a", "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\nshowpage\n"
MISTAKES = {
    "not JSON": (b"{", "Expecting"),
    "not Labelme": (b"[]", "is not a Labelme file"),
    "nested too deeply": (b'{"shapes": ' + b"[" * 100_000, "recursion"),
    "an image that is missing": (
        {"imagePath": "gone.png"},
        "gone.png: the image cannot be used (there is no such",
    ),
    "an image outside the folder": ({"imagePath": "../../secret.png"}, "secret.png: the image cannot be used"),
    "an absolute path": ({"imagePath": "/etc/passwd"}, "passwd: the image cannot be used (there is no such file)"),
    "a path with NUL": ({"imagePath": "a\0.png"}, "the image cannot be used"),
    "PostScript, which would start a program": (
        {"imagePath": "a.eps"},
        "a.eps: the image is damaged, or not one of",
    ),
    "a bomb": ({"imagePath": "bomb.png"}, "bomb.png: the image cannot be used"),
    "another size": ({"imageWidth": 99, "imageHeight": 20}, "is 20 x 20 px, but the annotation says 99 x 20"),
    "not a shape": ({"shapes": [7]}, "shape 0: is not an object"),
    "no label": ({"shapes": [{"points": [[1, 1], [9, 9]]}]}, "shape 0: label and shape_type must be text"),
    "an unknown type": ({"shapes": [SQUARE | {"shape_type": "cube"}]}, "shape 0: shape_type cube is unknown"),
    "a type that is no text": (
        {"shapes": [SQUARE | {"shape_type": [1]}]},
        "shape 0: label and shape_type must be text",
    ),
    "too few points": ({"shapes": [SQUARE | {"shape_type": "polygon"}]}, "shape 0: a polygon cannot have 2 points"),
    "NaN": ({"shapes": [SQUARE | {"points": [[1, float("nan")], [9, 9]]}]}, "shape 0: its points are too far"),
    "points beyond any image": (
        {"shapes": [SQUARE | {"points": [[1, 1e9], [9, 9]]}]},
        "shape 0: its points are too far",
    ),
    "a mask that is no image": (
        {"shapes": [SQUARE | {"shape_type": "mask", "mask": "AAAA"}]},
        "shape 0: its mask cannot be used",
    ),
    "a mask of several channels": (
        {"shapes": [SQUARE | {"shape_type": "mask", "mask": base64.b64encode(png(3, 3, "RGB")).decode()}]},
        "shape 0: mask must be a picture of one channel",
    ),
    "a mask that is a bomb": (
        {"shapes": [SQUARE | {"shape_type": "mask", "mask": base64.b64encode(bomb()).decode()}]},
        "shape 0: its mask cannot be used",
    ),
    "an image path that is a number": ({"imagePath": 5}, "imagePath must be text"),
    "an image path that is an object": ({"imagePath": {"a": 1}}, "imagePath must be text"),
    "points that are text": ({"shapes": [SQUARE | {"points": [["1", "1"], ["9", "9"]]}]}, "must be pairs of numbers"),
    "points that are no pairs": (
        {"shapes": [SQUARE | {"points": [[1, 1, 1], [9, 9, 9]]}]},
        "its points cannot be used",
    ),
    "no points": ({"shapes": [{"label": "a"}]}, "points must be pairs of numbers"),
    "a group beyond all numbers": ({"shapes": [SQUARE | {"group_id": 10**400}]}, "group_id must be a whole number"),
    "a region outside the image": ({"shapes": [SQUARE | {"points": [[50, 50], [60, 60]]}]}, "covers no pixel"),
    "too many shapes": ({"shapes": [SQUARE] * 100_002}, "has too many or too large shapes"),
}


@pytest.fixture(scope="module")
def loaded(exported, programs):
    return programs[0].LineSide(exported.out)


@pytest.mark.parametrize("kind", list(MISTAKES))
def test_what_cannot_be_used_is_one_line_and_the_rest_is_predicted(
    programs, loaded, exported, tmp_path, monkeypatch, capsys, kind
):
    line_side, _ = programs
    content, said = MISTAKES[kind]
    (tmp_path.parent / "secret.png").write_bytes(png(20, 20))
    data = tmp_path / "data"
    data.mkdir()
    for name, written in {"a.png": png(20, 20), "a.eps": POSTSCRIPT, "bomb.png": bomb()}.items():
        (data / name).write_bytes(written)
    good = {"imagePath": "a.png", "shapes": [SQUARE]}
    bad = content if isinstance(content, bytes) else json.dumps(good | content).encode()
    (data / "bad.json").write_bytes(bad)
    (data / "good.json").write_text(json.dumps(good), encoding="utf-8")
    monkeypatch.setattr(line_side, "LineSide", lambda _: loaded)
    monkeypatch.setattr(sys, "argv", ["line_side.py", str(exported.out), str(data)])
    assert line_side.main() == 2
    out, err = capsys.readouterr()
    (reported,) = err.splitlines()
    assert reported.startswith("line_side.py: bad.json")
    assert said in reported
    assert out.splitlines()[1].startswith("good.json#0,a.png,1,1,10,10,,")


def changed(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


def foreign_graph(folder):
    """A graph that onnxruntime does not know, with the right hash."""
    data = b"not a graph"
    (folder / "model.onnx").write_bytes(data)
    about = json.loads((folder / "model.json").read_bytes())
    about["files"]["model.onnx"] = hashlib.sha256(data).hexdigest()
    (folder / "model.json").write_text(json.dumps(about), encoding="utf-8")


def about(folder, **changes):
    described = json.loads((folder / "model.json").read_bytes()) | changes
    (folder / "model.json").write_text(json.dumps(described), encoding="utf-8")


DAMAGED = {
    "views without a size": (lambda f: about(f, views=[{}] * 3), "model.json: is damaged"),
    "no calibration": (lambda f: about(f, calibration={}), "is not a folder of flawshot export onnx"),
    "one category": (lambda f: about(f, categories=["a"]), "model.json: is damaged"),
    "another side": (lambda f: about(f, side=97), "model.json: views and side are not those of model.onnx"),
    "another filter": (lambda f: about(f, interpolation="best"), "model.json: is damaged"),
    "a file name with NUL": (lambda f: about(f, files={"a\0": "b"}), "is not a folder of flawshot export onnx"),
    "not UTF-8": (lambda f: (f / "model.json").write_bytes(b"\xff\xfe\0"), "is not a folder of flawshot export onnx"),
    "a graph that onnxruntime cannot load": (foreign_graph, "model.onnx: onnxruntime "),
    "nothing there": (shutil.rmtree, "is not a folder of flawshot export onnx"),
    "another graph": (lambda f: changed(f, "model.onnx", lambda data: data[:-1] + b"x"), "model.onnx: is damaged"),
    "no graph": (lambda f: (f / "model.onnx").unlink(), "is not a folder of flawshot export onnx"),
    "not JSON": (lambda f: (f / "model.json").write_text("{"), "is not a folder of flawshot export onnx"),
    "a newer version": (
        lambda f: changed(f, "model.json", lambda data: data.replace(b'"version": 1', b'"version": 2')),
        "is not a model of version 1",
    ),
    "a model of flawshot fit": (
        lambda f: changed(f, "model.json", lambda data: data.replace(b"flawshot-line-side", b"flawshot-model")),
        "is not a model of version 1",
    ),
    "fields of another type": (lambda f: (f / "model.json").write_text("[1]"), "is not a folder of flawshot export"),
}


@pytest.mark.parametrize("kind", list(DAMAGED))
def test_a_damaged_folder_is_one_line(programs, exported, parts, tmp_path, monkeypatch, capsys, kind):
    line_side, _ = programs
    damage, said = DAMAGED[kind]
    shutil.copytree(exported.out, tmp_path / "line")
    damage(tmp_path / "line")
    monkeypatch.setattr(sys, "argv", ["line_side.py", str(tmp_path / "line"), str(parts)])
    assert line_side.main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    (reported,) = err.splitlines()
    assert said in reported


def test_the_programs_may_be_changed(programs, exported, tmp_path):
    shutil.copytree(exported.out, tmp_path / "line")
    for name in ("line_side.py", "line_side_regions.py"):
        changed(tmp_path / "line", name, lambda data: data + b"# mine\n")
    assert programs[0].LineSide(tmp_path / "line").categories


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are text there")
def test_a_file_name_that_is_no_text_is_printed(exported, tmp_path):
    (tmp_path / "a.png").write_bytes(png(20, 20))
    written = json.dumps({"imagePath": "a.png", "shapes": [SQUARE]}).encode()
    with open(os.fsencode(tmp_path) + b"/\xff.json", "wb") as opened:  # noqa: PTH123 - bytes
        opened.write(written)
    done = subprocess.run(
        [sys.executable, exported.out / "line_side.py", exported.out, tmp_path], capture_output=True, check=True
    )
    assert done.stdout.splitlines()[1].startswith(b"\\udcff.json#0,a.png,")


def test_text_chunks_of_a_png_do_no_harm(programs, tmp_path):
    _, regions = programs
    info = PngImagePlugin.PngInfo()
    info.add_text("exif", "not exif")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png", pnginfo=info)
    assert regions.read_image(tmp_path / "a.png", "a.png").size == (9, 9)
