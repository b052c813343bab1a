"""What is still to come: for operators and the development clock."""

from datetime import datetime

from consentflow.domain.clock import Clock
from consentflow.operations.announcing import START, announce
from consentflow.operations.digests import START as START_DIGEST
from consentflow.operations.digests import start_of
from consentflow.operations.posting import dispatch
from consentflow.operations.sessions import ASKED
from consentflow.operations.source_desk import START as START_SOURCE_REQUEST
from consentflow.storage import (
    agenda,
    digests,
    mail_fault,
    mails,
    outbox,
    registrations,
    sign_ins,
    source_requests,
)
from consentflow.storage.mail_fault import MailFault
from consentflow.storage.pool import Database


class Agenda:
    """Reads the backlog."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def outbox_depth(self) -> int:
        """How many messages wait for Temporal."""
        async with self._database.transaction() as connection:
            return (await outbox.depth(connection))[0]

    async def mail_fault(self) -> MailFault | None:
        """What the mail server refuses of our own set-up at present."""
        async with self._database.transaction() as connection:
            return await mail_fault.find(connection)

    async def next_due(self, after: datetime) -> datetime | None:
        """The next instant, UTC, at which something is to happen."""
        async with self._database.transaction() as connection:
            return await agenda.next_due(connection, after)

    async def unsettled(self, at: datetime) -> int:
        """How much has not been handled of all that was to be handled by that instant."""
        async with self._database.transaction() as connection:
            return (await outbox.depth(connection))[0] + await agenda.overdue(connection, at)

    async def announce_open(self) -> None:
        """Tells Temporal anew of everything that waits for something: for an engine that has forgotten."""
        async with self._database.transaction() as connection:
            for registration, answer_until in await registrations.find_all_open(connection):
                await announce(connection, registration, answer_until, START)
            unfinished = await digests.find_unfinished(connection)
            await outbox.write_all(connection, START_DIGEST, [start_of(digest) for digest in unfinished])
            for mail_id in await mails.find_to_leave(connection):
                await dispatch(connection, mail_id)
            asked = await sign_ins.find_all(connection)
            await outbox.write_all(connection, ASKED, [{"sign_in_id": str(sign_in_id)} for sign_in_id in asked])
            for request in await source_requests.find_all_open(connection):
                await outbox.write(connection, START_SOURCE_REQUEST, {"request_id": request.request_id})
