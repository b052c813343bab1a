"""How many requests there were, how they ended, and how long they took; each is where a trace begins or goes on.

A request is counted under the template of its route, never under its path: paths hold tokens and addresses.
"""

import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentflow import tracing

_REQUESTS = Counter("consentflow_http_requests_total", "HTTP requests answered.", ["method", "route", "status"])
_SECONDS = Histogram(
    "consentflow_http_request_seconds",
    "How long they took, from their first byte.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_FAILURE = 500
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

        method = scope["method"] if scope["method"] in _METHODS else "other"
        with tracing.within(_trace(scope)), tracing.span(method, "server") as step:
            try:
                await self._app(scope, receive, noting)
            finally:
                route = _route(scope)
                _REQUESTS.labels(method, route, str(status)).inc()
                _SECONDS.labels(method, route).observe(time.perf_counter() - began)
                _describe(step, scope, method, route, status)


def _describe(step: tracing.Span, scope: Scope, method: str, route: str, status: int) -> None:
    """As OpenTelemetry's conventions for HTTP servers want it, but for the path, which holds tokens."""
    step.name(method if route == "none" else f"{method} {route}")
    told = {"http.request.method": method if method != "other" else "_OTHER", "url.scheme": str(scope["scheme"])}
    step.tell(told | ({} if route == "none" else {"http.route": route}) | {"http.response.status_code": status})
    if status >= _FAILURE:
        step.failed(str(status))


def _trace(scope: Scope) -> str | None:
    """The trace that the client says this is part of."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)


def _route(scope: Scope) -> str:
    """The template of the route that took the request; ``none`` for whatever has none, files included."""
    template = getattr(scope.get("route"), "path_format", None)
    return template if isinstance(template, str) else "none"
