"""Broken on purpose: the stock instrumentation in place of ours. The journey must then fail the very same assertion."""

from pathlib import Path

import journey
import pytest
from stack import Settings, Stack

from gallery.environments import stock_environment
from tests.e2e.doctor import expect_causes
from tests.e2e.polling import poll_until
from tests.e2e.shop import Shop
from tests.e2e.system import LocalSystem
from tests.order_journey import ORDER_JOURNEY

pytestmark = pytest.mark.long


def test_with_the_stock_instrumentation_the_journey_falls_apart(tmp_path: Path) -> None:
    # Ours is installed beside it, and leaves aiokafka to it.
    with Stack(Settings.isolated(tmp_path, python_env=stock_environment())) as stack:
        stack.up()
        system = LocalSystem(stack)
        shop = Shop(orders_url=system.orders_url, zipkin_url=system.zipkin_url, mailbox=system.mailbox)
        order = shop.place_within_own_trace(1)
        shop.expect_one_mail_each([order])  # the work is done all the same
        poll_until(lambda: len(shop.all_trace_ids()) >= 2, "the order's spans are in more than one trace")

        with pytest.raises(journey.JourneyDiffers) as found:
            journey.wait_for(shop.zipkin_url, order.trace_id, ORDER_JOURNEY, 5, remote_parent=order.caller)
        # The doctor needs no chain for it: billing works on in a trace of its own.
        (lost,) = expect_causes(shop.zipkin_url, order.trace_id, "--patience", "0", expected=["context lost"])
        (begun,) = expect_causes(
            shop.zipkin_url, lost["findings"][0]["other_trace_id"], "--patience", "0", expected=["context lost"] * 2
        )

    print(found.value)
    missing = [row for row in ORDER_JOURNEY if f"Row {row.number} is missing: {row}." in found.value.differences]
    assert [row.name for row in missing] == [
        "send orders",
        "process orders",
        "send invoices",
        "process invoices",
        "send email",
    ]
    assert lost["findings"][0]["says"].startswith("nothing is under billing CONSUMER `orders receive`")
    assert order.trace_id in [finding["other_trace_id"] for finding in begun["findings"]]
