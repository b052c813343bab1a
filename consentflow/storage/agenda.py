"""What is still to come, and what is overdue."""

from datetime import datetime

from consentflow.storage.pool import Connection


async def next_due(connection: Connection, after: datetime) -> datetime | None:
    """The next instant at which something is to happen."""
    instant: datetime | None = await connection.fetchval(
        """
        SELECT least(
            (SELECT min(due_at) FROM registrations WHERE state IN ('accepted', 'waiting') AND due_at > $1),
            (SELECT min(answer_until) FROM questions WHERE outcome IS NULL AND answer_until > $1),
            (SELECT min(due_at) FROM digests WHERE closed_at IS NULL AND due_at > $1),
            (SELECT min(next_step_at) FROM source_requests WHERE next_step_at > $1)
        )
        """,
        after,
    )
    return instant


async def overdue(connection: Connection, at: datetime) -> int:
    """How much should have moved on by that instant.

    A mail that no registration sends, and somebody who asked to be let in, wait for nothing but us.
    """
    count: int = await connection.fetchval(
        """
        SELECT (SELECT count(*) FROM registrations WHERE state IN ('accepted', 'waiting') AND due_at <= $1)
             + (SELECT count(*) FROM questions WHERE outcome IS NULL AND answer_until <= $1)
             + (SELECT count(*) FROM digests WHERE closed_at IS NULL AND due_at <= $1)
             + (SELECT count(*) FROM mails WHERE state IN ('frozen', 'attempting') AND registration_id IS NULL)
             + (SELECT count(*) FROM sign_ins)
             + (SELECT count(*) FROM source_requests WHERE next_step_at <= $1)
        """,
        at,
    )
    return count


async def overdue_since(connection: Connection, at: datetime) -> datetime | None:
    """When the oldest of what is overdue at that instant should have moved on."""
    since: datetime | None = await connection.fetchval(
        """
        SELECT least(
            (SELECT min(due_at) FROM registrations WHERE state IN ('accepted', 'waiting') AND due_at <= $1),
            (SELECT min(answer_until) FROM questions WHERE outcome IS NULL AND answer_until <= $1),
            (SELECT min(due_at) FROM digests WHERE closed_at IS NULL AND due_at <= $1),
            (SELECT min(frozen_at) FROM mails WHERE state IN ('frozen', 'attempting') AND registration_id IS NULL),
            (SELECT min(asked_at) FROM sign_ins),
            (SELECT min(next_step_at) FROM source_requests WHERE next_step_at <= $1)
        )
        """,
        at,
    )
    return since


async def count_open(connection: Connection) -> dict[str, int]:
    """How much waits, by kind, each counted along an index of what is open alone.

    Registrations whose mail is still to come, questions that have left, digests, people who asked to be let in.
    """
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM registrations WHERE state IN ('accepted', 'waiting')) AS mail,
            (SELECT count(*) FROM questions WHERE outcome IS NULL AND answer_until IS NOT NULL) AS question,
            (SELECT count(*) FROM digests WHERE closed_at IS NULL) AS digest,
            (SELECT count(*) FROM sign_ins) AS sign_in
        """
    )
    return dict(row) if row else {}


async def count_due(connection: Connection, after: datetime, until: datetime) -> dict[str, int]:
    """How much becomes due between two instants, by kind as in `count_open`, and the steps of data-source requests."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM registrations
                WHERE state IN ('accepted', 'waiting') AND due_at > $1 AND due_at <= $2) AS mail,
            (SELECT count(*) FROM questions
                WHERE outcome IS NULL AND answer_until > $1 AND answer_until <= $2) AS question,
            (SELECT count(*) FROM digests WHERE closed_at IS NULL AND due_at > $1 AND due_at <= $2) AS digest,
            (SELECT count(*) FROM source_requests WHERE next_step_at > $1 AND next_step_at <= $2) AS source_request
        """,
        after,
        until,
    )
    return dict(row) if row else {}
