"""View schemes: how many views, where, in which order."""

from __future__ import annotations

import pytest

from flawshot import FlawshotError
from flawshot.regions.views import SCHEMES, Size, View, crop_box, extent_of, make_scheme

PX = [Size(256.0, relative=False), Size(384.0, relative=False), Size(512.0, relative=False)]


@pytest.mark.parametrize(
    ("name", "count"),
    [("none", 1), ("ms", 3), ("mo", 9), ("mr", 4), ("mf", 5), ("mso", 27), ("msf", 15), ("msr", 12), ("mor", 36),
     ("mso_bbox", 27), ("centre3", 3), ("cross15", 15)],
)  # fmt: skip
def test_each_scheme_has_its_views(name, count):
    scheme = make_scheme(name)
    assert len(scheme.views) == len(set(scheme.views)) == count
    assert scheme.sizes[0] == (Size(1.0, relative=True) if name == "mso_bbox" else PX[0])
    assert all(view.size in scheme.sizes for view in scheme.views)


def test_mso_goes_by_size_then_row_then_column():
    """View 0 is the smallest, moved up and left; the centered ones are 4, 13 and 22."""
    views = make_scheme("mso").views
    expected = [View(size, column, row) for size in PX for row in (-1, 0, 1) for column in (-1, 0, 1)]
    assert list(views) == expected
    assert [n for n, view in enumerate(views) if (view.row, view.column) == (0, 0)] == [4, 13, 22]


def test_the_others_are_parts_of_mso_or_vary_what_they_are_named_for():
    mso = make_scheme("mso").views
    assert make_scheme("centre3").views == make_scheme("ms").views == (mso[4], mso[13], mso[22])
    corners = [view for view in mso if view.row and view.column]
    assert list(make_scheme("cross15").views) == [view for view in mso if view not in corners]
    assert make_scheme("mo").views == mso[:9]
    assert [view.angle for view in make_scheme("mr").views] == [0, 90, 180, 270]
    assert [view.flip for view in make_scheme("mf").views] == [
        "none",
        "horizontal",
        "vertical",
        "transpose",
        "transverse",
    ]
    assert [(v.size, v.angle) for v in make_scheme("msr").views] == [(s, a) for s in PX for a in (0, 90, 180, 270)]


@pytest.mark.parametrize(
    ("text", "box", "pixels"),
    [
        ("256", (0, 0, 9, 9), 256),
        ("256px", (0, 0, 900, 9), 256),
        ("1.0x", (10, 10, 110, 60), 100),  # the longer side
        ("1.5x", (10, 10, 60, 110), 150),
        ("2x", (0, 0, 10, 4), 32),  # never below 32 px
    ],
)
def test_a_size_is_px_or_times_the_box(text, box, pixels):
    assert Size.parse(text).pixels(box) == pixels


@pytest.mark.parametrize("text", ["", "x", "0", "-3", "1.5", "1e9", "nan", "25 6", "1.5xx", "٣"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(FlawshotError, match=r"^sizes"):
        Size.parse(text)


def test_unknown_names_are_refused_with_those_that_are_known():
    with pytest.raises(FlawshotError, match="views='msx': is unknown; choose one of none, ms, mo"):
        make_scheme("msx")
    with pytest.raises(FlawshotError, match=r"^border="):
        make_scheme("mso", border="wrap")
    with pytest.raises(FlawshotError, match="at least one size"):
        make_scheme("mso", sizes=[])
    assert set(SCHEMES) == {
        "none",
        "ms",
        "mo",
        "mr",
        "mf",
        "mso",
        "msf",
        "msr",
        "mor",
        "mso_bbox",
        "centre3",
        "cross15",
    }


def test_the_center_is_that_of_the_extreme_points_and_offsets_are_thirds(catalog_of):
    """The made-up square spans 0 to 8 px, inclusive: its middle is 4, by MVREC's own reckoning."""
    (instance,) = catalog_of([("a", ["dent"])])
    own = (instance.box, extent_of(instance))
    assert crop_box(*own, View(PX[0])) == (4 - 128, 4 - 128, 256)
    assert crop_box(*own, View(PX[0], column=-1, row=1)) == (4 + (-256 // 3) - 128, 4 + 256 // 3 - 128, 256)
