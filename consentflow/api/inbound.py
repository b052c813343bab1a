"""Mail that came back, handed in by the mail server or provider."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from consentflow.api.auth import requires
from consentflow.mail.inbound import read_inbound
from consentflow.operations.bounces import Bounces
from consentflow.operations.keys import Role

router = APIRouter(prefix="/v1", tags=["inbound mail"])


_RAW = {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}


class InboundOut(BaseModel):
    """What was made of a message: ``hard_bounce``, ``soft_bounce``, ``complaint``, or ``ignored``."""

    outcome: str


@router.post(
    "/inbound-mail",
    status_code=202,
    dependencies=[Depends(requires(Role.TRACKER))],
    openapi_extra={"requestBody": {"required": True, "content": _RAW}},
)
async def take(
    request: Request,
    envelope_to: Annotated[str | None, Query(max_length=320, description="The address it was delivered to.")] = None,
) -> InboundOut:
    """Takes a raw message that came to a bounce address; what is not about a mail of ours is ignored."""
    bounces: Bounces = request.app.state.parts.bounces
    verdict = read_inbound(await request.body(), envelope_to=envelope_to)
    return InboundOut(outcome=verdict.kind.value if await bounces.take(verdict) else "ignored")
