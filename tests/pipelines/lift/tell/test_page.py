"""The report: what it says, that it is whole, and how a real browser takes it."""

import contextlib
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    assert "<script" not in text
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


class Browser:
    """Headless Chromium, driven through its DevTools protocol."""

    def __init__(self, binary, profile):
        flags = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
            "--disable-background-networking --disable-component-update --disable-sync "
            "--remote-debugging-port=0"
        )
        command = [binary, *flags.split(), f"--user-data-dir={profile}", "about:blank"]
        self.open_things = contextlib.ExitStack()
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, **quiet)
        port = Path(profile) / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port.exists() and port.read_text().count("\n")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                pytest.skip("Chromium does not start here")
            time.sleep(0.05)
        number, path = port.read_text().split("\n")[:2]
        connect = pytest.importorskip("websockets.sync.client").connect
        where = f"ws://127.0.0.1:{number}{path}"
        self.socket = self.open_things.enter_context(connect(where, max_size=None, proxy=None))
        self.counter, self.events, self.session = itertools.count(1), [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        number = next(self.counter)
        message = {"id": number, "method": method, "params": params}
        self.socket.send(
            json.dumps(message | ({"sessionId": self.session} if self.session else {}))
        )
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, path, width, dark=False):
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + 30
        while self.ask("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < deadline, "the page did not load"
            time.sleep(0.05)

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def of(self, method):
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self):
        self.open_things.close()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)


@pytest.fixture(scope="module")
def browser():
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
    if binary is None:
        pytest.skip("no Chromium on this machine")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(binary, profile)
        yield browser
        browser.close()


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
