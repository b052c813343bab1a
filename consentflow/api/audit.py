"""Who looked at, decided, handed out or erased what."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from consentflow.api.auth import requires
from consentflow.api.paging import After, Most
from consentflow.domain.acts import Act, Actor
from consentflow.domain.addresses import Subject
from consentflow.domain.intake import Instant
from consentflow.operations.audit import Acts
from consentflow.operations.keys import Role
from consentflow.storage.audit import Filters

router = APIRouter(prefix="/v1", tags=["audit"])


class ActOut(BaseModel):
    """An act on personal data, as the ledger has it. No address is in it."""

    entry_id: int
    at: datetime
    actor: str
    act: Act
    subject: str | None
    event: str
    detail: dict[str, Any]


class ActsOut(BaseModel):
    """A page of acts, newest first. ``after`` leads to the next page, null on the last."""

    acts: list[ActOut]
    after: str | None


def _acts(request: Request) -> Acts:
    operations: Acts = request.app.state.parts.acts
    return operations


@router.get("/audit", dependencies=[Depends(requires(Role.OFFICER))])
async def list_acts(
    operations: Annotated[Acts, Depends(_acts)],
    after: After,
    actor: Annotated[
        str | None, Query(max_length=200, pattern=r"^[^\x00-\x1f]+$", description="As listed, such as `key crm`.")
    ] = None,
    act: Annotated[Act | None, Query()] = None,
    subject: Annotated[str | None, Query(pattern=r"^s-[0-9a-f]{32}$")] = None,
    since: Annotated[Instant | None, Query(description="At or after this instant.")] = None,
    before: Annotated[Instant | None, Query(description="Before this instant.")] = None,
    most: Most = 100,
) -> ActsOut:
    """Who looked at, decided, handed out or erased what and when; newest first."""
    filters = Filters(
        actor=Actor(actor) if actor else None,
        act=act,
        subject=Subject(subject) if subject else None,
        since=since,
        before=before,
    )
    page = await operations.find(filters, after, most)
    return ActsOut(
        acts=[
            ActOut(
                entry_id=found.entry_id,
                at=found.at,
                actor=found.actor,
                act=found.act,
                subject=found.subject,
                event=found.event,
                detail=found.detail,
            )
            for found in page.entries
        ],
        after=str(page.after) if page.after else None,
    )
