"""Arguments in messages: one message, worded for Python and for the command line."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flawshot
from flawshot import FlawshotError, Problem
from flawshot.base.arguments import argument, arguments_in, in_python, worded
from flawshot.base.errors import AnnotationError
from flawshot.cli.wording import option_words

SOURCES = Path(flawshot.__file__).parent
# Programs of their own, which read options.
# Programs with options of their own, which are not part of the library.
PROGRAMS = {"synthetic/ship.py", "synthetic/train.py", "models/line_side/stand-alone/line_side.py"}
NAMES = st.from_regex(r"[a-z][a-z_]{0,20}", fullmatch=True)


@given(NAMES, st.text(max_size=30), st.text(max_size=30))
def test_an_argument_reads_as_code_in_python_and_as_an_option_in_a_shell(name, value, rest):
    rest = re.sub("[\ue000-\ue002]", "", rest)
    message = f"{argument(name, value)}: {rest}"
    assert arguments_in(message) == (name,)
    said = in_python(message)
    assert said.startswith(f"{name}=")
    assert said.endswith(f": {rest}")
    if not re.search("[\ue000-\ue002]", value):
        assert ast.literal_eval(said[len(name) + 1 : len(said) - len(rest) - 2]) == value
    assert worded(message, option_words).startswith("--")


@pytest.mark.parametrize(
    ("value", "python", "shell"),
    [
        (0, "x=0", "--x 0"),
        (1.5, "x=1.5", "--x 1.5"),
        (True, "x=True", "--x"),
        (False, "x=False", "--x False"),
        (None, "x=None", "--x None"),
        ("a b", "x='a b'", "--x 'a b'"),
        ("a.png", "x='a.png'", "--x a.png"),
        (Path("a/b"), "x='a/b'", "--x a/b"),
        ("", "x=''", "--x ''"),
    ],
)
def test_values(value, python, shell):
    message = argument("x", value)
    assert (in_python(message), worded(message, option_words)) == (python, shell)


def test_marks_never_show():
    hostile = argument("shots", "a\ue001b\ue002")
    text = f"{hostile}: must be a number; or lower {argument('seeds')}"
    for error in (FlawshotError(text), AnnotationError(Problem("a.json", "kind", text, shape=1))):
        for said in (str(error), repr(error), error.worded(option_words), *error.args):
            assert not re.search("[\ue000-\ue002]", said)
        assert error.fields == ("shots", "seeds")


def test_an_error_that_quotes_another_keeps_its_arguments():
    inner = FlawshotError(f"{argument('device', 'cuda9')}: is not there")
    outer = FlawshotError(f"model.json: {inner.marked}")
    assert str(outer) == "model.json: device='cuda9': is not there"
    assert outer.worded(option_words) == "model.json: --device cuda9: is not there"
    assert str(FlawshotError(inner)) == str(inner)


def test_marks_survive_the_way_between_processes():
    error = pickle.loads(pickle.dumps(FlawshotError(f"{argument('shots', 0)}: must be at least 1")))  # noqa: S301
    problem = pickle.loads(pickle.dumps(Problem("a", "b", f"lower {argument('shots')}")))  # noqa: S301
    assert error.worded(option_words) == "--shots 0: must be at least 1"
    assert (str(problem), problem.worded(option_words)) == ("a: lower shots", "a: lower --shots")


def test_no_message_of_the_library_names_an_option():
    found = []
    for path in sorted(SOURCES.rglob("*.py")):
        place = path.relative_to(SOURCES).as_posix()
        if place.startswith("cli/") or place in PROGRAMS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        # A format's OPTIONS declare how its parameters are spelled.
        declared = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.keyword) and each.arg == "name"}
        found += [
            f"{place}:{node.lineno}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings | declared
            and re.search(r"(?<![\w-])--[a-z]", node.value)
        ]
    assert not found
