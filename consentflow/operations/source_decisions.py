"""What officers do about data-source requests: decide, extend, stop the clock and let it go again.

A request that is repeated by others takes these along: one letter answers, or extends, all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from consentflow.domain.acts import Act, Actor
from consentflow.domain.errors import InvalidInput, NotFound, RequestNotReady
from consentflow.domain.letters import FrozenMail
from consentflow.domain.source_clock import LONGEST_PAUSE, USUAL_PAUSE
from consentflow.domain.source_intake import DecisionIn, LetterIn, PauseIn
from consentflow.domain.source_letters import Source, SourceDecisionLetter, SourceExtensionLetter, SourceLetterKind
from consentflow.domain.source_requests import (
    NEEDS_REASONS,
    STATE_AFTER,
    Extent,
    SourceDecision,
    SourceRequest,
    decided,
)
from consentflow.operations.audit import note_act, note_view
from consentflow.operations.source_desk import SourceDesk, hold, hold_matter, is_swiss, keep
from consentflow.storage import mails, source_requests
from consentflow.storage.pool import Connection
from consentflow.storage.source_requests import FoundRegistration, about

_YET_TO_BE_WRITTEN = "…"
"""Stands in a preview for a reason that has not been written."""


class SourceDecisions:
    """The operations of officers."""

    def __init__(self, desk: SourceDesk) -> None:
        self._desk = desk

    async def preview(self, request_id: str, given: LetterIn, actor: Actor) -> FrozenMail:
        """The letter that a decision would send; nothing is stored but that the source was looked at.

        Raises:
            NotFound: No such request.
            RequestNotReady: The decision is not possible.
        """
        now = self._desk.clock.now()
        async with self._desk.database.transaction() as connection:
            request, repeating = await hold_matter(connection, request_id)
            found = await source_requests.find_registrations(connection, request.subject)
            extent = _extent(given.decision, given.extent)
            decided(request, given.decision, extent, actor, now, known=bool(found))
            reason = given.reason or (_YET_TO_BE_WRITTEN if given.decision in NEEDS_REASONS else None)
            letter = self._letter(request, repeating, found, given.decision, extent, reason, now)
            await note_view(connection, now, actor, request.subject, "source_request")
        return self._desk.compose(letter, f"preview of {request_id}")

    async def letter(self, request_id: str, actor: Actor) -> FrozenMail:
        """The letter that answered a request, as it was frozen; perhaps the one that answered what it repeats.

        Raises:
            NotFound: No such request, or no letter, or its bytes were erased.
        """
        now = self._desk.clock.now()
        async with self._desk.database.transaction() as connection:
            request = await hold(connection, request_id)
            sent = await mails.find_about(connection, SourceLetterKind.DECISION, about(request_id))
            if sent is None and request.linked_to:
                sent = await mails.find_about(connection, SourceLetterKind.DECISION, about(request.linked_to))
            if sent is None or sent.mail is None:
                raise NotFound("letter")
            await note_view(connection, now, actor, request.subject, "source_request")
            return sent.mail

    async def decide(
        self, request_id: str, given: DecisionIn, actor: Actor, agreed: Callable[[FrozenMail], bool] | None = None
    ) -> None:
        """Decides a request, once, and sends the letter; what repeats it is answered by the same letter.

        Args:
            agreed: Whether the letter is the one that was looked at; without it any is.

        Raises:
            NotFound: No such request.
            RequestNotReady: It is decided or closed, has been changed meanwhile, or the decision does not fit.
            InvalidInput: A reason is missing, or the extent does not fit the decision.
        """
        now = self._desk.clock.now()
        async with self._desk.database.transaction() as connection:
            request, repeating = await hold_matter(connection, request_id)
            found = await source_requests.find_registrations(connection, request.subject)
            extent = _extent(given.decision, given.extent)
            closed = [
                decided(each, given.decision, extent, actor, now, known=bool(found)) for each in (request, *repeating)
            ]
            _insist_on_version(request, given.version)
            if given.decision in NEEDS_REASONS and given.reason is None:
                raise InvalidInput("/reason", "missing", "The person must be told why (GDPR Art. 12(4)).")
            letter = self._letter(request, repeating, found, given.decision, extent, given.reason, now)
            if agreed and not agreed(self._desk.compose(letter, f"preview of {request_id}")):
                raise RequestNotReady("letter_changed", "The letter would read differently by now; look at it again.")
            mail_id = await self._desk.send(connection, letter, request.subject, about(request_id))
            for each in closed:
                await keep(connection, replace(each, reason=given.reason, balancing=given.balancing))
                await note_act(
                    connection,
                    now,
                    actor,
                    Act.DECIDED,
                    subject=each.subject,
                    event="source_decided",
                    request_id=each.request_id,
                    decision=given.decision.value,
                    extent=extent.value if extent else None,
                    registrations=len(found),
                    mail_id=str(mail_id),
                    answered_with=request_id if each.request_id != request_id else None,
                )

    async def extend(self, request_id: str, reason: str, actor: Actor) -> None:
        """Extends a request by two months, once, before its first deadline; the person is told, with the reason.

        Raises:
            NotFound: No such request.
            RequestNotReady: It cannot be extended.
        """
        now = self._desk.clock.now()
        async with self._desk.database.transaction() as connection:
            request, repeating = await hold_matter(connection, request_id)
            also = (each for each in repeating if each.extended_at is None and now <= each.deadline)
            extended = [self._desk.rules.extended(each, reason, now) for each in (request, *also)]
            letter = SourceExtensionLetter(
                **self._desk.head(request, now),
                first_day=self._desk.deadline_day(request),
                answer_by=self._desk.deadline_day(extended[0]),
                swiss=is_swiss(request),
                reason=reason,
            )
            await self._desk.send(connection, letter, request.subject, about(request_id))
            await self._keep_all(connection, extended, "source_request_extended", actor, now)

    async def pause(self, request_id: str, given: PauseIn, actor: Actor) -> None:
        """Stops the clock while an officer waits for the requester, once; it goes again by itself.

        Raises:
            NotFound: No such request.
            RequestNotReady: The clock cannot be stopped.
            InvalidInput: The pause would end before it begins, or last too long.
        """
        now = self._desk.clock.now()
        until = given.until or now + USUAL_PAUSE
        if not now < until <= now + LONGEST_PAUSE:
            raise InvalidInput("/until", "out_of_range", f"must lie within {LONGEST_PAUSE.days} days from now")
        async with self._desk.database.transaction() as connection:
            request, repeating = await hold_matter(connection, request_id)
            also = (each for each in repeating if each.paused_at is None and now <= each.deadline)
            paused = [self._desk.rules.paused(each, given.reason, until, now) for each in (request, *also)]
            await self._keep_all(connection, paused, "source_request_paused", actor, now, until=until.isoformat())

    async def resume(self, request_id: str, actor: Actor) -> None:
        """Lets the clock go again before the pause ends by itself.

        Raises:
            NotFound: No such request.
            RequestNotReady: It is not paused.
        """
        now = self._desk.clock.now()
        async with self._desk.database.transaction() as connection:
            request, repeating = await hold_matter(connection, request_id)
            also = (each for each in repeating if each.is_paused(now))
            resumed = [self._desk.rules.resumed(each, now) for each in (request, *also)]
            await self._keep_all(connection, resumed, "source_request_resumed", actor, now)

    async def _keep_all(
        self,
        connection: Connection,
        requests: Sequence[SourceRequest],
        event: str,
        actor: Actor,
        now: datetime,
        **detail: str,
    ) -> None:
        for each in requests:
            await keep(connection, each)
            await note_act(
                connection,
                now,
                actor,
                Act.DECIDED,
                subject=each.subject,
                event=event,
                request_id=each.request_id,
                deadline=each.deadline.isoformat(),
                **detail,
            )

    def _letter(
        self,
        request: SourceRequest,
        repeating: Sequence[SourceRequest],
        found: Sequence[FoundRegistration],
        decision: SourceDecision,
        extent: Extent | None,
        reason: str | None,
        now: datetime,
    ) -> SourceDecisionLetter:
        named = extent in {Extent.PERSON, Extent.PARTNER}
        return SourceDecisionLetter(
            **self._desk.head(request, now),
            also_received_on=tuple(self._desk.day(each.received_at) for each in repeating),
            outcome=STATE_AFTER[decision],
            extent=extent,
            sources=tuple(
                Source(
                    partner=each.partner_name or each.partner_id,
                    person=each.registered_by if extent is Extent.PERSON else None,
                    registered_on=self._desk.day(each.registered_at),
                    kind=each.kind,
                )
                for each in found
                if named
            ),
            reason=reason if decision in NEEDS_REASONS else None,
            swiss=is_swiss(request),
        )


def _extent(decision: SourceDecision, wanted: Extent | None) -> Extent | None:
    """How much a decision tells; of a partial one the officer may choose.

    Raises:
        InvalidInput: The extent does not fit the decision.
    """
    match decision:
        case SourceDecision.DISCLOSE:
            fitting: tuple[Extent, ...] = (Extent.PERSON,)
        case SourceDecision.PARTLY:
            fitting = (Extent.PARTNER, Extent.CATEGORY)
        case _:
            fitting = ()
    if wanted is not None and wanted not in fitting:
        raise InvalidInput("/extent", "does_not_fit", "does not fit the decision")
    return wanted or next(iter(fitting), None)


def _insist_on_version(request: SourceRequest, seen: int | None) -> None:
    if seen is not None and seen != request.version:
        raise RequestNotReady("changed_meanwhile", "The request has been changed since; look at it again.")
