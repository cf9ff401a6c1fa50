"""The report: what it says, that it is whole, and how a real browser takes it."""

import itertools
import re
from dataclasses import replace

import pytest

from deepfeast.pipelines.lift.measure.contributions import Contribution
from deepfeast.pipelines.lift.measure.responses import Responded
from deepfeast.pipelines.lift.tell.page import render
from deepfeast.pipelines.lift.tell.save import save
from deepfeast.transforms.occlusion.effects import Part
from deepfeast.transforms.occlusion.texts import Span


@pytest.fixture(scope="module", params=["prices", "kinds"])
def page(request, tmp_path_factory):
    result = request.getfixturevalue(request.param)
    return save(result, tmp_path_factory.mktemp(request.param))[0]


def test_the_answer_comes_first_in_plain_words(prices):
    page = render(prices)
    headline = re.search(r"<h1>(.*?)</h1>", page).group(1)
    assert headline.startswith("Yes: text_vec helps old model.")
    assert headline.endswith("No evidence for photo_vec alone.")
    assert page.index("<h1>") < page.index("<table")
    assert "Nadeau and Bengio" in page


def test_the_page_needs_nothing_from_elsewhere(page):
    text = page.read_text()
    assert page.stat().st_size < 3_000_000
    assert text.count("<script>") == text.count("<script") == 1
    outside = [
        found
        for found in re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
        if not found.startswith(("data:", "#"))
    ]
    assert outside == []


def test_texts_are_shown_as_texts(prices):
    page = render(prices)
    assert "Shirt &lt;b&gt;" in page
    assert "Shirt <b>" not in page


def test_where_it_helps_and_what_moved_is_told(prices, kinds):
    page = render(prices)
    assert "price, by tenths" in page
    assert "came closer to the truth" in page
    assert "of the labels" in page
    page = render(kinds)
    assert re.search(r"\d+ rows changed their class: \d+ became right", page)
    assert "% wrong, less than before" in page


def test_a_verdict_is_told_by_a_shape_too(prices):
    outcome = prices.comparison.outcome("old model", "+ photo_vec (pca)")
    kept, outcome.verdict = outcome.verdict, "borderline"
    try:
        page = render(prices)
    finally:
        outcome.verdict = kept
    assert "▲ helps" in page
    assert "◆ borderline" in page


def test_a_million_rows_have_a_price_in_time_and_bytes(prices):
    cost = replace(prices.costs[0], seconds=7.2, cores=2)
    page = render(replace(prices, costs=[cost]))
    assert "2 × 2.0 h" in page  # 7.2 s for 1,000
    assert "0.02 GB" in page  # 6 numbers of 4 bytes


def test_an_arm_that_failed_is_shown_with_its_reason(prices):
    outcome = prices.comparison.outcome("old model", "+ photo_vec (pca)")
    outcome.failed, kept = "RuntimeError: no licence", outcome.failed
    try:
        assert "failed: RuntimeError: no licence" in render(prices)
    finally:
        outcome.failed = kept


# --- in a browser


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 500, 390], ids=["desktop", "half a screen", "phone"])
def test_a_browser_shows_it_without_complaint(browser, page, width, dark):
    browser.open(page, width, dark)
    requests = [one["request"]["url"] for one in browser.of("Network.requestWillBeSent")]
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert browser.of("Log.entryAdded") == []
    assert browser.of("Runtime.exceptionThrown") == []
    assert browser.of("Runtime.consoleAPICalled") == []
    missing = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser.ask(missing) == 0
    assert browser.ask("document.images.length") >= 6
    empty = (
        "[...document.querySelectorAll('figure svg')].filter(s => s.getBBox().width < 50).length"
    )
    assert browser.ask(empty) == 0
    assert browser.ask("document.querySelectorAll('figure svg').length") >= 6
    browser.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    wide = """[...document.querySelectorAll('body *')].filter(e => !e.closest('svg') &&
      !e.closest('.skip, thead') && e.getBoundingClientRect().right > innerWidth + 1).length"""
    if width <= 500:  # where rows become blocks, nothing scrolls sideways, not even a table
        assert browser.ask(wide) == 0


def test_colours_follow_the_scheme_and_can_be_read(browser, page):
    contrast = """(() => {
      const light = c => { const [r, g, b] = c.match(/\\d+/g).map(v => { v /= 255;
        return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
        return .2126 * r + .7152 * g + .0722 * b };
      const back = e => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor;
        if (!c.endsWith(', 0)') && c !== 'transparent') return c } return 'rgb(255, 255, 255)' };
      const kinds = 'p, h1, h2, h3, h4, th, td, li, span.badge, summary';
      const all = [...document.querySelectorAll(kinds)];
      return Math.min(...all.filter(e => e.textContent.trim()).map(e => {
        const a = light(getComputedStyle(e).color), b = light(back(e));
        return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) }))
    })()"""
    backgrounds = []
    for dark in (False, True):
        browser.open(page, 1280, dark)
        backgrounds.append(browser.ask("getComputedStyle(document.body).backgroundColor"))
        assert browser.ask(contrast) >= 4.5  # WCAG AA
    assert backgrounds[0] != backgrounds[1]


