"""Answers in words: what is read of them, and what is not; covers ``answer_words``."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flawshot import FlawshotError
from flawshot.evaluation.language_answers import judge_answer, overlap
from flawshot.evaluation.language_questions import AskedQuestion

TRUTH = {
    "version": 1,
    "source": "bolt/0.png",
    "product": "bolt",
    "split": "test",
    "width": 200,
    "height": 100,
    "category": "",
    "choices": (),
    "box": (),
    "part": "",
    "percent": None,
    "area": None,
    "count": None,
    "present": None,
    "seed": 0,
}
CHOICES = ("cut", "cut lead", "bent_lead", "hole", "Loch", "the", "no_foot")
ASKED = {
    "any": {"present": True},
    "none": {"kind": "any", "present": False},
    "what": {"category": "cut", "choices": CHOICES},
    "part": {"part": "upper left", "category": "cut"},
    "middle": {"kind": "part", "part": "center", "category": "cut"},
    "left": {"kind": "part", "part": "center left", "category": "cut"},
    "count": {"count": 3},
    "many": {"kind": "count", "count": 21},
    "zero": {"kind": "count", "count": 0},
    "size": {"percent": 2.0, "area": 400, "category": "cut"},
    "where": {"box": (0.1, 0.2, 0.5, 0.6), "category": "cut"},
}


def asked(name):
    truth = TRUTH | {"kind": name} | ASKED[name]
    turns = [{"from": "human", "value": "<image>\n?"}, {"from": "gpt", "value": "!"}]
    return AskedQuestion.model_validate(
        {"id": name, "image": "a.png", "conversations": tuple(turns), "flawshot": truth}
    )


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("any", "Yes", True),
        ("any", "yes, there is a scratch.", True),
        ("any", "**Yes**", True),
        ("any", "No.", False),
        ("any", "no", False),
        ("none", "No, there is not.", True),
        ("any", "There is one.", None),
        ("any", "Yesterday", None),
        ("any", "yes or no", None),
        ("any", "Yes/No", None),
        ("any", "Yes, no doubt.", None),
        ("any", "I think yes", None),
        ("any", "", None),
        ("any", "No idea.", None),
        ("any", "No doubt, there is a defect.", None),
        ("any", "No clear answer", None),
        ("any", "No problem", None),
        ("any", "Yes | No", None),
        ("any", "yes and no", None),
        ("any", "No, actually yes", None),
        ("any", "No, I have no idea", None),
        ("any", "Yes, maybe", None),
        ("any", "No; I cannot tell", None),
        ("any", "Yes there is", True),
        ("none", "No defect is visible.", True),
        ("none", "No there is not", True),
        ("what", "cut", True),
        ("what", "**cut**", True),
        ("what", "It is not a cut.", None),
        ("what", "It isn't a cut.", None),
        ("what", "No cut here", None),
        ("what", "Anything but a cut", None),
        ("what", "non-cut", None),
        ("what", "It might be a cut", None),
        ("what", "the", False),
        ("what", "The cut", True),
        ("what", "The image shows a dent", None),
        ("what", "no foot", False),
        ("what", "It has no foot", False),
        ("what", "Cut.", True),
        ("what", "It is a cut", True),
        ("what", "cut lead", False),
        ("what", "the cut lead", False),
        ("what", "bent lead", False),
        ("what", "hole", False),
        ("what", "cut or hole", None),
        ("what", "cut lead, or a cut", None),
        ("what", "scratch", None),
        ("what", "cute", None),
        ("part", "upper left", True),
        ("part", "Top-left corner.", True),
        ("part", "The left upper ninth", True),
        ("part", "The center of the defect is in the upper left.", True),
        ("part", "Its centre is upper-left", True),
        ("part", "The right answer is: upper left", True),
        ("part", "The right answer is: upper", None),
        ("part", "upper, left", None),
        ("part", "not upper left", None),
        ("part", "It isn't upper left", None),
        ("part", "upper left or center", None),
        ("part", "slightly below the upper left", None),
        ("part", "The center of the defect is hard to see", None),
        ("part", "lower left", False),
        ("part", "centre left", False),
        ("part", "left", None),
        ("part", "upper", None),
        ("part", "between upper left and lower left", None),
        ("part", "upper left centre", None),
        ("middle", "center", True),
        ("middle", "in the middle", True),
        ("middle", "upper center", False),
        ("middle", "In the center of the image", True),
        ("left", "The center is in the left part.", None),
        ("left", "center, left", None),
        ("left", "center left", True),
        ("left", "middle left", True),
        ("count", "3", True),
        ("count", "There are three defects.", True),
        ("count", "3 (three)", True),
        ("count", "4", False),
        ("count", "0", False),
        ("count", "two or three", None),
        ("count", "many", None),
        ("count", "3.5", None),
        ("count", "3 %", None),
        ("count", "-3", None),
        ("count", "3-4", None),
        ("count", "3 – 4 defects", None),
        ("count", "type3", None),
        ("count", "There are 3 defects.", True),
        ("count", "**3**", True),
        ("count", "twenty-three", False),
        ("count", "one hundred", None),
        ("count", "two dozen", None),
        ("count", "three-quarters", None),
        ("count", "three or more", None),
        ("count", "−3", None),
        ("count", "minus 3", None),
        ("count", "more than 3", None),
        ("count", "fewer than 3", None),
        ("count", "at least 3", None),
        ("count", "not 3", None),
        ("count", "3+", None),
        ("count", "~3", None),
        ("count", "3/4", None),
        ("count", "three hundred", None),
        ("count", "One cannot see any defect", None),
        ("count", "No idea", None),
        ("count", "3 billion", None),
        ("count", "½ 3", None),
        ("count", "three score", None),
        ("count", "One can see a defect", None),
        ("count", "I can see 3 defects.", True),
        ("count", "The answer to the question is 3", True),
        ("count", "3 of 5", None),
        ("count", "type3 shows 3", None),
        ("many", "twenty-one", True),
        ("many", "There are Twenty One.", True),
        ("many", "twenty", False),
        ("many", "one", False),
        ("zero", "none", True),
        ("zero", "There are no defects.", True),
        ("zero", "0", True),
        ("zero", "1", False),
        ("size", "2 %", True),
        ("size", "about 2.4 percent", True),
        ("size", "1.5%", True),
        ("size", "2.6 %", False),
        ("size", "2", None),
        ("size", "0.02", None),
        ("size", "2 % or 3 %", None),
        ("size", "2-3 %", None),
        ("size", "-2 %", None),
        ("size", "0,2 %", None),
        ("size", "2 % (2.0 percent)", True),
        ("size", "The defect 7 covers 2 %", None),
        ("size", "between 1 and 2 %", None),
        ("size", "1—2 %", None),
        ("size", "one to 2 %", None),
        ("size", "−2 %", None),
        ("size", "+2 %", None),
        ("size", "<2 %", None),
        ("size", "less than 2 %", None),
        ("size", "at most 2 %", None),
        ("size", "not 2 %", None),
        ("size", "½ 2 %", None),
        ("size", "max. 2 %", None),
        ("size", "2 % of 400 px", None),
        ("where", "[0.1, 0.2, 0.5, 0.6]", True),
        ("where", "The box is [0.1,0.2,0.5,0.6].", True),
        ("where", "(0.1, 0.2, 0.5, 0.5)", True),
        ("where", "[.1,.2,.5,.6]", True),
        ("where", "[1e-1, 2E-1, 5e-1, 0.6]", True),
        ("where", "not [0.1, 0.2, 0.5, 0.6]", None),
        ("where", "[1e999, 0, 1, 1]", None),
        ("where", "[0.1, 0.2, 0.2, 0.3]", False),
        ("where", "[0.6, 0.7, 0.9, 0.9]", False),
        ("where", "[100, 200, 500, 600]", None),
        ("where", "[0.5, 0.2, 0.1, 0.6]", None),
        ("where", "[0.1, 0.2, 0.5]", None),
        ("where", "[0.1, 0.2, 0.5, 0.6] or [0, 0, 1, 1]", None),
        ("where", "[-0.1, 0.2, 0.5, 0.6]", None),
        ("where", "upper left", None),
    ],
)
def test_answers_are_read_strictly(name, text, right):
    judged = judge_answer(asked(name), text)
    assert judged.answered
    assert judged.right == bool(right)
    assert bool(judged.problem) == (right is None), judged.problem


def test_units_of_boxes_are_declared_and_not_guessed():
    question = asked("where")
    assert judge_answer(question, "[100, 200, 500, 600]", boxes="thousandth").right
    assert judge_answer(question, "[20, 20, 100, 60]", boxes="pixel").right
    assert not judge_answer(question, "[20, 20, 100, 60]", boxes="thousandth").right
    with pytest.raises(FlawshotError, match="boxes='inch': must be one of share, thousandth, pixel"):
        judge_answer(question, "", boxes="inch")


def test_a_missing_answer_is_wrong():
    judged = judge_answer(asked("any"), None)
    assert (judged.answered, judged.right, judged.problem) == (False, False, "is missing")


def test_overlap_of_boxes():
    assert overlap((0, 0, 1, 1), (0, 0, 1, 1)) == 1
    assert overlap((0, 0, 1, 1), (2, 0, 3, 1)) == 0
    assert overlap((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(ASKED)), st.text(max_size=80))
def test_any_text_is_an_answer_or_unreadable(name, text):
    judged = judge_answer(asked(name), text)
    assert not (judged.right and judged.problem)


@pytest.mark.parametrize("name", ["any", "what", "part", "count", "size", "where"])
def test_a_question_without_its_answer_is_refused(name):
    question = asked(name)
    bare = {"present": None, "category": "x", "choices": (), "part": "", "count": None, "percent": None, "box": ()}
    document = question.model_dump(by_alias=True) | {"flawshot": question.flawshot.model_dump() | bare}
    with pytest.raises(ValueError, match="has no answer to a question of the kind"):
        AskedQuestion.model_validate(document)
