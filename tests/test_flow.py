"""One direction of flow: no package imports from one on its own line, or a later one, of CONTRIBUTING.md's picture."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import flawshot

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(flawshot.__file__).parent
MOST_ENTRIES = 19
# The picture names a line's packages in its first columns, and says what is in them behind.
PACKAGES_WIDTH = 24
MOST_LINES = 400


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of ours that a module names, inside functions and for the sake of types too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # "from flawshot import name" may mean a package of that name.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def wrong(order: dict[str, int], own: str, source: str) -> list[str]:
    """What of ours a module of the package ``own`` imports against the flow."""
    names = [name.split(".") for name in imported(ast.parse(source)) if name.split(".")[0] == "flawshot"]
    # The package itself offers everything, so only the last may import from it.
    last = max(order, key=lambda name: order[name])
    tops = [parts[1] if len(parts) > 1 and parts[1] in order else last for parts in names]
    return sorted({top for top in tops if top != own and order[top] >= order[own]})


@pytest.fixture(scope="module")
def order(pytestconfig):
    """The line of each package, from 0."""
    text = (pytestconfig.rootpath / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = re.search(r"<!-- flow -->\n```\n(.*?)```", text, re.DOTALL)[1]
    lines = [line[:PACKAGES_WIDTH].split() for line in picture.splitlines()]
    return {name: number for number, line in enumerate(lines) for name in line}


def packages() -> set[str]:
    own = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    return own - {"__init__", "__main__"}


def test_the_picture_shows_every_package_and_no_other(order):
    assert packages() == set(order)


def test_there_are_few_entries():
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_no_file_is_too_long():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {path.name: length for path, length in lengths.items() if length > MOST_LINES}


def test_no_package_imports_against_the_flow(order):
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        own = place.parts[0].removesuffix(".py")
        if own not in {"__init__", "__main__"} and (names := wrong(order, own, path.read_text(encoding="utf-8"))):
            found[place.as_posix()] = names
    assert not found


def test_no_modules_import_each_other():
    graph = {}
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(("flawshot", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        graph[module] = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    known = set(graph)
    edges = {
        module: {target if target in known else target.rpartition(".")[0] for target in targets} & known
        for module, targets in graph.items()
    }
    # A package's own file gathers what its modules offer.
    reached: dict[str, set[str]] = {}
    for module, targets in edges.items():
        seen, todo = set(), list(targets)
        while todo:
            if (target := todo.pop()) not in seen:
                seen.add(target)
                todo += edges[target]
        reached[module] = seen
    assert not sorted(module for module, seen in reached.items() if module in seen)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        pytest.param("from flawshot.base.errors import X", [], id="from before it"),
        pytest.param("from flawshot.cli.options import X", ["cli"], id="from behind it"),
        pytest.param("from flawshot.formats.coco import X", ["formats"], id="from its neighbor"),
        pytest.param("import flawshot.report", ["report"], id="the package itself"),
        pytest.param("from flawshot import report", ["report"], id="the package, as a name"),
        pytest.param("from flawshot import evaluate", ["cli"], id="the public names"),
        pytest.param("def f():\n    from flawshot.report import X", ["report"], id="inside a function"),
        pytest.param("from flawshot.regions.views import X", [], id="from its own"),
        pytest.param("if TYPE_CHECKING:\n    from flawshot.report import X", ["report"], id="for a type"),
        pytest.param("import numpy\nfrom flawshots import report", [], id="of others"),
    ],
)
def test_what_counts(order, source, names):
    assert wrong(order, "regions", source) == names
