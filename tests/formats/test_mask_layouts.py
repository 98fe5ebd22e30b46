"""The field's data sets as made-up small trees: recognized, imported, counted, sampled."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from flawshot import Catalog, FlawshotError
from flawshot.base.names import folder_name
from flawshot.cli import app
from flawshot.formats.mask_layouts import MaskLayout, recognize_masks
from flawshot.formats.masks import import_masks

MVTEC_AD = [
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut"),
    *("pill", "screw", "tile", "toothbrush", "transistor", "wood", "zipper"),
]
SIZE = (24, 32)


def save(path, values=90):
    """A picture of one value, or of these."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.broadcast_to(np.asarray(values, dtype=np.uint8), SIZE)).save(path)


def spots(count, value=255):
    mask = np.zeros(SIZE, dtype=np.uint8)
    for number in range(count):
        mask[3 + 6 * number : 7 + 6 * number, 5:9] = value
    return mask


def mvtec_ad(root, products=MVTEC_AD, categories=("broken", "scratch"), images=4):
    """Image number n has 1 + n % 2 defects."""
    for product in products:
        for number in range(3):
            save(root / product / "train/good" / f"{number:03}.png")
        save(root / product / "test/good/000.png")
        for category in categories:
            for number in range(images):
                save(root / product / "test" / category / f"{number:03}.png")
                save(root / product / "ground_truth" / category / f"{number:03}_mask.png", spots(1 + number % 2))
        (root / product / "readme.txt").write_text("about")
    return root


def mvtec_loco(root):
    for category in ("logical_anomalies", "structural_anomalies"):
        for number in range(3):
            save(root / "juice_bottle/test" / category / f"{number:03}.png")
            for mask in range(1 + number % 2):
                gray = spots(2, 100 + mask)  # in two places, and yet one annotation
                save(root / "juice_bottle/ground_truth" / category / f"{number:03}/{mask:03}.png", gray)
    save(root / "juice_bottle/test/good/000.png")
    save(root / "juice_bottle/validation/good/000.png")
    return root


def visa(root, table=True):
    labels = ["chip", "chip,scratch", "scratch"]
    for product in ("candle", "pcb1"):
        rows = []
        for number, label in enumerate(labels):
            image, mask = f"Data/Images/Anomaly/{number:03}.JPG", f"Data/Masks/Anomaly/{number:03}.png"
            save(root / product / image)
            save(root / product / mask, spots(1 + number % 2, 1 + number))
            rows.append((f"{product}/{image}", label, f"{product}/{mask}"))
        save(root / product / "Data/Images/Normal/0000.JPG")
        rows.append((f"{product}/Data/Images/Normal/0000.JPG", "normal", ""))
        if table:
            write_table(root / product / "image_anno.csv", rows)
    return root


def write_table(path, rows, columns=("image", "label", "mask")):
    with path.open("w", newline="") as opened:
        csv.writer(opened).writerows([columns, *rows])


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def counts(place):
    """What stats says: instances by product, category and split."""
    done = run("stats", place, "--json", "-")
    assert done.exit_code == 0, done.output
    rows = [row for row in json.loads(done.stdout) if row["category"] is not None]
    return {(row["product"], row["category"], row["split"]): row["instances"] for row in rows}


def test_mvtec_ad_with_its_fifteen_products(tmp_path):
    root = mvtec_ad(tmp_path / "mvtec")
    done = run("import", "masks", root, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert (
        "layout mvtec-ad, recognized: --pattern '{product}/{split}/{category}/{name} | {product}/ground" in done.stderr
    )
    assert len(done.stderr.splitlines()) == 1
    assert "15 products" in done.stdout
    assert "2 categories (broken, scratch), 120 images and 60 without a defect, 180 instances; 0 under" in done.stdout
    assert counts(tmp_path / "out") == {(p, c, "test"): 6 for p in MVTEC_AD for c in ("broken", "scratch")}
    assert (tmp_path / "out/bottle/test/broken/000.png").is_file()
    assert run("check", tmp_path / "out", "--json", "-").exit_code in {0, 1}
    done = run("sample", tmp_path / "out", "--out", tmp_path / "episodes", "--shots", 1, "--seeds", 2)
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "episodes").rglob("*-1shot.json"))) == 15


