"""How names are joined, by real finders and a real classifier that have not seen some of the support."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from color_finder import ColorFinder, write_tree
from flawshot.encoders import make_encoder
from flawshot.evaluation.finding_data import data_of_tree
from flawshot.evaluation.finding_names import RegionNamer
from flawshot.evaluation.held_out_names import HeldOutFinder, SupportImage, best_naming_of, held_out_names
from flawshot.evaluation.joining import USUAL
from flawshot.labelme.images import read_image
from flawshot.locating.examples import LabeledImage
from flawshot.regions.found import FoundOnImage
from flawshot.regions.views import make_scheme

CATEGORIES = ["rust", "stain"]


class Mistaken(ColorFinder):
    """Takes each category for the other, and is sure of it."""

    def find(self, image):
        found = super().find(image)
        return FoundOnImage(tuple(replace(each, shares=each.shares[::-1]) for each in found.regions), found.score)


@pytest.fixture(scope="module")
def support(tmp_path_factory):
    data = data_of_tree(write_tree(tmp_path_factory.mktemp("tree"), flawed=4), [])[0]
    namer = RegionNamer(make_encoder("flawshot-tiny", device="cpu"), make_scheme("centre3", ["1.5x", "2x", "3x"], None))
    images = []
    for number, instance in enumerate(data.catalog):
        path = data.catalog.root / instance.image
        namer.encode(read_image(path, path.name), [instance])
        images.append(SupportImage(partial(read_image, path, path.name), [instance], f"part-{number % 4}"))
    return data, namer, images


def variants(data, images, kind):
    """One for each unit, fitted to the other images."""
    made = []
    for unit in sorted({each.unit for each in images}):
        seen = [each.instances[0] for each in images if each.unit != unit]
        labeled = [LabeledImage(data.catalog.root / each.image, ((each.category, each.region()),)) for each in seen]
        finder = kind(labeled, [each.path for each in data.good])
        made.append(HeldOutFinder(finder, finder.categories, frozenset({unit})))
    return made


def test_a_finder_that_names_better_is_believed(support):
    data, namer, images = support
    naming = best_naming_of(images, variants(data, images, ColorFinder), namer, CATEGORIES)
    assert naming.weight > 0
    assert naming.sharpness > USUAL.sharpness  # its shares are right, and not sure enough


def test_a_finder_that_is_mistaken_is_not(support):
    data, namer, images = support
    assert best_naming_of(images, variants(data, images, Mistaken), namer, CATEGORIES).weight == 0


def test_without_variants_names_are_joined_as_usual(support):
    _, namer, images = support
    assert best_naming_of(images, [], namer, CATEGORIES) == USUAL


def test_only_regions_that_find_an_instance_say_something(support):
    data, namer, images = support
    variant = variants(data, images, ColorFinder)[0]
    held_out = next(each for each in images if each.unit in variant.units)
    image, found = held_out.open(), variant.finder.find(held_out.open())
    classifier = namer.fit([each.instances[0] for each in images if each.unit not in variant.units])
    said = partial(namer.probabilities, classifier, image, CATEGORIES)
    known = {"known": variant.categories, "categories": CATEGORIES, "said": said, "part": 3}
    (name,) = held_out_names(found, image, held_out.instances, **known)
    assert CATEGORIES[name.truth] == held_out.instances[0].category
    assert name.probabilities.tolist() == pytest.approx(said([held_out.instances[0].region()])[0].tolist())
    assert name.shares.tolist() == found.regions[0].shares.tolist()
    assert name.part == 3
    assert list(held_out_names(found, image, [], **known)) == []
    assert list(held_out_names(FoundOnImage(()), image, held_out.instances, **known)) == []
    unlabeled = [replace(held_out.instances[0], category="")]
    assert list(held_out_names(found, image, unlabeled, **known)) == []
