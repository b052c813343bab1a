"""The records: who is not written to, who did what, whether the ledger can be relied on, who the officers are."""

from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Response

from consentflow.domain.acts import Act, Actor
from consentflow.domain.addresses import Subject
from consentflow.domain.errors import InvalidInput, NotFound
from consentflow.operations.ledger import Export
from consentflow.operations.suppressions import LookedUp
from consentflow.pages.console.desk import Desk, Looking, Sending, console_router, mark
from consentflow.storage.audit import Filters

router = console_router()

After = Annotated[str | None, Query(max_length=200)]
Asked = Annotated[str, Query(max_length=60)]

PAGE = 50
"""Acts of a page."""


@router.api_route("/suppressions", methods=["GET", "HEAD"])
async def suppressed(desk: Looking, after: After = None) -> Response:
    """Who is not written to, newest first."""
    return await _suppressions(desk, after)


@router.post("/suppressions")
async def is_suppressed(desk: Sending) -> Response:
    """Whether an address is written to. It is sent by a form, so that it stands in no URL."""
    address = (await desk.form()).get("email", "")
    try:
        found = await desk.parts.suppressions.look_up(address)
    except InvalidInput:
        return await _suppressions(desk, None, invalid=True)
    return await _suppressions(desk, None, found)


@router.api_route("/acts", methods=["GET", "HEAD"])
async def acts(
    desk: Looking,
    actor: Asked = "",
    act: Asked = "",
    subject: Asked = "",
    since: Asked = "",
    until: Asked = "",
    after: After = None,
) -> Response:
    """Who looked at, decided, handed out or erased what, newest first."""
    filters = Filters(
        actor=Actor(actor) if actor else None,
        act=Act(act) if act in set(Act) else None,
        subject=Subject(subject) if subject else None,
        since=_begin_of(desk, since),
        before=_begin_of(desk, until, days=1),
    )
    found = await desk.parts.acts.find(filters, mark(after), PAGE)
    asked = {"actor": actor, "act": act, "subject": subject, "since": since, "until": until}
    query = urlencode({name: value for name, value in asked.items() if value})
    officers = {each.subject: each.email for each in await desk.parts.officers.find_all()}
    return desk.show("acts.html", page=found, asked=asked, query=f"{query}&" if query else "", officers=officers)


@router.api_route("/ledger", methods=["GET", "HEAD"])
async def ledger(desk: Looking) -> Response:
    """What the last look at the whole ledger found, and its checkpoints."""
    return await _ledger(desk)


@router.post("/ledger/verify")
async def verify(desk: Sending) -> Response:
    """Goes through one person's evidence now."""
    who = (await desk.form()).get("who", "")
    try:
        return await _ledger(desk, await desk.parts.ledger.export(who))
    except (InvalidInput, NotFound):
        return await _ledger(desk, unknown=True)


@router.api_route("/officers", methods=["GET", "HEAD"])
async def officers(desk: Looking) -> Response:
    """Who may enter; for administrators.

    Raises:
        NotFound: The officer is none.
    """
    if not desk.is_admin:
        raise NotFound("page")
    return desk.show("officers.html", officers=await desk.parts.officers.find_all())


@router.api_route("/{path:path}", methods=["GET", "HEAD"])
async def lost(desk: Looking) -> Response:  # comes last: it takes whatever no other page does
    """A page that does not exist."""
    return desk.show("missing.html", HTTPStatus.NOT_FOUND)


async def _suppressions(
    desk: Desk, after: str | None, looked_up: LookedUp | None = None, *, invalid: bool = False
) -> Response:
    return desk.show(
        "suppressions.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if invalid else HTTPStatus.OK,
        page=await desk.parts.suppressions.find_page(mark(after)),
        looked_up=looked_up.subject if looked_up else None,
        found=looked_up.reasons if looked_up else [],
        invalid=invalid,
    )


async def _ledger(desk: Desk, checked: Export | None = None, *, unknown: bool = False) -> Response:
    state = await desk.parts.ledger.state()
    return desk.show(
        "ledger.html",
        HTTPStatus.NOT_FOUND if unknown else HTTPStatus.OK,
        verification=state.verification,
        checkpoints=state.checkpoints,
        checked=checked,
        unknown=unknown,
    )


def _begin_of(desk: Desk, text: str, *, days: int = 0) -> datetime | None:
    """The beginning of a day by the controller's clocks, or of one some days later.

    Raises:
        InvalidInput: It is no day.
    """
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date() + timedelta(days=days)  # noqa: DTZ007 - a day has no zone
        return datetime.combine(day, time(), desk.parts.rest_days.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("/since", "invalid", "is not a day") from None
