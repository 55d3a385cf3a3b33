import re

import pytest
from stack.services import OTEL_ENV, env_file


@pytest.mark.parametrize(
    ("path", "traced"),
    [
        ("/orders", True),
        ("/orders?dry=1", True),
        ("/orders?from=http://shop/cart", True),
        ("/orders/0d9e", True),
        ("/", False),
        ("/healthz", False),
        ("/readyz", False),
        ("/openapi.json", False),
        ("/asyncapi.json", False),
        ("/ordersheet", False),
        ("/orders-old", False),
        ("/page/main.js", False),
        ("/page/orders", False),
        ("/page/orders/orders", False),
        ("/journeys/0af7651916cd43dd8448eb211c80319c", False),
        ("/journeys/orders", False),
        ("/api/journeys", False),
        ("/api/journeys/orders", False),
        ("/page/form/order.js", False),
    ],
)
def test_only_orders_have_spans(path: str, traced: bool) -> None:
    excluded = env_file(OTEL_ENV)["OTEL_PYTHON_EXCLUDED_URLS"]

    assert (re.search(excluded, f"http://127.0.0.1:8080{path}") is None) is traced
