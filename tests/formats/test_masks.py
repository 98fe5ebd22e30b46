"""Images and pixel masks become Labelme files, and masks again, pixel for pixel."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import ExifTags, Image
from scipy import ndimage

from flawshot import Catalog, FlawshotError
from flawshot.formats.mask_export import export_masks
from flawshot.formats.masks import import_masks
from helpers import SHARED, box_shape


def write(folder, name, mask, size=None):
    """An image and, beside it, its mask: an array, or a picture of any mode."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = mask if isinstance(mask, Image.Image) else Image.fromarray(mask.astype(np.uint8))
    Image.new("L", size or picture.size, 90).save(folder / f"{name}.jpg")
    picture.save(folder / f"{name}.png")


def squares(*values, side=4):
    """A mask with a square of each value in a row, apart from each other by 4 px."""
    mask = np.zeros((side + 4, (side + 4) * len(values)), dtype=np.uint8)
    for number, value in enumerate(values):
        x = (side + 4) * number + 2
        mask[2 : 2 + side, x : x + side] = value
    return mask


def imported(tmp_path, mask, **options):
    """What an import says, and each instance's area."""
    write(tmp_path / "src/dent", "a", mask)
    found = import_masks(tmp_path / "src", tmp_path / "out", **options)
    folder = Catalog.from_folder(tmp_path / "out")
    assert len(folder) == found.instances
    return found, folder.column("area")


def test_each_component_is_an_instance_exact_to_the_pixel(tmp_path):
    mask = np.zeros((30, 40))
    mask[2:9, 3:12] = 255
    mask[4:6, 5:8] = 0  # a hole
    mask[20:25, 30:36] = 128  # over 127
    mask[15, 15] = 255  # too small
    mask[27, 2:30] = 127  # not over 127
    write(tmp_path / "src/crack/Imgs", "a", mask)
    write(tmp_path / "src/dent", "a", mask * 0)
    expected = mask > 127
    expected[15, 15] = False
    for exact, types in ((False, ["mask", "polygon"]), (True, ["mask", "mask"])):
        out = tmp_path / f"out-{exact}"
        found = import_masks(tmp_path / "src", out, min_area=5, exact=exact)
        assert (found.layout, found.products, found.categories) == ("beside", ("src",), ("crack", "dent"))
        assert (found.files, found.images, found.instances) == (2, 2, 2)
        assert found.counts == {"good": 0, "small": 1, "empty": 1}
        assert [problem.kind for problem in found.problems] == ["empty-mask"]
        catalog = Catalog.open(out)
        assert not catalog.problems
        assert catalog.column("id") == ["src/crack/a.json#0", "src/crack/a.json#1"]
        assert catalog.column("category") == ["crack", "crack"]
        assert catalog.column("shape_type") == types
        union = sum(instance.region().full_mask(30, 40).astype(int) for instance in catalog)
        np.testing.assert_array_equal(union, expected)


