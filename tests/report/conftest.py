"""The system's Chromium, and results whose every name is hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from flawshot import evaluate, sample_episodes, write_report
from hostile import HOSTILE, PRODUCTS

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


@pytest.fixture
def results(catalog_of, bank_of):
    """Two products, two classifiers, two Ks."""
    images = [
        (f"{product}/train/{n}x{c}", [label] * 2)
        for product in PRODUCTS
        for c, label in enumerate(HOSTILE[: 8 if product == PRODUCTS[0] else 3])
        for n in range(4 if product == PRODUCTS[0] else 8)
    ]
    bank = bank_of(catalog_of(images, layout="{product}/**"), spread=2.5)
    sets = [sample_episodes(bank.catalog, product, shots) for product in PRODUCTS for shots in (1, 3)]
    return evaluate(bank, sets, ["prototype", "knn"])


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
def page(visit, results):
    return visit(results)
