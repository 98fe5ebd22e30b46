"""Benchmarks are run by hand; that what they import is there is tested."""

from __future__ import annotations

import ast
import importlib

import pytest

from helpers import REPOSITORY

SCRIPTS = sorted((REPOSITORY / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(script):
    missing = []
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        if node.module.split(".")[0] == "flawshot":
            module = importlib.import_module(node.module)
            missing += [f"{node.module}.{alias.name}" for alias in node.names if not hasattr(module, alias.name)]
        elif (beside := script.with_name(f"{node.module}.py")).is_file():
            made = beside.read_text(encoding="utf-8")
            missing += [f"{node.module}.{alias.name}" for alias in node.names if alias.name not in made]
    assert not missing
