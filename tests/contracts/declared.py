"""The classes of the events that the services declare."""

import importlib

from eventbus import Event


def events_of(service: str) -> dict[str, type[Event]]:
    """Return the events that a service reads or writes, by their type."""
    module = importlib.import_module(f"{service}.events")
    return {
        each.type: each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Event) and each is not Event
    }


def event_of(service: str, type: str) -> type[Event]:
    """Return one of them. KeyError if the service does not have what its pyproject says."""
    return events_of(service)[type]


def service_of(event: type[Event]) -> str:
    """Return the name of the service that an event's class belongs to."""
    return event.__module__.partition(".")[0]
