"""One direction of flow: no module imports from one that CONTRIBUTING.md puts behind it."""

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


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of ours that run when this does, inside functions too; those of types alone are passed over."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported(ast.Module(node.orelse, []))
            continue
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # "from flawshot import name" may mean a module of that name.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        yield from imported(node)


def wrong(order: list[str], own: str, source: str) -> list[str]:
    """What of ours a module called ``own`` imports from behind it."""
    places = {name: place for place, name in enumerate(order)}
    names = [name.split(".") for name in imported(ast.parse(source)) if name.split(".")[0] == "flawshot"]
    # The package itself offers everything, so only the last may ask it.
    tops = [parts[1] if len(parts) > 1 and parts[1] in places else order[-1] for parts in names]
    return sorted({top for top in tops if top != own and places[top] >= places[own]})


@pytest.fixture(scope="module")
def order(pytestconfig):
    text = (pytestconfig.rootpath / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(r"\w+", re.search(r"<!-- flow -->\n```\n(.*?)```", text, re.DOTALL)[1])


def test_every_module_has_its_place(order):
    assert len(set(order)) == len(order)
    own = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert own - {"__init__", "__main__"} <= set(order)


def test_no_module_imports_from_behind_it(order):
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        own = place.parts[0].removesuffix(".py")
        if own not in {"__init__", "__main__"} and (names := wrong(order, own, path.read_text(encoding="utf-8"))):
            found[place.as_posix()] = names
    assert not found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        pytest.param("from flawshot.errors import X", [], id="from before it"),
        pytest.param("from flawshot.cli.options import X", ["cli"], id="from behind it"),
        pytest.param("import flawshot.report", ["report"], id="the module itself"),
        pytest.param("from flawshot import report", ["report"], id="the module, as a name of the package"),
        pytest.param("from flawshot import evaluate", ["cli"], id="the package's own names"),
        pytest.param("def f():\n    from flawshot.report import X", ["report"], id="inside a function"),
        pytest.param("from flawshot.views import X", [], id="from its own"),
        pytest.param("if TYPE_CHECKING:\n    from flawshot.report import X", [], id="for a type"),
        pytest.param(
            "if TYPE_CHECKING:\n    pass\nelse:\n    from flawshot.report import X", ["report"], id="not for a type"
        ),
        pytest.param("import numpy\nfrom flawshots import report", [], id="of others"),
    ],
)
def test_what_counts(order, source, names):
    assert wrong(order, "views", source) == names
