"""The fault scenarios: what becomes of an order that carries one, as data."""

from collections.abc import Mapping
from typing import Final

from journey import Trace

# The whole trace of each, as `shape` draws it. The message is tried five times.
TRACES: Final[Mapping[str, str]] = {
    "billing-fails-twice": """
orders server post /orders
  orders producer send orders
    billing consumer process orders ! Transient: demo scenario billing-fails-twice
      billing producer send billing.retry
        billing consumer process billing.retry ! Transient: demo scenario billing-fails-twice
          billing producer send billing.retry
            billing consumer process billing.retry
              billing producer send invoices
                notifier consumer process invoices
                  notifier client send email
""",
    "billing-poison": """
orders server post /orders
  orders producer send orders
    billing consumer process orders ! Poison: demo scenario billing-poison
      billing producer send billing.dlq
""",
    "mail-down": """
orders server post /orders
  orders producer send orders
    billing consumer process orders
      billing producer send invoices
        notifier consumer process invoices ! Transient: demo scenario mail-down
          notifier producer send notifier.retry
            notifier consumer process notifier.retry ! Transient: demo scenario mail-down
              notifier producer send notifier.retry
                notifier consumer process notifier.retry ! Transient: demo scenario mail-down
                  notifier producer send notifier.retry
                    notifier consumer process notifier.retry ! Transient: demo scenario mail-down
                      notifier producer send notifier.retry
                        notifier consumer process notifier.retry ! Transient: demo scenario mail-down
                          notifier producer send notifier.dlq
""",
    "slow-billing": """
orders server post /orders
  orders producer send orders
    billing consumer process orders
      billing producer send invoices
        notifier consumer process invoices
          notifier client send email
""",
    # An event that is sent again, like after a crash of the relay, has its span id again: who processes either record
    # is below the first of the two.
    "duplicate": """
orders server post /orders
  orders producer send orders
    billing consumer process orders
      billing producer send invoices
        notifier consumer process invoices
          notifier client send email
    billing consumer process orders (duplicate)
  orders producer send orders
""",
}

# What a redrive adds below the last span of `mail-down`: it takes no baggage along.
REDRIVEN: Final = """\
                            redrive producer send invoices
                              notifier consumer process invoices
                                notifier client send email
"""

INVOICES: Final[Mapping[str, int]] = {name: 0 if name == "billing-poison" else 1 for name in TRACES}
MAILS: Final[Mapping[str, int]] = {name: 0 if name in ("billing-poison", "mail-down") else 1 for name in TRACES}
TOPICS: Final[Mapping[str, Mapping[str, int]]] = {
    "billing-fails-twice": {"orders": 1, "billing.retry": 2, "invoices": 1},
    "billing-poison": {"orders": 1, "billing.dlq": 1},
    "mail-down": {"orders": 1, "invoices": 1, "notifier.retry": 4, "notifier.dlq": 1},
    "slow-billing": {"orders": 1, "invoices": 1},
    "duplicate": {"orders": 2, "invoices": 1},
}


def shape(trace: Trace) -> str:
    """Draw a trace without times: each span under its parent, siblings by their start, with what went wrong."""
    lines = []
    for node in trace.tree():
        line = "a parent that the trace does not have"
        if (span := node.span) is not None:
            line = f"{span.service} {span.kind.lower()} {span.name}"
            line += f" ! {span.error}" if span.error else ""
            line += " (duplicate)" if span.tags.get("journey.duplicate") == "true" else ""
        lines.append("  " * node.depth + line)
    return "\n".join(["", *lines, ""])
