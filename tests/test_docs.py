"""Links in the docs lead somewhere."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
ELSEWHERE = ("http://", "https://", "mailto:")


def anchors(text: str) -> set[str]:
    """What GitHub lets a link call the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead(root, page) -> list[str]:
    """The page's relative links that lead to no file of the project, or to no heading of one."""
    found = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if link.startswith(ELSEWHERE):
            continue
        there = target.exists() and target.is_relative_to(root)
        if not there or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


def test_links_lead_to_files_and_headings(pytestconfig):
    root = pytestconfig.rootpath
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    assert len(pages) > 10
    assert not {str(page.relative_to(root)): links for page in pages if (links := dead(root, page))}


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("[a](b.md) ![c](pictures/d.png)", []),
        ("[a](gone.md)", ["gone.md"]),
        ("[two\nlines](gone.md)", ["gone.md"]),
        ("[a](../outside.md)", ["../outside.md"]),
        ("[a](b.md#what-it-does)", []),
        ("[a](b.md#what-it-did)", ["b.md#what-it-did"]),
        ("# Here, too\n[a](#here-too) [b](#there)", ["#there"]),
        ("[a](https://nowhere.example/x.md)", []),
        ("`[a](gone.md)`\n```\n[a](gone.md)\n```\n", []),
    ],
)
def test_what_is_a_dead_link(tmp_path, text, links):
    root = tmp_path / "root"
    (root / "pictures").mkdir(parents=True)
    (root / "pictures/d.png").touch()
    (tmp_path / "outside.md").touch()
    (root / "b.md").write_text("## What it does\n", encoding="utf-8")
    (root / "page.md").write_text(text, encoding="utf-8")
    assert dead(root, root / "page.md") == links
