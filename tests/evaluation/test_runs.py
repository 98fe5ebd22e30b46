"""Evaluation: figures that add up, and classifiers that never see a query label."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from flawshot import CLASSIFIERS, FlawshotError, Results, evaluate, make_classifier, sample_episodes, sample_tasks
from flawshot.bank.features import write_blocks
from flawshot.bank.prompts import TEMPLATES
from flawshot.bank.records import TextRecord
from flawshot.bank.text_bank import TextFeatures
from flawshot.catalog import Catalog
from flawshot.classifiers.base import FewShotClassifier
from flawshot.evaluation import comparisons, runs, scores, task_scores
from flawshot.evaluation.intervals import DRAWS, wilson
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.regions.outlines import catalog_outlines
from flawshot.report import write_report
from flawshot.report.sentence import sentence
from flawshot.report.tables import csv_table, latex_table, markdown_table
from helpers import box_shape, labelme_document

IMAGES = [(f"{p}/train/{c}{n}", [c]) for p in "pq" for c in ("dent", "scratch", "stain") for n in range(5)]
IMAGES += [(f"{p}/test/{c}{n}", [c, c]) for p in "pq" for c in ("dent", "scratch", "stain") for n in range(4)]
NAMES = ["matched-prototype", "prototype", "knn"]


@pytest.fixture
def bank(catalog_of, bank_of):
    return bank_of(catalog_of(IMAGES, layout="{product}/{split}/**"), spread=1.5)


@pytest.fixture
def episodes(bank):
    return [sample_episodes(bank.catalog, product, shots) for product in "pq" for shots in (1, 3)]


def test_every_figure_follows_from_the_predictions(bank, episodes):
    results = evaluate(bank, episodes, NAMES)
    runs = {(run.product, run.classifier, run.shots): run for run in results.runs}
    assert set(runs) == {(p, c, k) for p in "pq" for c in [*NAMES, "outline", "chance", "majority"] for k in (1, 3)}
    category = dict(zip(bank.catalog.column("id"), bank.catalog.column("category"), strict=True))
    for each in episodes:
        for name in NAMES:
            run = runs[each.product, name, each.shots]
            confusion, shares = np.zeros((3, 3), int), []
            for episode in each.episodes:
                truth = [category[i] for i in episode.query]
                fitted = make_classifier(name).fit(
                    bank.features(episode.support), [category[i] for i in episode.support]
                )
                predicted = fitted.predict(bank.features(episode.query))
                shares.append((predicted == np.array(truth)).mean())
                for t, p in zip(truth, predicted, strict=True):
                    confusion[run.categories.index(t), run.categories.index(p)] += 1
            assert [score.accuracy for score in run.episodes] == pytest.approx(shares)
            assert run.accuracy.mean == pytest.approx(np.mean(shares))
            assert run.accuracy.std == pytest.approx(np.std(shares, ddof=1))
            assert run.confusion == tuple(map(tuple, confusion.tolist()))
            assert run.accuracy.ci95[0] <= run.accuracy.mean <= run.accuracy.ci95[1]
            assert (run.n_query, run.views, run.transductive) == (24, 3, False)
            for number, name_of in enumerate(run.categories):
                score = run.per_category[name_of]
                assert score.n_query == 8
                assert score.mean == pytest.approx(confusion[number, number] / confusion[number].sum())


def test_differences_are_paired_and_means_are_over_products(bank, episodes):
    results = evaluate(bank, episodes, NAMES)
    runs = {(run.product, run.classifier, run.shots): run for run in results.runs}
    by = {(each.product, each.classifier, each.shots): each for each in results.comparisons}
    assert set(by) == {(p, c, k) for p in ("p", "q", None) for c in NAMES[1:] for k in (1, 3)}
    for (product, name, shots), comparison in by.items():
        assert comparison.reference == NAMES[0]
        products = "pq" if product is None else product
        expected = np.mean(
            [runs[p, name, shots].accuracy.mean - runs[p, NAMES[0], shots].accuracy.mean for p in products]
        )
        assert comparison.difference.mean == pytest.approx(expected)
        assert comparison.difference.ci95[0] <= expected <= comparison.difference.ci95[1]
    for mean in results.means:
        assert mean.products == ("p", "q")
        both = [runs[p, mean.classifier, mean.shots].accuracy.mean for p in "pq"]
        assert mean.accuracy.mean == pytest.approx(np.mean(both))


def test_a_differences_interval_lies_on_its_side_of_zero(bank_of, catalog_of):
    """A classifier that gives each answer of another to the next category is behind it for sure."""
    bank = bank_of(catalog_of(IMAGES, layout="{product}/{split}/**"), spread=0.7)
    episodes = [sample_episodes(bank.catalog, product, 3) for product in "pq"]

    class Contrary(type(make_classifier("prototype"))):
        def predict_proba(self, x):
            return np.roll(super().predict_proba(x), 1, axis=1)

    both = {"prototype": make_classifier("prototype"), "contrary": Contrary()}
    for names, side in ((["prototype", "contrary"], -1), (["contrary", "prototype"], 1)):
        results = evaluate(bank, episodes, {name: both[name] for name in names})
        assert {each.product for each in results.comparisons} == {"p", "q", None}
        for each in results.comparisons:
            assert all(side * value > 0 for value in (each.difference.mean, *each.difference.ci95))


def test_the_yardsticks_are_the_blind_guess_and_the_best_constant_answer(bank_of, catalog_of):
    images = [(f"p/{c}{n}", [c] * (3 if c == "dent" else 1)) for c in ("dent", "scratch") for n in range(6)]
    bank = bank_of(catalog_of(images, layout="{product}/{split}/**"))
    episodes = sample_episodes(bank.catalog, "p", 1)
    runs = {run.classifier: run for run in evaluate(bank, [episodes], ["knn"]).runs}
    assert runs["chance"].accuracy.mean == 0.5
    assert runs["chance"].confusion is None
    assert runs["chance"].ece.mean == 0
    shares = [np.mean(["dent" in i for i in episode.query]) for episode in episodes.episodes]
    assert runs["majority"].accuracy.mean == pytest.approx(np.mean(shares))
    assert runs["majority"].macro_recall.mean == 0.5


def test_where_every_query_is_right_the_interval_is_wilsons(bank_of, catalog_of):
    bank = bank_of(catalog_of(IMAGES, layout="{product}/{split}/**"), spread=0.01)
    results = evaluate(bank, [sample_episodes(bank.catalog, "p", 3)], NAMES[:2])
    run = results.runs[0]
    assert run.accuracy.mean == 1
    for score, queries, images in ((run.accuracy, 24, 12), (run.per_category["dent"], 8, 4)):
        independent = (queries * images) ** 0.5
        assert score.ci95 == pytest.approx(wilson(independent, independent))
    (comparison,) = results.comparisons
    reach = 1 - wilson(24, 24)[0]
    assert comparison.difference.ci95 == (-reach, reach)  # no query decided differently is no proof of equality


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_permuting_the_query_labels_changes_no_prediction(with_text, monkeypatch, name):
    """Estimators get support labels only: scrambled query labels change scores, never predictions."""
    bank, seen = with_text, {}
    episodes = sample_episodes(bank.catalog, "p", 3)

    def recording(name):
        fitted = make_classifier(name)

        class Recorder(type(fitted)):
            def predict_proba(self, *given):
                shares = super().predict_proba(*given)
                seen.setdefault(current, []).append(shares)
                return shares

        return Recorder()

    current = "true"
    before = evaluate(bank, [episodes], {name: recording(name)})
    rng = np.random.default_rng(0)
    queries = [bank.catalog.row_of[i] for i in episodes.episodes[0].query]
    labels = bank.catalog.column("category")
    for row, label in zip(queries, rng.permutation([labels[row] for row in queries]), strict=True):
        labels[row] = str(label)
    table = bank.catalog.table
    scrambled = Catalog(table.set_column(3, table.schema.field(3), [labels]))
    monkeypatch.setattr(bank, "catalog", scrambled)
    current = "scrambled"
    after = evaluate(bank, [episodes], {name: recording(name)})
    assert before.runs[0].accuracy != after.runs[0].accuracy
    for true, scrambled_too in zip(seen["true"], seen["scrambled"], strict=True):
        np.testing.assert_array_equal(true, scrambled_too)


def test_query_sets_that_differ_by_seed_are_scored_each_on_its_own(bank_of, catalog_of):
    images = [(f"p/{c}{n}", [c]) for c in ("dent", "scratch") for n in range(6)]
    bank = bank_of(catalog_of(images, layout="{product}/{split}/**"))
    episodes = sample_episodes(bank.catalog, "p", 2)
    assert episodes.shared_query is None
    run = evaluate(bank, [episodes], ["knn"]).runs[0]
    assert sum(map(sum, run.confusion)) == 5 * 8
    assert run.n_query <= 12


def test_one_seed_has_no_deviation(bank):
    episodes = sample_episodes(bank.catalog, "p", 1, seeds=[3])
    run = evaluate(bank, [episodes], ["knn"]).runs[0]
    assert run.accuracy.std is None
    assert [score.seed for score in run.episodes] == [3]


def test_intervals_are_the_same_in_every_run(bank, episodes):
    first, second = (evaluate(bank, episodes, NAMES) for _ in range(2))
    for a, b in zip(first.runs, second.runs, strict=True):
        assert (a.accuracy, a.macro_recall, a.ece, a.per_category) == (
            b.accuracy,
            b.macro_recall,
            b.ece,
            b.per_category,
        )
    assert first.comparisons == second.comparisons


def test_results_are_read_as_they_were_written_and_nothing_else_is(bank, episodes, tmp_path):
    results = evaluate(bank, episodes[:1], NAMES)
    path = tmp_path / "results.json"
    results.save(path)
    assert Results.load(path) == results
    document = json.loads(path.read_text())
    assert (document["format"], document["version"]) == ("flawshot-results", 5)
    for change, field in [
        ({"version": 6}, "version"),
        ({"format": "x"}, "format"),
        ({"runs": [{"product": 3}]}, r"runs\.0"),
        ({"means": None}, "means"),
    ]:
        path.write_text(json.dumps(document | change))
        with pytest.raises(FlawshotError, match=field) as caught:
            Results.load(path)
        assert "\n" not in str(caught.value)


def test_results_of_version_1_are_still_read(bank, episodes, tmp_path):
    results = evaluate(bank, episodes[:1], NAMES)
    document = results.model_dump(mode="json", exclude={"answers": True, "runs": {"__all__": {"reliability"}}})
    (tmp_path / "old.json").write_text(json.dumps(document | {"version": 1}))
    old = Results.load(tmp_path / "old.json")
    assert old.answers == ()
    assert old.runs[0].reliability is None
    assert old.runs[0].accuracy == results.runs[0].accuracy


def test_answers_are_those_that_were_scored(bank, episodes):
    results = evaluate(bank, episodes, NAMES)
    category = dict(zip(bank.catalog.column("id"), bank.catalog.column("category"), strict=True))
    for answers, each in zip(results.answers, episodes, strict=True):
        support = {episode.seed: episode.support for episode in each.episodes}
        for seed, near in zip(answers.seed, answers.nearest, strict=True):
            assert {answers.ids[number] for number in near} <= set(support[seed])
        for run in results.runs:
            if (run.product, run.shots) != (answers.product, answers.shots) or run.classifier not in NAMES:
                continue
            assert [run.categories[n] for n in answers.true] == [category[name] for name in answers.ids]
            given = answers.predicted[run.classifier]
            right = [answers.true[number] == each for number, each in zip(answers.query, given, strict=True)]
            assert sum(right) == sum(run.confusion[n][n] for n in range(len(run.categories)))
            assert sum(count for count, _, _ in run.reliability) == len(right)


def test_results_of_version_3_are_read_and_say_nothing_of_losses(bank, episodes, tmp_path):
    results = evaluate(bank, episodes, NAMES)
    gone = {"__all__": {"brier", "log_loss"}}
    document = results.model_dump(mode="json", exclude={"runs": gone, "means": gone})
    (tmp_path / "old.json").write_text(json.dumps(document | {"version": 3}))
    old = Results.load(tmp_path / "old.json")
    assert {(each.brier, each.log_loss) for each in (*old.runs, *old.means)} == {(None, None)}
    assert [run.ece for run in old.runs] == [run.ece for run in results.runs]
    assert sentence(old) == sentence(results)
    for table in (csv_table, markdown_table, latex_table):
        kept = [line for line in table(results).splitlines() if ",brier," not in line and ",log_loss," not in line]
        assert table(old).splitlines() == kept


@pytest.mark.parametrize(
    ("names", "message"), [([], "at least one"), (["nope"], "'nope': is not known"), (["chance"], "at least one")]
)
def test_nothing_to_evaluate_is_said(bank, episodes, names, message):
    with pytest.raises(FlawshotError, match=message):
        evaluate(bank, episodes, names)


def test_the_same_product_and_k_twice_is_refused(bank, episodes):
    with pytest.raises(FlawshotError, match="p at 1 shot is in 2 episode files"):
        evaluate(bank, [episodes[0], episodes[0]], NAMES)
    with pytest.raises(FlawshotError, match="nothing to evaluate"):
        evaluate(bank, [], NAMES)


def test_means_are_those_of_the_rows_above_whatever_the_seeds(bank):
    """Products with other seeds cannot be paired seed by seed, but their means can be averaged."""
    sets = [
        sample_episodes(bank.catalog, "p", 1, seeds=range(5)),
        sample_episodes(bank.catalog, "q", 1, seeds=[7, 8]),
    ]
    results = evaluate(bank, sets, NAMES[:2])
    for mean in results.means:
        own = [run.accuracy.mean for run in results.runs if run.classifier == mean.classifier]
        assert mean.accuracy.mean == pytest.approx(np.mean(own))
        assert mean.accuracy.std is None
    by = {each.product: each.difference.mean for each in results.comparisons}
    assert by[None] == pytest.approx((by["p"] + by["q"]) / 2)


def test_a_mean_difference_is_no_surer_than_its_queries_allow(bank_of, catalog_of):
    bank = bank_of(catalog_of(IMAGES, layout="{product}/{split}/**"), spread=0.01)
    sets = [sample_episodes(bank.catalog, product, 3) for product in "pq"]
    (mean,) = [each for each in evaluate(bank, sets, NAMES[:2]).comparisons if each.product is None]
    reach = 1 - wilson(48, 48)[0]
    assert mean.difference.ci95 == (-reach, reach)


def test_instances_of_an_image_and_of_a_group_are_one_unit(bank_of, catalog_of):
    """Many instances of few images say little: the interval must be that of the images, or of the groups."""
    images = [(f"p/train/{c}{n}", [c]) for c in ("dent", "scratch") for n in range(3)]
    images += [(f"p/test/{c}{n}", [c] * 12) for c in ("dent", "scratch") for n in range(6)]
    bank = bank_of(catalog_of(images, layout="{product}/{split}/**"), spread=3.0)
    names = bank.catalog.column("image")
    groupings = {
        "instances": None,
        "images": {image: image for image in names},
        "groups": {image: image[-5] if "/test/" in image else image for image in names},
    }
    widths = {}
    for name, groups in groupings.items():
        episodes = sample_episodes(bank.catalog, "p", 1, seeds=[0], groups=groups)
        (run, *_) = evaluate(bank, [episodes], ["prototype"]).runs
        widths[name] = run.accuracy.ci95
    # Each image stands alone unless told, so the first two are the same.
    assert widths["instances"] == widths["images"]
    assert widths["groups"] != widths["images"]


def test_one_image_and_one_seed_are_no_certainty(bank_of, catalog_of):
    images = [(f"p/train/{c}{n}", [c]) for c in ("dent", "scratch") for n in range(2)]
    images += [("p/test/one", ["dent", "scratch"] * 6)]
    bank = bank_of(catalog_of(images, layout="{product}/{split}/**"), spread=2.0)
    results = evaluate(bank, [sample_episodes(bank.catalog, "p", 1, seeds=[0])], ["prototype", "knn"])
    accuracy = results.runs[0].accuracy
    assert 0 < accuracy.mean < 1
    assert accuracy.ci95[1] - accuracy.ci95[0] > 0.5


def test_a_mean_lies_at_its_own_bound_only_if_all_are_right_or_wrong(bank, episodes):
    results = evaluate(bank, episodes, NAMES)
    measured = [each.difference for each in results.comparisons] + [each.accuracy for each in results.means]
    for each in results.means:
        if each.classifier == "chance":
            assert each.brier.ci95 == pytest.approx((2 / 3, 2 / 3))
            assert each.log_loss.ci95 == pytest.approx((np.log(3), np.log(3)))
        else:
            measured += [each.brier, each.log_loss]
    for run in results.runs:
        if run.classifier == "chance":  # known, not measured
            assert run.accuracy.ci95 == (run.accuracy.mean, run.accuracy.mean)
            assert run.ece.ci95 == (0, 0)
            assert run.brier.ci95 == (run.brier.mean, run.brier.mean) == pytest.approx((2 / 3, 2 / 3))
            assert run.log_loss.ci95 == (run.log_loss.mean, run.log_loss.mean) == pytest.approx((np.log(3), np.log(3)))
            assert {score.ci95 for score in run.per_category.values()} == {(run.accuracy.mean,) * 2}
            continue
        measured += [run.accuracy, run.ece, run.brier, run.log_loss, *run.per_category.values()]
        if run.classifier == "majority":
            assert run.macro_recall.ci95 == (run.macro_recall.mean, run.macro_recall.mean)
        else:
            measured.append(run.macro_recall)
    assert len(measured) > 40
    for value in measured:
        low, high = value.ci95
        if value.mean in {0.0, 1.0} and low >= 0:
            assert low <= value.mean <= high
            assert high - low > 0.1
        else:
            assert low < value.mean < high


def test_the_majoritys_calibration_and_a_transductive_flag_are_told(bank, episodes):
    class Peeking(type(make_classifier("prototype"))):
        transductive = True

    runs = {run.classifier: run for run in evaluate(bank, episodes[:1], {"peeking": Peeking()}).runs}
    assert runs["peeking"].transductive
    assert not runs["majority"].transductive
    assert runs["majority"].ece.mean == pytest.approx(1 - runs["majority"].accuracy.mean)
    assert runs["majority"].brier.mean == pytest.approx(2 * (1 - runs["majority"].accuracy.mean))


def test_what_gives_no_numbers_or_has_a_yardsticks_name_is_refused(bank, episodes):
    class Broken(type(make_classifier("prototype"))):
        def predict_proba(self, X):
            return super().predict_proba(X) * np.nan

    with pytest.raises(FlawshotError, match="not finite"):
        evaluate(bank, episodes, {"broken": Broken()})
    with pytest.raises(FlawshotError, match="name of a baseline"):
        evaluate(bank, episodes, {"chance": make_classifier("knn")})


@pytest.fixture
def with_text(bank, tmp_path):
    """The same bank with a text feature a category: the mean of its own features, so that text alone nearly tells."""
    rows = sorted(set(zip(bank.catalog.column("product"), bank.catalog.column("category"), strict=True)))
    ids, labels = bank.catalog.column("id"), bank.catalog.column("category")
    means = [bank.features([i for i, c in zip(ids, labels, strict=True) if c == row[1]]).mean((0, 1)) for row in rows]
    matrix = np.stack([mean / np.linalg.norm(mean) for mean in means]).astype(np.float32)
    record = TextRecord(
        file="text.safetensors", templates=TEMPLATES, categories={}, rows=tuple(rows), weights_hash=None
    )
    blocks, manifest = [bank.rows(range(len(ids)))], bank.manifest
    return write_blocks(
        tmp_path / "with-text",
        bank.catalog,
        blocks,
        manifest.encoder,
        manifest.views,
        text=TextFeatures(record, matrix),
    )


SHORT = [(f"{c}{n}", [c]) for c, count in (("dent", 7), ("scratch", 3), ("stain", 2)) for n in range(count)]


def test_supports_that_are_short_are_told_wherever_their_k_is(catalog_of, bank_of, tmp_path):
    """Else a figure at "5 shots" is taken for what five examples of each category give."""
    catalog = catalog_of(SHORT)
    bank = bank_of(catalog)
    sets = [sample_episodes(catalog, "part", shots, allow_short=True) for shots in (1, 5)]
    results = evaluate(bank, sets, ["prototype", "knn"])
    assert {(run.shots, run.support) for run in results.runs} == {(1, (1, 1)), (5, (1, 5))}
    assert {(each.shots, each.support) for each in results.comparisons} == {(1, (1, 1)), (5, (1, 5))}
    assert [results.shots_label(shots) for shots in (1, 5)] == ["1", "5 (1-5)"]
    table = results.to_arrow().to_pylist()
    assert {(row["shots"], row["fewest_support"], row["most_support"]) for row in table} == {(1, 1, 1), (5, 1, 5)}
    assert "5 (1-5)-shot" in markdown_table(results)
    assert "5 (1-5)-shot" in latex_table(results)
    said = sentence(results)
    assert said.startswith("With 1 to 5 examples per category (up to 5 wanted) prototype is right on ")
    write_report(results, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "5 (1-5) shots" in page
    assert not re.search(r">5 shots|at 5 shots|At 5 shots", page)
    saved = tmp_path / "results.json"
    results.save(saved)
    assert Results.load(saved) == results


def test_full_supports_are_told_as_ever(bank, episodes):
    results = evaluate(bank, episodes, ["prototype"])
    assert {run.support for run in results.runs} == {(1, 1), (3, 3)}
    assert {each.support for each in results.means} == {(1, 1), (3, 3)}
    assert results.shots_label(3) == "3"
    assert sentence(results).startswith("At 3 shots prototype")


def test_an_estimator_that_needs_text_gets_its_categories_in_sorted_order(with_text):
    seen = []

    class ByText(type(make_classifier("prototype"))):
        inputs = frozenset({"features", "text"})

        def fit(self, X, y, *, text=None):
            seen.append((sorted(set(y)), text))
            return super().fit(X, y, text=text)

    class Plain(type(make_classifier("prototype"))):
        def fit(self, X, y):
            return super().fit(X, y)

    sets = [sample_episodes(with_text.catalog, product, 1) for product in "pq"]
    results = evaluate(with_text, sets, {"by-text": ByText(), "plain": Plain()})
    assert len(seen) == 1 + 10  # the first fit is untimed
    for number, (categories, text) in enumerate(seen[1:]):
        assert categories == ["dent", "scratch", "stain"]
        np.testing.assert_array_equal(text, with_text.text_features("pq"[number // 5], categories))
    assert results.provenance["text"] == {"templates": list(TEMPLATES), "categories": {}, "weights_hash": None}
    assert Results.model_validate_json(results.model_dump_json()) == results


def test_a_classifier_of_someone_elses_is_shown_what_it_declares_and_nothing_else(with_text):
    """In fit and in predict: the instances' own outlines, and never text that it did not ask for."""
    seen = []

    class BothForms(FewShotClassifier):
        inputs = frozenset({"features", "outlines"})

        def _fit(self, support, _):
            seen.append(("fit", support))
            self.count_ = len(self.classes_)

        def _probabilities(self, query):
            seen.append(("predict", query))
            return np.full((len(query.features), self.count_), 1 / self.count_, dtype=np.float32)

    episodes = sample_episodes(with_text.catalog, "p", 1, seeds=range(1))
    evaluate(with_text, [episodes], {"forms": BothForms()})
    (episode,) = episodes.episodes
    for (step, evidence), ids in zip(seen[-2:], (episode.support, sorted(episode.query)), strict=True):
        expected = catalog_outlines(with_text.catalog, ids)
        assert evidence.outlines.shape == expected.shape
        np.testing.assert_allclose(np.sort(evidence.outlines, axis=0), np.sort(expected, axis=0), rtol=1e-5)
        assert evidence.features.shape[:2] == (len(ids), 3), step
        assert not evidence.text.size


