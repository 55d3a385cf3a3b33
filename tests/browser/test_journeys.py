"""A journey on show: by its address, with each fault scenario, replayed, and listed with the others of this browser."""

import re
import secrets
import subprocess
from collections.abc import Mapping

import journey
import pytest
import requests
from journey.web.drawing import drawing
from orders.page import look
from playwright.sync_api import Browser, Page, expect
from stack import Stack
from stack.services import instrumented, tool_environment

from tests.browser.visitor import Visitor
from tests.e2e.scenarios import TRACES

pytestmark = pytest.mark.long

HOSTILE = "<img src=x onerror=alert(1)>"
# How each scenario ends, and the lanes that it needs beside the usual ones.
ENDS: Mapping[str, tuple[str, str, list[str]]] = {
    "billing-fails-twice": ("done", "sent. 2 tries failed before.", ["kafka/billing.retry"]),
    "billing-poison": ("dead", "1 try failed. It is kept in billing.dlq", ["kafka/billing.dlq"]),
    "mail-down": (
        "dead",
        "5 tries failed. It is kept in notifier.dlq",
        ["kafka/notifier.retry", "kafka/notifier.dlq"],
    ),
    "slow-billing": ("done", "sent", []),
    "duplicate": ("done", "sent", []),
}
LANES = ["orders", "kafka/orders", "billing", "kafka/invoices", "notifier", "mail"]


def spans_declared(scenario: str) -> list[str]:
    """Return the names of the spans that a scenario's trace has."""
    return sorted(re.findall(r"^ *\w+ \w+ ([a-z]+ [\w./]+)", TRACES[scenario], re.M))


def states_on_the_way(demo: Stack, trace_id: str) -> set[str]:
    """Return the states that the page gives a journey as its spans come: one that watches may miss the short ones."""
    spans = requests.get(f"{demo.settings.zipkin_url}/api/v2/trace/{trace_id}", timeout=60).json()
    spans.sort(key=lambda span: span["timestamp"] + span["duration"])
    return {drawing(journey.Trace.from_zipkin(spans[:count]), look())["state"] for count in range(1, len(spans) + 1)}


@pytest.mark.parametrize("scenario", TRACES)
def test_a_scenario_is_shown_with_its_errors_retries_and_dead_letters(
    visitor: Visitor, page: Page, demo: Stack, scenario: str
) -> None:
    state, words, lanes = ENDS[scenario]
    page.goto("/")
    visitor.place(scenario)
    visitor.expect_state(state, words)

    expect(page.locator("#spans tbody tr")).to_have_count(len(spans_declared(scenario)))
    assert sorted(row[0] for row in visitor.rows()) == spans_declared(scenario)
    assert [row[6].count(f"demo scenario {scenario}") for row in visitor.rows()].count(1) == TRACES[scenario].count("!")
    assert page.locator("#picture .failed").count() == TRACES[scenario].count("!")
    assert page.locator("#picture .duplicate.work").count() == TRACES[scenario].count("(duplicate)")
    shown = page.locator(".lane").evaluate_all("lanes => lanes.map(lane => lane.dataset.lane)")
    assert [lane for lane in shown if lane not in LANES] == lanes
    assert [lane for lane in shown if lane in LANES] == LANES
    assert ("retry" in states_on_the_way(demo, visitor.trace_id)) == ("retry" in str(lanes))
    assert not visitor.scrolls_sideways()


def test_a_redrive_continues_the_journey_of_a_dead_letter(visitor: Visitor, page: Page, demo: Stack) -> None:
    page.goto("/")
    visitor.place("billing-poison")
    visitor.expect_state("dead", 'A redrive (make dlq DO="redrive --all") continues its journey')
    order_id = page.evaluate("JSON.parse(localStorage['one-order-one-trace.orders'])[0].orderId")
    redrive = instrumented(demo.settings, "eventbus", "dlq", "redrive", "--order", order_id)
    subprocess.run(redrive, env=tool_environment(demo.settings), check=True, capture_output=True, timeout=60)

    visitor.expect_complete(spans=9)
    assert [lane for lane, _ in visitor.bars()][-1] == "redrive"
    expect(page.locator("#own [data-state=done]")).to_have_count(1)


