"""The page without Zipkin: it says so, goes on when Zipkin is back, and knows what Zipkin has forgotten."""

import re

import pytest
from playwright.sync_api import Browser, Page, Route
from stack import Stack

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.long


def test_zipkin_away_back_and_forgetful(
    visitor: Visitor, page: Page, browser: Browser, demo: Stack, complaints: list[str]
) -> None:
    page.goto("/")
    before = visitor.place()
    visitor.expect_state("done")

    demo.stop("zipkin")
    try:
        while_away = visitor.place()
        visitor.expect_state("away", "Trying again. Orders are taken")
        assert page.locator("#own [data-state=done]").count() == 1  # what is known stays
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            assert visitor.serious_barriers() == []
    finally:
        demo.start("zipkin")
    visitor.expect_state("done", within=60)  # by itself

    assert visitor.trace_id == while_away
    page.goto(f"/journeys/{before}")
    visitor.expect_state("forgotten", "does not have this trace any more")
    elsewhere = Visitor(browser.new_context().new_page())
    elsewhere.page.goto(f"{demo.settings.orders_url}/journeys/{before}")
    elsewhere.expect_state("missing")
    elsewhere.page.context.close()

    refused = "error: Failed to load resource: the server responded with a status of 502"
    assert complaints and all(each.startswith(refused) for each in complaints)
    complaints.clear()


@pytest.mark.parametrize("status", [500, 200])
def test_an_answer_that_is_none_is_no_answer(visitor: Visitor, page: Page, complaints: list[str], status: int) -> None:
    page.route("**/api/journeys?ids=*", lambda route: route.fulfill(status=status, body="<html>proxy</html>"), times=2)
    page.goto("/")
    visitor.place()

    visitor.expect_state("done")
    assert "away" in visitor.states()
    complaints.clear()


def test_without_an_address_of_zipkin_the_page_says_what_to_set(visitor: Visitor, page: Page, demo: Stack) -> None:
    def unset(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, body=answer.text().replace(f'"{demo.settings.zipkin_url}"', '""').replace('"yes"', '""')
        )

    page.route(re.compile(r"/(journeys/.*)?$"), unset)
    for path in ("/", f"/journeys/{'ab' * 16}"):
        page.goto(path)
        visitor.expect_state("no-zipkin", "Set ZIPKIN_PUBLIC_URL for orders")
    visitor.place()
    visitor.expect_state("no-zipkin")
    assert page.locator("#in-zipkin").is_hidden()


def test_an_order_without_a_trace_is_told_as_that(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    page.route("**/orders", lambda route: route.fulfill(status=202, json={"order_id": "1", "trace_id": None}))
    page.click("#submit")

    visitor.expect_state("untraced", "there is no journey to show")
