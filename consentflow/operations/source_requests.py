"""Data-source requests: taking them, and reading where they stand.

Taking one does the same work whether or not the address is known: nothing here looks at registrations before an
officer does. Letters are written later, by the request's workflow.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from consentflow.domain.acts import Actor
from consentflow.domain.addresses import subject_of
from consentflow.domain.deadlines import Term
from consentflow.domain.errors import InvalidInput, NotFound
from consentflow.domain.intake import CLOCK_SKEW
from consentflow.domain.languages import letter_language
from consentflow.domain.locations import read_location
from consentflow.domain.paging import Mark, Page
from consentflow.domain.source_intake import SourceRequestIn
from consentflow.domain.source_requests import Channel, SourceRequest, SourceState
from consentflow.operations.audit import note_view
from consentflow.operations.source_desk import START, SourceDesk, note
from consentflow.storage import outbox, source_requests
from consentflow.storage.ledger import Entry
from consentflow.storage.pool import Connection, lock_subject
from consentflow.storage.source_requests import FoundRegistration, Wanted


@dataclass(frozen=True, slots=True)
class SourceStanding:
    """A request with everything an officer is told about it.

    Args:
        term: Until when it is to be answered.
        without_pause: Until when it would be if the clock had never stood still.
        registrations: Of the person, with who registered it.
        repeated_by: The open requests that repeat it.
        as_of: The instant the standing is true of.
    """

    request: SourceRequest
    term: Term
    without_pause: Term
    registrations: Sequence[FoundRegistration]
    repeated_by: Sequence[str]
    timeline: Sequence[Entry]
    as_of: datetime


class SourceRequests:
    """The operations of taking and reading requests."""

    def __init__(self, desk: SourceDesk) -> None:
        self._desk = desk

    async def open(self, given: SourceRequestIn, channel: Channel, actor: Actor | None = None) -> str:
        """Takes a request and returns its id; its clock starts on receipt.

        One that repeats an open request of the same person is linked to it, never refused.

        Args:
            actor: The officer who enters it; None for the form, by which nothing is received in the past.

        Raises:
            InvalidInput: It claims to have been received in the future.
            StorageUnavailable: Nothing was taken.
        """
        now, mailbox = self._desk.clock.now(), given.mailbox
        received_at = (given.received_at if channel is not Channel.FORM else None) or now
        if received_at > now + CLOCK_SKEW:
            raise InvalidInput("/received_at", "in_the_future", "lies in the future")
        received_at = min(received_at, now)
        subject = subject_of(mailbox, self._desk.subject_key)
        country = read_location(given.country).country
        draft = SourceRequest(
            request_id=f"sr-{secrets.token_hex(6)}",
            subject=subject,
            email=mailbox.address,
            name=given.name,
            message=given.message,
            language=letter_language(given.language, country, mailbox.domain),
            country=country,
            channel=channel,
            state=SourceState.RECEIVED,
            received_at=received_at,
            opened_at=now,
            target=received_at,
            deadline=received_at,
        )
        async with self._desk.database.transaction() as connection:
            await lock_subject(connection, subject)
            first = await source_requests.find_first_open(connection, subject)
            linked = replace(
                draft,
                linked_to=first.request_id if first else None,
                identity_confirmed_at=first.identity_confirmed_at if first else None,
                identity_note=first.identity_note if first else None,
            )
            request = self._desk.rules.settled(linked)
            await source_requests.insert(connection, request)
            await note(
                connection,
                now,
                "source_request_opened",
                request,
                by=actor,
                channel=channel.value,
                received_at=received_at.isoformat(),
                deadline=request.deadline.isoformat(),
                linked_to=request.linked_to,
            )
            await outbox.write(connection, START, {"request_id": request.request_id})
        return request.request_id

    async def find(self, request_id: str, actor: Actor) -> SourceStanding:
        """Where a request stands, and what was found about its person; that it was looked at is noted.

        Args:
            actor: The officer who looks.

        Raises:
            NotFound: No such request.
        """
        now = self._desk.clock.now()
        async with self._desk.database.transaction() as connection:
            request = await source_requests.find(connection, request_id)
            if request is None:
                raise NotFound("data-source request")
            standing = await self._standing(connection, request, now)
            await lock_subject(connection, request.subject)
            await note_view(connection, now, actor, request.subject, "source_request")
            return standing

    async def find_page(self, wanted: Wanted, after: Mark | None, most: int) -> Page[SourceRequest]:
        """A page of requests, the earliest deadline first."""
        async with self._desk.database.transaction() as connection:
            found = await source_requests.find_page(connection, wanted, after, most + 1)
        shown = found[:most]
        return Page(shown, Mark(shown[-1].deadline, shown[-1].request_id) if len(found) > most else None)

    async def _standing(self, connection: Connection, request: SourceRequest, now: datetime) -> SourceStanding:
        repeating = await source_requests.find_repeating(connection, request.request_id)
        rules = self._desk.rules
        return SourceStanding(
            request=request,
            term=Term(request.target, request.deadline, rules.calendar.zone),
            without_pause=rules.term(request, with_pause=False),
            registrations=await source_requests.find_registrations(connection, request.subject),
            repeated_by=[each.request_id for each in repeating],
            timeline=await source_requests.timeline(connection, request),
            as_of=now,
        )
