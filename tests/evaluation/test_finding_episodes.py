"""Data and draws for the evaluation of finders: support and queries share no image and no group."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from color_finder import write_tree
from flawshot import Catalog, FlawshotError
from flawshot.evaluation.finding_data import FindingData, data_of_folder, data_of_tree, is_mask_tree
from flawshot.evaluation.finding_episodes import draw_finding_episodes, unit_of
from helpers import box_shape


def labelme_data(tmp_path, write_annotations, images=8, good=6):
    root = write_annotations({f"{name}{n}.json": [box_shape(name)] for name in ("dent", "rust") for n in range(images)})
    for path in root.glob("*.json"):
        Image.new("RGB", (120, 100)).save(path.with_suffix(".png"))
    for number in range(good):
        (tmp_path / "good").mkdir(exist_ok=True)
        Image.new("RGB", (120, 100)).save(tmp_path / "good" / f"dent{number}.png")
    return Catalog.open(root), tmp_path / "good"


def test_a_tree_is_read_with_its_good_images_and_their_split(tmp_path):
    write_tree(tmp_path, products=("bolt", "nut"), train=4, good=3, flawed=2)
    problems = []
    bolt, nut = data_of_tree(tmp_path, problems)
    assert not problems
    assert (bolt.product, nut.product) == ("bolt", "nut")
    assert sorted(bolt.catalog.column("category")) == ["rust", "rust", "stain", "stain"]
    assert [each.split for each in bolt.good] == ["test"] * 3 + ["train"] * 4
    assert all(each.path.is_file() and each.path.parts[-4] == "nut" for each in nut.good)
    (alone,) = data_of_tree(tmp_path / "bolt", [])
    assert (alone.product, len(alone.good), len(alone.catalog)) == ("bolt", 7, 4)
    assert {instance.area for instance in bolt.catalog} == {144}
    (tmp_path / "bolt/defects_config.json").write_text("[]")
    assert is_mask_tree(tmp_path)


def test_the_published_task_uses_all_of_train_and_all_of_test(tmp_path):
    (data,) = data_of_tree(write_tree(tmp_path), [])
    (episode,) = draw_finding_episodes(data, 0, "all")
    assert len(episode.good) == 4
    assert not episode.support
    assert len(episode.queries) == 6
    assert len(episode.good_queries) == 3
    several = draw_finding_episodes(data, 0, 2, seeds=range(4))
    assert len({tuple(sorted(each.name for each in episode.good)) for episode in several}) > 1
    assert all(episode.queries == each.queries for each in several)


def test_labeled_instances_and_queries_share_no_image(tmp_path):
    (data,) = data_of_tree(write_tree(tmp_path), [])
    for episode in draw_finding_episodes(data, 1, 2):
        support = {data.catalog[data.catalog.row_of[identifier]].image for identifier in episode.support}
        assert len(support) == 2
        assert support.isdisjoint(episode.queries)
        assert len(episode.queries) == 4
        assert len(episode.good) == 2
        assert len(episode.good_queries) == 3


def test_a_single_category_is_enough_to_find(catalog_of):
    data = FindingData("part", catalog_of([(f"x{n}", ["dent"]) for n in range(4)]), ())
    for episode in draw_finding_episodes(data, 2, 0):
        assert (len(episode.support), len(episode.queries)) == (2, 2)


def test_good_images_in_one_folder_are_divided(tmp_path, write_annotations):
    catalog, good = labelme_data(tmp_path, write_annotations)
    (data,) = data_of_folder(catalog, good, [])
    assert not is_mask_tree(catalog.root)
    for count, expected in ((0, (0, 6)), (2, (2, 4)), ("all", (3, 3))):
        for episode in draw_finding_episodes(data, 1, count):
            assert (len(episode.good), len(episode.good_queries)) == expected
            assert not set(episode.good) & set(episode.good_queries)


def test_no_group_is_on_both_sides(tmp_path, write_annotations):
    catalog, good = labelme_data(tmp_path, write_annotations)
    (data,) = data_of_folder(catalog, good, [])
    names = [*catalog.column("image"), *(each.name for each in data.good)]
    groups = {name: name[-5] for name in names}  # the number: a dent, a rust and a good image show the same part
    for episode in draw_finding_episodes(data, 1, 2, groups=groups):
        support = [data.catalog[data.catalog.row_of[identifier]].image for identifier in episode.support]
        ours = {groups[name] for name in [*support, *(each.name for each in episode.good)]}
        theirs = {groups[name] for name in [*episode.queries, *(each.name for each in episode.good_queries)]}
        assert ours.isdisjoint(theirs)
        assert episode.queries


def test_good_images_come_from_groups_that_no_query_needs(tmp_path, write_annotations):
    catalog, good = labelme_data(tmp_path, write_annotations, images=3)
    (data,) = data_of_folder(catalog, good, [])
    groups = {name: name[-5] for name in [*catalog.column("image"), *(each.name for each in data.good)]}
    without = draw_finding_episodes(data, 1, 0, groups=groups)
    for episode, same in zip(draw_finding_episodes(data, 1, 3, groups=groups), without, strict=True):
        assert episode.queries == same.queries


def test_without_groups_equal_names_are_different_images():
    assert unit_of("dent0.png", None) == ("flawed", "dent0.png")
    assert unit_of("dent0.png", {"dent0.png": "7"}) == ("group", "7")


def test_annotated_images_in_the_folder_of_good_ones_are_not_good(tmp_path, write_annotations):
    catalog, _ = labelme_data(tmp_path, write_annotations)
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(catalog.root / "clean.png")
    problems = []
    (data,) = data_of_folder(catalog, catalog.root, problems)
    assert [each.name for each in data.good] == ["clean.png"]
    assert [(each.severity, each.message) for each in problems] == [("warning", "16 images have annotated flaws")]


def test_good_images_are_named_apart_from_flawed_ones(tmp_path, write_annotations):
    """Both folders have a dent0.png."""
    catalog, good = labelme_data(tmp_path, write_annotations)
    (data,) = data_of_folder(catalog, good, [])
    assert {(catalog.root / each.name).resolve() for each in data.good} == {path.resolve() for path in good.iterdir()}
    assert not {each.name for each in data.good} & set(catalog.column("image"))


@pytest.mark.parametrize(
    ("shots", "good_shots", "message"),
    [
        (0, 5, "good_shots=5: bolt has 4 good images for support"),
        (0, 0, "nothing is left to fit a locator to"),
        (3, 1, "bolt: category 'rust' has"),
    ],
)
def test_too_few_images_are_named(tmp_path, shots, good_shots, message):
    (data,) = data_of_tree(write_tree(tmp_path, flawed=2), [])
    with pytest.raises(FlawshotError, match=message):
        draw_finding_episodes(data, shots, good_shots)


def test_good_images_of_several_products_are_refused(tmp_path, catalog_of):
    catalog = catalog_of([("a/x", ["dent"]), ("b/x", ["dent"])], layout="{product}/**")
    with pytest.raises(FlawshotError, match="the good images are of one product, but the data has a, b"):
        data_of_folder(catalog, tmp_path, [])
