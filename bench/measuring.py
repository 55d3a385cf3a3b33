"""One run of one candidate: its load, its figures, and whether they count."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.candidates import Candidate
from bench.judging import Ends, Traces, objections, read_traces
from bench.load import Posted
from bench.stage import Stage
from bench.usage import DISTURBED_FROM, Usage

NS = 1_000_000_000
MS = 1_000_000
CONNECTIONS = 16
# An order that was due so long ago and has not reached its end is backlog.
BACKLOG_FROM = 1 * NS


@dataclass(frozen=True)
class Plan:
    """How much load there is in a run."""

    warm_up: int = 200
    orders: int = 2000
    rate: int = 100
    seconds: int = 15
    fast_rate: int = 200
    fast_seconds: int = 60


@dataclass(frozen=True)
class Run:
    """What came out. *foreign* is the largest share of the machine that others used in a phase."""

    candidate: str
    figures: dict[str, float] = field(default_factory=dict)
    cpu_by_part: dict[str, float] = field(default_factory=dict)
    objections: list[str] = field(default_factory=list)
    foreign: float = 0.0

    @property
    def counts(self) -> bool:
        return not self.objections

    @property
    def disturbed(self) -> bool:
        return self.foreign > DISTURBED_FROM


@dataclass(frozen=True)
class Phase:
    """The orders of one kind of load, and the use of the machine before and after it."""

    orders: Sequence[Posted]
    before: Usage
    after: Usage


@dataclass(frozen=True)
class Observation:
    """All that was seen of a run."""

    began: int
    services: Sequence[str]
    posted: Sequence[Posted]
    ends: Ends
    traces: Traces
    closed: Phase
    open: Phase
    fast: Phase


def observe(stage: Stage, candidate: Candidate, plan: Plan) -> Observation:
    """Run a candidate once."""
    with stage.running(candidate) as running:
        running.post(lambda load, prefix: load.closed(prefix, 1, 1))
        running.post(lambda load, prefix: load.closed(prefix, plan.warm_up, CONNECTIONS))
        before = running.look()
        orders = running.post(lambda load, prefix: load.closed(prefix, plan.orders, CONNECTIONS))
        closed = Phase(orders, before, running.look())
        orders = running.post(lambda load, prefix: load.open(prefix, plan.rate, plan.seconds))
        open = Phase(orders, closed.after, running.look())
        orders = running.post(lambda load, prefix: load.open(prefix, plan.fast_rate, plan.fast_seconds))
        fast = Phase(orders, open.after, running.look())
    traces = read_traces(running.settings.audit_folder)
    return Observation(running.began, running.services, running.posted, running.ends(), traces, closed, open, fast)


def evaluate(candidate: Candidate, seen: Observation) -> Run:
    """Return the figures of a run; what it lost, doubled or traced wrongly are objections, and then it has none."""
    phases = (seen.closed, seen.open, seen.fast)
    run = Run(
        candidate.name,
        cpu_by_part={part: _cpu([part], seen.closed) for part in seen.closed.after.cpu},
        objections=objections(seen.posted, seen.ends, seen.traces, candidate),
        foreign=max(phase.after.foreign_since(phase.before) for phase in phases),
    )
    return run if run.objections else replace(run, figures=_figures(seen))


def measure(stage: Stage, candidate: Candidate, plan: Plan) -> Run:
    """Run a candidate once, and return what came out."""
    return evaluate(candidate, observe(stage, candidate, plan))


def _figures(seen: Observation) -> dict[str, float]:
    at = {order: times[0] for order, times in seen.ends.items()}
    closed = seen.closed.orders
    begin = min(order.due for order in closed)
    last_end = max(at[order.id] for order in closed)
    last_answer = max(order.due + order.took for order in closed)
    whole = [(at[order.id] - order.due) / MS for order in seen.open.orders]
    return {
        "chain_rate": len(closed) / (last_end - begin) * NS,
        "cpu_closed": _cpu(seen.services, seen.closed),
        "cpu_open": _cpu(seen.services, seen.open),
        "chain_p50": statistics.median(whole),
        "chain_p99": percentile(whole, 0.99),
        "post_p50": statistics.median(order.took / MS for order in seen.open.orders),
        "fast_post_p50": statistics.median(order.took / MS for order in seen.fast.orders),
        "fast_chain_p50": statistics.median((at[order.id] - order.due) / MS for order in seen.fast.orders),
        "backlog": float(backlog(seen.fast.orders, at)),
        "post_rate": len(closed) / (last_answer - begin) * NS,
        "memory": sum(seen.fast.after.memory[part] for part in seen.services),
        "first_order": (at[seen.posted[0].id] - seen.began) / NS,
    }


def backlog(orders: Sequence[Posted], at: Mapping[str, int]) -> int:
    """Return how many orders had been due for a second, and were not at their end, when the last one was due."""
    last = max(order.due for order in orders)
    return sum(order.due < last - BACKLOG_FROM and at[order.id] > last for order in orders)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of *values* does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _cpu(parts: Sequence[str], phase: Phase) -> float:
    return phase.after.cpu_since(phase.before, parts) / len(phase.orders) * 1000
