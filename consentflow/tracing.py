"""Traces: the way of one request through processes, from the door to the mail.

Without a set-up nothing of this does anything, and the SDK of OpenTelemetry is not even loaded. No name and no
attribute of a span holds personal data, a token or a path.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol

from consentflow.domain.errors import ConsentflowError

if TYPE_CHECKING:
    from consentflow.telemetry import Telemetry

Kind = Literal["server", "consumer", "client", "internal"]
Value = str | int


class TracingUnavailable(ConsentflowError):
    """Traces are wanted, and what makes them is not installed."""


class Span(Protocol):
    """A step of the way; its end is the end of the block it was opened for."""

    def name(self, name: str) -> None:
        """Names it anew."""

    def tell(self, attributes: Mapping[str, Value]) -> None:
        """Says more of it."""

    def failed(self, error: str) -> None:
        """It came to nothing.

        Args:
            error: Of what kind; the text of an error is for the log.
        """


class _NoSpan:
    def name(self, name: str) -> None:
        """Nobody looks."""

    def tell(self, attributes: Mapping[str, Value]) -> None:
        """Nobody looks."""

    def failed(self, error: str) -> None:
        """Nobody looks."""


_NO_SPAN = _NoSpan()
_telemetry: "Telemetry | None" = None


@contextmanager
def sending_traces(endpoint: str | None, process: str) -> Iterator[None]:
    """Sends the spans of this process to a collector until the block ends; without an endpoint nothing is done.

    Args:
        endpoint: Of an OTLP receiver that speaks HTTP, without a path: ``http://collector.example:4318``.
        process: What the process is, such as ``api``.

    Raises:
        TracingUnavailable: The extra ``otel`` is not installed.
    """
    global _telemetry  # noqa: PLW0603 - one for the process, as there is one log
    if endpoint is None:
        yield
        return
    missing = [name for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http") if not _is_there(name)]
    if missing:
        raise TracingUnavailable(
            f"CONSENTFLOW_TRACING__ENDPOINT is set, and {missing[0]} is not installed; it comes with the extra otel"
        )
    from consentflow.telemetry import Telemetry  # noqa: PLC0415 - loaded only by those who want it

    _telemetry = Telemetry.to(endpoint, process)
    try:
        yield
    finally:
        _telemetry.close()
        _telemetry = None


@contextmanager
def span(name: str, kind: Kind = "internal", attributes: Mapping[str, Value] | None = None) -> Iterator[Span]:
    """Traces the block as a step of what it is part of. An exception marks the step with its kind and goes on."""
    if _telemetry is None:
        yield _NO_SPAN
        return
    with _telemetry.span(name, kind, attributes or {}) as step:
        yield step


@contextmanager
def within(trace: str | None) -> Iterator[None]:
    """Makes the steps of the block part of what came from elsewhere.

    Args:
        trace: A ``traceparent`` (W3C Trace Context); None, or one that cannot be read, begins a trace of its own.
    """
    if _telemetry is None:
        yield
        return
    with _telemetry.within(trace):
        yield


def current() -> str | None:
    """The ``traceparent`` of the step that this is part of, to be handed on; None when nothing is traced."""
    return None if _telemetry is None else _telemetry.current()


def interceptors() -> list[Any]:
    """What makes Temporal's client and workers take part in traces."""
    return [] if _telemetry is None else _telemetry.interceptors()


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False
