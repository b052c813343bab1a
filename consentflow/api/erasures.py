"""Erasing persons."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request
from pydantic import BaseModel

from consentflow.api.auth import requires
from consentflow.api.persons import PersonIn
from consentflow.operations.erasure import Erasures
from consentflow.operations.keys import Caller, Role

router = APIRouter(prefix="/v1", tags=["erasures"])


class ErasureOut(BaseModel):
    """What an erasure did. ``removed`` names every kind of data, ``kept`` what this act does not remove."""

    subject: str
    erased_at: datetime
    removed: dict[str, int]
    ended: dict[str, int]
    kept: dict[str, int]


def _erasures(request: Request) -> Erasures:
    operations: Erasures = request.app.state.parts.erasures
    return operations


@router.post("/erasures")
async def erase(
    body: Annotated[PersonIn, Body()],
    operations: Annotated[Erasures, Depends(_erasures)],
    caller: Annotated[Caller, Depends(requires(Role.OFFICER))],
) -> ErasureOut:
    """Erases a person from every role (GDPR Art. 17). Doing so again, or for somebody unknown, answers alike.

    What stays is pseudonymous: the evidence, and the fact by which a later registration writes to nobody. Requests for
    the source that are open end unanswered, so decide them first.
    """
    done = await operations.erase(body.who, caller.actor)
    return ErasureOut(
        subject=done.subject,
        erased_at=done.erased_at,
        removed=dict(done.removed),
        ended=dict(done.ended),
        kept=dict(done.kept),
    )
