"""What the trace of an order has, and Zipkin's dependency graph, when nothing went wrong."""

from itertools import pairwise
from pathlib import Path
from typing import Final

import journey

CHAIN: Final = Path(__file__).parents[1] / "journey.toml"
ORDER_JOURNEY: Final = journey.read_chain(CHAIN)
# As (parent, child).
ORDER_EDGES: Final = frozenset(
    pairwise(("orders", "kafka/orders", "billing", "kafka/invoices", "notifier", "smtp")),
)
