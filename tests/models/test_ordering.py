"""Orders of images, and blocks that follow each other."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

import flawshot
from flawshot import FlawshotError
from flawshot.models.ordering import (
    BLOCKS,
    ImageOrder,
    blocks_of,
    image_order,
    order_by_name,
    order_by_time,
    order_from_csv,
    ranks_of_units,
)


def in_order(order):
    return sorted(order.ranks, key=order.ranks.__getitem__)


def test_names_are_ordered_as_a_person_counts():
    names = ["b/1.png", "a/img10.png", "a/img2.png", "a/img02.png", "a/IMG3.png", "a/img.png", "a/img²b.png"]
    ranks = order_by_name(names).ranks
    assert ranks["a/img2.png"] < ranks["a/IMG3.png"] < ranks["a/img10.png"] < ranks["b/1.png"]
    assert len(set(ranks.values())) == len(names)


def image(path, when=None, changed=0):
    exif = Image.Exif()
    if when:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = when
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    os.utime(path, ns=(changed, changed))
    return path


def test_the_time_of_taking_comes_before_that_of_changing(tmp_path):
    sources = {
        name: image(tmp_path / name, f"2024:01:{day:02} 00:00:00", changed)
        for name, day, changed in (("a.jpg", 3, 1), ("b.jpg", 1, 2), ("c.jpg", 2, 3))
    }
    order = order_by_time(sources)
    assert (order.by, in_order(order), order.remark) == ("capture time", ["b.jpg", "c.jpg", "a.jpg"], "")


def test_times_of_both_kinds_are_never_mixed(tmp_path):
    sources = {
        name: image(tmp_path / name, when, changed)
        for name, when, changed in (("a.jpg", "2024:01:03 00:00:00", 10), ("b.jpg", None, 30), ("c.jpg", None, 20))
    }
    order = order_by_time(sources)
    assert (order.by, in_order(order)) == ("modification time", ["a.jpg", "c.jpg", "b.jpg"])
    assert order.remark.startswith("2 images do not say when it was taken; the times at which the files were last")
    alone = order_by_time({"b.jpg": sources["b.jpg"]})
    assert alone.remark.startswith("no image says when it was taken; ")


def test_an_embedded_image_without_a_time_is_refused_and_one_that_cannot_be_read_passed_over(tmp_path):
    path = image(tmp_path / "a.png")
    with pytest.raises(FlawshotError, match=r"^b\.png: is embedded in its annotation and does not say when"):
        order_by_time({"a.png": path, "b.png": path.read_bytes()})
    assert in_order(order_by_time({"a.png": path, "b.png": tmp_path / "missing.png"})) == ["a.png"]
    with pytest.raises(FlawshotError, match="none of the images can be read"):
        order_by_time({"b.png": tmp_path / "missing.png"})


@pytest.mark.parametrize(
    ("values", "first"),
    [
        pytest.param(["10", "9", "9.5"], ["b", "c", "a"], id="numbers"),
        pytest.param(["2024-02-01", "2024-01-31T23:59", "2024-01-31"], ["c", "b", "a"], id="dates and times"),
        pytest.param(
            ["2024-01-31T10:00+05:00", "2024-01-31T06:00Z", "2024-01-31T07:00+02:00"], ["a", "c", "b"], id="zones"
        ),
        pytest.param(["batch10", "batch9", "batch1"], ["c", "b", "a"], id="text"),
    ],
)
def test_a_table_orders_by_numbers_times_or_text(tmp_path, values, first):
    rows = [f"x/{name}.png,{value}" for name, value in zip("abc", values, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["image,order", *rows]))
    order = order_from_csv(tmp_path / "t.csv", [f"x/{name}.png" for name in "abc"])
    assert in_order(order) == [f"x/{name}.png" for name in first]
    assert order.by == "table"


def test_the_same_value_is_the_same_rank(tmp_path):
    (tmp_path / "t.csv").write_text("image;shift\na.png;2\nb.png;1\nc.png;2\n")
    order = order_from_csv(tmp_path / "t.csv", ["a.png", "b.png", "c.png"], "shift")
    assert order.ranks == {"a.png": 1, "b.png": 0, "c.png": 1}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("image,order\na.png,31.01.2024\nb.png,1.2.2024\n", "31.01.2024 may be two dates; write the year first"),
        ("image,order\na.png,1\n", "b.png has no row; add a row with its path and its order"),
        ("image,order\na.png,1\na.png,2\nb.png,1\n", "a.png has a different order in an earlier row"),
        ("image,order\na.png,\nb.png,1\n", "row 2: order is empty; every row needs an image and its order"),
        ("image,when\na.png,1\nb.png,1\n", "image and order"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_line(tmp_path, table, said):
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(FlawshotError, match=said) as raised:
        order_from_csv(tmp_path / "t.csv", ["a.png", "b.png"])
    assert "\n" not in str(raised.value)


def test_an_order_is_named_or_a_table(tmp_path, catalog_of):
    catalog = catalog_of([("a", ["dent"]), ("b", ["hole"])])
    (tmp_path / "t.csv").write_text("image,order,Shot\na.png,1,2\nb.png,2,1\n")
    assert flawshot.image_order("name", catalog).by == "name"
    assert in_order(image_order(tmp_path / "t.csv", catalog)) == ["a.png", "b.png"]
    assert in_order(image_order(f"{tmp_path}/t.csv:shot", catalog)) == ["b.png", "a.png"]
    for wrong in ("nothing", "names", "x" * 5000, "a\0b"):
        with pytest.raises(FlawshotError, match="must be name, time, or a table with columns image,order"):
            image_order(wrong, catalog)
    with pytest.raises(FlawshotError, match="none of the images can be read"):
        image_order("time", catalog)


def test_a_unit_lies_where_its_last_image_does():
    order = ImageOrder("table", {"a": 4, "b": 1, "c": 2})
    units = np.array([0, 0, 1, 1])
    assert ranks_of_units(order, ["a", "b", "b", "c"], units).tolist() == [4, 2]
    with pytest.raises(FlawshotError, match="d: has no place in the order; order must be of all images"):
        ranks_of_units(order, ["d"], np.array([0]))


instances = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=60)


@given(instances, st.data(), st.booleans())
def test_blocks_divide_no_unit_and_follow_each_other(pairs, data, apart):
    units = np.unique([unit for unit, _ in pairs], return_inverse=True)[1]
    categories = np.unique([category for _, category in pairs], return_inverse=True)[1]
    count = int(units.max()) + 1
    ranks = np.array(data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count)))
    block = blocks_of(ranks, units, categories, apart=apart)
    assert sorted(set(block)) == list(range(int(block.max()) + 1))
    assert block.max() < BLOCKS
    for unit in range(count):
        assert len(set(block[units == unit])) == 1
    if not apart:
        for earlier, later in zip(*np.nonzero(ranks[units][:, None] < ranks[units][None]), strict=True):
            assert block[earlier] <= block[later]
        for one, other in zip(*np.nonzero(ranks[units][:, None] == ranks[units][None]), strict=True):
            assert block[one] == block[other]


@given(st.integers(5, 60), st.randoms())
def test_blocks_of_different_ranks_have_about_as_many_units(count, rng):
    ranks = list(range(count))
    rng.shuffle(ranks)
    units = np.arange(count)
    block = blocks_of(np.array(ranks), units, np.zeros(count, dtype=np.intp), apart=False)
    sizes = np.bincount(block)
    assert len(sizes) == BLOCKS
    assert sizes.max() - sizes.min() <= 1


@given(st.lists(st.integers(2, 20), min_size=2, max_size=4))
def test_where_names_compare_one_category_only_every_block_has_its_share_of_each(sizes):
    categories = np.repeat(np.arange(len(sizes)), sizes)
    units = np.arange(len(categories))
    block = blocks_of(units, units, categories, apart=True)  # one category's names come after the other's
    for category, size in enumerate(sizes):
        own = block[categories == category]
        assert (np.diff(own) >= 0).all()
        if size >= BLOCKS:
            assert len(set(own)) > 1
    early = [np.flatnonzero(categories == category)[0] for category in range(len(sizes))]
    assert block[early].max() <= block.max() // 2 + 1
