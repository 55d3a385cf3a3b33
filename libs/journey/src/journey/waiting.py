"""Wait until a journey has arrived in Zipkin."""

import time
from collections.abc import Sequence

import requests

from journey.chain import Row, differences
from journey.report import report
from journey.trace import Trace
from journey.zipkin import fetch

EVERY = 0.1  # seconds between two looks


class JourneyDiffers(Exception):
    """The journey was not as declared in time. Its text has the differences and the tree that was found."""

    def __init__(self, text: str, trace: Trace | None, differences: Sequence[str]) -> None:
        super().__init__(text)
        self.trace = trace
        self.differences = tuple(differences)


def wait_for(
    zipkin_url: str, trace_id: str, chain: Sequence[Row], timeout: float, remote_parent: str | None = None
) -> Trace:
    """Look for a trace until it is exactly the chain, and return it. For `remote_parent` see `differences`.

    JourneyDiffers after `timeout` seconds, or one request later. Until then Zipkin may be away. A span too many that
    reaches Zipkin after the return is not seen: compare again once all is quiet.
    """
    deadline = time.monotonic() + timeout
    with requests.Session() as session:
        while True:
            trace, found = _look(zipkin_url, trace_id, chain, remote_parent, session)
            if trace and not found:
                return trace
            if time.monotonic() >= deadline:
                raise JourneyDiffers(_text(trace_id, timeout, trace, found, chain, remote_parent), trace, found)
            time.sleep(EVERY)


def _look(
    zipkin_url: str, trace_id: str, chain: Sequence[Row], remote_parent: str | None, session: requests.Session
) -> tuple[Trace | None, list[str]]:
    try:
        trace = fetch(zipkin_url, trace_id, session)
    except requests.RequestException as error:
        return None, [f"Zipkin does not answer: {error}."]
    if trace is None:
        return None, ["Zipkin does not have the trace."]
    return trace, differences(trace, chain, remote_parent)


def _text(
    trace_id: str,
    timeout: float,
    trace: Trace | None,
    found: Sequence[str],
    chain: Sequence[Row],
    remote_parent: str | None,
) -> str:
    told = report(trace, chain, remote_parent) if trace else "\n".join(f"- {line}" for line in found)
    return f"Trace {trace_id} is not the declared journey after {timeout:g} s:\n{told}"
