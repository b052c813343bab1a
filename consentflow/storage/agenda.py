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