def test_what_lacks_its_other_half_or_does_not_fit_is_said(tmp_path):
    mask = np.full((5, 6), 255)
    write(tmp_path / "src/a", "whole", mask)
    write(tmp_path / "src/a", "misfit", mask, size=(8, 7))
    write(tmp_path / "src/a", "no-mask", mask)
    (tmp_path / "src/a/no-mask.png").unlink()
    write(tmp_path / "src/a", "no-image", mask)
    (tmp_path / "src/a/no-image.jpg").unlink()
    write(tmp_path / "src/a", "broken", mask)
    (tmp_path / "src/a/broken.png").write_bytes(b"x")
    write(tmp_path / "src/a", "broken-image", mask)
    (tmp_path / "src/a/broken-image.jpg").write_bytes(b"x")
    write(tmp_path / "src/a/b", "whole", mask)
    Image.new("L", (3, 3)).save(tmp_path / "src/astray.bmp")
    found = import_masks(tmp_path / "src", tmp_path / "out")
    assert found.images == 2
    assert (tmp_path / "out/src/a/b/whole.json").is_file()
    assert sorted(str(problem).split(" (")[0] for problem in found.problems) == [
        "a/broken-image.jpg: broken-image.jpg: the image cannot be decoded",
        "a/broken.jpg: broken.png: the mask cannot be decoded",
        "a/misfit.jpg: misfit.png: is 6 x 5 px, but its image is 8 x 7 px",
        "a/no-image.png: is a mask without an image",
        "a/no-mask.jpg: has no mask no-mask.png beside it",
        "astray.bmp: fits neither pattern of '{category}/**/{name} | {category}/**/{name}', and is left out",
    ]
    with pytest.raises(FlawshotError, match=r"^astray.bmp: fits neither pattern"):
        import_masks(tmp_path / "src", tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_strict_stops_at_a_mask_of_another_size(tmp_path):
    write(tmp_path / "src/a", "misfit", np.full((5, 6), 255), size=(8, 7))
    with pytest.raises(FlawshotError, match=r"^a/misfit.jpg: misfit.png: is 6 x 5 px, but its image is 8 x 7 px$"):
        import_masks(tmp_path / "src", tmp_path / "out", strict=True)


def test_a_folder_without_any_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(FlawshotError):
            import_masks(place, tmp_path / "out")


def test_nothing_is_written_over(tmp_path):
    write(tmp_path / "src/a", "x", squares(255))
    import_masks(tmp_path / "src", tmp_path / "out")
    import_masks(tmp_path / "src", tmp_path / "out")
    with pytest.raises(FlawshotError, match="exists with different content"):
        import_masks(tmp_path / "src", tmp_path / "out", exact=True)
    import_masks(tmp_path / "src", tmp_path / "out", exact=True, overwrite=True)
    assert Catalog.open(tmp_path / "out").column("shape_type") == ["mask"]


def test_the_threshold_says_what_is_defect(tmp_path):
    mask = squares(10, 127, 128, 255)
    assert imported(tmp_path / "1", mask)[0].instances == 2
    assert imported(tmp_path / "2", mask, threshold=9)[0].instances == 4
    assert imported(tmp_path / "3", mask, threshold=10)[0].instances == 3


def test_a_mask_of_zero_and_one_counts_its_ones_and_says_so(tmp_path):
    found, areas = imported(tmp_path / "a", squares(1, 1))
    assert areas == [16, 16]
    assert [str(each) for each in found.problems] == ["dent/a.jpg: a.png: contains only 0 and 1; 1 means defect"]
    assert found.problems[0].severity == "warning"
    assert imported(tmp_path / "b", squares(1, 1), threshold=1)[0].instances == 0


def test_a_mask_with_nothing_over_the_threshold_but_something_is_said(tmp_path):
    found, areas = imported(tmp_path, squares(1, 3))
    assert areas == []
    assert "a.png: no value is above 127; the greatest is 3; set threshold" in str(found.problems[0])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_masks_of_every_mode(tmp_path, mode):
    gray = squares(255, 200)
    if mode == "I;16":
        picture = Image.fromarray(gray.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(gray).convert(mode, dither=Image.Dither.NONE)
    assert imported(tmp_path, picture)[1] == [16, 16]


def test_a_mask_that_lies_on_its_side_is_turned_as_its_image_is(tmp_path):
    rotated = Image.Exif()
    rotated[ExifTags.Base.Orientation] = 6
    stored = squares(255, 0)
    folder = tmp_path / "src/dent"
    folder.mkdir(parents=True)
    Image.new("L", (16, 8), 90).save(folder / "a.jpg", exif=rotated)
    Image.fromarray(stored).save(folder / "a.png", exif=rotated)
    assert import_masks(tmp_path / "src", tmp_path / "out").instances == 1
    (instance,) = Catalog.open(tmp_path / "out")
    np.testing.assert_array_equal(instance.region().full_mask(16, 8), np.rot90(stored, -1) > 0)


@pytest.mark.parametrize(
    ("image_lies", "mask_lies", "side", "kind", "line"),
    [
        pytest.param(6, 1, (8, 8), "orientation", "has EXIF orientation 1, its image 6; both are read upright", id="6"),
        pytest.param(3, 1, (8, 16), "orientation", "has EXIF orientation 1, its image 3", id="a half turn"),
        pytest.param(1, 2, (8, 16), "orientation", "has EXIF orientation 2, its image 1", id="the mask is mirrored"),
        pytest.param(
            8, 1, (8, 16), "mask", "is 16 x 8 px, but its image is 8 x 16 px; the mask has EXIF", id="on its side"
        ),
        pytest.param(
            1, 6, (8, 16), "mask", "is 8 x 16 px, but its image is 16 x 8 px; the mask has EXIF", id="its mask is"
        ),
    ],
)
def test_a_mask_that_lies_otherwise_than_its_image_is_told(tmp_path, image_lies, mask_lies, side, kind, line):
    exif = {lies: Image.Exif() for lies in (image_lies, mask_lies)}
    for lies, tags in exif.items():
        tags[ExifTags.Base.Orientation] = lies
    (tmp_path / "src/dent").mkdir(parents=True)
    height, width = side
    stored = squares(255, 0) if width == 16 else squares(255)
    Image.new("L", (width, height), 90).save(tmp_path / "src/dent/a.jpg", exif=exif[image_lies])
    Image.fromarray(stored).save(tmp_path / "src/dent/a.png", exif=exif[mask_lies])
    write(tmp_path / "src/dent", "whole", squares(255))
    found = import_masks(tmp_path / "src", tmp_path / "out")
    assert found.instances == (2 if kind == "orientation" else 1)
    (problem,) = found.problems
    assert (problem.kind, line in str(problem)) == (kind, True), problem


DRAWN = np.array(squares(255, 255) > 0)
LEFT = DRAWN & (np.arange(16) < 8)


def layers(colors, opacity):
    return Image.fromarray(np.dstack([np.broadcast_to(colors, (*DRAWN.shape, 3)), opacity]).astype(np.uint8))


def transparent_index():
    """A palette's mask whose second color is white, and transparent."""
    picture = Image.fromarray((LEFT + 2 * (DRAWN & ~LEFT)).astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0] + [255] * 6)
    picture.info["transparency"] = 2
    return picture


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        pytest.param(layers(DRAWN[..., None] * 255, np.full(DRAWN.shape, 255)), [16, 16], id="all opaque"),
        pytest.param(layers(DRAWN[..., None] * 255, LEFT * 255), [16], id="white where nothing is seen"),
        pytest.param(layers((255, 255, 255), DRAWN * 255), [16, 16], id="white drawn on nothing"),
        pytest.param(layers((0, 0, 0), LEFT * 255), [16], id="black drawn on nothing"),
        pytest.param(layers((255, 0, 0), DRAWN * 128), [16, 16], id="half-transparent red"),
        pytest.param(layers((255, 255, 255), DRAWN * 0), [], id="nothing is seen at all"),
        pytest.param(layers((255, 255, 255), LEFT * 255).convert("LA"), [16], id="gray and alpha"),
        pytest.param(transparent_index(), [16], id="a transparent index"),
    ],
)
def test_what_a_mask_does_not_show_is_no_defect(tmp_path, picture, expected):
    found, areas = imported(tmp_path, picture)
    assert areas == expected
    assert [problem.kind for problem in found.problems] == ([] if expected else ["empty-mask"])


