"""Data-source requests: a person asks who supplied its data, an officer decides. For officers alone."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from pydantic import BaseModel

from consentflow.api.auth import requires
from consentflow.api.paging import After, Most
from consentflow.api.problems import also
from consentflow.domain.deadlines import Term
from consentflow.domain.intake import Instant
from consentflow.domain.letters import FrozenMail, Language
from consentflow.domain.registrations import Kind, State
from consentflow.domain.source_intake import DecisionIn, LetterIn, PauseIn, ReasonIn, SourceRequestIn
from consentflow.domain.source_requests import OPEN, Channel, Extent, SourceDecision, SourceRequest, SourceState
from consentflow.mail.reading import read_frozen, read_html
from consentflow.operations.keys import Caller, Role
from consentflow.operations.source_requests import SourceStanding
from consentflow.runtime import Parts
from consentflow.storage.source_requests import Wanted

router = APIRouter(prefix="/v1/data-source-requests", tags=["data-source requests"])

RequestId = Annotated[str, Path(max_length=64, pattern=r"^sr-[0-9a-f]+$")]
Officer = Annotated[Caller, Depends(requires(Role.OFFICER))]


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


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Service = Annotated[Parts, Depends(_parts)]


@router.post("", status_code=201)
async def enter(
    body: Annotated[SourceRequestIn, Body()], service: Service, officer: Officer, response: Response
) -> SourceRequestOut:
    """Takes a request that reached the controller by another way than the form; its clock counts from receipt."""
    request_id = await service.source_requests.open(body, Channel.API, officer.actor)
    response.headers["Location"] = f"{router.prefix}/{request_id}"
    return await _standing(service, request_id, officer)


@router.get("", dependencies=[Depends(requires(Role.OFFICER))])
async def list_requests(
    service: Service,
    after: After,
    state: Annotated[list[SourceState] | None, Query(description="Any of these; all if none is given.")] = None,
    overdue: Annotated[bool, Query(description="Only those not answered by their deadline.")] = False,
    due_before: Annotated[Instant | None, Query(description="Only those whose deadline is before this.")] = None,
    most: Most = 50,
) -> SummariesOut:
    """Requests, the earliest deadline first; nothing that names a person."""
    now = service.clock.now()
    states = frozenset(state or SourceState)
    if overdue:
        states, due_before = states & OPEN, min(due_before or now, now)
    page = await service.source_requests.find_page(Wanted(states, due_before), after, most)
    return SummariesOut(
        requests=[SummaryOut.of(each, now) for each in page.entries], after=str(page.after) if page.after else None
    )


@router.get("/{request_id}", responses=also(404))
async def show(request_id: RequestId, service: Service, officer: Officer) -> SourceRequestOut:
    """Where a request stands, with the registrations found; that it was looked at is noted."""
    return await _standing(service, request_id, officer)


@router.post("/{request_id}/decision", responses=also(404, 409))
async def decide(
    request_id: RequestId, body: Annotated[DecisionIn, Body()], service: Service, officer: Officer
) -> SourceRequestOut:
    """Decides a request, once, and sends the letter."""
    await service.source_decisions.decide(request_id, body, officer.actor)
    return await _standing(service, request_id, officer)


@router.get("/{request_id}/letter", responses=also(404, 409))
async def show_letter(
    request_id: RequestId,
    service: Service,
    officer: Officer,
    decision: Annotated[
        SourceDecision | None, Query(description="The letter it would send; none: the one sent.")
    ] = None,
    extent: Annotated[Extent | None, Query()] = None,
) -> LetterOut:
    """The letter that a decision would send, reasons left open, or the one that was sent. Nothing is sent by this."""
    if decision is None:
        return LetterOut.of(await service.source_decisions.letter(request_id, officer.actor))
    given = LetterIn(decision=decision, extent=extent)
    return LetterOut.of(await service.source_decisions.preview(request_id, given, officer.actor))


@router.post("/{request_id}/letter", responses=also(404, 409))
async def preview(
    request_id: RequestId, body: Annotated[LetterIn, Body()], service: Service, officer: Officer
) -> LetterOut:
    """The letter that a decision would send, with its reasons. Nothing is sent by this."""
    return LetterOut.of(await service.source_decisions.preview(request_id, body, officer.actor))


@router.post("/{request_id}/identity", responses=also(404, 409))
async def attest(
    request_id: RequestId, body: Annotated[ReasonIn, Body()], service: Service, officer: Officer
) -> SourceRequestOut:
    """An officer has seen by other means that the person the address belongs to asks."""
    await service.source_identity.attest(request_id, body.reason, officer.actor)
    return await _standing(service, request_id, officer)


@router.post("/{request_id}/extension", responses=also(404, 409))
async def extend(
    request_id: RequestId, body: Annotated[ReasonIn, Body()], service: Service, officer: Officer
) -> SourceRequestOut:
    """Extends a request by two months, once, before its first deadline; the person is told why."""
    await service.source_decisions.extend(request_id, body.reason, officer.actor)
    return await _standing(service, request_id, officer)


@router.post("/{request_id}/pause", responses=also(404, 409))
async def pause(
    request_id: RequestId, body: Annotated[PauseIn, Body()], service: Service, officer: Officer
) -> SourceRequestOut:
    """Stops the clock while an officer waits for the requester, once; it goes on by itself."""
    await service.source_decisions.pause(request_id, body, officer.actor)
    return await _standing(service, request_id, officer)


@router.post("/{request_id}/resume", responses=also(404, 409))
async def resume(request_id: RequestId, service: Service, officer: Officer) -> SourceRequestOut:
    """Lets the clock go on before the pause ends by itself."""
    await service.source_decisions.resume(request_id, officer.actor)
    return await _standing(service, request_id, officer)


async def _standing(service: Parts, request_id: str, officer: Caller) -> SourceRequestOut:
    return SourceRequestOut.standing(await service.source_requests.find(request_id, officer.actor))


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