def test_zero_shot_is_scored_like_any_other(with_text):
    episodes = sample_episodes(with_text.catalog, "p", 1)
    runs = {run.classifier: run for run in evaluate(with_text, [episodes], ["zero-shot", "prototype"]).runs}
    text = with_text.text_features("p", ["dent", "scratch", "stain"])
    labels = dict(zip(with_text.catalog.column("id"), with_text.catalog.column("category"), strict=True))
    query = list(episodes.episodes[0].query)
    views = with_text.features(query).mean(axis=1)
    winners = np.array(["dent", "scratch", "stain"])[(views @ text.T).argmax(axis=1)]
    expected = np.mean(winners == [labels[identifier] for identifier in query])
    assert expected > 0.6
    assert runs["zero-shot"].episodes[0].accuracy == pytest.approx(expected)


def test_text_that_is_needed_but_not_there_is_one_line_before_any_computing(bank, episodes):
    class ByText(type(make_classifier("prototype"))):
        inputs = frozenset({"features", "text"})

    class Computing(type(make_classifier("prototype"))):
        def fit(self, *_, **__):
            raise AssertionError("nothing is computed")

    with pytest.raises(FlawshotError) as caught:
        evaluate(bank, episodes, {"first": Computing(), "by-text": ByText(), "too": ByText()})
    assert str(caught.value) == (
        f"classifiers='by-text,too': {bank.path}: has no text features of the categories (made up: no text tower was "
        "available); encode with a CLIP that has a text tower, and layer='projection'"
    )
    assert evaluate(bank, episodes[:1], ["knn"]).provenance["text"] is None


