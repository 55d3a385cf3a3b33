"""Many orders, as many traces."""

import pytest

from tests.e2e.shop import Shop

pytestmark = pytest.mark.long


def test_fifty_orders_at_once_are_fifty_exact_journeys(shop: Shop) -> None:
    orders = shop.place_all(range(200, 250), threads=50)

    shop.expect_exact_journeys(orders)
    shop.expect_one_mail_each(orders)
    shop.expect_no_gap_in_invoice_numbers()


def test_two_thousand_orders_at_full_speed_are_two_thousand_exact_journeys(shop: Shop) -> None:
    orders = shop.place_all(range(1000, 3000), threads=16)

    shop.expect_one_mail_each(orders, timeout=180)
    shop.expect_exact_journeys(orders, timeout=60)
    shop.expect_no_gap_in_invoice_numbers()
