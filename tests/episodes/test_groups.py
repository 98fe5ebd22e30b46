"""Groups from a regular expression or a table."""

from __future__ import annotations

import pytest

from flawshot import EpisodeError, groups_from_csv, groups_from_regex

IMAGES = ["part/crack/tile1_a.png", "part/crack/tile1_b.png", "part/dent/tile2_a.png"]


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"tile\d+", ["tile1", "tile1", "tile2"]),  # the whole match
        (r"(tile\d+)_", ["tile1", "tile1", "tile2"]),  # what the parentheses catch
        (r"(\w+)/tile(\d)", ["crack/1", "crack/1", "dent/2"]),  # both of them
    ],
)
def test_a_regular_expression_reads_the_group_off_the_path(pattern, groups):
    assert list(groups_from_regex(pattern, IMAGES).values()) == groups


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is not a regular expression"),
        ("crack", "does not match"),
        (r"\d*", "does not"),
        (r"part(9)?", "does not"),
    ],
)
def test_a_pattern_that_is_none_or_does_not_match_is_refused(pattern, message):
    with pytest.raises(EpisodeError, match=message):
        groups_from_regex(pattern, IMAGES)


def write(tmp_path, text):
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "paths",
    [
        IMAGES,
        [f"other/Imgs/{path.rpartition('/')[2]}" for path in IMAGES],
        [path.replace("/", "\\") for path in IMAGES],
    ],
    ids=["by path", "by name, where the folders were others", "with backslashes"],
)
def test_a_table_names_each_images_group(tmp_path, paths):
    rows = [f"{path},{group}" for path, group in zip(paths, "112", strict=True)]
    table = write(tmp_path, "\n".join(["\ufeffimage,group", *rows, "unused/x.png,9"]))
    assert groups_from_csv(table, IMAGES) == dict(zip(IMAGES, "112", strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,group\npart/crack/tile1_a.png,1\n", r"tile1_b\.png has no row"),
        ("image,group\npart/crack/tile1_a.png,1\npart/crack/tile1_a.png,2\n", r"row 3: .* another group"),
        ("file,tile\na,1\n", r"row 2: needs both columns"),
        ("image,group\nx/tile1_a.png,1\ny/tile1_a.png,2\n", "cannot be told from others named"),
    ],
)
def test_a_table_that_leaves_doubt_is_refused(tmp_path, text, message):
    with pytest.raises(EpisodeError, match=message):
        groups_from_csv(write(tmp_path, text), IMAGES)


def test_blanks_around_a_group_are_not_part_of_it(tmp_path):
    rows = [f"{path} , 7{blank}" for path, blank in zip(IMAGES, ("", " ", "\t"), strict=True)]
    assert set(groups_from_csv(write(tmp_path, "\n".join(["image,group", *rows])), IMAGES).values()) == {"7"}
    with pytest.raises(EpisodeError, match="needs both columns"):
        groups_from_csv(write(tmp_path, "image,group\na.png,\u3000\n"), IMAGES)


def test_two_images_of_one_name_need_their_paths(tmp_path):
    table = write(tmp_path, "image,group\nsomewhere/000.png,1\n")
    with pytest.raises(EpisodeError, match="cannot be told"):
        groups_from_csv(table, ["a/000.png", "b/000.png"])


def test_a_table_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(EpisodeError, match="cannot be read"):
        groups_from_csv(tmp_path / "none.csv", IMAGES)