def test_a_duplicate_names_the_span_that_it_is_linked_to(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    visitor.place("duplicate")
    expect(page.locator("#spans")).to_contain_text(
        "duplicate: recognised, and nothing done again; linked to send orders"
    )


def test_a_shared_link_shows_the_journey_to_somebody_else(
    visitor: Visitor, page: Page, browser: Browser, demo: Stack
) -> None:
    page.goto("/")
    trace_id = visitor.place()
    visitor.expect_complete()
    trace, span = page.locator("#traceparent").text_content().split("-")[1:3]

    elsewhere = Visitor(browser.new_context().new_page())
    elsewhere.page.goto(f"{demo.settings.orders_url}{page.locator('#permalink').get_attribute('href')}")
    for _ in range(2):
        elsewhere.expect_complete()
        assert elsewhere.trace_id == trace_id
        assert elsewhere.rows() == visitor.rows()
        expect(elsewhere.page.locator("#traceparent")).to_have_text(f"00-{trace}-{span}-01")
        expect(elsewhere.page.locator("#own")).to_be_hidden()
        elsewhere.page.reload()
    elsewhere.page.context.close()


def test_back_and_forward_go_from_journey_to_journey(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    first = visitor.place()
    visitor.expect_complete()
    visitor.place("billing-poison")
    visitor.expect_state("dead")
    page.go_back()

    visitor.expect_complete()
    assert visitor.trace_id == first
    page.go_back()
    visitor.expect_state("none")
    expect(page.locator("#drawing")).to_be_hidden()


def test_a_trace_that_zipkin_does_not_have_is_looked_for_until_it_is_there(
    visitor: Visitor, page: Page, demo: Stack
) -> None:
    trace_id = secrets.token_hex(16)
    page.goto(f"/journeys/{trace_id}")
    visitor.expect_state("missing", "have not arrived yet, or Zipkin has forgotten them")
    order = {
        "customer": {"email": "ada@example.com"},
        "currency": "EUR",
        "items": [{"sku": "A", "quantity": 1, "unit_price": "1"}],
    }
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    requests.post(f"{demo.settings.orders_url}/orders", json=order, headers=headers, timeout=10)

    visitor.expect_complete()


@pytest.mark.parametrize("name", ["42", "0" * 32])
def test_an_address_without_a_trace_id_is_told_so(
    visitor: Visitor, page: Page, complaints: list[str], name: str
) -> None:
    answer = page.goto(f"/journeys/{name}")

    assert answer and answer.status == 404
    visitor.expect_state("no-trace-id")
    assert all("404" in each for each in complaints)  # the browser's own note
    complaints.clear()


def test_what_comes_from_outside_is_text(visitor: Visitor, page: Page, demo: Stack) -> None:
    trace_id = secrets.token_hex(16)
    span = {
        "traceId": trace_id,
        "kind": "PRODUCER",
        "name": HOSTILE,
        "timestamp": 1_700_000_000_000_000,
        "duration": 5_000,
        "localEndpoint": {"serviceName": HOSTILE},
        "remoteEndpoint": {"serviceName": f"kafka/{HOSTILE}"},
        "tags": {"error": HOSTILE, "error.type": HOSTILE, "messaging.destination.name": HOSTILE},
    }
    spans = [{**span, "id": secrets.token_hex(8)}, {**span, "kind": "CONSUMER", "id": secrets.token_hex(8)}]
    requests.post(f"{demo.settings.zipkin_url}/api/v2/spans", json=spans, timeout=10).raise_for_status()
    dialogs: list[object] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog), dialog.dismiss()))
    page.goto("/")
    mark = {
        "traceId": trace_id,
        "placed": 1_700_000_000_000,
        "scenario": HOSTILE,
        "traceparent": HOSTILE,
        "orderId": HOSTILE,
    }
    page.evaluate("own => localStorage.setItem('one-order-one-trace.orders', JSON.stringify([own, {}, null]))", mark)
    page.goto(f"/journeys/{trace_id}")

    expect(page.locator("#spans tbody tr")).to_have_count(2)
    assert [row[:2] for row in visitor.rows()] == [[HOSTILE, HOSTILE]] * 2
    expect(page.locator("#picture .label").first).to_contain_text(HOSTILE)
    expect(page.locator("#own")).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0 and dialogs == []


