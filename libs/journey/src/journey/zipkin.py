"""Zipkin's API v2. Every request is bounded: 3 s to connect, 15 s for each wait on the answer.

Anything but an answer, or "not found" where that is one, raises requests.RequestException.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from journey.illegible import OTHER_FORM, why
from journey.trace import Trace

TIMEOUT: Final = (3.0, 15.0)
# Zipkin answers 414 to an address over 4 KB, which is 122 ids.
CHUNK: Final = 100
# What the shell has of proxies is not for this machine.
DIRECT: Final = {"http": "", "https": "", "all": ""}
WEEK: Final = 7 * 24 * 3600.0
# So many traces are looked through for a tag that Zipkin cannot be asked for.
LOOKED_THROUGH: Final = 1000
_AND: Final = " and "
_TRACE_ID: Final = re.compile(r"[0-9a-f]{1,32}", re.IGNORECASE)


class NotZipkin(requests.RequestException):
    """What answers is no Zipkin."""


@dataclass(frozen=True)
class Calls:
    """How often an edge of the dependency graph was gone along, and how often with an error."""

    count: int
    errors: int


def fetch(zipkin_url: str, trace_id: str, session: requests.Session | None = None) -> Trace | None:
    """Get one trace by its id, or None where Zipkin does not have it (yet). ValueError if it is no trace id."""
    wanted = _as_zipkin_has(trace_id)
    response = _get(zipkin_url, f"trace/{wanted}", session)
    # Zipkin says which trace it does not have; another server says which page.
    if response.status_code == requests.codes.not_found and wanted in response.text.lower():
        return None
    return next(_traces(response, lambda spans: [spans]), None)


def fetch_many(zipkin_url: str, trace_ids: Iterable[str], session: requests.Session | None = None) -> dict[str, Trace]:
    """Get many traces by their ids, those that Zipkin has, under the ids as given.

    ValueError if one is no trace id. With STRICT_TRACE_ID=false Zipkin has traces by the lower half of their ids.
    """
    given = {trace_id: _as_zipkin_has(trace_id) for trace_id in trace_ids}
    found: dict[str, Trace] = {}
    for chunk in _chunks(dict.fromkeys(given.values())):
        if len(chunk) == 1:  # Zipkin refuses one id here
            traces = [trace] if (trace := fetch(zipkin_url, chunk[0], session)) else []
        else:
            response = _get(zipkin_url, "traceMany", session, traceIds=",".join(chunk))
            traces = list(_traces(response))
        found |= {trace.id: trace for trace in traces} | {trace.id[-16:]: trace for trace in traces}
    of_ids = {each: found.get(id) or found.get(id[-16:]) for each, id in given.items()}
    return {each: trace for each, trace in of_ids.items() if trace}


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
    A value that has " and " in it, which parts conditions to Zipkin, is looked for in the latest 1,000 traces that have
    such a tag.
    """
    end = time.time() + 60 if until is None else until
    query = {"endTs": str(int(end * 1000)), "lookback": str(int(seconds * 1000)), "limit": str(limit)}
    spoken = {name: value for name, value in (tags or {}).items() if _AND in value}
    if tags:
        query["annotationQuery"] = _AND.join(name if name in spoken else f"{name}={tags[name]}" for name in tags)
    if spoken:
        query["limit"] = str(max(limit, LOOKED_THROUGH))
    if service:
        query["serviceName"] = service
    traces = _traces(_get(zipkin_url, "traces", session, **query))
    found = [trace for trace in traces if not spoken or spoken.items() <= _tags(trace)]
    return sorted(found, key=lambda trace: trace.spans[0].start or 0, reverse=True)[:limit]


def _tags(trace: Trace) -> set[tuple[str, str]]:
    return {tag for span in trace.spans for tag in span.tags.items()}


def dependencies(zipkin_url: str, session: requests.Session | None = None) -> dict[tuple[str, str], Calls]:
    """Get the dependency graph of the last 24 hours: its edges as (parent, child)."""
    response = _get(zipkin_url, "dependencies", session, endTs=str(int(time.time() * 1000)))
    with _of_zipkin(response):
        return {
            (link["parent"], link["child"]): Calls(link["callCount"], link.get("errorCount", 0))
            for link in response.json()
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


def _traces(response: requests.Response, lists: Callable[[Any], Any] = lambda lists: lists) -> Iterator[Trace]:
    with _of_zipkin(response):
        traces = [Trace.from_zipkin(spans) for spans in lists(response.json()) if spans]
    return iter(traces)


@contextmanager
def _of_zipkin(response: requests.Response) -> Iterator[None]:
    """Raise what the answer is, if it is none; NotZipkin if it has another form than Zipkin's."""
    response.raise_for_status()
    try:
        yield
    except OTHER_FORM as error:
        raise NotZipkin(f"{response.url} answers, and not as Zipkin does: {why(error)}", response=response) from error


def _as_zipkin_has(trace_id: str) -> str:
    # A trace id whose upper half is zero is one of 64 bits to Zipkin.
    if not isinstance(trace_id, str) or not _TRACE_ID.fullmatch(trace_id):
        raise ValueError(f"{trace_id!r} is no trace id")
    return trace_id.lower().removeprefix("0" * 16) if len(trace_id) == 32 else trace_id.lower()


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
