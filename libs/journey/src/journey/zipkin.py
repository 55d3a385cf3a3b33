"""Zipkin's API v2. Every request is bounded: 3 s to connect, 15 s for each wait on the answer.

Anything but an answer, or "not found" where that is one, raises requests.RequestException.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from journey.trace import Trace

TIMEOUT: Final = (3.0, 15.0)
# Zipkin answers 414 to an address over 4 KB, which is 122 ids.
CHUNK: Final = 100
# What the shell has of proxies is not for this machine.
DIRECT: Final = {"http": "", "https": "", "all": ""}
WEEK: Final = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Calls:
    """How often an edge of the dependency graph was gone along, and how often with an error."""

    count: int
    errors: int


def fetch(zipkin_url: str, trace_id: str, session: requests.Session | None = None) -> Trace | None:
    """Get one trace by its id, or None where Zipkin does not have it (yet)."""
    response = _get(zipkin_url, f"trace/{trace_id}", session)
    if response.status_code == requests.codes.not_found:
        return None
    spans = _json(response)
    return Trace.from_zipkin(spans) if spans else None


def fetch_many(zipkin_url: str, trace_ids: Iterable[str], session: requests.Session | None = None) -> dict[str, Trace]:
    """Get many traces by their ids, those that Zipkin has, under the ids as given."""
    wanted = {_as_zipkin_has(trace_id): trace_id for trace_id in trace_ids}
    found: dict[str, Trace] = {}
    for chunk in _chunks(wanted):
        if len(chunk) == 1:  # Zipkin refuses one id here
            traces = [trace] if (trace := fetch(zipkin_url, chunk[0], session)) else []
        else:
            response = _get(zipkin_url, "traceMany", session, traceIds=",".join(chunk))
            traces = [Trace.from_zipkin(spans) for spans in _json(response)]
        found |= {wanted[trace.id]: trace for trace in traces}
    return found


def search(
    zipkin_url: str,
    session: requests.Session | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    service: str | None = None,
    until: float | None = None,
    seconds: float = WEEK,
    limit: int = 100,
) -> list[Trace]:
    """Find traces that have these tags, on one span or on several, or a span of a service; the latest first.

    They began in the `seconds` up to `until` (seconds since the epoch; now, and a minute for clocks that differ).
    """
    end = time.time() + 60 if until is None else until
    query = {"endTs": str(int(end * 1000)), "lookback": str(int(seconds * 1000)), "limit": str(limit)}
    if tags:
        query["annotationQuery"] = " and ".join(f"{name}={value}" for name, value in tags.items())
    if service:
        query["serviceName"] = service
    found = [Trace.from_zipkin(spans) for spans in _json(_get(zipkin_url, "traces", session, **query)) if spans]
    return sorted(found, key=lambda trace: trace.spans[0].start or 0, reverse=True)


def dependencies(zipkin_url: str, session: requests.Session | None = None) -> dict[tuple[str, str], Calls]:
    """Get the dependency graph of the last 24 hours: its edges as (parent, child)."""
    response = _get(zipkin_url, "dependencies", session, endTs=str(int(time.time() * 1000)))
    return {
        (link["parent"], link["child"]): Calls(link["callCount"], link.get("errorCount", 0)) for link in _json(response)
    }


def _get(zipkin_url: str, path: str, session: requests.Session | None, **query: str) -> requests.Response:
    get = session.get if session else requests.get
    url = f"{zipkin_url.rstrip('/')}/api/v2/{path}"
    return get(url, params=query, timeout=TIMEOUT, proxies=DIRECT if _is_loopback(url) else None)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _json(response: requests.Response) -> Any:
    response.raise_for_status()
    return response.json()


def _as_zipkin_has(trace_id: str) -> str:
    # A trace id whose upper half is zero is one of 64 bits to Zipkin.
    return trace_id.lower().removeprefix("0" * 16) if len(trace_id) == 32 else trace_id.lower()


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
