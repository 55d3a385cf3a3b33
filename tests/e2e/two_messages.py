"""A program of its own, run under opentelemetry-instrument: sends two messages to each topic, or reads them from it.

What goes wrong between the two is in the topic's name, or in the program's environment.
"""

import asyncio
import sys
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from opentelemetry import propagate
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


class Stale(TraceContextTextMapPropagator):
    """Injects what some other message had."""

    def inject(self, carrier, context=None, setter=None) -> None:
        setter.set(carrier, "traceparent", f"00-{'5' * 32}-{'7' * 16}-01")


PROPAGATORS = {"stripped": CompositePropagator([]), "replaced": Stale()}


async def send(servers: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    propagate.set_global_textmap(PROPAGATORS.get(topic, TraceContextTextMapPropagator()))
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for number in (1, 2):
            await producer.send_and_wait(topic, b"{}", key=f"{topic}-{number}".encode())


async def read(servers: str, topic: str) -> None:
    reader = AIOKafkaConsumer(topic, bootstrap_servers=servers, group_id=topic, auto_offset_reset="earliest")
    async with reader as consumer:
        await consumer.getone()
        if topic == "failing":
            raise RuntimeError("the handler failed")
        await consumer.getone()


async def main(what: str, servers: str, *topics: str) -> None:
    if what == "send":
        for topic in topics:  # one after the other: the propagator is everybody's
            await send(servers, topic)
    else:
        with suppress(RuntimeError):
            await asyncio.gather(*(read(servers, topic) for topic in topics if topic != "failing"))
            if "failing" in topics:
                await asyncio.create_task(read(servers, "failing"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
