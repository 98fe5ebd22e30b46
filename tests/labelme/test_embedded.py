"""Images that Labelme files embed: what is used is what Labelme shows, whatever lies beside."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

import flawshot
from flawshot import Catalog, FlawshotError
from flawshot.bank.builder import image_stamps
from flawshot.labelme.data_folder import image_source
from flawshot.labelme.embedded import embedded_image, embedded_size, embedded_suffix
from flawshot.labelme.images import pixel_limit
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.regions.crop_rows import decode_rows
from helpers import box_shape, labelme_document

HEIGHT, WIDTH = 100, 120
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def picture(seed=0, height=HEIGHT, width=WIDTH):
    pixels = np.random.default_rng(seed).integers(0, 256, size=(height // 10, width // 10, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def annotate(path, data=None, **changes):
    """An annotation with an embedded image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    embedded = None if data is None else base64.b64encode(data).decode()
    path.write_text(json.dumps(labelme_document([box_shape()], **{"imageData": embedded} | changes)), encoding="utf-8")
    return path


def decoded(catalog):
    """The pixels that each instance's crops are cut from."""
    found = [(image, reason) for _, image, reason in decode_rows(catalog, range(len(catalog)))]
    assert [reason for _, reason in found if reason] == []
    return [np.asarray(image) for image, _ in found]


