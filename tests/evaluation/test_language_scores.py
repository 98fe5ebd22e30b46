"""Scores of answers in words; covers ``language_questions``, ``language_results`` and the command."""

from __future__ import annotations

import csv
import json
import random
import statistics

import pytest
from sklearn import metrics

import flawshot
from commands import refuse, succeed
from flawshot.evaluation.language_questions import read_answers, read_instructions
from flawshot.evaluation.language_scores import evaluate_answers, fixed_answers
from flawshot.formats.instruct_export import export_instruct


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The questions about drawn images of two products."""
    root = tmp_path_factory.mktemp("asked")
    flawshot.draw_data_set(root / "parts", categories=3, images=14, side=96, good=6, products=2, workers=1, seed=3)
    export_instruct(flawshot.Catalog.open(root / "parts"), root / "talk", no_images=True)
    return root / "talk/instruct.jsonl"


@pytest.fixture(scope="module")
def questions(asked):
    return read_instructions(asked)


def right_answers(questions):
    return {question.id: question.conversations[1].value for question in questions}


def scores(results, kind, product=None, category=None):
    (run,) = [r for r in results.runs if (r.kind, r.product, r.category) == (kind, product, category)]
    return run


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_exported_answers_are_all_right(questions):
    results = evaluate_answers(questions, right_answers(questions))
    assert not results.missing
    assert not results.unread
    for run in results.runs:
        assert run.n_questions == run.n_answered == run.n_read
        for name, score in run.scores.items():
            if name in {"yes_share", "yes_share_true"}:
                continue
            error = name in {"mean_absolute_error", "median_relative_error"}
            # Boxes are written with four decimals.
            assert score.mean == pytest.approx(0.0 if error else 1.0, abs=0.01), name
            if score.ci95 is not None and name != "mean_iou":
                assert 0 < score.ci95[0] < 1
                assert score.ci95[1] == pytest.approx(1)


def test_a_model_that_always_says_yes_is_exposed(questions):
    results = evaluate_answers(questions, {question.id: "Yes." for question in questions})
    run = scores(results, "any")
    assert run.scores["accuracy"].mean == run.scores["precision"].mean == 0.5
    assert run.scores["recall"].mean == run.scores["yes_share"].mean == 1
    assert run.scores["yes_share_true"].mean == 0.5
    for name in ("accuracy", "precision", "recall", "yes_share"):
        assert run.scores[name].reference == run.scores[name].mean
    for kind in ("what", "count", "where", "part", "size"):
        own = scores(results, kind)
        assert (own.n_answered, own.n_read) == (own.n_questions, 0)
        assert all(score.mean == 0 for score in own.scores.values())
    never = scores(evaluate_answers(questions, {question.id: "no" for question in questions}), "any")
    assert "precision" not in never.scores
    assert never.scores["recall"].mean == 0


def test_scores_equal_those_of_scikit_learn(questions):
    rng = random.Random(0)
    answers = {}
    for question in questions:
        truth = question.flawshot
        if truth.kind == "any":
            answers[question.id] = rng.choice(["Yes", "No"])
        elif truth.kind == "count":
            answers[question.id] = str(rng.randrange(4))
        elif truth.kind == "what":
            answers[question.id] = rng.choice(truth.choices)
        elif truth.kind == "size":
            answers[question.id] = f"{truth.percent * rng.uniform(0.5, 1.5):.6f} %"
    results = evaluate_answers(questions, answers)
    for product in (None, questions[0].flawshot.product):
        own = [each for each in questions if product in {None, each.flawshot.product}]
        pairs = [(each.flawshot.present, answers[each.id] == "Yes") for each in own if each.flawshot.kind == "any"]
        run = scores(results, "any", product).scores
        assert run["accuracy"].mean == pytest.approx(metrics.accuracy_score(*zip(*pairs, strict=True)))
        assert run["precision"].mean == pytest.approx(metrics.precision_score(*zip(*pairs, strict=True)))
        assert run["recall"].mean == pytest.approx(metrics.recall_score(*zip(*pairs, strict=True)))
        counts = [(each.flawshot.count, int(answers[each.id])) for each in own if each.flawshot.kind == "count"]
        run = scores(results, "count", product).scores
        assert run["accuracy"].mean == pytest.approx(metrics.accuracy_score(*zip(*counts, strict=True)))
        assert run["mean_absolute_error"].mean == pytest.approx(metrics.mean_absolute_error(*zip(*counts, strict=True)))
        what = [(each.flawshot.category, answers[each.id]) for each in own if each.flawshot.kind == "what"]
        run = scores(results, "what", product).scores
        assert run["accuracy"].mean == pytest.approx(metrics.accuracy_score(*zip(*what, strict=True)))
        sizes = [
            abs(float(answers[each.id].split()[0]) / each.flawshot.percent - 1)
            for each in own
            if each.flawshot.kind == "size"
        ]
        run = scores(results, "size", product).scores
        assert run["median_relative_error"].mean == pytest.approx(statistics.median(sizes), abs=1e-4)
        assert run["within_25_percent"].mean == pytest.approx(sum(size <= 0.25 for size in sizes) / len(sizes))
    every = scores(results, "any").scores["accuracy"]
    assert every.ci95[0] < every.mean < every.ci95[1]


def test_the_answers_about_an_image_stay_together(questions):
    """Answers that are alike within an image have a wider interval than those that are not."""
    own = [question for question in questions if question.flawshot.kind == "any"]
    images = sorted({question.flawshot.source for question in own})
    right = right_answers(own)
    wrong = {question.id: "No" if right[question.id] == "Yes" else "Yes" for question in own}
    half = set(images[::2])
    by_image = {each.id: (right if each.flawshot.source in half else wrong)[each.id] for each in own}
    alternating = {each.id: (right if number % 2 else wrong)[each.id] for number, each in enumerate(own)}
    widths = []
    for answers in (by_image, alternating):
        low, high = scores(evaluate_answers(own, answers), "any").scores["accuracy"].ci95
        widths.append(high - low)
    assert widths[0] > 1.2 * widths[1]


def test_fixed_answers_do_not_look_at_the_image(questions):
    fixed = fixed_answers(questions)
    assert {fixed[each.id] for each in questions if each.flawshot.kind == "any"} == {"yes"}
    assert {fixed[each.id] for each in questions if each.flawshot.kind == "where"} == {"[0, 0, 1, 1]"}
    what = {(each.flawshot.product, fixed[each.id]) for each in questions if each.flawshot.kind == "what"}
    assert len(what) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "contains no answer"),
        (['{"id": "a"}'], "line 1: text: is missing; the answer must be called text, answer, prediction or response"),
        (['{"text": "yes"}'], "line 1: question_id: is missing"),
        (['{"id": "a", "text": "yes", "answer": "no"}'], "line 1: has both text and answer"),
        (['{"id": "a", "question_id": "b", "text": "yes"}'], "has both question_id and id"),
        (['{"id": "a", "text": "yes"}', '{"id": "a", "text": "no"}'], "line 2: a was answered on an earlier line"),
        (['{"id": "a", "text": ["yes"]}'], "line 1: text: must be text"),
        (['{"id": "a", "text": true}'], "line 1: text: must be text"),
        (["[1]"], "line 1: is not an object"),
        (["yes"], "line 1: is not JSON"),
        (["[" * 100_000], "line 1: is not JSON"),
        (['{"id": "a", "text": "\xff'], "line 1: is not JSON"),
    ],
)
def test_answers_that_cannot_be_used_are_one_line(tmp_path, asked, rows, message):
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(f"{row}\n" for row in rows), encoding="latin-1")
    assert message in refuse("evaluate-answers", asked, "--answers", path)


def test_field_names_and_numbers(tmp_path):
    rows = [
        {"question_id": "a", "prompt": "?", "text": "yes", "answer_id": "x", "model_id": "m", "metadata": {}},
        {"id": "b", "prediction": "no"},
        {"id": "c", "answer": 3},
        {"id": 7, "response": "[0, 0, 1, 1]"},
    ]
    found = read_answers(write_lines(tmp_path / "a.jsonl", rows))
    assert found == {"a": "yes", "b": "no", "c": "3", "7": "[0, 0, 1, 1]"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:0], "contains no question"),
        (lambda rows: [rows[0], rows[0]], "line 2: id: "),
        (lambda rows: [{key: value for key, value in rows[0].items() if key != "flawshot"}], "flawshot"),
        (lambda rows: [rows[0] | {"flawshot": rows[0]["flawshot"] | {"version": 2}}], "version"),
        (lambda rows: [rows[0] | {"flawshot": rows[0]["flawshot"] | {"kind": "why"}}], "kind"),
    ],
)
def test_questions_that_cannot_be_used_are_one_line(tmp_path, asked, change, message):
    rows = [json.loads(line) for line in asked.read_text(encoding="utf-8").splitlines()]
    path = write_lines(tmp_path / "questions.jsonl", change(rows))
    answers = write_lines(tmp_path / "answers.jsonl", [{"id": "a", "text": "yes"}])
    said = refuse("evaluate-answers", path, "--answers", answers)
    assert message in said
    assert str(path) in said


def test_the_command_prints_and_writes(tmp_path, asked, questions):
    right = right_answers(questions)
    ids = list(right)
    rows = [{"id": each, "text": right[each]} for each in ids[2:]] + [{"id": "nobody", "text": "yes"}]
    rows[0]["text"] = "hm"
    answers = write_lines(tmp_path / "answers.jsonl", rows)
    files = ("--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv")
    done = succeed("evaluate-answers", asked, "--answers", answers, *files)
    for text in ("Is there any", "recall of yes", "says yes", "mean IoU", "all", f"{len(ids)} questions"):
        assert text in done.stdout, text
    assert f"{len(ids)} questions: {len(ids) - 2} answered, {len(ids) - 3} of them read" in done.stdout
    assert f"warning: {ids[0]}: no answer, which counts as wrong" in done.stderr
    assert "warning: nobody: an answer to no question" in done.stderr
    assert f"warning: {ids[2]}: " in done.stderr
    document = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (document["format"], document["version"]) == ("flawshot-language-results", 1)
    assert document["missing"] == ids[:2]
    assert document["foreign"] == ["nobody"]
    assert list(document["unread"]) == [ids[2]]
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as opened:
        table = list(csv.DictReader(opened))
    assert sum(len(run["scores"]) for run in document["runs"]) == len(table)
    printed = succeed("evaluate-answers", asked, "--answers", answers, "--json", "-")
    assert json.loads(printed.stdout)["runs"] == document["runs"]
    assert "exists" in refuse("evaluate-answers", asked, "--answers", answers, "--csv", tmp_path / "r.csv")
    where = next(each for each in questions if each.flawshot.kind == "where")
    x0, y0, x1, y1 = (value * 96 for value in where.flawshot.box)
    boxes = write_lines(tmp_path / "boxes.jsonl", [{"id": where.id, "text": f"[{x0}, {y0}, {x1}, {y1}]"}])
    for unit, read in (("pixel", 1), ("share", 0)):
        done = succeed("evaluate-answers", asked, "--answers", boxes, "--boxes", unit)
        assert f"1 answered, {read} of them read" in done.stdout
    product = questions[0].flawshot.product
    one = succeed("evaluate-answers", asked, "--answers", answers, "--product", product)
    other = next(each.flawshot.product for each in questions if each.flawshot.product != product)
    assert other not in one.stdout
    assert "--product nothing: is not in" in refuse(
        "evaluate-answers", asked, "--answers", answers, "--product", "nothing"
    )
