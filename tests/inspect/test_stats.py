"""Counts of images and instances."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from flawshot import Catalog, FlawshotError, count_instances, measure_sizes
from flawshot.inspect.stats_plot import write_plot
from helpers import box_shape


def table(catalog, product):
    return {
        (row["split"], row["category"]): (row["images"], row["instances"])
        for row in count_instances(catalog)
        if row["product"] == product
    }


def test_an_image_with_two_categories_counts_in_both_and_once_in_the_total(catalog_of):
    counts = table(catalog_of([("p/train/a", ["dent", "dent", "scratch"]), ("p/test/b", ["dent"])]), "p")
    assert counts == {
        ("train", None): (1, 3),
        ("train", "dent"): (1, 2),
        ("train", "scratch"): (1, 1),
        ("test", None): (1, 1),
        ("test", "dent"): (1, 1),
    }


# Instances per category, train/test, and images of MVTec-FS, from the data set's own documentation.
PUBLISHED = {
    "transistor": ({"bent_lead": (5, 6), "cut_lead": (6, 5), "damaged_case": (6, 5), "misplaced": (5, 5)}, (20, 20)),
    "bottle": ({"broken_large": (10, 10), "broken_small": (13, 12), "contamination": (11, 10)}, (32, 31)),
    "zipper": (
        {
            "broken_teeth": (16, 11),
            "fabric_border": (19, 18),
            "fabric_interior": (14, 19),
            "rough": (17, 12),
            "split_teeth": (14, 11),
            "squeezed_teeth": (12, 11),
        },
        (61, 58),
    ),
}


def test_mvtec_fs_has_its_published_table(mvtec_fs_catalog):
    for product, (categories, (train, test)) in PUBLISHED.items():
        counts = table(mvtec_fs_catalog, product)
        assert {name for _, name in counts if name} == set(categories)
        for category, instances in categories.items():
            assert tuple(counts[split, category][1] for split in ("train", "test")) == instances, (product, category)
        assert (counts["train", None][0], counts["test", None][0]) == (train, test)


def test_every_count_is_that_of_the_published_tables(mvtec_fs, mvtec_fs_catalog):
    """Counted again with Python's csv module, product by product."""
    csv.field_size_limit(10**7)
    expected = {}
    for path in mvtec_fs.glob("CONFIG/*/*.csv"):
        split = {"train.csv": "train", "valid.csv": "test"}[path.name]
        with path.open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        for category in {None, *(row["label"] for row in rows)}:
            own = [row for row in rows if category in {None, row["label"]}]
            images = {row["img_rel_path"] for row in own}
            expected[rows[0]["part"], split, category] = (len(images), len(own))
    got = {
        (r["product"], r["split"], r["category"]): (r["images"], r["instances"])
        for r in count_instances(mvtec_fs_catalog)
    }
    assert got == expected


def test_mvtec_fs_has_its_published_totals(mvtec_fs_catalog):
    rows = [row for row in count_instances(mvtec_fs_catalog) if row["product"] != "toothbrush"]
    totals = [row for row in rows if row["category"] is None]
    assert sum(row["images"] for row in totals) == 1228
    by_split = {split: sum(row["instances"] for row in totals if row["split"] == split) for split in ("train", "test")}
    assert by_split == {"train": 794, "test": 720}
    named = {(row["product"], row["category"]) for row in rows if row["category"]}
    assert len(named) == 68
    assert len({category for _, category in named}) == 46
    assert len(mvtec_fs_catalog.products) == 15
    toothbrush = table(mvtec_fs_catalog, "toothbrush")
    assert len({category for _, category in toothbrush if category}) == 1


def test_sizes_are_numpys_quantiles(write_annotations):
    sizes = {"train": [3, 8, 20], "test": [5, 30], "loose": [11]}
    files = {
        f"p/{split}/{n}.json": [box_shape("dent" if n else "scratch", size=size), box_shape("dent", size=size)]
        for split, own in sizes.items()
        for n, size in enumerate(own)
    }
    catalog = Catalog.open(write_annotations(files | {"q/a.json": [box_shape(size=4)]}))
    rows = {(row["product"], row["split"], row["category"], row["every_split"]): row for row in measure_sizes(catalog)}
    assert len(rows) == len(measure_sizes(catalog))
    assert set(rows) == {(r["product"], r["split"], r["category"], False) for r in count_instances(catalog)} | {
        ("p", None, None, True),
        ("q", None, None, True),
    }
    for (product, split, category, every), row in rows.items():
        own = [
            instance
            for instance in catalog
            if instance.product == product
            and (every or instance.split == split)
            and category in {None, instance.category}
        ]
        widths = [instance.box[2] - instance.box[0] for instance in own]
        for name, values in (("area", [i.area for i in own]), ("width", widths), ("height", widths)):
            np.testing.assert_allclose(list(row[name].values()), np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
        by_image = np.unique([instance.image for instance in own], return_counts=True)[1]
        assert row["instances_an_image"] == {"mean": by_image.mean(), "max": by_image.max()}


HOSTILE_LABELS = ["$x^2$", "$\\frac{", "<b>&", "[b]old", "\x1b[31m", "划痕", "x" * 500, ""]


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "SVG"])
def test_a_plot_shows_labels_as_they_are(catalog_of, tmp_path, suffix):
    catalog = catalog_of([("p/a", HOSTILE_LABELS), ("q/b", ["dent"] * 30)])
    path = tmp_path / f"plot.{suffix}"
    remarks = write_plot(catalog, path)
    assert bool(remarks) == (suffix in {"png", "pdf"})
    write_plot(catalog, path)  # the same bytes again, so nothing is in the way
    if suffix == "svg":
        text = path.read_text(encoding="utf-8")
        for label in ("$x^2$", "$\\frac{", "&lt;b&gt;&amp;", "[b]old", "\\x1b[31m", "划痕", "(no label)"):
            assert f"p / {label}</text>" in text.replace("</tspan>", ""), label


def test_of_very_many_categories_the_rarest_are_one_bar(catalog_of, tmp_path):
    write_plot(catalog_of([("p/a", [f"c{n:03}" for n in range(100)] + ["c005"])]), tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    assert "41 others" in text
    assert "c005" in text


def test_a_plot_of_another_format_is_refused(catalog_of, tmp_path):
    catalog = catalog_of([("p/a", ["dent"])])
    with pytest.raises(FlawshotError, match=r"must end in \.svg, \.png, \.pdf"):
        write_plot(catalog, tmp_path / "plot.exe")
    (tmp_path / "plot.svg").write_text("mine")
    with pytest.raises(FlawshotError, match="exists with different content"):
        write_plot(catalog, tmp_path / "plot.svg")