def test_many_episodes_are_fitted_some_at_a_time(bank, monkeypatch):
    episodes = sample_episodes(bank.catalog, "p", 1, seeds=range(7))
    monkeypatch.setattr(runs, "EPISODES_AT_ONCE", 3)
    several = evaluate(bank, [episodes], ["knn", "evidence-ridge"])
    for number, episode in enumerate(episodes.episodes):
        alone = evaluate(bank, [dataclasses.replace(episodes, episodes=(episode,))], ["knn", "evidence-ridge"])
        for ours, own in zip(several.runs, alone.runs, strict=True):
            assert ours.episodes[number].accuracy == own.episodes[0].accuracy, ours.classifier


def test_the_device_reaches_those_that_train(bank):
    episodes = sample_episodes(bank.catalog, "p", 1, seeds=[0])
    results = evaluate(bank, [episodes], ["knn", "zip-adapter-f"], device="cpu:0")
    used = {name: each["parameters"].get("device") for name, each in results.provenance["classifiers"].items()}
    assert used == {"knn": None, "zip-adapter-f": "cpu:0", "outline": None}


def test_an_estimator_cannot_change_what_the_next_one_gets(bank):
    class Spoiler(type(make_classifier("knn"))):
        def fit(self, X, y):
            X *= 0
            return super().fit(X, y)

    with pytest.raises(ValueError, match="read-only"):
        evaluate(bank, [sample_episodes(bank.catalog, "p", 1)], {"spoiler": Spoiler(), "knn": make_classifier("knn")})


