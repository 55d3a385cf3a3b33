"""Orders are placed on the page, and their journeys are watched until they end."""

import re

import journey
import pytest
from playwright.sync_api import Page, Route, expect
from stack import Stack

from tests.browser.visitor import Visitor
from tests.e2e.shop import Shop
from tests.e2e.system import LocalSystem
from tests.order_journey import ORDER_JOURNEY

BARS = [
    ("orders", "post /orders"),
    ("orders", "send orders"),
    ("billing", "process orders"),
    ("billing", "send invoices"),
    ("notifier", "process invoices"),
    ("mail", "send email"),
]


@pytest.fixture
def shop(demo: Stack) -> Shop:
    system = LocalSystem(demo)
    return Shop(orders_url=system.orders_url, zipkin_url=system.zipkin_url, mailbox=system.mailbox)


def orders_taken(demo: Stack) -> int:
    """Count the orders that orders says it took."""
    return demo.log("orders").read_text().count("order accepted")


def test_an_order_is_placed_and_watched_until_its_email_is_sent(visitor: Visitor, page: Page, demo: Stack) -> None:
    page.goto("/")
    visitor.expect_state("none")
    trace_id = visitor.place()
    visitor.expect_complete()
    expect(page.locator("#state")).to_have_text("Done The e-mail is sent.")

    trace = journey.fetch(demo.settings.zipkin_url, trace_id)
    assert trace and not journey.differences(trace, ORDER_JOURNEY, None)
    assert visitor.bars() == BARS
    assert visitor.bars("wait") == [("kafka/orders", "process orders"), ("kafka/invoices", "process invoices")]
    assert visitor.bars("untaken") == []
    total = journey.draw(trace).splitlines()[1].partition(", 3 services, ")[2]
    expect(page.locator("#total")).to_have_text(f"6 spans, {total}")
    assert visitor.states()[:2] == ["none", "placed"]
    assert page.locator("#in-zipkin").get_attribute("href") == f"{demo.settings.zipkin_url}/zipkin/traces/{trace_id}"