def test_one_products_own_folder(tmp_path):
    root = mvtec_ad(tmp_path / "mvtec", ["bottle"])
    found = import_masks(root / "bottle", tmp_path / "out")
    assert (found.layout, found.products, found.images, found.counts["good"]) == ("mvtec-ad", ("bottle",), 8, 4)
    assert counts(tmp_path / "out") == {("bottle", "broken", "test"): 6, ("bottle", "scratch", "test"): 6}


def test_mirad_is_mvtec_ad_with_one_category(tmp_path):
    found = import_masks(mvtec_ad(tmp_path / "mirad", ["chip", "ring"], ["anomaly"]), tmp_path / "out")
    assert (found.layout, found.categories, found.problems) == ("mvtec-ad", ("anomaly",), ())
    assert counts(tmp_path / "out") == {("chip", "anomaly", "test"): 6, ("ring", "anomaly", "test"): 6}


def test_in_mvtec_loco_each_mask_is_one_annotation(tmp_path):
    root = mvtec_loco(tmp_path / "loco")
    kinds = ("logical_anomalies", "structural_anomalies")
    for source in (root, root / "juice_bottle"):
        found = import_masks(source, tmp_path / f"out-{source.name}")
        assert (found.layout, found.products, found.categories) == ("mvtec-loco", ("juice_bottle",), kinds)
        assert (found.images, found.instances, found.problems) == (6, 8, ())
        assert found.counts == {"good": 2, "small": 0, "empty": 0}
    assert counts(tmp_path / "out-loco") == {("juice_bottle", kind, "test"): 4 for kind in kinds}
    assert set(Catalog.open(tmp_path / "out-loco").column("area")) == {32}


@pytest.mark.parametrize("inside", [False, True])
def test_in_visa_the_table_names_the_categories(tmp_path, inside):
    root = visa(tmp_path / "visa")
    found = import_masks(root / "candle" if inside else root, tmp_path / "out")
    products = ("candle",) if inside else ("candle", "pcb1")
    expected = {"chip": 1, "chip,scratch": 2, "scratch": 1}
    assert (found.layout, found.products, found.categories) == ("visa", products, tuple(expected))
    assert (found.images, found.counts["good"]) == (3 * len(products), len(products))
    said = [str(problem) for problem in found.problems]
    assert len(said) == len(products)
    assert "names 2 types for one mask; the category is 'chip,scratch'" in said[0]
    assert {problem.severity for problem in found.problems} == {"warning"}
    assert counts(tmp_path / "out") == {(p, c, None): n for p in products for c, n in expected.items()}


def test_visa_without_its_table_has_one_category(tmp_path):
    found = import_masks(visa(tmp_path / "visa", table=False), tmp_path / "out")
    assert (found.categories, found.images, found.problems) == (("anomaly",), 6, ())


def test_two_of_visas_images_that_the_table_makes_one_are_said(tmp_path):
    root = tmp_path / "visa"
    rows = []
    for folder in ("Anomaly", "Bad"):
        image, mask = f"Data/Images/{folder}/000.JPG", f"Data/Masks/{folder}/000.png"
        save(root / "nut" / image)
        save(root / "nut" / mask, spots(1, 1))
        rows.append((f"nut/{image}", "scratch", f"nut/{mask}"))
    write_table(root / "nut/image_anno.csv", rows)
    found = import_masks(root, tmp_path / "out", overwrite=True)
    assert (found.images, found.instances) == (1, 1)
    (problem,) = found.problems
    assert problem.file == "nut/Data/Images/Bad/000.JPG"
    assert "would be the same file nut/scratch/000.json as nut/Data/Images/Anomaly/000.JPG" in problem.message


def test_a_product_whose_name_ends_in_data_keeps_its_labels(tmp_path):
    root = visa(tmp_path / "visa")
    (root / "candle").rename(root / "BigData")
    found = import_masks(root, tmp_path / "out")
    assert found.products == ("BigData", "pcb1")
    assert "anomaly" not in found.categories
    assert [problem.kind for problem in found.problems] == ["several-types"] * 2


