"""Images in one folder per category: every pixel is the region, good images are copied, all else is named."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import flawshot
from flawshot import FlawshotError, import_folders


def tree(root, *paths, size=(12, 9)):
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((size[1], size[0], 3), 9 * number + 1, np.uint8)).save(root / path)
    return root


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("path", "written", "product", "split"),
    [
        pytest.param("dent/a.png", "src/dent/a.json", "src", None, id="category"),
        pytest.param("bolt/dent/a.png", "bolt/dent/a.json", "bolt", None, id="product and category"),
        pytest.param("train/dent/a.png", "src/train/dent/a.json", "src", "train", id="split and category"),
        pytest.param("val/bolt/dent/a.png", "bolt/val/dent/a.json", "bolt", "val", id="split first"),
        pytest.param("bolt/Test/dent/a.png", "bolt/Test/dent/a.json", "bolt", "test", id="split inside the product"),
        pytest.param("bolt/dent/cam1/a.png", "bolt/dent/cam1/a.json", "bolt", None, id="folders below"),
    ],
)
def test_folders_give_product_split_and_category(tmp_path, path, written, product, split):
    found = import_folders(tree(tmp_path / "src", path), tmp_path / "out")
    assert files_of(tmp_path / "out") == sorted([written, written.replace(".json", ".png")])
    assert (found.products, found.categories, found.instances) == ((product,), ("dent",), 1)
    (instance,) = flawshot.Catalog.open(tmp_path / "out")
    assert (instance.product, instance.split, instance.category) == (
        product if "bolt" in path else "src",
        split,
        "dent",
    )


@pytest.mark.parametrize("size", [(12, 9), (1, 1), (1, 40), (300, 2)])
def test_the_region_is_every_pixel(tmp_path, size):
    import_folders(tree(tmp_path / "src", "dent/a.png", size=size), tmp_path / "out")
    (instance,) = flawshot.Catalog.open(tmp_path / "out")
    assert instance.region().full_mask(size[1], size[0]).all()
    assert (instance.box, instance.area) == ((0, 0, *size), size[0] * size[1])


def test_a_turned_image_is_covered_upright(tmp_path):
    root = tree(tmp_path / "src", "dent/a.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(root / "dent/b.jpg", exif=exif)
    import_folders(root, tmp_path / "out")
    areas = {instance.image: instance.box for instance in flawshot.Catalog.open(tmp_path / "out")}
    assert areas["src/dent/b.jpg"] == (0, 0, 10, 20)


def test_good_images_are_copied_and_counted(tmp_path):
    root = tree(tmp_path / "src", "bolt/dent/a.png", "bolt/OK/a.png", "bolt/good/a.png", "bolt/train/Good/b.png")
    found = import_folders(root, tmp_path / "out")
    assert files_of(tmp_path / "out") == [
        "bolt/dent/a.json",
        "bolt/dent/a.png",
        "bolt/good/a.png",
        "bolt/train/good/b.png",
    ]
    assert found.counts == {"good": 2}
    assert "2 images without a flaw, in the folder good" in found.summary
    # Two folders of good images are one, in which a name may be taken.
    assert [(problem.file, problem.kind) for problem in found.problems] == [("bolt/good/a.png", "same-name")]
    assert found.categories == ("dent",)


def test_two_images_of_one_name_are_both_kept(tmp_path):
    root = tree(tmp_path / "src", "dent/a.png", "dent/a.jpg")
    import_folders(root, tmp_path / "out")
    assert files_of(tmp_path / "out") == [
        "src/dent/a.jpg",
        "src/dent/a.jpg.json",
        "src/dent/a.png",
        "src/dent/a.png.json",
    ]
    assert sorted(instance.image for instance in flawshot.Catalog.open(tmp_path / "out")) == [
        "src/dent/a.jpg",
        "src/dent/a.png",
    ]


def test_what_cannot_be_used_is_named(tmp_path):
    root = tree(tmp_path / "src", "dent/a.png", "b.png")
    (root / "dent/c.png").write_bytes(b"no")
    found = import_folders(root, tmp_path / "out")
    assert [(problem.file, problem.kind) for problem in found.problems] == [
        ("b.png", "no-category"),
        ("dent/c.png", "unreadable-image"),
    ]
    assert found.files == 1


def test_a_category_called_like_a_split_below_products_keeps_its_images(tmp_path):
    found = import_folders(tree(tmp_path / "src", "train/bolt/test/a.png", "train/bolt/dent/a.png"), tmp_path / "out")
    assert found.files == 2


def test_only_good_images_are_nothing_to_learn_and_nothing_is_written(tmp_path):
    root = tree(tmp_path / "src", "good/a.png", "good/b.png")
    (root / "dent").mkdir()
    (root / "dent/c.png").write_bytes(b"no")
    with pytest.raises(FlawshotError, match="contains no usable image in a category's folder") as error:
        import_folders(root, tmp_path / "out")
    assert "only 2 of good parts; put images with flaws into one folder per category" in str(error.value)
    assert "the first problem: dent/c.png: c.png: the image cannot be decoded" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_image_is_no_good_image(tmp_path):
    root = tree(tmp_path / "src", "dent/a.png", "good/b.png")
    (root / "good/c.png").write_bytes(b"no")
    found = import_folders(root, tmp_path / "out")
    assert found.counts == {"good": 1}
    assert [(problem.file, problem.kind) for problem in found.problems] == [("good/c.png", "unreadable-image")]
    assert files_of(tmp_path / "out") == ["src/dent/a.json", "src/dent/a.png", "src/good/b.png"]


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        pytest.param(["scratch/a.png", "line1/good/b.png", "line1/dent/c.png"], "line1/good/b.png", id="mixed depths"),
        pytest.param(["scratch/a.png", "scratch/good/1.png"], "scratch/good/1.png", id="inside a category"),
        pytest.param(["bolt/dent/OK/1.png", "bolt/dent/a.png"], "bolt/dent/OK/1.png", id="inside a product's category"),
    ],
)
def test_good_images_never_become_a_flaw(tmp_path, paths, named):
    with pytest.raises(FlawshotError, match=f"{named}: the folder .* of good images is inside that of the category"):
        import_folders(tree(tmp_path / "src", *paths), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_good_images_says_that_its_level_is_that_of_categories(tmp_path):
    root = tree(tmp_path / "src", "good/cam1/a.png", "dent/cam2/b.png")
    found = import_folders(root, tmp_path / "out")
    assert (found.products, found.categories, found.counts) == (("src",), ("dent",), {"good": 1})


def test_a_folder_that_may_be_a_products_is_named(tmp_path):
    root = tree(tmp_path / "src", "scratch/a.png", "line1/dent/c.png", "scratch/cam1/b.png")
    found = import_folders(root, tmp_path / "out")
    assert [(problem.file, problem.kind, problem.severity) for problem in found.problems] == [
        ("line1", "mixed-depth", "warning")
    ]
    assert "all images in them are taken as the category line1" in found.problems[0].message


def test_masks_are_no_images_of_a_category(tmp_path):
    root = tree(tmp_path / "mvtec", "test/dent/000.png", "test/good/1.png", "ground_truth/dent/000_mask.png")
    for source in (root, tree(tmp_path / "flat", "dent/a.png", "Masks/a.png")):
        with pytest.raises(FlawshotError, match="are masks: import them with flawshot import masks"):
            import_folders(source, tmp_path / "out")
    beside = tree(tmp_path / "beside", "dent/a.jpg")
    Image.fromarray(np.eye(12, dtype=np.uint8) * 255).save(beside / "dent/a.png")
    with pytest.raises(FlawshotError, match=r"dent/a\.png: is the mask of dent/a\.jpg: import them"):
        import_folders(beside, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_user_who_opens_such_folders_is_told(tmp_path):
    root = tree(tmp_path / "src", "dent/a.png")
    with pytest.raises(FlawshotError, match="flawshot import folders"):
        flawshot.Catalog.open(root)
    with pytest.raises(FlawshotError, match="flawshot import folders"):
        flawshot.import_masks(root, tmp_path / "out")
