"""Panels: what is drawn of each product and K, and what has no room."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from flawshot import write_report
from flawshot.report import panels
from flawshot.report.panels import make_panels, shares
from flawshot.report.svg import CLASSES
from hostile import PRODUCTS


@pytest.fixture(scope="module")
def whole(results):
    return make_panels(results, "prototype")


def test_each_product_and_k_has_its_panel_with_every_classifier(whole):
    made, undrawn = whole
    assert [(each["product"], each["shots"], each["shown"]) for each in made] == [
        (product, shots, shots == 3) for product in PRODUCTS for shots in (1, 3)
    ]
    assert undrawn == 0
    for each in made:
        assert [run["name"] for run in each["runs"]] == ["prototype", "knn", "outline", "majority"]
        assert each["chosen"] == 0


def test_what_has_no_room_is_the_smaller_k_and_is_said(results, whole, monkeypatch, tmp_path):
    size = len(whole[0][1]["bars"]) + len(whole[0][1]["reliability"])
    monkeypatch.setattr(panels, "MOST_BYTES", size)
    made, undrawn = make_panels(results, "prototype")
    assert {each["shots"] for each in made} == {3}
    assert undrawn == len(whole[0]) - len(made) > 0
    write_report(results, tmp_path / "r.html")
    noun = "combination" if undrawn == 1 else "combinations"
    assert f"{undrawn} further {noun} of product and shots" in (tmp_path / "r.html").read_text()


def test_a_panel_is_always_drawn(results, monkeypatch):
    monkeypatch.setattr(panels, "MOST_BYTES", 0)
    assert len(make_panels(results, "prototype")[0]) == 1


def test_figures_have_no_styles_and_no_colors_of_their_own(whole):
    for each in whole[0]:
        for drawn in (each["bars"], each["reliability"]):
            for element in ET.fromstring(drawn).iter():  # noqa: S314  # our own
                assert "style" not in element.attrib
                assert not element.tag.endswith("}style")
                assert element.get("fill") in {None, "none"}
                assert element.get("stroke") in {None, "none"}
                own = set((element.get("class") or "").split()) - {"choice", "chosen"}
                assert own <= {f"{key}-{name}" for key in "fs" for name in CLASSES.values()}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1, 1], [(1, 50, 5), (1, 50, 5)]),
        ([1, 7], [(1, 13, 1), (7, 88, 9)]),  # halves go up, in the script too
        ([0, 0], [(0, 0, 0), (0, 0, 0)]),  # a category that was never asked
        ([3], [(3, 100, 10)]),
    ],
)
def test_shares(counts, expected):
    assert shares(counts) == expected
