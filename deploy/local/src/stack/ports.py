"""Ports of this machine: which are free, and who has one that is not."""

import itertools
import os
import socket
from collections.abc import Iterator

import psutil

from stack.console import StackError

# Below 32768: the systems give their own outgoing connections the ports above.
_RANGE = range(15000, 32000)


def free(count: int) -> list[int]:
    """Return so many ports that nobody has."""
    found: list[int] = []
    for port in itertools.islice(_next, len(_RANGE)):
        with socket.socket() as look:
            try:
                look.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise StackError(f"no {count} free ports between {_RANGE[0]} and {_RANGE[-1]}")


def _candidates() -> Iterator[int]:
    """Every port once and then again, from a place of this process's own: what starts beside it looks elsewhere."""
    first = os.getpid() * 7919
    for step in itertools.count():
        yield _RANGE[(first + step) % len(_RANGE)]


_next = _candidates()


def check_free(part: str, setting: str, port: int) -> None:
    """Raise StackError if a port is in use: it names the part that needs it, who has it, and the variable."""
    if _is_taken(port):
        raise StackError(
            f"port {port}, which {part} needs, is in use{_holder(port)}: "
            f"stop what uses it, or set {setting.upper()} to another port"
        )


def _is_taken(port: int) -> bool:
    # Both looks are needed: on macOS one may bind loopback beside somebody who listens everywhere.
    with socket.socket() as look:
        look.settimeout(0.5)
        if look.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as look:
        look.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            look.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            local, pid = connection.laddr, connection.pid
            if local and local.port == port and connection.status == psutil.CONN_LISTEN and pid:
                return f" by {psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:  # macOS tells only root
        pass
    return ""
