"""``flawshot synth``, as a user runs it."""

from __future__ import annotations

from typer.testing import CliRunner

from flawshot import Catalog
from flawshot.cli import app
from flawshot.cli.wording import option_words


def run(*arguments):
    return CliRunner().invoke(app, ["synth", *map(str, arguments)])


def test_says_what_it_drew_and_refuses_to_draw_over_it(tmp_path):
    out = tmp_path / "parts"
    options = ("--categories", 2, "--images", 4, "--size", 64, "--surface", "wood", "--flaws", "scratch,dent")
    first = run(out, *options)
    assert first.exit_code == 0, first.output
    assert f"{out}/wood: 4 images of wood, 5 instances: " in first.stdout
    assert set(Catalog.open(out).column("category")) == {"scratch", "dent"}
    again = run(out, *options)
    assert again.exit_code != 0
    assert f"{out}: exists; name another folder" in str(again.exception)


def test_a_surface_that_is_not_there_is_named(tmp_path):
    result = run(tmp_path / "parts", "--surface", "cheese")
    assert "--surface cheese: is not known; there are brushed metal" in result.exception.worded(option_words)
    assert not list(tmp_path.iterdir())