def test_a_long_label_of_wide_letters_is_cut_to_what_a_file_system_takes(tmp_path):
    root = visa(tmp_path / "visa")
    write_table(root / "pcb1/image_anno.csv", [("pcb1/Data/Images/Anomaly/000.JPG", "傷" * 120, "m")])
    assert import_masks(root, tmp_path / "out").categories[-1] == "傷" * 120


def test_visas_table_is_checked(tmp_path):
    root = visa(tmp_path / "visa")
    table = root / "candle/image_anno.csv"
    image = "candle/Data/Images/Anomaly/000.JPG"
    write_table(table, [(image, "../../x", "m"), ("../../etc/passwd", "chip", "m"), ("/etc/passwd", "chip", "m")])
    found = import_masks(root, tmp_path / "deep/out")
    said = [str(each) for each in found.problems if "candle" in each.file]
    assert said == [
        "candle/Data/Images/Anomaly/001.JPG: has no row in candle/image_anno.csv; the category is 'anomaly'",
        "candle/Data/Images/Anomaly/002.JPG: has no row in candle/image_anno.csv; the category is 'anomaly'",
        "candle/image_anno.csv: image: '../../etc/passwd' is missing",
        "candle/image_anno.csv: image: '/etc/passwd' is missing",
    ]
    assert (tmp_path / "deep/out/candle/%2E.%2F..%2Fx/000.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "visa"]
    write_table(table, [(image, "chip")], ("image", "label"))
    with pytest.raises(
        FlawshotError, match=r"candle/image_anno.csv: has the columns image, label .* needs image and label and mask"
    ):
        import_masks(root, tmp_path / "other")
    table.write_bytes(b"image,label,mask\n" + b'"' + b"a" * 10_100_000)
    with pytest.raises(FlawshotError, match="is not a table row"):
        import_masks(root, tmp_path / "other")
    table.unlink()
    table.symlink_to(root / "pcb1/image_anno.csv")
    assert import_masks(root, tmp_path / "linked").images == 6
    (tmp_path / "elsewhere.csv").write_text("image,label,mask\n")
    table.unlink()
    table.symlink_to(tmp_path / "elsewhere.csv")
    found = import_masks(root, tmp_path / "linked-out")
    assert "candle/image_anno.csv: is a link to outside the folder" in " ".join(map(str, found.problems))


def test_a_part_less_is_said_in_each_layout(tmp_path):
    for number, (make, image, mask) in enumerate(
        (
            (mvtec_ad, "bottle/test/broken/001.png", "bottle/ground_truth/broken/002_mask.png"),
            (
                mvtec_loco,
                "juice_bottle/test/logical_anomalies/001.png",
                "juice_bottle/ground_truth/logical_anomalies/002/000.png",
            ),
            (visa, "candle/Data/Images/Anomaly/001.JPG", "candle/Data/Masks/Anomaly/002.png"),
        )
    ):
        root = make(tmp_path / f"{number}")
        (root / image).unlink()
        (root / mask).unlink()
        said = [str(problem) for problem in recognize_masks(root).problems]
        assert sum(line.endswith("is a mask without an image") for line in said) == 1 + (make is mvtec_loco)
        assert [
            line for line in said if f"has no mask {mask.replace('/000.png', '/*') if number == 1 else mask}" in line
        ]


def test_a_pattern_says_where_all_lies(tmp_path):
    for number in range(2):
        save(tmp_path / f"src/bolt/defects/dent/{number}.png")
        save(tmp_path / f"src/bolt/defects/dent/{number}-label.png", spots(1))
        save(tmp_path / f"src/nut/defects/good/{number}.png")
    pattern = "{product}/defects/{category}/{name}.png | {product}/*/{category}/{name}-label.png"
    done = run("import", "masks", tmp_path / "src", tmp_path / "out", "--pattern", pattern)
    assert f"layout by pattern, as given: --pattern '{pattern}'" in done.stderr
    assert "2 images and 2 without a defect, 2 instances" in done.stdout
    assert counts(tmp_path / "out") == {("bolt", "dent", None): 2}
    flat = import_masks(tmp_path / "src/bolt/defects/dent", tmp_path / "flat", layout="{name} | {name}-label")
    assert (flat.products, flat.categories, flat.images) == (("dent",), ("anomaly",), 2)


def test_a_layout_can_be_named(tmp_path):
    root = mvtec_ad(tmp_path / "src", ["bottle"])
    assert "layout mvtec-ad, as given" in run("import", "masks", root, tmp_path / "out", "--as", "mvtec-ad").stderr
    for options, words in (
        (
            ("--as", "mvtec"),
            "--as mvtec: must be one of visa, mvtec-ad, mvtec-loco, beside, or IMAGES | MASKS, such as",
        ),
        (("--as", "visa"), "none has a mask according to '{product}/Data/Images/{category}/{name} |"),
        (("--as", "visa", "--pattern", "{name} | {name}_m"), "--as and --pattern: give one of them"),
        (("--pattern", "{name}"), "--pattern '{name}': must be one of visa"),
        (("--pattern", "{name} | {nome}"), "--pattern '{name} | {nome}': must be IMAGES | MASKS"),
    ):
        done = run("import", "masks", root, tmp_path / "none", *options)
        assert isinstance(done.exception, FlawshotError)
        assert words in str(done.exception)
    done = run("import", "masks", tmp_path / "src/bottle/train", tmp_path / "none")
    assert "; specify it with --as or --pattern" in str(done.exception)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "|",
        "{name}",
        "{name} |",
        "{name} | x",
        "{name} | {name} | {name}",
        "../{name} | {name}",
        "/{name} | {name}",
        "{nome}/{name} | {name}",
        "{name}/{name} | {name}",
        "{product}{product}/{name} | {name}",
        "a**/{name} | {name}",
        "{name}/** | {name}",
        "{name}/a.png | {name}",
    ],
)
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(FlawshotError, match="layout="):
        MaskLayout.parse(pattern)


