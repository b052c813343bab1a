"""How much, and how slowly, anybody may send."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentflow.api.problems import problem

MOST_BYTES = 1_000_000
"""The largest request body."""

SLOWEST = 20.0
"""Seconds a client may take for a whole body."""

_HANG_UP = {"Connection": "close"}
"""The rest of the body may still come; on this line it must not be waited for, nor be taken for a request."""


class BodyLimits:
    """Answers 413 to bodies that are too large and 408 to clients that stop in the middle.

    The whole body is read before the application sees the request, so that nothing is ever half-done because of the
    client.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES, slowest: float = SLOWEST) -> None:
        self._app = app
        self._most = most_bytes
        self._slowest = slowest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
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


class _TooLargeError(Exception):
    pass
