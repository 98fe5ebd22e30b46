"""Crops as files: where they go."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flawshot import Catalog
from flawshot.base.names import LONGEST_NAME
from flawshot.regions.crop_pictures import file_name, write_plain
from helpers import box_shape

IDS = st.text(st.sampled_from("ab_/.#-2f é"), min_size=1, max_size=8)


def named(text):
    return file_name(SimpleNamespace(id=text))


@given(IDS, IDS)
def test_different_ids_have_different_names(one, other):
    assert (named(one) == named(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "name"),
    [("bolt/dent/0.json#0", "bolt_dent_0.json_23_0"), ("a_b.json#1", "a_5f_b.json_23_1"), ("con.json#0", None)],
)
def test_what_an_id_is_called(text, name):
    assert named(text) == (name or "%63on.json_23_0")


def test_long_ids_are_cut():
    names = {named(f"{'x' * 300}/{number}.json#0") for number in range(3)}
    assert len(names) == 3
    assert max(map(len, names)) <= LONGEST_NAME


def test_crops_of_odd_categories_lie_apart_and_inside(write_annotations, tmp_path):
    labels = ['a"b', "a_22_b", "", "..", "scratch?", "CON"]
    shapes = [box_shape(label, at=(8 * number, 8)) for number, label in enumerate(labels)]
    data = write_annotations({"p/0.json": shapes})
    Image.new("RGB", (120, 100)).save(data / "p/0.png")
    catalog = Catalog.open(data)
    written, unusable = write_plain(catalog, tmp_path / "deep/out")
    assert (written, unusable) == (len(labels), [])
    folders = {path.name for path in (tmp_path / "deep/out/p").iterdir()}
    assert folders == {"a%22b", "a_22_b", "%empty", "%2E%2E", "scratch%3F", "%43ON"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "deep"]
