"""How much, and how slowly, anybody may send."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentflow.api.problems import problem

MOST_BYTES = 1_000_000
"""The largest request body."""

SLOWEST = 20.0
"""Seconds a client may take between two pieces of a body."""


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
        pieces: list[Message] = []
        size = 0
        while True:
            try:
                async with asyncio.timeout(self._slowest):
                    message = await receive()
            except TimeoutError:
                await problem(HTTPStatus.REQUEST_TIMEOUT, "request_timeout")(scope, receive, send)
                return
            if message["type"] == "http.disconnect":
                return
            pieces.append(message)
            size += len(message.get("body", b""))
            if size > self._most:
                too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                await problem(too_large, "too_large", headers={"Connection": "close"})(scope, receive, send)
                return
            if not message.get("more_body", False):
                break

        async def replay() -> Message:
            return pieces.pop(0) if pieces else await receive()

        await self._app(scope, replay, send)