def test_a_transparent_index_is_no_instance(tmp_path):
    assert imported(tmp_path, transparent_index(), instance_values=True)[1] == [16]


def test_a_defect_in_a_dark_color_counts_by_its_brightest_channel(tmp_path):
    colors = np.stack([squares(0, 0), squares(0, 0), squares(255, 128)], axis=2)
    assert imported(tmp_path, Image.fromarray(colors))[1] == [16, 16]


def test_each_value_is_an_instance(tmp_path):
    mask = squares(1, 2, 2, 7)
    mask[2:6, 6:10] = 9  # touches the first
    for number, picture in enumerate((Image.fromarray(mask), Image.fromarray(mask).convert("RGB"))):
        assert imported(tmp_path / str(number), picture, instance_values=True)[1] == [16, 32, 16, 16]
    palette = Image.fromarray(mask, mode="L").convert("P")
    palette.putpalette([0, 0, 0] * 256)  # indices tell, whatever their colors are
    assert imported(tmp_path / "palette", palette, instance_values=True)[1] == [16, 32, 16, 16]
    found, areas = imported(tmp_path / "large", mask, instance_values=True, min_area=17, threshold=1)
    assert (areas, found.counts["small"]) == ([32], 2)


def test_many_values_take_one_pass_over_the_image(tmp_path, monkeypatch):
    mask = Image.fromarray(np.arange(1, 2501, dtype=np.uint16).reshape(50, 50).repeat(2, axis=1))
    monkeypatch.setattr("flawshot.formats.masks.large_components", None)  # a pass over the image a call
    assert imported(tmp_path, mask, instance_values=True)[1] == [2] * 2500


@pytest.mark.parametrize(
    "options",
    [{}, {"instance_values": True}, {"merge_distance": 3.0}],
    ids=["components", "values", "joined"],
)
def test_an_image_of_more_instances_than_any_has_is_left_out_and_told(tmp_path, options):
    specks = np.zeros((400, 400), dtype=np.uint16)
    specks[::4, ::4] = np.arange(1, 10_001).reshape(100, 100) % 5000 + (0 if options.get("instance_values") else 300)
    write(tmp_path / "src/dent", "whole", squares(255))
    found, areas = imported(tmp_path, Image.fromarray(specks), max_instances=20, **options)
    assert (found.images, areas) == (1, [16])
    (problem,) = found.problems
    assert "more than" in problem.message
    assert "raise the limit with max_instances=" in problem.message


