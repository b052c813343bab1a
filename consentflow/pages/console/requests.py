"""Data-source requests: the list, entering one, looking at one."""

from datetime import UTC, datetime, time
from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import ValidationError

from consentflow.domain.acts import Actor
from consentflow.domain.addresses import Subject
from consentflow.domain.errors import InvalidInput, NotFound
from consentflow.domain.source_intake import SourceRequestIn
from consentflow.domain.source_requests import Channel
from consentflow.domain.worklist import time_left
from consentflow.mail.reading import ReadMail, read_frozen
from consentflow.operations.source_requests import SourceStanding
from consentflow.pages.console.desk import Desk, Looking, Sending, console_router, mark
from consentflow.pages.session import go_to

router = console_router()

RequestId = Annotated[str, Path(max_length=64)]
After = Annotated[str | None, Query(max_length=200)]


@router.api_route("/requests", methods=["GET", "HEAD"])
async def listed(desk: Looking, show: Annotated[str, Query(max_length=10)] = "open", after: After = None) -> Response:
    """Open requests, the earliest deadline first; or those that have come to an end, the latest first."""
    closed = show == "closed"
    worklist = desk.parts.worklist
    found = await (worklist.closed_ones(mark(after)) if closed else worklist.open_ones(mark(after)))
    return desk.show("requests.html", listed=found, show="closed" if closed else "open")


@router.api_route("/requests/new", methods=["GET", "HEAD"])
async def blank(desk: Looking) -> Response:
    """The form for a request that reached us by letter or by telephone."""
    return _entry(desk, {})


@router.post("/requests")
async def enter(desk: Sending) -> Response:
    """Takes a request; its clock counts from the day it was received."""
    sent = await desk.form()
    try:
        given = SourceRequestIn.model_validate(
            {
                "email": sent.get("email", ""),
                "name": sent.get("name") or None,
                "message": sent.get("message") or None,
                "language": sent.get("language") or None,
                "country": sent.get("country") or None,
                "received_at": _received_at(desk, sent.get("received_on", "")),
            }
        )
        request_id = await desk.parts.source_requests.open(given, Channel.CONSOLE, desk.actor)
    except ValidationError as error:
        return _entry(desk, sent, {str(each["loc"][0]) for each in error.errors()})
    except InvalidInput as error:
        return _entry(desk, sent, {error.pointer.removeprefix("/")})
    return go_to(f"/console/requests/{request_id}")


@router.api_route("/requests/{request_id}", methods=["GET", "HEAD"])
async def look(desk: Looking, request_id: RequestId) -> Response:
    """Where a request stands, what was found, and what can be done."""
    return await shown(desk, request_id)


async def shown(
    desk: Desk,
    request_id: str,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    sent: dict[str, str] | None = None,
    wrong: str | None = None,
) -> Response:
    """The page of a request, with what was typed and what of it is wrong.

    Raises:
        NotFound: No such request.
    """
    standing = await desk.parts.source_requests.find(request_id, desk.actor)
    request = standing.request
    return desk.show(
        "request.html",
        status,
        standing=standing,
        left=time_left(request.deadline, standing.as_of, desk.parts.rest_days),
        decided_by=await name_of(desk, request.decided_by),
        letter=await _letter(desk, standing),
        pauses=desk.parts.settings.source_requests.pauses,
        sent=sent or {},
        wrong=wrong,
    )


async def name_of(desk: Desk, actor: str | None) -> str | None:
    """An actor as officers know it: an officer's address as long as it is one."""
    if actor is None or not actor.startswith("s-"):
        return actor
    officer = await desk.parts.officers.find(Subject(actor))
    return officer.email if officer else actor


async def _letter(desk: Desk, standing: SourceStanding) -> ReadMail | None:
    if standing.request.decision is None:
        return None
    try:
        frozen = await desk.parts.source_decisions.letter(standing.request.request_id, Actor(desk.actor))
    except NotFound:
        return None
    return read_frozen(frozen.content)


def _entry(desk: Desk, sent: dict[str, str], wrong: set[str] | None = None) -> Response:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    today = desk.parts.clock.now().astimezone(desk.parts.rest_days.zone).date()
    return desk.show("request_new.html", status, sent=sent, wrong=wrong or set(), today=today.isoformat())


def _received_at(desk: Desk, text: str) -> datetime | None:
    """The beginning of the day, by the controller's clocks; None for today, which counts from now.

    Raises:
        InvalidInput: It is no day.
    """
    zone, now = desk.parts.rest_days.zone, desk.parts.clock.now()
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise InvalidInput("/received_on", "invalid", "is not a day") from None
    if day > now.astimezone(zone).date():
        raise InvalidInput("/received_on", "in_the_future", "lies in the future")
    begins = datetime.combine(day, time(), zone).astimezone(UTC)
    return None if day == now.astimezone(zone).date() else begins
