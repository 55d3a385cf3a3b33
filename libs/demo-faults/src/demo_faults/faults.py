"""Faults on purpose: an order's baggage names a scenario, each service declares its part in it."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opentelemetry import baggage, trace

from demo_faults.own_attributes import SCENARIO

if TYPE_CHECKING:
    # OpenTelemetry loads this package as a propagator's, from within the very module that eventbus imports.
    from eventbus import Event, Publication, Subscription


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a scenario: each try takes *delay_s* seconds longer, and the first *tries* raise *error*.

    What the service publishes is sent *copies* times.
    """

    error: type[Exception] | None = None
    tries: float = math.inf
    delay_s: float = 0
    copies: int = 1


class Faults:
    """One service's part in the scenarios: its faults by the scenario's name. Without *enabled* there are none."""

    def __init__(self, faults: Mapping[str, Fault], *, enabled: bool) -> None:
        self._faults = faults
        self._enabled = enabled

    @classmethod
    def from_environment(cls, faults: Mapping[str, Fault]) -> "Faults":
        """Return *faults*, enabled by DEMO_FAULTS=1. If it is wrong, ends the process as `read_settings` does."""
        from eventbus import read_settings

        from demo_faults.settings import DemoSettings

        return cls(faults, enabled=read_settings(DemoSettings).demo_faults)

    def on_handling(self, *subscriptions: "Subscription") -> "Sequence[Subscription]":
        """Return *subscriptions* whose handlers go wrong."""
        return [replace(each, before=self.before) for each in subscriptions]

    def on_publishing(self, *published: "type[Event]") -> "Sequence[Publication]":
        """Return publications of these event types that are repeated."""
        from eventbus import Publication

        return [Publication(each, copies=self.copies) for each in published]

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
