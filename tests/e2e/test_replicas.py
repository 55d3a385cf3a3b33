"""Two of each worker, on PostgreSQL: they share the work, and either may go at any moment."""

import json
from collections.abc import Iterator

import pytest
from stack import Settings, Stack

from tests.e2e.load import load
from tests.e2e.polling import poll_until
from tests.e2e.shop import Shop
from tests.e2e.system import LocalSystem, System
from tests.e2e.test_restarts import expect_whole_journeys

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = Settings.isolated(tmp_path_factory.mktemp("doubled"), replicas=2, database="postgresql")
    with Stack(settings) as stack:
        yield stack


@pytest.fixture
def system(doubled: Stack) -> System:
    """Both of everything, up and healthy, whatever the test before did to them."""
    doubled.up()
    return LocalSystem(doubled)


@pytest.fixture
def shop(system: System) -> Shop:
    return Shop(orders_url=system.orders_url, zipkin_url=system.zipkin_url, mailbox=system.mailbox)


def events(system: System, part: str, message: str) -> set[str]:
    """Return the ids of the events of which a part's log says so."""
    lines = [json.loads(line) for line in system.logs(part).splitlines() if line.startswith("{")]
    return {line["event_id"] for line in lines if line["message"] == message}


def relays(system: System) -> dict[str, int]:
    """Return how much each orders worker has published."""
    return {part: len(events(system, part, "published")) for part in system.replicas("orders-worker")}


def test_both_of_a_worker_share_the_work_and_one_relay_publishes(shop: Shop, system: System) -> None:
    orders = shop.place_all(range(100), threads=8)
    shop.expect_exact_journeys(orders)
    shop.expect_one_mail_each(orders)
    shop.expect_no_gap_in_invoice_numbers()
    billed, mailed = ([events(system, part, "handled") for part in system.replicas(w)] for w in ("billing", "notifier"))

    for shares in billed, mailed:
        assert all(shares), "one of the two did nothing"
        assert not shares[0] & shares[1]
        assert len(shares[0] | shares[1]) == len(orders)
    assert sorted(map(bool, relays(system).values())) == [False, True]


@pytest.mark.parametrize(("number", "part"), list(enumerate(["billing-2", "notifier"])))
def test_a_rebalance_under_load_loses_and_doubles_nothing(shop: Shop, system: System, number: int, part: str) -> None:
    with load(shop.place, first=1000 * (number + 1)) as accepted:
        poll_until(lambda: len(accepted) >= 50, "50 orders are accepted before the stop")
        assert system.stop(part) == 0
        already = len(accepted)
        poll_until(lambda: len(accepted) >= already + 100, "100 orders are accepted while one works alone")
        system.start(part)
        already = len(accepted)
        poll_until(lambda: len(accepted) >= already + 100, "100 orders are accepted by both again")

    shop.expect_one_mail_each(accepted, timeout=120)
    expect_whole_journeys(shop, accepted)
    shop.expect_no_gap_in_invoice_numbers()


def test_the_active_relay_is_killed_and_the_other_takes_over(shop: Shop, system: System) -> None:
    before = relays(system)
    with load(shop.place, first=5000, threads=2) as accepted:
        poll_until(lambda: relays(system) != before, "a relay publishes")
        now = relays(system)
        (active,) = [part for part in now if now[part] > before[part]]
        (standby,) = now.keys() - {active}
        system.kill(active)
        poll_until(lambda: relays(system)[standby] > now[standby] + 20, "the other relay publishes")

    shop.expect_one_mail_each(accepted, timeout=120)
    expect_whole_journeys(shop, accepted)
