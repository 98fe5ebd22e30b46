"""Counts in messages: no command says "1 instances"."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest

import flawshot
from flawshot.base.wording import counted, plural, such_as

SOURCES = Path(flawshot.__file__).parent
# Nouns that commands count; after a number that may be one, they need counted().
NOUNS = (
    "images|instances|products|files|regions|shapes|crops|views|episodes|examples|findings|problems|categories|classes|"
    "labels|groups|rows|boxes|masks|records|queries|shots|folds"
)
# What is always more than one, by the module and the expression.
MANY = {
    ("comparison_tables", "len(results.products)"),
    ("console", "len(problems)"),
    ("demonstrating", "CATEGORIES"),
    ("demonstrating", "IMAGES"),
    ("finding_tables", "FEW"),
    ("tables", "FEW"),
    ("tables", "len(counts)"),
    ("wide_tables", "FEW"),
    ("demonstrating", "', '.join(shots)"),
    ("demonstrating", "len(counts)"),
    ("demonstrating", "views"),
    ("evaluating", "place"),
    ("evaluating_finding", "len(opened)"),
    ("fitting", "folds"),
    ("learning", "report.known"),
    ("locator_groups", "len(files)"),
    ("sampling", "len(categories)"),
    ("sampling", "wanted"),
    ("wide_tables", "shots"),
}


@pytest.mark.parametrize(("number", "said"), [(0, "0 boxes"), (1, "1 box"), (2, "2 boxes"), (-1, "-1 boxes")])
def test_one_is_singular_and_all_else_is_plural(number, said):
    assert counted(number, "box", "boxes") == said
    assert plural(number, "box", "boxes") == said.split()[1]


def test_the_verb_follows_the_number():
    assert such_as(["a"], "image", "images") == "1 image, a, is"
    assert such_as(["a", "b"], "image", "images") == "2 images, such as a, are"


def test_no_command_counts_in_the_plural_only():
    counts, found = re.compile(rf" (?:\w+ )?(?:{NOUNS})\b"), []
    for path in sorted((SOURCES / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = node.values if isinstance(node, ast.JoinedStr) else []
            for value, after in itertools.pairwise(parts):
                if (
                    isinstance(value, ast.FormattedValue)
                    and isinstance(after, ast.Constant)
                    and counts.match(after.value)
                ):
                    source = ast.unparse(value.value)
                    if not re.search(r"counted\(|plural\(", source) and (path.stem, source) not in MANY:
                        found.append(f"{path.name}:{node.lineno}: {source}{after.value[:30]}")
    assert not found, "\n".join(found)
