"""The append-only record of evidence. Pseudonymous: no detail carries personal data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.storage.pool import Connection

Detail = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, UTC."""

    at: datetime
    event: str
    detail: Detail


async def append(
    connection: Connection,
    at: datetime,
    event: str,
    detail: Detail,
    *,
    subject: Subject | None = None,
    registration_id: str | None = None,
) -> None:
    """Adds an entry to the end of its chain.

    A transaction that appends about no subject does so as the last thing: all such entries form one chain, and the
    next is held up until it ends.
    """
    await connection.execute(
        "INSERT INTO ledger (at, subject, registration_id, event, detail) VALUES ($1, $2, $3, $4, $5)",
        at,
        subject,
        registration_id,
        event,
        dict(detail),
    )


async def append_all(
    connection: Connection, at: datetime, event: str, details: Iterable[tuple[Subject, Detail]]
) -> None:
    """Adds an entry of one kind to the chains of many subjects, whose locks are held."""
    await connection.executemany(
        "INSERT INTO ledger (at, subject, event, detail) VALUES ($1, $2, $3, $4)",
        [(at, subject, event, dict(detail)) for subject, detail in details],
    )


async def knows_since(connection: Connection, subject: Subject, event: str, detail: Detail, since: datetime) -> bool:
    """Whether the subject's chain has such an event, with such a detail among others, after an instant."""
    known: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM ledger WHERE subject = $1 AND event = $2 AND at > $3 AND detail @> $4
        )
        """,
        subject,
        event,
        since,
        dict(detail),
    )
    return known


async def of_registration(connection: Connection, registration_id: str) -> list[Entry]:
    """What happened to a registration, in order."""
    rows = await connection.fetch(
        "SELECT at, event, detail FROM ledger WHERE registration_id = $1 ORDER BY entry_id", registration_id
    )
    return [Entry(**row) for row in rows]
