"""How an event is published."""

from collections.abc import Callable
from dataclasses import dataclass

from eventbus.event import Event


@dataclass(frozen=True)
class Publication:
    """One line of a service's table: an event type that it publishes.

    *copies* is asked, in the trace of each event, how often it is sent. More than once is for demonstrations.
    """

    event_type: type[Event]
    copies: Callable[[], int] = lambda: 1

    @classmethod
    def of(cls, published: "type[Event] | Publication") -> "Publication":
        """Return the publication of an event type about which no more is said, or one as it is."""
        return published if isinstance(published, Publication) else cls(published)
