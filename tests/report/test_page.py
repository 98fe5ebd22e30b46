"""The page, opened in a headless browser: it asks for nothing, shows what the JSON says, and hostile names are text."""

from __future__ import annotations

import numpy as np
import pytest

from flawshot.base.errors import printable
from flawshot.evaluation.intervals import percent
from hostile import HOSTILE, PRODUCTS

HIGHEST = "prototype", 3
ROWS = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"


def runs_of(results):
    return [run for run in results.runs if run.confusion is not None]


def choose(page, run):
    """Choose a run as a user would."""
    page.select_option("#panel-product", label=printable(run.product))
    page.select_option("#panel-shots", str(run.shots))
    page.select_option("#panel-classifier", label=printable(run.classifier))


def shown_figures(page):
    """What the one panel that shows says."""
    panel = page.locator(".panel:visible")
    assert panel.count() == 1
    return {
        "heading": panel.locator("h3").text_content(),
        "lead": panel.locator(".lead").text_content(),
        "ece": panel.locator(".ece").text_content(),
        "brier": panel.locator(".brier").text_content(),
        "log loss": panel.locator(".log-loss").text_content(),
        "categories": panel.locator(".categories tbody th").all_text_contents(),
        "scores": panel.locator(".score").all_text_contents(),
        "counts": [int(text) for text in panel.locator(".confusion td b").all_text_contents()],
        "shares": panel.locator(".confusion td span").all_text_contents(),
        "bins": panel.locator(".reliability tbody tr").evaluate_all(ROWS),
        "bars": panel.locator("[data-mark=bars]:visible path").evaluate_all("all => all.map(e => e.getBBox().width)"),
        "points": panel.locator("[data-mark=bins]:visible > path, [data-mark=bins]:visible use").count(),
    }


def expected_figures(run):
    totals = [max(sum(row), 1) for row in run.confusion]
    scores = [run.per_category[category] for category in run.categories]
    return {
        "ece": percent(run.ece.mean, run.ece.ci95),
        "brier": f"{run.brier.mean:.3f} [{run.brier.ci95[0]:.3f}, {run.brier.ci95[1]:.3f}]",
        "log loss": f"{run.log_loss.mean:.3f} [{run.log_loss.ci95[0]:.3f}, {run.log_loss.ci95[1]:.3f}]",
        "categories": [printable(category) for category in run.categories],
        "scores": [percent(score.mean, score.ci95) for score in scores],
        "counts": [count for row in run.confusion for count in row],
        "shares": [
            f"{int(100 * count / total + 0.5)} %"
            for row, total in zip(run.confusion, totals, strict=True)
            for count in row
        ],
        "bins": [[str(n), f"{100 * sure:.1f}", f"{100 * right:.1f}"] for n, sure, right in run.reliability if n],
        "points": sum(n > 0 for n, _, _ in run.reliability),
    }


def test_the_page_is_silent_and_asks_for_nothing_else(page):
    assert page.seen == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page.url]


def test_accuracies_and_differences_are_those_of_the_results(page, results):
    parts = page.locator(".part")
    assert parts.count() == 1 + len(PRODUCTS)
    for number, product in enumerate([None, *PRODUCTS]):
        if number:
            page.select_option("#part", str(number))
        shown = page.locator(".part:visible")
        assert shown.count() == 1
        own = results.means if product is None else [run for run in results.runs if run.product == product]
        cells = shown.locator("td[data-shots]").all_text_contents()
        assert sorted(cells) == sorted(percent(each.accuracy.mean, each.accuracy.ci95) for each in own)
        for each in own:
            cell = shown.locator(f"tr[data-classifier='{each.classifier}'] td[data-shots='{each.shots}']")
            assert cell.text_content() == percent(each.accuracy.mean, each.accuracy.ci95)
        # Two classifiers, outline, chance, majority.
        assert shown.locator(".wide [data-mark^=line]").count() == 5
    cells = page.locator(".differences td[data-shots]").all_text_contents()
    assert sorted(cells) == sorted(
        percent(each.difference.mean, each.difference.ci95, signed=True) for each in results.comparisons
    )


