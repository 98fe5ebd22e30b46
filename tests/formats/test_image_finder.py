"""One image is not taken for two that annotations keep in different folders."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from flawshot import import_coco
from flawshot.formats.image_finder import ImageFinder


@pytest.fixture
def images(tmp_path):
    def draw(*names):
        for name in names:
            (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (50, 40)).save(tmp_path / "images" / name)
        return tmp_path / "images"

    return draw


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        pytest.param(["x/0.png"], ["a/0.png", "b/0.png"], ["x/0.png", None], id="neither's folder"),
        pytest.param(["b/0.png"], ["a/0.png", "b/0.png"], ["b/0.png", "b/0.png"], id="the second one's folder"),
        pytest.param(["a/0.png"], ["a/0.png", "b/0.png"], ["a/0.png", None], id="the first one's folder"),
        pytest.param(["a/0.png"], ["line/a/0.png", "line/b/0.png"], ["a/0.png", None], id="deeper"),
        pytest.param(["a/0.png"], ["a/0.png", "0.png"], ["a/0.png", "a/0.png"], id="a name without folders"),
        pytest.param(["a/0.png"], ["a/0.png", "C:\\line\\a\\0.png"], ["a/0.png", "a/0.png"], id="another machine's"),
        pytest.param(["a/0.png", "b/0.png"], ["a/0.png", "b/0.png"], ["a/0.png", "b/0.png"], id="both there"),
    ],
)
def test_an_image_is_used_for_one_path(images, names, asked, found):
    root, problems = images(*names), []
    finder = ImageFinder([root], problems, beyond=None)
    got = [finder.find(each, [], f"image {number}") for number, each in enumerate(asked)]
    assert [None if each is None else each.relative_to(root).as_posix() for each in got] == found
    doubtful = "0.png" not in asked and "C:" not in asked[1] and len(names) == 1
    told = [(problem.file, problem.severity) for problem in problems]
    expected = [("image 0", "warning"), *([("image 1", "error")] if found[1] is None else [])]
    assert told == (expected if doubtful else [])
    assert all("name the right folder with" in problem.marked for problem in problems)


def test_an_import_says_which_of_two_images_it_lacks(images, tmp_path):
    document = {
        "images": [{"id": n, "file_name": f"{n}/0.png", "width": 50, "height": 40} for n in (1, 2)],
        "categories": [{"id": 1, "name": "dent"}],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [n, n, 9, 9]} for n in (1, 2)],
    }
    (tmp_path / "bolt.json").write_text(json.dumps(document))
    imported = import_coco(tmp_path / "bolt.json", tmp_path / "out", images=images("x/0.png"))
    assert (imported.files, imported.images) == (2, 1)
    assert [problem.kind for problem in imported.problems] == ["ambiguous-image"] * 2
    assert [each.image for each in imported.missing] == ["0.png"]
    imported = import_coco(tmp_path / "bolt.json", tmp_path / "both", images=images("1/0.png", "2/0.png"))
    assert (imported.files, imported.images, imported.problems) == (2, 2, ())