def test_small_specks_that_are_left_out_anyway_do_not_count(tmp_path):
    specks = np.zeros((200, 200), dtype=np.uint8)
    specks[::2, ::2] = 255
    specks[50:60, 50:60] = 255
    found, areas = imported(tmp_path, Image.fromarray(specks), max_instances=1, min_area=20)
    assert (found.images, len(areas), found.counts["small"] > 5000) == (1, 1, True)


@pytest.mark.parametrize("instance_values", [False, True])
def test_a_mask_without_a_defect_pixel_is_said_and_counted(tmp_path, instance_values):
    write(tmp_path / "src/dent", "whole", squares(255))
    found, areas = imported(tmp_path, squares(0, 0), instance_values=instance_values)
    assert (found.images, found.counts["empty"], areas) == (2, 1, [16])
    (problem,) = found.problems
    assert str(problem).startswith("dent/a.jpg: a.png: no pixel is a defect;")
    assert problem.severity == "warning"  # the image comes in


@pytest.mark.parametrize("distance", [20000, 1e9, float("inf")])
def test_a_distance_beyond_the_image_joins_all_and_takes_no_more_memory(tmp_path, distance):
    assert imported(tmp_path, squares(255, 255, 255), merge_distance=distance)[1] == [48]


def test_a_distance_that_is_none_is_refused(tmp_path):
    with pytest.raises(FlawshotError, match="merge_distance=nan: must be a number of px, 0 or more"):
        imported(tmp_path, squares(255), merge_distance=float("nan"))


def test_near_components_are_one_instance_of_several_shapes(tmp_path):
    mask = squares(255, 255, 255)
    mask[:, 8:] = np.roll(mask[:, 8:], 1, axis=1)
    assert imported(tmp_path / "a", mask)[1] == [16, 16, 16]
    assert imported(tmp_path / "b", mask, merge_distance=5)[1] == [16, 16, 16]
    found, areas = imported(tmp_path / "c", mask, merge_distance=5.5, min_area=20)
    assert (areas, found.counts["small"]) == ([32], 1)
    shapes = json.loads((tmp_path / "c/out/src/dent/a.json").read_text())["shapes"]
    assert [(shape["group_id"], shape["shape_type"]) for shape in shapes] == [(1, "polygon"), (1, "polygon")]


@pytest.mark.parametrize("exact", [False, True])
def test_masks_come_back_as_they_were(tmp_path, exact):
    rng = np.random.default_rng(3)
    expected = {}
    for category in ("crack", "dent"):
        for number in range(4):
            mask = ndimage.gaussian_filter(rng.normal(size=(40, 50)), 1.5) > 0.1
            write(tmp_path / "src" / category, f"{number:03}", mask * 255)
            expected[f"src/ground_truth/{category}/{number:03}_mask.png"] = mask
    import_masks(tmp_path / "src", tmp_path / "labelme", exact=exact)
    catalog = Catalog.open(tmp_path / "labelme")
    assert export_masks(catalog, tmp_path / "masks") == 8
    assert {path.relative_to(tmp_path / "masks").as_posix() for path in tmp_path.glob("masks/**/*.png")} == set(
        expected
    )
    for path, mask in expected.items():
        with Image.open(tmp_path / "masks" / path) as written:
            assert written.mode == "L"
            np.testing.assert_array_equal(np.asarray(written), mask * np.uint8(255))


def test_a_category_by_itself_is_a_mask_and_leads_nowhere_else(tmp_path, write_annotations):
    shapes = [box_shape("../../x"), box_shape("a/b", at=(40, 40)), box_shape("a/b", at=(60, 60))]
    catalog = Catalog.open(write_annotations({"p/000.json": shapes}))
    assert export_masks(catalog, tmp_path / "deep/out") == 2
    written = sorted(path.relative_to(tmp_path / "deep/out").as_posix() for path in tmp_path.glob("deep/**/*.png"))
    assert written == ["p/ground_truth/%2E.%2F..%2Fx/000_mask.png", "p/ground_truth/a%2Fb/000_mask.png"]


