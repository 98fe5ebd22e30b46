"""How the page looks: contrast, the keyboard's way through it, paper; and pictures of it to look at.

``FLAWSHOT_LOOKS=FOLDER python -m pytest tests/report/test_looks.py`` leaves the pictures in FOLDER.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flawshot import (
    Catalog,
    TinyEncoder,
    draw_data_set,
    encode_catalog,
    evaluate,
    make_scheme,
    sample_episodes,
    write_report,
)
from flawshot.encoders.flawshot_tiny import TINY_VIEWS

# Of each text that shows, and of each colored mark, its contrast with what lies behind it, as WCAG 2.2 reckons it.
CONTRASTS = """() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, under) => [0, 1, 2].map((n) => top[n] * top[3] + under[n] * (1 - top[3]));
  const linear = (value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    return over(parse(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  };
  const shows = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const found = { texts: [], marks: [], edges: [] };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, noscript, option") || !shows(element)) continue;
    const style = getComputedStyle(element), ground = behind(element);
    const color = element.closest("svg") ? style.fill : style.color;
    found.texts.push([ratio(over(parse(color), ground), ground), walker.currentNode.data.trim().slice(0, 40)]);
  }
  for (const element of document.querySelectorAll("svg [data-mark] path, svg [data-mark] use")) {
    if (element.closest("defs") || !shows(element)) continue;
    const style = getComputedStyle(element), ground = behind(element);
    const color = style.stroke !== "none" ? style.stroke : style.fill;
    found.marks.push([ratio(over(parse(color), ground), ground), element.closest("[data-mark]").dataset.mark]);
  }
  for (const element of document.querySelectorAll("select, button")) {
    if (!shows(element)) continue;
    const ground = behind(element.parentElement);
    found.edges.push([ratio(over(parse(getComputedStyle(element).borderTopColor), ground), ground), element.id]);
  }
  return found;
}"""
FOCUSED = """() => {
  const element = document.activeElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
  const all = [...document.querySelectorAll("*")];
  return {
    name: element.id || element.className || element.tagName, place: all.indexOf(element),
    ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""
# Of a page, px are pictured.
MOST_HEIGHT = 8000


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    """The page of an evaluation on two drawn products, with their pictures."""
    root = tmp_path_factory.mktemp("looks")
    draw_data_set(root / "drawn", products=2, categories=4, images=20, side=128, workers=1)
    catalog = Catalog.open(root / "drawn")
    bank = encode_catalog(catalog, TinyEncoder(), make_scheme(*TINY_VIEWS), root / "bank").bank
    sets = [sample_episodes(catalog, product, k, seeds=range(3)) for product in catalog.products for k in (1, 3)]
    results = evaluate(bank, sets, ["prototype", "default", "default-transductive"])
    write_report(results, root / "report.html", data=catalog)
    return root / "report.html"


@pytest.fixture
def looks(tmp_path):
    """The folder that pictures of the page go to."""
    folder = Path(os.environ.get("FLAWSHOT_LOOKS", tmp_path / "looks"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_pictures_of_the_page_are_taken(visit, pictured, written, looks):
    for name, found in {"drawn": pictured, "hostile": written}.items():
        for device, width in (("desktop", 1280), ("phone", 390)):
            for scheme in ("light", "dark"):
                page = visit(found, color_scheme=scheme, viewport={"width": width, "height": 900})
                path = looks / f"{name}-{device}-{scheme}.png"
                height = page.evaluate("document.documentElement.scrollHeight")
                page.set_viewport_size({"width": width, "height": min(height, MOST_HEIGHT)})
                page.wait_for_timeout(300)  # for what is drawn only where it is looked at
                page.screenshot(path=path)
                assert path.stat().st_size > 50_000
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                if device == "desktop":
                    page.pdf(path=looks / f"{name}-{scheme}.pdf", format="A4")
                assert page.seen == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_texts_and_marks_stand_out(visit, pictured, scheme, width):
    page = visit(pictured, color_scheme=scheme, viewport={"width": width, "height": 900})
    for summary in page.locator("summary:visible").all():
        summary.click()
    found = page.evaluate(CONTRASTS)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(15, 20, 25)")
    assert len(found["texts"]) > 200
    assert [each for each in found["texts"] if each[0] < 4.5] == []
    assert {mark for _, mark in found["marks"]} >= {"bars", "intervals", "bins"}
    assert [each for each in found["marks"] if each[0] < 3] == []
    assert len(found["edges"]) >= 10
    assert [each for each in found["edges"] if each[0] < 3] == []


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(visit, pictured):
    page = visit(pictured)
    met = []
    while len(met) < 200:
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at["name"] == "BODY" or (met and at["place"] <= met[-1]["place"]):
            break
        met.append(at)
    names = [each["name"] for each in met]
    assert names[0] == "skip"
    wanted = ["part", "panel-product", "panel-shots", "panel-classifier"]
    wanted += ["set", "classifier", "true", "predicted", "answer-kind", "seed", "group"]
    assert [name for name in dict.fromkeys(names) if name in wanted] == wanted
    assert names.count("group") == page.locator(".group").count()
    assert [each["name"] for each in met if each["ring"] < 2 or not each["seen"]] == []
    # By keys alone to another classifier and to the wrong answers.
    page.focus("#panel-classifier")
    page.keyboard.press("ArrowDown")
    assert page.locator(".panel:visible .of").text_content() == "default (evidence-ridge)"
    page.focus("#answer-kind")
    page.keyboard.press("ArrowDown")
    assert page.locator(".card.right").count() == 0


def test_the_skip_link_leads_past_the_head(page):
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_dark_screen_prints_light_and_whole(visit, pictured):
    page = visit(pictured, color_scheme="dark", viewport={"width": 720, "height": 1000})
    page.select_option("#panel-classifier", label="default (evidence-ridge)")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 36)"
    found = page.evaluate(CONTRASTS)
    assert [each for each in found["texts"] + found["marks"] if each[0] < 3] == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    for hidden in ("nav", ".chooser", ".group > button", "details:not([open])"):
        assert page.locator(f"{hidden}:visible").count() == 0
    # What the choosers said, the headings say.
    assert page.locator(".panel:visible h3").text_content().endswith("3 shots: default (evidence-ridge)")
    assert page.locator(".plot.wide:visible, .panel .plot:visible").count() == 3


def test_pictures_are_lazy_on_the_screen_and_whole_on_paper(visit, pictured):
    page = visit(pictured, viewport={"width": 1280, "height": 600})
    count = "all => [all.length, all.filter(image => image.src).length]"
    pictures = page.locator("#gallery img")
    total, loaded = pictures.evaluate_all(count)
    assert total > 100
    assert loaded < total
    page.locator(".card").last.scroll_into_view_if_needed()
    page.locator(".card").last.locator("img[src]").first.wait_for()
    page.pdf()
    assert pictures.evaluate_all(count) == [total, total]
    broken = pictures.evaluate_all("all => all.filter(image => !image.complete || !image.naturalWidth).length")
    assert broken == 0
