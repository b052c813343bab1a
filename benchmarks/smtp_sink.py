"""A mail server that takes everything and keeps nothing: as little work as SMTP allows, in a process of its own.

Run as ``python -m benchmarks.smtp_sink``: prints its port, and after each line on stdin how many mails it has taken.
"""

import asyncio
import sys
from typing import cast

import uvloop

taken = 0


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Answers command by command; a mail ends with a dot on a line of its own."""
        global taken  # noqa: PLW0603 - a process with one number
        self._buffer += data
        while True:
            if self._data:
                end = self._buffer.find(b"\r\n.\r\n")
                if end < 0:
                    return
                self._buffer = self._buffer[end + 5 :]
                self._data = False
                taken += 1
                self._transport.write(b"250 2.0.0 taken\r\n")
                continue
            line, found, rest = self._buffer.partition(b"\r\n")
            if not found:
                return
            self._buffer = rest
            self._answer(line[:4].upper())

    def _answer(self, verb: bytes) -> None:
        match verb:
            case b"EHLO":
                self._transport.write(
                    b"250-sink.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n"
                )
            case b"DATA":
                self._data = True
                self._transport.write(b"354 go on\r\n")
            case b"QUIT":
                self._transport.write(b"221 2.0.0 bye\r\n")
                self._transport.close()
            case _:
                self._transport.write(b"250 2.0.0 fine\r\n")


async def _main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - what it is asked for
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(taken, flush=True)  # noqa: T201


if __name__ == "__main__":
    uvloop.run(_main())
