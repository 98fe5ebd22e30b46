"""Images in another folder than their annotations."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from flawshot import Catalog, FlawshotError
from flawshot.labelme.annotated_images import annotated_images, without_annotated
from flawshot.labelme.data_folder import find_image, image_source
from flawshot.labelme.image_folder import ImageFolder
from flawshot.labelme.labelme_file import parse_labelme
from helpers import box_shape, labelme_document


def file_of(image_path):
    document = labelme_document([box_shape("dent")], imagePath=image_path)
    return parse_labelme(json.dumps(document).encode(), "a.json")[0]


def folder_of(place, *names, annotations=()):
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (120, 100)).save(place / name)
    return ImageFolder.of(place, annotations)


def look(tmp_path, annotation, image_path, *names, others=()):
    problems = []
    folder = folder_of(tmp_path / "images", *names, annotations=[annotation, *others])
    found = find_image(annotation, file_of(image_path), tmp_path / "annotations", problems, folder)
    return found, [(problem.kind, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("image_path", "names", "found"),
    [
        pytest.param("0.png", ["bolt/0.png", "0.png"], "bolt/0.png", id="at the same path as the annotation"),
        pytest.param("sub/0.png", ["bolt/sub/0.png"], "bolt/sub/0.png", id="as the annotation names it"),
        pytest.param("../../images/bolt/0.png", ["bolt/0.png"], "bolt/0.png", id="up, and down again"),
        pytest.param("/home/a/line/0.png", ["bolt/0.png", "line/0.png"], "bolt/0.png", id="another machine's"),
        pytest.param("D:\\line\\0.png", ["x/line/0.png"], "x/line/0.png", id="Windows's"),
        pytest.param("0.png", ["flat/0.png"], "flat/0.png", id="by its name only"),
        pytest.param("0.png", ["x/bolt/0.png", "x/nut/0.png"], "x/bolt/0.png", id="folders decide"),
        pytest.param("../shots/0.png", ["a/shots/0.png", "b/0.png"], "a/shots/0.png", id="folders in its path decide"),
        pytest.param("é.png", ["x/é.png"], "x/é.png", id="macOS has accents apart"),
    ],
)
def test_images_are_found_by_path_and_then_by_name(tmp_path, image_path, names, found):
    assert look(tmp_path, "bolt/0.json", image_path, *names) == (found, [])


def test_an_ambiguous_name_is_one_line_that_names_two(tmp_path):
    found, ((kind, message),) = look(tmp_path, "bolt/0.json", "0.png", "a/0.png", "b/0.png", "c/0.png")
    assert found == "bolt/0.png"
    assert kind == "ambiguous-image"
    assert message.startswith("imagePath: may be a/0.png, b/0.png and 1 more; name the right folder with ")


@pytest.mark.parametrize(
    ("image_path", "names", "others", "kind", "said"),
    [
        pytest.param(
            "0.png", ["nut/0.png"], ["nut/0.json"], "missing-image", "is that of nut/0.json", id="a sibling's"
        ),
        pytest.param("0.png", ["a/nut/0.png"], ["nut/0.json"], "missing-image", "is that of nut/0.json", id="deeper"),
        pytest.param(
            "0.png", ["0.png"], ["nut/0.json"], "ambiguous-image", "also be that of nut/0.json", id="neither's"
        ),
        pytest.param("0.png", ["x/0.png"], ["nut/0.json", "0.json"], "ambiguous-image", "may also be", id="three"),
        pytest.param("0.png", ["a/bolt/0.png"], ["nut/0.json"], None, "", id="its own"),
        pytest.param("0.png", ["0.png"], ["nut/1.json"], None, "", id="no other has its name"),
        pytest.param("../nut/0.png", ["nut/0.png"], ["nut/0.json"], None, "", id="named with its folder"),
        pytest.param("1.png", ["nut/1.png"], ["nut/1.json"], None, "", id="named unlike its annotation"),
    ],
)
def test_an_image_that_may_be_another_annotation_s_is_not_taken_for_its_name(
    tmp_path, image_path, names, others, kind, said
):
    found, problems = look(tmp_path, "bolt/0.json", image_path, *names, others=others)
    assert [each for each, _ in problems] == ([kind] if kind else [])
    assert all(said in message for _, message in problems)
    assert (found in names) == (kind is None)


def test_products_with_the_same_names_and_one_folder_of_images(tmp_path):
    """Neither product gets the other's image, and which image is whose is asked for."""
    for product in ("bolt", "nut"):
        (tmp_path / "data" / product).mkdir(parents=True)
        (tmp_path / "data" / product / "0.json").write_text(
            json.dumps(labelme_document([box_shape("dent")], imagePath="0.png"))
        )
    folder_of(tmp_path / "images", "0.png")
    catalog = Catalog.open(tmp_path / "data", images=tmp_path / "images")
    assert [problem.kind for problem in catalog.problems] == ["ambiguous-image"] * 2
    assert catalog.column("image") == ["bolt/0.png", "nut/0.png"]
    with pytest.raises(FlawshotError, match="missing"):
        catalog.show(catalog.column("id")[0])
    folder_of(tmp_path / "images", "nut/0.png")
    catalog = Catalog.open(tmp_path / "data", images=tmp_path / "images")
    assert catalog.column("image") == ["bolt/0.png", "nut/0.png"]
    assert [(problem.file, problem.kind) for problem in catalog.problems] == [("bolt/0.json", "ambiguous-image")]