def test_every_choice_shows_its_own_figures(page, results):
    seen = set()
    for run in runs_of(results):
        choose(page, run)
        shown = shown_figures(page)
        assert {key: shown[key] for key in expected_figures(run)} == expected_figures(run)
        assert shown["heading"].startswith(printable(run.product))
        assert shown["heading"].endswith(f"{run.shots} shot{'' if run.shots == 1 else 's'}: {run.classifier}")
        assert percent(run.accuracy.mean, run.accuracy.ci95) in shown["lead"]
        assert percent(run.macro_recall.mean, run.macro_recall.ci95) in shown["lead"]
        means = np.array([run.per_category[category].mean for category in run.categories])
        widths = np.array(shown["bars"])
        np.testing.assert_allclose(widths / widths.max(), means / means.max(), atol=0.002)
        seen.add(tuple(shown["scores"]))
    assert len(seen) > 8  # the choices differ, so that none of them stands for another
    assert page.seen == []


def test_another_product_keeps_the_classifier(page):
    page.select_option("#panel-classifier", label="knn")
    page.select_option("#panel-product", label=printable(PRODUCTS[1]))
    assert page.locator(".panel:visible .of").text_content() == "knn"
    assert page.locator("#panel-classifier option:checked").text_content() == "knn"


def test_without_a_script_the_reference_shows_at_its_largest_k(visit, written, results):
    page = visit(written, script=False)
    panels = page.locator(".panel:visible")
    assert panels.count() == len(PRODUCTS)
    own = [run for run in results.runs if (run.classifier, run.shots) == HIGHEST]
    counts = [int(text) for text in panels.locator(".confusion td b").all_text_contents()]
    assert counts == [count for run in own for row in run.confusion for count in row]
    assert panels.locator(".score").all_text_contents() == [
        text for run in own for text in expected_figures(run)["scores"]
    ]
    assert panels.locator("[data-mark=bars]:visible").count() == len(PRODUCTS)
    assert page.locator(".part:visible").count() == 1 + len(PRODUCTS)
    assert page.locator("form:visible").count() == 0
    assert page.locator("noscript").inner_text() == "The gallery needs JavaScript."


def test_times_are_those_of_the_results(page, results):
    own = [each for run in results.runs if (run.classifier, run.shots) == ("knn", 1) for each in run.episodes]
    cells = page.locator(".times tr[data-classifier=knn] td").all_text_contents()
    assert len(cells) == 4  # fit and predict at one and three shots
    for cell, name in zip(cells, ("fit_seconds", "predict_seconds"), strict=False):
        assert float(cell) == pytest.approx(1000 * np.mean([getattr(each, name) for each in own]), abs=0.06)


def test_filters_filter(page, results):
    answers = next(each for each in results.answers if (each.product, each.shots) == (PRODUCTS[0], 3))
    truth = np.array([answers.true[number] for number in answers.query])
    seeds, given = np.array(answers.seed), np.array(answers.predicted["prototype"])
    wrong = truth != given
    assert 0 < wrong.sum() < len(truth)

    def check(mask):
        said = page.locator("#found").text_content()
        assert said.startswith(f"{mask.sum()} answer{'' if mask.sum() == 1 else 's'}, {(mask & wrong).sum()} wrong (")
        heads = page.locator(".group h3:visible").evaluate_all("all => all.map(e => e.firstChild.textContent)")
        names = [category for run in results.runs[:1] for category in run.categories]
        there = [n for n in range(len(names)) if (mask & (truth == n)).any()]
        there.sort(key=lambda n: -(mask & wrong & (truth == n)).sum())  # most mistakes first; sorting is stable
        assert heads == [printable(names[n]) for n in there]
        counts = page.locator(".group h3 small").all_text_contents()
        assert counts == [
            f"{(mask & wrong & (truth == n)).sum()} wrong of {(mask & (truth == n)).sum()}" for n in there
        ]

    everything = np.ones(len(truth), dtype=bool)
    check(everything)
    page.select_option("#answer-kind", "wrong")
    check(wrong)
    page.select_option("#answer-kind", "right")
    check(~wrong)
    page.select_option("#answer-kind", "")
    page.select_option("#true", "1")
    page.select_option("#seed", "2")
    check((truth == 1) & (seeds == 2))
    page.select_option("#true", "")
    page.select_option("#predicted", "0")
    check((given == 0) & (seeds == 2))
    page.select_option("#set", str(next(n for n, each in enumerate(results.answers) if each.shots == 1)))
    assert page.locator("#true").input_value() == page.locator("#predicted").input_value() == ""