BESIDE = {
    "nothing": None,
    "an empty file": b"",
    "text": b"not an image",
    "a Git LFS pointer": LFS,
    "half of the image": encoded(picture())[:200],
    "another image": encoded(picture(7)),
    "the image, smaller": encoded(picture().resize((WIDTH // 2, HEIGHT // 2))),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "the image": encoded(picture()),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_the_embedded_image_is_used_whatever_lies_beside_it(tmp_path, beside):
    annotate(tmp_path / "p/a.json", encoded(picture()))
    if BESIDE[beside] is not None:
        (tmp_path / "p/a.png").write_bytes(BESIDE[beside])
    catalog = Catalog.open(tmp_path)
    assert catalog.problems == ()
    np.testing.assert_array_equal(decoded(catalog)[0], np.asarray(picture()))


@pytest.mark.parametrize(
    "image_path", ["", None, "a.json", "elsewhere/a.json", "A.JSON", "gone.png", "C:\\x\\gone.png"]
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_where_imagepath_leads_does_not_matter(tmp_path, image_path, kind):
    data = encoded(picture(), kind)
    annotate(tmp_path / "p/a.json", data, imagePath=image_path)
    catalog = Catalog.open(tmp_path)
    (image,) = catalog.column("image")
    suffix = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "BMP": "bmp", "WEBP": "webp"}[kind]
    assert image == ("p/gone.png" if "gone" in (image_path or "") else f"p/a.{suffix}")
    np.testing.assert_array_equal(decoded(catalog)[0], np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_imagepath_may_be_left_out_where_an_image_is_embedded(tmp_path):
    document = labelme_document([box_shape()], imageData=base64.b64encode(encoded(picture())).decode())
    del document["imagePath"]
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert Catalog.open(tmp_path).column("image") == ["a.png"]


@pytest.mark.parametrize("data", ["@@@", "", "aGVsbG8=", base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n").decode()])
def test_the_file_is_used_where_what_is_embedded_is_no_image(tmp_path, data):
    annotate(tmp_path / "p/a.json", imageData=data)
    (tmp_path / "p/a.png").write_bytes(encoded(picture(3)))
    catalog = Catalog.open(tmp_path)
    (problem,) = catalog.problems
    assert (problem.kind, problem.severity) == ("embedded-image", "warning")
    assert "imageData: " in str(problem)
    assert "; p/a.png is used instead" in str(problem)
    np.testing.assert_array_equal(decoded(catalog)[0], np.asarray(picture(3)))


def test_the_embedded_image_tells_the_size(tmp_path):
    annotate(tmp_path / "a.json", encoded(picture()), imageHeight=None, imageWidth=None)
    annotate(tmp_path / "b.json", encoded(picture()), imagePath="b.png", imageHeight=50, imageWidth=60)
    catalog = Catalog.open(tmp_path)
    assert catalog.column("image_width") == [WIDTH, WIDTH]
    (problem,) = catalog.problems
    assert "60 x 50 px, but the embedded image has 120 x 100 px; the image's size is used" in str(problem)


def noise(kind, **options):
    """An image whose base64 is longer than what is looked at first."""
    pixels = np.random.default_rng(1).integers(0, 256, size=(300, 400, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), kind, **options)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(noise("PNG"), id="PNG"),
        pytest.param(noise("JPEG", quality=95), id="JPEG"),
        pytest.param(noise("JPEG", icc_profile=b"\0" * 400_000), id="JPEG behind a long color profile"),
        pytest.param(noise("TIFF"), id="TIFF, whose header is its end"),
        pytest.param(noise("WEBP", lossless=True), id="WebP"),
        pytest.param(noise("BMP"), id="BMP"),
    ],
)
def test_the_size_of_large_embedded_images(data):
    assert len(data) > 2**17
    text = base64.encodebytes(data).decode()  # with line breaks, as some programs write it
    document = json.dumps(labelme_document([], imageData=text)).encode()
    file, _ = parse_labelme(document, "a.json")
    assert embedded_size(file) == (300, 400)
    assert embedded_suffix(file) in {".png", ".jpg", ".tif", ".webp", ".bmp"}
    with pixel_limit(300 * 400 - 1):
        assert embedded_size(file) is None


def test_images_that_are_called_alike_are_told_apart(tmp_path):
    """Programs name every embedded image the same; support and query are kept apart by the image."""
    for number, seed in enumerate((0, 1, 1, 2)):
        annotate(tmp_path / f"p/{number}.json", encoded(picture(seed)), imagePath="image.png")
    annotate(tmp_path / "q/0.json", encoded(picture(0)), imagePath="image.png")
    catalog = Catalog.open(tmp_path)
    assert catalog.column("image") == ["p/0.png", "p/1.png", "p/1.png", "p/3.png", "q/image.png"]
    assert {problem.kind for problem in catalog.problems} == {"embedded-image"}
    for found, seed in zip(decoded(catalog), (0, 1, 1, 2, 0), strict=True):
        np.testing.assert_array_equal(found, np.asarray(picture(seed)))


def test_one_image_that_several_annotations_embed_stays_one(tmp_path):
    for name in "ab":
        annotate(tmp_path / f"{name}.json", encoded(picture()))
    annotate(tmp_path / "c.json")
    (tmp_path / "a.png").write_bytes(encoded(picture()))
    catalog = Catalog.open(tmp_path)
    assert (catalog.problems, catalog.column("image")) == ((), ["a.png"] * 3)
    annotate(tmp_path / "d.json", encoded(picture(5)))
    annotate(tmp_path / "e.json", encoded(picture(5)))
    catalog = Catalog.open(tmp_path)
    assert catalog.column("image") == ["a.png"] * 3 + ["d.png"] * 2
    assert [problem.file for problem in catalog.problems] == ["d.json", "e.json"]


def test_a_name_that_is_taken_is_not_given_again(tmp_path):
    annotate(tmp_path / "a.json", encoded(picture(0)), imagePath="b.png")
    annotate(tmp_path / "b.json", encoded(picture(1)), imagePath="b.png")
    annotate(tmp_path / "c.json", encoded(picture(2)), imagePath="a.png")
    catalog = Catalog.open(tmp_path)
    assert len(set(catalog.column("image"))) == 3


def test_where_an_image_comes_from(tmp_path):
    annotate(tmp_path / "a.json", encoded(picture()))
    annotate(tmp_path / "b.json", imagePath="b.png")
    (tmp_path / "b.png").write_bytes(encoded(picture(1)))
    assert image_source(tmp_path, "a.png", "a.json") == encoded(picture())
    assert image_source(tmp_path, "b.png", "b.json") == tmp_path / "b.png"
    for image, annotation in (("c.png", "c.json"), ("x" * 5000, "a\0.json"), ("", "b.json")):
        with pytest.raises(FlawshotError, match="the image is missing"):
            image_source(tmp_path, image, annotation)
    assert embedded_image(tmp_path) is None


def test_a_stamp_changes_with_whatever_the_pixels_come_from(tmp_path):
    a, b = annotate(tmp_path / "a.json", encoded(picture())), annotate(tmp_path / "b.json", imagePath="b.png")
    (tmp_path / "b.png").write_bytes(encoded(picture(1)))
    before = image_stamps(Catalog.open(tmp_path))
    annotate(b, imagePath="b.png", flags={"seen": True})
    annotate(a, encoded(picture(9)))
    after = image_stamps(Catalog.open(tmp_path))
    assert before["b.png"] == after["b.png"]
    assert before["a.png"] != after["a.png"]
    assert (tmp_path / "a.png").exists() is False


@pytest.fixture
def drawn(tmp_path):
    """Drawn parts, and the same with all images embedded and Git LFS' pointers in their place."""
    flawshot.draw_data_set(tmp_path / "plain", categories=2, images=12, side=96, surface="wood", workers=1, seed=5)
    for path in sorted((tmp_path / "plain").rglob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        image = path.parent / document["imagePath"]
        document["imageData"] = base64.b64encode(image.read_bytes()).decode()
        place = tmp_path / "whole" / path.relative_to(tmp_path / "plain")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(document), encoding="utf-8")
        (place.parent / document["imagePath"]).write_bytes(LFS)
    return tmp_path


def test_models_see_what_is_embedded(drawn):
    """Fitted to, and asked about, embedded images: the same answers as for files."""
    from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
    from flawshot.models.fitting import fit_model

    encoder, scheme = TinyEncoder(device="cpu", precision="float32"), flawshot.make_scheme(*TINY_VIEWS)
    answers = []
    for name in ("plain", "whole"):
        catalog = Catalog.open(drawn / name)
        bank = flawshot.encode_catalog(catalog, encoder, scheme, drawn / f"{name}-bank").bank
        made = fit_model(bank, drawn / f"{name}-model", source=name)
        model = flawshot.load_model(made.path, device="cpu")
        flawshot.predict_catalog(model, catalog, drawn / f"{name}-named")
        answers.append((drawn / f"{name}-named/predictions.csv").read_text(encoding="utf-8"))
    assert answers[0] == answers[1]
    assert answers[0].count("\n") > 10