def test_equal_names_in_train_and_test_are_kept_apart_and_come_in_again(tmp_path, write_annotations):
    places = ("p/train/000.json", "p/test/000.json", "p/test/dent/001.json", "q/test/000.json")
    boxes = {place: [box_shape("dent", at=(5 * n, 7))] for n, place in enumerate(places)}
    catalog = Catalog.open(write_annotations(boxes))
    assert export_masks(catalog, tmp_path / "out") == 4
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.glob("out/**/*.png"))
    assert written == [
        "p/ground_truth/test/dent/000_mask.png",
        "p/ground_truth/test/dent/001_mask.png",
        "p/ground_truth/train/dent/000_mask.png",
        "q/ground_truth/dent/000_mask.png",  # nothing of q stands in its way
    ]
    for split, x in (("train", 0), ("test", 5)):
        with Image.open(tmp_path / f"out/p/ground_truth/{split}/dent/000_mask.png") as mask:
            assert mask.getbbox()[:2] == (x, 7)
        image = tmp_path / f"out/p/{split}/dent/000.jpg"
        image.parent.mkdir(parents=True)
        Image.new("L", (120, 100)).save(image)
    pattern = "{product}/{split}/{category}/{name} | {product}/ground_truth/{split}/{category}/{name}_mask"
    assert import_masks(tmp_path / "out", tmp_path / "again", layout=pattern).instances == 2


@pytest.mark.parametrize(
    ("files", "both"),
    [
        ({"p/a.json": ["Dent", "dent"]}, "p/a.json ('Dent') and p/a.json ('dent')"),
        ({"p/c/a.json": ["c"], "p/a.json": ["c"]}, "p/a.json ('c') and p/c/a.json ('c')"),
    ],
)
def test_two_masks_of_one_name_are_refused_before_any_is_written(tmp_path, write_annotations, files, both):
    files = {place: [box_shape(label) for label in labels] for place, labels in files.items()}
    catalog = Catalog.open(write_annotations(files | {"a/0.json": [box_shape()]}))
    with pytest.raises(FlawshotError, match=re.escape(both)):
        export_masks(catalog, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_category_with_a_splits_name_is_read_back_as_what_it_is(tmp_path):
    for category in ("train", "Val", "dent"):
        write(tmp_path / "src" / category, "a", squares(255))
    write(tmp_path / "src/train_", "a", squares(255, 255))
    found = import_masks(tmp_path / "src", tmp_path / "out")
    catalog = Catalog.open(tmp_path / "out")
    assert sorted(catalog.column("category")) == ["Val", "dent", "train"]
    assert set(zip(catalog.column("product"), catalog.column("split"), strict=True)) == {("src", None)}
    # One folder cannot hold both, and this is said.
    assert [str(problem) for problem in found.problems] == [
        "train_/a.jpg: would be the same file src/train_/a.json as train/a.jpg; it is left out, rename one of them"
    ]


def test_a_product_with_a_splits_name_is_refused(tmp_path):
    write(tmp_path / "test/dent", "a", squares(255))
    with pytest.raises(FlawshotError, match="the product would be 'test', a split's name; name the folder above it"):
        import_masks(tmp_path / "test", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_several_processes_write_the_same(tmp_path):
    for number in range(48):
        write(
            tmp_path / "src/a", f"{number:02}", squares(255, 255 * (number % 2)), size=(7, 7) if number == 30 else None
        )
    counts = []
    results = [
        import_masks(tmp_path / "src", tmp_path / f"{n}", workers=n, progress=lambda *done: counts.append(done))
        for n in (1, 2)
    ]
    assert results[0] == results[1]
    assert results[0].images == 47
    assert counts == [(number, 48) for number in range(1, 49)] * 2
    first, second = (
        {path.relative_to(tmp_path / n): path.read_bytes() for path in (tmp_path / n).rglob("*.*")} for n in ("1", "2")
    )
    assert first == second
    with pytest.raises(FlawshotError, match="exists with different content"):
        import_masks(tmp_path / "src", tmp_path / "1", workers=2, exact=True)


def test_magnetic_tile_comes_in_whole(tmp_path):
    source = SHARED / "magnetic-tile"
    if not source.is_dir():
        pytest.skip(f"real data not at hand: {source} (set FLAWSHOT_SHARED)")
    found = import_masks(source, tmp_path, min_area=30)
    assert (found.products, len(found.categories), found.images) == (("magnetic-tile",), 5, 392)
    expected, areas, empty = 0, [], []
    for path in sorted(source.glob("*/Imgs/*.png"), key=lambda path: (path.parts[-3], path.name)):
        labels, count = ndimage.label(np.asarray(Image.open(path).convert("L")) > 127, np.ones((3, 3)))
        if not count:
            empty.append(path.relative_to(source).with_suffix(".jpg").as_posix())
        own = [int(area) for area in np.bincount(labels.ravel(), minlength=count + 1)[1:] if area >= 30]
        expected += len(own)
        areas += own
    catalog = Catalog.open(tmp_path)
    assert not catalog.problems
    assert [(problem.kind, problem.file) for problem in found.problems] == [("empty-mask", path) for path in empty]
    assert found.instances == len(catalog) == expected
    assert sorted(catalog.column("area")) == sorted(areas)
