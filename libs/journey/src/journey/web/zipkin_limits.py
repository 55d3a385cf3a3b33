"""What bounds the page's questions to Zipkin: how many wait at once, and for how long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, Final

import requests

from journey.source import ZipkinSource

AT_ONCE: Final = 4
SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 3.0


class Busy(Exception):
    """As many requests as may wait for Zipkin do so already."""


class Zipkin:
    """A Zipkin that at most AT_ONCE requests may wait for; the next one is refused and does not queue.

    The page may share a process with a service, whose threads must not all wait here.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._places = BoundedSemaphore(AT_ONCE)

    @contextmanager
    def source(self) -> Iterator[ZipkinSource]:
        """Give the source of traces for SECONDS. Busy if there is no place."""
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            with _Hurried(SECONDS) as session:
                yield ZipkinSource(self._url, session)
        finally:
            self._places.release()


class _Hurried(requests.Session):
    """A session all of whose requests together have so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._end = time.monotonic() + seconds

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        left = self._end - time.monotonic()
        if left <= 0:
            raise requests.Timeout("Zipkin takes too long")
        return super().request(*arguments, **{**named, "timeout": min(left, ANSWER_SECONDS)})
