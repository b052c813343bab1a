"""OpenTelemetry behind `consentflow.tracing`: loaded by whoever sets traces up, and by nobody else.

What else there is to choose, OpenTelemetry's own variables choose: OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER,
OTEL_RESOURCE_ATTRIBUTES and the like.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.client import Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.converter import PayloadConverter

_KINDS = {
    "server": trace.SpanKind.SERVER,
    "consumer": trace.SpanKind.CONSUMER,
    "client": trace.SpanKind.CLIENT,
    "internal": trace.SpanKind.INTERNAL,
}
_LATER = "consentflow=later"
"""In the trace state of a workflow that is to begin later."""

_PROPAGATOR = TraceContextTextMapPropagator()
_fixed: ContextVar[tuple[int, int] | None] = ContextVar("fixed", default=None)


class Telemetry:
    """Makes spans.

    Args:
        processor: Where they go.
        process: What the process is, such as ``api``.
    """

    def __init__(self, processor: SpanProcessor, process: str) -> None:
        self._provider = TracerProvider(
            resource=Resource.create({"service.namespace": "consentflow", "service.name": f"consentflow-{process}"}),
            id_generator=_Ids(),
            shutdown_on_exit=False,
            span_limits=SpanLimits(
                max_events=0
            ),  # they would hold errors with all that led there; those are for the log
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("consentflow")

    @classmethod
    def to(cls, endpoint: str, process: str) -> Self:
        """Sends spans to a collector in the background, some seconds after they ended."""
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
        return cls(BatchSpanProcessor(exporter), process)

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()

    @contextmanager
    def span(self, name: str, kind: str, attributes: Mapping[str, str | int]) -> Iterator["_Step"]:
        """A span around the block."""
        with self._tracer.start_as_current_span(
            name, kind=_KINDS[kind], attributes=dict(attributes), record_exception=False, set_status_on_exception=False
        ) as started:
            step = _Step(started)
            try:
                yield step
            except Exception as error:
                step.failed(type(error).__name__)
                raise

    @contextmanager
    def within(self, traceparent: str | None) -> Iterator[None]:
        """Makes what a ``traceparent`` names the parent of the block's spans."""
        carrier = {"traceparent": traceparent} if traceparent else {}
        token = contexts.attach(_PROPAGATOR.extract(carrier, contexts.Context()))
        try:
            yield
        finally:
            contexts.detach(token)

    def current(self) -> str | None:
        """The current span as a ``traceparent``."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get("traceparent")

    def interceptors(self) -> list[Interceptor]:
        """For Temporal's client; its workers take them from there."""
        return [_Traced(self._tracer), _Later()]


class _Step:
    def __init__(self, started: trace.Span) -> None:
        self._span = started

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def tell(self, attributes: Mapping[str, str | int]) -> None:
        self._span.set_attributes(attributes)

    def failed(self, error: str) -> None:
        self._span.set_attribute("error.type", error)
        self._span.set_status(trace.StatusCode.ERROR)


class _Ids(RandomIdGenerator):
    """Random ids, unless somebody knows better."""

    def generate_trace_id(self) -> int:
        fixed = _fixed.get()
        return fixed[0] if fixed else super().generate_trace_id()

    def generate_span_id(self) -> int:
        fixed = _fixed.get()
        return fixed[1] if fixed else super().generate_span_id()


class _Later(Interceptor):
    """Marks the workflows that begin later, where the tracing interceptor has written the trace."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        """Looks at what starts workflows."""
        return _Marking(next)


class _Marking(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
        header = input.headers.get(TRACE_HEADER)
        if input.start_delay and header:
            (carrier,) = PayloadConverter.default.from_payloads([header])
            marked = PayloadConverter.default.to_payloads([{**carrier, "tracestate": _LATER}])[0]
            input.headers = {**input.headers, TRACE_HEADER: marked}
        return await super().start_workflow(input)


TRACE_HEADER = "_tracer-data"
"""Where the SDK's interceptor keeps the trace."""


class _Traced(TracingInterceptor):
    """The SDK's interceptor; but a workflow that began later has a trace of its own, linked with the one it came from.

    The ids of that trace follow from the run's, so that after a replay in whatever process they are the same.
    """

    def _completed_workflow_span(self, params: Any) -> Any:  # noqa: ANN401 - the SDK does not name the type
        origin = {"traceparent": params.context.get("traceparent", "")}
        sampled = int(origin["traceparent"][-2:] or "0", 16) & trace.TraceFlags.SAMPLED
        if not sampled or _LATER not in params.context.get("tracestate", ""):
            return super()._completed_workflow_span(params)
        run = hashlib.sha256(params.attributes["temporalRunID"].encode()).digest()
        trace_id, root_id = int.from_bytes(run[:16]), int.from_bytes(run[16:24])
        if not params.name.startswith("RunWorkflow:"):
            here = {"traceparent": f"00-{trace_id:032x}-{root_id:016x}-01"}
            return super()._completed_workflow_span(replace(params, context=here))
        token = _fixed.set((trace_id, root_id))
        try:
            return super()._completed_workflow_span(replace(params, context={}, link_context=origin))
        finally:
            _fixed.reset(token)
