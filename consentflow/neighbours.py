"""Reaching the neighbours, Postgres and Temporal: whoever starts first waits, and says for what."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from consentflow import tracing
from consentflow.calls import SEARCH_ATTRIBUTES, refused
from consentflow.domain.errors import StorageUnavailable
from consentflow.settings import InvalidSettings, TemporalSettings
from consentflow.storage.pool import Database

_log = structlog.get_logger("consentflow")

T = TypeVar("T")


async def connect_temporal(settings: TemporalSettings, *, metrics_address: str | None = None) -> Client:
    """Connects to Temporal, and waits for it as long as it takes.

    Args:
        metrics_address: Where the SDK serves its own metrics, ``host:port``; one process can do so at a time.

    Raises:
        InvalidSettings: Nothing can be served there.
    """
    try:
        engine = _temporal_runtime(metrics_address)
    except ValueError as error:
        raise InvalidSettings(f"CONSENTFLOW_TEMPORAL__METRICS_ADDRESS: {error}") from None
    tls: bool | TLSConfig = settings.tls or settings.api_key is not None
    if settings.tls_client_cert or settings.tls_server_ca:
        tls = TLSConfig(
            server_root_ca_cert=settings.tls_server_ca.read_bytes() if settings.tls_server_ca else None,
            client_cert=settings.tls_client_cert.read_bytes() if settings.tls_client_cert else None,
            client_private_key=settings.tls_client_key.read_bytes() if settings.tls_client_key else None,
        )

    async def connect() -> Client:
        return await Client.connect(
            settings.address,
            namespace=settings.namespace,
            api_key=settings.api_key.get_secret_value() if settings.api_key else None,
            tls=tls,
            runtime=engine,
            interceptors=tracing.interceptors(),
        )

    return await patiently("temporal", connect)


async def prepare_search_attributes(client: Client) -> bool:
    """Makes our search attributes known to Temporal; False when it does not let us, which costs only filters."""
    types = {
        "keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
    }
    wanted = {
        key.name: types["datetime" if key.value_type.__name__ == "datetime" else "keyword"] for key in SEARCH_ATTRIBUTES
    }

    async def add() -> bool:
        try:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
            )
        except RPCError as error:
            if error.status is RPCStatusCode.ALREADY_EXISTS:
                return True
            if not refused(error):
                raise
            _log.warning("workflows cannot be filtered in Temporal", status=error.status.name)
            return False
        return True

    return await patiently("temporal", add)


async def migrate(database: Database) -> None:
    """Brings the database to the current schema, waiting for Postgres as long as it takes."""
    await patiently("postgres", database.migrate)


@cache
def _temporal_runtime(metrics_address: str | None) -> Runtime:
    """The SDK's engine; its log goes where ours goes."""
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    logs = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding)
    served = (
        PrometheusConfig(metrics_address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True)
        if metrics_address
        else None
    )
    return Runtime(telemetry=TelemetryConfig(logging=logs, metrics=served))


async def patiently(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Tries until it works; the log says what is waited for."""
    while True:
        try:
            return await attempt()
        except (StorageUnavailable, RPCError, RuntimeError, OSError) as error:  # the SDK raises RuntimeError at connect
            _log.warning("waiting for what is not there yet", what=what, error=type(error).__name__)
            await asyncio.sleep(1)
