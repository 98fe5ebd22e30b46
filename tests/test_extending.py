"""docs/extending.md: its recipes run as they are written, as a package that is installed beside flawshot."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from typing import NamedTuple

import pytest

import flawshot
from helpers import leave_package

BLOCK = re.compile(r"(?:^`([\w/.]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Page(NamedTuple):
    """The page's package, and the commands of each recipe."""

    files: dict[str, str]
    project: dict
    commands: dict[str, list[str]]


@pytest.fixture(scope="module")
def page(pytestconfig):
    text = (pytestconfig.rootpath / "docs/extending.md").read_text(encoding="utf-8")
    files, commands, project = {}, {}, {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        for name, language, code in BLOCK.findall(section):
            if name:
                files[name] = code
            elif language == "toml":
                project = tomllib.loads(code)["project"]
            elif language == "sh":
                commands[section.splitlines()[0]] = code.replace("\\\n", " ").splitlines()
    return Page(files, project, commands)


@pytest.fixture(scope="module")
def installed(page, tmp_path_factory):
    """A folder with drawn parts, and the environment in which the page's package is installed."""
    here = tmp_path_factory.mktemp("recipes")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in own.items())
        for group, own in page.project["entry-points"].items()
    ]
    leave_package(here / "site", page.project["name"], page.files, "\n".join(points))
    flawshot.draw_data_set(here / "parts", categories=3, images=18, side=128, surface="brushed metal")
    paths = [str(here / "site"), os.environ.get("PYTHONPATH", "")]
    return here, os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def recipes() -> list[str]:
    return ["an annotation format", "a classifier", "an encoder", "a view scheme"]


def test_every_recipe_is_run(page):
    assert [name.removeprefix("Recipe: ") for name in page.commands] == recipes()
    named = {place.partition(":")[0] for own in page.project["entry-points"].values() for place in own.values()}
    assert {name.removesuffix(".py").replace("/", ".") for name in page.files} == named


@pytest.mark.parametrize("recipe", recipes())
def test_a_recipe_runs_as_it_is_written(page, installed, recipe):
    here, environment = installed
    for command in page.commands[f"Recipe: {recipe}"]:
        program, *given = command.split()
        assert program == "flawshot"
        done = subprocess.run(
            [sys.executable, "-m", "flawshot", *given],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
