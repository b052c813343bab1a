"""Answers that are given while the request still comes in, however long both are.

Many clients send all they have before they read anything. If we then stopped reading because they do not, both sides
would wait for ever. So what a client has not taken yet is kept for it, packed, up to a bound; only beyond it we stop
reading. A client that neither sends nor takes anything for a while is hung up on.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from http import HTTPStatus
from time import monotonic
from typing import Final, TypeAlias, TypeVar

from fastapi.responses import JSONResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from consentflow.api.problems import problem

PATIENCE: Final = 60.0
"""Seconds in which a client must send or take something."""

MOST_KEPT: Final = 32 * 1024 * 1024
"""Packed bytes kept for a client that does not read yet: the results of a million lines or so."""

ENOUGH: Final = 256 * 1024
"""Bytes that are worth the work of an answer: what comes faster than we answer goes together."""

A_MOMENT: Final = 0.005
"""Seconds for which fewer bytes wait for more."""

_FASTEST: Final = 1
"""Of zlib's levels; results resemble each other so much that it makes one byte of ten."""

T = TypeVar("T")
Pieces: TypeAlias = AsyncIterator[bytes]
Answer: TypeAlias = Callable[[Pieces], AsyncGenerator[bytes, None]]
"""Makes of the pieces of a request, as they come, the pieces of its answer."""


class StalledError(Exception):
    """The client neither sent nor took anything for too long."""


class Streamed(JSONResponse):
    """An answer that is given while the request comes in.

    One whose client falls silent before there is anything to answer is a 408.
    """

    media_type = "application/x-ndjson"

    def __init__(self, answer: Answer) -> None:
        super().__init__(None)
        del self.headers["content-length"]
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads and answers until both are done, or the client is gone."""
        try:
            await _Conversation(self, receive, send).hold(self._answer)
        except StalledError:
            await problem(HTTPStatus.REQUEST_TIMEOUT, "request_timeout")(scope, receive, send)
        except _GoneError:
            pass


class _GoneError(Exception):
    """The client hung up."""


class _Conversation:
    def __init__(self, response: Response, receive: Receive, send: Send) -> None:
        self._response = response
        self._receive = receive
        self._send = send
        self._kept = _Kept()
        self._moved = monotonic()

    async def hold(self, answer: Answer) -> None:
        writing: asyncio.Task[None] | None = None
        try:
            async with aclosing(answer(self._pieces())) as chunks:
                async for chunk in chunks:
                    writing = writing or asyncio.create_task(self._write())
                    self._kept.put(chunk)
                    self._moved = monotonic()  # while we were busy the client had to wait
                    if self._kept.size > MOST_KEPT:
                        await self._patiently(self._kept.no_more_than(MOST_KEPT))
            writing = writing or asyncio.create_task(self._write())
            self._kept.put(b"")
            await self._patiently(writing)
        except StalledError:
            if writing is None:
                raise
        finally:
            if writing is not None and not writing.done():
                writing.cancel()
                with suppress(asyncio.CancelledError):
                    await writing

    async def _pieces(self) -> Pieces:
        """What comes, in pieces that are worth the work; but nothing waits for more than a moment."""
        gathered, more = bytearray(), True
        while more:
            coming = asyncio.ensure_future(self._receive())
            try:
                if gathered:
                    await asyncio.wait({coming}, timeout=A_MOMENT)
                    if len(gathered) >= ENOUGH or not coming.done():
                        yield bytes(gathered)
                        gathered.clear()
                message = await self._patiently(coming)
            finally:
                coming.cancel()
            if message["type"] == "http.disconnect":
                raise _GoneError
            gathered += message.get("body", b"")
            more = message.get("more_body", False)
        if gathered:
            yield bytes(gathered)

    async def _write(self) -> None:
        headers = self._response.raw_headers
        await self._send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        while chunk := await self._kept.take():
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._moved = monotonic()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _patiently(self, waited_for: Awaitable[T]) -> T:
        """Waits for the client, as long as it does anything.

        Raises:
            StalledError: It does nothing.
        """
        began, task = monotonic(), asyncio.ensure_future(waited_for)
        try:
            while not task.done():
                left = max(began, self._moved) + PATIENCE - monotonic()
                if left <= 0:
                    raise StalledError
                await asyncio.wait({task}, timeout=left)
        finally:
            task.cancel()
        self._moved = monotonic()
        return task.result()


class _Kept:
    """What the client has not taken yet, in order. An empty chunk stands for the end."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[bool, bytes]] = deque()
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self.size = 0

    def put(self, chunk: bytes) -> None:
        packed = bool(self._chunks and chunk)  # what is taken at once need not be
        kept = zlib.compress(chunk, _FASTEST) if packed else chunk
        self._chunks.append((packed, kept))
        self.size += len(kept)
        self._filled.set()

    async def take(self) -> bytes:
        while not self._chunks:
            self._filled.clear()
            await self._filled.wait()
        packed, kept = self._chunks.popleft()
        self.size -= len(kept)
        self._taken.set()
        return zlib.decompress(kept) if packed else kept

    async def no_more_than(self, size: int) -> None:
        while self.size > size:
            self._taken.clear()
            await self._taken.wait()