def test_hostile_names_lead_nowhere_else(tmp_path):
    names = ["it's; drop table x", 'say "no"', "two\nlines", "*", "{name}", "$(id)", "..x", "a\\..\\b"]
    for name in names:
        save(tmp_path / f"src/{name}/{name}.jpg")
        save(tmp_path / f"src/{name}/{name}.png", spots(1))
    save(tmp_path / "src/.hidden/a.jpg")
    save(tmp_path / "src/*/._a.jpg")
    found = import_masks(tmp_path / "src", tmp_path / "deep/out")
    seen = [name for name in names if not name.startswith(".")]
    assert found.categories == tuple(sorted(seen))
    assert not found.problems
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "src"]
    written = {
        path.relative_to(tmp_path / "deep/out/src").as_posix() for path in tmp_path.glob("deep/out/src/*/*.json")
    }
    assert written == {f"{folder_name(name)}/{folder_name(name)}.json" for name in seen}
    catalog = Catalog.open(tmp_path / "deep/out")
    assert sorted(catalog.column("category")) == sorted(seen)
    assert not catalog.problems


def test_names_that_some_file_systems_take_for_one_are_said(tmp_path):
    for name in ("Ab", "aB", "a b"):
        save(tmp_path / f"src/dent/{name}.jpg")
        save(tmp_path / f"src/dent/{name}.png", spots(1))
    found = import_masks(tmp_path / "src", tmp_path / "out")
    assert [str(problem) for problem in found.problems] == [
        "dent/aB.jpg: would be the same file src/dent/aB.json as dent/Ab.jpg; it is left out, rename one of them"
    ]
    assert found.instances == len(Catalog.open(tmp_path / "out")) == 2


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    save(tmp_path / "secret/b.jpg")
    save(tmp_path / "secret/b.png", spots(1))
    save(tmp_path / "src/dent/a.jpg")
    save(tmp_path / "src/dent/a.png", spots(1))
    (tmp_path / "src/linked").symlink_to(tmp_path / "secret")
    (tmp_path / "src/loop").symlink_to(tmp_path / "src")
    for suffix in ("jpg", "png"):
        (tmp_path / f"src/dent/b.{suffix}").symlink_to(tmp_path / f"secret/b.{suffix}")
        (tmp_path / f"src/dent/c.{suffix}").symlink_to(f"a.{suffix}")  # within the folder: no harm
    (tmp_path / "src/dent/gone.jpg").symlink_to("nothing.jpg")
    os.mkfifo(tmp_path / "src/dent/pipe.jpg")
    found = import_masks(tmp_path / "src", tmp_path / "out")
    assert (found.images, found.categories) == (2, ("dent",))
    assert [str(problem) for problem in found.problems] == [
        "dent/b.jpg: is a link to outside the folder and is not read; copy it here",
        "dent/b.png: is a link to outside the folder and is not read; copy it here",
        "dent/gone.jpg: is not an ordinary file",
        "dent/pipe.jpg: is not an ordinary file",
        "linked: is a link and is not followed; copy it here",
        "loop: is a link and is not followed; copy it here",
    ]


