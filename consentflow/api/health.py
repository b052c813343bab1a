"""Whether the process lives, what is down, and its metrics."""

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from consentflow.domain.errors import StorageUnavailable
from consentflow.operations.agenda import Agenda
from consentflow.operations.backlog import BACKLOG, Backlog
from consentflow.settings import Settings
from consentflow.storage.mail_fault import MailFault

router = APIRouter(tags=["health"])

PROBE_SECONDS = 1.0
"""How long a neighbour may take to answer before it counts as down."""


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Nothing can be accepted; what is down is named."}})
async def ready(request: Request) -> JSONResponse:
    """Whether requests can be served, and what is down.

    Only Postgres is needed to accept; while Temporal or the mail server is down, what was accepted waits.
    """
    settings: Settings = request.app.state.parts.settings
    temporal_host, _, temporal_port = settings.temporal.address.rpartition(":")
    (waiting, fault), temporal, smtp = await asyncio.gather(
        _backlog(request.app.state.parts.agenda),
        _listens(temporal_host, int(temporal_port)),
        _listens(settings.smtp.host, settings.smtp.port),
    )
    found = {"postgres": waiting is not None, "temporal": temporal, "smtp": smtp}
    down = [name for name, up in found.items() if not up]
    if waiting is None:
        return JSONResponse({"status": "unready", "down": down}, HTTPStatus.SERVICE_UNAVAILABLE)
    refused = {"fault": fault.fault, "since": fault.since.isoformat()} if fault else None
    return JSONResponse({"status": "ready", "down": down, "outbox": waiting, "mail_fault": refused})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process, and of what the database says is open, due and overdue."""
    backlog: Backlog = request.app.state.parts.backlog
    await backlog.measure()
    return Response(generate_latest() + generate_latest(BACKLOG), media_type=CONTENT_TYPE_LATEST)


async def _backlog(agenda: Agenda) -> tuple[int | None, MailFault | None]:
    try:
        return await agenda.outbox_depth(), await agenda.mail_fault()
    except StorageUnavailable:
        return None, None


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
