"""How the relay hears at once of a row that was stored, whichever process of the host has stored it."""

import logging
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)


class Waiting(Protocol):
    """What a listener waits by, as by a threading.Event: `wait` ends at once if it has rung since the last `clear`."""

    def clear(self) -> None: ...

    def wait(self, timeout: float) -> object: ...


class Bell:
    """Heard in this process only."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """End the wait of who listens, or the next one. Blocks nobody; for any thread."""
        self._rung.set()

    @contextmanager
    def listening(self) -> Iterator[Waiting]:
        """Hear what is rung from now on."""
        yield self._rung


class Pipe(Bell):
    """Heard by the one that listens in any process of the host: a named pipe at *path* (fifo(7)), which stores nothing.

    It is made by the first who listens. On a disk that has no pipes nobody hears anything.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._told = False

    def ring(self) -> None:
        # While nobody listens there is no pipe (ENOENT), or none to be opened (ENXIO); a full one has been rung before
        # (EAGAIN). Whatever else it is, the row is stored, and the relay looks by itself after a while.
        with suppress(OSError):
            pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(pipe, b"!")
            finally:
                os.close(pipe)

    @contextmanager
    def listening(self) -> Iterator[Waiting]:
        try:
            pipe = self._open()
        except OSError as error:
            self._tell(error)
            yield self._rung
            return
        try:
            yield _Read(pipe)
        finally:
            os.close(pipe)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            log.warning("new rows are found late: there is no pipe", extra={"pipe": str(self._path)}, exc_info=error)

    def _open(self) -> int:
        with suppress(FileExistsError):
            os.mkfifo(self._path)
        # For writing too: it then has no end when a writer closes it.
        return os.open(self._path, os.O_RDWR | os.O_NONBLOCK)


class _Read:
    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._readable = select.poll()
        self._readable.register(pipe, select.POLLIN)

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._pipe, 65536)

    def wait(self, timeout: float) -> object:
        return self._readable.poll(timeout * 1000)
