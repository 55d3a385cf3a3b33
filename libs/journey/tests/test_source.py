from dataclasses import replace

import pytest
from journey import Trace
from journey.lookup import find
from journey.source import Recorded

from libs.journey.tests.journeys import BEGAN, SECOND, failing_with, order

ORDERS = [order(number) for number in range(5)]
RECORDED = Recorded(span for each in reversed(ORDERS) for span in each.spans)


def test_traces_in_memory_are_found_like_those_in_zipkin() -> None:
    assert RECORDED.trace(ORDERS[0].id) == ORDERS[0]
    assert RECORDED.trace(ORDERS[0].id[16:].upper()) == ORDERS[0], "Zipkin takes an id of 64 bits too"
    assert RECORDED.trace("f" * 32) is None
    assert RECORDED.latest(2) == [ORDERS[4], ORDERS[3]]
    assert RECORDED.latest(1, "Billing") == [ORDERS[4]]
    assert RECORDED.latest(1, "nobody") == []
    assert RECORDED.having({"messaging.destination.name": "orders", "messaging.kafka.offset": "3"}) == [ORDERS[3]]
    assert RECORDED.begun("billing", BEGAN + 60 * SECOND, BEGAN + 120 * SECOND) == [ORDERS[2], ORDERS[1]]
    assert RECORDED.oldest() == BEGAN
    assert Recorded(()).oldest() is None


def test_a_trace_is_found_by_its_id_a_traceparent_a_key_or_a_tag() -> None:
    wanted = ORDERS[3]

    assert find(RECORDED, wanted.id) == [wanted]
    assert find(RECORDED, f"00-{wanted.id}-{wanted.spans[0].id}-01") == [wanted]
    assert find(RECORDED, "order-3") == [wanted]
    assert find(RECORDED, "messaging.kafka.offset=3") == [wanted]
    assert find(RECORDED, "messaging.destination.name=orders") == ORDERS, "the first comes first"
    assert find(RECORDED, "order-9") == find(RECORDED, "f" * 32) == find(RECORDED, "=") == []


def test_a_client_and_a_server_that_share_an_id_are_two_spans_and_a_report_that_came_twice_is_one() -> None:
    client = replace(ORDERS[0].spans[0], kind="CLIENT", service="shop")
    found = Recorded((client, *ORDERS[0].spans, replace(ORDERS[0].spans[0], duration=7))).trace(ORDERS[0].id)

    assert found and found.spans == (client, *ORDERS[0].spans)


@pytest.mark.parametrize("key", ["1" * 16, "abcdef" * 5 + "00", "0" * 32, "a=b", "salt and pepper", "shop/1"])
def test_a_key_is_found_whatever_it_looks_like(key: str) -> None:
    keyed = replace(ORDERS[0].spans[1], tags={"messaging.kafka.message.key": key})
    source = Recorded((keyed, *ORDERS[1].spans))

    assert find(source, key) == [Trace(keyed.trace_id, (keyed,))]


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:9411/zipkin/traces/{id}",
        "https://tracing.example/zipkin/traces/{id}?x=1#y ",
        "localhost:9411/zipkin/traces/{id}",
        "http://localhost:9411/zipkin/?traceId={id}&lookback=1h",
        "http://127.0.0.1:9411/api/v2/trace/{id}",
        "http://localhost:8080/journeys/{id}",
    ],
)
def test_a_trace_is_found_by_the_address_of_its_page(address: str) -> None:
    assert find(RECORDED, address.format(id=ORDERS[2].id)) == [ORDERS[2]]
    assert find(RECORDED, address.format(id=ORDERS[2].id.upper())) == [ORDERS[2]]
    assert find(RECORDED, address.format(id="f" * 32)) == []


def test_files_say_what_is_in_them_and_nothing_of_zipkin() -> None:
    assert Recorded(()).hint == "There is no trace in them."
    assert Recorded(ORDERS[0].spans).hint.startswith("There is 1 trace in them, from 2027-01-15 08:00:00 UTC to ")
    assert RECORDED.hint == "There are 5 traces in them, from 2027-01-15 08:00:00 UTC to 2027-01-15 08:04:00 UTC."


def test_spans_of_one_trace_that_have_half_its_id_are_in_it() -> None:
    # B3 allows both lengths; Zipkin joins them with STRICT_TRACE_ID=false.
    id = "9c526c826e15139ec8de4b4a0a7d4a9c"
    first, *rest = (replace(span, trace_id=id) for span in ORDERS[0].spans)
    halves = [replace(span, trace_id=length) for span, length in zip(rest, (id[16:], "0" * 16 + id[16:]), strict=False)]
    source = Recorded((*halves, first, *ORDERS[1].spans))

    assert source.trace(id) == source.trace(id[16:]) == Trace(id, (first, *rest[:2]))
    assert source.latest(5) == [ORDERS[1], source.trace(id)]


def test_of_two_reports_of_one_span_the_one_without_an_error_counts() -> None:
    """A process span that a stop ended, and its successful repeat, have one id."""
    failed = replace(ORDERS[0].spans[2], tags={**ORDERS[0].spans[2].tags, **failing_with("Stopped")})
    repeat = replace(ORDERS[0].spans[2], start=(failed.start or 0) + SECOND)
    for reports in ((failed, repeat), (repeat, failed)):
        found = Recorded((*ORDERS[0].spans[:2], *reports)).trace(ORDERS[0].id)

        assert found and found.spans == (*ORDERS[0].spans[:2], repeat)

    found = Recorded((failed, replace(failed, start=repeat.start))).trace(ORDERS[0].id)
    assert found and found.spans == (failed,)