def test_the_replay_says_how_much_it_is_slowed_down(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    visitor.place()
    visitor.expect_complete()
    milliseconds = float(re.search(r"([\d.]+) ms", page.locator("#total").text_content())[1])
    page.click("#replay-button")
    expect(page.locator("#picture .to-come")).not_to_have_count(0)
    said = re.search(r"slowed down (\d+) times", page.locator("#replay-says").text_content())
    assert int(said[1]) == pytest.approx(6000 / milliseconds, rel=0.05)
    expect(page.locator("#replay-says")).to_contain_text("Replayed slowed down", timeout=60_000)
    assert page.locator("#picture .to-come").count() == 0


def test_without_motion_the_replay_goes_step_by_step(visitor: Visitor, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto("/")
    visitor.place()
    visitor.expect_complete()
    steps = page.locator("#picture .item").count()
    for step in range(1, steps + 1):
        page.click("#replay-button")
        expect(page.locator("#replay-says")).to_contain_text(f"Step {step} of {steps}: ")
        assert page.locator("#picture .to-come").count() == steps - step
    page.click("#replay-button")

    expect(page.locator("#replay-says")).to_have_text("That was the last step.")


def test_the_orders_of_this_browser_are_listed_with_their_state(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    first = visitor.place()
    second = visitor.place("billing-poison")
    page.goto("/")

    entry = "#own a[data-trace-id='{}'] .state"
    expect(page.locator(entry.format(first))).to_have_text("Done")
    expect(page.locator(entry.format(second))).to_have_text("Dead letter")
    page.click(f"#own a[data-trace-id='{first}']")
    visitor.expect_complete()
    assert visitor.trace_id == first
    stored = page.evaluate("JSON.stringify(localStorage)")
    assert "ada@example.com" not in stored


def test_a_list_of_fifty_is_read_at_once_and_does_not_grow(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    own = [{"traceId": secrets.token_hex(16), "placed": 1_700_000_000_000 + n, "seen": True} for n in range(60)]
    page.evaluate("own => localStorage.setItem('one-order-one-trace.orders', JSON.stringify(own))", own)
    page.goto("/")
    expect(page.locator("#own li")).to_have_count(50)
    expect(page.locator("#own [data-state=forgotten]")).to_have_count(50)
    visitor.place()
    visitor.expect_complete()

    expect(page.locator("#own li")).to_have_count(50)


def test_two_tabs_keep_one_list(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    another = Visitor(page.context.new_page())
    another.page.goto("/")
    placed = {visitor.place(), another.place()}
    another.page.close()
    page.reload()

    links = page.locator("#own a")
    expect(links).to_have_count(2)
    assert {link.get_attribute("data-trace-id") for link in links.all()} == placed


def test_without_a_local_storage_the_page_works(visitor: Visitor, page: Page) -> None:
    broken = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
    page.add_init_script(broken)
    page.goto("/")
    trace_id = visitor.place()
    visitor.expect_complete()

    expect(page.locator(f"#own a[data-trace-id='{trace_id}'] .state")).to_have_text("Done")


def test_an_order_id_leads_to_its_journey(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    trace_id = visitor.place()
    visitor.expect_complete()
    order_id = page.evaluate("JSON.parse(localStorage['one-order-one-trace.orders'])[0].orderId")
    page.goto("/")
    expect(page.locator(f"#recent a[href='/journeys/{trace_id}']")).to_contain_text(order_id)
    page.get_by_label("Trace id or message key").fill(order_id)
    page.click("#search-button")

    visitor.expect_complete()
    assert visitor.trace_id == trace_id
    expect(page.locator("#verdict")).to_contain_text("The doctor says: whole", timeout=30_000)


def test_only_broken_journeys_are_listed_if_they_are_asked_for(visitor: Visitor, page: Page) -> None:
    page.goto("/")
    dead = visitor.place("billing-poison")
    visitor.expect_state("dead")
    done = visitor.place()
    visitor.expect_complete()
    expect(page.locator(f"#recent a[href$='{done}']")).to_have_count(1)
    page.get_by_label("Only broken ones").check()
    page.click("#search-button")

    expect(page.locator(f"#recent a[href$='{done}']")).to_have_count(0)
    expect(page.locator(f"#recent a[href$='{dead}']")).to_have_count(1)


def test_a_message_that_nobody_reads_is_said_to_be_one(visitor: Visitor, page: Page, demo: Stack) -> None:
    page.goto("/")
    visitor.place()
    visitor.expect_complete()
    demo.stop("billing")
    try:
        visitor.place()
        expect(page.locator("#verdict")).to_contain_text("consumer not running", timeout=60_000)
        visitor.expect_state("under-way", "nobody reads topic orders")
    finally:
        demo.start("billing")
    visitor.expect_complete()
