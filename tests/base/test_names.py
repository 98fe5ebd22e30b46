"""Names of folders made of labels."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flawshot.base.names import LONGEST_NAME, folder_name

ODD = st.text(st.sampled_from('ab%2EFf~. /\\?:"_é傷\u3000\n\u200d\ud800CONcon1'), max_size=8)
LABELS = st.one_of(st.text(), ODD, st.text(st.characters(), min_size=50, max_size=400))


@pytest.mark.parametrize(
    "label",
    ["dent", "bent lead", "Kratzer ü", "傷　深い", "a_b", "v1.2", "a-b (2)", "it's", "console", "50 % worn", "%"],
)
def test_plain_labels_stay_as_they_are(label):
    assert folder_name(label) == label


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ('a"b', "a%22b"),
        ("scratch?", "scratch%3F"),
        ("", "%empty"),
        ("%empty", "%25empty"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        (".x", "%2Ex"),
        ("a.", "a%2E"),
        (" a ", "%20a%20"),
        ("nul.txt", "%6Eul.txt"),
        ("com¹", "%63om¹"),
        ("Lpt9 .x", "%4Cpt9 .x"),
        ("C:\\x", "C%3A%5Cx"),
        ("two\nlines", "two%0Alines"),
        ("\ud800", "%ED%A0%80"),
        ("a%20b", "a%2520b"),
        ("a%~b", "a%25~b"),
    ],
)
def test_what_no_folder_can_be_called(label, name):
    assert folder_name(label) == name


@given(LABELS)
@example("傷" * 400)
@example("\ud800" * 100)
@example("/" * 70)
def test_every_name_suits_every_system(label):
    name = folder_name(label)
    assert 0 < len(name.encode()) <= LONGEST_NAME
    assert len(PurePosixPath(name).parts) == len(PureWindowsPath(name).parts) == 1
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f\x7f]|^[. ]|[. ]$', name)
    assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d) *(\.|$)", name)
    assert folder_name(label) == name


@given(LABELS, LABELS)
@example("", "%empty")
@example("a/b", "a%2Fb")
@example("x" * 300, "x" * 301)
@example("x" * 300, folder_name("x" * 300))
@example("/" * 100, "/" * 101)
def test_different_labels_have_different_names(one, other):
    assert (folder_name(one) == folder_name(other)) == (one == other)


@given(ODD)
def test_a_short_label_can_be_read_from_its_name(label):
    name = folder_name(label)
    assert (unquote(name, errors="surrogatepass") if label else name) == (label or "%empty")


@pytest.mark.parametrize("start", ["", "a", "ab"])
def test_a_long_name_is_cut_between_its_escapes(start):
    assert re.fullmatch(rf"{start}(%2F)+%~[0-9a-f]{{16}}", folder_name(start + "/" * 100))
