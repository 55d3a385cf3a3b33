"""A ledger in a database file of its own."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from eventbus import Database

from billing import store
from billing.events import Customer, Item, OrderPlaced

PlaceOrder = Callable[..., OrderPlaced]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/billing.db")
    database.create(store.metadata)
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
