"""Span and metric attributes by the semantic conventions for messaging and Kafka (1.44).

Everything that does not differ from record to record is built once for each client, operation and partition.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiokafka.conn import collect_hosts
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.util.types import AttributeValue

from aiokafka_otel.texts import encodable

SEND: Final = "send"
RECEIVE: Final = "receive"
PROCESS: Final = "process"


@dataclass(frozen=True, slots=True)
class Operation:
    """What all spans and measurements of one operation on one destination have in common."""

    span_name: str
    span: Mapping[str, AttributeValue]
    metric: Mapping[str, AttributeValue]


class Client:
    """The attributes of one producer or consumer, by operation, topic and partition."""

    def __init__(
        self,
        span: Mapping[str, AttributeValue] | None = None,
        metric: Mapping[str, AttributeValue] | None = None,
        group: str | None = None,
    ) -> None:
        self.group = group
        self._metric: dict[str, AttributeValue] = {messaging.MESSAGING_SYSTEM: "kafka", **(metric or {})}
        self._span: dict[str, AttributeValue] = {**self._metric, **(span or {})}
        self._operations: dict[tuple[str, str | None, int | None], Operation] = {}

    def operation(self, name: str, topic: str | None, partition: int | None = None) -> Operation:
        """Return the attributes of an operation; without a topic it is one on several topics."""
        key = (name, topic, partition)
        known = self._operations.get(key)
        if known is None:
            known = self._operations[key] = self._describe(name, topic, partition)
        return known

    def _describe(self, name: str, topic: str | None, partition: int | None) -> Operation:
        own: dict[str, AttributeValue] = {
            messaging.MESSAGING_OPERATION_NAME: name,
            messaging.MESSAGING_OPERATION_TYPE: name,
        }
        if topic is not None:
            topic = encodable(topic)
            own[messaging.MESSAGING_DESTINATION_NAME] = topic
        if partition is not None:
            own[messaging.MESSAGING_DESTINATION_PARTITION_ID] = str(partition)
        return Operation(
            span_name=name if topic is None else f"{name} {topic}",
            span={**self._span, **own},
            metric={**self._metric, **own},
        )


class Clients:
    """The known producers and consumers; forgets those that are gone."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, Client] = WeakKeyDictionary()
        self._unknown = Client()

    def of_producer(self, producer: Any) -> Client:
        """Return the attributes of an AIOKafkaProducer."""
        return self._known.get(producer) or self._remember(producer, producer.client, None)

    def of_consumer(self, consumer: Any | None) -> Client:
        """Return the attributes of an AIOKafkaConsumer, or those that all have in common."""
        if consumer is None:
            return self._unknown
        return self._known.get(consumer) or self._remember(consumer, consumer._client, consumer._group_id)

    def _remember(self, owner: Any, client: Any, group: str | None) -> Client:
        # The first bootstrap server stands for the cluster.
        host, port, _ = collect_hosts(client._bootstrap_servers, randomize=False)[0]
        metric: dict[str, AttributeValue] = {SERVER_ADDRESS: encodable(host), SERVER_PORT: port}
        if group is not None:
            metric[messaging.MESSAGING_CONSUMER_GROUP_NAME] = encodable(group)
        own: dict[str, AttributeValue] = {messaging.MESSAGING_CLIENT_ID: encodable(client._client_id)}
        known = self._known[owner] = Client(own, metric, group)
        return known
