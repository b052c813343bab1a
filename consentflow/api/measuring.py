"""How many requests there were, how they ended, and how long they took.

A request is counted under the template of its route, never under its path: paths hold tokens and addresses.
"""

import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUESTS = Counter("consentflow_http_requests_total", "HTTP requests answered.", ["method", "route", "status"])
_SECONDS = Histogram(
    "consentflow_http_request_seconds",
    "How long they took, from their first byte.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measured:
    """Counts and times every request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500  # what is raised becomes one further out

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = _route(scope)
            _REQUESTS.labels(method, route, str(status)).inc()
            _SECONDS.labels(method, route).observe(time.perf_counter() - began)


def _route(scope: Scope) -> str:
    """The template of the route that took the request; ``none`` for whatever has none, files included."""
    template = getattr(scope.get("route"), "path_format", None)
    return template if isinstance(template, str) else "none"
