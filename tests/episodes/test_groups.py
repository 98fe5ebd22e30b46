"""Groups from a regular expression or a table."""

from __future__ import annotations

import unicodedata

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
        ("image,group\npart/crack/tile1_a.png,1\npart/crack/tile1_a.png,2\n", r"row 3: .* a different group"),
        ("file,tile\na,1\n", r"has the columns file, tile \(separated by a comma\), but needs image and group"),
        ("image,group\nx/tile1_a.png,1\ny/tile1_a.png,2\n", "cannot be distinguished from others named"),
    ],
)
def test_a_table_that_leaves_doubt_is_refused(tmp_path, text, message):
    with pytest.raises(EpisodeError, match=message):
        groups_from_csv(write(tmp_path, text), IMAGES)


def test_a_row_with_the_whole_path_of_an_image_is_no_other_image_s(tmp_path):
    """Whichever of both images comes first: a good image 0.png must not take the row of the flawed 0.png."""
    table = write(tmp_path, "image,group\n0.png,1\n")
    for images in (["0.png", "good/0.png"], ["good/0.png", "0.png"]):
        with pytest.raises(EpisodeError, match=r"good/0\.png cannot be distinguished from others named 0\.png"):
            groups_from_csv(table, images)
    table = write(tmp_path, "image,group\n0.png,1\ngood/0.png,2\n")
    assert groups_from_csv(table, ["0.png", "../good/0.png"]) == {"0.png": "1", "../good/0.png": "2"}


def test_blanks_around_a_group_are_not_part_of_it(tmp_path):
    rows = [f"{path} , 7{blank}" for path, blank in zip(IMAGES, ("", " ", "\t"), strict=True)]
    assert set(groups_from_csv(write(tmp_path, "\n".join(["image,group", *rows])), IMAGES).values()) == {"7"}
    with pytest.raises(EpisodeError, match="row 2: group is empty"):
        groups_from_csv(write(tmp_path, "image,group\na.png,\u3000\n"), IMAGES)


def saved(separator=",", header=("image", "group"), first="", end="\n", extra=""):
    rows = [header, *zip(IMAGES, "112", strict=True)]
    return first + "".join(f"{separator.join(row)}{extra}{end}" for row in rows)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(saved(";").encode(), id="semicolons"),
        pytest.param(saved("\t").encode(), id="tabs"),
        pytest.param(saved("|").encode(), id="bars"),
        pytest.param(saved(";", first="sep=;\r\n", end="\r\n").encode("utf-8-sig"), id="Excel's first line"),
        pytest.param(saved("~", first='"SEP=~"\n').encode(), id="a separator that only the first line tells"),
        pytest.param(saved(",", first="sep=;\n").encode(), id="a first line that is wrong"),
        pytest.param(saved(header=(" Image", "GROUP ")).encode(), id="header's case and blanks"),
        pytest.param(saved(header=('"image"', '"group"')).encode(), id="a quoted header"),
        pytest.param(saved(";", end="\r").encode(), id="carriage returns"),
        pytest.param(saved(extra=",,").encode(), id="empty columns"),
        pytest.param(b"\n\n" + saved(end="\n\n,\n").encode() + b",,\n  \n", id="empty rows"),
        pytest.param(saved("\t").encode("utf-16"), id="Excel's Unicode text"),
        pytest.param(saved("\t").encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(b"\xfe\xff" + saved(";").encode("utf-16-be"), id="UTF-16, the other way round"),
        pytest.param(saved().replace("part/", "./part/").encode(), id="paths from here"),
        pytest.param(saved().replace("part/", "D:\\data\\part\\").encode(), id="another machine's paths"),
        pytest.param(b"group,note,image\n1,x,%s\n1,,%s\n2,y,%s\n" % tuple(i.encode() for i in IMAGES), id="order"),
    ],
)
def test_a_table_is_read_as_spreadsheets_save_it(tmp_path, data):
    path = tmp_path / "groups.csv"
    path.write_bytes(data)
    assert groups_from_csv(path, IMAGES) == dict(zip(IMAGES, "112", strict=True))


@pytest.mark.parametrize("encoding", ["gb18030", "cp932", "utf-8", "utf-16"])
def test_names_in_a_local_encoding_are_read_in_the_one_that_fits_the_images(tmp_path, encoding):
    images = ["划痕/部品1.png", "划痕/部品2.png"] if encoding != "cp932" else ["傷/部品1.png", "傷/部品2.png"]
    path = tmp_path / "groups.csv"
    path.write_bytes(
        "".join(f"{i};{n}\n" for i, n in [("image", "group"), *zip(images, "ab", strict=True)]).encode(encoding)
    )
    assert list(groups_from_csv(path, images).values()) == ["a", "b"]


def test_western_names_are_not_read_as_chinese(tmp_path):
    images = ["Müller/Stück1.png", "Müller/Größe.png"]
    path = tmp_path / "groups.csv"
    path.write_bytes(("image;group\n" + "".join(f"{image};7\n" for image in images)).encode("cp1252"))
    assert set(groups_from_csv(path, images).values()) == {"7"}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_is_the_same_in_every_unicode_form(tmp_path, form):
    image = "größe/é.png"
    table = write(tmp_path, f"image,group\n{unicodedata.normalize(form, image)},3\n")
    other = unicodedata.normalize("NFD" if form == "NFC" else "NFC", image)
    assert groups_from_csv(table, [other]) == {other: "3"}


def test_equal_names_are_told_apart_by_their_folders(tmp_path):
    table = write(tmp_path, "image,group\nx/dent/s1/cam.png,1\nx/dent/s2/cam.png,2\n")
    assert groups_from_csv(table, ["q/s1/cam.png", "q/s2/cam.png"]) == {"q/s1/cam.png": "1", "q/s2/cam.png": "2"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"image;grp\na;1\n", r"has the columns image, grp \(separated by a semicolon\), but needs image and group"),
        (b"", "has no columns"),
        (b"\n\n", "has no columns"),
        (b"PK\x03\x04rest", "is a spreadsheet; save it as CSV"),
        (b"\xd0\xcf\x11\xe0rest", "is a spreadsheet; save it as CSV"),
        (b"image,group\n" + b'"' + b"a" * 10_100_000, "line 2: is not a table row"),
        (b"image,group\na.png,\n", "row 2: group is empty"),
        (b"image,group\n,1\n", "row 2: image is empty"),
        (b"sep=,\nimage,group\n\n,1\n", "row 4: image is empty"),
        (bytes(range(256)) * 4, "has the columns|has no columns"),
    ],
)
def test_what_is_no_such_table_is_one_line(tmp_path, data, message):
    path = tmp_path / "groups.csv"
    path.write_bytes(data)
    with pytest.raises(EpisodeError, match=message) as caught:
        groups_from_csv(path, IMAGES)
    assert "\n" not in str(caught.value)


def test_two_images_of_one_name_need_their_paths(tmp_path):
    table = write(tmp_path, "image,group\nsomewhere/000.png,1\n")
    with pytest.raises(EpisodeError, match="cannot be distinguished"):
        groups_from_csv(table, ["a/000.png", "b/000.png"])


def test_a_table_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(EpisodeError, match="cannot be read"):
        groups_from_csv(tmp_path / "none.csv", IMAGES)
