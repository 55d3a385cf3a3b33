"""`journey doctor` as its users have it: what it says, and its exit code."""

import json
from typing import Any

from click.testing import CliRunner
from journey.cli import main

from tests.e2e.polling import poll_until

Said = list[dict[str, Any]]
# What is not whole yet, and not broken.
WAITING = frozenset({"still in the queue", "under way", "in retry"})


def doctor(zipkin_url: str, *arguments: str) -> tuple[int, Said]:
    """Return the exit code, and what is said of each trace."""
    done = CliRunner().invoke(main, ["doctor", "--zipkin", zipkin_url, "--json", *arguments])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]


def causes(said: Said) -> list[str]:
    """Return what is wrong with all traces together."""
    return [finding["cause"] for trace in said for finding in trace["findings"]]


def expect_causes(zipkin_url: str, *arguments: str, expected: list[str], within: float = 30) -> Said:
    """Wait until the doctor finds exactly this, with the exit code for it; return what it says of each trace."""
    last: list[Any] = [None, []]
    code = 3 if WAITING.issuperset(expected) else 1

    def found() -> bool:
        last[:] = doctor(zipkin_url, *arguments)
        return last[0] == code and causes(last[1]) == expected

    try:
        poll_until(found, "", timeout=within)
    except AssertionError:
        raise AssertionError(f"the doctor finds not {expected}, but: {last}") from None
    return list(last[1])


def expect_whole(zipkin_url: str, *arguments: str) -> None:
    """Wait until the doctor finds nothing wrong, with exit code 0."""
    last: list[Any] = [None, []]

    def found() -> bool:
        last[:] = doctor(zipkin_url, *arguments)
        return last[0] == 0

    try:
        poll_until(found, "", timeout=30)
    except AssertionError:
        raise AssertionError(f"the doctor does not find it whole: {last}") from None
