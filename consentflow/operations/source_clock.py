"""What becomes due on a data-source request by itself: receipt, reminders, an end if nobody confirms to have asked.

The request's workflow asks for it, whenever its time has come or somebody changed something.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from consentflow.domain.addresses import read_mailbox, subject_of
from consentflow.domain.errors import NotFound
from consentflow.domain.letters import Language
from consentflow.domain.secrets import hash_token, new_token
from consentflow.domain.source_clock import MAILS_AGAIN_AFTER, Step
from consentflow.domain.source_letters import (
    OfficerReminderLetter,
    SourceDecisionLetter,
    SourceIdentityLetter,
    SourceLetterKind,
    SourceReceiptLetter,
)
from consentflow.domain.source_requests import (
    Channel,
    SourceRequest,
    SourceState,
    abandoned,
)
from consentflow.operations.posting import NotYet
from consentflow.operations.source_desk import SourceDesk, is_swiss, keep, note
from consentflow.operations.source_identity import IDENTITY
from consentflow.storage import mails, officers, source_requests, tokens
from consentflow.storage.officers import Officer
from consentflow.storage.pool import Connection, lock_subjects
from consentflow.storage.source_requests import about
from consentflow.storage.tokens import Token

LINK_OUTLIVES = timedelta(days=100)
"""How much longer the link works than the first time to confirm: the request may be extended or paused."""

REMINDER_VALIDITY = timedelta(days=1)
"""A reminder that could not leave for so long is no help any more; the next one is on its way."""

CONSOLE_PATH = "/console/requests"
"""Where the console shows a request, its id following."""


class SourceClock:
    """The operation of going on with a request."""

    def __init__(self, desk: SourceDesk) -> None:
        self._desk = desk

    async def advance(self, request_id: str, waited_for: datetime | None = None) -> datetime | None:
        """Does what is due; returns when something is due next, None when the request has come to its end.

        Args:
            waited_for: The instant that was waited for, unless somebody woke the request before.

        Raises:
            NotFound: No such request.
            NotYet: That instant has not come by our clock.
        """
        now = self._desk.clock.now()
        if waited_for and now < waited_for:
            raise NotYet(waited_for - now)
        async with self._desk.database.transaction() as connection:
            request, readers = await self._hold(connection, request_id, now)
            while (due := self._desk.rules.next_step(request)) and due.at <= now:
                if due.step is Step.REMIND and not readers:
                    break  # officers are locked together with the requester, so at the next look
                request = await self._take(connection, due.step, request, readers, now)
            await source_requests.update(connection, replace(request, next_step_at=due.at if due else None))
            return due.at if due else None

    async def _hold(
        self, connection: Connection, request_id: str, now: datetime
    ) -> tuple[SourceRequest, Sequence[Officer]]:
        """The request, held, and who is to be reminded of it now."""
        known = await source_requests.find(connection, request_id)
        if known is None:
            raise NotFound("data-source request")
        due = self._desk.rules.next_step(known)
        reminds = due is not None and due.step is Step.REMIND and due.at <= now
        readers = await self._readers(connection) if reminds else []
        # All at once: whoever is reminded gets an entry of its own in the ledger, which takes its lock.
        await lock_subjects(connection, {known.subject, *(reader.subject for reader in readers)})
        return await source_requests.find(connection, request_id) or known, readers

    async def _take(
        self, connection: Connection, step: Step, request: SourceRequest, readers: Sequence[Officer], now: datetime
    ) -> SourceRequest:
        match step:
            case Step.ACKNOWLEDGE:
                return await self._acknowledge(connection, request, now)
            case Step.REMIND:
                return await self._remind(connection, request, readers, now)
            case Step.ABANDON:
                return await self._abandon(connection, request, now)

    async def _acknowledge(self, connection: Connection, request: SourceRequest, now: datetime) -> SourceRequest:
        acknowledged = self._desk.rules.settled(replace(request, state=SourceState.IDENTITY_PENDING))
        mailed = request.email is not None and not await self._would_flood(connection, request, now)
        if mailed:
            await self._write_receipt(connection, acknowledged, now)
            if request.identity_confirmed_at is None:
                await self._write_link(connection, acknowledged, now)
        await note(connection, now, "source_request_acknowledged", acknowledged, mailed=mailed)
        return acknowledged

    async def _would_flood(self, connection: Connection, request: SourceRequest, now: datetime) -> bool:
        """Whether it repeats a request by the form that the mailbox was just written to about."""
        if request.channel is not Channel.FORM or request.linked_to is None:
            return False
        return await source_requests.was_written_to_since(connection, request.subject, now - MAILS_AGAIN_AFTER)

    async def _write_receipt(self, connection: Connection, request: SourceRequest, now: datetime) -> None:
        letter = SourceReceiptLetter(
            **self._desk.head(request, now),
            answer_by=self._desk.deadline_day(request),
            swiss=is_swiss(request),
            asks_identity=request.identity_confirmed_at is None,
        )
        await self._desk.send(connection, letter, request.subject, about(request.request_id))

    async def _write_link(self, connection: Connection, request: SourceRequest, now: datetime) -> None:
        token, confirm_until = new_token(), self._desk.rules.abandoned_at(request)
        letter = SourceIdentityLetter(
            **self._desk.head(request, now),
            confirm=f"{self._desk.office.public_url}/{IDENTITY}/{token}",
            confirm_by=self._desk.day(confirm_until) - timedelta(days=1),
        )
        mail_id = await self._desk.send(connection, letter, request.subject, about(request.request_id))
        kept = Token(
            purpose=IDENTITY,
            subject=request.subject,
            question_id=None,
            language=request.language,
            expires_at=confirm_until + LINK_OUTLIVES,
            mail_id=mail_id,
            about=request.request_id,
        )
        await tokens.keep(connection, hash_token(token), kept)

    async def _readers(self, connection: Connection) -> list[Officer]:
        """Who is reminded: the officers, or the data protection officer's mailbox while there are none."""
        if found := await officers.find_all(connection):
            return found
        mailbox = read_mailbox(self._desk.office.controller.dpo_email)
        subject = subject_of(mailbox, self._desk.subject_key)
        return [Officer(subject, mailbox.address, "officer", Language.ENGLISH, self._desk.clock.now())]

    async def _remind(
        self, connection: Connection, request: SourceRequest, readers: Sequence[Officer], now: datetime
    ) -> SourceRequest:
        today = self._desk.day(now)
        for reader in readers:
            letter = self._reminder(request, reader, today, now)
            matter = f"{about(request.request_id)}/{today.isoformat()}/{reader.subject}"
            await self._desk.send(connection, letter, reader.subject, matter, send_until=now + REMINDER_VALIDITY)
        days_left = (self._desk.deadline_day(request) - today).days
        await note(connection, now, "source_officers_reminded", request, days_left=days_left, officers=len(readers))
        return replace(request, reminded_at=now)

    def _reminder(self, request: SourceRequest, reader: Officer, today: date, now: datetime) -> OfficerReminderLetter:
        answer_by = self._desk.deadline_day(request)
        return OfficerReminderLetter(
            **self._desk.head(request, now, reader),
            answer_by=answer_by,
            days_left=(answer_by - today).days,
            confirmed=request.identity_confirmed_at is not None,
            page=f"{self._desk.office.public_url}{CONSOLE_PATH}/{request.request_id}",
        )

    async def _abandon(self, connection: Connection, request: SourceRequest, now: datetime) -> SourceRequest:
        """Ends a request that nobody confirmed. What repeated it goes on by itself."""
        closed, matter = abandoned(request, now), about(request.request_id)
        if request.email and await mails.find_about(connection, SourceLetterKind.RECEIPT, matter):
            letter = SourceDecisionLetter(
                **self._desk.head(request, now),
                also_received_on=(),
                outcome=SourceState.ABANDONED,
                extent=None,
                sources=(),
                reason=None,
                swiss=is_swiss(request),
            )
            await self._desk.send(connection, letter, request.subject, matter)
        for repeating in await source_requests.find_repeating(connection, request.request_id):
            await keep(connection, self._desk.rules.settled(replace(repeating, linked_to=None)))
        await note(connection, now, "source_request_abandoned", closed)
        return closed
