"""Where the span of a record is current, and for how long."""

from typing import Any, Final
from weakref import ref

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from aiokafka_otel.places import here

_KEY: Final = otel.create_key("aiokafka-otel-scope")


class Scope:
    """The span of a record is current in one task, or outside of a task in one thread, until the scope is closed.

    `context` is the one to work in: that of the record, and once the scope is closed the one before it.
    There are no context tokens, because another task than the one that took a record may finish it. The context names
    its scope instead: code that runs in the context of a closed scope leaves that context.
    """

    __slots__ = ("__weakref__", "_before", "_place", "closed", "context", "span")

    def __init__(self, span: Span, context: Context) -> None:
        self.span = span
        self.closed = False
        self._before = otel.get_current()
        self._place: ref[object] | None = None
        self.context = otel.set_value(_KEY, self, context)

    def enter(self, place: object) -> None:
        """Make the span current in the caller's place; nothing of the ambient context stays."""
        self._place = ref(place)
        otel.attach(self.context)

    def entered_here(self) -> bool:
        """Tell whether this task made the span current, or, outside of a task, this thread."""
        return self._place is not None and self._place() is here()

    def close(self) -> None:
        """Nobody works here any more, except what was started from here."""
        self.closed = True
        # What is over holds nothing: not the next context in a chain of tasks that start each other, not itself.
        before = self._before
        if _KEY in before:
            self._before = before = outside_closed(before)
        self.context = before

    def leave(self) -> None:
        """Close, and bring back the context before, whatever the block has made of it."""
        self.close()
        if self.entered_here():  # not if the event loop closes a generator, in a task of its own
            otel.attach(self.context)


def closed_in(context: Context) -> Scope | None:
    """Return the closed scope whose span is current in the context: nobody should work under it any more."""
    scope: Any = context.get(_KEY)
    if scope is None or not scope.closed:
        return None
    # A span that the application has opened on top is its own choice.
    return scope if trace.get_current_span(context) is scope.span else None


def leave_closed(current: Context) -> None:
    """Return to the context before the record, where the current one belongs to a closed scope."""
    outside = outside_closed(current)
    if outside is not current:
        otel.attach(outside)


def outside_closed(context: Context) -> Context:
    """Return the context as it was before the closed scopes in which it was made."""
    while scope := closed_in(context):
        context = scope.context
    return context
