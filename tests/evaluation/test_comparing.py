"""Comparisons of results: as evaluate compares classifiers, as a plain statement does, and never of other episodes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import plain_intervals as plain
from flawshot import (
    ComparedResults,
    FlawshotError,
    Results,
    compare_results,
    evaluate,
    evaluate_banks,
    groups_from_regex,
    sample_episodes,
    sample_tasks,
)
from flawshot.evaluation.answers import MOST_ANSWERS

CATEGORIES = ("dent", "scratch", "stain")
IMAGES = [(f"{p}/{c}{n}", [c] * (1 + n % 3)) for p in "pq" for c in CATEGORIES for n in range(14)]
NAMES = ("prototype", "knn", "soft-kmeans")
# Bounds from other draws differ by this share of the interval's width.
SLACK = 0.03


@pytest.fixture(scope="module")
def catalog(catalog_of):
    return catalog_of(IMAGES, layout="{product}/**")


@pytest.fixture(scope="module")
def banks(bank_in, catalog, tmp_path_factory):
    """Two encodings of the same instances, one of them blurrier, and with fewer views."""
    folder = tmp_path_factory.mktemp("banks")
    return {
        "sharp": bank_in(folder / "sharp", catalog, spread=1.6),
        "blurry": bank_in(folder / "blurry", catalog, spread=2.4, views=2),
    }


@pytest.fixture(scope="module")
def sets(catalog):
    return [sample_episodes(catalog, product, shots) for product in "pq" for shots in (1, 3)]


@pytest.fixture(scope="module")
def sides(banks, sets):
    return {name: evaluate(bank, sets, NAMES) for name, bank in banks.items()}


def grouping(catalog):
    """Images with the same number show one part."""
    images = zip(catalog.column("product"), catalog.column("image"), strict=True)
    return groups_from_regex(r"(\d+)", [image for product, image in images if product == "p"])


def near(bounds):
    return pytest.approx(bounds, abs=SLACK * (bounds[1] - bounds[0]))


def test_two_classifiers_of_one_bank_differ_exactly_as_evaluate_says(sides):
    """Also in the mean over products: the same answers, draws and formulas, to the last bit."""
    own = sides["sharp"]
    for name in NAMES[1:]:
        compared = compare_results([own, own], [NAMES[0], name])
        expected = {(e.product, e.shots): e.difference for e in own.comparisons if e.classifier == name}
        assert {(e.product, e.shots): e.difference[1] for e in compared.scores} == expected
        accuracies = {(r.product, r.shots): r.accuracy for r in own.runs if r.classifier == name}
        accuracies |= {(None, m.shots): m.accuracy for m in own.means if m.classifier == name}
        assert {(e.product, e.shots): e.accuracy[1] for e in compared.scores} == accuracies


def test_files_give_what_the_banks_give(banks, sets, sides, tmp_path):
    evaluated, of_banks = evaluate_banks(banks, sets, NAMES)
    assert [each.runs[0].accuracy for each in evaluated.values()] == [s.runs[0].accuracy for s in sides.values()]
    read = {}
    for name, results in sides.items():
        results.save(tmp_path / f"{name}.json")
        read[name] = Results.load(tmp_path / f"{name}.json")
    compared = compare_results(read)
    assert compared.names == ("sharp", "blurry")
    assert compared.scores == of_banks.scores
    compared.save(tmp_path / "compared.json")
    assert ComparedResults.load(tmp_path / "compared.json") == compared


@pytest.mark.parametrize("grouped", [False, True])
def test_differences_are_those_of_a_plain_statement(banks, catalog, grouped):
    """Pairs of answers to the same queries, seed by seed, and image by image or group by group."""
    groups = grouping(catalog) if grouped else None
    episodes = sample_episodes(catalog, "p", 2, groups=groups)
    sides = [evaluate(bank, [episodes], NAMES) for bank in banks.values()]
    compared = compare_results(sides)
    right = {}
    for results in sides:
        (own,) = results.answers
        query = np.array(own.query)
        truth, seed = np.array(own.true)[query], np.array(own.seed)
        images = [catalog.column("image")[catalog.row_of[each]] for each in own.ids]
        unit = np.array([groups[each] if groups else each for each in images])[query]
        for name in NAMES:
            right.setdefault(name, []).append((np.array(own.predicted[name]) == truth).astype(float))
    for score in compared.scores:
        both = np.stack(right[score.classifier][::-1], axis=1)
        values = plain.drawn(unit, seed, both) @ [1, -1]
        per_seed = [(both @ [1, -1])[seed == each].mean() for each in np.unique(seed)]
        expected = plain.difference(per_seed, values, len(np.unique(unit)), 2 * len(np.unique(query)))
        assert score.difference[1].mean == pytest.approx(np.mean(per_seed))
        assert score.difference[1].ci95 == near(expected)
        assert score.difference[0] is None


def test_the_first_named_come_first_and_all_common_ones_follow(banks, sets):
    one = evaluate(banks["sharp"], sets[:1], ["knn", "prototype", "gda"])
    other = evaluate(banks["blurry"], sets[:1], ["prototype", "knn"])
    compared = compare_results([one, other])
    assert [each.classifiers for each in compared.scores] == [("knn", "prototype"), ("knn", "knn"), ("prototype",) * 2]
    assert [each.classifier for each in compared.scores] == ["knn / prototype", "knn", "prototype"]


def test_default_is_found_by_both_of_its_names(banks, sets):
    results = evaluate(banks["sharp"], sets[:1], ["default", "knn"])
    for name in ("default", "evidence-ridge", "default (evidence-ridge)"):
        compared = compare_results([results, results], name)
        assert compared.scores[0].classifiers == ("default (evidence-ridge)",) * 2


def test_no_difference_has_the_interval_of_no_difference(sides):
    """Wilson's bound: that no query is answered differently does not show that none ever is."""
    own = sides["sharp"]
    low, high = compare_results([own, own], "knn").scores[0].difference[1].ci95
    assert -0.1 < low < 0 < high < 0.1
    assert low == -high


