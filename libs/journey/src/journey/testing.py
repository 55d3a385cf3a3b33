"""Assertions for tests of any framework."""

from collections.abc import Sequence

from journey.chain import Row
from journey.report import report
from journey.trace import Trace


def assert_journey(trace: Trace, chain: Sequence[Row], remote_parent: str | None = None) -> None:
    """Fail where a trace is not exactly the chain; the message draws its tree and marks the wrong lines.

    For `remote_parent` see `differences`. What has not arrived yet is missing: use `wait_for` to wait for it.
    """
    __tracebackhide__ = True
    if text := report(trace, chain, remote_parent):
        raise AssertionError(f"Trace {trace.id} is not the declared journey:\n{text}")
