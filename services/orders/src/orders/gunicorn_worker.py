"""gunicorn's threads, of which a slow client takes none: they get whole requests only.

gthread gives a connection to a thread with its first byte, and the thread waits for the rest for as long as the client
likes. Here the event loop gathers what comes, as a reverse proxy would. Threads read what was gathered, never a socket.
"""

import contextlib
import errno
import selectors
import socket
import time
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from gunicorn.asgi.parser import ParseError, PythonProtocol
from gunicorn.http.body import LengthReader
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn, ThreadWorker

# From the first byte to the last. The event loop looks at the time once a second.
REQUEST_SECONDS: Final = 7.0
# For a client that does not read its answers, once they no longer fit into the socket's buffer.
SEND_SECONDS: Final = 1.0
# For a client to close its side: without that the last of an answer can be lost (RFC 9112, section 9.6).
GOODBYE_SECONDS: Final = 1.0
# More than the largest order with its headers. Of what is longer the application sees the beginning, and refuses it.
MAX_BYTES: Final = 96 * 1024

TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Socket(socket.socket):
    """One on which a thread does not wait forever."""

    def setblocking(self, flag: bool) -> None:
        self.settimeout(SEND_SECONDS if flag else 0.0)

    def sendall(self, *arguments: Any) -> None:
        """Send all of it; a client that does not read is one that has gone, which gunicorn does not log as an error."""
        try:
            super().sendall(*arguments)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from None

    def sendfile(self, *arguments: Any, **named: Any) -> int:
        """Send a file, as `sendall` does."""
        try:
            return super().sendfile(*arguments, **named)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from None


class Parser(RequestParser):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's parser, whose first request can be looked at before the thread asks for it."""

    _ahead: Any = None

    def look_ahead(self) -> bool:
        """Return whether its bytes hold a whole request, as far as that is easy to say."""
        try:
            self._ahead = super().__next__()
        except Exception:  # the thread, which parses it again, says what is wrong
            return False
        reader = self._ahead.body.reader
        return isinstance(reader, LengthReader) and reader.length <= len(self.unreader.buf.getbuffer())

    def __next__(self) -> Any:
        ahead, self._ahead = self._ahead, None
        return ahead or super().__next__()


class Connection(TConn):  # type: ignore[misc]
    """A client, and what it has sent of its next request."""

    framing: Any
    parser: Any

    def begin(self) -> None:
        """Expect a request."""
        self.release()
        self.deadline = time.monotonic() + REQUEST_SECONDS
        self.leaving = self.encouraged = self.is_whole = False

    def release(self) -> None:
        """Hold what was gathered no longer."""
        self.received, self.framing, self.parser = bytearray(), None, None

    def to_parser(self) -> None:
        """Give what was gathered to a parser, unless one has looked at it already."""
        parser = self.parser or Parser(self.cfg, iter([bytes(self.received)]), self.client)
        self.release()
        self.parser = parser

    def take(self, data: bytes) -> bool:
        """Add what came; return whether a thread should have it: it is a whole request, or can be none."""
        self.received += data
        if self.framing is None:
            # Most requests come in one piece, and are parsed only once.
            if b"\r\n\r\n" in data:
                parser = Parser(self.cfg, iter([data]), self.client)
                if parser.look_ahead():
                    self.parser, self.is_whole = parser, True
                    return True
            self.framing = PythonProtocol(
                limit_request_line=self.cfg.limit_request_line,
                limit_request_fields=self.cfg.limit_request_fields,
                limit_request_field_size=self.cfg.limit_request_field_size,
                permit_unconventional_http_method=self.cfg.permit_unconventional_http_method,
                permit_unconventional_http_version=self.cfg.permit_unconventional_http_version,
            )
        try:
            self.framing.feed(data)
        except (ParseError, ValueError):  # ValueError: int() takes 4300 digits at most
            return True  # gunicorn's other parser, which the thread uses, says what is wrong
        self.is_whole = self.framing.is_complete
        if self.is_whole or len(self.received) > MAX_BYTES:
            return True
        expected = {value.lower() for name, value in self.framing.headers if name == b"expect"}
        if expected - {b"100-continue"}:
            return True  # gunicorn refuses it, before there is a body
        # RFC 9110, section 10.1.1: a client of HTTP/1.0 does not know of it.
        if expected and not self.encouraged and self.framing.http_version >= (1, 1):
            self.encouraged = True
            with contextlib.suppress(OSError):
                self.sock.send(CONTINUE)
        return False


