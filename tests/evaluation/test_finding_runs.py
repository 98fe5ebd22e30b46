"""Finders run over episodes, with a real finder and a real encoder on drawn parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from color_finder import ColorFinder, write_tree
from flawshot import FlawshotError
from flawshot.encoders import make_encoder
from flawshot.evaluation.finding_data import data_of_tree
from flawshot.evaluation.finding_episodes import draw_finding_episodes
from flawshot.evaluation.finding_inspection import Inspection
from flawshot.evaluation.finding_names import RegionNamer
from flawshot.evaluation.finding_runs import FittedFinder, average_finding, evaluate_finding
from flawshot.evaluation.finding_scores import summarize_heat
from flawshot.evaluation.finding_tallies import FindingTally, estimate_finding, resample_finding
from flawshot.evaluation.intervals import poisson, wilson
from flawshot.labelme.images import read_image
from flawshot.regions.found import FoundOnImage
from flawshot.regions.views import make_scheme


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"), products=("bolt", "nut"), flawed=3)


@pytest.fixture(scope="module")
def namer():
    return RegionNamer(make_encoder("flawshot-tiny", device="cpu"), make_scheme("centre3", ["1.5x", "2x", "3x"], None))


def run(data, shots, good_shots, fit=ColorFinder, **options):
    episodes = draw_finding_episodes(data, shots, good_shots, seeds=range(2))

    def fitted(labeled, good, units):
        assert len(units) == len(labeled) + len(good)
        return FittedFinder(fit(labeled, good))

    return evaluate_finding(data, episodes, fitted, shots=shots, good_shots=good_shots, **options)


def test_a_finder_that_sees_the_colors_finds_and_names_everything(tree, namer):
    data = data_of_tree(tree, [])[0]
    done = []
    made = run(data, 1, 2, namer=namer, progress=lambda *numbers: done.append(numbers)).run
    assert done[-1] == (14, 14)
    queries = {name for each in draw_finding_episodes(data, 1, 2, seeds=range(2)) for name in each.queries}
    assert (made.n_images, made.n_good, made.n_instances, made.good_images) == (len(queries), 3, len(queries), 2)
    scores = {name: score.mean for name, score in made.scores.items()}
    for name in ("image_auroc", "found", "found_iou_50", "precision", "found_and_named_by_finder", "mean_iou"):
        assert scores[name] == 1.0, name
    assert scores["pro"] > 0.99
    assert scores["good_images_alarmed"] == scores["false_regions_per_image"] == 0.0
    # No false region on a few images does not promise that there is none on others.
    for name, images in (("false_regions_per_image", 7), ("false_regions_per_good_image", 3)):
        low, high = made.scores[name].ci95
        assert low == 0.0
        assert high == pytest.approx(-np.log(0.025) / images)
    # The same pixels as annotated, so the same names.
    assert scores["found_and_named_by_classifier"] == scores["named_given_regions"]
    assert scores["found_and_named"] == scores["named_of_found"] >= scores["found_and_named_by_classifier"]
    # Wilson's bound, as all four instances are found.
    assert made.scores["found"].ci95 == pytest.approx((0.5101, 1.0), abs=1e-4)
    assert set(made.per_category) == {"rust", "stain"}
    assert made.per_category["rust"]["found"].n_query == 2
    assert [each.seed for each in made.episodes] == [0, 1]
    assert made.episodes[0].scores["found"] == 1.0
    assert not any("/" in name for name in (*made.scores, *made.episodes[0].scores))


def test_without_labeled_instances_only_finding_is_scored(tree, namer):
    made = run(data_of_tree(tree, [])[0], 0, "all", namer=namer).run
    assert len(made.episodes) == 1
    assert made.n_images == 6
    assert {"image_auroc", "pixel_auroc", "pro", "found"} <= set(made.scores)
    assert not [name for name in made.scores if "named" in name]


def test_a_found_instance_with_the_wrong_name_is_wrong(tree, namer):
    data = data_of_tree(tree, [])[0]
    always = DummyClassifier(strategy="constant", constant="rust").fit(np.zeros((2, 1)), ["rust", "stain"])
    (episode,) = draw_finding_episodes(data, 0, "all")
    inspection = Inspection(ColorFinder((), [each.path for each in episode.good]), ("rust", "stain"), namer, always)
    for instance in data.catalog:
        image = read_image(tree / instance.image, instance.image)
        assert not inspection.add(image, [instance], ("flawed", instance.image))
    scores = inspection.tally({}).measured()
    assert scores["found"] == scores["found_and_named/rust"] == 1.0
    assert scores["found_and_named"] == scores["named_of_found"] == scores["named_given_regions"] == 0.5
    assert scores["found_and_named/stain"] == 0.0


class Blind(ColorFinder):
    """Finds nothing, and refuses one image."""

    refused = 0

    def find(self, image):
        assert image.mode == "RGB"
        type(self).refused += 1
        return FoundOnImage((), None, "too dark" if type(self).refused == 1 else "")


def test_what_is_not_found_is_wrong_and_what_cannot_be_used_is_left_out(tree, namer):
    data = data_of_tree(tree, [])[0]
    made = run(data, 1, 1, Blind, namer=namer).run
    assert list(made.left_out.values()) == ["too dark"]
    assert made.scores["found"].mean == made.scores["found_and_named"].mean == 0.0
    assert "precision" not in made.scores
    assert "mean_iou" not in made.scores
    assert "found_and_named_by_finder" not in made.scores
    assert made.scores["named_given_regions"].n >= 3


def test_no_usable_query_image_is_refused(tree):
    class Refusing(ColorFinder):
        def find(self, image):
            return FoundOnImage((), None, f"{image.width} px")

    with pytest.raises(FlawshotError, match="bolt: no query image with a flaw can be used; 64 px"):
        run(data_of_tree(tree, [])[0], 0, "all", Refusing)


def test_means_over_products_have_intervals_of_their_own(tree):
    scored = [run(data, 0, "all") for data in data_of_tree(tree, [])]
    (mean,) = average_finding(scored)
    assert mean.products == ("bolt", "nut")
    values = [each.run.scores["pixel_f1_max"].mean for each in scored]
    assert mean.scores["pixel_f1_max"].mean == pytest.approx(np.mean(values))
    low, high = mean.scores["pixel_f1_max"].ci95
    assert low <= np.mean(values) <= high
    # All six good images, the rarer kind, are below all flawed ones.
    assert mean.scores["image_auroc"].ci95 == pytest.approx((0.6097, 1.0), abs=1e-4)
    assert mean.scores["false_regions_per_good_image"].ci95 == pytest.approx((0.0, -np.log(0.025) / 6))
    assert not average_finding(scored[:1])


@pytest.mark.parametrize(("units", "false"), [(40, 0), (4, 0), (40, 2), (1, 2)])
def test_counts_that_are_the_same_on_all_images_have_poissons_interval(units, false):
    """Images of one group are not independent: as few groups as there are promise as little as that."""
    own = tally(0, units=units)
    own = replace(own, counts={"false_regions_per_image": (np.full(40, float(false)), np.ones(40))})
    score = estimate_finding([own], [own.measured()], resample_finding([own], units, "key"))["false_regions_per_image"]
    assert score.mean == false
    assert score.ci95 == pytest.approx(poisson(false, units))
    assert score.n == 40


@pytest.mark.parametrize("groups", [1, 2, 20])
def test_good_images_of_few_groups_promise_little(groups):
    """None of twenty good images is alarmed, and all scores are right: of one group, that is one success."""
    own = tally(0, units=40)
    good = np.cumsum(~own.flawed) - 1
    unit = np.where(own.flawed, np.cumsum(own.flawed) - 1, 20 + good * groups // 20)
    nothing = (np.zeros(40), (~own.flawed).astype(float))
    own = replace(own, unit=unit, score=own.flawed.astype(float), counts=own.counts | {"good_images_alarmed": nothing})
    made = estimate_finding([own], [own.measured()], resample_finding([own], 20 + groups, "key"))
    assert (made["good_images_alarmed"].mean, made["image_auroc"].mean) == (0, 1)
    assert made["good_images_alarmed"].ci95 == pytest.approx(wilson(0, groups))
    assert made["image_auroc"].ci95 == pytest.approx(wilson(groups, groups))
    assert (made["good_images_alarmed"].n, made["image_auroc"].n) == (20, 40)


def test_scores_beside_a_single_good_unit_have_the_interval_of_one():
    """Which of the images with flaws are drawn says nothing of other good parts."""
    own = tally(0, units=40)
    unit = np.where(own.flawed, np.cumsum(own.flawed) - 1, 20)
    own = replace(own, unit=unit)
    score = estimate_finding([own], [own.measured()], resample_finding([own], 21, "key"))["image_auroc"]
    low, high = wilson(score.mean, 1)
    assert score.ci95 == pytest.approx((min(low, score.mean), max(high, score.mean)))


def tally(seed, images=40, units=20):
    """A tally without heat maps: only found instances and image scores."""
    rng = np.random.default_rng(seed)
    flawed = np.arange(images) % 2 == 0
    found = (rng.random(images) < 0.7).astype(float) * flawed
    heat = rng.random((8, 8)).astype(np.float32)
    truth = np.zeros((8, 8), dtype=bool)
    truth[2:4, 2:5] = True
    heats = [summarize_heat(heat + 0.2 * truth * flag, truth & flag) for flag in flawed]
    counts = {"found": (found, flawed.astype(float))}
    return FindingTally(np.arange(images) * units // images, flawed, rng.normal(size=images) + flawed, heats, counts)


def test_intervals_are_those_of_a_plain_bootstrap():
    """One episode; images drawn with replacement, one by one."""
    own = tally(0, units=40)
    drawn = resample_finding([own], 40, "key")
    rng = np.random.default_rng(0)
    plain = []
    for _ in range(2000):
        picks = rng.integers(0, 40, 40)
        part, whole = (each[picks].sum() for each in own.counts["found"])
        plain.append(part / whole)
    expected = np.percentile(plain, [2.5, 97.5])
    assert np.nanpercentile(drawn["found"], [2.5, 97.5]) == pytest.approx(expected, abs=0.03)


def test_images_of_a_unit_stay_together():
    """The more images a unit has, the fewer independent ones there are, and the wider the interval."""
    wide = []
    for units in (40, 4):
        own = tally(1, units=units)
        own.counts["found"][0][:] = (own.unit % 4 < 2) * own.flawed
        values = resample_finding([own], units, "key")["found"]
        wide.append(np.ptp(np.nanpercentile(values, [2.5, 97.5])))
    assert wide[1] > 1.5 * wide[0]


def test_a_score_that_some_episodes_lack_is_the_mean_of_the_others():
    with_it, without = tally(0), tally(1)
    lacking = FindingTally(without.unit, without.flawed, without.score, without.heats, {})
    measured = [with_it.measured(), lacking.measured()]
    made = estimate_finding([with_it, lacking], measured, resample_finding([with_it, lacking], 20, "key"))
    assert made["found"].mean == pytest.approx(with_it.measured()["found"])
    assert made["found"].n == 20
    assert made["image_auroc"].std is not None
