"""What an officer does about a data-source request: look at the letter, decide, extend, stop the clock.

A decision is sent as the letter that was looked at: if it would read differently by now, it is shown again instead.
Where somebody else was faster, the answer says who decided what.
"""

import hashlib
from collections.abc import Awaitable
from datetime import datetime
from http import HTTPStatus

from fastapi import Response
from pydantic import ValidationError

from consentflow.domain.deadlines import end_of_day
from consentflow.domain.errors import InvalidInput, RequestNotReady
from consentflow.domain.source_intake import DecisionIn, LetterIn, PauseIn, ReasonIn
from consentflow.domain.source_requests import NEEDS_REASONS
from consentflow.mail.reading import ReadMail, read_frozen
from consentflow.pages.console.desk import Desk, Sending, console_router
from consentflow.pages.console.requests import RequestId, name_of, shown
from consentflow.pages.session import go_to

router = console_router()


@router.post("/requests/{request_id}/preview")
async def preview(desk: Sending, request_id: RequestId) -> Response:
    """The letter that the decision would send, with the button that sends it."""
    sent = await desk.form()
    return await _answered(desk, request_id, sent, _previewed(desk, request_id, sent))


@router.post("/requests/{request_id}/decision")
async def decide(desk: Sending, request_id: RequestId) -> Response:
    """Sends the letter as it was looked at."""
    sent = await desk.form()
    return await _answered(desk, request_id, sent, _decided(desk, request_id, sent))


@router.post("/requests/{request_id}/extension")
async def extend(desk: Sending, request_id: RequestId) -> Response:
    """Two more months; the requester is told why."""
    sent = await desk.form()

    async def extended() -> Response:
        given = ReasonIn(reason=sent.get("extension_reason", ""))
        await desk.parts.source_decisions.extend(request_id, given.reason, desk.actor)
        return _back(request_id)

    return await _answered(desk, request_id, sent, extended())


@router.post("/requests/{request_id}/pause")
async def pause(desk: Sending, request_id: RequestId) -> Response:
    """The clock stands still while the requester is waited for."""
    sent = await desk.form()

    async def paused() -> Response:
        given = PauseIn(reason=sent.get("pause_reason", ""), until=_end_of(desk, sent.get("pause_until", "")))
        await desk.parts.source_decisions.pause(request_id, given, desk.actor)
        return _back(request_id)

    return await _answered(desk, request_id, sent, paused())


@router.post("/requests/{request_id}/resume")
async def resume(desk: Sending, request_id: RequestId) -> Response:
    """The clock goes on."""

    async def resumed() -> Response:
        await desk.parts.source_decisions.resume(request_id, desk.actor)
        return _back(request_id)

    return await _answered(desk, request_id, {}, resumed())


@router.post("/requests/{request_id}/identity")
async def attest(desk: Sending, request_id: RequestId) -> Response:
    """The officer has seen by other means who asks."""
    sent = await desk.form()

    async def attested() -> Response:
        given = ReasonIn(reason=sent.get("identity_reason", ""))
        await desk.parts.source_identity.attest(request_id, given.reason, desk.actor)
        return _back(request_id)

    return await _answered(desk, request_id, sent, attested())


async def _previewed(desk: Desk, request_id: str, sent: dict[str, str], *, changed: bool = False) -> Response:
    given = LetterIn.model_validate(_decision(sent))
    if given.decision in NEEDS_REASONS and given.reason is None:
        raise InvalidInput("/reason", "missing", "The person must be told why (GDPR Art. 12(4)).")
    letter = read_frozen((await desk.parts.source_decisions.preview(request_id, given, desk.actor)).content)
    standing = await desk.parts.source_requests.find(request_id, desk.actor)
    return desk.show(
        "request_preview.html",
        HTTPStatus.CONFLICT if changed else HTTPStatus.OK,
        standing=standing,
        letter=letter,
        seen=_digest(letter),
        sent=sent | {"version": str(standing.request.version)},
        changed=changed,
    )


async def _decided(desk: Desk, request_id: str, sent: dict[str, str]) -> Response:
    version = sent.get("version", "")
    given = DecisionIn.model_validate(
        {
            **_decision(sent),
            "balancing": sent.get("balancing") or None,
            "version": int(version) if version.isdigit() else None,
        }
    )
    try:
        await desk.parts.source_decisions.decide(
            request_id, given, desk.actor, lambda letter: _digest(read_frozen(letter.content)) == sent.get("seen")
        )
    except RequestNotReady as refusal:
        if refusal.code != "letter_changed":
            raise
        return await _previewed(desk, request_id, sent, changed=True)
    return _back(request_id)


async def _answered(desk: Desk, request_id: str, sent: dict[str, str], doing: Awaitable[Response]) -> Response:
    """What was done, or why it was not: the form again, or who was faster."""
    try:
        return await doing
    except (ValidationError, InvalidInput):
        return await shown(desk, request_id, HTTPStatus.UNPROCESSABLE_ENTITY, sent=sent, wrong="incomplete")
    except RequestNotReady as refusal:
        standing = await desk.parts.source_requests.find(request_id, desk.actor)
        by = await name_of(desk, standing.request.decided_by)
        return desk.show(
            "request_conflict.html", HTTPStatus.CONFLICT, standing=standing, decided_by=by, code=refusal.code
        )


def _decision(sent: dict[str, str]) -> dict[str, object]:
    decision, _, extent = sent.get("choice", "").partition(":")
    return {"decision": decision, "extent": extent or None, "reason": sent.get("reason") or None}


def _digest(letter: ReadMail) -> str:
    return hashlib.sha256(f"{letter.to}\n{letter.subject}\n{letter.text}".encode()).hexdigest()


def _end_of(desk: Desk, text: str) -> datetime | None:
    """The end of a day by the controller's clocks; None when none was given.

    Raises:
        InvalidInput: It is no day.
    """
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise InvalidInput("/until", "invalid", "is not a day") from None
    return end_of_day(day, desk.parts.rest_days.zone)


def _back(request_id: str) -> Response:
    return go_to(f"/console/requests/{request_id}")
