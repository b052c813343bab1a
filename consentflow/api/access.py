"""Handing out what is held about a person."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from consentflow.api.auth import requires
from consentflow.api.persons import PersonIn
from consentflow.operations.access import AccessExports
from consentflow.operations.keys import Caller, Role
from consentflow.pages.access import render_access

router = APIRouter(prefix="/v1", tags=["access exports"])

_PAPER = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def _exports(request: Request) -> AccessExports:
    operations: AccessExports = request.app.state.parts.access_exports
    return operations


@router.post(
    "/access-exports",
    response_model=dict[str, Any],
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "All that is held."}},
)
async def export(
    body: Annotated[PersonIn, Body()],
    operations: Annotated[AccessExports, Depends(_exports)],
    caller: Annotated[Caller, Depends(requires(Role.OFFICER))],
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Everything held about a person in every role (GDPR Art. 15), as JSON, or as a page for paper if HTML is wanted.

    The source is left out: a data-source request decides on it. Each export is noted in the ledger.
    """
    found = await operations.export(body.who, caller.actor)
    if "text/html" in accept and "application/json" not in accept:
        return HTMLResponse(render_access(found), headers=_PAPER)
    return JSONResponse(found.document())
