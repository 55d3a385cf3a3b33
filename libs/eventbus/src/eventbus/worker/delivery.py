"""One record in the hands of a worker: its span, its message, and what becomes of it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka_otel import ProcessSpan
from opentelemetry.trace import Span

from eventbus.cloudevents import Message, decode
from eventbus.errors import Poison
from eventbus.event import Event
from eventbus.process.patience import Stopped
from eventbus.process.spans import mark_unfinished
from eventbus.worker.origin import Origin
from eventbus.worker.subscription import Delivery


class RecordDelivery(Delivery):
    """The delivery of a record. Its span begins with the first try and lasts as long as the last one did."""

    def __init__(
        self,
        record: ConsumerRecord[bytes, bytes],
        consumer: AIOKafkaConsumer,
        types: Mapping[str, type[Event]],
    ) -> None:
        self.record = record
        self.outcome = self.error = self.behind = None
        self.begun = False
        # How often a try ended together with its connection, and whether the record is to have turns of its own.
        self.broken_off = 0
        self.alone = False
        # Whether it has its place among those of its key that wait for a try.
        self.is_noted = False
        self._span = ProcessSpan(record, consumer)
        self._types = types

    @cached_property
    def origin(self) -> Origin:
        """Where it came from first, and how often it was tried."""
        return Origin.of(self.record)

    @cached_property
    def message(self) -> Message:
        """The message. Raises Poison if it cannot be read."""
        return decode(self.record, self._types)

    @property
    def type(self) -> str:
        """The name of its event's type, as far as it can be read."""
        name = dict(self.record.headers).get("ce_type")
        return name.decode(errors="replace") if name else ""

    @property
    def span(self) -> Span:
        """The record's span."""
        return self._span.span

    @property
    def about(self) -> dict[str, object]:
        """What a log line says of it."""
        about: dict[str, object] = {
            "topic": self.record.topic,
            "partition": self.record.partition,
            "offset": self.record.offset,
        }
        try:
            about.update(event_id=self.message.id, key=self.message.event.key)
        except Poison:
            pass
        return about

    @property
    def ended(self) -> bool:
        """Tell whether it needs no other try."""
        return self.outcome is not None or self.error is not None

    def handling(self) -> AbstractContextManager[Span]:
        """Be in its span."""
        self.begun = True
        return self._span.handling()

    @property
    def attempt(self) -> int:
        """The number of this try, from 1."""
        return self.origin.tries + 1

    def end(self, error: BaseException | None = None) -> None:
        """End its span, if it has begun; it fails where *error* has come between."""
        if isinstance(error, Stopped):
            mark_unfinished(self.span)
            error = None
        self._span.end(error)
