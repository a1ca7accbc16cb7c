"""A headless Chromium for tests and pictures of pages. It reaches loopback only; what a page logs as an error fails the test.

A test that needs the browser skips where it is absent, or fails if `LENSSCAN_REQUIRE_BROWSER=1` is set, as `.ci/run` sets it
after it has installed one: `apt-get install --no-install-recommends chromium-headless-shell fonts-liberation`.
"""

import os
import re
import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
LOOPBACK_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
"""Sizes of a screen in pixels."""


def why_no_browser():
    """Return why no browser can be started; None if one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "needs playwright, which `make venv` installs"
    if _program() is None:
        return "needs a browser: apt-get install --no-install-recommends chromium-headless-shell fonts-liberation"
    return None


def _program():
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def headless_browser():
    """Yield a Playwright browser that resolves no name and no address but those of this machine."""
    from playwright.sync_api import sync_playwright

    # As root, Chromium has no sandbox.
    arguments = ["--no-sandbox", LOOPBACK_ONLY, "--force-color-profile=srgb"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_program(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """Errors of pages, and requests that leave this machine."""

    def __init__(self):
        self.troubles = []

    def page(self, browser, *, viewport=None, ignored=None, **options):
        """Return a page in a profile of its own; messages that match the expression `ignored` are no errors.

        `options` are those of Playwright's `new_context`, such as `has_touch` or `color_scheme`.
        """
        page = browser.new_context(viewport=viewport or LAPTOP, **options).new_page()
        page.set_default_timeout(20_000)

        def note(text):
            if not (ignored and re.search(ignored, text)):
                self.troubles.append(text)

        page.on("console", lambda message: note(f"console: {message.text}") if message.type == "error" else None)
        page.on("pageerror", lambda error: note(f"error: {error}"))
        page.on("request", lambda request: None if _is_local(request.url) else note(f"request of {request.url}"))
        return page


def _is_local(url):
    parts = urlsplit(url)
    return parts.scheme in {"file", "data", "blob", "about"} or parts.hostname in {"127.0.0.1", "localhost"}


SCREENS = ({"width": 390, "height": 844}, {"width": 600, "height": 900}, {"width": 1300, "height": 900})
_MISFITS = """() => {
    const found = [], width = innerWidth;
    const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
    const isShown = (e) => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length;
    if (document.documentElement.scrollWidth > width) found.push("the page");
    const range = document.createRange();
    for (const e of document.querySelectorAll("body *")) {
        if (!isShown(e) || e.closest(".skip, .hidden, svg, #toast")) continue;
        const name = `<${e.tagName} class="${e.className}"> ${e.textContent.trim().slice(0, 40)}`;
        const box = e.getBoundingClientRect();
        if (box.width && (box.right > width + 1 || box.left < -1) && !scrolls(e.parentElement)) found.push(`wide: ${name}`);
        for (const node of e.childNodes) {
            if (node.nodeType !== Node.TEXT_NODE) continue;
            for (const {0: word, index} of node.data.matchAll(/\\S+/g)) {
                range.setStart(node, index);
                range.setEnd(node, index + word.length);
                const n = new Set([...range.getClientRects()].map((line) => Math.round(line.top))).size;
                if (n > 1 && word.length / n < 4) found.push(`broken into ${n}: ${word} in ${name}`);
            }
        }
    }
    return found;
}"""


def assert_fits(page):
    """Check that nothing is wider than three windows, light and dark, and no word is broken into letters.

    A box that scrolls may hold wider things. A word may be broken if its parts have four letters or more.
    """
    for size in SCREENS:
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            # A script that draws in the new size does so by the next frame.
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert page.evaluate(_MISFITS) == [], (size["width"], scheme)


def require_browser():
    """Skip or fail this test if no browser can be started."""
    if (reason := why_no_browser()) is None:
        return
    if os.environ.get("LENSSCAN_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{reason}; LENSSCAN_REQUIRE_BROWSER=1", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    """The browser of a test file: a longer-lived one would leave its event loop to tests of other files."""
    require_browser()
    with headless_browser() as started:
        yield started


@pytest.fixture
def new_page(browser):
    """Return a function that opens a page; arguments as in `Watched.page`. The test fails if a page had an error."""
    watched = Watched()
    yield lambda **options: watched.page(browser, **options)
    for context in browser.contexts:
        context.close()
    assert watched.troubles == []