def test_waiting_looks_different_from_working_and_so_does_an_error(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    visitor.place("billing-poison")
    visitor.expect_state("dead")

    def paint(bars: str) -> set[str]:
        script = (
            "bars => bars.map(bar => getComputedStyle(bar).backgroundImage + getComputedStyle(bar).backgroundColor)"
        )
        return set(page.locator(f"#picture {bars} .bar").evaluate_all(script))

    working, waiting, failed = paint(".work:not(.failed)"), paint(".wait"), paint(".failed")
    assert all("repeating-linear-gradient" in each for each in waiting) and waiting
    assert not any("gradient" in each for each in working | failed)
    assert not failed & working
    expect(page.locator("#picture .failed .label")).to_contain_text("✗")


def test_the_table_says_the_same_as_the_picture(visitor: Visitor, page: Page, demo: Stack) -> None:
    page.goto("/")
    trace_id = visitor.place()
    visitor.expect_complete()

    trace = journey.fetch(demo.settings.zipkin_url, trace_id)
    nodes = {node.span.id: node for node in trace.tree()}
    for row, span in zip(visitor.rows(), trace.spans, strict=True):
        wait = journey.queue_wait(nodes[span.id])
        waited = f"{wait.microseconds / 1000:.1f} ms in {wait.topic}" if wait else ""
        assert [*row[:3], *row[5:]] == [span.name, span.service, span.kind.lower(), waited, ""]
        assert row[4] == f"{span.duration / 1000:.1f} ms"


def test_a_double_click_is_one_order(visitor: Visitor, page: Page, demo: Stack) -> None:
    page.goto("/")
    before = orders_taken(demo)
    page.dblclick("#submit")
    visitor.expect_complete()

    assert orders_taken(demo) == before + 1


def test_a_press_after_a_lost_answer_gives_the_first_order(
    visitor: Visitor, page: Page, demo: Stack, complaints: list[str]
) -> None:
    lost: list[str] = []

    def lose_the_answer(route: Route) -> None:
        lost.append(route.fetch().json()["trace_id"])
        route.abort()

    page.goto("/")
    page.route("**/orders", lose_the_answer, times=1)
    page.click("#submit")
    expect(page.get_by_role("alert")).to_contain_text("the same order is not placed twice")

    assert [visitor.place()] == lost
    visitor.expect_complete()
    visitor.page.goto("/")
    assert [visitor.place()] != lost  # what is answered is placed: the next press is a new order
    assert complaints == [f"error: Failed to load resource: net::ERR_FAILED ({demo.settings.orders_url}/orders)"]
    complaints.clear()


def test_what_orders_finds_wrong_is_said_beside_the_field(
    visitor: Visitor, page: Page, demo: Stack, complaints: list[str]
) -> None:
    page.goto("/")
    page.get_by_label("E-mail").fill("<img src=x onerror=alert(1)>@example")
    page.click("#add-item")
    page.get_by_label("Quantity").nth(1).fill("two")
    page.click("#submit")

    expect(page.get_by_role("alert")).to_contain_text("Mend these fields")
    expect(page.get_by_label("E-mail")).to_have_accessible_description(
        "✗ not an e-mail address that can be delivered to"
    )
    expect(page.get_by_label("Quantity").nth(1)).to_have_accessible_description("✗ Input should be a valid integer")
    expect(page.get_by_label("E-mail")).to_be_focused()
    assert page.locator("[aria-invalid]").count() == 2
    assert visitor.serious_barriers() == []
    page.get_by_label("E-mail").fill("grace@example.com")
    page.get_by_role("button", name="Remove item 2").click()
    visitor.place()
    expect(page.get_by_role("alert")).to_be_empty()
    assert page.locator("[aria-invalid]").count() == 0
    [refused] = complaints  # the browser's own note of the refusal
    assert "status of 422" in refused
    complaints.clear()


def test_an_order_that_cannot_be_stored_now_is_told_when_to_try_again(page: Page, complaints: list[str]) -> None:
    detail = "Nothing was stored: the disk is full."
    page.goto("/")
    page.route(
        "**/orders", lambda route: route.fulfill(status=503, json={"detail": detail}, headers={"Retry-After": "7"})
    )
    page.click("#submit")

    expect(page.get_by_role("alert")).to_have_text(f"{detail} Try again in 7 s: it is not placed twice.")
    complaints.clear()


def test_the_page_leaves_no_spans_of_its_own(visitor: Visitor, page: Page, shop: Shop) -> None:
    before = shop.all_trace_ids()
    for path in ("/", f"/journeys/{'ab' * 16}", "/"):
        page.goto(path)
    page.request.get("/page/orders")
    trace_id = visitor.place()
    visitor.expect_complete()

    assert shop.all_trace_ids() - before == {trace_id}


def test_trace_id_and_traceparent_are_there_to_copy(visitor: Visitor, page: Page, demo: Stack) -> None:
    page.goto("/")
    trace_id = visitor.place()
    visitor.expect_complete()
    trace = journey.fetch(demo.settings.zipkin_url, trace_id)

    for name, text in {"trace-id": trace_id, "traceparent": f"00-{trace_id}-{trace.spans[0].id}-0[13]"}.items():
        button = page.locator(f"[data-copies={name}]")
        button.click()
        expect(button).to_have_text("Copied")
        assert re.fullmatch(text, page.evaluate("navigator.clipboard.readText()"))


def test_the_keyboard_is_enough(visitor: Visitor, page: Page) -> None:
    page.goto("/")

    def focused() -> str:
        name: str = page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        return name

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            visible = page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'")
            assert visible, f"{focused()} does not show that it has the focus"
            if focused() == name:
                return
        raise AssertionError(f"40 times Tab do not lead to {name}")

    tab_to("submit")
    page.keyboard.press("Enter")
    visitor.expect_complete()
    tab_to("replay-button")
    page.keyboard.press("Enter")
    expect(page.locator("#replay-says")).to_contain_text("slowed down")
    expect(page.locator("#replay-button")).to_have_text("Stop the replay")
    page.keyboard.press("Enter")
    expect(page.locator("#replay-button")).to_have_text("Replay slowed down")