def test_a_missing_image_is_one_line_that_names_the_folder(tmp_path):
    _, ((kind, message),) = look(tmp_path, "bolt/0.json", "0.png", "bolt/1.png")
    assert kind == "missing-image"
    assert message == f"imagePath: the image 0.png is not in {tmp_path / 'images'}"


@pytest.mark.parametrize("image_path", ["../../secret/0.png", "{outside}/0.png", "..\\..\\secret\\0.png"])
def test_no_path_leads_out_of_the_folder(tmp_path, image_path):
    folder_of(tmp_path / "secret", "0.png")
    given_path = image_path.format(outside=tmp_path / "secret")
    found, ((kind, _),) = look(tmp_path, "bolt/0.json", given_path, "bolt/1.png")
    assert kind == "missing-image"
    assert found == "bolt/0.png"


@pytest.fixture(scope="module")
def two_images(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("two"), "a/0.png", "b/0.png")


# On a busy machine, drawing a few words may take more than a second.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(["..", ".", "a", "b", "/", "C:", "\\", "0.png", ""]), min_size=1, max_size=8),
    st.sampled_from(["0.json", "a/0.json", "a/b/0.json"]),
)
def test_whatever_the_path_the_image_is_inside(two_images, parts, annotation):
    place = two_images.root
    found = find_image(annotation, file_of("/".join(parts) or "0.png"), place, [], two_images)
    if (place / found).is_file():
        assert (place / found).resolve().is_relative_to(place)


def test_a_linked_folder_is_listed_once_and_hidden_ones_are_not(tmp_path):
    images = folder_of(tmp_path / "images", "a/0.png", ".cache/1.png")
    (tmp_path / "images/a/up").symlink_to(tmp_path / "images")
    assert images.named == {"0.png": ["a/0.png"]}
    assert ImageFolder.of(tmp_path / "images", []).named == {"0.png": ["a/0.png"]}


def test_what_is_not_a_folder_is_said(tmp_path):
    with pytest.raises(FlawshotError, match=r"images.*none.*is not a folder"):
        ImageFolder.of(tmp_path / "none", [])


def test_the_source_is_in_the_folder_of_images(tmp_path):
    folder_of(tmp_path / "images", "0.png")
    folder_of(tmp_path / "annotations", "0.png")
    for root in (tmp_path / "annotations", None):
        assert image_source(root, "0.png", "0.json", tmp_path / "images") == tmp_path / "images/0.png"
    assert image_source(tmp_path / "annotations", "0.png", "0.json") == tmp_path / "annotations/0.png"


def test_images_annotated_elsewhere_are_not_good(tmp_path):
    images = folder_of(tmp_path / "images", "good/0.png", "good/1.png", "good/2.png")
    root = tmp_path / "annotations"
    root.mkdir()
    (root / "0.json").write_text(json.dumps(labelme_document([box_shape("dent")], imagePath="0.png")))
    (root / "1.json").write_text(json.dumps(labelme_document([{"label": 3}], imagePath="1.png")))
    assert set(annotated_images(root, images)) == {tmp_path / f"images/good/{name}.png" for name in (0, 1)}
    good = tmp_path / "images/good"
    assert without_annotated(good, ["0.png", "1.png", "2.png"], root, images=images).names == ["2.png"]
    assert without_annotated(good, ["0.png", "1.png", "2.png"], root).names == ["0.png", "1.png", "2.png"]