def test_labels_that_end_in_nul_stay_apart(bank_of, catalog_of):
    images = [(f"p/{n}", [label]) for n, label in enumerate(["a", "a\0", "b"] * 4)]
    bank = bank_of(catalog_of(images, layout="{product}/**"), spread=0.01)
    run = evaluate(bank, [sample_episodes(bank.catalog, "p", 1)], ["knn"]).runs[0]
    assert run.categories == ("a", "a\0", "b")
    assert run.accuracy.mean == 1


def test_every_estimator_is_fitted_and_asked_once_before_any_is_timed(bank, episodes):
    told = []

    class Telling(type(make_classifier("prototype"))):
        def fit(self, X, y):
            told.append("fit")
            return super().fit(X, y)

        def predict_proba(self, X):
            told.append("predict")
            return super().predict_proba(X)

    evaluate(bank, episodes[:1], {"one": Telling(), "other": Telling()})
    assert told == 2 * ["fit", "predict"] + 10 * ["fit"] + 10 * ["predict"]


def test_what_is_kept_of_many_tasks_is_what_they_ask(catalog_of, bank_of, monkeypatch):
    """Not a table of tasks by instances; and of a product that is done, nothing of its queries."""
    bank = bank_of(catalog_of([(f"p/{c}{n:03}", [c]) for c in ("dent", "scratch", "stain") for n in range(200)]))
    tasks = sample_tasks(bank.catalog, "p", 1, ways=2, queries=2, episodes=30, seed=0)
    held, kept = [], []

    def resample(predictions, *rest, **named):
        held.extend(array.size for each in predictions for array in (each.predicted, each.right, each.confidence))
        return scores.resample(predictions, *rest, **named)

    def compare(outcomes, names):
        kept.extend(value for outcome in outcomes.values() for value in outcome[1:])
        return comparisons.compare(outcomes, names)

    monkeypatch.setattr(task_scores, "resample", resample)
    monkeypatch.setattr(runs, "compare", compare)
    evaluate(bank, [tasks], NAMES)
    assert set(held) == {30 * 2 * 2}
    assert {np.size(value) for value in kept} == {1, DRAWS}


def test_outlines_tell_what_forms_tell(bank_of):
    """Features are noise, forms are the categories': outline is right, and default-outline gains by it."""
    annotations = []
    for n, label in enumerate(["long", "square"] * 12):
        width, height = (60, 4 + n % 3) if label == "long" else (20, 18 + n % 3)
        points = [[5, 5], [5 + width, 5], [5 + width, 5 + height], [5, 5 + height]]
        document = labelme_document([box_shape(label, points=points)], imagePath=f"{n}.png")
        file, problems = parse_labelme(json.dumps(document).encode(), f"{n}")
        assert not problems
        annotations.append((f"p/{n}.json", file))
    catalog = Catalog.from_annotations(annotations, root_name="part", layout="{product}/**")
    bank = bank_of(catalog, spread=1000.0)
    results = evaluate(bank, [sample_episodes(catalog, "p", 1)], ["whitened-ridge", "default-outline"])
    accuracy = {run.classifier: run.accuracy.mean for run in results.runs}
    assert accuracy["outline"] == 1.0
    assert accuracy["default-outline"] > accuracy["whitened-ridge"] + 0.1
    assert {each.classifier for each in results.comparisons} == {"default-outline"}
