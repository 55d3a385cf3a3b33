"""A ledger in a database of its own."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from eventbus import Database

from billing import store
from billing.events import Customer, Item, OrderPlaced

PlaceOrder = Callable[..., OrderPlaced]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.upgrade(store.SCHEMA)
    yield database
    database.close()


@pytest.fixture
def an_order() -> PlaceOrder:
    """Make an order of lines ``(quantity, unit price)``."""

    def make(*lines: tuple[int, str], order_id: str = "order-1") -> OrderPlaced:
        items = [
            Item(sku="BOOK-1", quantity=quantity, unit_price=Decimal(price))
            for quantity, price in lines or [(2, "19.90")]
        ]
        return OrderPlaced(
            order_id=order_id, customer=Customer(email="ada@example.com"), currency="EUR", items=tuple(items)
        )

    return make
