"""Fitting locators: thresholds by their definition, what is held out, and users' mistakes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from flawshot.base.errors import FlawshotError
from flawshot.encoders.base import BaseEncoder
from flawshot.labelme.shapes import Region
from flawshot.locating.examples import LabeledImage
from flawshot.locating.fitting import FOLDS, fit_examples, fit_locator, peaks_threshold
from flawshot.locating.heat import heat_model

SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)
DIM = 4


def good_peaks(values):
    return [(str(number), True, value) for number, value in enumerate(values)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=40), SHARES)
@example([1.0], 1 - 1e-10)
@example([1.0, 2.0], 1e-300)
def test_the_threshold_is_the_highest_peak_that_keeps_the_promise(values, alarms):
    """By definition: the least of the peaks for which k / (n + 1) is at most the share, or else the greatest."""
    made = peaks_threshold(good_peaks(values), alarms)
    allowed = [k for k in range(1, len(values) + 1) if k / (len(values) + 1) <= alarms + 1e-10]
    k = max(allowed, default=1)
    assert made.value == sorted(values, reverse=True)[k - 1]
    assert made.promised == pytest.approx(k / (len(values) + 1))
    assert made.images == len(values)
    assert made.source == "good"
    assert sum(value > made.value for value in values) <= k - 1


@pytest.mark.parametrize(
    ("images", "alarms", "rank"),
    [(19, 0.05, 1), (39, 0.05, 2), (38, 0.05, 1), (99, 0.05, 5), (9, 0.3, 3), (5, 0.05, 1), (9, 0.7, 7)],
)
def test_shares_that_come_out_even_are_used_in_full(images, alarms, rank):
    made = peaks_threshold(good_peaks([float(number) for number in range(images)]), alarms)
    assert made.value == images - rank


@pytest.mark.parametrize(("images", "alarms"), [(19, 0.05), (10, 0.3), (4, 0.05)])
def test_new_images_are_alarmed_as_often_as_promised(images, alarms):
    """Peaks of one kind, whatever their distribution: the share that exceeds the threshold is k / (n + 1)."""
    rng = np.random.default_rng(images)
    trials = 4000
    drawn = rng.exponential(size=(trials, images + 1)) ** 2
    made = [peaks_threshold(good_peaks(row[:-1].tolist()), alarms) for row in drawn]
    exceeds = np.mean([row[-1] > each.value for row, each in zip(drawn, made, strict=True)])
    promised = made[0].promised
    assert abs(exceeds - promised) < 4 * math.sqrt(promised * (1 - promised) / trials)


def test_backgrounds_count_only_if_no_image_is_good():
    peaks = [("a", False, 9.0), ("b", False, 7.0), ("c", True, 3.0)]
    assert peaks_threshold(peaks, 0.5)[:3] == (3.0, "good", 1)
    assert peaks_threshold(peaks[:2], 0.5)[:3] == (9.0, "background", 2)
    covered = ("d", True, -math.inf)
    assert peaks_threshold([*peaks, covered], 0.5)[:3] == (3.0, "good", 1)
    assert peaks_threshold([*peaks[:2], covered], 0.5)[:3] == (9.0, "background", 2)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.floats(-50, 50)), min_size=1, max_size=30), SHARES)
def test_images_of_one_unit_count_once_with_the_highest_of_their_peaks(drawn, alarms):
    made = peaks_threshold([(unit, True, peak) for unit, peak in drawn], alarms)
    highest = [max(peak for other, peak in drawn if other == unit) for unit in {unit for unit, _ in drawn}]
    assert made == peaks_threshold(good_peaks(highest), alarms)._replace(images=len(drawn))
    assert made.units == len(highest)


def test_new_parts_are_alarmed_as_often_as_promised_on_several_images_each():
    """Images of a part are alike; were each taken for a part, the share would be several times too high."""
    rng = np.random.default_rng(0)
    trials, parts = 2000, 9
    of_parts = rng.exponential(size=(trials, parts + 1)) ** 2
    images = of_parts[..., None] * rng.uniform(0.9, 1, size=(trials, parts + 1, 5))
    made = [
        peaks_threshold([(str(part), True, float(peak)) for part in range(parts) for peak in row[part]], 0.1)
        for row in images
    ]
    assert made[0].promised == pytest.approx(0.1)
    exceeds = np.mean([row[-1].max() > each.value for row, each in zip(images, made, strict=True)])
    assert abs(exceeds - 0.1) < 4 * math.sqrt(0.1 * 0.9 / trials)


def test_no_peak_at_all_is_refused():
    with pytest.raises(FlawshotError, match="give images without flaws"):
        peaks_threshold([("a", False, -math.inf)], 0.05)


@pytest.mark.parametrize("alarms", [0, 1, -0.1, 5, math.nan, math.inf])
def test_shares_out_of_range_are_refused_before_anything_is_read(tiny, tmp_path, alarms):
    with pytest.raises(FlawshotError, match=r"alarms.*share above 0 and below 1"):
        fit_locator(tiny, [], [tmp_path / "missing.png"], alarms=alarms)


def test_nothing_to_fit_is_refused(tiny):
    with pytest.raises(FlawshotError, match="needs images"):
        fit_locator(tiny, [])


@pytest.mark.parametrize("content", [None, b"", b"not an image", b"\x89PNG\r\n\x1a\n" + bytes(20)])
@pytest.mark.parametrize("labeled", [False, True])
def test_an_image_that_cannot_be_read_is_named_in_one_line(tiny, tmp_path, content, labeled):
    path = tmp_path / "broken part.png"
    if content is not None:
        path.write_bytes(content)
    own = [LabeledImage(path, ())] if labeled else []
    with pytest.raises(FlawshotError, match=r"broken part\.png") as caught:
        fit_locator(tiny, own, [] if labeled else [path])
    assert "\n" not in str(caught.value)


class Mapless(BaseEncoder):
    family = "mapless"

    def __init__(self, tiny):
        self.record = tiny.record.model_copy(update={"name": "mapless"})

    from_options = from_record = encode = None


def test_an_encoder_without_maps_is_refused(tiny):
    with pytest.raises(FlawshotError, match="find_encoder"):
        fit_locator(Mapless(tiny), [], [noise(0)])


WIDTH, HEIGHT = 96, 32


@pytest.fixture(autouse=True)
def _few_cells(monkeypatch):
    """Time grows with the number of cells."""
    monkeypatch.setattr("flawshot.locating.dense.LONG_SIDE", 192)


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(90, 150, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def spotted(seed):
    pixels = np.asarray(noise(seed)).copy()
    pixels[8:16, 40:60] = (250, 40, 40)
    return LabeledImage(Image.fromarray(pixels), (("spot", Region(40, 8, np.ones((8, 20), bool))),))


def test_a_single_good_image(tiny):
    fitted = fit_locator(tiny, [], [noise(0)])
    assert fitted.variants == ()
    assert fitted.threshold[1:] == ("good", 1, 0.5, 1)
    assert fitted.locator.categories == ()
    assert fitted.locator.outline_model is None
    found = fitted.locator.find(spotted(0).image)
    assert found.regions
    assert all(each.shares is None for each in found.regions)


def test_a_single_image_tells_what_others_of_its_kind_look_like(tiny):
    """Its cells are compared with its other half: the distance of a cell to itself says nothing."""
    fitted = fit_locator(tiny, [], [noise(0)])
    bank = fitted.locator.heat_model.bank
    assert set(bank.units) == {"0"}
    several = fit_locator(tiny, [], [noise(seed) for seed in range(5)]).locator.heat_model.bank
    assert several.mean / 2 < bank.mean < 2 * several.mean
    assert several.std / 3 < bank.std < 3 * several.std
    spots, others = (
        np.median([fitted.locator.heat(image).cells.max() for image in images])
        for images in ([spotted(seed).image for seed in range(5, 8)], [noise(seed) for seed in range(5, 8)])
    )
    assert others < 2 * fitted.threshold.value < spots


def test_a_single_labeled_image(tiny, monkeypatch):
    monkeypatch.setattr("flawshot.locating.dense.LONG_SIDE", 384)
    fitted = fit_locator(tiny, [spotted(0)])
    assert fitted.variants == ()
    assert fitted.threshold[1:3] == ("background", 1)
    (region, *_) = fitted.locator.find(spotted(1).image).regions
    np.testing.assert_allclose(region.shares, [1])


def test_without_good_images_backgrounds_of_labeled_ones_stand_in(tiny):
    fitted = fit_locator(tiny, [spotted(seed) for seed in range(4)])
    assert (fitted.threshold.source, fitted.threshold.images) == ("background", 4)
    assert len(fitted.variants) == 4
    mixed = fit_locator(tiny, [spotted(seed) for seed in range(4)], [noise(9)])
    assert (mixed.threshold.source, mixed.threshold.images) == ("good", 1)


def test_progress_counts_all_images(tiny):
    seen = []
    fit_locator(tiny, [spotted(0)], [noise(1), noise(2)], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def vectors(seed, count=25, mean=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, DIM)) + 3 + np.asarray(mean)


@pytest.fixture
def in_units(example_of):
    """Eight units of one to three images; of each unit, images are alike, and have a category of their own."""
    made = []
    for number in range(8):
        for image in range(1 + number % 3):
            flaw = [(f"flaw-{number}", vectors(100 * number + image, 6, 4))] if number < 4 else []
            made.append(example_of(vectors(10 * number + image), flaw, f"unit-{number}"))
    return made


def test_images_of_one_unit_are_held_out_together(tiny, in_units):
    fitted = fit_examples(tiny, in_units, 0.05)
    assert len(fitted.variants) == FOLDS
    held_out = [unit for variant in fitted.variants for unit in variant.units]
    assert sorted(held_out) == sorted({each.unit for each in in_units})  # each by exactly one
    assert {len([unit for unit in each.units if unit < "unit-4"]) for each in fitted.variants} <= {
        0,
        1,
    }  # spread evenly
    for variant in fitted.variants:
        seen = [each for each in in_units if each.unit not in variant.units]
        model = variant.locator.heat_model
        assert not variant.units & set(model.bank.units)
        assert model.categories == tuple(sorted({flaw.category for each in seen for flaw in each.flaws}))
        alone = heat_model(seen, model.bank)
        for field in ("good_mean", "good_cov", "flaw_means", "counts"):
            assert getattr(model, field).tobytes() == getattr(alone, field).tobytes()


def test_thresholds_are_peaks_of_images_by_locators_that_have_not_seen_them(tiny, in_units):
    fitted = fit_examples(tiny, in_units, 0.2)
    peaks = {}
    for variant in fitted.variants:
        for number, each in enumerate(in_units):
            if each.unit in variant.units and each.flawless:
                model = variant.locator.heat_model
                heat = model.heat(model.bank.scaled([level[each.good] for level in each.levels]))
                peaks[number] = float(heat.max())
    assert sorted(peaks) == [number for number, each in enumerate(in_units) if each.flawless]
    highest = {}
    for number, peak in peaks.items():
        unit = in_units[number].unit
        highest[unit] = max(peak, highest.get(unit, peak))
    rank = max(1, math.floor(0.2 * (len(highest) + 1)))
    assert fitted.threshold.value == pytest.approx(sorted(highest.values(), reverse=True)[rank - 1])
    assert fitted.locator.threshold == fitted.threshold.value
    assert (fitted.threshold.images, fitted.threshold.units) == (len(peaks), len(highest))
    for variant in fitted.variants:  # nor does a variant's threshold come from the peaks of its units
        rest = [peak for unit, peak in highest.items() if unit not in variant.units]
        rank = max(1, math.floor(0.2 * (len(rest) + 1)))
        assert variant.locator.threshold == pytest.approx(sorted(rest, reverse=True)[rank - 1])


def test_outlines_are_held_out_too(tiny):
    fitted = fit_locator(tiny, [spotted(seed) for seed in range(3)], [noise(3), noise(4)])
    assert len(fitted.variants) == FOLDS
    whole = fitted.locator.outline_model
    for variant in fitted.variants:
        own = variant.locator.outline_model
        assert np.array_equal(own.apart, whole.apart) == (not variant.units & {"0", "1", "2"})


def test_units_are_given_for_labeled_images_first(tiny):
    units = ["x", "y", "y", "x"]
    fitted = fit_locator(tiny, [spotted(0), spotted(1)], [noise(2), noise(3)], units=units)
    assert sorted(map(sorted, (each.units for each in fitted.variants))) == [["x"], ["y"]]
    assert set(fitted.locator.heat_model.bank.units) == {"x", "y"}


def test_one_image_covered_by_its_flaw_beside_a_good_one(tiny):
    """Held out, the good image leaves no good cell to the other part; its own then serve."""
    covered = LabeledImage(noise(0), (("all", Region(0, 0, np.ones((HEIGHT, WIDTH), bool))),))
    fitted = fit_locator(tiny, [covered], [noise(1)])
    assert math.isfinite(fitted.threshold.value)
    for variant in fitted.variants:
        assert math.isfinite(variant.locator.threshold)
        assert np.isfinite(variant.locator.heat(noise(2)).cells).all()
    others = LabeledImage(noise(0), (), (Region(0, 0, np.ones((HEIGHT, WIDTH), bool)),))
    for variant in fit_locator(tiny, [others], [noise(1)]).variants:
        assert np.isfinite(variant.locator.heat(noise(2)).cells).all()


def covered(seed):
    """An image that is one flaw from edge to edge, as an imported folder of a category has them."""
    return LabeledImage(spotted(seed).image, (("all", Region(0, 0, np.ones((HEIGHT, WIDTH), bool))),))


@pytest.mark.parametrize("spare", [False, True])
def test_a_single_good_image_beside_images_that_are_all_flaw(tiny, spare):
    """Half of its cells tell what another good image would look like; before, the threshold was 10 ** 10."""
    labeled = [covered(seed) for seed in range(6)]
    if spare:  # hardly a good cell
        labeled[0] = labeled[0]._replace(instances=(("all", Region(0, 0, np.ones((HEIGHT, WIDTH - 16), bool))),))
    fitted = fit_locator(tiny, labeled, [noise(9)])
    assert fitted.threshold[:4] == (fitted.locator.threshold, "good", 1, 0.5)
    bank, alone = fitted.locator.heat_model.bank, fit_locator(tiny, [], [noise(9)]).locator.heat_model.bank
    assert alone.mean / 2 < bank.mean < 2 * alone.mean
    assert alone.std / 4 < bank.std < 4 * alone.std
    assert set(bank.units) == ({"0", "6"} if spare else {"6"})
    spots, others = (
        np.median([fitted.locator.heat(image).cells.max() for image in images])
        for images in ([spotted(seed).image for seed in range(10, 13)], [noise(seed) for seed in range(10, 13)])
    )
    assert others < spots
    assert fitted.threshold.value < spots
    assert fitted.locator.find(spotted(10).image).regions
    # The labeled ones are held out, the good one cannot be.
    assert sorted(unit for each in fitted.variants for unit in each.units) == [str(number) for number in range(6)]
    for variant in fitted.variants:
        assert variant.locator.find(spotted(11).image).regions


def test_no_part_of_the_units_has_all_good_cells(tiny, example_of):
    """Twelve units, two of which have good cells; without both there would be no bank to compare them with."""
    for place in range(12):
        examples = [
            example_of(vectors(n, 25 if n in {place, (place + 5) % 12} else 0), [("a", vectors(n + 50, 6, 4))], f"u{n}")
            for n in range(12)
        ]
        fitted = fit_examples(tiny, examples, 0.05)
        for variant in fitted.variants:
            assert variant.locator.heat_model.bank.units
            assert not variant.units & set(variant.locator.heat_model.bank.units)


def test_a_single_good_cell_is_not_enough(tiny, example_of):
    examples = [example_of(vectors(n, n, 0), [("a", vectors(n + 50, 6, 4))], f"u{n}") for n in range(2)]
    with pytest.raises(FlawshotError, match=r"hardly any part of any image is good.*give images without flaws"):
        fit_examples(tiny, examples, 0.05)


def test_blank_images(tiny):
    blank = Image.new("RGB", (WIDTH, HEIGHT), (120, 120, 120))
    fitted = fit_locator(tiny, [], [blank, blank, blank])
    assert fitted.locator.find(blank).regions == ()
    assert fitted.locator.find(spotted(0).image).regions


def test_two_fits_are_the_same_byte_by_byte(tiny):
    first, second = (fit_locator(tiny, [spotted(0), spotted(1)], [noise(2), noise(3)]) for _ in range(2))
    assert first.threshold == second.threshold
    for one, other in zip(
        (first.locator, *(each.locator for each in first.variants)),
        (second.locator, *(each.locator for each in second.variants)),
        strict=True,
    ):
        assert one.threshold == other.threshold
        assert arrays(one) == arrays(other)


def arrays(locator):
    """The bytes of all arrays of a locator by name."""
    made = {}
    for own in (locator.heat_model, locator.heat_model.bank, locator.outline_model):
        fields = (
            own._asdict()
            if hasattr(own, "_asdict")
            else {f.name: getattr(own, f.name) for f in dataclasses.fields(own)}
        )
        made |= {name: value.tobytes() for name, value in fields.items() if isinstance(value, np.ndarray)}
    assert len(made) == 10
    return made
