"""The attribute of spans that the semantic conventions do not have, with its type and meaning."""

from typing import Final

SCENARIO: Final = "demo.scenario"

ATTRIBUTES: Final = {
    SCENARIO: (
        "string",
        "The fault scenario that the order carries, with DEMO_FAULTS=1. On `process` spans. It travels as an entry of "
        "W3C baggage with the same name.",
    ),
}
