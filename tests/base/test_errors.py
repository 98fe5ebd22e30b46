"""One line under 500 characters, whatever a user's files and names hold."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys

import pytest
from PIL import Image

from commands import refuse, shell
from flawshot import FlawshotError, Problem
from flawshot.base.errors import AnnotationError, printable
from helpers import box_shape, labelme_document

HOSTILE = [
    "a" * 4000,
    "\x1b[31m" * 100,
    "one\ntwo\r\nthree",
    "\u202egnp.",
    "\ud800" * 300,
    "划" * 2000,
    "\0",
    "🙂" * 600,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_errors_and_problems_are_one_short_line(text):
    problem = Problem(f"{text}.json", "kind", f"label {text!r} is {text}; rename it", shape=3)
    for line in (
        str(FlawshotError(f"{text}.json: {text}: cannot be read; rename it")),
        str(problem),
        str(AnnotationError(problem)),
        problem.message,
    ):
        assert line.isprintable()
        assert len(line) <= 480
        assert line.endswith("rename it")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_stays_as_it_is_when_it_is_said_again(text):
    once = printable(text)
    assert printable(once) == once
    assert str(FlawshotError(FlawshotError(text))) == str(FlawshotError(text))


def test_a_short_line_is_not_changed():
    assert str(FlawshotError("a.json: 划痕 é: is “odd” – 5 × 3")) == "a.json: 划痕 é: is “odd” – 5 × 3"


def test_errors_pass_between_processes():
    error = AnnotationError(Problem("a.json", "kind", "is odd", shape=2))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.problem) == (str(error), error.problem)


@pytest.mark.parametrize("command", ["stats", "check", "sample", "crops", "encode", "predict", "fit", "query"])
def test_a_name_of_any_length_is_refused_in_one_line(command, tmp_path):
    name = str(tmp_path / "x") + "/a" * 2000 + "/end"
    arguments = {"query": ["area > 1"], "predict": [name], "encode": ["--out", tmp_path / "o"]}.get(command, [])
    if command in {"sample", "crops", "fit"}:
        arguments = ["--out", tmp_path / "o"]
    done = shell(command, name, *arguments)
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1
    assert len(lines[0]) < 500
    assert lines[0].isprintable()


def test_labels_of_a_megabyte_are_said_in_short_lines(tmp_path):
    shapes = [
        box_shape("x" * 1_000_000) | {"shape_type": "y" * 1_000_000},
        box_shape("\x1b[2J\n" * 1000, group_id="z" * 1_000_000),
        box_shape("w" * 1_000_000),
    ]
    (tmp_path / "a.json").write_text(json.dumps(labelme_document(shapes)), encoding="utf-8")
    lines = shell("stats", tmp_path).stderr.splitlines()
    assert lines
    for line in lines:
        assert len(line) < 500
        assert line.isprintable()


def test_what_pillow_remarks_on_an_image_is_not_shown(tmp_path):
    """A TIFF whose description is of a length that the file does not have; Pillow reads the image all the same."""
    document = labelme_document([box_shape()], imagePath="a.tif", imageHeight=48, imageWidth=48)
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    stream = io.BytesIO()
    Image.new("RGB", (48, 48)).save(stream, "TIFF", description="a" * 40)
    data = _with_a_longer_description(stream.getvalue())
    with pytest.warns(UserWarning, match="Tag data larger than file"):
        Image.open(io.BytesIO(data)).load()
    (tmp_path / "a.tif").write_bytes(data)
    done = subprocess.run([sys.executable, "-m", "flawshot", "check", str(tmp_path)], capture_output=True, check=False)
    assert done.stderr == b""


def _with_a_longer_description(data):
    """The entry of tag 270, ASCII: its count becomes more than the file's bytes."""
    at = data.index(b"\x0e\x01\x02\x00")
    return data[: at + 4] + (10**6).to_bytes(4, "little") + data[at + 8 :]


def test_the_remedy_outlives_a_long_condition(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(labelme_document([box_shape()])), encoding="utf-8")
    line = refuse("query", tmp_path, "area > " + "(" * 300 + "1" + ")" * 299)
    assert len(line) <= 480
    assert "the columns are" in line