class Worker(ThreadWorker):  # type: ignore[misc]
    """gthread for whole requests. An unfinished one gets 408 and the end of its connection after 7 to 9 s."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: set[Connection] = set()
        self._next_look = 0.0

    def accept(self, listener: Any) -> None:
        """Take a connection, which has the time of a kept-alive one to begin its first request."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        connection = Connection(self.cfg, Socket(fileno=client.detach()), address, listener.getsockname())
        self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        connection.sock.setblocking(False)
        connection.set_timeout()
        self.keepalived_conns.append(connection)
        self.poller.register(connection.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, connection))

    def on_client_socket_readable(self, connection: Connection, client: socket.socket) -> None:
        """A request begins."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(connection)
        connection.begin()
        self._gather(connection, client)

    def _wait(self, connection: Connection, then: Any) -> None:
        self._waiting.add(connection)
        self.poller.register(connection.sock, selectors.EVENT_READ, partial(then, connection))

    def _stop_waiting(self, connection: Connection) -> None:
        self._waiting.discard(connection)
        self.poller.unregister(connection.sock)

    def _gather(self, connection: Connection, client: socket.socket) -> None:
        try:
            data = client.recv(MAX_BYTES + 1 - len(connection.received))
        except BlockingIOError:
            self._wait(connection, self._gather_more)
            return
        except OSError:
            data = b""
            connection.received.clear()
        if not data and not connection.received:
            self._forget(connection)
        elif not data or connection.take(data):
            self._hand_over(connection)
        else:
            self._wait(connection, self._gather_more)

    def _gather_more(self, connection: Connection, client: socket.socket) -> None:
        self._stop_waiting(connection)
        self._gather(connection, client)

    def _hand_over(self, connection: Connection) -> None:
        connection.to_parser()
        connection.initialized = connection.data_ready = True
        self.enqueue_req(connection)

    def handle_request(self, request: Any, connection: Connection) -> Any:
        """Run the application, in a thread."""
        request._expected_100_continue = False  # whoever is to hear it has heard it
        if not connection.is_whole:
            request.force_close()
        return super().handle_request(request, connection)

    def finish_request(self, connection: Connection, done: "Future[Any]") -> None:
        """Expect the next request, of which a part may be there already, or say goodbye."""
        # Where an unfinished request ends is unknown: what follows must not be read as the next one.
        if done.cancelled() or done.exception() or not done.result() or not connection.is_whole:
            self._say_goodbye(connection)
            return
        rest = connection.parser.unreader.take_buffered()
        connection.release()
        if not rest:
            self._keep(connection)
            return
        connection.sock.setblocking(False)
        connection.begin()
        if connection.take(rest):
            self._hand_over(connection)
        else:
            self._wait(connection, self._gather_more)

    def _say_goodbye(self, connection: Connection) -> None:
        connection.release()
        connection.leaving, connection.deadline = True, time.monotonic() + GOODBYE_SECONDS
        try:
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone already
            self._forget(connection)
        else:
            self._wait(connection, self._drain)

    def _drain(self, connection: Connection, client: socket.socket) -> None:
        try:
            more = client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._stop_waiting(connection)
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self.nr_conns -= 1
        connection.close()

    def murder_pending(self) -> None:
        """End what takes too long. gunicorn calls this in each turn of its loop, at least once a second."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + 0.5
        for connection in [each for each in self._waiting if each.deadline < now]:
            if connection.leaving:
                self._close(connection)
                continue
            with contextlib.suppress(OSError):
                connection.sock.send(TOO_SLOW)
            self._stop_waiting(connection)
            self._say_goodbye(connection)
