"""docs/numbers.md: the figures, and how to have them again."""

from collections.abc import Iterator, Mapping, Sequence

from bench.candidates import GROUPS, Candidate
from bench.measuring import Plan, Run
from bench.soak import Soak
from bench.summary import FIGURES, remarks, spread

HEAD = """\
# Numbers

Written by `{command}`: do not edit. {rounds} on one machine, one candidate after the other in each round; medians, in
brackets the range. Compare figures of one page, as ratios: they are not those of another machine.

A run counts only if every accepted order has exactly its trace, and its e-mail once (where nobody sends e-mails, the
end of its chain). In the open loop an order is timed from the moment at which it was due. Orders: {orders} closed,
{rate}/s for {seconds} s, {fast_rate}/s for {fast_seconds} s.

"""
TITLES = {
    "comparison": "The same chain as others build it",
    "ladder": "What each promise costs",
    "growth": "More workers",
}


def render(
    command: str,
    plan: Plan,
    machine: Mapping[str, str],
    runs: Mapping[str, Sequence[Run]],
    candidates: Sequence[Candidate],
    soaks: Sequence[Soak] = (),
) -> str:
    """Return the page. A group of which two candidates were run has a table; the others share one."""
    rounds = max(map(len, runs.values()))
    loads = {name: getattr(plan, name) for name in ("orders", "rate", "seconds", "fast_rate", "fast_seconds")}
    parts = [HEAD.format(command=command, rounds=f"{rounds} round{'s' * (rounds > 1)}", **loads)]
    parts += [f"- {what}: {value}\n" for what, value in machine.items()]
    left = {each.name: each for each in candidates}
    for group, members in GROUPS.items():
        met = [each for each in members if each.name in runs]
        if len(met) > 1 and any(each.name in left for each in met):
            parts += [f"\n## {TITLES[group]}\n\n", *_table(met, runs)]
            for each in met:
                left.pop(each.name, None)
    if left:
        parts += ["\n## Others\n\n", *_table([*left.values()], runs)]
    for soak in soaks:
        parts += _soak(soak)
    return "".join(parts)


def _table(candidates: Sequence[Candidate], runs: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    yield f"| | {' | '.join(each.name for each in candidates)} |\n|---|{'---|' * len(candidates)}\n"
    for figure in FIGURES:
        yield f"| {figure.what} | {' | '.join(spread(runs[each.name], figure) for each in candidates)} |\n"
    yield "\n"
    for each in candidates:
        yield f"- `{each.name}`: {each.what}\n"
    for remark in (remark for each in candidates for remark in remarks(each.name, runs[each.name])):
        yield f"- {remark}\n"


def _soak(soak: Soak) -> Iterator[str]:
    yield f"\n## {soak.samples[-1].orders} orders through `{soak.candidate}`\n\n"
    yield "| orders | orders/s | memory of the services, MiB | databases, MiB | a poll of the outbox, ms |\n"
    yield "|---|---|---|---|---|\n"
    for each in soak.samples:
        yield f"| {each.orders} | {each.rate:.0f} | {each.memory:.0f} | {each.databases:.1f} | {each.poll:.2f} |\n"
    for objection in soak.objections:
        yield f"\nIt does not count: {objection}.\n"