def test_keyboard_and_screen_reader_find_their_way(browser, page):
    browser.open(page, 390)
    assert browser.ask("document.documentElement.lang") == "en"
    assert browser.ask("document.querySelectorAll('h1').length") == 1
    levels = browser.ask("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    unnamed = "[...document.images].filter(i => !i.alt).length"
    assert browser.ask(unnamed) == 0
    # What scrolls sideways can be reached and is named.
    scrolling = """[...document.querySelectorAll('*')].filter(e =>
      getComputedStyle(e).overflowX === 'auto' && e.scrollWidth > e.clientWidth &&
      !(e.tabIndex === 0 && e.getAttribute('aria-label'))).length"""
    assert browser.ask(scrolling) == 0
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value"))
        for node in tree
        if node["role"]["value"] in ("image", "img", "figure", "table")
    ]
    assert len(named) > 10
    # Blocks on a phone are a table still: every cell knows its row.
    roles = [node["role"]["value"] for node in tree if not node.get("ignored")]
    assert roles.count("rowheader") >= 10
    assert roles.count("cell") + roles.count("gridcell") >= 40
    assert [role for role, name in named if not name] == []
    identified = "[...document.querySelectorAll('[id]')].map(e => e.id)"
    doubled = f"(ids => ids.filter((id, place) => ids.indexOf(id) < place))({identified})"
    assert browser.ask(doubled) == []


SORTED = """(() => { const head = [...document.querySelectorAll('#table ~ .scroll th')]
  .find(one => one.textContent === 'lift'), rows = head.closest('table').tBodies[0].rows;
  return [head.getAttribute('aria-sort'), [...rows].map(row => row.cells[head.cellIndex] ?
    parseFloat(row.cells[head.cellIndex].textContent.replace('−', '-')) : NaN)] })()"""
FOCUS = """[...document.querySelectorAll('#table ~ .scroll th button')]
  .find(one => one.textContent === 'lift').focus({focusVisible: true})"""


def test_headings_sort_their_rows_by_keyboard_and_go_back(browser, page):
    browser.open(page, 1280)
    _, before = browser.ask(SORTED)
    browser.ask(FOCUS)
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert browser.ask(outline) == "solid"
    for order in ("descending", "ascending", None):
        browser.press("Enter", 13)
        told, rows = browser.ask(SORTED)
        assert told == order
        values = [value for value in rows if value is not None]
        if order is None:
            assert rows == before
        else:
            assert values == sorted(values, reverse=order == "descending")
            assert rows[: len(values)] == values  # the baseline has no lift, and stands last
    browser.ask("document.activeElement.blur()")
    browser.open(page, 390)
    hidden = "document.querySelector('thead').offsetHeight"
    assert browser.ask(hidden) <= 1
    browser.ask(FOCUS)
    assert browser.ask(hidden) > 20  # what has the focus is seen


def test_paper_is_white_and_has_all_rows_and_details(browser, page):
    browser.open(page, 720, dark=True)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.ask("document.documentElement.scrollWidth") <= 720
    cut = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > 720).length"
    assert browser.ask(cut) == 0
    browser.call("Emulation.setEmulatedMedia", media="")
    browser.ask("addEventListener('afterprint', () => window.printed = true)")
    browser.ask(
        "addEventListener('beforeprint', () => { window.open_ = !!document.querySelector"
        "('details[open]') })"
    )
    browser.call("Page.printToPDF")
    assert browser.ask("[window.open_, !document.querySelector('details[open]')]") == [True, True]


def test_what_it_responds_to_and_is_made_of_stands_on_the_page(prices):
    row = next(row for feature, row in prices.contents if feature == "text_vec")
    told = Responded("text_vec", row, "price", 2.5, [Part(Span(0, 5), 1.0), Part(Span(6, 9), -0.1)])
    owed = [Contribution("old model", "text_vec", True, 0.3, 1.0)]
    page = render(replace(prices, responses=[told], contributions=owed))
    assert '<h2 id="responses">' in page
    assert ">Shirt <b>▲&nbsp;+1</b></mark>" in page
    assert "price 2.50 from it alone" in page
    assert "old model: what its predictions are made of" in page
    assert '<h2 id="responses">' not in render(prices)


def test_axe_finds_nothing_serious(axe, page):
    assert axe(page.read_text()) == []
