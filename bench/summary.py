"""Runs of one candidate as one figure with its spread."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.measuring import Run


@dataclass(frozen=True)
class Figure:
    """What is measured: its name in a run, what it is, and how many decimals say something."""

    name: str
    what: str
    decimals: int


FIGURES = (
    Figure("chain_rate", "whole chain, orders/s, closed, 16 connections", 0),
    Figure("cpu_closed", "CPU s per 1,000 orders, our processes, closed", 2),
    Figure("cpu_open", "the same at 100/s", 2),
    Figure("chain_p50", "POST to the end of the chain at 100/s, p50, ms", 1),
    Figure("chain_p99", "the same, p99, ms", 1),
    Figure("post_p50", "POST at 100/s, p50, ms", 1),
    Figure("fast_post_p50", "POST at 200/s, p50, ms", 1),
    Figure("fast_chain_p50", "POST to the end of the chain at 200/s, p50, ms", 1),
    Figure("backlog", "backlog at the end of 200/s, orders", 0),
    Figure("post_rate", "accepted POST/s, closed", 0),
    Figure("memory", "memory of the services, MiB", 0),
    Figure("first_order", "start of the services to the first order at its end, s", 1),
)


def spread(runs: Sequence[Run], figure: Figure) -> str:
    """Return the median of the runs that count, and their range; a dash if none does, a star if one was disturbed."""
    values = [run.figures[figure.name] for run in runs if run.counts]
    if not values:
        return "-"
    text = f"{statistics.median(values):.{figure.decimals}f}"
    if len(values) > 1:
        text += f" ({min(values):.{figure.decimals}f}-{max(values):.{figure.decimals}f})"
    return text + "*" * any(run.disturbed for run in runs if run.counts)


def remarks(name: str, runs: Sequence[Run]) -> list[str]:
    """Return what a reader must know of a candidate's figures."""
    told = [
        f"{name}: {sum(run.counts for run in runs)} of {len(runs)} runs count: {'; '.join(run.objections)}."
        for run in runs
        if not run.counts
    ]
    if shares := [f"{run.foreign:.0%}" for run in runs if run.disturbed]:
        told.append(f"{name}*: others used {', '.join(shares)} of the machine meanwhile.")
    return told
