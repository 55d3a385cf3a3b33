"""One run of one candidate: its load, its figures, and whether they count."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.candidates import Candidate
from bench.judging import objections, read_traces
from bench.load import Posted
from bench.stage import Running, Stage
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


@dataclass
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
class _Phase:
    orders: Sequence[Posted]
    before: Usage
    after: Usage


def measure(stage: Stage, candidate: Candidate, plan: Plan) -> Run:
    """Run a candidate once. What it lost, doubled or traced wrongly is an objection."""
    run = Run(candidate.name)
    with stage.running(candidate) as running:
        first = running.post(lambda load, prefix: load.closed(prefix, 1, 1))
        running.post(lambda load, prefix: load.closed(prefix, plan.warm_up, CONNECTIONS))
        before = running.look()
        orders = running.post(lambda load, prefix: load.closed(prefix, plan.orders, CONNECTIONS))
        closed = _Phase(orders, before, running.look())
        orders = running.post(lambda load, prefix: load.open(prefix, plan.rate, plan.seconds))
        open = _Phase(orders, closed.after, running.look())
        orders = running.post(lambda load, prefix: load.open(prefix, plan.fast_rate, plan.fast_seconds))
        fast = _Phase(orders, open.after, running.look())
    ends = running.ends()
    traces = read_traces(running.settings.audit_folder)
    run.objections = objections(running.posted, ends, traces, candidate.traces, "e-mail" if candidate.mails else "end")
    at = {order: times[0] for order, times in ends.items()}
    run.foreign = max(phase.after.foreign_since(phase.before) for phase in (closed, open, fast))
    run.cpu_by_part = _cpu_by_part(closed)
    if run.counts:
        started = (at[first[0].id] - running.began) / NS
        run.figures = _figures(running, started, closed, open, fast, at)
    return run


def _figures(
    running: Running, started: float, closed: _Phase, open: _Phase, fast: _Phase, at: Mapping[str, int]
) -> dict[str, float]:
    begin = min(order.due for order in closed.orders)
    last_end = max(at[order.id] for order in closed.orders)
    last_answer = max(order.due + order.took for order in closed.orders)
    whole = [(at[order.id] - order.due) / MS for order in open.orders]
    posts = [order.took / MS for order in open.orders]
    return {
        "chain_rate": len(closed.orders) / (last_end - begin) * NS,
        "cpu_closed": _cpu(running, closed),
        "cpu_open": _cpu(running, open),
        "chain_p50": statistics.median(whole),
        "chain_p99": percentile(whole, 0.99),
        "post_p50": statistics.median(posts),
        "fast_post_p50": statistics.median(order.took / MS for order in fast.orders),
        "fast_chain_p50": statistics.median((at[order.id] - order.due) / MS for order in fast.orders),
        "backlog": float(backlog(fast.orders, at)),
        "post_rate": len(closed.orders) / (last_answer - begin) * NS,
        "memory": sum(fast.after.memory[part] for part in running.services),
        "first_order": started,
    }


def backlog(orders: Sequence[Posted], at: Mapping[str, int]) -> int:
    """Return how many orders had been due for a second, and were not at their end, when the last one was due."""
    last = max(order.due for order in orders)
    return sum(order.due < last - BACKLOG_FROM and at[order.id] > last for order in orders)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of *values* does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _cpu(running: Running, phase: _Phase) -> float:
    return phase.after.cpu_since(phase.before, running.services) / len(phase.orders) * 1000


def _cpu_by_part(phase: _Phase) -> dict[str, float]:
    return {part: phase.after.cpu_since(phase.before, [part]) / len(phase.orders) * 1000 for part in phase.after.cpu}
