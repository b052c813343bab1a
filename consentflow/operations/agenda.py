"""What is still to come: for operators, metrics, and the development clock."""

from datetime import datetime

from prometheus_client import Gauge

from consentflow.domain.clock import Clock
from consentflow.domain.errors import StorageUnavailable
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

_WAITING = Gauge("consentflow_outbox_messages", "Messages that Temporal has not taken yet.")
_OLDEST = Gauge("consentflow_outbox_oldest_timestamp_seconds", "When the oldest of them was written; 0 if none.")
_OVERDUE = Gauge("consentflow_overdue", "Mails and questions whose time has come and that have not moved on.")
_FAULT = Gauge("consentflow_mail_configuration_fault", "Whether the mail server refuses our own set-up.")
_SOURCES_OVERDUE = Gauge(
    "consentflow_source_requests_overdue", "Data-source requests that were not answered by their legal deadline."
)
_POSTGRES = Gauge("consentflow_postgres_up", "Whether Postgres answers.")


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

    async def measure(self) -> None:
        """Reads the backlog into the metrics."""
        try:
            async with self._database.transaction() as connection:
                waiting, oldest = await outbox.depth(connection)
                late = await agenda.overdue(connection, self._clock.now())
                fault = await mail_fault.find(connection)
                sources_late = await source_requests.count_overdue(connection, self._clock.now())
        except StorageUnavailable:
            _POSTGRES.set(0)
            return
        _POSTGRES.set(1)
        _WAITING.set(waiting)
        _OLDEST.set(oldest.timestamp() if oldest else 0)
        _OVERDUE.set(late)
        _SOURCES_OVERDUE.set(sources_late)
        _FAULT.set(fault is not None)
