"""`python -m bench`: runs the candidates round by round, and writes the figures.

The exit code is 1 if a run does not count.

Every option is also a variable: BENCH_CANDIDATES, BENCH_ROUNDS, BENCH_ORDERS, BENCH_SECONDS, BENCH_FAST_SECONDS,
BENCH_SOAK, BENCH_OTHER, BENCH_SHORT, BENCH_PAGE.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from stack import StackError
from stack.services import no_proxy
from stack.settings import REPOSITORY

from bench.candidates import Candidate, LeftOut, chosen
from bench.measuring import Plan, Run, measure
from bench.results import Results
from bench.soak import soak
from bench.stage import Stage

RESULTS = REPOSITORY / ".stack" / "bench" / "results"
PAGE = REPOSITORY / "docs" / "numbers.md"
FULL, SHORT = Plan(), Plan(warm_up=50, orders=300, seconds=3, fast_seconds=3)


def main() -> int:
    os.environ.update(no_proxy())
    options = _parser().parse_args()
    short = options.short == "1"
    plan = _plan(options, SHORT if short else FULL)
    try:
        candidates = _installed(chosen(options.candidates.split(","), options.other))
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, Stage(Path(folder)) as stage:
            runs = _rounds(stage, candidates, plan, int(options.rounds or (1 if short else 3)))
            soaks = [soak(stage, each, int(options.soak)) for each in candidates if each.mails and int(options.soak)]
    except StackError as error:
        sys.exit(str(error))
    results = Results(_command(), plan, runs, candidates, soaks)
    place = RESULTS / time.strftime("%Y-%m-%d-%H%M%S")
    text = results.write(place)
    if page := options.page or (None if short else PAGE):
        page.write_text(text)
    print(f"\n{text}\nThe results: {place / 'results.json'}\nThe page: {page or place / 'numbers.md'}")
    return 0 if all(run.counts for of_candidate in runs.values() for run in of_candidate) else 1


def _installed(candidates: Sequence[Candidate]) -> list[Candidate]:
    there = []
    for each in candidates:
        try:
            each.install(REPOSITORY / ".stack")
        except LeftOut as reason:
            print(f"{each.name} is left out: {reason}", flush=True)
        else:
            there.append(each)
    return there


def _rounds(stage: Stage, candidates: Sequence[Candidate], plan: Plan, rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = defaultdict(list)
    for number in range(1, rounds + 1):
        for each in candidates:
            try:
                run = measure(stage, each, plan)
            except StackError as error:  # the figures of an hour are not given away for one that does not start
                run = Run(each.name, objections=[str(error).splitlines()[0]])
            runs[each.name].append(run)
            print(f"round {number}  {each.name:<18}{_line(run)}", flush=True)
    return runs


def _line(run: Run) -> str:
    if not run.counts:
        return f"does not count: {'; '.join(run.objections)}"
    figures = run.figures
    line = (
        f"{figures['chain_rate']:5.0f} orders/s  {figures['cpu_closed']:6.2f} CPU s per 1,000"
        f"  end after {figures['chain_p50']:.1f} ms  backlog {figures['backlog']:.0f}"
    )
    return f"{line}  disturbed: others used {run.foreign:.0%}" if run.disturbed else line


def _command() -> str:
    """How to do it again."""
    given = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("BENCH_") and value]
    return " ".join([*given, "make bench"])


def _plan(options: argparse.Namespace, base: Plan) -> Plan:
    return Plan(
        warm_up=base.warm_up,
        orders=int(options.orders or base.orders),
        seconds=int(options.seconds or base.seconds),
        fast_seconds=int(options.fast_seconds or base.fast_seconds),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="The same chain as others build it.")
    add, given = parser.add_argument, os.environ.get
    names = "names, comparison, ladder, growth, all; with commas"
    add("--candidates", default=given("BENCH_CANDIDATES") or "comparison", help=names)
    add("--rounds", default=given("BENCH_ROUNDS"))
    add("--orders", default=given("BENCH_ORDERS"), help="of the closed loop")
    add("--seconds", default=given("BENCH_SECONDS"), help="at 100 orders a second")
    add("--fast-seconds", default=given("BENCH_FAST_SECONDS"), help="at 200 orders a second")
    add("--soak", default=given("BENCH_SOAK") or "0", help="then so many orders through each of ours: what grows?")
    add("--other", default=_path(given("BENCH_OTHER")), type=_path, help="another checkout, to compare with")
    add("--short", default=given("BENCH_SHORT"), nargs="?", const="1", help="one small round, no page in docs")
    add("--page", default=_path(given("BENCH_PAGE")), type=_path, help="where the page goes, like docs/numbers.md")
    return parser


def _path(text: str | None) -> Path | None:
    return Path(text).resolve() if text else None


if __name__ == "__main__":
    sys.exit(main())
