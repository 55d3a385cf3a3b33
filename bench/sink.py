"""A mail server that keeps nothing: `python sink.py PORT FILE` notes in FILE who got an e-mail and when.

A line for each e-mail: the recipient's local part, and nanoseconds since the epoch.
"""

import asyncio
import os
import re
import sys
import time
from pathlib import Path

END_OF_CONTENT = b"\r\n.\r\n"
HELLO = b"250-sink\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n"
ANSWERS = {b"EHLO": HELLO, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class Sink(asyncio.Protocol):
    """One client."""

    transport: asyncio.Transport

    def __init__(self, file: int) -> None:
        self._file = file
        self._received = b""
        self._recipients: list[str] = []
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            before, end, after = self._received.partition(END_OF_CONTENT if self._in_content else b"\r\n")
            if not end:
                return
            self._received = after
            self.transport.write(self._note() if self._in_content else self._answer(before))

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"RCPT" and (found := re.search(rb"<([^@>]*)", line)):
            self._recipients.append(found[1].decode())
        self._in_content = verb == b"DATA"
        return ANSWERS.get(verb, b"250 OK\r\n")

    def _note(self) -> bytes:
        for recipient in self._recipients:
            os.write(self._file, f"{recipient} {time.time_ns()}\n".encode())
        self._recipients, self._in_content = [], False
        return b"250 OK\r\n"


async def serve(port: int, path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    server = await asyncio.get_running_loop().create_server(lambda: Sink(file), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