def test_wrong_ones_come_first_under_each_heading_and_more_on_demand(page):
    page.select_option("#set", label=f"{printable(PRODUCTS[1])}, 1 shot")
    first = page.locator(".group").first
    kinds = first.locator(".card").evaluate_all("all => all.map(e => e.classList.contains('wrong'))")
    assert len(kinds) == 12
    assert kinds == sorted(kinds, reverse=True)
    first.locator("button").press("Enter")
    total = int(first.locator("small").text_content().split()[-1])
    kinds = first.locator(".card").evaluate_all("all => all.map(e => e.classList.contains('wrong'))")
    assert len(kinds) == min(total, 60)
    assert kinds == sorted(kinds, reverse=True)
    assert sum(kinds) == min(int(first.locator("small").text_content().split()[0]), 60)
    # The keyboard goes on at the first of the new ones.
    assert page.evaluate("[...document.activeElement.parentNode.children].indexOf(document.activeElement)") == 12


def test_hostile_names_are_text_everywhere(page):
    page.select_option("#panel-product", label=printable(PRODUCTS[0]))
    names = sorted(printable(name) for name in HOSTILE)
    panel = page.locator(".panel:visible")
    for place in (".categories tbody th", ".confusion thead th", ".confusion tbody th"):
        assert sorted(panel.locator(place).all_text_contents()) == names
    for place in ("#true", "#predicted"):
        assert sorted(page.locator(f"{place} option").all_text_contents()[1:]) == names
    assert sorted(page.locator(".group h3").evaluate_all("all => all.map(e => e.firstChild.textContent)")) == names
    for place in ("#panel-product", "#part"):
        assert {printable(product) for product in PRODUCTS} <= set(page.locator(f"{place} option").all_text_contents())
    labels = panel.locator("[role=img]").first.locator("text").all_text_contents()
    for name in HOSTILE:
        start = printable(name)[:25]
        assert any(label.startswith(start) for label in labels), name
    card = page.locator(".card").first.text_content()
    assert printable(HOSTILE[0]) in page.locator("#groups").text_content(), card
    # No letter turns the direction of what stands after it.
    assert not set("\u202e\u2066\u0007") & set(page.content())
    assert page.locator("img[src=x], svg script, b b, [onload], [onerror]").count() == 0
    assert page.locator("script").count() == 2
    assert "49" not in {label.strip() for label in labels}
    assert page.seen == []


def test_messages_and_the_command_are_text_too(visit, results):
    evil = {"command": "flawshot evaluate '</code><script>alert(1)</script>'", "<img src=x onerror=alert(1)>": "</td>"}
    page = visit(results.model_copy(update={"provenance": results.provenance | evil}))
    assert page.locator("#command").text_content() == evil["command"]
    assert "<img src=x onerror=alert(1)>" in page.locator(".provenance").inner_text()
    assert page.locator("script").count() == 2
    assert page.seen == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_screen_does_not_scroll_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".plot.narrow:visible").count() == (width < 640)
