"""Counts of images and instances."""

from __future__ import annotations

import csv

from flawshot import count


def table(catalog, product):
    return {
        (row["split"], row["category"]): (row["images"], row["instances"])
        for row in count(catalog)
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
    got = {(r["product"], r["split"], r["category"]): (r["images"], r["instances"]) for r in count(mvtec_fs_catalog)}
    assert got == expected


def test_mvtec_fs_has_its_published_totals(mvtec_fs_catalog):
    rows = [row for row in count(mvtec_fs_catalog) if row["product"] != "toothbrush"]
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
