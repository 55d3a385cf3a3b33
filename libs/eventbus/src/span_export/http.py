"""The way to a Collector that is asked by plain HTTP: one kept connection of the standard library."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from opentelemetry.exporter.http.transport._base import BaseHTTPResult, BaseHTTPTransport


def is_plain(endpoint: str) -> bool:
    """Return True if *endpoint* is reached without TLS, proxy or credentials: the SDK's transport knows these."""
    url = urlsplit(endpoint)
    if url.scheme != "http" or not url.hostname or "@" in url.netloc:
        return False
    if any("CREDENTIAL_PROVIDER" in name for name in os.environ):
        return False
    proxies = getproxies()
    return not (proxies.get("http") or proxies.get("all")) or bool(proxy_bypass(url.netloc))


@dataclass(frozen=True, slots=True)
class _Result(BaseHTTPResult):
    response: HTTPResponse | None = None

    def content(self) -> bytes:
        return b""

    def headers(self) -> Mapping[str, str]:
        # Names are looked up in any case, as the interface wants it.
        return self.response.headers if self.response else {}  # type: ignore[return-value]


class PlainHTTP(BaseHTTPTransport):
    """Send requests to the host of *endpoint*, in one thread at a time; whoever calls tries again what has failed."""

    def __init__(self, endpoint: str) -> None:
        self._connection = HTTPConnection(urlsplit(endpoint).netloc)
        # A child must not answer on its parent's connection.
        os.register_at_fork(after_in_child=self.close)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
        data: bytes | None = None,
    ) -> BaseHTTPResult:
        """Return the answer, or the error for which there is none. *timeout* bounds each step of it, in seconds."""
        connection, parts = self._connection, urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.timeout = timeout
        try:
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            connection.request(method, target, data, headers or {})
            response = connection.getresponse()
            response.read()
        except Exception as error:  # what remains of the request must not be read as the answer to the next one
            connection.close()
            return _Result(error=error)
        return _Result(response.status, response.reason, response=response)

    def is_connection_error(self, exception: Exception | None) -> bool:
        """Return True if it was the connection that failed."""
        return isinstance(exception, OSError | HTTPException)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()
