"""Anomaly maps: the parts above a threshold, in every format, at any size, and nothing of a damaged file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy import ndimage

from flawshot import FlawshotError
from flawshot.formats.anomaly_maps import AnomalyMaps, read_map
from flawshot.labelme.images import pixel_limit
from flawshot.labelme.shapes import rasterize

SIDE = 32


@pytest.fixture
def values():
    made = np.zeros((SIDE, SIDE), dtype=np.float32)
    made[4:9, 6:12] = 200
    made[20:22, 20:22] = 100
    made[21, 21] = 120
    made[30, 30] = 90
    return made


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images/line").mkdir(parents=True)
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "images/line/a.jpg")
    return tmp_path / "images"


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        pytest.param(".png", np.uint8, id="8 bits"),
        pytest.param(".png", np.uint16, id="16 bits"),
        pytest.param(".tiff", np.float32, id="float TIFF"),
        pytest.param(".tif", np.uint16, id="TIFF of 16 bits"),
        pytest.param(".npy", np.float64, id="NumPy, double"),
        pytest.param(".npy", np.float16, id="NumPy, half"),
        pytest.param(".npy", ">f4", id="NumPy, of another machine"),
    ],
)
def test_every_format_gives_the_same_regions(root, tmp_path, values, suffix, kind):
    save(tmp_path / f"maps/line/a{suffix}", values.astype(kind))
    reader = AnomalyMaps(root, str(tmp_path / "maps"), threshold=50, min_area=2)
    assert (reader.images, reader.problems) == (("line/a.jpg",), [])
    found = reader.read("line/a.jpg")
    assert found.score == 200
    assert [each.score for each in found.shapes] == [200, 120]
    assert [rasterize(each.shape, SIDE, SIDE).box for each in found.shapes] == [(6, 4, 12, 9), (20, 20, 22, 22)]
    assert reader.skipped == {"under 2 px": 1}


def test_axes_of_one_and_both_orders_are_no_matter(root, tmp_path, values):
    for array in (values[None], values[None, :, :, None], np.asfortranarray(values)):
        save(tmp_path / "maps/line/a.npy", array)
        assert np.array_equal(read_map(tmp_path / "maps/line/a.npy"), values)


def test_a_smaller_map_is_scaled_as_torch_does(root, tmp_path):
    torch = pytest.importorskip("torch")
    small = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    save(tmp_path / "maps/line/a.npy", small)
    found = AnomalyMaps(root, str(tmp_path / "maps"), threshold=0.6).read("line/a.jpg")
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(small)[None, None], size=(SIDE, SIDE), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    covered = np.zeros((SIDE, SIDE), dtype=bool)
    for each in found.shapes:
        covered |= rasterize(each.shape, SIDE, SIDE).full_mask(SIDE, SIDE)
    sure = abs(scaled - 0.6) > 1e-5
    assert np.array_equal(covered[sure], (scaled > 0.6)[sure])
    assert found.score == small.max()


def test_maps_are_named_by_a_pattern_and_may_lie_among_the_images(root, values):
    save(root / "line/a_map.png", values.astype(np.uint8))
    reader = AnomalyMaps(root, f"{root}/{{path}}_map.png", threshold=50)
    assert reader.images == ("line/a.jpg",)
    save(root / "maps/line/a.tiff", values)
    reader = AnomalyMaps(root, str(root / "maps"), threshold=50)
    assert "maps/line/a.tiff" not in reader.images


def test_an_image_without_a_map_is_named(root, tmp_path, values):
    Image.new("RGB", (SIDE, SIDE)).save(root / "b.png")
    save(tmp_path / "maps/line/a.tiff", values)
    reader = AnomalyMaps(root, str(tmp_path / "maps"), threshold=50)
    assert [(problem.file, problem.kind) for problem in reader.problems] == [("b.png", "no-map")]
    assert reader.read("b.png").reason == "b.png: has no map"


def test_a_map_of_two_images_is_of_neither(root, tmp_path, values):
    Image.new("RGB", (SIDE, SIDE)).save(root / "line/a.png")
    path = save(tmp_path / "maps/line/a.npy", values)
    reader = AnomalyMaps(root, str(tmp_path / "maps"), threshold=50)
    assert reader.images == ("line/a.jpg", "line/a.png")
    assert [(problem.file, problem.kind) for problem in reader.problems] == [
        ("line/a.jpg", "ambiguous-map"),
        ("line/a.png", "ambiguous-map"),
    ]
    assert reader.read("line/a.jpg").reason == (
        f"line/a.jpg: {path} may be the map of 2 images; name it {tmp_path}/maps/line/a.jpg{{.tiff,.tif,.png,.npy}}"
    )
    # Named like one of the images, it is that one's, and the other is the only one without.
    save(tmp_path / "maps/line/a.jpg.npy", values / 2)
    reader = AnomalyMaps(root, str(tmp_path / "maps"), threshold=50)
    assert [reader.read(image).score for image in reader.images] == [100, 200]
    save(tmp_path / "maps/line/a.png_map.png", values.astype(np.uint8))
    reader = AnomalyMaps(root, f"{tmp_path}/maps/{{path}}_map.png", threshold=50)
    assert [reader.read(image).score for image in reader.images] == [None, 200]


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_a_damaged_picture_is_blamed_on_the_map(root, tmp_path, values, suffix):
    path = save(tmp_path / f"maps/line/a{suffix}", values.astype(np.uint8))
    path.write_bytes(path.read_bytes()[:40])
    reason = AnomalyMaps(root, str(tmp_path / "maps"), threshold=50).read("line/a.jpg").reason
    assert reason.startswith(f"line/a.jpg: {path}: the map cannot be decoded (")
    assert "the image" not in reason


def test_too_large_a_map_is_blamed_on_the_map(root, tmp_path, values):
    for suffix in (".png", ".npy"):
        path = save(tmp_path / f"maps/{suffix[1:]}/line/a{suffix}", np.zeros((2 * SIDE, SIDE), np.uint8))
        reader = AnomalyMaps(root, str(tmp_path / "maps" / suffix[1:]), threshold=50)
        with pixel_limit(SIDE * SIDE):
            reason = reader.read("line/a.jpg").reason
        assert f"{path}: the map has {SIDE} x {2 * SIDE} px, more than the limit" in reason


def damaged(**changed):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (SIDE, SIDE)} | changed
    )
    return buffer.getvalue() + b"\0" * 4 * SIDE * SIDE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(damaged()[:-1], "is shorter than its array", id="cut off"),
        pytest.param(damaged(shape=(1 << 20, 1 << 20)), "more than the limit", id="bomb"),
        pytest.param(damaged(descr="|O"), "not a map", id="objects, which would be unpickled"),
        pytest.param(damaged(descr="<c8"), "not a map", id="complex"),
        pytest.param(damaged(shape=(4, SIDE, SIDE // 4)), "not a map", id="three axes"),
        pytest.param(damaged(shape=(0, 5)), "not a map", id="empty"),
        pytest.param(damaged(shape=(-1, 5)), "not a map", id="negative"),
        pytest.param(b"\x93NUMPY\x01\x00\xff\xff", "is not an array stored by NumPy", id="cut header"),
        pytest.param(b"", "is not an array stored by NumPy", id="nothing"),
        pytest.param(b"PK\x03\x04", "is not an array stored by NumPy", id="a zip"),
    ],
)
def test_a_file_that_is_no_array_is_left_out_in_one_line(root, tmp_path, content, message):
    path = tmp_path / "maps/line/a.npy"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    reason = AnomalyMaps(root, str(tmp_path / "maps"), threshold=1).read("line/a.jpg").reason
    assert reason.startswith(f"line/a.jpg: {path}: ")
    assert message in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param(np.full((4, 4), np.nan, np.float32), "not finite", id="nan"),
        pytest.param(np.full((4, 4), 1e300), "not finite", id="beyond floats"),
        pytest.param(np.full((4, 4), np.inf), "not finite", id="infinite"),
    ],
)
def test_values_that_are_not_finite_are_no_map(tmp_path, values, message):
    with pytest.raises(FlawshotError, match=message):
        read_map(save(tmp_path / "a.npy", values))


def test_colors_are_no_values(tmp_path):
    with pytest.raises(FlawshotError, match="of mode RGB, not a map of one channel"):
        read_map(save(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8)))


@pytest.mark.parametrize(
    ("maps", "threshold", "message"),
    [
        pytest.param("nowhere", 1, "is not a folder, and has no {path}", id="no folder"),
        pytest.param("{path}{path}.png", 1, "once in it", id="twice"),
        pytest.param("x/{path}", 1, "the image has no map, such as x/line/a", id="no map"),
        pytest.param("x/{path}", float("nan"), "must be a finite number", id="nan"),
    ],
)
def test_a_mistake_is_named(root, maps, threshold, message):
    with pytest.raises(FlawshotError, match=message):
        AnomalyMaps(root, maps, threshold=threshold)


def test_noise_is_not_thousands_of_flaws(root, tmp_path):
    save(tmp_path / "maps/line/a.npy", np.indices((SIDE, SIDE)).sum(axis=0) % 2 * (np.arange(SIDE) % 2).astype(float))
    reader = AnomalyMaps(root, str(tmp_path / "maps"), threshold=0.5, max_instances=9)
    assert "it may be noise" in reader.read("line/a.jpg").reason


@settings(max_examples=60, deadline=None)
@given(
    made=arrays.arrays(np.float32, (SIDE, SIDE), elements=st.sampled_from([0.0, 0.25, 1.0, 3.0])),
    least=st.integers(1, 4),
)
def test_the_regions_are_what_scipy_labels_above_the_threshold(tmp_path_factory, made, least):
    place = tmp_path_factory.mktemp("any")
    (place / "images").mkdir()
    Image.new("L", (SIDE, SIDE)).save(place / "images/a.png")
    save(place / "maps/a.npy", made)
    found = AnomalyMaps(place / "images", str(place / "maps"), threshold=0.5, min_area=least).read("a.png")
    labels, count = ndimage.label(made > 0.5, np.ones((3, 3)))
    large = [number for number in range(1, count + 1) if (labels == number).sum() >= least]
    assert len(found.shapes) == len(large)
    covered = np.zeros((SIDE, SIDE), dtype=bool)
    for each in found.shapes:
        mask = rasterize(each.shape, SIDE, SIDE).full_mask(SIDE, SIDE)
        assert each.score == made[mask].max()
        covered |= mask
    assert np.array_equal(covered, np.isin(labels, large) if large else np.zeros_like(covered))
    assert [each.score for each in found.shapes] == sorted((each.score for each in found.shapes), reverse=True)
