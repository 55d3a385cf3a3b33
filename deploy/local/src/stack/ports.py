import socket
from collections.abc import Iterable

import psutil

from stack.errors import StackError
from stack.parts import Part
from stack.settings import Settings


def check_free(settings: Settings, parts: Iterable[Part]) -> None:
    """Raise StackError naming the first port that is in use, the part that needs it, and who has it."""
    for part in parts:
        for name in part.ports:
            port: int = getattr(settings, name)
            if _is_taken(port):
                raise StackError(
                    f"port {port}, which {part.name} needs, is in use{_holder(port)}: "
                    f"stop what uses it, or set {name.upper()} to another port"
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
