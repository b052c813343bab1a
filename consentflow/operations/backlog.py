"""What is open, due and overdue, read from Postgres into metrics.

What can be long (registrations that wait for a month) is counted along partial indexes, not at every scrape: an answer
is kept for a minute, and for a hundred times as long as it took to get. So reading metrics never takes more than a
hundredth of the database's time, whatever it holds. What must be seen at once (what is late, faults) is read each time.
"""

import time
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Gauge

from consentflow.domain.clock import Clock
from consentflow.domain.deadlines import RestDays
from consentflow.domain.errors import StorageUnavailable
from consentflow.domain.worklist import chart
from consentflow.storage import agenda, checkpoints, mail_fault, outbox, source_requests, verifications, worklist
from consentflow.storage.pool import Connection, Database

BACKLOG = CollectorRegistry()
"""Apart from the default registry, since a worker must not tell what only an API process reads."""

KEPT = timedelta(minutes=1)
"""How long a count of what may be long is good for, at least."""

SHARE = 100
"""How much longer than it took such a count is kept, at least."""


def _gauge(name: str, what: str, labels: tuple[str, ...] = ()) -> Gauge:
    return Gauge(f"consentflow_{name}", what, labels, registry=BACKLOG)


_POSTGRES = _gauge("postgres_up", "Whether Postgres answers.")
_WAITING = _gauge("outbox_messages", "Messages that Temporal has not taken yet.")
_OLDEST = _gauge("outbox_oldest_timestamp_seconds", "When the oldest of them was written; 0 if none.")
_OVERDUE = _gauge("overdue", "Mails and questions whose time has come and that have not moved on.")
_OVERDUE_SINCE = _gauge("overdue_oldest_timestamp_seconds", "When the oldest of them should have moved on; 0 if none.")
_FAULT = _gauge("mail_configuration_fault", "Whether the mail server refuses our own set-up.")
_OPEN = _gauge("open", "Mails and questions of registrations, digests and sign-ins that wait; minutes old.", ("kind",))
_DUE = _gauge("due_within_day", "What becomes due within a day, by kind; minutes old.", ("kind",))
_SOURCES = _gauge(
    "source_requests", "Open data-source requests, by days left and whom they wait for.", ("left", "waits_for")
)
_SOURCES_OVERDUE = _gauge("source_requests_overdue", "Data-source requests not answered by their legal deadline.")
_VERIFIED = _gauge("ledger_verified_timestamp_seconds", "When the whole ledger was last looked at; 0 if never.")
_FLAWS = _gauge("ledger_flaws", "What that look found wrong.")
_SEALED = _gauge("ledger_checkpoint_timestamp_seconds", "When the last checkpoint was signed; 0 if never.")


class Backlog:
    """Reads the state of things into the metrics of `BACKLOG`."""

    def __init__(self, database: Database, clock: Clock, calendar: RestDays) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._good_until = 0.0

    async def measure(self) -> None:
        """Reads anew what is not good any more; while Postgres is away, everything else stays as it was."""
        now = self._clock.now()
        try:
            async with self._database.transaction() as connection:
                await self._read(connection, now)
                await self._count(connection, now)
        except StorageUnavailable:
            _POSTGRES.set(0)
            return
        _POSTGRES.set(1)

    async def _read(self, connection: Connection, now: datetime) -> None:
        waiting, oldest = await outbox.depth(connection)
        _WAITING.set(waiting)
        _OLDEST.set(_seconds(oldest))
        _OVERDUE.set(await agenda.overdue(connection, now))
        _OVERDUE_SINCE.set(_seconds(await agenda.overdue_since(connection, now)))
        _FAULT.set(await mail_fault.find(connection) is not None)
        _SOURCES_OVERDUE.set(await source_requests.count_overdue(connection, now))
        for bar in chart(await worklist.count_open(connection), now, self._calendar):
            _SOURCES.labels(bar.span, "officer").set(bar.officer)
            _SOURCES.labels(bar.span, "requester").set(bar.requester)
        verification = await verifications.find_latest(connection)
        _VERIFIED.set(_seconds(verification.verified_at if verification else None))
        _FLAWS.set(len(verification.flaws) if verification else 0)
        checkpoint = await checkpoints.find_latest(connection)
        _SEALED.set(_seconds(checkpoint.seal.signed_at if checkpoint else None))

    async def _count(self, connection: Connection, now: datetime) -> None:
        began = time.monotonic()
        if began < self._good_until:
            return
        for kind, number in (await agenda.count_open(connection)).items():
            _OPEN.labels(kind).set(number)
        for kind, number in (await agenda.count_due(connection, now, now + timedelta(days=1))).items():
            _DUE.labels(kind).set(number)
        took = time.monotonic() - began
        self._good_until = began + max(KEPT.total_seconds(), SHARE * took)


def _seconds(instant: datetime | None) -> float:
    return instant.astimezone(UTC).timestamp() if instant else 0
