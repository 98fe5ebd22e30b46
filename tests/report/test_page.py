"""The page, opened in a headless browser: it asks for nothing, shows what the JSON says, and hostile names are text."""

from __future__ import annotations

from pathlib import Path

import pytest

from flawshot import evaluate, sample_episodes, write_report
from flawshot.report.tables import csv_table, latex_table, markdown_table, percent

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
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$\\frac{a}$ & </svg>"]


@pytest.fixture(scope="module")
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
    images = [(f"p/train/{n}x{c}", [label] * 2) for c, label in enumerate(HOSTILE) for n in range(8)]
    bank = bank_of(catalog_of(images, layout="{product}/**"), spread=1.5)
    return evaluate(bank, [sample_episodes(bank.catalog, "p", shots) for shots in (1, 3)], ["prototype", "knn"])


@pytest.fixture
def page(browser, results, tmp_path):
    write_report(results, tmp_path / "report.html")
    opened = browser.new_page()
    opened.seen, opened.asked = [], []
    opened.on("console", lambda message: opened.seen.append(message.text))
    opened.on("pageerror", lambda error: opened.seen.append(str(error)))
    opened.on("dialog", lambda dialog: opened.seen.append(dialog.message))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto((tmp_path / "report.html").as_uri())
    yield opened
    opened.close()


def test_the_page_is_silent_and_asks_for_nothing_else(page):
    assert page.seen == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page.url]


def test_hostile_names_are_text_everywhere(page):
    heads = page.locator(".confusion thead th").all_text_contents()
    assert sorted(heads) == sorted(HOSTILE)
    assert any("<script>alert(1)</script>" in text for text in page.locator("svg text").all_text_contents())
    assert page.locator("img[src=x]").count() == 0
    assert page.seen == []


def test_figures_are_those_of_the_results(page, results):
    for run in results.runs:
        cell = page.locator(f"tr[data-classifier='{run.classifier}'] td[data-shots='{run.shots}']")
        assert cell.text_content() == percent(run.accuracy.mean, run.accuracy.ci95)
    run = next(run for run in results.runs if (run.classifier, run.shots) == ("prototype", 3))
    counts = list(map(int, page.locator(".confusion td b").all_text_contents()))
    assert counts == [count for row in run.confusion for count in row]
    mean, interval = percent(run.accuracy.mean, run.accuracy.ci95).split(" ", 1)
    answer = page.locator("#answer").text_content()
    assert answer.startswith(f"At 3 shots prototype is right on {mean} % of {run.n_query} query instances {interval}")


def test_charts_have_their_marks(page):
    assert page.locator("[data-mark^=mark-line]").count() == 5  # two classifiers, outline, chance, majority
    assert page.locator("[data-mark^=mark-bar]").count() == 3
    assert page.locator("[data-mark^=mark-bin]").count() > 0


def test_filters_filter(page, results):
    answers = next(each for each in results.answers if each.shots == 3)
    truth = [answers.true[number] for number in answers.query]
    wrong = sum(t != p for t, p in zip(truth, answers.predicted["prototype"], strict=True))
    assert 0 < wrong < len(truth)
    assert page.locator("#found").text_content() == f"{len(truth)} answers, {wrong} wrong"
    page.select_option("#answer-kind", "wrong")
    assert page.locator("#found").text_content() == f"{wrong} answers, {wrong} wrong"
    page.select_option("#answer-kind", "")
    page.select_option("#true", "1")
    page.select_option("#seed", "2")
    expected = sum(t == 1 and s == 2 for t, s in zip(truth, answers.seed, strict=True))
    assert page.locator("#found").text_content().startswith(f"{expected} answers")


def test_a_narrow_screen_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_tables_take_hostile_names_as_text(results):
    hostile = results.model_copy(
        update={"runs": tuple(run.model_copy(update={"product": "=1+1|a&b_"}) for run in results.runs)}
    )
    assert csv_table(hostile).splitlines()[1].startswith("'=1+1|a&b_,")
    assert r"| =1+1\|a\&b\_ |" in markdown_table(hostile)
    assert r"{=1+1|a\&b\_}" in latex_table(hostile)
