"""Images of one sample, on made-up surfaces."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from flawshot import Catalog, FlawshotError, groups_from_csv
from flawshot.inspect.likeness import Likeness, reduce_image
from flawshot.inspect.same_sample import SameSamples, SampleGroup, _candidates, _joined, _pair, find_same_samples
from flawshot.inspect.same_sample_files import write_same_samples
from helpers import box_shape, labelme_document
from textures import photograph, texture


@pytest.fixture
def images(tmp_path):
    """A catalog of pictures, given as name -> pixels."""

    def make(pictures):
        for name, pixels in pictures.items():
            path = tmp_path / "data" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path.with_suffix(".png"))
            height, width = pixels.shape[:2]
            document = labelme_document([box_shape(at=(1, 1), size=4)], imagePath=path.with_suffix(".png").name)
            path.write_text(json.dumps(document | {"imageHeight": height, "imageWidth": width}))
        return Catalog.open(tmp_path / "data")

    return make


def parted(found):
    return {tuple(image.removesuffix(".png") for image in group.images) for group in found.groups}


@pytest.mark.parametrize("samples", [2, 12, 30])  # few images, and more than are compared all with all
def test_photographs_of_one_surface_are_a_group_and_other_surfaces_are_others(images, samples):
    rng = np.random.default_rng(samples)
    catalog = images(
        {f"p/{s:02}-{n}": photograph(texture(s), rng) for s in range(samples) for n in range(3 if s % 2 else 2)}
    )
    expected = {tuple(f"p/{s:02}-{n}" for n in range(3 if s % 2 else 2)) for s in range(samples)}
    told = []
    found = find_same_samples(catalog, progress=lambda done, total: told.append((done, total)))
    assert parted(found) == expected
    assert all(0.05 < c <= 1 for group in found.groups for c in group.correlations)
    assert told == [(n, told[-1][0]) for n in range(1, told[-1][0] + 1)]
    assert [group.group for group in found.groups] == [f"sample{n:04}" for n in range(1, samples + 1)]
    assert find_same_samples(catalog) == found


CASES = {
    "as it is": lambda p: p,
    "darker": lambda p: (p * 0.3).astype(np.uint8),
    "shifted": lambda p: np.pad(p, ((30, 0), (0, 0)))[:-30],
    "cropped on all sides": lambda p: p[25:-25, 30:-30],
    "overexposed in part": lambda p: np.clip(p * 1.8, 0, 255).astype(np.uint8),
    "lit from the side": lambda p: (p * np.linspace(0.4, 1, p.shape[1])).astype(np.uint8),
    "in colors": lambda p: np.stack([p, p // 2, p // 3], axis=-1),
}


@pytest.mark.parametrize("case", CASES)
def test_what_may_differ(images, case):
    others = {f"p/other{n}": texture(n + 10) for n in range(8)}
    found = find_same_samples(images({"p/a": texture(1), "p/b": CASES[case](texture(1)), **others}))
    assert parted(found) == {("p/a", "p/b"), *((name,) for name in others)}


def test_surfaces_without_a_second_photograph_stay_alone(images):
    catalog = images({f"p/{n:03}": texture(n, (130, 170)) for n in range(80)})
    assert len(find_same_samples(catalog).groups) == 80


def test_one_color_is_no_evidence_and_products_are_kept_apart(images):
    flat = np.full((100, 100), 128, np.uint8)
    catalog = images({"p/a": flat, "p/b": flat, "q/a": texture(1), "r/a": texture(1), "r/b": texture(2)})
    assert len(find_same_samples(catalog).groups) == 5


def test_an_image_that_cannot_be_read_is_a_group_of_its_own(images):
    catalog = images({"p/a": texture(1), "p/b": texture(1), "p/c": texture(1), "p/d": texture(2)})
    (catalog.root / "p/b.png").write_bytes(b"no")
    (catalog.root / "p/c.png").unlink()
    found = find_same_samples(catalog)
    assert len(found.groups) == 4
    assert [line.split(":")[0] for line in found.unusable] == ["p/b.png", "p/c.png"]


def test_an_embedded_image_is_read_and_a_bad_shape_beside_it_does_not_matter(images):
    catalog = images({"p/a": texture(1), "p/b": texture(1), "p/c": texture(2), "p/d": texture(3)})
    for name, data in (("b", (catalog.root / "p/b.png").read_bytes()), ("c", b"no image")):
        path = catalog.root / f"p/{name}.json"
        document = json.loads(path.read_text()) | {"imageData": base64.b64encode(data).decode()}
        document["shapes"].append(box_shape(points=[]))
        document["imagePath"] = "x" * 5000 + ".png" if name == "c" else "b.png"
        path.write_text(json.dumps(document))
        (catalog.root / f"p/{name}.png").unlink()
    found = find_same_samples(Catalog.open(catalog.root))
    assert ("p/a", "p/b") in parted(found)
    assert len(found.groups) == 3
    assert len(found.unusable) == 1


def test_parts_common_to_all_images_are_no_evidence(images):
    frame = texture(99)
    pictures = {}
    for n in range(14):
        picture = texture(n // 2 if n < 4 else n).copy()
        picture[:, :60] = frame[:, :60]  # a fixture that is always in view
        pictures[f"p/{n:02}"] = picture
    assert parted(find_same_samples(images(pictures))) == {
        ("p/00", "p/01"),
        ("p/02", "p/03"),
        *((f"p/{n:02}",) for n in range(4, 14)),
    }


class Known:
    """Pairs of which it is known how alike they are."""

    def __init__(self, count, alike):
        self.likeness, self._alike = range(count), alike

    def compare(self, pairs):
        pass

    def deviations(self, first, second):
        return self._alike.get((min(first, second), max(first, second)), 0)


@pytest.mark.parametrize(
    ("alike", "groups"),
    [
        ({(0, 1): 9, (1, 2): 8, (0, 2): 7}, [[0, 1, 2], [3], [4]]),
        ({(0, 1): 9, (1, 2): 8}, [[0, 1, 2], [3], [4]]),  # half of the pairs between are alike
        ({(0, 1): 9, (1, 2): 6, (2, 3): 8}, [[0, 1], [2, 3], [4]]),  # a chain: one of four
        ({(0, 1): 9, (1, 2): 6, (2, 3): 8, (0, 3): 6}, [[0, 1, 2, 3], [4]]),
        ({}, [[0], [1], [2], [3], [4]]),
    ],
)
def test_groups_are_joined_on_mutual_evidence(alike, groups):
    order = sorted(alike, key=lambda pair: -alike[pair])
    assert _joined(order, Known(5, alike), 5) == groups


def test_pairs_by_number_are_all_pairs():
    assert [_pair(n) for n in range(6)] == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    assert _pair(5000 * 4999 // 2 - 1) == (4998, 4999)


def test_the_correlation_is_the_plain_one_of_the_overlap():
    rng = np.random.default_rng(0)
    surface = rng.normal(size=(60, 80)).astype(np.float16)
    likeness = Likeness([surface, surface[10:, 5:], *rng.normal(size=(6, 60, 80)).astype(np.float16)])
    z, correlation = likeness.compare(0, 1)
    assert correlation > 0.9
    assert z == pytest.approx(correlation * np.sqrt(50 * 75), rel=0.01)
    unlike = [likeness.compare(a, b)[0] for a in range(2, 8) for b in range(a)]
    assert max(unlike) < np.sqrt(2 * np.log(likeness.shifts * 28))
    assert reduce_image(Image.new("L", (4000, 20)), 1.0).shape[1] <= 288


def test_a_thousand_images_are_compared_with_their_nearest_only():
    rng = np.random.default_rng(0)
    likeness = Likeness(list(rng.normal(size=(1000, 24, 24)).astype(np.float16)))
    with ThreadPoolExecutor(2) as pool:
        candidates = _candidates(likeness, pool)
    assert 16_000 <= len(candidates) <= 32_000


def test_the_table_is_read_again_whatever_the_images_are_called(tmp_path):
    names = ("a,b.png", 'a"b.png', "a\rb.png", "a\nb.png", "=a.png", "ä.png")
    found = SameSamples(tuple(SampleGroup(f"sample{n}", "p", (f"p/{name}",)) for n, name in enumerate(names)))
    write_same_samples(found, Catalog.from_annotations([]), tmp_path)
    images = [f"p/{name}" for name in names]
    assert list(groups_from_csv(tmp_path / "groups.csv", images)) == images


def test_sheets_of_an_earlier_table_go_where_files_may_be_replaced(tmp_path, images):
    catalog = images({"p/a": texture(0), "p/b": texture(1), "p/c": texture(2), "p/d": texture(3)})

    def table(*groups):
        return SameSamples(
            tuple(
                SampleGroup(f"sample{n:04}", "p", tuple(f"p/{name}.png" for name in names), (0.9,) * len(names))
                for n, names in enumerate(groups, start=1)
            )
        )

    out = tmp_path / "same"
    before, after = table("ab", "cd"), table("a", "bc", "d")
    write_same_samples(before, catalog, out)
    kept = ("notes.txt", "sample2.png", "sample0001.png.txt", "samples.png")
    for name in kept:
        (out / "evidence" / name).write_text("a user's own")
    with pytest.raises(FlawshotError, match=r"groups\.csv"):
        write_same_samples(after, catalog, out)
    assert (out / "evidence/sample0001.png").is_file()
    write_same_samples(after, catalog, out, overwrite=True)
    assert {path.name for path in (out / "evidence").iterdir()} == {"sample0002.png", *kept}
    write_same_samples(before, catalog, out, overwrite=True)
    assert {path.name for path in (out / "evidence").iterdir()} == {"sample0001.png", "sample0002.png", *kept}
