"""The system's Chromium, and results whose every name is hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from flawshot import write_report
from hostile import hostile_results

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM} to open the page in")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Results in which every name is hostile."""
    return hostile_results(tmp_path_factory.mktemp("hostile") / "bank")


@pytest.fixture(scope="session")
def written(results, tmp_path_factory):
    """Their page."""
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    write_report(results, path)
    return path


@pytest.fixture
def visit(browser, tmp_path):
    """Open results' page, or a page that is written; what it says and asks for is listed as ``seen`` and ``asked``."""
    opened = []

    def visit(results, *, script=True, **options):
        path = results
        if not isinstance(results, Path):
            path = tmp_path / f"report{len(opened)}.html"
            write_report(results, path)
        page = browser.new_page(java_script_enabled=script, **options)
        page.seen, page.asked = [], []
        page.on("console", lambda message: page.seen.append(message.text))
        page.on("pageerror", lambda error: page.seen.append(str(error)))
        page.on("dialog", lambda dialog: page.seen.append(dialog.message))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri())
        opened.append(page)
        return page

    yield visit
    for page in opened:
        page.close()


@pytest.fixture
def page(visit, written):
    return visit(written)
