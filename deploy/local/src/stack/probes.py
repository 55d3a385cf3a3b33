"""Probes: each looks once and returns None when the part is ready, else what is missing."""

import http.client
import json
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

Probe = Callable[[], str | None]

# A look must not hold up the looks at the other parts.
TIMEOUT = 0.5
# A worker's event loop writes its status every second.
HANGS_AFTER_S = 15
# Metadata v4 for no topic: length, key 3, version 4, correlation id, client id "stack", empty list, no topic creation.
KAFKA_METADATA = struct.pack(">ihhih5sib", 20, 3, 4, 1, 5, b"stack", 0, 0)


def http_ok(port: int, path: str) -> Probe:
    """Ready when GET answers 200; the reason why not is what a problem document (RFC 9457) says."""

    def probe() -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status == 200:
                return None
            return f"GET {path} on port {port} answers {response.status}{_detail(response.read())}"
        except (OSError, http.client.HTTPException) as error:
            return f"GET {path} on port {port}: {error!r}"
        finally:
            connection.close()

    return probe


def _detail(body: bytes) -> str:
    try:
        return f": {json.loads(body)['detail']}"
    except (ValueError, KeyError, TypeError):
        return ""


def smtp_greets(port: int) -> Probe:
    """Ready when a mail server says 220."""

    def probe() -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
                greeting = connection.recv(512)
        except OSError as error:
            return f"SMTP on port {port}: {error}"
        return None if greeting.startswith(b"220") else f"SMTP on port {port} says {greeting!r}"

    return probe


def kafka_serves(port: int) -> Probe:
    """Ready when the broker lists itself: an open port alone is a broker that may still refuse work for seconds."""

    def probe() -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
                connection.sendall(KAFKA_METADATA)
                answer = connection.recv(16, socket.MSG_WAITALL)
        except OSError as error:
            return f"Kafka on port {port}: {error}"
        brokers = struct.unpack(">iiii", answer)[3] if len(answer) == 16 else 0
        return None if brokers == 1 else f"Kafka on port {port} answers and has no broker yet"

    return probe


def postgres_serves(url: str) -> Probe:
    """Ready when a session begins: an open port alone is a server that may still mend its data."""

    def probe() -> str | None:
        try:
            # The driver waits 2 s at least for a server that hangs.
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            return f"PostgreSQL: {str(error).splitlines()[0]}"
        return None

    return probe


def status_ready(file: Path) -> Probe:
    """Ready when a worker's status file says so, {"ready": bool, "reason": "…"}, and was written in the last 15 s."""

    def probe() -> str | None:
        try:
            silent = time.time() - file.stat().st_mtime
            status = json.loads(file.read_text())
            if silent > HANGS_AFTER_S:
                return f"hangs: last sign of life {silent:.0f} s ago"
            return None if status["ready"] else f"not ready: {status.get('reason', 'no reason given')}"
        except FileNotFoundError:
            return "has not written its status yet"
        except (ValueError, KeyError, TypeError) as error:
            return f"{file.name} makes no sense: {error!r}"

    return probe
