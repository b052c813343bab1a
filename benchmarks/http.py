"""A load generator that costs next to nothing: prepared requests over kept connections."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    key: str

    def request(self, method: str, path: str, body: bytes, media_type: str = "application/json") -> bytes:
        """A request as bytes."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def post(self, path: str, content: object, media_type: str = "application/json") -> bytes:
        """A POST of JSON as bytes."""
        return self.request("POST", path, json.dumps(content).encode(), media_type)


async def send_all(target: Target, requests: Sequence[bytes], *, connections: int) -> None:
    """Sends every request, so many at once, and waits for the answers.

    Raises:
        RuntimeError: An answer was no 2xx.
    """
    waiting = iter(requests)
    await asyncio.gather(*(_send(target, waiting) for _ in range(connections)))


async def _send(target: Target, requests: Iterator[bytes]) -> None:
    reader, writer = await asyncio.open_connection(target.host, target.port, limit=2**22)
    try:
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(length)
            if head[9:10] != b"2":
                raise RuntimeError(f"{head[:12]!r} {body[:300]!r}")
    finally:
        writer.close()
