"""The append-only record of evidence. Pseudonymous: no detail carries personal data."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.storage import trail
from consentflow.storage.pool import Connection, write_at_the_end, write_now
from consentflow.storage.trail import NewEntry

Detail = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, UTC."""

    at: datetime
    event: str
    detail: Detail


def as_read(detail: Detail) -> Detail:
    """A detail as it will be read, down to the order (jsonb's): without what is None."""
    return {key: detail[key] for key in sorted(detail, key=lambda key: (len(key), key)) if detail[key] is not None}


async def append(
    connection: Connection,
    at: datetime,
    event: str,
    detail: Detail,
    *,
    subject: Subject | None = None,
    registration_id: str | None = None,
) -> None:
    """Adds an entry to the end of its chain, when the transaction ends: all of a transaction's by one statement.

    Entries about no subject form one chain, and the next is held up until this transaction has ended.
    """
    await write_at_the_end(connection, trail.write, [NewEntry(at, subject, registration_id, event, detail)])


async def append_all(
    connection: Connection, at: datetime, event: str, details: Iterable[tuple[Subject, Detail]]
) -> None:
    """Adds an entry of one kind to the chains of many subjects, whose locks are held."""
    entries = [NewEntry(at, subject, None, event, detail) for subject, detail in details]
    await write_at_the_end(connection, trail.write, entries)


async def knows_since(connection: Connection, subject: Subject, event: str, detail: Detail, since: datetime) -> bool:
    """Whether the subject's chain has such an event, with such a detail among others, after an instant."""
    await write_now(connection)
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


async def of_registrations(connection: Connection, registration_ids: Collection[str]) -> dict[str, list[Entry]]:
    """What happened to each of the registrations, in order."""
    await write_now(connection)
    rows = await connection.fetch(
        "SELECT registration_id, at, event, detail FROM ledger WHERE registration_id = ANY($1) ORDER BY entry_id",
        list(registration_ids),
    )
    happened: dict[str, list[Entry]] = {registration_id: [] for registration_id in registration_ids}
    for registration_id, at, event, detail in rows:
        happened[registration_id].append(Entry(at, event, detail))
    return happened
