"""What is still to come: for operators, metrics, and the development clock."""

from datetime import datetime

from prometheus_client import Gauge

from consentflow.domain.clock import Clock
from consentflow.domain.errors import StorageUnavailable
from consentflow.operations.announcing import START, announce
from consentflow.storage import agenda, mail_fault, outbox, registrations
from consentflow.storage.mail_fault import MailFault
from consentflow.storage.pool import Database

_WAITING = Gauge("consentflow_outbox_messages", "Messages that Temporal has not taken yet.")
_OLDEST = Gauge("consentflow_outbox_oldest_timestamp_seconds", "When the oldest of them was written; 0 if none.")
_OVERDUE = Gauge("consentflow_overdue", "Mails and questions whose time has come and that have not moved on.")
_FAULT = Gauge("consentflow_mail_configuration_fault", "Whether the mail server refuses our own set-up.")
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
        """Tells Temporal anew of every registration that waits for something: for an engine that has forgotten."""
        async with self._database.transaction() as connection:
            for registration, answer_until in await registrations.find_all_open(connection):
                await announce(connection, registration, answer_until, START)

    async def measure(self) -> None:
        """Reads the backlog into the metrics."""
        try:
            async with self._database.transaction() as connection:
                waiting, oldest = await outbox.depth(connection)
                late = await agenda.overdue(connection, self._clock.now())
                fault = await mail_fault.find(connection)
        except StorageUnavailable:
            _POSTGRES.set(0)
            return
        _POSTGRES.set(1)
        _WAITING.set(waiting)
        _OLDEST.set(oldest.timestamp() if oldest else 0)
        _OVERDUE.set(late)
        _FAULT.set(fault is not None)
