"""An orders service on a database of its own, reached through Flask's test client."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eventbus import Database
from flask.testing import FlaskClient

from orders import store
from orders.app import create_app


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.upgrade(store.SCHEMA)
    yield database
    database.close()


@pytest.fixture
def client(database: Database) -> FlaskClient:
    return create_app(database).test_client()


@pytest.fixture(scope="module")
def long_lived(new_database: Callable[[], str]) -> Iterator[FlaskClient]:
    """A client that all examples of a property share."""
    database = Database(new_database())
    database.upgrade(store.SCHEMA)
    yield create_app(database).test_client()
    database.close()


@pytest.fixture
def order() -> dict[str, Any]:
    """An order as a caller sends it; every test has one of its own to spoil."""
    return {
        "customer": {"email": "ada@example.com"},
        "currency": "EUR",
        "items": [
            {"sku": "BOOK-1", "quantity": 2, "unit_price": "19.90"},
            {"sku": "PEN-7", "quantity": 1, "unit_price": "1.05"},
        ],
    }
