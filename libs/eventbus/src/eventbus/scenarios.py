"""Faults on purpose, for demonstrations: an order's baggage names a scenario, each service declares its part in it."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from demo_baggage.own_attributes import SCENARIO
from opentelemetry import baggage, trace


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a scenario: each try takes *delay_s* seconds longer, and the first *tries* raise *error*.

    What the service publishes is sent *copies* times.
    """

    error: type[Exception] | None = None
    tries: float = math.inf
    delay_s: float = 0
    copies: int = 1


class Scenarios:
    """One service's part in the scenarios: its faults by the scenario's name. Without *enabled* there are none."""

    def __init__(self, faults: Mapping[str, Fault], *, enabled: bool) -> None:
        self._faults = faults
        self._enabled = enabled

    def before(self, attempt: int) -> None:
        """Go wrong, before try number *attempt* (from 1), as the current order's scenario wants.

        Call it in the thread and the context in which the message is handled. May block; raises the fault's error,
        whose text says that this is a demonstration.
        """
        if not (scenario := self._current()):
            return
        trace.get_current_span().set_attribute(SCENARIO, scenario)
        fault = self._faults.get(scenario, _NONE)
        time.sleep(fault.delay_s)
        if fault.error is not None and attempt <= fault.tries:
            raise fault.error(f"demo scenario {scenario}")

    def copies(self) -> int:
        """Return how often the row in whose context this is called is to be sent: once, but for a scenario."""
        return self._faults.get(self._current() or "", _NONE).copies

    def _current(self) -> str | None:
        scenario = baggage.get_baggage(SCENARIO) if self._enabled else None
        return scenario if isinstance(scenario, str) else None


_NONE = Fault()
