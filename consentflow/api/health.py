"""Whether the process lives, what it can reach, and its metrics."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from consentflow.domain.errors import StorageUnavailable
from consentflow.operations.agenda import Agenda

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Something that is needed is down; it is named."}})
async def ready(request: Request) -> JSONResponse:
    """Whether requests can be served; names what is down. Temporal and SMTP are not needed to accept."""
    agenda: Agenda = request.app.state.parts.agenda
    try:
        waiting = await agenda.outbox_depth()
    except StorageUnavailable:
        return JSONResponse({"status": "unready", "down": ["postgres"]}, HTTPStatus.SERVICE_UNAVAILABLE)
    return JSONResponse({"status": "ready", "down": [], "outbox": waiting})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process and of the database's backlog."""
    agenda: Agenda = request.app.state.parts.agenda
    await agenda.measure()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
