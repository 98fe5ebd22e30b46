"""``flawshot export onnx``, as a user runs it."""

from __future__ import annotations

import re

import pytest

import flawshot
from commands import refuse, run, succeed


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A model, and the folder that it was fitted to."""
    work = tmp_path_factory.mktemp("work")
    flawshot.draw_data_set(work / "parts", categories=2, images=16, side=96, surface="wood", workers=1, seed=5)
    succeed("fit", work / "parts", "--out", work / "model", "--device", "cpu")
    return work / "model", work / "parts"


def test_one_line_says_size_and_difference_and_the_images_are_found_again(fitted, tmp_path):
    model, parts = fitted
    told = succeed("export", "onnx", model, "--out", tmp_path / "line")
    examples = len(flawshot.Catalog.open(parts))
    (line,) = told.stdout.splitlines()
    pattern = rf"line: [\d.]+ MB, float32; .* by at most \S+ in probability on {examples} regions of the examples$"
    assert re.search(pattern, line)
    assert told.stderr == ""
    assert refuse("export", "onnx", model, "--out", tmp_path / "line").endswith("or add --overwrite")


def test_a_reduced_precision_is_printed_with_both_accuracies(fitted, tmp_path):
    model, parts = fitted
    told = succeed("export", "onnx", model, "--out", tmp_path / "line", "--data", parts, "--precision", "float16")
    pattern = r"leave-one-out accuracy on \d+ examples [\d.]+%, with float32 \([\d.]+ MB\) [\d.]+%$"
    assert re.search(pattern, told.stdout.strip())


def test_mistakes_are_named_as_options(fitted, tmp_path):
    model, _ = fitted
    out = ("--out", tmp_path / "line")
    assert refuse("export", "onnx", tmp_path / "gone", *out).endswith("is not a model's folder; fit a model first")
    assert "--tolerance 1.5: must be a share" in refuse("export", "onnx", model, *out, "--tolerance", 1.5)
    assert "--data " in refuse("export", "onnx", model, *out, "--data", tmp_path)
    assert "'float8' is not one of" in run("export", "onnx", model, *out, "--precision", "float8").output


def test_it_stands_among_the_formats_of_export():
    listed = succeed("export", "--help").stdout
    assert "onnx" in listed
    assert "masks" in listed