def test_a_name_that_is_no_text_is_said(tmp_path):
    save(tmp_path / "src/dent/a.jpg")
    save(tmp_path / "src/dent/a.png", spots(1))
    try:
        os.link(tmp_path / "src/dent/a.jpg", os.fsencode(tmp_path / "src/dent") + b"/\xff.jpg")
    except OSError:
        pytest.skip("this file system has names of text only")
    found = import_masks(tmp_path / "src", tmp_path / "out")
    assert [str(problem) for problem in found.problems] == [
        "dent/\\udcff.jpg: the file name is not valid text; rename it"
    ]


def test_out_within_the_source_is_not_read_again(tmp_path):
    save(tmp_path / "src/dent/a.jpg")
    save(tmp_path / "src/dent/a.png", spots(1))
    for _ in range(2):
        found = import_masks(tmp_path / "src", tmp_path / "src/out")
        assert (found.images, found.problems) == (1, ())


@pytest.mark.parametrize(
    ("files", "pattern", "written"),
    [
        pytest.param(
            ["kos00/P0.jpg", "kos00/P0_label.bmp", "kos01/P0.jpg", "kos01/P0_label.bmp"],
            "**/{name} | **/{name}_label",
            ["src/anomaly/kos00/P0", "src/anomaly/kos01/P0"],
            id="KolektorSDD",
        ),
        pytest.param(
            ["x/images/a/0.png", "x/images/b/0.png", "x/masks/a/0.png", "x/masks/b/0.png"],
            "{category}/images/**/{name} | {category}/masks/**/{name}",
            ["src/x/a/0", "src/x/b/0"],
            id="two trees",
        ),
        pytest.param(
            [
                "dent/s1/cam.jpg",
                "dent/s1/cam.png",
                "dent/s2/a/cam.jpg",
                "dent/s2/a/cam.png",
                "dent/cam.jpg",
                "dent/cam.png",
            ],
            None,
            ["src/dent/cam", "src/dent/s1/cam", "src/dent/s2/a/cam"],
            id="beside",
        ),
        pytest.param(
            ["dent/Imgs/0.jpg", "dent/Imgs/0.png", "hole/Imgs/0.jpg", "hole/Imgs/0.png"],
            None,
            ["src/dent/0", "src/hole/0"],
            id="a folder that all images share",
        ),
        pytest.param(
            ["d/train/0.jpg", "d/train/0.png", "d/test/0.jpg", "d/test/0.png"],
            None,
            ["src/d/test/0", "src/d/train/0"],
            id="folders called as splits",
        ),
    ],
)
def test_equal_names_in_several_folders_come_in_whole(tmp_path, files, pattern, written):
    for file in files:
        (tmp_path / "src" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6), 255).save(tmp_path / "src" / file)
    found = import_masks(tmp_path / "src", tmp_path / "out", layout=pattern)
    assert (found.images, found.problems) == (len(written), ())
    paths = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.json"))
    assert [path.with_suffix("").as_posix() for path in paths] == written
    catalog = Catalog.open(tmp_path / "out")
    assert catalog.products == ["src"]
    assert not catalog.problems
