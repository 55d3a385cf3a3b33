"""Resolver with dead letters: each is sent back or given up, then marked; what can be removed for real is removed."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka_otel.propagation import context_of
from opentelemetry import context as otel

from eventbus import kafka
from eventbus.operator.dlq import resolved
from eventbus.operator.dlq.letter_box import ANSWER_TIMEOUT_S, LetterBox
from eventbus.operator.dlq.letters import Choice, Letter
from eventbus.operator.dlq.resolved import Position, Resolution, Resolved
from eventbus.process.spans import Flusher
from eventbus.worker.dead_letters import MAX_BYTES, resolved_topic_of

Report = Callable[[Letter, str | None], None]


class NoWayBackError(Exception):
    """A letter cannot be sent back; the text says why."""


@dataclass(frozen=True)
class Destination:
    """Where a letter goes back to; without a partition its key decides, as when it was first sent."""

    topic: str
    partition: int | None


def destination(letter: Letter, partitions: Mapping[str, Sequence[int]]) -> Destination:
    """Return where *letter* came from, given which partitions each topic has. Raises NoWayBackError."""
    topic = letter.about("original-topic")
    if left_out := letter.about("left-out"):
        place = f"{topic} {letter.about('original-partition')}:{letter.about('original-offset')}"
        raise NoWayBackError(f"it was too large to be kept with its {left_out}; it was {place}")
    if topic is None:
        raise NoWayBackError("its header dlq.original-topic is missing or unreadable")
    if topic not in partitions:
        raise NoWayBackError(f"its original topic {topic} does not exist")
    if letter.record.key is not None:
        return Destination(topic, None)
    partition = letter.about("original-partition")
    for each in partitions[topic]:
        if partition == str(each):
            return Destination(topic, each)
    raise NoWayBackError(f"it has no key, and {topic} has no partition {partition}")


def problem_with(letter: Letter, partitions: Mapping[str, Sequence[int]]) -> str | None:
    """Return why *letter* cannot be sent back; None if it can."""
    try:
        destination(letter, partitions)
    except NoWayBackError as reason:
        return str(reason)
    return None


def producer(bootstrap_servers: str) -> AIOKafkaProducer:
    """Return the producer (not started) for the letters and their resolved."""
    # One that gives up: an operator waits for the answer, and what arrives twice the inbox recognises.
    return kafka.producer(bootstrap_servers, "eventbus-dlq", max_bytes=MAX_BYTES, compression="gzip", gives_up=True)


class Resolver:
    """Redrive or purge letters, and remember it.

    A letter is marked after the broker has acknowledged it, and after its span is exported: a crash in between sends it
    again the next time, under the same ``ce_id``. Raises KafkaError or TimeoutError if the broker does not answer
    within some 30 s; what was acknowledged by then may not be marked.
    """

    def __init__(self, box: LetterBox, producer: AIOKafkaProducer, resolution: Resolution, report: Report) -> None:
        self._box = box
        self._producer = producer
        self._resolution = resolution
        self._report = report
        self._flusher = Flusher()

    async def deal(self, topic: str, choice: Choice, stop: asyncio.Event) -> None:
        """Deal with the letters that are left of *choice*, and report on each; once *stop* is set, no more of them."""
        await self._box.create(topic)
        async with contextlib.aclosing(self._box.letters(topic, choice)) as batches:
            async for letters in batches:
                if stop.is_set():
                    return
                await self._deal(topic, [letter for letter in letters if letter.done is None])
        if not stop.is_set():
            await self.sweep(topic)

    async def sweep(self, topic: str) -> None:
        """Remove for real the letters of *topic* before which none is left, and the marks that nobody needs then."""
        done = await self._box.marks(topic)
        first_left = await self._box.first_left(topic, done)
        bounds = await self._box.bounds(topic)
        if settled := {at: offset for at, offset in first_left.items() if offset > bounds[at].start}:
            await self._box.delete_before(topic, settled)
        await self._put(topic, {at: None for at in done if at[1] < first_left.get(at[0], 0)})

    async def _deal(self, topic: str, letters: Sequence[Letter]) -> None:
        trouble: KafkaError | None = None
        if self._resolution is Resolution.REDRIVEN:
            letters, trouble = await self._send_back(letters)
            await asyncio.to_thread(self._flusher.flush)
        await self._put(
            topic, {each.position: Resolved.now(self._resolution, each.record.timestamp) for each in letters}
        )
        for letter in letters:
            self._report(letter, None)
        if trouble:
            raise trouble

    async def _send_back(self, letters: Iterable[Letter]) -> tuple[list[Letter], KafkaError | None]:
        """Return the letters that arrived; the rest is reported, unless the error returned is the reason."""
        sent: list[tuple[Letter, asyncio.Future[object]]] = []
        arrived: list[Letter] = []
        trouble: KafkaError | None = None
        for letter in letters:
            try:
                sent.append((letter, await self._send(letter)))
            except NoWayBackError as reason:
                self._report(letter, str(reason))
        await _settled([future for _, future in sent])
        for letter, future in sent:
            error = future.exception()
            if error is None:
                arrived.append(letter)
            elif isinstance(error, KafkaError) and error.retriable:
                trouble = error
            else:
                self._report(letter, f"the broker refused it: {type(error).__name__}")
        return arrived, trouble

    async def _send(self, letter: Letter) -> "asyncio.Future[object]":
        where = destination(letter, self._box.partitions)
        headers = letter.original_headers()
        # An empty context with the letter's own in it: not suppressed, so that aiokafka-otel makes the `send` span.
        token = otel.attach(context_of(headers))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                sent: asyncio.Future[object] = await self._producer.send(
                    where.topic,
                    letter.record.value,
                    key=letter.record.key,
                    partition=where.partition,
                    headers=headers,
                )
        finally:
            otel.detach(token)
        return sent

    async def _put(self, topic: str, entries: Mapping[Position, Resolved | None]) -> None:
        """Write marks, or take them back; when this returns, the broker has them."""
        done = resolved_topic_of(topic)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            futures = [
                await self._producer.send(done, mark and mark.encode(), key=resolved.key_of(position))
                for position, mark in entries.items()
            ]
        await _settled(futures)
        for future in futures:
            future.result()


async def _settled(futures: "Sequence[asyncio.Future[object]]") -> None:
    """Wait until the broker has answered to all; raise TimeoutError if it does not."""
    if futures and (await asyncio.wait(futures, timeout=ANSWER_TIMEOUT_S))[1]:
        raise TimeoutError
