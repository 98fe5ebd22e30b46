"""Option groups: dataclasses that become options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from flawshot.cli.groups import with_groups


@dataclass(frozen=True)
class Sizes:
    width: Annotated[int, typer.Option("--width", min=1)]
    height: Annotated[int, typer.Option("--height", help="Of it.")] = 4


def command(
    place: Annotated[str, typer.Argument()], *, sizes: Sizes, last: Annotated[bool, typer.Option("--last")] = False
) -> None:
    """Do it."""
    typer.echo(f"{place} {sizes.width} {sizes.height} {last}")


def run(*given):
    app = typer.Typer()
    app.command()(with_groups(command))
    return CliRunner().invoke(app, [*map(str, given)])


def test_a_group_is_spread_out_into_options_and_given_as_one_value():
    assert run("here", "--width", 3, "--last").stdout == "here 3 4 True\n"
    assert run("here", "--width", 3, "--height", 5).stdout == "here 3 5 False\n"
    assert run("here").exit_code == 2
    assert run("here", "--width", 0).exit_code == 2


def test_help_shows_the_groups_options():
    shown = run("--help").stdout
    assert "Do it." in shown
    assert "Of it." in shown
    assert shown.index("--width") < shown.index("--height") < shown.index("--last")
