"""What every answer tells the browser: API, pages, refusals and failures alike."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
"""Nothing is kept, told to other sites, framed, or loaded from elsewhere."""

_OWN: Final = {
    "/assets/": {"Cache-Control": "public, max-age=3600"},  # hold nothing about anybody
    "/docs": {"Content-Security-Policy": "frame-ancestors 'none'"},  # its program comes from elsewhere
    "/redoc": {"Content-Security-Policy": "frame-ancestors 'none'"},
}
"""What differs below these paths."""

_POLICY: Final = b"content-security-policy"
_FRAMES: Final = b"x-frame-options"
_A_YEAR: Final = 365 * 24 * 3600

Raw = list[tuple[bytes, bytes]]


class SafeHeaders:
    """Adds to every answer the headers that it does not have yet; what an answer says itself stays.

    Whoever sets a policy of its own says there who may frame it.

    Args:
        encrypted: Whether people reach the service over TLS, and shall do so from now on (RFC 6797).
    """

    def __init__(self, app: ASGIApp, *, encrypted: bool) -> None:
        self._app = app
        usual = HEADERS | ({"Strict-Transport-Security": f"max-age={_A_YEAR}"} if encrypted else {})
        self._usual = _raw(usual)
        self._own = [(below, _raw(usual | own)) for below, own in _OWN.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._completed(scope["path"], list(message.get("headers", ())))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _completed(self, path: str, headers: Raw) -> Raw:
        said = {name.lower() for name, _ in headers}
        if _POLICY in said:
            said.add(_FRAMES)
        more = next((own for below, own in self._own if path.startswith(below)), self._usual)
        return headers + [each for each in more if each[0] not in said]


def _raw(headers: dict[str, str]) -> Raw:
    """As a server sends them: octets on the path of every answer."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