def test_results_record_which_queries_belong_together(banks, catalog):
    groups = grouping(catalog)
    (own,) = evaluate(banks["sharp"], [sample_episodes(catalog, "p", 1, groups=groups, seeds=[0])], NAMES).answers
    asked = set(own.query)
    assert len(asked) < len(own.ids)  # nearest support instances are listed, too
    assert all((own.unit[number] == -1) == (number not in asked) for number in range(len(own.ids)))
    rows = {number: catalog.row_of[own.ids[number]] for number in asked}
    names = {number: groups[catalog.column("image")[row]] for number, row in rows.items()}
    assert len({(own.unit[number], name) for number, name in names.items()}) == len(set(names.values()))
    assert {own.unit[number] for number in asked} == set(range(len(set(names.values()))))


def changed(results, **updates):
    return results.model_copy(update=updates)


def provenance(results, key, value):
    return changed(results, provenance=results.provenance | {key: value})


def older(results):
    """As versions 1 to 4 were written: without units and the episodes' hash."""
    known = {key: value for key, value in results.provenance.items() if key != "episodes"}
    answers = tuple(each.model_copy(update={"unit": None}) for each in results.answers)
    return changed(results, version=4, provenance=known, answers=answers)


def test_older_files_are_compared_if_no_groups_were_used(banks, catalog, sets, sides):
    new = compare_results(sides)
    old = compare_results({name: older(results) for name, results in sides.items()})
    for mine, its in zip(old.scores, new.scores, strict=True):
        assert mine.difference[1].ci95 == near(its.difference[1].ci95)
    mixed = compare_results({"old": older(sides["sharp"]), "new": sides["blurry"]})
    assert [each.difference for each in mixed.scores] == [each.difference for each in old.scores]
    grouped = sample_episodes(catalog, "p", 1, groups=grouping(catalog))
    of_groups = older(evaluate(banks["sharp"], [grouped], NAMES))
    with pytest.raises(FlawshotError, match="older version, which does not record groups; evaluate again"):
        compare_results([of_groups, of_groups])


def test_other_instances_labels_seeds_settings_or_episodes_are_refused(bank_of, catalog_of, banks, catalog, sides):
    own = sides["sharp"]
    more = catalog_of([*IMAGES, ("p/more", ["dent"])], layout="{product}/**")
    other_data = evaluate(bank_of(more, name="more"), [sample_episodes(more, "p", 1)], NAMES)
    with pytest.raises(FlawshotError, match="B: p at 1 shot: was evaluated on other instances or labels than A"):
        compare_results([own, other_data])
    seeds = evaluate(banks["sharp"], [sample_episodes(catalog, "p", 1, seeds=range(3))], NAMES)
    with pytest.raises(FlawshotError, match="has the seeds 0, 1, 2, and A 0 to 4"):
        compare_results([own, seeds])
    shots = evaluate(banks["sharp"], [sample_episodes(catalog, "p", 2)], NAMES)
    with pytest.raises(FlawshotError, match=r"B: has p at 2 shots, and A p at 1 shot, .* they share no product and K"):
        compare_results([own, shots])
    groups = grouping(catalog)
    grouped = evaluate(banks["sharp"], [sample_episodes(catalog, "p", 1, groups=groups)], NAMES)
    with pytest.raises(FlawshotError, match="was asked other episodes than A"):
        compare_results([own, grouped])
    supports = provenance(own, "episodes", own.provenance["episodes"] | {"p": {"1": "0" * 64, "3": "0" * 64}})
    with pytest.raises(FlawshotError, match=r"p at 1 shot: was asked other episodes than A \(their hashes differ\)"):
        compare_results([own, supports])
    with pytest.raises(FlawshotError, match="drawn with other settings than those of A"):
        compare_results([own, older(grouped)])
    with pytest.raises(FlawshotError, match="B: records no fingerprint of p"):
        compare_results([own, provenance(own, "fingerprints", {})])


