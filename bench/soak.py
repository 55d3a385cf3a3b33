"""Many orders through one candidate: what grows?"""

import statistics
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, create_engine, text
from stack import Settings
from stack.services import database_url

from bench.candidates import Candidate
from bench.judging import objections, read_traces
from bench.measuring import CONNECTIONS, NS
from bench.stage import Running, Stage
from bench.usage import MIB

SERVICES = ("orders", "billing", "notifier")
SAMPLES = 10
# What a relay asks its database for, again and again.
POLL = text("SELECT * FROM outbox ORDER BY id LIMIT 200")
POLLS = 50


@dataclass(frozen=True)
class Sample:
    """How it is after so many orders: orders/s of the last ones, MiB of memory and of the databases, ms of a poll."""

    orders: int
    rate: float
    memory: float
    databases: float
    poll: float


@dataclass(frozen=True)
class Soak:
    """A soak of one candidate."""

    candidate: str
    samples: list[Sample]
    objections: list[str]


def soak(stage: Stage, candidate: Candidate, orders: int) -> Soak:
    """Post so many orders, 16 at a time, and take a sample after each tenth of them."""
    samples = []
    with stage.running(candidate) as running:
        for _ in range(SAMPLES):
            slice = running.post(lambda load, prefix: load.closed(prefix, max(1, orders // SAMPLES), CONNECTIONS))
            last_end = max(max(times) for times in running.ends().values())
            samples.append(_sample(running, len(slice) / (last_end - slice[0].due) * NS))
    traces = read_traces(running.settings.audit_folder)
    return Soak(candidate.name, samples, objections(running.posted, running.ends(), traces, candidate))


def _sample(running: Running, rate: float) -> Sample:
    memory = running.look().memory
    return Sample(
        orders=len(running.posted),
        rate=rate,
        memory=sum(memory[part] for part in running.services),
        databases=sum(_size(running.settings, service) for service in SERVICES) / MIB,
        poll=_poll(running.settings),
    )


def _size(settings: Settings, service: str) -> int:
    if settings.database == "sqlite":
        return sum(file.stat().st_size for file in settings.data.glob(f"{service}.db*"))
    engine = create_engine(database_url(settings, service))
    try:
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    finally:
        engine.dispose()


def _poll(settings: Settings) -> float:
    engine: Engine = create_engine(database_url(settings, "orders"))
    try:
        with engine.connect() as connection:
            return statistics.median(_once(connection) for _ in range(POLLS))
    finally:
        engine.dispose()


def _once(connection: Connection) -> float:
    began = time.perf_counter()
    connection.execute(POLL).all()
    took = time.perf_counter() - began
    connection.rollback()  # each poll sees what is there now
    return took * 1000
