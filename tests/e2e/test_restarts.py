"""Planned stops under load: nothing is lost, nothing is doubled, no trace breaks."""

import time

import journey
import pytest
from journey.doctor import SECOND, Case, diagnose
from journey.source import Recorded

from tests.e2e.load import load
from tests.e2e.polling import poll_until
from tests.e2e.shop import Placed, Shop
from tests.e2e.system import System
from tests.order_journey import ORDER_JOURNEY

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("number", "part"), list(enumerate(["orders", "orders-worker", "billing", "notifier"])))
def test_a_service_restarted_under_load_loses_nothing(shop: Shop, system: System, number: int, part: str) -> None:
    with load(shop.place_in_spite_of_restarts, first=10_000 * (number + 1)) as accepted:
        poll_until(lambda: len(accepted) >= 50, "50 orders are accepted before the stop")
        assert system.stop(part) == 0, f"{part} did not stop cleanly"
        system.start(part)
        already = len(accepted)
        poll_until(lambda: len(accepted) >= already + 50, "50 orders are accepted after the start")

    shop.expect_one_mail_each(accepted, timeout=120)
    shop.expect_exact_journeys(accepted, timeout=60)
    shop.expect_no_gap_in_invoice_numbers()


def test_orders_are_accepted_while_the_broker_is_away_and_complete_afterwards(shop: Shop, system: System) -> None:
    with load(shop.place, first=60_000, threads=2) as accepted:
        poll_until(lambda: len(accepted) >= 50, "50 orders are accepted before the stop")
        system.stop("kafka")
        already = len(accepted)
        poll_until(lambda: len(accepted) >= already + 50, "50 orders are accepted without a broker")
        system.start("kafka")
        already = len(accepted)
        poll_until(lambda: len(accepted) >= already + 50, "50 orders are accepted after the start")

    shop.expect_one_mail_each(accepted, timeout=120)
    expect_whole_journeys(shop, accepted)


def expect_whole_journeys(shop: Shop, orders: list[Placed]) -> None:
    """Wait until every trace has every row, and every span but the root its parent. A repeat may add rows."""
    pending = {order.trace_id for order in orders}

    def all_whole() -> bool:
        for trace_id, trace in journey.fetch_many(shop.zipkin_url, pending).items():
            # The trace alone: nothing else is looked up for what is missing.
            case = Case(trace, Recorded(trace.spans), now=int(time.time() * SECOND))
            if diagnose(case, ORDER_JOURNEY).whole:
                pending.discard(trace_id)
        return not pending

    poll_until(all_whole, f"{len(orders)} journeys are whole", timeout=60, every=0.3)
