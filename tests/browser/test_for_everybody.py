"""The page can be used by people who do not see it, see it badly, or have little room."""

import pytest
from playwright.sync_api import Page
from stack import Stack

from tests.browser.visitor import Visitor
from tests.e2e.shop import Shop
from tests.e2e.system import LocalSystem

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def journeys(demo: Stack) -> dict[str, str]:
    """The address of a journey for each way in which one can end."""
    system = LocalSystem(demo)
    shop = Shop(orders_url=system.orders_url, zipkin_url=system.zipkin_url, mailbox=system.mailbox)
    scenarios = {"done": "billing-fails-twice", "dead": "mail-down"}
    placed = {state: shop.place(headers={"baggage": f"demo.scenario={name}"}) for state, name in scenarios.items()}
    return {state: f"/journeys/{order.trace_id}" for state, order in placed.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_barrier(visitor: Visitor, page: Page, journeys: dict[str, str], scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/")
    visitor.expect_state("none")
    assert visitor.serious_barriers() == []
    for state, address in journeys.items():
        page.goto(address)
        visitor.expect_state(state)
        assert visitor.serious_barriers() == [], state
    visitor.place()
    visitor.expect_state("done")
    page.locator("#own a").first.focus()
    assert visitor.serious_barriers() == []
    page.goto(f"/journeys/{'0a' * 16}")
    visitor.expect_state("missing")
    assert visitor.serious_barriers() == []


def test_a_narrow_window_is_not_scrolled_sideways(visitor: Visitor, page: Page, journeys: dict[str, str]) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto("/")
    assert not visitor.scrolls_sideways()
    for state, address in journeys.items():
        page.goto(address)
        visitor.expect_state(state)
        assert not visitor.scrolls_sideways(), state
    page.click("#add-item")
    visitor.place()
    visitor.expect_state("done")
    assert not visitor.scrolls_sideways()


def test_a_change_of_state_is_announced(visitor: Visitor, page: Page) -> None:
    page.goto("/")

    assert page.get_by_role("status").count() == 1
    assert "No journey yet" in (page.get_by_role("status").text_content() or "")
    assert page.get_by_role("alert").count() == 1
