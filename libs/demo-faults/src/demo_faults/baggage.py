"""The one entry of W3C baggage that travels with an order: a fault scenario, for demonstrations."""

from collections.abc import Iterator
from typing import Final

from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from pydantic import ValidationError

from demo_faults.own_attributes import SCENARIO
from demo_faults.settings import DemoSettings

SCENARIOS: Final = frozenset({"billing-fails-twice", "billing-poison", "duplicate", "mail-down", "slow-billing"})

_HEADER: Final = "baggage"
_MAX_LENGTH: Final = 8192  # https://www.w3.org/TR/baggage/#limits


class DemoBaggage(TextMapPropagator):
    """Let ``demo.scenario`` pass with a value that is known; nothing else, and nothing at all without DEMO_FAULTS=1.

    Whatever a header holds, this neither fails nor lets it through.
    """

    def __init__(self) -> None:
        try:
            self._enabled = DemoSettings().demo_faults
        except ValidationError:  # empty, or wrong: the service says so when it reads its settings
            self._enabled = False

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return *context* with the scenario that *carrier* names, where there is exactly one."""
        context = Context() if context is None else context
        if not self._enabled:
            return context
        values = [each for each in getter.get(carrier, _HEADER) or () if isinstance(each, str)]
        match list(_scenarios(",".join(values))):
            case [scenario] if scenario in SCENARIOS:
                return baggage.set_baggage(SCENARIO, scenario, context)
        return context

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write the scenario of *context*, if any, into *carrier*; what else its baggage has stays behind."""
        scenario = baggage.get_baggage(SCENARIO, context)
        if self._enabled and isinstance(scenario, str) and scenario in SCENARIOS:
            setter.set(carrier, _HEADER, f"{SCENARIO}={scenario}")

    @property
    def fields(self) -> set[str]:
        """The header that `inject` writes."""
        return {_HEADER}


def _scenarios(header: str) -> Iterator[str]:
    """Yield the values of all entries for the scenario."""
    if len(header) > _MAX_LENGTH:
        return
    for entry in header.split(","):
        name, _, value = entry.partition(";")[0].partition("=")
        if name.strip(" \t") == SCENARIO:
            yield value.strip(" \t")
