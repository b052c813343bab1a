"""The ledger read as hash chains, in rows that come as they are needed: a ledger of any size fits in small memory."""

from collections.abc import AsyncIterator

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.audit import Link
from consentflow.domain.errors import StorageUnavailable
from consentflow.domain.evidence import ChainedEntry
from consentflow.storage.pool import Connection

_AT_ONCE = 1000
"""Rows that one trip to Postgres brings."""

_LONGEST_WAIT = "5s"
"""For writers to come to an end; new ones wait behind it."""

# An instant that Python cannot hold, such as infinity, was put there by somebody else; it is read as another one, which
# does not have the entry's hash either.
_FIELDS = """
    entry.entry_id,
    CASE WHEN entry.at BETWEEN '0002-01-01T00:00Z' AND '9999-01-01T00:00Z' THEN entry.at ELSE '0002-01-01T00:00Z' END,
    entry.subject, entry.registration_id, entry.event, entry.detail::text, entry.previous_hash, entry.entry_hash
"""
_NEIGHBOURS = "coalesce(before.entry_hash, free_before.entry_hash), coalesce(after.entry_id, free_after.entry_id)"
_FROM = "FROM ledger AS entry"

# Neighbours are found by (subject, entry_id) as a pair, without asking for the same subject: so each is one look into
# ledger_by_subject, whatever the planner thinks of how many entries a subject has.
_BEFORE = """
    LEFT JOIN LATERAL (
        SELECT before.subject, before.entry_hash FROM ledger AS before
        WHERE before.subject IS NOT NULL AND (before.subject, before.entry_id) < (entry.subject, entry.entry_id)
        ORDER BY before.subject DESC, before.entry_id DESC LIMIT 1
    ) AS before ON before.subject = entry.subject
    LEFT JOIN LATERAL (
        SELECT before.entry_hash FROM ledger AS before
        WHERE entry.subject IS NULL AND before.subject IS NULL AND before.entry_id < entry.entry_id
        ORDER BY before.entry_id DESC LIMIT 1
    ) AS free_before ON entry.subject IS NULL
"""
_AFTER = """
    LEFT JOIN LATERAL (
        SELECT after.subject, after.entry_id FROM ledger AS after
        WHERE after.subject IS NOT NULL AND (after.subject, after.entry_id) > (entry.subject, entry.entry_id)
        ORDER BY after.subject, after.entry_id LIMIT 1
    ) AS after ON after.subject = entry.subject
    LEFT JOIN LATERAL (
        SELECT after.entry_id FROM ledger AS after
        WHERE entry.subject IS NULL AND after.subject IS NULL AND after.entry_id > entry.entry_id
        ORDER BY after.entry_id LIMIT 1
    ) AS free_after ON entry.subject IS NULL
"""


async def walk(connection: Connection) -> AsyncIterator[Link]:
    """Every entry by number."""
    rows = connection.cursor(
        f"SELECT {_FIELDS}, {_NEIGHBOURS} {_FROM} {_BEFORE} {_AFTER} ORDER BY entry.entry_id", prefetch=_AT_ONCE
    )
    async for row in rows:
        *fields, before, next_entry = row
        yield Link(ChainedEntry(*fields), before, next_entry)


async def heads(connection: Connection, after: int, up_to: int) -> AsyncIterator[bytes]:
    """The last hash, as of entry `up_to`, of every chain that grew after entry `after`; in the order of the entries."""
    rows = connection.cursor(
        f"""
        SELECT entry.entry_hash {_FROM} {_AFTER}
        WHERE entry.entry_id > $1 AND entry.entry_id <= $2
          AND coalesce(after.entry_id, free_after.entry_id, $2 + 1) > $2
        ORDER BY entry.entry_id
        """,
        after,
        up_to,
        prefetch=_AT_ONCE,
    )
    async for row in rows:
        yield row["entry_hash"]


async def of_subject(connection: Connection, subject: Subject) -> list[ChainedEntry]:
    """A subject's chain from its beginning."""
    rows = await connection.fetch(f"SELECT {_FIELDS} {_FROM} WHERE entry.subject = $1 ORDER BY entry.entry_id", subject)
    return [ChainedEntry(*row) for row in rows]


async def clean_cut(connection: Connection) -> int:
    """The last entry's number at a moment when nobody is appending: no smaller number can appear any more.

    Holds up every writer until the transaction ends, so it should do nothing else.

    Raises:
        StorageUnavailable: Writers did not come to an end in time.
    """
    await connection.execute(f"SET LOCAL lock_timeout = '{_LONGEST_WAIT}'")
    try:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('cut', 2))")
    except asyncpg.LockNotAvailableError as error:
        raise StorageUnavailable(type(error).__name__) from error
    last: int = await connection.fetchval("SELECT coalesce(max(entry_id), 0) FROM ledger")
    return last
