"""Every reader on some damaged files: read, or refused in one line; ``fuzz.py`` runs as many as wanted by hand."""

from __future__ import annotations

import json
from random import Random

import pytest

from flawshot import FlawshotError, Problem
from fuzz import TooLong, answer, fuzz, wrong_line
from fuzz_readers import READERS, Reader
from mutations import mutated

# What making the valid files costs is shared by few inputs, so readers of models get fewer.
INPUTS = dict.fromkeys(READERS, 12) | dict.fromkeys(("model", "predictions", "review"), 5)


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused_in_one_line(name, tmp_path):
    assert not [str(finding) for finding in fuzz(name, tmp_path, inputs=INPUTS[name])]


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("read", "what"),
    [
        pytest.param(lambda *_: _raise(KeyError("a")), "KeyError", id="another error"),
        pytest.param(lambda *_: _raise(RecursionError()), "RecursionError", id="too deep"),
        pytest.param(lambda *_: bytearray(5 * 2**30), "MemoryError", id="too large"),
        pytest.param(lambda *_: [None for _ in iter(int, 1)], "TooLong", id="for ever"),
        pytest.param(lambda *_: __import__("warnings").warn("odd", stacklevel=1), "UserWarning", id="warning"),
    ],
)
def test_what_is_a_finding(tmp_path, read, what):
    found = answer(Reader(lambda _: None, read, ()), tmp_path, tmp_path, 0.3)
    assert found is not None
    assert found[0].startswith(what)


def test_what_is_none(tmp_path):
    for read in (
        lambda *_: None,
        lambda *_: [Problem("a", "b", "c")],
        lambda *_: _raise(FlawshotError("a")),
    ):
        assert answer(Reader(lambda _: None, read, ()), tmp_path, tmp_path, 5) is None


@pytest.mark.parametrize("line", ["a" * 500, "two\nlines", "\x1b[31mred", "<Bytes at 0x7f3a>"])
def test_lines_that_are_not_for_users(line):
    assert wrong_line(line)
    assert wrong_line("a.json: is not JSON") is None


def test_the_same_number_is_the_same_input():
    data = json.dumps({"a": [1, 2, {"b": "text"}], "c": None}).encode()
    made = [[mutated(data, "a.json", Random(f"0 x {number}")) for number in range(100)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 80


def test_time_that_is_up_cannot_be_caught_as_an_error():
    assert not issubclass(TooLong, Exception)
