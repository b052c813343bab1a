"""Data-source requests: a person asks who supplied its data, an officer decides. For officers alone."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from consentflow.api.auth import requires
from consentflow.api.paging import After, Most
from consentflow.api.problems import also
from consentflow.api.source_request_out import LetterOut, SourceRequestOut, SummariesOut, SummaryOut
from consentflow.domain.intake import Instant
from consentflow.domain.source_intake import DecisionIn, LetterIn, PauseIn, ReasonIn, SourceRequestIn
from consentflow.domain.source_requests import OPEN, Channel, Extent, SourceDecision, SourceState
from consentflow.operations.keys import Caller, Role
from consentflow.runtime import Parts
from consentflow.storage.source_requests import Wanted

router = APIRouter(prefix="/v1/data-source-requests", tags=["data-source requests"])

RequestId = Annotated[str, Path(max_length=64, pattern=r"^sr-[0-9a-f]+$")]
Officer = Annotated[Caller, Depends(requires(Role.OFFICER))]


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
