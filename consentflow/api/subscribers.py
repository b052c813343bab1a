"""Subscribers: a partner's people who are told what its companies do.

By contract their addresses stand in paths; so paths are never logged, and no problem document repeats one.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Path, Request
from pydantic import BaseModel

from consentflow.api.paging import After, Most
from consentflow.api.partners import MAY_CHANGE, MAY_LOOK, PartnerId
from consentflow.api.problems import also
from consentflow.domain.letters import Language
from consentflow.domain.notifications import Action, Delivery
from consentflow.domain.partner_intake import ALL, ChoiceIn
from consentflow.domain.partners import Subscriber, SubscriberKind, SubscriberState, in_order
from consentflow.operations.subscribers import Subscribers

router = APIRouter(prefix="/v1/partners/{partner_id}/subscribers", tags=["subscribers"])

Email = Annotated[str, Path(min_length=1, max_length=320, description="The subscriber's address.")]


class SubscriberOut(BaseModel):
    """A subscriber, what it is told and how often. ``since`` is when it confirmed its address, null until then."""

    email: str
    kind: SubscriberKind
    state: SubscriberState
    since: datetime | None
    actions: list[Action] | Literal["all"]
    delivery: Delivery
    hour: int
    weekday: int
    language: Language | None

    @classmethod
    def of(cls, subscriber: Subscriber) -> "SubscriberOut":
        """The resource as callers see it."""
        choice = subscriber.choice
        return cls(
            email=subscriber.email,
            kind=subscriber.kind,
            state=subscriber.state,
            since=subscriber.since,
            actions=list(in_order(choice.actions)) if choice.actions is not None else ALL,
            delivery=choice.delivery,
            hour=choice.hour,
            weekday=choice.weekday,
            language=choice.language,
        )


class SubscribersOut(BaseModel):
    """A page of subscribers. ``after`` leads to the next page, null on the last."""

    subscribers: list[SubscriberOut]
    after: str | None


def _subscribers(request: Request) -> Subscribers:
    operations: Subscribers = request.app.state.parts.subscribers
    return operations


Operations = Annotated[Subscribers, Depends(_subscribers)]


@router.get("", dependencies=[MAY_LOOK])
async def list_subscribers(
    partner_id: PartnerId, operations: Operations, after: After, most: Most = 50
) -> SubscribersOut:
    """The partner's subscribers."""
    page = await operations.of_partner(partner_id, after, most)
    return SubscribersOut(
        subscribers=[SubscriberOut.of(each) for each in page.entries], after=str(page.after) if page.after else None
    )


# The local part of an address may have slashes in it.
@router.put("/{email:path}", dependencies=[MAY_CHANGE], responses=also(404))
async def put(
    partner_id: PartnerId, email: Email, body: Annotated[ChoiceIn, Body()], operations: Operations
) -> SubscriberOut:
    """Adds a subscriber, who is asked by mail to confirm and told nothing before; or changes what one is told."""
    return SubscriberOut.of(await operations.put(partner_id, email, body.as_choice()))


@router.get("/{email:path}", dependencies=[MAY_LOOK], responses=also(404))
async def show(partner_id: PartnerId, email: Email, operations: Operations) -> SubscriberOut:
    """One subscriber."""
    return SubscriberOut.of(await operations.find(partner_id, email))


@router.delete("/{email:path}", status_code=204, dependencies=[MAY_CHANGE], responses=also(404))
async def remove(partner_id: PartnerId, email: Email, operations: Operations) -> None:
    """Ends a subscription; the subscriber's address and choice go."""
    await operations.remove(partner_id, email)
