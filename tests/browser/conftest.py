"""A real browser in front of the real system; whatever it complains about fails the test that made it complain."""

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from stack import Stack

from tests.browser.visitor import Visitor

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000
# The states that a journey goes through are gone before a test could look; violations of the policy are complaints.
NOTES = """
    window.states = [];
    new MutationObserver(() => {
        const state = document.getElementById("state")?.dataset.state;
        if (state && state !== window.states.at(-1)) window.states.push(state);
    }).observe(document, {subtree: true, childList: true, attributeFilter: ["data-state"]});
    document.addEventListener("securitypolicyviolation", (v) =>
        console.error("policy", v.violatedDirective, v.blockedURI));
"""


# Before a stack is started for nothing.
@pytest.fixture(scope="session", autouse=True)
def chromium() -> str:
    """Return the machine's Chromium. Without one the tests are skipped, but never where CI is set."""
    if found := os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None):
        return found
    advice = "no Chromium here: install it (apt-get install chromium), or set CHROMIUM to its path"
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


# Not for the session: while Playwright runs, its event loop is in the way of every asynchronous test.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests of a module."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page complained of. A test that provokes a complaint takes it out."""
    return []


@pytest.fixture
def context(browser: Browser, demo: Stack) -> Iterator[BrowserContext]:
    """A browser that has never been here, as wide as a desk's."""
    context = browser.new_context(base_url=demo.settings.orders_url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.add_init_script(NOTES)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, demo: Stack, complaints: list[str]) -> Iterator[Page]:
    """A tab of that browser; at the end nothing may have gone wrong in it, and nobody else may have been asked."""
    page = context.new_page()
    known = {demo.settings.orders_url}

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def asked(request: Request) -> None:
        url = urlsplit(request.url)
        if f"{url.scheme}://{url.netloc}" not in known:
            complaints.append(f"asked somebody else: {request.url}")

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", asked)
    yield page
    assert complaints == []


@pytest.fixture
def visitor(page: Page) -> Visitor:
    """A person in front of the page."""
    return Visitor(page)