def test_answers_that_do_not_fit_are_refused(sides):
    own = older(sides["sharp"])
    first = own.answers[0]
    renamed = first.model_copy(update={"ids": tuple(f"x{each}" for each in first.ids)})
    guessed = first.predicted | {"knn": tuple((each + 1) % 3 for each in first.predicted["knn"])}
    units = tuple(min(each, 3) for each in sides["sharp"].answers[0].unit)
    for answers, said in [
        (renamed, "was asked other query instances than A"),
        (first.model_copy(update={"predicted": guessed}), "the recorded answers of knn do not have its recorded acc"),
        (first.model_copy(update={"seed": (7,) * len(first.seed)}), "answers: are of other seeds than the runs"),
        (first.model_copy(update={"unit": units}), "its images are grouped otherwise than those of A"),
        (first.model_copy(update={"left_out": 1}), "evaluate BANK BANK EPISODES"),
    ]:
        with pytest.raises(FlawshotError, match=said) as caught:
            compare_results([own, changed(own, answers=(answers, *own.answers[1:]))])
        assert "\n" not in str(caught.value)
    fewer = own.runs[1].model_copy(update={"episodes": own.runs[1].episodes[:2]})
    with pytest.raises(FlawshotError, match="its runs are of different seeds or categories"):
        compare_results([own, changed(own, runs=(own.runs[0], fewer, *own.runs[2:]))])
    with pytest.raises(FlawshotError, match="B: p at 1 shot: its answers are not recorded; evaluate again"):
        compare_results([own, changed(own, answers=())])


def test_what_not_all_have_is_named(banks, sets, sides):
    compared = compare_results([sides["sharp"], evaluate(banks["blurry"], sets[:1], NAMES)])
    assert {(each.product, each.shots) for each in compared.scores} == {("p", 1)}
    assert compared.unshared == ("p at 3 shots", "q at 1 shot", "q at 3 shots")


def test_classifiers_that_are_not_there_are_refused(sides):
    own = sides["sharp"]
    with pytest.raises(FlawshotError, match="classifier='gda': is not in A, which has prototype, knn, soft-kmeans"):
        compare_results([own, own], "gda")
    with pytest.raises(FlawshotError, match="classifier='chance': is not in A"):
        compare_results([own, own], "chance")
    with pytest.raises(FlawshotError, match="name one for all 2 results, or one for each"):
        compare_results([own, own], ["knn", "knn", "knn"])
    with pytest.raises(FlawshotError, match="results: name at least two"):
        compare_results([own])


def test_more_answers_than_files_list_are_compared_by_their_banks(banks, catalog):
    tasks = sample_tasks(catalog, "p", 1, ways=2, queries=5, episodes=MOST_ANSWERS // 10 + 20)
    sides, compared = evaluate_banks(banks, [tasks], ["prototype", "knn"])
    assert sides["sharp"].answers[0].left_out > 0
    assert len(compared.scores) == 2
    assert compared.scores[0].difference[1].mean == pytest.approx(
        sides["blurry"].runs[0].accuracy.mean - sides["sharp"].runs[0].accuracy.mean
    )
    with pytest.raises(FlawshotError, match="lists only 5000 of 5200 answers"):
        compare_results(sides)


def test_banks_of_other_data_are_refused_before_the_work(bank_of, catalog_of, banks, sets):
    more = catalog_of([*IMAGES, ("p/more", ["dent"])], layout="{product}/**")
    with pytest.raises(FlawshotError, match="more: p: the episodes are of other instances or labels"):
        evaluate_banks(banks | {"more": bank_of(more, name="more")}, sets, NAMES)
    with pytest.raises(FlawshotError, match="banks: name at least two"):
        evaluate_banks({"sharp": banks["sharp"]}, sets, NAMES)


def test_a_comparison_is_read_as_it_was_written_and_nothing_else_is(sides, tmp_path):
    path = tmp_path / "compared.json"
    compare_results(sides).save(path)
    document = json.loads(path.read_text())
    assert (document["format"], document["version"]) == ("flawshot-comparison", 1)
    short = document["scores"][0] | {"difference": [None]}
    for change, field in [
        ({"version": 2}, "version"),
        ({"sides": document["sides"][:1]}, "at least two"),
        ({"scores": []}, "at least one"),
        ({"scores": [short]}, "difference: must have one entry per side"),
    ]:
        path.write_text(json.dumps(document | change))
        with pytest.raises(FlawshotError, match=field):
            ComparedResults.load(path)
    with pytest.raises(FlawshotError, match="format"):
        Results.load(path)
