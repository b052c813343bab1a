"""Data-source requests as officers' programs see them."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel

from consentflow.domain.deadlines import Term
from consentflow.domain.letters import FrozenMail, Language
from consentflow.domain.registrations import Kind, State
from consentflow.domain.source_requests import Channel, Extent, SourceDecision, SourceRequest, SourceState
from consentflow.mail.reading import read_frozen, read_html
from consentflow.operations.source_requests import SourceStanding


class DeadlineOut(BaseModel):
    """Until when a request is to be answered: the last second of that day, UTC, and the day where the controller is."""

    deadline: datetime
    deadline_date: date

    @classmethod
    def of(cls, term: Term) -> "DeadlineOut":
        """The end of a term."""
        return cls(deadline=term.deadline, deadline_date=term.deadline_day)


class PauseOut(BaseModel):
    """The time for which the clock stands, or stood, still because an officer waits for the requester."""

    paused_at: datetime
    until: datetime
    reason: str | None
    without_it: DeadlineOut


class SummaryOut(BaseModel):
    """A request as a line of a list. ``target`` and ``deadline`` are the last second of a day, UTC."""

    id: str
    state: SourceState
    channel: Channel
    language: Language
    country: str | None
    received_at: datetime
    target: datetime
    deadline: datetime
    overdue: bool
    extended: bool
    linked_to: str | None
    version: int

    @classmethod
    def of(cls, request: SourceRequest, now: datetime) -> "SummaryOut":
        """The request as it stands at an instant."""
        return cls(
            id=request.request_id,
            state=request.state,
            channel=request.channel,
            language=request.language,
            country=request.country,
            received_at=request.received_at,
            target=request.target,
            deadline=request.deadline,
            overdue=request.is_overdue(now),
            extended=request.extended_at is not None,
            linked_to=request.linked_to,
            version=request.version,
        )


class SummariesOut(BaseModel):
    """A page of requests, the earliest deadline first. ``after`` leads to the next page, null on the last."""

    requests: list[SummaryOut]
    after: str | None


class FoundOut(BaseModel):
    """A registration of the person: who supplied the data. ``registered_by`` is null when not named or erased."""

    registration_id: str
    kind: Kind
    partner_id: str
    partner_name: str | None
    registered_by: str | None
    registered_at: datetime
    company_name: str | None
    company_domain: str | None
    state: State


class HappenedOut(BaseModel):
    """Something that happened to a request."""

    at: datetime
    event: str
    detail: dict[str, Any]


class SourceRequestOut(SummaryOut):
    """Where a request stands, and what was found about its person.

    ``target_date`` and ``deadline_date`` are days where the controller is. ``email``, ``name`` and ``message`` are null
    once erased. ``decided_by`` is an officer's pseudonym or ``key`` and the name of an API key.
    """

    target_date: date
    deadline_date: date
    email: str | None
    name: str | None
    message: str | None
    opened_at: datetime
    identity_confirmed_at: datetime | None
    identity_note: str | None
    extension_reason: str | None
    pause: PauseOut | None
    decision: SourceDecision | None
    extent: Extent | None
    reason: str | None
    balancing: str | None
    decided_by: str | None
    closed_at: datetime | None
    repeated_by: list[str]
    registrations: list[FoundOut]
    timeline: list[HappenedOut]

    @classmethod
    def standing(cls, found: SourceStanding) -> "SourceRequestOut":
        """The resource as officers see it."""
        request = found.request
        return cls(
            **dict(SummaryOut.of(request, found.as_of)),
            target_date=found.term.target_day,
            deadline_date=found.term.deadline_day,
            email=request.email,
            name=request.name,
            message=request.message,
            opened_at=request.opened_at,
            identity_confirmed_at=request.identity_confirmed_at,
            identity_note=request.identity_note,
            extension_reason=request.extension_reason,
            pause=_pause(found),
            decision=request.decision,
            extent=request.extent,
            reason=request.reason,
            balancing=request.balancing,
            decided_by=request.decided_by,
            closed_at=request.closed_at,
            repeated_by=list(found.repeated_by),
            registrations=[FoundOut.model_validate(each, from_attributes=True) for each in found.registrations],
            timeline=[HappenedOut(at=each.at, event=each.event, detail=dict(each.detail)) for each in found.timeline],
        )


class LetterOut(BaseModel):
    """A letter to look at: what its reader sees."""

    to: str
    subject: str
    language: Language
    text: str
    html: str

    @classmethod
    def of(cls, mail: FrozenMail) -> "LetterOut":
        """The letter in a mail."""
        read, html = read_frozen(mail.content), read_html(mail.content)
        return cls(to=read.to, subject=read.subject, language=mail.language, text=read.text, html=html)


def _pause(found: SourceStanding) -> PauseOut | None:
    request = found.request
    if request.paused_at is None or request.pause_until is None:
        return None
    return PauseOut(
        paused_at=request.paused_at,
        until=request.pause_until,
        reason=request.pause_reason,
        without_it=DeadlineOut.of(found.without_pause),
    )
