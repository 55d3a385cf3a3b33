"""Offsets are committed by the clock, whether the work is done or not."""

from aiokafka import AIOKafkaConsumer
from eventbus import kafka


def apply() -> None:
    right = kafka.consumer

    def consumer(*args: object, **options: object) -> AIOKafkaConsumer:
        made = right(*args, **options)
        made._enable_auto_commit = True
        made._auto_commit_interval_ms = 100
        return made

    kafka.consumer = consumer
