"""How much, and how slowly, anybody may send."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentflow.api.problems import problem

MOST_BYTES = 1_000_000
"""The largest request body."""

SLOWEST = 20.0
"""Seconds a client may take for a whole body."""

_HANG_UP = {"Connection": "close"}
"""The rest of the body may still come; on this line it must not be waited for, nor be taken for a request."""

_REFUSALS = frozenset(range(400, 500)) - {HTTPStatus.REQUEST_TIMEOUT}


class BodyLimits:
    """Answers 413 to bodies that are too large and 408 to clients that stop in the middle.

    The whole body is read before the application sees the request, so that nothing is ever half-done because of the
    client.

    Args:
        streamed: Paths that read the body themselves, piece by piece, and have limits of their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        most_bytes: int = MOST_BYTES,
        slowest: float = SLOWEST,
        streamed: Collection[str] = (),
    ) -> None:
        self._app = app
        self._most = most_bytes
        self._slowest = slowest
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] in self._streamed:
            await self._app(scope, receive, self._hanging_up(receive, send))
            return
        try:
            async with asyncio.timeout(self._slowest):
                pieces = await self._read(receive)
        except TimeoutError:
            await problem(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", headers=_HANG_UP)(scope, receive, send)
            return
        except _TooLargeError:
            too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            await problem(too_large, "too_large", headers=_HANG_UP)(scope, receive, send)
            return
        if pieces[-1]["type"] == "http.disconnect":
            return

        async def replay() -> Message:
            return pieces.pop(0) if pieces else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> list[Message]:
        pieces: list[Message] = []
        size = 0
        while not pieces or pieces[-1].get("more_body", False):
            pieces.append(await receive())
            size += len(pieces[-1].get("body", b""))
            if size > self._most:
                raise _TooLargeError
        return pieces

    def _hanging_up(self, receive: Receive, send: Send) -> Send:
        """Closes the line behind every answer, since the body may go on for ever.

        A client that is refused is heard out for a while: one that sends all it has before it reads would find the
        line broken and no answer.
        """
        refused = False

        async def send_and_close(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] in _REFUSALS
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            elif refused and not message.get("more_body", False):
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._slowest):
                        while (await receive()).get("more_body", False):
                            pass
                message = {"type": "http.response.body"}
            await send(message)

        return send_and_close


class _TooLargeError(Exception):
    pass
