"""Data-source requests as rows, and what is on record about where a person's data came from."""

from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.letters import Language
from consentflow.domain.paging import Mark
from consentflow.domain.registrations import Kind, State
from consentflow.domain.source_requests import (
    OPEN,
    Channel,
    Extent,
    SourceDecision,
    SourceRequest,
    SourceState,
)
from consentflow.storage.ledger import Entry
from consentflow.storage.pool import Connection, write_now

_NAMES = [field.name for field in fields(SourceRequest)]
_COLUMNS = ", ".join(_NAMES)
_NUMBERED = ", ".join(f"${n + 1}" for n in range(len(_NAMES)))
_INSERT = f"INSERT INTO source_requests ({_COLUMNS}) VALUES ({_NUMBERED})"  # noqa: S608 - our own column names
_SELECT = f"SELECT {_COLUMNS} FROM source_requests"  # noqa: S608 - our own column names
_UPDATE = f"UPDATE source_requests SET ({_COLUMNS}) = ROW ({_NUMBERED}) WHERE request_id = $1"  # noqa: S608 - our own column names


def _read(row: asyncpg.Record) -> SourceRequest:
    return replace(
        SourceRequest(**row),
        language=Language(row["language"]),
        channel=Channel(row["channel"]),
        state=SourceState(row["state"]),
        decision=SourceDecision(row["decision"]) if row["decision"] else None,
        extent=Extent(row["extent"]) if row["extent"] else None,
    )


async def insert(connection: Connection, request: SourceRequest) -> None:
    """Stores a new request."""
    await connection.execute(_INSERT, *astuple(request))


async def update(connection: Connection, request: SourceRequest) -> None:
    """Writes a request as it stands now."""
    await connection.execute(_UPDATE, *astuple(request))


async def find(connection: Connection, request_id: str) -> SourceRequest | None:
    """The request with that id."""
    row = await connection.fetchrow(f"{_SELECT} WHERE request_id = $1", request_id)
    return _read(row) if row else None


async def find_open(connection: Connection, subject: Subject) -> list[SourceRequest]:
    """The person's requests that wait for something, in the order they were entered."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE subject = $1 AND closed_at IS NULL ORDER BY opened_at, request_id", subject
    )
    return [_read(row) for row in rows]


async def find_first_open(connection: Connection, subject: Subject) -> SourceRequest | None:
    """The open request of the person that further ones repeat."""
    row = await connection.fetchrow(
        f"{_SELECT} WHERE subject = $1 AND closed_at IS NULL AND linked_to IS NULL ORDER BY opened_at LIMIT 1", subject
    )
    return _read(row) if row else None


async def find_repeating(connection: Connection, request_id: str) -> list[SourceRequest]:
    """The open requests that repeat one, in the order they were entered."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE linked_to = $1 AND closed_at IS NULL ORDER BY opened_at, request_id", request_id
    )
    return [_read(row) for row in rows]


async def find_all_open(connection: Connection) -> list[SourceRequest]:
    """Every request that waits for something."""
    rows = await connection.fetch(f"{_SELECT} WHERE closed_at IS NULL")
    return [_read(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests a list is of.

    Args:
        states: Any of these.
        due_before: Deadline before this instant.
    """

    states: frozenset[SourceState]
    due_before: datetime | None = None


async def find_page(connection: Connection, wanted: Wanted, after: Mark | None, most: int) -> list[SourceRequest]:
    """Requests, the earliest deadline first, beginning after a mark."""
    open_ones = "closed_at IS NULL AND " if wanted.states <= OPEN else ""
    rows = await connection.fetch(
        f"""
        {_SELECT} WHERE {open_ones} state = ANY($1) AND deadline < coalesce($2::timestamptz, 'infinity')
            AND (deadline, request_id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4, ''))
        ORDER BY deadline, request_id LIMIT $5
        """,
        list(wanted.states),
        wanted.due_before,
        after.at if after else None,
        after.key if after else None,
        most,
    )
    return [_read(row) for row in rows]


async def find_closed(connection: Connection, after: Mark | None, most: int) -> list[SourceRequest]:
    """Requests that have come to an end, the latest first, beginning after a mark."""
    rows = await connection.fetch(
        f"""
        {_SELECT} WHERE closed_at IS NOT NULL
            AND (closed_at, request_id) < (coalesce($1::timestamptz, 'infinity'), coalesce($2, ''))
        ORDER BY closed_at DESC, request_id DESC LIMIT $3
        """,
        after.at if after else None,
        after.key if after else None,
        most,
    )
    return [_read(row) for row in rows]


async def count_overdue(connection: Connection, at: datetime) -> int:
    """How many requests were not answered by their deadline."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM source_requests WHERE closed_at IS NULL AND deadline < $1", at
    )
    return count


async def was_written_to_since(connection: Connection, subject: Subject, since: datetime) -> bool:
    """Whether a receipt was written to the person after an instant."""
    written: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM mails WHERE subject = $1 AND purpose = 'source_receipt' AND frozen_at > $2)",
        subject,
        since,
    )
    return written


@dataclass(frozen=True, slots=True)
class FoundRegistration:
    """A registration of the person who asks. For officers alone: it says who supplied the data.

    Args:
        partner_name: None when the partner has told none.
        registered_by: The address of the person who registered, None when none was named or it was erased.
    """

    registration_id: str
    kind: Kind
    partner_id: str
    partner_name: str | None
    registered_by: str | None
    registered_at: datetime
    company_name: str | None
    company_domain: str | None
    state: State


async def find_registrations(connection: Connection, subject: Subject) -> list[FoundRegistration]:
    """Every registration of a person, whatever became of it, oldest first."""
    rows = await connection.fetch(
        """
        SELECT r.registration_id, r.kind, r.partner_id, p.name AS partner_name, c.email AS registered_by,
               r.registered_at, r.company_name, r.company_domain, r.state
        FROM registrations r LEFT JOIN partners p USING (partner_id) LEFT JOIN contacts c ON c.subject = r.registered_by
        WHERE r.subject = $1 ORDER BY r.registered_at, r.registration_id
        """,
        subject,
    )
    return [FoundRegistration(**{**row, "kind": Kind(row["kind"]), "state": State(row["state"])}) for row in rows]


async def timeline(connection: Connection, request: SourceRequest) -> list[Entry]:
    """What happened to a request, its mails to the requester included, in order."""
    await write_now(connection)
    rows = await connection.fetch(
        """
        SELECT at, event, detail FROM ledger
        WHERE subject = $1 AND (
            detail @> jsonb_build_object('request_id', $2::text)
            OR detail ->> 'mail_id' IN (SELECT mail_id::text FROM mails WHERE subject = $1 AND about = $3)
        )
        ORDER BY entry_id
        """,
        request.subject,
        request.request_id,
        about(request.request_id),
    )
    return [Entry(**row) for row in rows]


def about(request_id: str) -> str:
    """What the mails to the requester are about."""
    return f"source-request/{request_id}"
