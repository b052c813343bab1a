"""What the operations on data-source requests share: their means, the ledger, the letters, waking the workflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from consentflow.domain.addresses import Subject
from consentflow.domain.clock import Clock
from consentflow.domain.deadlines import SWISS_ANSWER, answer_rule
from consentflow.domain.errors import NotFound, RequestNotReady
from consentflow.domain.letters import Compose, Letter, Recipient
from consentflow.domain.source_clock import SourceRules
from consentflow.domain.source_letters import Head
from consentflow.domain.source_requests import SourceRequest
from consentflow.operations.posting import Office, dispatch, post
from consentflow.storage import ledger, outbox, source_requests
from consentflow.storage.officers import Officer
from consentflow.storage.pool import Connection, Database, lock_subject

START = "source_request.start"
NUDGE = "source_request.nudge"
"""The outbox topics of a new request, and of one that was changed by somebody."""


@dataclass(frozen=True, slots=True)
class SourceDesk:
    """Everything an operation on requests works with.

    Args:
        compose: Renders and freezes a letter.
        subject_key: What pseudonyms are keyed with.
    """

    database: Database
    clock: Clock
    office: Office
    compose: Compose
    rules: SourceRules
    subject_key: bytes

    def day(self, instant: datetime) -> date:
        """The day an instant lies in, where the controller is."""
        return instant.astimezone(self.rules.calendar.zone).date()

    def deadline_day(self, request: SourceRequest) -> date:
        """The last day for the answer."""
        return self.day(request.deadline)

    def head(self, request: SourceRequest, now: datetime, reader: Officer | None = None) -> Head:
        """What a letter about a request has in any case.

        It goes to the officer, or else to the address the request is about, without a name that anybody may have typed.

        Raises:
            RequestNotReady: The requester's address was erased.
        """
        address = reader.email if reader else request.email
        if address is None:
            raise RequestNotReady("requester_erased", "The requester's address was erased; nobody can be written to.")
        return Head(
            language=reader.language if reader else request.language,
            recipient=Recipient(address, None, None),
            controller=self.office.controller,
            request_id=request.request_id,
            received_on=self.day(request.received_at),
            written_at=now,
        )

    async def send(
        self,
        connection: Connection,
        letter: Letter,
        subject: Subject,
        about: str,
        *,
        send_until: datetime | None = None,
    ) -> UUID:
        """Freezes a mail, once, and lets it leave; returns its id.

        Args:
            send_until: After this it need not leave any more, UTC.
        """
        mail_id = await post(connection, self.compose, letter, subject, about, send_until=send_until)
        await dispatch(connection, mail_id)
        return mail_id


async def hold(connection: Connection, request_id: str) -> SourceRequest:
    """The request with that id; nobody else changes what concerns its person while the transaction lasts.

    Raises:
        NotFound: No such request.
    """
    known = await source_requests.find(connection, request_id)
    if known is None:
        raise NotFound("data-source request")
    await lock_subject(connection, known.subject)
    return await source_requests.find(connection, request_id) or known


async def hold_matter(connection: Connection, request_id: str) -> tuple[SourceRequest, Sequence[SourceRequest]]:
    """A request, and the open ones that repeat it and share what an officer does about it.

    Raises:
        NotFound: No such request.
    """
    request = await hold(connection, request_id)
    return request, await source_requests.find_repeating(connection, request_id)


async def keep(connection: Connection, request: SourceRequest) -> None:
    """Stores what somebody changed, and wakes the request's workflow, which then sees what is due."""
    await source_requests.update(connection, request)
    await outbox.write(connection, NUDGE, {"request_id": request.request_id})


async def note(
    connection: Connection, at: datetime, event: str, request: SourceRequest, **detail: str | int | bool | None
) -> None:
    """Writes to the ledger what happened to a request. What people wrote stays out of it."""
    said = {"request_id": request.request_id, **detail}
    shown = {name: value for name, value in said.items() if value is not None}
    await ledger.append(connection, at, event, shown, subject=request.subject)


def is_swiss(request: SourceRequest) -> bool:
    """Whether the request is answered under Swiss law."""
    return answer_rule(request.country) is SWISS_ANSWER
